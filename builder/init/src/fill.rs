//! A grain's `/var`, filled from the skeleton `/tinyroot/var` when it is new.
//!
//! `/var/.tinyroot` tells how far that came, so that a kill at any time is made good at the next start:
//!
//! | it holds | meaning | what is done |
//! |---|---|---|
//! | – and `/var` is empty | a new grain | it is written as `begun`, then `/var` is filled, setup run |
//! | – and `/var` has something | data brought by someone else | kept; what is missing is filled in, setup run |
//! | `begun` | a kill came in between | all else in `/var` is removed, then as for a new grain |
//! | `filled DIGEST` | whoever made the grain filled it from the skeleton of that digest | it is written as `begun`, then setup run |
//! | `ready DIGEST` | set up, with the skeleton of that digest | nothing; another digest: new directories and links are added, links into the skeleton that lead nowhere removed |

use core::ffi::CStr;

use crate::{
    arena::Arena,
    config::slurp,
    log::{self, Fault},
    path::Path,
    sys::{self, Errno},
};

const MARK: &CStr = c"/var/.tinyroot";
const NEW_MARK: &CStr = c"/var/.tinyroot.new";
const SKELETON: &[u8] = b"/tinyroot/var";

/// Where a grain stands.
pub struct State {
    is_new: bool,
    digest: &'static [u8],
}

impl State {
    /// Returns true if setup has yet to run.
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

/// What is made of the skeleton's files.
struct Filler {
    /// Sorted, escaped paths of files to copy.
    copied: &'static [u8],
    /// Every file is copied.
    copy_all: bool,
    /// `/var` is an older artifact's: no file is copied, stale links go.
    upgrade: bool,
    from: Path,
    to: Path,
}

/// Brings `/var` to the state that setup or services expect.
pub fn prepare(arena: &mut Arena) -> Result<State, Fault> {
    let list = slurp(arena, c"/tinyroot/copied")?;
    let wrong = Fault {
        what: "a first line that this program does not know in",
        subject: b"/tinyroot/copied",
        errno: 0,
    };
    let end = list.iter().position(|byte| *byte == b'\n').ok_or(Fault { errno: 0, ..wrong })?;
    let digest = list[..end].strip_prefix(b"tinyroot-copied 1 ").ok_or(wrong)?;
    let copied = &list[end + 1..];

    let mark = if sys::exists(MARK) { slurp(arena, MARK)? } else { b"" };
    if let Some(old) = mark.strip_prefix(b"ready ") {
        if old.strip_suffix(b"\n") != Some(digest) {
            log::line(&[b"/var is of another version: new directories and links are added"]);
            Filler::new(copied, true).fill()?;
            write_mark(&[b"ready ", digest])?;
        }
        make_fixed()?;
        return Ok(State { is_new: false, digest });
    }
    if mark.strip_prefix(b"filled ").and_then(|old| old.strip_suffix(b"\n")) == Some(digest) {
        write_mark(&[b"begun"])?;
        make_fixed()?;
        return Ok(State { is_new: true, digest });
    }
    if sys::exists(MARK) {
        log::line(&[b"/var was left half made: made again"]);
        clear(&mut Path::new(b"/var"), 0).map_err(|errno| Fault {
            what: "cannot clear",
            subject: b"/var",
            errno,
        })?;
    } else if is_empty().map_err(|errno| Fault { what: "cannot read", subject: b"/var", errno })? {
        begin().map_err(|errno| Fault { what: "cannot write", subject: MARK.to_bytes(), errno })?;
    } else {
        log::line(&[b"/var holds data but no mark of ours: kept, and set up"]);
    }
    Filler::new(copied, false).fill()?;
    make_fixed()?;
    Ok(State { is_new: true, digest })
}

/// Notes that `/var` is whole.
pub fn conclude(state: &State) -> Result<(), Fault> {
    write_mark(&[b"ready ", state.digest])
}

fn begin() -> Result<(), Errno> {
    let file = sys::open(MARK, sys::O_WRONLY | sys::O_CREAT | sys::O_EXCL, 0o600)?;
    sys::write_all(file.0, b"begun\n")
}

/// Writes the mark beside and renames it, so that there is never half a one.
fn write_mark(words: &[&[u8]]) -> Result<(), Fault> {
    let written = (|| {
        let file = sys::open(NEW_MARK, sys::O_WRONLY | sys::O_CREAT | sys::O_TRUNC, 0o600)?;
        for word in words {
            sys::write_all(file.0, word)?;
        }
        sys::write_all(file.0, b"\n")?;
        sys::fsync(file.0)?;
        sys::rename(NEW_MARK, MARK)
    })();
    written.map_err(|errno| Fault { what: "cannot write", subject: MARK.to_bytes(), errno })
}

/// Makes what Debian's base-files has in every `/var`, and programs have compiled in.
fn make_fixed() -> Result<(), Fault> {
    let fault = |subject| move |errno| Fault { what: "cannot make", subject, errno };
    present(sys::symlink(c"/run", c"/var/run")).map_err(fault(b"/var/run"))?;
    present(sys::symlink(c"/run/lock", c"/var/lock")).map_err(fault(b"/var/lock"))?;
    present(sys::mkdir(c"/var/tmp", 0o777)).map_err(fault(b"/var/tmp"))?;
    // The mask took bits away; a chmod that fails leaves a directory that still serves one user.
    let _ = sys::chmod(c"/var/tmp", 0o1777);
    Ok(())
}

/// Takes "there is something already" for success.
fn present(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(sys::EEXIST) => Ok(()),
        other => other,
    }
}

/// Makes a directory and its parents.
pub fn make_directories(path: &[u8]) {
    let mut at = Path::new(b"");
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        if at.push(name).is_none() {
            return;
        }
        if let Err(errno) = present(sys::mkdir(at.c_str(), 0o755))
            && !sys::exists(at.c_str())
        {
            log::line(&[b"cannot make ", at.as_bytes(), b": ", log::reason(errno, &mut [0; 12])]);
            return;
        }
    }
}

impl Filler {
    fn new(copied: &'static [u8], upgrade: bool) -> Self {
        let copy_all = copied.starts_with(b"*\n");
        Filler { copied, copy_all, upgrade, from: Path::new(SKELETON), to: Path::new(b"/var") }
    }

    fn fill(&mut self) -> Result<(), Fault> {
        self.directory(0).map_err(|errno| {
            log::line(&[b"cannot fill ", self.to.as_bytes()]);
            Fault { what: "cannot fill", subject: b"/var", errno }
        })
    }

    fn directory(&mut self, depth: usize) -> Result<(), Errno> {
        let from = sys::open(self.from.c_str(), sys::O_RDONLY | sys::O_DIRECTORY, 0)?;
        each_entry(from.0, |name, kind| {
            let (Some(from_length), Some(to_length)) = (self.from.push(name), self.to.push(name)) else {
                return Ok(());
            };
            let result = self.entry(kind, depth);
            if result.is_ok() {
                self.from.cut(from_length);
                self.to.cut(to_length);
            }
            result
        })?;
        if self.upgrade { self.drop_stale_links() } else { Ok(()) }
    }

    fn entry(&mut self, kind: EntryKind, depth: usize) -> Result<(), Errno> {
        let mut target = [0_u8; 4096];
        match kind.of(&self.from) {
            EntryKind::Directory if depth < MAX_DEPTH => {
                present(sys::mkdir(self.to.c_str(), 0o755))?;
                self.directory(depth + 1)
            }
            EntryKind::Link => {
                let length = sys::read_link(self.from.c_str(), &mut target[..4095]).map_or(0, <[u8]>::len);
                let target = CStr::from_bytes_until_nul(&target[..=length]).unwrap_or(c"");
                present(sys::symlink(target, self.to.c_str()))
            }
            EntryKind::File if !self.copy_all && !self.is_copied() => {
                present(sys::symlink(self.from.c_str(), self.to.c_str()))
            }
            EntryKind::File if !self.upgrade => present(self.copy()),
            _ => Ok(()),
        }
    }

    /// Returns whether the list has the present path.
    fn is_copied(&self) -> bool {
        let path = &self.from.as_bytes()[SKELETON.len() + 1..];
        let mut escaped = [0_u8; 4 * 4096];
        let mut length = 0;
        for byte in path {
            let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
            let form = match byte {
                b'!'..=b'~' if *byte != b'\\' => [*byte, 0, 0, 0],
                _ => [b'\\', b'x', digit(byte >> 4), digit(byte & 15)],
            };
            let count = if form[1] == 0 { 1 } else { 4 };
            escaped[length..length + count].copy_from_slice(&form[..count]);
            length += count;
        }
        contains_line(self.copied, &escaped[..length])
    }

    /// Copies a file with its permissions and time. The access time is set to the same, so that
    /// with the usual `relatime` a first read shows.
    fn copy(&self) -> Result<(), Errno> {
        let from = sys::open(self.from.c_str(), sys::O_RDONLY, 0)?;
        let (mode, mtime_s) = sys::mode_and_mtime(from.0)?;
        let flags = sys::O_WRONLY | sys::O_CREAT | sys::O_EXCL;
        let to = sys::open(self.to.c_str(), flags, (mode & 0o777) | 0o600)?;
        let mut buffer = [0_u8; 16384];
        loop {
            match sys::read(from.0, &mut buffer) {
                Ok(0) => break,
                Ok(count) => sys::write_all(to.0, &buffer[..count])?,
                Err(sys::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        // A file system without times is no reason to fail.
        let _ = sys::set_times(self.to.c_str(), mtime_s);
        Ok(())
    }

    /// Removes links of the present directory that point into the skeleton, at what is no longer there.
    fn drop_stale_links(&mut self) -> Result<(), Errno> {
        let to = sys::open(self.to.c_str(), sys::O_RDONLY | sys::O_DIRECTORY, 0)?;
        each_entry(to.0, |name, _| {
            let Some(length) = self.to.push(name) else { return Ok(()) };
            let mut target = [0_u8; 4096];
            let stale = sys::read_link(self.to.c_str(), &mut target).is_some_and(|target| {
                target.strip_prefix(SKELETON).is_some_and(|rest| rest.starts_with(b"/"))
            });
            if stale && !sys::exists(self.to.c_str()) {
                sys::remove(self.to.c_str(), false)?;
            }
            self.to.cut(length);
            Ok(())
        })
    }
}

/// Deeper trees than this no package has.
const MAX_DEPTH: usize = 200;

/// Finds a whole line in sorted lines.
fn contains_line(mut lines: &[u8], wanted: &[u8]) -> bool {
    while !lines.is_empty() {
        let middle = lines.len() / 2;
        let start = lines[..middle].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let length = lines[start..].iter().position(|byte| *byte == b'\n').unwrap_or(lines.len() - start);
        match lines[start..start + length].cmp(wanted) {
            core::cmp::Ordering::Equal => return true,
            core::cmp::Ordering::Less => lines = lines.get(start + length + 1..).unwrap_or_default(),
            core::cmp::Ordering::Greater => lines = &lines[..start],
        }
    }
    false
}

#[derive(Clone, Copy)]
enum EntryKind {
    Directory,
    Link,
    File,
    Unknown,
}

impl EntryKind {
    /// Returns the kind, looked up where the file system does not tell it with the name.
    fn of(self, path: &Path) -> Self {
        let flags = sys::O_RDONLY | sys::O_DIRECTORY | sys::O_NOFOLLOW;
        match self {
            EntryKind::Unknown if sys::read_link(path.c_str(), &mut [0; 4096]).is_some() => EntryKind::Link,
            EntryKind::Unknown if sys::open(path.c_str(), flags, 0).is_ok() => EntryKind::Directory,
            EntryKind::Unknown => EntryKind::File,
            known => known,
        }
    }
}

/// Calls for each entry of an open directory but `.` and `..`.
fn each_entry(fd: sys::Fd, mut each: impl FnMut(&[u8], EntryKind) -> Result<(), Errno>) -> Result<(), Errno> {
    // struct linux_dirent64: inode (8), offset (8), record length (2), kind (1), name with NUL.
    let mut buffer = [0_u8; 2048];
    loop {
        let mut rest = match sys::entries(fd, &mut buffer)? {
            0 => return Ok(()),
            count => &buffer[..count],
        };
        while let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, low, high, kind, name @ ..] = rest {
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let kind = match kind {
                4 => EntryKind::Directory,
                8 => EntryKind::File,
                10 => EntryKind::Link,
                _ => EntryKind::Unknown,
            };
            if name != b"." && name != b".." {
                each(name, kind)?;
            }
            let length = usize::from(u16::from_ne_bytes([*low, *high]));
            rest = rest.get(length.max(1)..).unwrap_or_default();
        }
    }
}

fn is_empty() -> Result<bool, Errno> {
    let mut empty = true;
    let directory = sys::open(c"/var", sys::O_RDONLY | sys::O_DIRECTORY, 0)?;
    each_entry(directory.0, |name, _| {
        empty &= name == b"lost+found";
        Ok(())
    })?;
    Ok(empty)
}

/// Removes all below a directory, but for our mark at the top.
fn clear(path: &mut Path, depth: usize) -> Result<(), Errno> {
    let flags = sys::O_RDONLY | sys::O_DIRECTORY | sys::O_NOFOLLOW;
    // A listing under removal may skip names on some file systems, so it is read until nothing is left.
    loop {
        let directory = match sys::open(path.c_str(), flags, 0) {
            Err(_) if sys::chmod(path.c_str(), 0o700).is_ok() => sys::open(path.c_str(), flags, 0)?,
            other => other?,
        };
        let mut removed = false;
        each_entry(directory.0, |name, kind| {
            if depth == 0 && (name == b".tinyroot" || name == b"lost+found") {
                return Ok(());
            }
            let Some(length) = path.push(name) else { return Ok(()) };
            let kind = kind.of(path);
            if let EntryKind::Directory = kind {
                clear(path, depth + 1)?;
            }
            sys::remove(path.c_str(), matches!(kind, EntryKind::Directory))?;
            removed = true;
            path.cut(length);
            Ok(())
        })?;
        if !removed {
            return Ok(());
        }
    }
}
