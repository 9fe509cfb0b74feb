//! The directories for unfinished writes: a process's own below `tmp/`, and those in it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};

use super::form;
use crate::{deep, shutdown::CleanupGuard};

/// A directory below [`Store::tmp`], removed when dropped, whatever was put into it.
#[derive(Debug)]
pub struct Scratch(pub(super) PathBuf);

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
pub(super) struct Tmp {
    pub(super) directory: tempfile::TempDir,
    /// Held for as long as the directory is in use.
    _lock: File,
    _cleanup: CleanupGuard,
}

impl Tmp {
    /// Makes a directory of our own, after removing those that killed processes left.
    pub(super) fn new(parent: &Path) -> io::Result<Self> {
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
pub(super) const RUN: &str = "run-";
