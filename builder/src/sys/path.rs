//! Paths below a root that is held by a descriptor, and files that may have been laid by others.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags},
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

/// Opens the target of a path with `root` as `/`: no link or `..` escapes from it.
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

/// Opens a regular file for reading: no link at the path is followed, and a FIFO does not make us wait.
///
/// # Errors
/// The call; [`io::ErrorKind::InvalidData`] for anything but a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    regular(traced(opened, || format!("open({path:?}, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY|O_CLOEXEC)"))?)
}

/// As [`open_regular`], but links are followed: for a place that the user names.
///
/// # Errors
/// As [`open_regular`].
pub fn open_regular_through_links(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    regular(traced(opened, || format!("open({path:?}, O_RDONLY|O_NONBLOCK|O_NOCTTY|O_CLOEXEC)"))?)
}

/// As [`open_regular`], for a file below a directory: links are followed, but no link and no `..` leads out.
///
/// # Errors
/// As [`open_regular`]; [`io::ErrorKind::CrossesDevices`] for what leads out.
pub fn open_regular_below(directory: impl AsFd, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    let opened = loop {
        match rustix::fs::openat2(&directory, path, flags, Mode::empty(), resolve) {
            // A rename elsewhere made the kernel unsure whether `..` stayed inside (`openat2(2)`).
            Err(Errno::AGAIN) if tries < 64 => tries += 1,
            // Before Linux 5.6, and below some containers' filters.
            Err(Errno::NOSYS | Errno::PERM) => break open_stepwise(&directory, path, flags),
            result => break result,
        }
    };
    let call = || format!("openat2(DIR, {path:?}, O_RDONLY|O_NONBLOCK|O_NOCTTY|O_CLOEXEC, RESOLVE_BENEATH)");
    match opened {
        Err(Errno::XDEV) => Err(io::ErrorKind::CrossesDevices.into()),
        opened => regular(traced(opened, call)?),
    }
}

/// Opens a path below a directory without following any link.
fn open_stepwise(directory: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::openat(&directory, ".", step, Mode::empty())?;
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else { return Err(Errno::XDEV) };
        if names.peek().is_none() {
            return rustix::fs::openat(&at, name, flags | OFlags::NOFOLLOW, Mode::empty());
        }
        at = rustix::fs::openat(&at, name, step, Mode::empty())?;
    }
    Err(Errno::NOENT)
}

fn regular(opened: OwnedFd) -> io::Result<File> {
    let file = File::from(opened);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file")),
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

/// Makes a character device that everyone may use, and opens it once to see that this file system allows
/// that.
///
/// # Errors
/// The call; nothing is left there then.
pub fn make_device(directory: impl AsFd, name: &str, (major, minor): (u32, u32)) -> Result<()> {
    let directory = directory.as_fd();
    let (kind, device) = (FileType::CharacterDevice, rustix::fs::makedev(major, minor));
    let made = rustix::fs::mknodat(directory, name, kind, Mode::from_raw_mode(0o666), device);
    traced(made, || format!("mknodat(DIR, {name:?}, S_IFCHR|0666, makedev({major}, {minor}))"))?;
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        // `tty` where there is no terminal.
        Ok(_) | Err(Errno::NXIO) => Ok(()),
        Err(errno) => {
            let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
            traced(Err(errno), || format!("openat(DIR, {name:?}, O_RDWR|O_NOFOLLOW|O_NOCTTY|O_CLOEXEC)"))
        }
    }
}

/// Sets the mode of a descriptor's file; it need not be open for reading.
///
/// # Errors
/// The call.
pub fn set_mode(file: impl AsFd, mode: u32) -> Result<()> {
    // `fchmod` refuses such descriptors (`open(2)`, O_PATH), and `/proc` gives them a path.
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    traced(rustix::fs::chmod(&path, Mode::from_raw_mode(mode)), || format!("chmod({path:?}, {mode:#o})"))
}

/// Makes a symbolic link.
///
/// # Errors
/// The call.
pub fn make_link(directory: impl AsFd, name: &str, target: &str) -> Result<()> {
    let result = rustix::fs::symlinkat(target, directory, name);
    traced(result, || format!("symlinkat({target:?}, DIR, {name:?})"))
}

/// Returns true if the target of a path is a directory.
///
/// # Errors
/// The call.
pub fn is_directory(path: &Path) -> Result<bool> {
    let result = rustix::fs::statat(CWD, path, AtFlags::empty());
    let stat = traced(result, || format!("stat({path:?})"))?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn without_openat2_no_link_is_followed() {
        let host = tempfile::tempdir().expect("a directory");
        let at = |name: &str| host.path().join(name);
        fs::create_dir_all(at("root/a")).expect("makes");
        fs::write(at("root/a/file"), "x").expect("writes");
        fs::write(at("file"), "x").expect("writes");
        symlink("a", at("root/link")).expect("links");
        symlink("file", at("root/a/link")).expect("links");
        let root = File::open(at("root")).expect("opens");
        let open = |path: &str| open_stepwise(&root, Path::new(path), OFlags::RDONLY).map(drop);
        assert_eq!(open("a/file"), Ok(()));
        for path in ["link/file", "a/link", "../file", "/etc/passwd", "a/../../file", "", "a/none"] {
            assert!(open(path).is_err(), "{path}");
        }
    }
}
