//! Atomic files and directories: written under a temporary name next to the target, then renamed.
//!
//! Its maker holds a lock on it. One without a lock is of a process that was killed; the next maker of
//! something of the same kind there removes it.

#![allow(
    clippy::disallowed_methods,
    reason = "its callers know what a file is for, and add path and operation"
)]

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tempfile::{Builder, NamedTempFile, TempDir};

use crate::{deep, shutdown::CleanupGuard};

/// How many random letters and digits stand behind the prefix: more than a name that a person would give has.
const RANDOM: usize = 16;

/// A directory that is not yet where it is meant to be; removed when dropped.
#[derive(Debug)]
pub struct Directory {
    directory: TempDir,
    _lock: File,
    _cleanup: CleanupGuard,
}

impl Directory {
    /// Makes one. `prefix` names its kind.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn make(parent: &Path, prefix: &str) -> io::Result<Self> {
        sweep(parent, prefix);
        loop {
            let directory = Builder::new().prefix(prefix).rand_bytes(RANDOM).tempdir_in(parent)?;
            let _cleanup = CleanupGuard::new(directory.path());
            let Ok(lock) = File::open(directory.path()) else { continue };
            if is_held(&lock)? {
                return Ok(Directory { directory, _lock: lock, _cleanup });
            }
        }
    }

    /// Returns where it is for now.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Makes a file, to be renamed when it is whole. `prefix` names its kind; the umask decides who may read it.
///
/// # Errors
/// The kernel's error.
pub fn file(parent: &Path, prefix: &str) -> io::Result<(NamedTempFile, CleanupGuard)> {
    sweep(parent, prefix);
    loop {
        let mut unfinished = None;
        let file = Builder::new().prefix(prefix).rand_bytes(RANDOM).make_in(parent, |path| {
            // Before it exists, so that a stop in between removes it, too.
            unfinished = Some(CleanupGuard::new(path));
            File::options().read(true).write(true).create_new(true).open(path)
        })?;
        if is_held(file.as_file())?
            && let Some(unfinished) = unfinished
        {
            return Ok((file, unfinished));
        }
    }
}

/// Replaces or makes a file with its full contents, at once and on the disk. It keeps the
/// other's mode, or gets 0644.
///
/// # Errors
/// The kernel's error; the other is then as it was.
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    // A link stays one.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (mut file, _cleanup) = self::file(parent, &format!(".{name}-"))?;
    file.write_all(contents)?;
    let mode = fs::metadata(path).map_or(0o644, |old| old.permissions().mode());
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Locks the file just made; false if another process has removed it before that, as one of a killed process.
fn is_held(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        // Where the file system knows no locks, nothing is swept.
        _ => Ok(file.metadata()?.nlink() > 0),
    }
}

/// Removes our own files of that kind that no process has locked. One that cannot be removed stays and does
/// no harm.
fn sweep(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix)).unwrap_or_default();
        let is_of_kind = random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_ours = || {
            entry.metadata().is_ok_and(|found| {
                (found.is_file() || found.is_dir()) && found.uid() == rustix::process::geteuid().as_raw()
            })
        };
        if !is_of_kind || !is_ours() {
            continue;
        }
        let path = entry.path();
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = deep::remove_tree(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("recipe.toml");
        let found = || {
            let mode = fs::metadata(&path).expect("is there").permissions().mode() & 0o777;
            (fs::read_to_string(&path).expect("reads"), mode)
        };
        replace(&path, b"new").expect("writes");
        assert_eq!(found(), ("new".to_owned(), 0o644));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("sets");
        replace(&path, b"newer").expect("writes");
        assert_eq!(found(), ("newer".to_owned(), 0o600));
        fs::create_dir(place.path().join("taken")).expect("makes");
        replace(&place.path().join("taken"), b"").expect_err("a directory stays");
        assert_eq!(fs::read_dir(place.path()).expect("lists").count(), 2);
    }

    #[test]
    fn what_killed_processes_left_goes_and_all_else_stays() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        let (live, _cleanup) = file(place.path(), ".kind-").expect("makes");
        let working = Directory::make(place.path(), ".kind-").expect("makes");
        fs::write(at(".kind-0123456789abcdeF"), "half").expect("writes");
        fs::create_dir_all(at(".kind-0123456789ABCDEf/root")).expect("makes");
        fs::write(at(".kind-backup"), "a person's").expect("writes");
        fs::write(at(".other-x"), "").expect("writes");
        std::os::unix::fs::symlink(at(".other-x"), at(".kind-link")).expect("links");
        drop(file(place.path(), ".kind-").expect("makes"));
        let mut names: Vec<_> =
            fs::read_dir(place.path()).expect("lists").flatten().map(|e| e.path()).collect();
        names.sort();
        let mut expected = vec![
            at(".kind-backup"),
            at(".kind-link"),
            at(".other-x"),
            live.path().to_path_buf(),
            working.path().to_path_buf(),
        ];
        expected.sort();
        assert_eq!(names, expected);
        live.persist(at("whole")).expect("renames");
        drop(working);
        assert!(at("whole").exists());
        assert_eq!(fs::read_dir(place.path()).expect("lists").count(), 4);
    }
}
