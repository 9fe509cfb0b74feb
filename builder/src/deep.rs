//! Directories with foreign contents, removed, measured and listed: with as many levels, names and bytes in
//! names as a file system allows.
//!
//! Comes in: a path that is ours, below which anything may lie. All is done by handles and never through a
//! link; memory, descriptors and stack have limits that do not depend on the contents.

#![allow(
    clippy::disallowed_methods,
    reason = "its callers know what a file is for, and add path and operation"
)]

use std::{
    ffi::CStr,
    fmt, fs,
    io::{self, Read as _},
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::OnceLock,
    time::{Duration, Instant},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat, chmod, openat, renameat_with, statat,
        unlinkat,
    },
    io::Errno,
};

use crate::progress::size_text;

/// Levels below which directories are not gone down into: each takes two descriptors and some stack.
const LEVELS: usize = 64;

/// Removes with more than one's own rights, where there is a way.
type Remover = fn(&Path) -> io::Result<()>;

/// Files of other ids exist only where a sandbox made them, and only a sandbox can remove them. This room
/// lies below `sandbox`, which hands its way up here before the first one starts, so that rooms that sweep
/// directories start no process themselves.
static REMOVER: OnceLock<Remover> = OnceLock::new();

/// Sets the way to remove what is not ours; the first one stays.
pub fn set_remover(remover: Remover) {
    let _ = REMOVER.set(remover);
}

/// Removes a directory with all below it, or a file, of any owner; no link is followed. If the kernel
/// refuses that to us, the way of [`set_remover`] is tried.
///
/// # Errors
/// The refusal, where that way fails too; any other error as it is.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let refused = match remove(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        result => return result,
    };
    match REMOVER.get() {
        Some(remover) if remover(path).is_ok() => Ok(()),
        _ => Err(refused),
    }
}

/// Removes a directory with all below it, or a file. Directories that are ours and closed to us are opened.
///
/// # Errors
/// The kernel's error for the first thing that cannot be removed.
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
            // A listing may miss concurrent changes, and here much changes.
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

/// Opens a directory for emptying; one of ours that is closed to us gets the rights that its owner needs
/// first.
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
    /// Its size on disk, in bytes.
    pub bytes: u64,
    /// False if some of it was not looked at: it lies too deep, is closed to us, or there was no more time.
    pub is_whole: bool,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = size_text(self.bytes);
        f.pad(&if self.is_whole { text } else { format!("over {text}") })
    }
}

/// Measures the contents of a directory; nothing if it does not exist. A file of several names counts once.
pub fn size(path: &Path) -> Size {
    size_until(path, None)
}

/// Measures as [`size`] does, for at most that long.
pub fn size_within(path: &Path, time: Duration) -> Size {
    size_until(path, Some(Instant::now() + time))
}

fn size_until(path: &Path, deadline: Option<Instant>) -> Size {
    let (mut bytes, mut count) = (0_u64, 0_u64);
    let walked = walk(path, &mut |found| {
        let blocks = u64::try_from(found.stat.st_blocks).unwrap_or(0);
        // A part for each of its names: which were seen already would take memory to know.
        let names = if found.is_directory() { 1 } else { found.stat.st_nlink.max(1) };
        bytes = bytes.saturating_add(blocks.saturating_mul(512) / names);
        count += 1;
        let is_over = count.is_multiple_of(256) && deadline.is_some_and(|end| Instant::now() >= end);
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let is_whole = match walked {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(is_whole) => is_whole,
    };
    Size { bytes, is_whole }
}

/// Something below a directory that is walked.
pub struct Found<'a> {
    /// Its path below the top.
    pub path: &'a [u8],
    /// Its kind; of a link, the link itself.
    pub stat: &'a Stat,
    directory: &'a OwnedFd,
    name: &'a CStr,
}

impl Found<'_> {
    /// Returns the kind of file.
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Returns true for a directory.
    pub fn is_directory(&self) -> bool {
        self.kind() == FileType::Directory
    }

    /// Reads a regular file, so many bytes of it at most.
    ///
    /// # Errors
    /// The kernel's error; invalid input for anything but a regular file, or another one by now.
    pub fn read(&self, limit: u64) -> io::Result<Vec<u8>> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::File::from(openat(self.directory, self.name, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Shows all that lies below a directory to `visit`, directories before their entries, otherwise in no order,
/// until it breaks. Returns false if something was not shown: after a break, deeper than 64 levels, in
/// directories that are closed to us.
///
/// # Errors
/// A top that cannot be opened.
pub fn walk(path: &Path, visit: &mut dyn FnMut(&Found<'_>) -> ControlFlow<()>) -> io::Result<bool> {
    let top = openat(CWD, path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let mut walking = Walking { visit, path: Vec::new(), is_whole: true };
    Ok(walking.walk(&top, 0).is_continue() && walking.is_whole)
}

struct Walking<'a> {
    visit: &'a mut dyn FnMut(&Found<'_>) -> ControlFlow<()>,
    path: Vec<u8>,
    is_whole: bool,
}

impl Walking<'_> {
    fn walk(&mut self, directory: &OwnedFd, level: usize) -> ControlFlow<()> {
        let Ok(entries) = Dir::read_from(directory) else {
            self.is_whole = false;
            return ControlFlow::Continue(());
        };
        let length = self.path.len();
        for entry in entries {
            let Ok(entry) = entry else {
                self.is_whole = false;
                break;
            };
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                self.path.extend((length > 0).then_some(b'/'));
                self.path.extend(entry.file_name().to_bytes());
                self.show(directory, entry.file_name(), level)?;
                self.path.truncate(length);
            }
        }
        ControlFlow::Continue(())
    }

    fn show(&mut self, directory: &OwnedFd, name: &CStr, level: usize) -> ControlFlow<()> {
        let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
            self.is_whole = false;
            return ControlFlow::Continue(());
        };
        let found = Found { path: &self.path, stat: &stat, directory, name };
        let is_directory = found.is_directory();
        (self.visit)(&found)?;
        if !is_directory {
            return ControlFlow::Continue(());
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(directory, name, flags, Mode::empty()) {
            Ok(inner) if level < LEVELS => self.walk(&inner, level + 1),
            _ => {
                self.is_whole = false;
                ControlFlow::Continue(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
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

    /// A directory in memory where there is one: many disks take their time to free so much.
    fn place() -> tempfile::TempDir {
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
    }

    #[test]
    fn a_tree_of_any_depth_is_removed_and_its_size_has_an_end() {
        let place = place();
        let top = place.path().join("var");
        fs::create_dir(&top).expect("makes");
        deep(&top, 60_000);
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
    fn very_many_names_are_measured_and_removed_and_a_file_of_many_names_counts_once() {
        let place = place();
        let top = place.path().join("var");
        fs::create_dir_all(top.join("many")).expect("makes");
        let file = top.join("file");
        fs::write(&file, vec![1; 1 << 20]).expect("writes");
        for index in 0..200_000_u32 {
            match index % 1000 {
                0 => fs::hard_link(&file, top.join(format!("many/{index:0>250}"))).expect("links"),
                _ => symlink("x", top.join(format!("many/{index}"))).expect("links"),
            }
        }
        let whole = size(&top);
        let directory = fs::metadata(top.join("many")).expect("is there").blocks() * 512;
        let own = fs::metadata(&top).map(|top| top.blocks() * 512).expect("is there");
        // Parts of a file are whole numbers.
        let expected = (1 << 20) + directory;
        assert!(whole.is_whole && whole.bytes.abs_diff(expected) < 1000 + own, "{whole:?}, not {expected}");
        let cut = size_within(&top, Duration::ZERO);
        assert!(!cut.is_whole && cut.bytes < whole.bytes, "{cut:?}");
        assert!(size_within(&top, Duration::from_secs(600)).is_whole);
        remove(&top).expect("removes");
        assert!(!top.exists());
    }

    #[test]
    fn files_of_every_kind_are_measured_and_removed_and_none_is_opened() {
        let place = tempfile::tempdir().expect("a directory");
        let top = place.path().join("var");
        fs::create_dir(&top).expect("makes");
        let make = |name: &str, kind, mode, device| {
            rustix::fs::mknodat(CWD, top.join(name), kind, Mode::from_raw_mode(mode), device)
        };
        make("fifo", FileType::Fifo, 0o666, 0).expect("makes");
        make("setuid", FileType::RegularFile, 0o4755, 0).expect("makes");
        fs::set_permissions(top.join("setuid"), fs::Permissions::from_mode(0o6777)).expect("sets");
        let _socket = std::os::unix::net::UnixListener::bind(top.join("socket")).expect("binds");
        fs::File::create(top.join("sparse")).and_then(|file| file.set_len(1 << 40)).expect("makes");
        if make("device", FileType::CharacterDevice, 0o666, rustix::fs::makedev(1, 3)).is_err() {
            // Its name is what counts then.
            fs::write(top.join("device"), "").expect("writes");
        }
        for (name, target) in [("loop", "loop"), ("up", ".."), ("memory", "/proc/self/mem"), ("self", ".")] {
            symlink(target, top.join(name)).expect("links");
        }
        let mut names = Vec::new();
        let is_whole = walk(&top, &mut |found| {
            let text = String::from_utf8_lossy(found.path).into_owned();
            // Opening a FIFO would wait for a writer.
            let is_read = found.read(10).is_ok();
            names.push(format!("{text} {is_read}"));
            ControlFlow::Continue(())
        });
        names.sort();
        assert!(is_whole.expect("opens"));
        let found = ["fifo", "loop", "memory", "self", "setuid", "socket", "sparse", "up"]
            .map(|name| format!("{name} {}", matches!(name, "setuid" | "sparse")));
        names.retain(|name| !name.starts_with("device"));
        assert_eq!(names, found);
        let size = size(&top);
        assert!(size.is_whole && size.bytes < 1 << 20, "{size:?}");
        remove(&top).expect("removes");
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
