//! File contents by digest, and the trees that name them, kept on disk between runs.
//!
//! ```text
//! CACHE/debs/SHA256.deb        downloaded packages; checked when they are unpacked
//! CACHE/npm/ALGORITHM-HEX.tgz  the same of npm registries
//! CACHE/images/sha256-HEX      manifests and blobs of images at registries; checked as they are read
//! CACHE/bundles/KIND/KEY       one tree as text, preceded by where its contents lie; sealed
//! CACHE/packs/NAME             contents of one bundle, end to end (for a .deb: itself, uncompressed); checked as they are read
//! CACHE/indexes/…              indexes that `archive` keeps; sealed
//! CACHE/notes/KIND/KEY         a few lines about work that need not be done again; sealed
//! CACHE/tmp/run-…/             unfinished writes of one process
//! CACHE/CACHEDIR.TAG           shows that it is one ([`mark`])
//! CACHE/turns                  locks of those who make something, on a byte each
//! ```
//!
//! Everything is written below `tmp/` and renamed, and nothing is ever changed in place, so a
//! kill leaves at worst a stray directory in `tmp/`, and processes share entries without locks, though they
//! take turns to make one. A bundle names its pack; packs have names of their own, so two writers of one
//! bundle never mix. Each process holds a lock on its directory in `tmp/`; the next one removes those
//! without.
//!
//! The contents are not trusted. The directory is closed to all but our own user ([`closed`](crate::closed),
//! [`closing`]). Downloads have digests of their own, which the lock has. All else is sealed
//! ([`seal`](crate::seal)) with a key that is not in the cache, or has a digest in something that is. An
//! entry that does not fit is ignored and made again. Files that the kernel reads by itself (a bind mount of
//! the packs, a copy inside the kernel) was checked a moment before; between the two only our own user and
//! root could change it.
//!
//! A cache that cannot be written is read all the same ([`below`]): new entries are then in a directory or in
//! memory for as long as the store is open.

#![allow(
    clippy::disallowed_methods,
    reason = "its callers know what a file is for, and add path and operation"
)]

mod below;
mod blob;
mod bundle;
mod closing;
mod elsewhere;
mod error;
mod form;
mod images;
pub mod inventory;
mod mark;
mod pack;
mod sealed;
mod tmp;
mod turn;

pub use below::{is_of_space, unnamed};
pub use blob::{Blob, BlobReader};
#[cfg(feature = "testing")]
pub(crate) use bundle::read_anything;
pub use bundle::{BundleWriter, PackedBlob, ReadyBundle};
pub use closing::Closed;
pub use elsewhere::{Elsewhere, ImportError};
pub use error::StoreError;
pub use pack::Pack;
pub(crate) use sealed::KeptFile;
pub use tmp::Scratch;
pub use turn::Turn;

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};

use below::Below;
use blob::BlobLocation;
use pack::Damages;
use tmp::Tmp;

use crate::{
    closed::{self, Open},
    digest::Digest,
    error::At as _,
    formats::checksum::Checksum,
    seal::Seal,
    sys::path::open_regular,
    tree::Tree,
};

/// The kind of bundles that hold unpacked .debs, each under the digest of its .deb.
pub const UNPACKED_DEB: &str = "deb";

/// The kind of bundles that hold what maintainer scripts changed.
pub const LAYER: &str = "layer";

/// The store: a directory on disk, and the index of the contents of the trees loaded so far.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    seal: Seal,
    index: RwLock<HashMap<Digest, BlobLocation>>,
    damages: Arc<Damages>,
    /// Entries that had a seal which is not ours.
    foreign: Mutex<BTreeSet<String>>,
    exposed: Option<(PathBuf, Open)>,
    closed: Option<Closed>,
    turns: turn::Turns,
    /// A cache that is only read, below the store's own place.
    below: Option<Below>,
    /// None: new entries are in memory.
    tmp: Option<Tmp>,
    /// The other place of new entries, for commands without the cache.
    spare: below::Spare,
    /// Where bundles may be had that are not here.
    elsewhere: OnceLock<Arc<dyn Elsewhere>>,
    /// Kind and key of those that were read or made since.
    bundles_in_use: Mutex<BTreeSet<(String, String)>>,
}

/// The directories of a cache.
const DIRECTORIES: [&str; 8] = ["debs", "bundles", "images", "npm", "packs", "indexes", "notes", "tmp"];

/// Makes a directory of the cache, or closes it if it is ours and no other user could write to it.
fn own(path: &Path) -> Result<(), StoreError> {
    if fs::symlink_metadata(path).is_err() {
        closed::make(path).at("create", path)?;
    }
    match closed::check(path).at("look at", path)? {
        Some(open) => Err(StoreError::Open { path: path.to_path_buf(), open }),
        None => Ok(closed::close(path).at("close", path)?),
    }
}

impl Store {
    /// Opens the store in a directory, which is made if needed, with the seal of this process: of the entries
    /// that other processes left there, downloads alone are used.
    ///
    /// # Errors
    /// As [`Store::open_sealed`].
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Store::open_sealed(root, Seal::of_process().at("make a seal for", root)?)
    }

    /// Opens the store in a directory, which is made if needed. Entries of other processes with the same seal
    /// are used.
    ///
    /// # Errors
    /// A directory that cannot be made or written to; [`StoreError::Open`] for one that another user could
    /// change; [`StoreError::NotCache`] for one of other things, which stays as it is.
    pub fn open_sealed(root: &Path, seal: Seal) -> Result<Self, StoreError> {
        if let Some(open) = closed::foreign_link(root) {
            return Err(StoreError::Open { path: root.to_path_buf(), open });
        }
        mark::check(root)?;
        closed::make(root).at("create", root)?;
        let root = fs::canonicalize(root).at("open", root)?;
        let closed = closing::close(&root)?;
        own(&root)?;
        DIRECTORIES.iter().try_for_each(|name| own(&root.join(name)))?;
        let exposed = closed::exposed(&root);
        let tmp = root.join("tmp");
        let tmp = Tmp::new(&tmp).at("create a directory in", &tmp)?;
        mark::make(&root, tmp.directory.path());
        let (index, damages, foreign) = (RwLock::default(), Arc::default(), Mutex::default());
        let (turns, below) = (turn::Turns::default(), None);
        Ok(Store {
            root,
            seal,
            index,
            damages,
            foreign,
            exposed,
            closed,
            turns,
            below,
            tmp: Some(tmp),
            spare: Default::default(),
            elsewhere: OnceLock::new(),
            bundles_in_use: Mutex::default(),
        })
    }

    /// Returns the directory above the store, if there is one, of which another user could take the store
    /// away and lay another one in its place.
    pub fn exposed(&self) -> Option<&(PathBuf, Open)> {
        self.exposed.as_ref()
    }

    /// Returns how others could write to the store until it was closed, if they could.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Returns the changed entries that were found since the last call. They were removed, so that they are
    /// made again.
    pub fn take_damaged(&self) -> Vec<PathBuf> {
        self.damages.take()
    }

    /// Sets the callback for changed files: it is called once for each, as soon as it is found.
    pub fn tell_damage(&self, on_damage: impl Fn(&Path) + Send + Sync + 'static) {
        self.damages.tell(Box::new(on_damage));
    }

    /// Notes that a file was found changed, and removed.
    pub(crate) fn note_damaged(&self, path: &Path) {
        self.set_aside(path);
        self.damages.add(path);
    }

    /// Returns true if contents could not be read since they were changed, so that results without them must
    /// not be used.
    pub fn has_refused(&self) -> bool {
        self.damages.has_refused()
    }

    /// Checks all known contents in packs, so that all changes are found at once and not piece by piece.
    pub fn check_known(&self) {
        let mut packs: Vec<Pack> = Vec::new();
        for place in self.index.read().unwrap_or_else(PoisonError::into_inner).values() {
            if let BlobLocation::Pack { pack, .. } = place
                && !packs.iter().any(|known| known.is_same(pack))
            {
                packs.push(pack.clone());
            }
        }
        for pack in packs.iter().filter(|pack| !pack.is_damaged()) {
            // Its finds are noted.
            let _ = pack.check();
        }
    }

    /// As [`Store::has_refused`], and forgets it.
    pub fn take_refused(&self) -> bool {
        self.damages.take_refused()
    }

    /// Returns how many entries were passed over since they have another seal.
    pub fn foreign(&self) -> usize {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns the directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory for unfinished writes; on the same file system as all else here.
    pub fn tmp(&self) -> PathBuf {
        self.tmp.as_ref().map_or_else(|| self.root.join("tmp"), |tmp| tmp.directory.path().to_path_buf())
    }

    /// Makes a fresh directory below [`Store::tmp`], removed when the value is dropped.
    ///
    /// # Errors
    /// A full or read-only disk; [`StoreError::NoPlace`].
    pub fn scratch(&self, prefix: &str) -> Result<Scratch, StoreError> {
        let tmp = self.writable()?;
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(&tmp);
        Ok(made.at("create a directory in", &tmp).map(|made| Scratch(made.keep()))?)
    }

    /// Returns the place of a downloaded .deb, which may not be there yet.
    pub fn deb_path(&self, checksum: &Checksum) -> PathBuf {
        self.existing(self.root.join("debs").join(format!("{}.deb", checksum.hex())))
    }

    /// Returns the place of a downloaded tarball of an npm package, which may not be there yet.
    pub fn tarball_path(&self, checksum: &Checksum) -> PathBuf {
        self.existing(self.root.join("npm").join(format!("{}-{}.tgz", checksum.algorithm(), checksum.hex())))
    }

    /// Remembers contents for the life of this value and returns their digest.
    pub fn put(&self, bytes: impl Into<Vec<u8>>) -> Digest {
        let bytes: Arc<[u8]> = bytes.into().into();
        let digest = Digest::of(&bytes);
        self.index
            .write()
            .expect("no panic holds the lock")
            .entry(digest)
            .or_insert(BlobLocation::Memory(bytes));
        digest
    }

    /// Makes parts of a pack known as contents. A pack that was found damaged gives way.
    fn index_blobs(&self, pack: &Pack, blobs: &[PackedBlob]) {
        let mut index = self.index.write().expect("no panic holds the lock");
        for blob in blobs {
            let place =
                BlobLocation::Pack { pack: pack.clone(), offset: blob.offset, size_bytes: blob.size_bytes };
            let known = index.entry(blob.digest).or_insert_with(|| place.clone());
            if matches!(known, BlobLocation::Pack { pack, .. } if pack.is_damaged()) {
                *known = place;
            }
        }
    }

    fn damages(&self) -> Arc<Damages> {
        self.damages.clone()
    }

    /// Returns contents by digest.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where no loaded bundle or [`Store::put`] brought them.
    pub fn blob(&self, digest: &Digest) -> Result<Blob, StoreError> {
        let index = self.index.read().expect("no panic holds the lock");
        index.get(digest).cloned().map(Blob).ok_or(StoreError::Missing(*digest))
    }

    /// Returns true if contents are known, so that [`Store::blob`] would give them.
    pub fn knows(&self, digest: &Digest) -> bool {
        self.index.read().expect("no panic holds the lock").contains_key(digest)
    }

    /// Returns contents by digest, whole.
    ///
    /// # Errors
    /// As [`Store::blob`], and failing reads.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        Ok(self.blob(digest)?.read().at("read contents in", &self.root)?)
    }

    /// Starts a bundle: contents and the tree that names them.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn begin_bundle(&self, kind: &str, key: &str) -> Result<BundleWriter<'_>, StoreError> {
        BundleWriter::new(self, kind, key)
    }

    /// Returns a bundle's tree and its pack, and makes its contents known; `None` if the bundle is not there,
    /// not whole or not ours.
    pub fn load_bundle(&self, kind: &str, key: &str) -> Option<(Tree, Pack)> {
        let bundle = self.bundle_path(kind, key);
        let mut sealed = self.read_sealed(&bundle)?;
        loop {
            let text = bundle::Text::parse(std::str::from_utf8(&sealed).ok()?)?;
            let path = self.existing(self.root.join("packs").join(text.name));
            let file = open_regular(&path).ok().filter(|file| has_length(file, text.size_bytes));
            if let Some(file) = file {
                let place = (path.clone(), self.existing(bundle.clone()));
                let pack = Pack::new(place, file, text.size_bytes, text.chunks()?, self.damages())?;
                // Not removed before it was locked.
                if pack.is_there() {
                    let (tree, blobs) = (text.tree()?, text.blobs()?);
                    self.index_blobs(&pack, &blobs);
                    self.in_use(kind, key);
                    return Some((tree, pack));
                }
            }
            // Another process may have written the bundle anew meanwhile.
            let now = self.read_sealed(&bundle)?;
            if now == sealed {
                let lost = self.existing(bundle);
                self.discard(&lost);
                match open_regular(&path) {
                    _ if self.set_aside(&path) => {}
                    Ok(file) => pack::remove_if_unused(&path, &file),
                    Err(_) => drop(fs::remove_file(&path)),
                }
                self.note_damaged(&path);
                return None;
            }
            sealed = now;
        }
    }

    /// Returns whether a bundle is there and ours, and its pack as long as it was. Its contents are not made
    /// known.
    pub fn has_bundle(&self, kind: &str, key: &str) -> bool {
        let sealed = self.read_sealed(&self.bundle_path(kind, key)).unwrap_or_default();
        let text = std::str::from_utf8(&sealed).ok().and_then(bundle::Text::parse);
        text.is_some_and(|text| {
            let pack = fs::metadata(self.existing(self.root.join("packs").join(text.name)));
            pack.is_ok_and(|found| found.len() == text.size_bytes)
        })
    }

    fn bundle_path(&self, kind: &str, key: &str) -> PathBuf {
        self.root.join("bundles").join(kind).join(key)
    }
}

fn has_length(file: &File, size_bytes: u64) -> bool {
    file.metadata().is_ok_and(|found| found.len() == size_bytes)
}

#[cfg(test)]
mod tests;
