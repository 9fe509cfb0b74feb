//! A cache that cannot be written, read below a place for new entries.
//!
//! An entry is looked for where this store writes, and then in the cache below, under the same name and by
//! the same seal. Nothing below is changed: damaged entries there are ignored for as long as the store is
//! open. New entries go to a directory of this process or, for commands that need nothing but to read, to
//! memory.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use super::{DIRECTORIES, Store, StoreError, mark, own, tmp::Tmp};
use crate::{
    closed::{self, Open},
    error::{At as _, PathError},
    seal::Seal,
};

/// The place of new entries when there was no space for them.
#[derive(Debug, Default)]
pub(super) struct Spare {
    /// Whether the command does without the cache.
    is_wanted: AtomicBool,
    /// 0: where the store writes; 1: a file without a name; 2: memory.
    place: AtomicU8,
}

/// A cache that is only read.
#[derive(Debug)]
pub(super) struct Below {
    root: PathBuf,
}

impl StoreError {
    /// Returns whether there was no space for new entries.
    pub fn is_of_space(&self) -> bool {
        matches!(self, StoreError::Io(PathError { source, .. }) if is_of_space(source))
    }

    /// Returns whether a directory could only not be written to, so that it may still be read.
    pub fn is_of_writing(&self) -> bool {
        use ErrorKind::{NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match self {
            StoreError::Io(PathError { source, .. }) => matches!(
                source.kind(),
                ReadOnlyFilesystem | PermissionDenied | StorageFull | QuotaExceeded | NotADirectory
            ),
            // Root could have made it for all.
            StoreError::Open { open, .. } => matches!(open, Open::Owner { uid: 0, .. }),
            _ => false,
        }
    }
}

/// Returns whether there was no space for new entries.
pub fn is_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Returns a directory as one that can be read and is root's or our own; `None` if it is not there or we may
/// not look at it.
fn readable(root: &Path) -> Result<Option<PathBuf>, StoreError> {
    if let Some(open) = closed::foreign_link(root) {
        return Err(StoreError::Open { path: root.to_path_buf(), open });
    }
    mark::check(root)?;
    let Ok(root) = fs::canonicalize(root) else { return Ok(None) };
    for path in DIRECTORIES.iter().map(|name| root.join(name)).chain([root.clone()]) {
        match closed::check(&path) {
            Ok(Some(Open::Owner { uid: 0, .. }) | None) => {}
            Ok(Some(open)) => return Err(StoreError::Open { path, open }),
            Err(_) => {}
        }
    }
    Ok(Some(root))
}

impl Store {
    /// Opens a store that writes to a fresh directory below that of temporary files, removed when the store
    /// is dropped, and reads what a cache has that cannot be written.
    ///
    /// # Errors
    /// No place for the directory; [`StoreError::Open`] for a cache of another user than root and us, or of
    /// ours that others could change.
    pub fn open_over(cache: &Path, seal: Seal) -> Result<Self, StoreError> {
        let mut store = Store::in_memory(seal).reading(cache)?;
        let parent = std::env::temp_dir().join(format!("tinyroot-{}", closed::our_uid()));
        own(&parent)?;
        let parent = fs::canonicalize(&parent).at("open", &parent)?;
        let tmp = Tmp::new(&parent).at("create a directory in", &parent)?;
        store.root = tmp.directory.path().to_path_buf();
        DIRECTORIES.iter().try_for_each(|name| own(&store.root.join(name)))?;
        store.tmp = Some(tmp);
        Ok(store)
    }

    /// Returns a store that keeps new entries in memory, or in files without a name where there is room for
    /// them.
    pub fn in_memory(seal: Seal) -> Self {
        Store {
            // Nothing is ever looked for or written there.
            root: PathBuf::from("/proc/self/none"),
            seal,
            index: Default::default(),
            damages: Arc::default(),
            foreign: Mutex::default(),
            exposed: None,
            closed: None,
            turns: super::turn::Turns::default(),
            below: None,
            tmp: None,
            spare: Spare::default(),
            elsewhere: Default::default(),
            bundles_in_use: Mutex::default(),
        }
    }

    /// Has the store also read the entries of a cache, if it exists.
    ///
    /// # Errors
    /// [`StoreError::Open`] for a cache of another user than root and us, or of ours that others could
    /// change.
    pub fn reading(mut self, cache: &Path) -> Result<Self, StoreError> {
        if let Some(root) = readable(cache)? {
            self.exposed = closed::exposed(&root);
            self.damages.keep(&root);
            self.below = Some(Below { root });
        }
        Ok(self)
    }

    /// Returns the directory of the cache, be it written or only read.
    pub fn cache_root(&self) -> &Path {
        self.below.as_ref().map_or(&self.root, |below| &below.root)
    }

    /// Returns whether the cache can be written.
    pub fn is_written(&self) -> bool {
        self.below.is_none()
    }

    /// Returns the store for a command that does without a cache: it reports nothing about a cache that it
    /// cannot use.
    pub fn spared(self) -> Self {
        self.spare.is_wanted.store(true, Ordering::Relaxed);
        self
    }

    /// Returns whether the command does without a cache.
    pub fn is_spared(&self) -> bool {
        self.spare.is_wanted.load(Ordering::Relaxed)
    }

    /// Moves new entries elsewhere, after there was no space for them. Returns false if there is no other
    /// place, or the command is one that writes to the cache.
    pub(crate) fn moves_on(&self) -> bool {
        let next = |place| (place < 2).then_some(place + 1);
        self.is_spared() && self.spare.place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Returns a file without a name for a new entry.
    pub(super) fn unnamed(&self) -> io::Result<fs::File> {
        match self.spare.place.load(Ordering::Relaxed) {
            0 | 1 => unnamed(),
            _ => in_memory(),
        }
    }

    /// Returns the directory for unfinished writes.
    ///
    /// # Errors
    /// [`StoreError::NoPlace`] for a store in memory.
    pub(super) fn writable(&self) -> Result<PathBuf, StoreError> {
        let is_here = self.spare.place.load(Ordering::Relaxed) == 0;
        self.tmp.as_ref().filter(|_| is_here).map(|_| self.tmp()).ok_or(StoreError::NoPlace)
    }

    /// Returns where an entry can be read: at its path, or in the cache below, if it is there only.
    pub(crate) fn existing(&self, path: PathBuf) -> PathBuf {
        let Some(below) = &self.below else { return path };
        let other = below.root.join(self.relative(&path));
        match self.damages.is_aside(&other)
            || path.symlink_metadata().is_ok()
            || other.symlink_metadata().is_err()
        {
            true => path,
            false => other,
        }
    }

    /// Returns the name of an entry below the directory that it is in.
    pub(super) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        let below = self.below.iter().map(|below| &below.root);
        std::iter::once(&self.root).chain(below).find_map(|root| path.strip_prefix(root).ok()).unwrap_or(path)
    }

    /// Takes an entry for gone from now on, if it is in the cache below. Returns whether it is.
    pub(super) fn set_aside(&self, path: &Path) -> bool {
        self.damages.set_aside(path)
    }

    /// Removes an entry that is damaged, or sets it aside. Returns whether it is gone.
    pub(crate) fn discard(&self, path: &Path) -> bool {
        self.set_aside(path) || fs::remove_file(path).is_ok()
    }
}

/// Returns a file without a name: where temporary files lie, else in memory.
///
/// # Errors
/// A kernel without either.
pub fn unnamed() -> io::Result<fs::File> {
    tempfile::tempfile().or_else(|_| in_memory())
}

fn in_memory() -> io::Result<fs::File> {
    Ok(rustix::fs::memfd_create("tinyroot", rustix::fs::MemfdFlags::CLOEXEC)?.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::{
        digest::Digest,
        store::pack::Pack,
        tree::{Entry, Tree, TreePath},
    };

    fn seal() -> Seal {
        Seal::of_text(&"a".repeat(40)).expect("is long")
    }

    fn bundle(store: &Store, key: &str) -> (Digest, Pack) {
        let mut bundle = store.begin_bundle("deb", key).expect("begins");
        let (digest, size_bytes) = bundle.add(key.repeat(50_000).as_bytes()).expect("adds");
        let file = Entry::file(digest, size_bytes, 0o644, 1);
        let tree: Tree = [(TreePath::new(b"a").expect("good"), file)].into_iter().collect();
        (digest, bundle.finish(&tree).expect("finishes"))
    }

    /// Lists all that is in a directory, with the contents of each file.
    fn all(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut out = Vec::new();
        for entry in fs::read_dir(directory).expect("lists") {
            let path = entry.expect("lists").path();
            match path.is_dir() {
                true => out.extend(all(&path)),
                false => out.push((path.clone(), fs::read(path).expect("reads"))),
            }
        }
        out.sort();
        out
    }

    #[test]
    fn what_a_cache_below_has_is_read_and_nothing_there_is_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let writer = Store::open_sealed(directory.path(), seal()).expect("opens");
        let (digest, pack) = bundle(&writer, "k");
        let (damaged, other) = bundle(&writer, "d");
        writer.note("build", "k", b"done").expect("notes");
        let file = fs::File::options().write(true).open(other.path()).expect("opens");
        file.write_all_at(b"X", 40_000).expect("writes");
        let path = pack.path().to_path_buf();
        drop((writer, pack, other));
        let before = all(directory.path());

        let stores = [
            Store::open_over(directory.path(), seal()).expect("opens"),
            Store::in_memory(seal()).reading(directory.path()).expect("opens"),
        ];
        for (store, has_place) in stores.iter().zip([true, false]) {
            assert_eq!(store.noted("build", "k").as_deref(), Some(&b"done"[..]));
            let (_, pack) = store.load_bundle("deb", "k").expect("is there");
            assert_eq!(pack.path(), path);
            assert_eq!(store.read(&digest).expect("reads").len(), 50_000);
            // A damaged entry is skipped from then on, and made again where this store writes.
            store.load_bundle("deb", "d").expect("is there");
            assert!(store.read(&damaged).is_err());
            assert_eq!(store.take_damaged().len(), 1);
            assert!(store.load_bundle("deb", "d").is_none());
            bundle(store, "d");
            assert_eq!(store.read(&damaged).expect("is whole").len(), 50_000);
            assert_eq!(store.load_bundle("deb", "d").is_some(), has_place);
            assert_eq!(store.note("build", "new", b"done").is_ok(), has_place);
            assert_eq!(store.noted("build", "new").is_some(), has_place);
            assert_eq!(store.scratch("x-").is_ok(), has_place);
        }
        let place = stores[0].root().to_path_buf();
        drop(stores);
        assert!(!place.exists());
        assert_eq!(all(directory.path()), before);
    }

    #[test]
    fn a_cache_below_that_others_can_write_to_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        drop(Store::open_sealed(directory.path(), seal()).expect("opens"));
        let packs = directory.path().join("packs");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(&packs, mode).expect("opens it");
        let refused = Store::open_over(directory.path(), seal()).expect_err("others can write");
        assert!(matches!(refused, StoreError::Open { path, .. } if path == packs));
        // An empty cache counts as none.
        let nowhere = directory.path().join("none");
        assert!(Store::in_memory(seal()).reading(&nowhere).is_ok_and(|store| store.below.is_none()));
    }
}
