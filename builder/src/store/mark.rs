//! The marks of a cache, so that no other directory is closed, swept or filled.
//!
//! A cache has a `CACHEDIR.TAG` of ours (Cache Directory Tagging Specification), which backup tools know as
//! well. One of before, or one of which a CI service restored a part, is recognised by its contents: nothing
//! but a cache's files, under tinyroot's names.

use std::{
    ffi::OsStr,
    fs,
    io::{ErrorKind, Read as _, Write as _},
    path::Path,
};

use super::{DIRECTORIES, StoreError, form};
use crate::{
    closed,
    error::{At as _, PathError},
    sys::path::open_regular,
};

/// The name of the mark.
const NAME: &str = "CACHEDIR.TAG";

/// Its contents. The first line is the specification's, the second shows that it is ours: other programs tag
/// directories as well.
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55
# This is the cache of tinyroot. It may be lost at any time; backups can leave it out.
# For information about cache directory tags see https://bford.info/cachedir/
";

/// There while a cache is closed, from its first directory to its last, so that work that a kill interrupts
/// is repeated.
pub(super) const UNDER_WAY: &str = "closing";

/// The files of a cache.
const FILES: [&str; 3] = [NAME, super::turn::NAME, UNDER_WAY];

/// The directories of which one at least is there in a cache without a mark. Others have the rest as well.
const TELLING: [&str; 5] = ["debs", "images", "npm", "bundles", "indexes"];

/// How deep files lie in a cache.
const DEPTH: usize = 4;

/// Refuses an existing directory that is not a cache: one that is not empty and has neither the mark nor the
/// files of a cache.
///
/// # Errors
/// [`StoreError::NotCache`], and what the kernel says.
pub(super) fn check(root: &Path) -> Result<(), StoreError> {
    if is_marked(root) {
        return Ok(());
    }
    let names = match fs::read_dir(root) {
        Ok(names) => names,
        // It does not exist yet; a file in its place is reported when it is opened.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        // Whose it is says more.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && is_of_others(root) => return Ok(()),
        Err(error) => return Err(PathError::new("list", root, error).into()),
    };
    let (mut last, mut is_telling) = (None, false);
    for entry in names {
        let entry = entry.at("list", root)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_expected = match is_directory {
            true => DIRECTORIES.contains(&&*name) && holds_ours(root, &path, DEPTH) != Some(false),
            false => FILES.contains(&&*name),
        };
        if !is_expected {
            return Err(StoreError::NotCache { path: root.to_path_buf(), other: name.into_owned() });
        }
        is_telling |= TELLING.contains(&&*name);
        last = Some(name.into_owned());
    }
    match last.filter(|_| !is_telling) {
        Some(other) => Err(StoreError::NotCache { path: root.to_path_buf(), other }),
        None => Ok(()),
    }
}

fn is_of_others(root: &Path) -> bool {
    matches!(closed::check(root), Ok(Some(closed::Open::Owner { .. })))
}

/// Returns whether a name is that of something that lies in a cache itself.
pub(super) fn has(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| DIRECTORIES.contains(&name) || FILES.contains(&name))
}

/// Returns whether a directory has the mark.
fn is_marked(root: &Path) -> bool {
    let mut found = String::new();
    let read = open_regular(&root.join(NAME)).and_then(|file| file.take(4096).read_to_string(&mut found));
    let ours = TAG.lines().take(2);
    read.is_ok() && found.lines().take(2).eq(ours)
}

/// Returns whether one of the files of a directory has a form of ours; `None` if there are no files to decide
/// by.
fn holds_ours(root: &Path, directory: &Path, depth: usize) -> Option<bool> {
    let mut out = None;
    for path in fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()) {
        let name = path.strip_prefix(root).unwrap_or(&path);
        let is_directory = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        let found = match is_directory {
            true if directory == root.join("tmp") => Some(path.file_name().is_some_and(form::is_run)),
            true if depth == 0 => Some(false),
            true => holds_ours(root, &path, depth - 1),
            false => Some(form::is_ours(root, name)),
        };
        match found {
            Some(true) => return found,
            Some(false) => out = found,
            None => {}
        }
    }
    out
}

/// Marks a cache, of which `tmp` is a directory for unfinished writes, if it has no mark. Without one it is
/// recognised by its contents.
pub(super) fn make(root: &Path, tmp: &Path) {
    let path = root.join(NAME);
    if fs::symlink_metadata(&path).is_ok() {
        return;
    }
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(tmp)?;
        file.write_all(TAG.as_bytes())?;
        file.persist_noclobber(&path).map_err(|error| error.error)
    };
    // A full disk is reported where it loses data.
    let _ = write();
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
        path::PathBuf,
    };

    use super::*;
    use crate::{digest::Digest, error::Hint as _, formats::checksum::Checksum, store::Store};

    /// Makes files below a directory, of mode 0755.
    fn holding(place: &Path, name: &str, files: &[&str]) -> PathBuf {
        let root = place.join(name);
        fs::create_dir(&root).expect("makes");
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("has one")).expect("makes");
            fs::write(path, "mine").expect("writes");
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("sets");
        root
    }

    /// Lists all that is below a directory, with its mode.
    fn all(directory: &Path) -> BTreeMap<PathBuf, u32> {
        let mut out = BTreeMap::new();
        let mut directories = vec![directory.to_path_buf()];
        while let Some(directory) = directories.pop() {
            let inside = fs::read_dir(&directory).expect("lists").map(|entry| entry.expect("lists").path());
            for path in inside.chain([directory.clone()]) {
                let found = fs::symlink_metadata(&path).expect("is there");
                if found.is_dir() && path != directory {
                    directories.push(path.clone());
                }
                out.insert(path, found.mode());
            }
        }
        out
    }

    #[test]
    fn a_directory_of_other_things_is_refused_as_it_was() {
        let place = tempfile::tempdir().expect("a directory");
        let cases: [&[&str]; 8] = [
            &["mine"],
            &["tmp/mine", "tmp/s/mine"],
            &["debs/tea_1_amd64.deb"],
            &["debs/mine.deb", "notes/todo", "packs/mine", "tmp/mine"],
            &["bundles/mine/a", "tmp/run-backup/a"],
            &["CACHEDIR.TAG", "src/main.rs"],
            &["debs/0.deb", "home/mine"],
            &["packs/cgit.pack", "indexes/a/b/c/d/e/f"],
        ];
        for (number, files) in cases.into_iter().enumerate() {
            let root = holding(place.path(), &number.to_string(), files);
            let before = all(&root);
            for refused in [
                Store::open(&root).err(),
                Store::in_memory(crate::seal::Seal::of_process().expect("a seal")).reading(&root).err(),
            ] {
                let refused = refused.expect("is no cache");
                assert!(matches!(refused, StoreError::NotCache { .. }), "{refused}");
                assert!(refused.hint().is_some_and(|hint| hint.contains("/tinyroot")));
            }
            assert_eq!(all(&root), before, "{files:?}");
        }
    }

    #[test]
    fn a_cache_is_known_by_its_mark_or_by_what_it_holds() {
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path().join("cache");
        let store = Store::open(&root).expect("opens");
        let deb = store.deb_path(&Checksum::Sha256(Digest::of(b"tea")));
        store.write_file(&deb, b"tea").expect("writes");
        store.note("build", "k", b"done").expect("notes");
        drop(store);
        let tag = fs::read(root.join(NAME)).expect("is marked");
        assert!(tag.starts_with(b"Signature: 8a477f597d28d172789f06886806bc55\n"));
        // A cache that has a mark may hold other files, too.
        fs::write(root.join("mine"), "").expect("writes");
        drop(Store::open(&root).expect("opens"));
        fs::remove_file(root.join(NAME)).expect("removes");
        assert!(matches!(Store::open(&root), Err(StoreError::NotCache { .. })));
        // One of before.
        fs::remove_file(root.join("mine")).expect("removes");
        drop(Store::open(&root).expect("opens"));
        assert!(is_marked(&root));
        // One of which a part was kept.
        for gone in ["tmp", "notes", "packs", "bundles", "npm", "indexes"] {
            fs::remove_dir_all(root.join(gone)).expect("removes");
        }
        fs::remove_file(root.join(NAME)).expect("removes");
        drop(Store::open(&root).expect("opens"));
        assert!(is_marked(&root) && deb.exists());
        // A fresh one.
        let empty = holding(place.path(), "empty", &[]);
        drop(Store::open(&empty).expect("opens"));
        assert!(is_marked(&empty));
    }

    #[test]
    fn only_what_tinyroot_makes_is_swept_and_nothing_is_waited_for() {
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path().join("cache");
        drop(Store::open(&root).expect("opens"));
        let tmp = root.join("tmp");
        let fifo = |name: &str| {
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
            rustix::fs::mknodat(rustix::fs::CWD, tmp.join(name), kind, mode, 0).expect("makes");
        };
        fifo("fifo");
        fifo("run-fifo00");
        fs::create_dir_all(tmp.join("s/t")).expect("makes");
        fs::create_dir_all(tmp.join("run-killed/root")).expect("makes");
        fs::write(tmp.join("mine"), "mine").expect("writes");
        drop(Store::open(&root).expect("opens"));
        let mut left: Vec<_> =
            fs::read_dir(&tmp).expect("lists").map(|entry| entry.expect("lists").file_name()).collect();
        left.sort();
        assert_eq!(left, ["fifo", "mine", "run-fifo00", "s"]);
    }
}
