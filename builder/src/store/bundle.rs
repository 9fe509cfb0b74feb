//! Bundles: the text that names a pack, and its writer.
//!
//! ```text
//! pack NAME BYTES
//! chunks DIGEST…          one after the other, without blanks
//! DIGEST OFFSET BYTES     a line for each piece of contents
//! tree
//! (the tree's text)
//! ```
//!
//! The text is kept sealed ([`Store::write_sealed`]), so the digests in it can be believed.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    os::unix::fs::FileExt,
};

use super::{
    Store, StoreError,
    pack::{self, Digester, Pack},
};
use crate::{
    digest::{Digest, Hasher},
    error::At as _,
    sys::path::open_regular,
    tree::{Tree, write_line},
};

/// Contents inside a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedBlob {
    /// SHA-256 of the contents.
    pub digest: Digest,
    /// Where they begin in the pack.
    pub offset: u64,
    /// Their length.
    pub size_bytes: u64,
}

impl PackedBlob {
    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let digest = words.next()?.parse().ok()?;
        let offset = words.next()?.parse().ok()?;
        Some(PackedBlob { digest, offset, size_bytes: words.next()?.parse().ok()? })
    }
}

/// The parsed text of a bundle.
pub(super) struct Text<'a> {
    pub name: &'a str,
    pub size_bytes: u64,
    chunks: &'a str,
    blobs: &'a str,
    tree: &'a str,
}

impl<'a> Text<'a> {
    /// Parts a text; `None` for one that we did not write. The name of its pack has no `/`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (head, tree) = text.split_once(TREE)?;
        let (pack, rest) = head.split_once('\n')?;
        let (name, size_bytes) = pack.strip_prefix("pack ")?.split_once(' ')?;
        let (chunks, blobs) = rest.strip_prefix("chunks ")?.split_once('\n')?;
        if !is_pack_name(name) {
            return None;
        }
        Some(Text { name, size_bytes: size_bytes.parse().ok()?, chunks, blobs, tree })
    }

    pub fn chunks(&self) -> Option<Vec<Digest>> {
        let bytes = self.chunks.as_bytes().chunks(64);
        bytes.map(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).collect()
    }

    /// Returns the contents, each of which lies inside the pack.
    pub fn blobs(&self) -> Option<Vec<PackedBlob>> {
        let inside = |blob: &PackedBlob| {
            blob.offset.checked_add(blob.size_bytes).is_some_and(|end| end <= self.size_bytes)
        };
        self.blobs.lines().map(|line| PackedBlob::from_line(line).filter(inside)).collect()
    }

    pub fn tree(&self) -> Option<Tree> {
        Tree::from_text(self.tree).ok()
    }

    /// Returns what is the same on all machines: contents and tree.
    pub fn portable(&self) -> String {
        format!("{}{TREE}{}", self.blobs, self.tree)
    }
}

/// The line between contents and tree.
const TREE: &str = "tree\n";

/// Reads the text of a bundle that another machine made: pieces of contents that lie in a pack of so many bytes,
/// together no longer than it, and the tree.
pub(super) fn read_portable(text: &str, size_bytes: u64) -> Option<(Vec<PackedBlob>, Tree)> {
    let (blobs, tree) = match text.strip_prefix(TREE) {
        Some(tree) => ("", tree),
        None => text.split_once("\ntree\n")?,
    };
    let text = Text { name: "", size_bytes, chunks: "", blobs, tree };
    let (blobs, tree) = (text.blobs()?, text.tree()?);
    let sum = blobs.iter().try_fold(0_u64, |sum, blob| sum.checked_add(blob.size_bytes))?;
    (sum <= size_bytes).then_some((blobs, tree))
}

/// Returns whether a name is one that [`BundleWriter::finish`] could have given, so that it cannot point out
/// of `packs/`.
pub(super) fn is_pack_name(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+:~=".contains(&byte);
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.bytes().all(is_good)
}

/// The text of a bundle, as a function that takes anything ([`testing::readers`](crate::testing::READERS)).
#[cfg(feature = "testing")]
pub(crate) fn read_anything(bytes: &[u8]) {
    let Some(text) = std::str::from_utf8(bytes).ok().and_then(Text::parse) else { return };
    let packs = std::path::Path::new("packs");
    assert_eq!(packs.join(text.name).parent(), Some(packs));
    for blob in text.blobs().unwrap_or_default() {
        assert!(blob.offset + blob.size_bytes <= text.size_bytes);
    }
    let _ = (text.chunks(), text.tree());
    let sum: u64 = read_portable(&text.portable(), 1 << 20)
        .iter()
        .flat_map(|(blobs, _)| blobs)
        .map(|blob| blob.size_bytes)
        .sum();
    assert!(sum <= 1 << 20);
}

/// Writes one bundle. Dropped without [`BundleWriter::finish`], it leaves nothing.
///
/// As a [`Write`] it appends to the pack as it is; [`BundleWriter::note`] then says which parts are contents.
#[derive(Debug)]
pub struct BundleWriter<'a> {
    store: &'a Store,
    kind: String,
    key: String,
    pack: BufWriter<Target>,
    digester: Digester,
    position: u64,
    blobs: Vec<PackedBlob>,
}

impl<'a> BundleWriter<'a> {
    pub(super) fn new(store: &'a Store, kind: &str, key: &str) -> Result<Self, StoreError> {
        let tmp = store.tmp();
        let named = || tempfile::Builder::new().prefix("pack-").tempfile_in(&tmp).map(Target::Named);
        let pack = match store.writable() {
            Ok(_) => named().at("create a file in", &tmp)?,
            Err(_) => store.unnamed().map(Target::Unnamed).at("create a file in memory for", &tmp)?,
        };
        let pack = BufWriter::with_capacity(1 << 18, pack);
        Ok(BundleWriter {
            store,
            kind: kind.into(),
            key: key.into(),
            pack,
            digester: Digester::default(),
            position: 0,
            blobs: Vec::new(),
        })
    }

    /// Returns the length of the pack so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Notes that a part of the pack is contents of that digest.
    pub fn note(&mut self, digest: Digest, offset: u64, size_bytes: u64) {
        self.blobs.push(PackedBlob { digest, offset, size_bytes });
    }

    /// Writes over bytes of the pack that were written before, such as a header whose numbers
    /// are known only now.
    ///
    /// # Errors
    /// A full disk; a range outside of the written bytes.
    pub fn patch(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.position) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "outside what was written"));
        }
        self.pack.flush()?;
        self.digester.change(offset, bytes.len() as u64);
        self.pack.get_ref().as_file().write_all_at(bytes, offset)
    }

    /// Returns a second handle on the pack so far, to read the appended bytes.
    ///
    /// # Errors
    /// A full disk.
    pub fn reader(&mut self) -> io::Result<File> {
        self.pack.flush()?;
        self.pack.get_ref().as_file().try_clone()
    }

    /// Appends contents and returns their digest and length.
    ///
    /// # Errors
    /// The reader's error, and a full disk.
    pub fn add(&mut self, mut reader: impl Read) -> io::Result<(Digest, u64)> {
        let offset = self.position;
        let mut hasher = Hasher::new(&mut *self);
        io::copy(&mut reader, &mut hasher)?;
        let (digest, size_bytes, _) = hasher.finish();
        self.note(digest, offset, size_bytes);
        Ok((digest, size_bytes))
    }

    /// Begins contents that come in parts.
    pub fn adding(&mut self) -> Adding<'_, 'a> {
        let offset = self.position;
        Adding { offset, hasher: Hasher::new(self) }
    }

    /// Makes the bundle visible under its key and its contents known. Returns the pack: that of another
    /// process, which made the same meanwhile, rather than a second one.
    ///
    /// # Errors
    /// A full disk.
    pub fn finish(self, tree: &Tree) -> Result<Pack, StoreError> {
        self.ready(tree)?.keep()
    }

    /// Makes its contents known to this store. The bundle is not in the cache yet; what is looked at now and found
    /// wanting leaves nothing there.
    ///
    /// # Errors
    /// A full disk.
    pub fn ready(self, tree: &Tree) -> Result<ReadyBundle<'a>, StoreError> {
        let BundleWriter { store, kind, key, pack, digester, position, blobs } = self;
        let tmp = store.tmp();
        let target = pack.into_inner().map_err(io::IntoInnerError::into_error).at("write a pack in", &tmp)?;
        let (path, bundle) = match &target {
            Target::Named(file) => {
                let unique = file.path().file_name().unwrap_or_default().to_string_lossy();
                let name = format!("{kind}-{key}-{}", unique.trim_start_matches("pack-"));
                (store.root().join("packs").join(name), store.bundle_path(&kind, &key))
            }
            Target::Unnamed(_) => Default::default(),
        };
        let chunks = digester.finish(target.as_file(), position).at("read back", &path)?;
        let mut text = String::new();
        if let (Target::Named(_), Some(name)) = (&target, path.file_name()) {
            text = format!("pack {} {position}\nchunks ", name.to_string_lossy());
            for chunk in &chunks {
                text += &chunk.to_string();
            }
            text += "\n";
            for blob in &blobs {
                text += &format!("{} {} {}\n", blob.digest, blob.offset, blob.size_bytes);
            }
            text += TREE;
            for (path, entry) in tree.iter() {
                write_line(&mut text, path, entry);
            }
        }
        let file = target.as_file().try_clone().at("write", &path)?;
        let pack = Pack::new((path.clone(), bundle), file, position, chunks, store.damages());
        let whole = || io::Error::other("internal error: the chunks of a pack do not make up its length");
        let pack = pack.ok_or_else(whole).at("write", &path)?;
        store.index_blobs(&pack, &blobs);
        Ok(ReadyBundle { store, kind, key, target, text, pack })
    }
}

/// A bundle whose contents can be read. Dropped without [`ReadyBundle::keep`], it leaves nothing.
#[derive(Debug)]
pub struct ReadyBundle<'a> {
    store: &'a Store,
    kind: String,
    key: String,
    target: Target,
    text: String,
    pack: Pack,
}

impl ReadyBundle<'_> {
    /// Makes it visible, as [`BundleWriter::finish`] does.
    ///
    /// # Errors
    /// A full disk.
    pub fn keep(self) -> Result<Pack, StoreError> {
        let ReadyBundle { store, kind, key, target, text, pack } = self;
        store.in_use(&kind, &key);
        // One that has no name is known for the life of the store.
        let Target::Named(file) = target else { return Ok(pack) };
        let bundle = store.bundle_path(&kind, &key);
        let _turn = store.turn("bundle", &format!("{kind}/{key}"), || ());
        let before = store.read_kept(&bundle).ok();
        if let Some(before) = before.as_ref().filter(|before| before.is_ours)
            && let Some(own) = Text::parse(&text)
            && let Some(other) = std::str::from_utf8(&before.bytes).ok().and_then(Text::parse)
            && (other.tree, other.chunks) == (own.tree, own.chunks)
            && let Some((_, kept)) = store.load_bundle(&kind, &key)
        {
            return Ok(kept);
        }
        // It has a lock already, before it has a name that others see: they remove files without a lock and a
        // bundle.
        file.persist(pack.path()).map_err(|e| e.error).at("write", pack.path())?;
        store.write_sealed(&bundle, text.as_bytes())?;
        if let Some(before) = before {
            remove_pack(store, &kind, &key, &before.bytes);
        }
        Ok(pack)
    }
}

/// Contents that are appended in parts.
pub struct Adding<'b, 'a> {
    offset: u64,
    hasher: Hasher<&'b mut BundleWriter<'a>>,
}

impl Adding<'_, '_> {
    /// Appends a part.
    ///
    /// # Errors
    /// A full disk.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.write_all(bytes)
    }

    /// Notes the contents, and returns their digest.
    pub fn finish(self) -> Digest {
        let (digest, size_bytes, bundle) = self.hasher.finish();
        bundle.note(digest, self.offset, size_bytes);
        digest
    }
}

/// Where a pack is written: to a file that gets its name at the end, or to one that never has any.
#[derive(Debug)]
enum Target {
    Named(tempfile::NamedTempFile),
    Unnamed(File),
}

impl Target {
    fn as_file(&self) -> &File {
        match self {
            Target::Named(file) => file.as_file(),
            Target::Unnamed(file) => file,
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.as_file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.as_file().flush()
    }
}

/// Removes the pack of a bundle that was replaced, unless it is in use. Only a pack of this very bundle is
/// removed.
fn remove_pack(store: &Store, kind: &str, key: &str, text: &[u8]) {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let words = std::str::from_utf8(first).ok().and_then(|line| line.strip_prefix("pack "));
    let Some((name, _)) = words.and_then(|words| words.split_once(' ')) else { return };
    if is_pack_name(name) && name.starts_with(&format!("{kind}-{key}-")) {
        let path = store.root().join("packs").join(name);
        if let Ok(file) = open_regular(&path) {
            pack::remove_if_unused(&path, &file);
        }
    }
}

impl Write for BundleWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.pack.write(bytes)?;
        self.digester.append(&bytes[..written]);
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pack.flush()
    }
}
