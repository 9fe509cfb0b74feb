//! Directories that somebody else filled, removed and measured: with as many levels, names and bytes in names as a file system
//! allows.
//!
//! Comes in: a path that is ours, below which anything may lie. All is done by handles and never through a link; memory,
//! descriptors and stack have limits that do not depend on what is there.

use std::{
    ffi::CStr,
    fmt, fs, io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, chmod, openat, renameat_with, statat,
        unlinkat,
    },
    io::Errno,
};

use crate::progress::size_text;

/// Levels below which directories are not gone down into: each takes two descriptors and some stack.
const LEVELS: usize = 64;

/// Removes a directory with all below it, or a file. Directories that are ours and closed to us are opened.
///
/// # Errors
/// What the kernel says of the first thing that cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    let top = open_to_empty(CWD, path)?;
    Emptying { top: &top, next: 0 }.empty(&top, 0)?;
    fs::remove_dir(path)
}

struct Emptying<'a> {
    top: &'a OwnedFd,
    /// The number of the next directory that is moved up.
    next: u64,
}

impl Emptying<'_> {
    fn empty(&mut self, directory: &OwnedFd, level: usize) -> Result<(), Errno> {
        loop {
            // What changes under a listing may be missed by it, and here much does.
            let (mut found, mut removed) = (0_u64, 0_u64);
            let mut failed = None;
            for entry in Dir::read_from(directory)? {
                let entry = entry?;
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                found += 1;
                match self.remove_at(directory, name, level) {
                    Ok(()) | Err(Errno::NOENT) => removed += 1,
                    Err(errno) => failed = Some(errno),
                }
            }
            match (found, removed, failed) {
                (0, ..) => return Ok(()),
                (_, 0, Some(errno)) => return Err(errno),
                _ => {}
            }
        }
    }

    fn remove_at(&mut self, directory: &OwnedFd, name: &CStr, level: usize) -> Result<(), Errno> {
        match unlinkat(directory, name, AtFlags::empty()) {
            // Of a directory Linux says the first, POSIX the second.
            Err(Errno::ISDIR | Errno::PERM) => {}
            result => return result,
        }
        match unlinkat(directory, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            result => return result,
        }
        let inner = open_to_empty(directory, name)?;
        if level < LEVELS {
            self.empty(&inner, level + 1)?;
            return unlinkat(directory, name, AtFlags::REMOVEDIR);
        }
        // Too deep: it goes on at the top, which is listed again until nothing is left.
        loop {
            let to = format!(".deep-{}", self.next);
            self.next += 1;
            match renameat_with(directory, name, self.top, to, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                result => return result,
            }
        }
    }
}

/// Opens a directory for emptying; one of ours that is closed to us gets the rights that its owner needs first.
fn open_to_empty<P: rustix::path::Arg + Copy>(at: impl AsFd, name: P) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // By its handle, for a name could have become another's meanwhile.
    let handle = openat(at.as_fd(), name, flags | OFlags::PATH, Mode::empty())?;
    let mode = rustix::fs::fstat(&handle)?.st_mode;
    if mode & 0o700 != 0o700 {
        use std::os::fd::AsRawFd;
        let _ = chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU);
    }
    openat(&handle, ".", flags | OFlags::RDONLY, Mode::empty())
}

/// How much lies below a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// What it takes on disk, in bytes.
    pub bytes: u64,
    /// False if some of it was not looked at: it lies too deep, or is closed to us.
    pub is_whole: bool,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = size_text(self.bytes);
        f.pad(&if self.is_whole { text } else { format!("over {text}") })
    }
}

/// Measures what lies below a directory; nothing where there is none.
pub fn size(path: &Path) -> Size {
    let mut size = Size { bytes: 0, is_whole: true };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(CWD, path, flags, Mode::empty()) {
        Ok(top) => add_size(&top, 0, &mut size),
        Err(Errno::NOENT) => {}
        Err(_) => size.is_whole = false,
    }
    size
}

fn add_size(directory: &OwnedFd, level: usize, size: &mut Size) {
    let Ok(entries) = Dir::read_from(directory) else {
        size.is_whole = false;
        return;
    };
    for entry in entries {
        let Ok(entry) = entry else {
            size.is_whole = false;
            return;
        };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let Ok(found) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
            size.is_whole = false;
            continue;
        };
        size.bytes =
            size.bytes.saturating_add(u64::try_from(found.st_blocks).unwrap_or(0).saturating_mul(512));
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            continue;
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(directory, name, flags, Mode::empty()) {
            Ok(inner) if level < LEVELS => add_size(&inner, level + 1, size),
            _ => size.is_whole = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    };

    use super::*;

    /// Makes directories in each other, deeper than a path can be long.
    fn deep(path: &Path, levels: usize) {
        let mut at = openat(CWD, path, OFlags::DIRECTORY, Mode::empty()).expect("opens");
        for _ in 0..levels {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).expect("makes");
            at = openat(&at, "d", OFlags::DIRECTORY, Mode::empty()).expect("opens");
        }
    }

    #[test]
    fn a_tree_of_any_depth_is_removed_and_its_size_has_an_end() {
        let place = tempfile::tempdir().expect("a directory");
        let top = place.path().join("var");
        fs::create_dir(&top).expect("makes");
        deep(&top, 20_000);
        // A name like those that deep parts get when they are moved up.
        fs::write(top.join(".deep-0"), "x").expect("writes");
        assert!(!size(&top).is_whole);
        // As little stack as a thread of a server has, and few descriptors.
        let path = top.clone();
        let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(move || remove(&path));
        thread.expect("starts").join().expect("no panic").expect("removes");
        assert!(!top.exists());
    }

    #[test]
    fn names_of_any_bytes_closed_directories_and_links_are_removed_and_nothing_is_followed() {
        let place = tempfile::tempdir().expect("a directory");
        let (top, other) = (place.path().join("var"), place.path().join("other"));
        fs::create_dir_all(top.join("closed/inner")).expect("makes");
        fs::create_dir(&other).expect("makes");
        fs::write(other.join("kept"), "x").expect("writes");
        fs::write(top.join(std::ffi::OsStr::from_bytes(b"\xff\n*?")), "x").expect("writes");
        fs::write(top.join("closed/inner/file"), vec![1; 100_000]).expect("writes");
        symlink(&other, top.join("link")).expect("links");
        symlink("/nowhere", top.join("nowhere")).expect("links");
        rustix::fs::mknodat(CWD, top.join("fifo"), FileType::Fifo, Mode::RUSR, 0).expect("makes");
        for index in 0..5000 {
            fs::write(top.join(format!("n{index}")), "").expect("writes");
        }
        let size = size(&top);
        assert!(size.is_whole && size.bytes >= 100_000, "{size:?}");
        fs::set_permissions(top.join("closed/inner"), fs::Permissions::from_mode(0o000)).expect("closes");
        fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o500)).expect("closes");
        remove(&top).expect("removes");
        assert!(!top.exists() && other.join("kept").exists());
        assert_eq!(super::size(&top), Size { bytes: 0, is_whole: true });
        remove(&other.join("kept")).expect("removes a file");
        assert!(remove(&top).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
    }
}
