//! Closing a cache that others could write to: some CI services restore caches with every bit of the mode set
//! (0777).
//!
//! Modes prove nothing of contents, which have digests and seals. They guard the time between a check and a
//! use: a kernel reads mapped files and mounts by itself. So each directory is closed before it is read,
//! files that are not our own go, and so does each file that a process has open for writing, as a lease shows
//! (`F_SETLEASE(2const)`); no other user can open one again. Where the file system has no leases a fresh copy
//! takes the file's place.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use super::{
    DIRECTORIES, StoreError,
    mark::{self, UNDER_WAY},
};
use crate::{
    closed::{self, Open},
    deep,
    error::At as _,
    sys::{lock, path::open_regular},
};

/// A cache that was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The mode by which others could write to it, or to a directory in it.
    pub mode: u32,
    /// The number of files and directories that were removed, since another process could still write to
    /// them.
    pub removed: usize,
}

/// Closes a cache of our own ([`mark`]) to which others could write; `None` if there is no need, or nothing
/// in it. One that everybody may write to, or of another user, stays as it is.
pub(super) fn close(root: &Path) -> Result<Option<Closed>, StoreError> {
    let places = [root.to_path_buf()].into_iter().chain(DIRECTORIES.iter().map(|name| root.join(name)));
    let mut open = None;
    for place in places {
        match closed::check(&place) {
            Ok(Some(Open::Writable { mode })) if mode & closed::STICKY == 0 => {
                open = open.or(Some(mode));
            }
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Ok(None),
        }
    }
    let mark = root.join(UNDER_WAY);
    let is_under_way = fs::symlink_metadata(&mark).is_ok();
    let Some(mode) = open.or(is_under_way.then_some(0o700)) else {
        return Ok(None);
    };
    let is_empty = fs::read_dir(root).at("list", root)?.next().is_none();
    fs::set_permissions(root, Permissions::from_mode(0o700)).at("close", root)?;
    if !is_under_way {
        File::create_new(&mark).map(drop).at("create", &mark)?;
    }
    let mut removed = 0;
    close_below(root, root, &mut removed)?;
    fs::remove_file(&mark).at("remove", &mark)?;
    Ok((!is_empty).then_some(Closed { mode, removed }))
}

/// Closes the contents of a directory that is closed itself. Other files beside the directories of the cache
/// are never used.
fn close_below(root: &Path, directory: &Path, removed: &mut usize) -> Result<(), StoreError> {
    for entry in fs::read_dir(directory).at("list", directory)? {
        let entry = entry.at("list", directory)?;
        let path = entry.path();
        if directory == root && !mark::has(&entry.file_name()) {
            continue;
        }
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found.at("look at", &path)?,
        };
        let is_ours = found.uid() == closed::our_uid();
        if found.is_dir() && is_ours {
            fs::set_permissions(&path, Permissions::from_mode(0o700)).at("close", &path)?;
            // Unfinished work of others is swept; of our own it is closed from the beginning.
            if directory.file_name().is_none_or(|name| name != "tmp") {
                close_below(root, &path, removed)?;
            }
        } else if found.is_dir() {
            if deep::remove(&path).is_err() || path.exists() {
                let open = Open::Owner { uid: found.uid(), our_uid: closed::our_uid() };
                return Err(StoreError::Open { path, open });
            }
            *removed += 1;
        } else if !is_ours || !found.is_file() || !is_ours_alone(&path)? {
            fs::remove_file(&path).at("remove", &path)?;
            *removed += 1;
        }
    }
    Ok(())
}

/// Closes a file of ours; returns false if another process could still write to it.
fn is_ours_alone(path: &Path) -> Result<bool, StoreError> {
    let Ok(file) = open_regular(path) else { return Ok(false) };
    file.set_permissions(Permissions::from_mode(0o600)).at("close", path)?;
    match lock::has_writers(&file) {
        Ok(has_writers) => Ok(!has_writers),
        Err(_) => Ok(replace(path, &file).at("copy", path).map(|()| true)?),
    }
}

/// Puts a copy in the place of a file, with its time.
fn replace(path: &Path, mut file: &File) -> io::Result<()> {
    let mut copy = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    io::copy(&mut file, copy.as_file_mut())?;
    copy.as_file().set_modified(file.metadata()?.modified()?)?;
    copy.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{store::Store, testing::skip, tree::Tree};

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("sets");
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("is there").mode() & 0o7777
    }

    /// A cache with a note and two bundles, restored by a service that sets every bit.
    fn restored(place: &Path) -> (PathBuf, [PathBuf; 2]) {
        let root = place.join("cache");
        let store = Store::open(&root).expect("opens");
        store.note("build", "k", b"done").expect("notes");
        let packs = ["k", "l"].map(|key| {
            let mut bundle = store.begin_bundle("deb", key).expect("begins");
            bundle.add(&b"tea"[..]).expect("adds");
            bundle.finish(&Tree::new()).expect("finishes").path().to_path_buf()
        });
        drop(store);
        open_all(&root);
        (root, packs)
    }

    fn open_all(directory: &Path) {
        set(directory, 0o777);
        for entry in fs::read_dir(directory).expect("lists") {
            let path = entry.expect("lists").path();
            if path.is_dir() { open_all(&path) } else { set(&path, 0o666) }
        }
    }

    #[test]
    fn a_cache_that_came_back_open_is_closed_and_warm() {
        let place = tempfile::tempdir().expect("a directory");
        let (root, packs) = restored(place.path());
        let store = Store::open(&root).expect("closes it");
        assert_eq!(store.closed(), Some(&Closed { mode: 0o777, removed: 0 }));
        assert_eq!(store.noted("build", "k").as_deref(), Some(&b"done"[..]));
        assert!(store.load_bundle("deb", "k").is_some());
        for path in [&root, &root.join("packs"), &root.join("notes/build"), &root.join("bundles/deb")] {
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
        assert_eq!(mode(&packs[0]), 0o600);
        assert_eq!(Store::open(&root).expect("opens").closed(), None);
        // A kill on the way is made good.
        open_all(&root.join("packs"));
        set(&root.join("packs"), 0o700);
        fs::write(root.join(UNDER_WAY), "").expect("writes");
        assert!(Store::open(&root).expect("opens").closed().is_some());
        assert_eq!((mode(&packs[0]), root.join(UNDER_WAY).exists()), (0o600, false));
    }

    #[test]
    fn what_others_could_still_change_is_not_kept() {
        let place = tempfile::tempdir().expect("a directory");
        let (root, packs) = restored(place.path());
        let writer = File::options().write(true).open(&packs[0]).expect("opens");
        std::os::unix::fs::symlink("/dev/zero", root.join("notes/build/l")).expect("links");
        let mut removed = 2;
        let foreign = root.join("notes/build/m");
        fs::write(&foreign, "theirs").expect("writes");
        match std::os::unix::fs::chown(&foreign, Some(12345), None) {
            Ok(()) => removed += 1,
            Err(_) => skip("root, to give a file to another user"),
        }
        let store = Store::open(&root).expect("closes it");
        assert_eq!(store.closed(), Some(&Closed { mode: 0o777, removed }));
        drop(writer);
        assert!(!packs[0].exists() && packs[1].exists());
        assert!(store.load_bundle("deb", "k").is_none() && store.load_bundle("deb", "l").is_some());
    }

    #[test]
    fn a_copy_has_the_bytes_and_the_time_of_a_file_and_no_writer() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("pack");
        fs::write(&path, "tea").expect("writes");
        let mut writer = File::options().append(true).open(&path).expect("opens");
        let time = fs::metadata(&path).expect("is there").modified().expect("is known");
        replace(&path, &open_regular(&path).expect("opens")).expect("copies");
        io::Write::write_all(&mut writer, b" and milk").expect("writes");
        assert_eq!(fs::read(&path).expect("reads"), b"tea");
        assert_eq!(fs::metadata(&path).expect("is there").modified().expect("is known"), time);
    }

    #[test]
    fn a_directory_that_is_not_plainly_a_cache_is_left_alone() {
        let place = tempfile::tempdir().expect("a directory");
        let shared = place.path().join("shared");
        fs::create_dir_all(shared.join("tmp/mine")).expect("makes");
        for modes in [0o777, 0o770, 0o1777] {
            set(&shared, modes);
            assert!(Store::open(&shared).is_err());
            assert_eq!(mode(&shared), modes);
        }
        let (root, _) = restored(place.path());
        set(&root, 0o1777);
        assert!(Store::open(&root).is_err());
        assert_eq!(mode(&root), 0o1777);
        let empty = place.path().join("empty");
        fs::create_dir(&empty).expect("makes");
        set(&empty, 0o1777);
        assert!(Store::open(&empty).is_err());
        assert_eq!(mode(&empty), 0o1777);
    }

    #[test]
    fn a_part_of_a_cache_that_came_back_open_is_closed_and_an_empty_one_silently() {
        let place = tempfile::tempdir().expect("a directory");
        let deb = format!("{}.deb", crate::digest::Digest::of(b"tea"));
        for (number, modes) in [[0o777, 0o777], [0o775, 0o775], [0o755, 0o777]].into_iter().enumerate() {
            let root = place.path().join(format!("cache{number}"));
            let debs = root.join("debs");
            fs::create_dir_all(&debs).expect("makes");
            fs::write(debs.join(&deb), "tea").expect("writes");
            set(&debs, modes[1]);
            set(&root, modes[0]);
            let store = Store::open(&root).expect("closes it");
            assert_eq!(store.closed(), Some(&Closed { mode: modes[1], removed: 0 }));
            assert_eq!((mode(&root), mode(&debs), mode(&debs.join(&deb))), (0o700, 0o700, 0o600));
        }
        let empty = place.path().join("empty");
        fs::create_dir(&empty).expect("makes");
        set(&empty, 0o777);
        assert_eq!(Store::open(&empty).expect("closes it").closed(), None);
        assert_eq!(mode(&empty), 0o700);
    }
}
