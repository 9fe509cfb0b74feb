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
mod form;
mod images;
pub mod inventory;
mod mark;
mod pack;
mod turn;

pub use below::{is_of_space, unnamed};
pub use blob::{Blob, BlobReader};
#[cfg(feature = "testing")]
pub(crate) use bundle::read_anything;
pub use bundle::{BundleWriter, PackedBlob, ReadyBundle};
pub use closing::Closed;
pub use elsewhere::{Elsewhere, ImportError};
pub use pack::Pack;
pub use turn::Turn;

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};

use below::Below;
use blob::BlobLocation;
use pack::Damages;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};

use crate::{
    closed::{self, Open},
    deep,
    digest::Digest,
    error::{At as _, Hint, PathError},
    formats::checksum::Checksum,
    seal::Seal,
    shutdown::CleanupGuard,
    sys::path::open_regular,
    tree::Tree,
};

/// A fault of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the cache cannot be used.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A directory of the cache that others could write to.
    #[error("cannot use the cache {}: {open}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why others could.
        open: Open,
    },
    /// A directory of other things.
    #[error("cannot use {} as a cache: it holds other things, such as `{other}`", path.display())]
    NotCache {
        /// Which.
        path: PathBuf,
        /// The name of one of them.
        other: String,
    },
    /// A store in memory, which cannot give a directory.
    #[error("there is no directory to write to")]
    NoPlace,
    /// Contents that no loaded tree brought along.
    #[error("contents sha256:{0} are not in the store")]
    Missing(Digest),
}

impl Hint for StoreError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            StoreError::Open { path, open } => Some(open.remedy(path).into()),
            StoreError::NotCache { path, .. } => Some(
                format!("name a directory of its own, such as --cache {}", path.join("tinyroot").display())
                    .into(),
            ),
            StoreError::NoPlace => Some("name one with --cache DIR".into()),
            StoreError::Io(error) => error.hint(),
            StoreError::Missing(_) => None,
        }
    }
}

/// The kind of bundles that hold unpacked .debs, each under the digest of its .deb.
pub const UNPACKED_DEB: &str = "deb";

/// The kind of bundles that hold what maintainer scripts changed.
pub const LAYER: &str = "layer";

/// The prefix of a sealed file; its seal follows.
const SEALED: &[u8] = b"sealed 1 ";

/// A file of the cache.
pub(crate) struct KeptFile {
    /// Its contents, without its seal.
    pub bytes: Vec<u8>,
    /// Whether we wrote it, and just so.
    pub is_ours: bool,
}

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

/// A directory below [`Store::tmp`], removed when dropped, whatever was put into it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Files of our other ids stay until the next process sweeps.
        let _ = deep::remove(&self.0);
    }
}

/// The directory of this process below `tmp/`, removed when dropped.
#[derive(Debug)]
struct Tmp {
    directory: tempfile::TempDir,
    /// Held for as long as the directory is in use.
    _lock: File,
    _cleanup: CleanupGuard,
}

impl Tmp {
    /// Makes a directory of our own, after removing those that killed processes left.
    fn new(parent: &Path) -> io::Result<Self> {
        // Serialises making with sweeping: a new directory is not locked for a moment and would look stale.
        let turn = File::open(parent)?;
        flock(&turn, FlockOperation::LockExclusive)?;
        sweep(parent)?;
        let directory = tempfile::Builder::new().prefix(RUN).tempdir_in(parent)?;
        let lock = File::open(directory.path())?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let unfinished = CleanupGuard::new(directory.path());
        Ok(Tmp { directory, _lock: lock, _cleanup: unfinished })
    }
}

/// Removes the directories of processes that hold no lock any more. What cannot be removed stays and does no
/// harm. So does all that has another name: it is not ours.
fn sweep(tmp: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for entry in fs::read_dir(tmp)? {
        let entry = entry?;
        if !form::is_run(&entry.file_name()) || !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        let Ok(directory) = rustix::fs::open(&path, flags, Mode::empty()) else { continue };
        if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = deep::remove_tree(&path);
        }
    }
    Ok(())
}

/// The prefix of the name of a process's directory in `tmp/`.
const RUN: &str = "run-";

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

    /// Notes the outcome of work under a digest of all that it depends on.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn note(&self, kind: &str, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_sealed(&self.root.join("notes").join(kind).join(key), bytes)
    }

    /// Returns a note; `None` if it does not exist, or is not ours.
    pub fn noted(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        self.read_sealed(&self.root.join("notes").join(kind).join(key))
    }

    /// Returns the seal of bytes that a file of the cache holds or begins with.
    pub(crate) fn seal(&self, path: &Path, bytes: &[u8]) -> Digest {
        self.seal.of(&self.name_of(path), bytes)
    }

    /// Returns whether a file of the cache has this seal; one that has not is noted.
    pub(crate) fn is_sealed(&self, path: &Path, bytes: &[u8], seal: &Digest) -> bool {
        let name = self.name_of(path);
        let holds = self.seal.holds(&name, bytes, seal);
        if !holds {
            self.foreign.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        }
        holds
    }

    /// Returns the name of a file of the cache by which it is sealed, so that none can stand in for another.
    fn name_of(&self, path: &Path) -> String {
        self.relative(path).to_string_lossy().into_owned()
    }

    /// Writes a file of the cache with its seal, in one step.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub(crate) fn write_sealed(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let seal = format!("{}\n", self.seal(path, bytes));
        self.write_file(path, &[SEALED, seal.as_bytes(), bytes].concat())
    }

    /// Returns a sealed text; `None` if it does not exist, or was not written by us in this form.
    pub(crate) fn read_sealed(&self, path: &Path) -> Option<Vec<u8>> {
        self.read_kept(path).ok().filter(|kept| kept.is_ours).map(|kept| kept.bytes)
    }

    /// Reads a file that may be sealed.
    ///
    /// # Errors
    /// The kernel's error.
    pub(crate) fn read_kept(&self, path: &Path) -> io::Result<KeptFile> {
        let mut bytes = Vec::new();
        let mut file = open_regular(&self.existing(path.to_path_buf()))?;
        file.read_to_end(&mut bytes)?;
        let seal = bytes.strip_prefix(SEALED).and_then(|rest| rest.split_first_chunk::<65>());
        let Some((seal, rest)) = seal else { return Ok(KeptFile { bytes, is_ours: false }) };
        let seal = std::str::from_utf8(seal).ok().and_then(|line| line.strip_suffix('\n')?.parse().ok());
        let is_ours = seal.is_some_and(|seal| self.is_sealed(path, rest, &seal));
        if is_ours && let Ok(found) = file.metadata() {
            self.used(path, &found);
        }
        bytes.drain(..SEALED.len() + 65);
        Ok(KeptFile { bytes, is_ours })
    }

    /// Writes a file of the cache in one step.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let parent = path.parent().unwrap_or(&self.root);
        let tmp = self.writable()?;
        self.make_directories(parent)?;
        let mut file = tempfile::NamedTempFile::new_in(&tmp).at("create a file in", &tmp)?;
        file.write_all(bytes).at("write", path)?;
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
            // Not of ours: only files lie there.
            fs::remove_dir_all(path).at("remove", path)?;
        }
        Ok(file.persist(path).map(drop).map_err(|e| e.error).at("write", path)?)
    }

    /// Makes the directories of the cache down to one. Anything else there, such as a link out of the cache
    /// that came with a copied cache, is removed.
    fn make_directories(&self, directory: &Path) -> Result<(), StoreError> {
        let below = directory.strip_prefix(&self.root).unwrap_or(directory);
        let mut path = self.root.clone();
        for part in below.components() {
            path.push(part);
            if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_dir()) {
                fs::remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(closed::make(directory).at("create", directory)?)
    }
}

fn has_length(file: &File, size_bytes: u64) -> bool {
    file.metadata().is_ok_and(|found| found.len() == size_bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;
    use crate::{
        testing::skip,
        tree::{Entry, TreePath},
    };

    #[test]
    fn a_directory_in_the_place_of_a_file_gives_way() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let path = directory.path().join("notes/kind/key");
        fs::create_dir_all(path.join("more")).expect("makes");
        assert_eq!(store.noted("kind", "key"), None);
        store.note("kind", "key", b"tea").expect("writes");
        assert_eq!(store.noted("kind", "key").as_deref(), Some(&b"tea"[..]));
        drop(store);
        fs::remove_dir_all(directory.path().join("notes")).expect("removes");
        fs::write(directory.path().join("notes"), "").expect("writes");
        let refused = Store::open(directory.path()).expect_err("is refused");
        assert!(matches!(refused, StoreError::Open { open: Open::Other, .. }), "{refused}");
    }

    #[test]
    fn a_bundle_comes_back_in_another_process() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let mut bundle = store.begin_bundle("layer", "k").expect("begins");
        let (digest, size) = bundle.add(&b"hello"[..]).expect("adds");
        let mut tree = Tree::new();
        tree.insert(TreePath::new(b"a").expect("good"), Entry::file(digest, size, 0o644, 1));
        bundle.finish(&tree).expect("finishes");

        let other = Store::open(directory.path()).expect("opens");
        assert!(matches!(other.read(&digest), Err(StoreError::Missing(_))));
        assert_eq!(other.load_bundle("layer", "k").expect("is there").0, tree);
        assert_eq!(other.read(&digest).expect("is known"), b"hello");
        assert!(other.load_bundle("layer", "other").is_none());
        assert_eq!(fs::read_dir(other.tmp()).expect("lists").count(), 0);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_live_one_has_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let live = Store::open(directory.path()).expect("opens");
        fs::write(live.tmp().join("half"), "written").expect("writes");
        let dead = directory.path().join("tmp/run-killed");
        fs::create_dir_all(dead.join("root")).expect("makes");
        fs::write(dead.join("root/half"), "written").expect("writes");
        let other = Store::open(directory.path()).expect("opens");
        assert!(!dead.exists());
        assert!(live.tmp().join("half").exists());
        let (one, two) = (live.tmp(), other.tmp());
        drop((live, other));
        assert!(!one.exists() && !two.exists());
    }

    #[test]
    fn a_pack_can_be_patched_and_copied_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let mut bundle = store.begin_bundle("deb", "k").expect("begins");
        bundle.write_all(b"head----").expect("writes");
        let big: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let (digest, _) = bundle.add(&big[..]).expect("adds");
        bundle.patch(4, b"1234").expect("patches");
        assert!(bundle.patch(300_005, b"1234").is_err());
        bundle.write_all(b"end").expect("writes on");
        assert!(!store.knows(&digest));
        let pack = bundle.finish(&Tree::new()).expect("finishes");
        assert!(store.knows(&digest));
        pack.check().expect("is what was written, patches included");
        let pack = fs::read(pack.path()).expect("reads");
        assert_eq!((&pack[..8], &pack[300_008..]), (&b"head1234"[..], &b"end"[..]));
        let target = tempfile::tempfile().expect("a file");
        store.blob(&digest).expect("known").copy_to(&target).expect("copies");
        let mut copy = vec![0; big.len()];
        target.read_exact_at(&mut copy, 0).expect("reads");
        assert_eq!((copy, target.metadata().expect("is there").len()), (big, 300_000));
    }

    /// Writes a bundle of one file of so many bytes and returns its digest and pack.
    fn bundle(store: &Store, key: &str, size: usize) -> (Digest, Pack) {
        let bytes: Vec<u8> = (0..size).map(|n| (n / 7) as u8).collect();
        let mut bundle = store.begin_bundle("deb", key).expect("begins");
        let (digest, size_bytes) = bundle.add(&bytes[..]).expect("adds");
        let file = Entry::file(digest, size_bytes, 0o644, 1);
        let tree = [(TreePath::new(b"a").expect("good"), file)].into_iter().collect();
        (digest, bundle.finish(&tree).expect("finishes"))
    }

    /// Changes one byte of a file in place.
    fn change(path: &Path, offset: u64) {
        let file = File::options().read(true).write(true).open(path).expect("opens");
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).expect("reads");
        file.write_all_at(&[byte[0] ^ 1], offset).expect("writes");
    }

    #[test]
    fn a_byte_that_was_changed_in_a_pack_is_never_read_and_its_bundle_is_made_anew() {
        const SIZE: usize = 300_000;
        for at in [0, 70_000, SIZE as u64 - 1] {
            let directory = tempfile::tempdir().expect("a directory");
            let writer = Store::open(directory.path()).expect("opens");
            let (digest, pack) = bundle(&writer, "k", SIZE);
            let path = pack.path().to_path_buf();
            change(&path, at);
            let store = Store::open(directory.path()).expect("opens");
            store.load_bundle("deb", "k").expect("the bundle is whole");
            let blob = store.blob(&digest).expect("is known");
            // Contents in other chunks can still be read.
            let mut byte = [0];
            assert_eq!(blob.read_at(&mut byte, 140_000).expect("is whole"), 1);
            for _ in 0..2 {
                let error = blob.read_at(&mut byte, at).expect_err("is refused");
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            }
            assert!(blob.read().is_err());
            assert!(blob.copy_to(&tempfile::tempfile().expect("a file")).is_err());
            assert_eq!(store.take_damaged(), std::slice::from_ref(&path));
            assert!(store.take_refused());
            assert!(store.load_bundle("deb", "k").is_none());
            // It comes again under the same digest, and the damaged one is forgotten.
            bundle(&store, "k", SIZE);
            assert_eq!(store.read(&digest).expect("is whole").len(), SIZE);
            assert!(!store.has_refused());
        }
    }

    #[test]
    fn a_pack_that_is_cut_off_is_refused_whenever_that_happens() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let (digest, pack) = bundle(&store, "k", 200_000);
        let blob = store.blob(&digest).expect("is known");
        blob.read().expect("is whole");
        let cut = |size| {
            let file = File::options().write(true).open(pack.path()).expect("opens");
            file.set_len(size).expect("cuts");
        };
        cut(100_000);
        assert_eq!(blob.read().expect_err("is cut off").kind(), io::ErrorKind::InvalidData);
        let (_, pack) = bundle(&store, "other", 200_000);
        File::options().write(true).open(pack.path()).expect("opens").set_len(5).expect("cuts");
        assert!(Store::open(directory.path()).expect("opens").load_bundle("deb", "other").is_none());
    }

    #[test]
    fn what_another_seal_wrote_is_not_believed() {
        let directory = tempfile::tempdir().expect("a directory");
        let seals = ["a", "b"].map(|text| Seal::of_text(&text.repeat(40)).expect("is long"));
        let [one, other] = seals.map(|seal| Store::open_sealed(directory.path(), seal).expect("opens"));
        let (_, pack) = bundle(&one, "k", 1000);
        one.note("build", "k", b"done").expect("notes");
        assert_eq!(one.noted("build", "k"), Some(b"done".to_vec()));
        assert!(other.load_bundle("deb", "k").is_none() && other.noted("build", "k").is_none());
        assert_eq!(other.foreign(), 2);
        // An entry in the place of another is ignored, too.
        let [bundles, notes] = ["bundles/deb", "notes/build"].map(|name| directory.path().join(name));
        fs::copy(bundles.join("k"), bundles.join("l")).expect("copies");
        fs::copy(notes.join("k"), notes.join("l")).expect("copies");
        assert!(one.load_bundle("deb", "l").is_none() && one.noted("build", "l").is_none());
        // The replaced pack is removed, unless it is in use.
        let path = pack.path().to_path_buf();
        bundle(&other, "k", 1000);
        assert!(path.exists(), "a process that reads it by its path still can");
        drop((one, pack));
        let third = Store::open_sealed(directory.path(), Seal::of_text(&"c".repeat(40)).expect("is long"));
        let packs = || fs::read_dir(directory.path().join("packs")).expect("lists").count();
        drop(other);
        let before = packs();
        bundle(&third.expect("opens"), "k", 1000);
        assert_eq!(packs(), before);
    }

    #[test]
    fn a_changed_bundle_or_note_is_none_whichever_byte_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        bundle(&store, "k", 10);
        store.note("build", "k", b"done").expect("notes");
        for (name, is_there) in [
            ("bundles/deb/k", (|store| store.load_bundle("deb", "k").is_some()) as fn(&Store) -> bool),
            ("notes/build/k", |store| store.noted("build", "k").is_some()),
        ] {
            let path = directory.path().join(name);
            let whole = fs::read(&path).expect("reads");
            for at in 0..whole.len() {
                let mut flipped = whole.clone();
                flipped[at] ^= 1;
                for damaged in [&flipped[..], &whole[..at]] {
                    fs::write(&path, damaged).expect("writes");
                    assert!(!is_there(&store), "{name}: byte {at}");
                }
            }
            fs::write(&path, &whole).expect("writes");
            assert!(is_there(&store));
        }
    }

    #[test]
    fn names_of_packs_and_links_do_not_lead_out_of_the_cache() {
        for name in ["../../etc/passwd", "..", ".x", "a/b", "/etc/passwd", "", "a\0", "a\nb"] {
            let text = format!("pack {name} 1\nchunks \ntree\n");
            assert!(bundle::Text::parse(&text).is_none(), "{name}");
        }
        let place = tempfile::tempdir().expect("a directory");
        let (cache, outside) = (place.path().join("cache"), place.path().join("outside"));
        fs::create_dir(&outside).expect("makes");
        fs::write(outside.join("kept"), "kept").expect("writes");
        let store = Store::open(&cache).expect("opens");
        // As a copied cache can have them: files in the place of directories are replaced.
        for directory in ["bundles/deb", "notes/build"] {
            symlink(&outside, cache.join(directory)).expect("links");
        }
        let (_, pack) = bundle(&store, "k", 10);
        store.note("build", "k", b"done").expect("notes");
        assert_eq!(fs::read_dir(&outside).expect("lists").count(), 1);
        // A link or a FIFO is not a pack; opening it must not block.
        let path = pack.path().to_path_buf();
        for lay in [(|path| symlink("/dev/zero", path).expect("links")) as fn(&Path), |path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
                .expect("makes")
        }] {
            bundle(&store, "k", 10);
            let (_, pack) = store.load_bundle("deb", "k").expect("is there");
            let path = pack.path().to_path_buf();
            fs::remove_file(&path).expect("removes");
            lay(&path);
            assert!(store.load_bundle("deb", "k").is_none());
        }
        drop(path);
        drop(store);
        fs::remove_dir(cache.join("tmp")).expect("is empty");
        symlink(&outside, cache.join("tmp")).expect("links");
        let error = Store::open(&cache).expect_err("would be swept").to_string();
        assert!(error.ends_with("cache/tmp: it is not a directory"), "{error}");
        assert!(outside.join("kept").exists());
    }

    #[test]
    fn a_cache_is_closed_to_others_or_refused() {
        let place = tempfile::tempdir().expect("a directory");
        let cache = place.path().join("new/cache");
        let mode = |path: &Path| fs::metadata(path).expect("is there").mode() & 0o7777;
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("sets");
        };
        drop(Store::open(&cache).expect("opens"));
        let all = [place.path().join("new"), cache.clone(), cache.join("packs"), cache.join("notes")];
        assert_eq!(all.each_ref().map(|path| mode(path)), [0o700; 4]);
        // As older versions made them.
        all.iter().for_each(|path| set(path, 0o755));
        drop(Store::open(&cache).expect("opens"));
        assert_eq!(all.each_ref().map(|path| mode(path)), [0o755, 0o700, 0o700, 0o700]);
        for (path, open) in [(&cache, 0o775), (&cache.join("packs"), 0o722)] {
            set(path, open);
            let store = Store::open(&cache).expect("is closed");
            assert_eq!((store.closed().map(|closed| closed.mode), mode(path)), (Some(open), 0o700));
        }
        for (path, mode) in [(&cache, 0o1777), (&cache.join("packs"), 0o1777)] {
            set(path, mode);
            let error = Store::open(&cache).expect_err("others can write");
            let name = path.display();
            let expected =
                format!("cannot use the cache {name}: other users can write to it (mode {mode:04o})");
            assert_eq!(error.to_string(), expected);
            let hint = error.hint().expect("can be mended");
            assert!(hint.contains("--cache "), "{hint}");
            set(path, 0o700);
        }
        let link = place.path().join("link");
        symlink(&cache, &link).expect("links");
        let store = Store::open(&link).expect("a link of ours is followed");
        assert_eq!(store.root(), fs::canonicalize(&cache).expect("is there"));
        assert_eq!(store.exposed(), None);
        set(place.path(), 0o777);
        assert!(Store::open(&cache).expect("opens").exposed().is_some());
        if std::os::unix::fs::chown(cache.join("packs"), Some(12345), None).is_err() {
            return skip("root, to give a directory to another user");
        }
        let error = Store::open(&cache).expect_err("is another's");
        assert!(
            error.to_string().ends_with("packs: it belongs to user 12345, and this is user 0"),
            "{error}"
        );
        assert!(error.hint().is_some_and(|hint| hint.contains("without sudo")));
    }

    #[test]
    fn an_unfinished_bundle_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let mut bundle = store.begin_bundle("layer", "k").expect("begins");
        bundle.add(&b"hello"[..]).expect("adds");
        drop(bundle);
        assert!(store.load_bundle("layer", "k").is_none());
        assert_eq!(fs::read_dir(store.tmp()).expect("lists").count(), 0);
    }
}
