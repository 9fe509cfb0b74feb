//! A grain's `/var`, filled from the skeleton `/tinyroot/var` when it is new.
//!
//! `/var/.tinyroot` tells how far that came, so that a kill at any time is made good at the next start:
//!
//! | it holds | meaning | what is done |
//! |---|---|---|
//! | – and `/var` is fresh | a new grain | it is written as `begun`, then `/var` is filled, setup run |
//! | – and `/var` has something | data brought by someone else | kept; what is missing is filled in, setup run |
//! | `begun` | a kill came in between | all else in `/var` is removed, then as for a new grain |
//! | `filled DIGEST` | whoever made the grain filled it from the skeleton of that digest | it is written as `begun`, then setup run |
//! | `ready DIGEST` | set up, with the skeleton of that digest | nothing; another digest: an upgrade ([`upgrade`](crate::upgrade)) |
//!
//! A fresh `/var` has no files but those that a container engine copied there from the image: what `dpkg` knows of the package. Directories it
//! may have, as file systems and engines make them (`lost+found`, the places of mounts).
//!
//! `/var/.tinyroot.copied` is `/tinyroot/copied` as it was then: what a later version is merged with.

use core::ffi::CStr;

use crate::{
    arena::Arena,
    config::slurp,
    log::{self, Fault},
    path::Path,
    sys::{self, Errno},
    upgrade,
};

const MARK: &CStr = c"/var/.tinyroot";
const NEW_MARK: &CStr = c"/var/.tinyroot.new";
const COPIED: &CStr = c"/tinyroot/copied";
const MODES: &CStr = c"/tinyroot/modes";
const REMEMBERED: &CStr = c"/var/.tinyroot.copied";
/// Where the skeleton lies.
pub const SKELETON: &[u8] = b"/tinyroot/var";

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
pub struct Filler {
    /// Which files are copied.
    pub copied: List,
    /// What an earlier start of this grain copied; `None` on its first start.
    pub before: Option<List>,
    /// The modes of files and directories that keep others out, by their paths in the root.
    pub modes: List,
    /// Where one is in the skeleton.
    pub from: Path,
    /// Where that is in `/var`.
    pub to: Path,
}

/// The lines of a `/tinyroot/copied` after its first: each a path, escaped, and a word, in the order of the paths.
#[derive(Clone, Copy)]
pub struct List(pub &'static [u8]);

/// Brings `/var` to the state that setup or services expect.
pub fn prepare(arena: &mut Arena) -> Result<State, Fault> {
    let list = slurp(arena, COPIED)?;
    let wrong = Fault {
        what: "a first line that this program does not know in",
        subject: b"/tinyroot/copied",
        errno: 0,
    };
    let (digest, copied) = List::parse(list).ok_or(wrong)?;
    let modes = if sys::exists(MODES) { slurp(arena, MODES)? } else { b"" };
    let modes = List(modes.strip_prefix(b"tinyroot-modes 1\n").unwrap_or_default());

    let mark = if sys::exists(MARK) { slurp(arena, MARK)? } else { b"" };
    if let Some(old) = mark.strip_prefix(b"ready ") {
        if old.strip_suffix(b"\n") != Some(digest) {
            log::line(&[b"/var is of another version: merged with this one"]);
            // A grain that an older tinyroot made has no list.
            let before = if sys::exists(REMEMBERED) { slurp(arena, REMEMBERED)? } else { b"" };
            let before = List::parse(before).map_or(List(b""), |(_, before)| before);
            let mut filler = Filler::new(copied, Some(before), modes);
            filler.fill()?;
            upgrade::remove_dropped(&mut filler)?;
            remember(list)?;
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
    } else if is_fresh(&mut Path::new(b"/var"), 0).map_err(|errno| Fault {
        what: "cannot read",
        subject: b"/var",
        errno,
    })? {
        begin().map_err(|errno| Fault { what: "cannot write", subject: MARK.to_bytes(), errno })?;
    } else {
        log::line(&[b"/var holds data but no mark of ours: kept, and set up"]);
    }
    remember(list)?;
    Filler::new(copied, None, modes).fill()?;
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

fn write_mark(words: &[&[u8]]) -> Result<(), Fault> {
    write(MARK, &[words, &[b"\n"]])
}

/// Keeps the list of what is copied for the next upgrade.
fn remember(list: &[u8]) -> Result<(), Fault> {
    write(REMEMBERED, &[&[list]])
}

/// Writes a file beside and renames it, so that there is never half a one.
fn write(path: &'static CStr, parts: &[&[&[u8]]]) -> Result<(), Fault> {
    let written = (|| {
        let file = sys::open(NEW_MARK, sys::O_WRONLY | sys::O_CREAT | sys::O_TRUNC, 0o600)?;
        for part in parts.iter().copied().flatten() {
            sys::write_all(file.0, part)?;
        }
        sys::fsync(file.0)?;
        sys::rename(NEW_MARK, path)
    })();
    written.map_err(|errno| Fault { what: "cannot write", subject: path.to_bytes(), errno })
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
pub fn present(result: Result<(), Errno>) -> Result<(), Errno> {
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

impl List {
    /// Returns the digest of the first line, and the list.
    fn parse(text: &'static [u8]) -> Option<(&'static [u8], Self)> {
        let end = text.iter().position(|byte| *byte == b'\n')?;
        Some((text[..end].strip_prefix(b"tinyroot-copied 2 ")?, List(&text[end + 1..])))
    }

    /// Returns the word of a path below `/var`; `None` if it is not in the list.
    pub fn word(self, path: &[u8]) -> Option<&'static [u8]> {
        if self.0 == b"*\n" {
            return Some(b"-");
        }
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
        find(self.0, &escaped[..length])
    }
}

impl Filler {
    fn new(copied: List, before: Option<List>, modes: List) -> Self {
        Filler { copied, before, modes, from: Path::new(SKELETON), to: Path::new(b"/var") }
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
        if self.before.is_some() { self.drop_stale_links() } else { Ok(()) }
    }

    fn entry(&mut self, kind: EntryKind, depth: usize) -> Result<(), Errno> {
        let mut target = [0_u8; 4096];
        match kind.of(&self.from) {
            EntryKind::Directory if depth < MAX_DEPTH => {
                let mode = self.listed_mode().map_or(0o755, |mode| mode | 0o700);
                present(sys::mkdir(self.to.c_str(), mode))?;
                if sys::open(self.to.c_str(), sys::O_RDONLY | sys::O_DIRECTORY, 0).is_err() {
                    log::line(&[self.to.as_bytes(), b" is no directory here: kept as it is"]);
                    return Ok(());
                }
                self.directory(depth + 1)
            }
            EntryKind::Link => {
                let length = sys::read_link(self.from.c_str(), &mut target[..4095]).map_or(0, <[u8]>::len);
                let target = CStr::from_bytes_until_nul(&target[..=length]).unwrap_or(c"");
                present(sys::symlink(target, self.to.c_str()))
            }
            EntryKind::File => {
                let word = self.copied.word(&self.from.as_bytes()[SKELETON.len() + 1..]);
                match (self.before, word) {
                    (Some(before), word) => upgrade::file(self, before, word),
                    (None, Some(_)) => present(self.copy(&self.to)),
                    (None, None) => present(sys::symlink(self.from.c_str(), self.to.c_str())),
                }
            }
            _ => Ok(()),
        }
    }

    /// Copies a file with its permissions and time. The access time is set to the same, so that
    /// with the usual `relatime` a first read shows.
    pub fn copy(&self, place: &Path) -> Result<(), Errno> {
        let from = sys::open(self.from.c_str(), sys::O_RDONLY, 0)?;
        let (mode, mtime_s) = sys::mode_and_mtime(from.0)?;
        let flags = sys::O_WRONLY | sys::O_CREAT | sys::O_EXCL;
        let mode = self.listed_mode().unwrap_or(mode & 0o777);
        let to = sys::open(place.c_str(), flags, mode | 0o600)?;
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
        let _ = sys::set_times(place.c_str(), mtime_s);
        Ok(())
    }

    /// Returns the permissions of what is present, where the root cannot show them, as in a `.spk`: the list has them.
    fn listed_mode(&self) -> Option<u32> {
        let word = self.modes.word(&self.from.as_bytes()[1..])?;
        Some(word.iter().fold(0, |mode, digit| mode << 3 | u32::from(digit & 7)) & 0o777)
    }

    /// Removes links of the present directory that point into the skeleton, at what is no longer there.
    fn drop_stale_links(&mut self) -> Result<(), Errno> {
        let to = sys::open(self.to.c_str(), sys::O_RDONLY | sys::O_DIRECTORY, 0)?;
        each_entry(to.0, |name, _| {
            let Some(length) = self.to.push(name) else { return Ok(()) };
            if upgrade::leads_into_skeleton(&self.to) && !sys::exists(self.to.c_str()) {
                sys::remove(self.to.c_str(), false)?;
            }
            self.to.cut(length);
            Ok(())
        })
    }
}

/// Deeper trees than this no package has.
const MAX_DEPTH: usize = 200;

/// Finds the line that begins with a word, in sorted lines of two, and returns the other word.
fn find<'a>(mut lines: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    while !lines.is_empty() {
        let middle = lines.len() / 2;
        let start = lines[..middle].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let length = lines[start..].iter().position(|byte| *byte == b'\n').unwrap_or(lines.len() - start);
        let line = &lines[start..start + length];
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(length);
        match line[..end].cmp(wanted) {
            core::cmp::Ordering::Equal => return line.get(end + 1..),
            core::cmp::Ordering::Less => lines = lines.get(start + length + 1..).unwrap_or_default(),
            core::cmp::Ordering::Greater => lines = &lines[..start],
        }
    }
    None
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

/// Says what is to be done where `/var` cannot be written.
pub fn explain(fault: &Fault) {
    let (mut digits, mut others) = ([0; 12], [0; 12]);
    let user = log::number(i64::from(sys::uid()), &mut digits, b"");
    match fault.errno {
        sys::EROFS => log::line(&[b"/var must be a volume that user ", user, b" can write to"]),
        sys::EACCES | sys::EPERM => {
            let owner = sys::open(c"/var", sys::O_PATH, 0).and_then(|var| sys::owner(var.0)).unwrap_or(0);
            let owner = log::number(i64::from(owner), &mut others, b"");
            let [whose, ours] = [&b"/var belongs to user "[..], b", and this is user "];
            log::line(&[whose, owner, ours, user, b": give the volume to it (chown -R ", user, ENGINES]);
        }
        _ => {}
    }
}

/// How engines give a volume to a user.
const ENGINES: &[u8] = b"; podman: -v VOLUME:/var:U; Kubernetes: fsGroup)";

/// What a container engine copies into a new volume: the package's own file, of which apps make no use.
const OF_DPKG: &[u8] = b"/var/lib/dpkg";

/// Returns whether nothing below a directory is anyone's data.
fn is_fresh(path: &mut Path, depth: usize) -> Result<bool, Errno> {
    let flags = sys::O_RDONLY | sys::O_DIRECTORY | sys::O_NOFOLLOW;
    let directory = sys::open(path.c_str(), flags, 0)?;
    let mut fresh = true;
    each_entry(directory.0, |name, kind| {
        if !fresh || depth == 0 && name == b"lost+found" {
            return Ok(());
        }
        let Some(length) = path.push(name) else { return Err(sys::ENAMETOOLONG) };
        fresh = match kind.of(path) {
            EntryKind::Directory if path.as_bytes() == OF_DPKG => true,
            // What cannot be looked into is someone's.
            EntryKind::Directory if depth < MAX_DEPTH => is_fresh(path, depth + 1).unwrap_or(false),
            _ => false,
        };
        path.cut(length);
        Ok(())
    })?;
    Ok(fresh)
}

/// Removes all below a directory, but for our mark at the top, what is the engine's, and directories that stay, as places of mounts do.
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
            match kind.of(path) {
                EntryKind::Directory if path.as_bytes() == OF_DPKG => {}
                EntryKind::Directory => {
                    clear(path, depth + 1)?;
                    removed |= sys::remove(path.c_str(), true).is_ok();
                }
                _ => {
                    sys::remove(path.c_str(), false)?;
                    removed = true;
                }
            }
            path.cut(length);
            Ok(())
        })?;
        if !removed {
            return Ok(());
        }
    }
}
