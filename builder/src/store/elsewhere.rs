//! Bundles on their way from one machine to another.
//!
//! ```text
//! DIGEST OFFSET BYTES     a line for each piece of contents
//! tree
//! (the tree's text)
//! ```
//!
//! and beside this text the pack. Whoever asks for a bundle that is not here may have it brought from
//! [`Elsewhere`]. Whether a bundle of another machine is to be believed is decided there; here it is held
//! against itself: each piece of contents has the digest that it says, and the tree names none that is
//! missing. Then it is sealed, as what was made here.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, Read, Write as _},
    os::unix::fs::FileExt as _,
    sync::{Arc, PoisonError},
};

use super::{LAYER, Pack, PackedBlob, Store, StoreError, bundle};
use crate::{digest::Digest, error::At as _};

/// The kind of notes about bundles that another machine made: whose key vouched for them.
const NOTE: &str = "remote";

/// A place that has bundles of other machines.
pub trait Elsewhere: fmt::Debug + Send + Sync {
    /// Brings a bundle into the store, if it is there and to be believed. Returns whether it did. It never
    /// fails and does not take long: what cannot be had is made here.
    fn bring(&self, store: &Store, kind: &str, key: &str) -> bool;
}

/// Why a bundle of another machine is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A text that names no bundle.
    #[error("its list of contents cannot be read")]
    Text,
    /// A pack that ends early.
    #[error("its contents end before their length")]
    Short,
    /// Contents of another digest.
    #[error(
        "its contents do not have the digests that it lists\n  expected sha256:{expected}\n  found    sha256:{found}"
    )]
    Contents {
        /// As listed.
        expected: Box<Digest>,
        /// As it is.
        found: Digest,
    },
    /// A tree that names contents which nobody has.
    #[error("its tree names contents that it lacks, or of another length: sha256:{0}")]
    Lacks(Digest),
    /// What the reader of the pack says.
    #[error("its contents cannot be read")]
    Read(#[source] io::Error),
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Names the place to ask for bundles that are not here; the first one stays.
    pub fn look_elsewhere(&self, place: Arc<dyn Elsewhere>) {
        let _ = self.elsewhere.set(place);
    }

    /// Returns whether there is a place to ask for bundles that are not here.
    pub fn has_elsewhere(&self) -> bool {
        self.elsewhere.get().is_some()
    }

    /// Brings a bundle that is not here, if it can be had elsewhere. Returns whether it is here now.
    pub fn bring(&self, kind: &str, key: &str) -> bool {
        self.elsewhere.get().is_some_and(|place| place.bring(self, kind, key))
    }

    /// Returns kind and key of each bundle that was read or made since there is a place elsewhere, and that no
    /// other machine made, in order.
    pub fn own_bundles(&self) -> Vec<(String, String)> {
        let known = self.bundles_in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = |(kind, key): &&(String, String)| self.noted(NOTE, &note_key(kind, key)).is_none();
        known.iter().filter(is_own).cloned().collect()
    }

    /// Notes that a bundle was read or made.
    pub(super) fn in_use(&self, kind: &str, key: &str) {
        if self.has_elsewhere() {
            let mut known = self.bundles_in_use.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert((kind.to_owned(), key.to_owned()));
        }
    }

    /// Returns a bundle as another machine takes it: its text and its pack. `None` if it is not there.
    pub fn export_bundle(&self, kind: &str, key: &str) -> Option<(String, Pack)> {
        let (_, pack) = self.load_bundle(kind, key)?;
        let sealed = String::from_utf8(self.read_sealed(&self.bundle_path(kind, key))?).ok()?;
        Some((bundle::Text::parse(&sealed)?.portable(), pack))
    }

    /// Takes a bundle that another machine made. `by` is whose word it is believed on.
    ///
    /// # Errors
    /// [`ImportError`]; nothing of it is kept then.
    pub fn import_bundle(
        &self,
        (kind, key): (&str, &str),
        text: &str,
        pack_bytes: u64,
        pack: impl Read,
        by: &str,
    ) -> Result<(), ImportError> {
        let (blobs, tree) = bundle::read_portable(text, pack_bytes).ok_or(ImportError::Text)?;
        let mut bundle = self.begin_bundle(kind, key)?;
        let mut pack = pack.take(pack_bytes);
        let mut buffer = vec![0; 1 << 17];
        loop {
            let count = pack.read(&mut buffer).map_err(ImportError::Read)?;
            if count == 0 {
                break;
            }
            bundle.write_all(&buffer[..count]).at("write to", self.tmp()).map_err(StoreError::from)?;
        }
        if bundle.position() != pack_bytes {
            return Err(ImportError::Short);
        }
        let file = bundle.reader().at("write to", self.tmp()).map_err(StoreError::from)?;
        let mut sizes = HashMap::new();
        for PackedBlob { digest, offset, size_bytes } in &blobs {
            let part = Part { file: &file, offset: *offset, left: *size_bytes };
            let (found, _) = Digest::of_reader(part).map_err(ImportError::Read)?;
            if found != *digest {
                return Err(ImportError::Contents { expected: Box::new(*digest), found });
            }
            sizes.insert(*digest, *size_bytes);
        }
        for (_, entry) in tree.iter() {
            let Some((digest, size_bytes)) = entry.kind.content() else { continue };
            let known = match sizes.get(&digest) {
                None if kind == LAYER => self.blob(&digest).ok().map(|blob| blob.size_bytes()),
                known => known.copied(),
            };
            // A layer names contents of the packages that it lies over.
            if known != Some(size_bytes) {
                return Err(ImportError::Lacks(digest));
            }
        }
        for PackedBlob { digest, offset, size_bytes } in blobs {
            bundle.note(digest, offset, size_bytes);
        }
        // Before the bundle, so that none is taken for made here.
        self.note(NOTE, &note_key(kind, key), by.as_bytes())?;
        bundle.finish(&tree)?;
        Ok(())
    }
}

fn note_key(kind: &str, key: &str) -> String {
    Digest::of(format!("{kind}/{key}").as_bytes()).to_string()
}

/// Reads a part of a file.
struct Part<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
