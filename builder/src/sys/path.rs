//! Paths below a root that is held by a descriptor.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{Result, traced};

/// Opens a directory of the host as a place that paths start from; it cannot be read through the descriptor.
///
/// # Errors
/// The call.
pub fn open_root(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    traced(rustix::fs::open(path, flags, Mode::empty()), || {
        format!("open({path:?}, O_PATH|O_DIRECTORY|O_CLOEXEC)")
    })
}

/// Opens what a path leads to with `root` as `/`: no link or `..` leads out of it.
///
/// # Errors
/// The call.
pub fn open_in_root(root: impl AsFd, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) {
            // A rename elsewhere made the kernel unsure whether `..` stayed inside (`openat2(2)`).
            Err(Errno::AGAIN) if tries < 64 => tries += 1,
            result => {
                return traced(result, || {
                    format!("openat2(ROOT, {path:?}, O_PATH|O_CLOEXEC, RESOLVE_IN_ROOT)")
                });
            }
        }
    }
}

/// Makes a directory; one that is there already is fine.
///
/// # Errors
/// The call.
pub fn make_directory(directory: impl AsFd, name: &str, mode: u32) -> Result<()> {
    match rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => traced(Err(errno), || format!("mkdirat(DIR, {name:?}, {mode:#o})")),
    }
}

/// Makes an empty file, as something to mount on; one that is there already is fine.
///
/// # Errors
/// The call.
pub fn make_file(directory: impl AsFd, name: &str) -> Result<()> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let result = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o644));
    traced(result, || format!("openat(DIR, {name:?}, O_CREAT|O_WRONLY|O_NOFOLLOW|O_CLOEXEC, 0644)")).map(drop)
}

/// Makes a symbolic link.
///
/// # Errors
/// The call.
pub fn make_link(directory: impl AsFd, name: &str, target: &str) -> Result<()> {
    let result = rustix::fs::symlinkat(target, directory, name);
    traced(result, || format!("symlinkat({target:?}, DIR, {name:?})"))
}

/// Returns true if a path leads to a directory.
///
/// # Errors
/// The call.
pub fn is_directory(path: &Path) -> Result<bool> {
    let result = rustix::fs::statat(CWD, path, AtFlags::empty());
    let stat = traced(result, || format!("stat({path:?})"))?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}
