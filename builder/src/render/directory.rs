//! Directories below a root, opened without ever passing a symbolic link.

use std::{os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2},
    io::Errno,
};

use super::RenderError;
use crate::{error::At as _, files};

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// Opens the root itself, which is a path of the host and made if it is missing.
pub(super) fn open_root(directory: &Path) -> Result<OwnedFd, RenderError> {
    files::create_dir_all(directory)?;
    open_existing(directory)
}

/// Opens the root itself, which must be there.
pub(super) fn open_existing(directory: &Path) -> Result<OwnedFd, RenderError> {
    let opened = openat(CWD, directory, FLAGS.difference(OFlags::NOFOLLOW), Mode::empty());
    Ok(opened.at("open", directory)?)
}

/// Opens a directory of the root; a symbolic link anywhere on the way is an error.
pub(super) fn open(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    if path.is_empty() {
        return openat(root, ".", FLAGS, Mode::empty());
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, FLAGS, Mode::empty(), resolve) {
        // Before Linux 5.6, and below some containers' filters.
        Err(Errno::NOSYS | Errno::PERM) => open_stepwise(root, path),
        other => other,
    }
}

fn open_stepwise(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let mut at = openat(root, ".", FLAGS, Mode::empty())?;
    for name in path.split(|byte| *byte == b'/') {
        at = openat(&at, name, FLAGS, Mode::empty())?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_not_passed() {
        let host = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(host.path().join("root/a/b")).expect("makes");
        symlink("a", host.path().join("root/l")).expect("links");
        symlink("/etc", host.path().join("root/a/out")).expect("links");
        let root = open_root(&host.path().join("root")).expect("opens");
        for open in [open, open_stepwise] {
            assert!(open(&root, b"a/b").is_ok());
            assert!(open(&root, b"l/b").is_err());
            assert!(open(&root, b"l").is_err());
            assert!(open(&root, b"a/out").is_err());
        }
    }
}
