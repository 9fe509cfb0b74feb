//! What is made beside the place that it is meant for, so that nothing half-written ever has its name.
//!
//! Whoever makes it holds a lock on it. One without is of a process that was killed; the next that makes something of the
//! same kind there removes it.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use tempfile::{Builder, NamedTempFile, TempDir};

use crate::{interrupt::Unfinished, sandbox};

/// A directory that is not yet where it is meant to be; removed when dropped.
#[derive(Debug)]
pub struct Directory {
    directory: TempDir,
    _lock: File,
    _unfinished: Unfinished,
}

impl Directory {
    /// Makes one. `prefix` names its kind.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn make(parent: &Path, prefix: &str) -> io::Result<Self> {
        sweep(parent, prefix);
        loop {
            let directory = Builder::new().prefix(prefix).tempdir_in(parent)?;
            let Ok(lock) = File::open(directory.path()) else { continue };
            if is_held(&lock)? {
                let _unfinished = Unfinished::new(directory.path());
                return Ok(Directory { directory, _lock: lock, _unfinished });
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
/// What the kernel says.
pub fn file(parent: &Path, prefix: &str) -> io::Result<(NamedTempFile, Unfinished)> {
    sweep(parent, prefix);
    loop {
        let permissions = Permissions::from_mode(0o666);
        let file = Builder::new().prefix(prefix).permissions(permissions).tempfile_in(parent)?;
        if is_held(file.as_file())? {
            let unfinished = Unfinished::new(file.path());
            return Ok((file, unfinished));
        }
    }
}

/// Locks what was just made; false if another process has taken it for one of the killed before that.
fn is_held(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        // Where the file system knows no locks, nothing is swept.
        _ => Ok(file.metadata()?.nlink() > 0),
    }
}

/// Removes what is ours, of that kind and locked by nobody. What cannot be removed stays: it is in nobody's way.
fn sweep(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_of_kind = entry.file_name().to_string_lossy().starts_with(prefix);
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
            let _ = sandbox::remove_tree(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_processes_left_goes_and_all_else_stays() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        let (live, _unfinished) = file(place.path(), ".kind-").expect("makes");
        let working = Directory::make(place.path(), ".kind-").expect("makes");
        fs::write(at(".kind-dead"), "half").expect("writes");
        fs::create_dir_all(at(".kind-gone/root")).expect("makes");
        fs::write(at(".other-x"), "").expect("writes");
        std::os::unix::fs::symlink(at(".other-x"), at(".kind-link")).expect("links");
        drop(file(place.path(), ".kind-").expect("makes"));
        let mut names: Vec<_> =
            fs::read_dir(place.path()).expect("lists").flatten().map(|e| e.path()).collect();
        names.sort();
        let mut expected =
            vec![at(".kind-link"), at(".other-x"), live.path().to_path_buf(), working.path().to_path_buf()];
        expected.sort();
        assert_eq!(names, expected);
        live.persist(at("whole")).expect("renames");
        drop(working);
        assert!(at("whole").exists());
        assert_eq!(fs::read_dir(place.path()).expect("lists").count(), 3);
    }
}
