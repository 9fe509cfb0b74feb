//! A directory as a tree, its new contents into a bundle.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::OnceLock,
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, Stat, chmodat, fchmod, fgetxattr, fstat, openat, readlinkat,
        statat,
    },
    io::Errno,
};

use super::{RenderError, directory, entry_error, failed};
use crate::{
    digest::{Digest, Hasher},
    store::BundleWriter,
    threads,
    tree::{Entry, Kind, Tree, TreePath},
};

/// The extended attributes that belong to a root; others are the host's or overlayfs' business.
const XATTRS: [&str; 3] = ["security.capability", "system.posix_acl_access", "system.posix_acl_default"];

/// Reads a directory as a tree and adds the contents that `known` does not hold to the bundle.
///
/// `known` must name only contents that every reader of the bundle will have loaded as well, such
/// as those of the packages ([`Unpacked::contents`](crate::unpack::Unpacked::contents)).
/// `ids` turns the owner and group on disk into those of the tree. Links are never followed;
/// sockets are left out; other mounts appear as empty directories. Files and directories that
/// the caller owns but may not read get their mode changed for as long as they are read.
///
/// # Errors
/// The kernel's error, with the path; files that change meanwhile.
pub fn scan(
    directory: &Path,
    bundle: &mut BundleWriter<'_>,
    known: &HashSet<Digest>,
    ids: &(dyn Fn(u32, u32) -> (u32, u32) + Sync),
) -> Result<Tree, RenderError> {
    read(&directory::open_root(directory)?, ids, Closed::Open, |root, files, found| {
        store_new(root, bundle, known, files, found)
    })
}

/// Most entries of a directory that is only looked at; in memory each takes some hundred bytes.
const MOST_ENTRIES: usize = 2_000_000;

/// Reads a directory as a tree, as [`scan`] does, and changes nothing on the disk: what may not be read is an
/// error, and contents are kept nowhere, but given to `keep` where `wanted` says so of path and size.
///
/// # Errors
/// As [`scan`]; and a directory with more than 2 000 000 entries.
pub fn survey(
    directory: &Path,
    wanted: &dyn Fn(&TreePath, u64) -> bool,
    mut keep: impl FnMut(Vec<u8>),
) -> Result<Tree, RenderError> {
    let root = directory::open_existing(directory)?;
    let top = fstat(&root).map_err(|e| failed("read", &TreePath::root(), e))?;
    // A directory's own owner stands for root, as whoever unpacked it has all of it.
    let ids = move |uid: u32, gid: u32| {
        (if uid == top.st_uid { 0 } else { uid }, if gid == top.st_gid { 0 } else { gid })
    };
    read(&root, &ids, Closed::Refuse, |root, files, found| {
        for (paths, found) in files.iter().zip(found) {
            let path = &paths[0];
            if !paths.iter().any(|path| wanted(path, found.size_bytes)) {
                continue;
            }
            let bytes = with_file(root, path, Closed::Refuse, |file| {
                let mut bytes = Vec::new();
                let mut limited = file.take(found.size_bytes + 1);
                limited.read_to_end(&mut bytes).map_err(|e| entry_error("read", path, e))?;
                Ok(bytes)
            })?;
            if Digest::of(&bytes) != found.digest {
                return Err(RenderError::Changed { path: path.clone() });
            }
            keep(bytes);
        }
        Ok(())
    })
}

/// What is done about files and directories whose mode keeps their owner from reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// Their mode is changed for as long as they are read.
    Open,
    /// They are an error.
    Refuse,
}

/// Reads a directory as a tree. `visit` is given the names of each regular file and what was found in it.
fn read(
    root: &OwnedFd,
    ids: &(dyn Fn(u32, u32) -> (u32, u32) + Sync),
    closed: Closed,
    visit: impl FnOnce(&OwnedFd, &[Vec<TreePath>], &[Found]) -> Result<(), RenderError>,
) -> Result<Tree, RenderError> {
    let top = fstat(root).map_err(|e| failed("read", &TreePath::root(), e))?;
    let mut walk = Walk {
        root,
        ids,
        closed,
        device: top.st_dev,
        tree: Tree::new(),
        inodes: BTreeMap::new(),
        opened: Vec::new(),
    };
    walk.note(TreePath::root(), &top, Kind::Directory);
    let read = walk.list_all().and_then(|()| {
        let files = walk.groups();
        let found = hash(root, &files, closed)?;
        visit(root, &files, &found)?;
        Ok((files, found))
    });
    // Whatever happened, directories are left as they were.
    let closed = walk.close();
    let (files, found) = read?;
    closed?;
    let mut tree = walk.tree;
    for (paths, found) in files.iter().zip(found) {
        for path in paths {
            let entry = tree.get_mut(path.as_bytes()).expect("the walk has put it there");
            entry.xattrs.clone_from(&found.xattrs);
            let hard_link = (*path != paths[0]).then(|| paths[0].clone());
            entry.kind = Kind::File { digest: found.digest, size_bytes: found.size_bytes, hard_link };
        }
    }
    Ok(tree)
}

fn store_new(
    root: &OwnedFd,
    bundle: &mut BundleWriter<'_>,
    known: &HashSet<Digest>,
    files: &[Vec<TreePath>],
    found: &[Found],
) -> Result<(), RenderError> {
    let mut stored = HashSet::new();
    for (paths, found) in files.iter().zip(found) {
        let path = &paths[0];
        if known.contains(&found.digest) || !stored.insert(found.digest) {
            continue;
        }
        let (digest, _) = with_file(root, path, Closed::Open, |file| {
            bundle.add(file).map_err(|e| entry_error("store", path, e))
        })?;
        if digest != found.digest {
            return Err(RenderError::Changed { path: path.clone() });
        }
    }
    Ok(())
}

struct Walk<'a> {
    root: &'a OwnedFd,
    ids: &'a (dyn Fn(u32, u32) -> (u32, u32) + Sync),
    closed: Closed,
    device: u64,
    tree: Tree,
    /// Device and inode of each regular file.
    inodes: BTreeMap<TreePath, (u64, u64)>,
    /// Directories that had to be opened to be read, and their modes.
    opened: Vec<(TreePath, Mode)>,
}

impl Walk<'_> {
    fn note(&mut self, path: TreePath, stat: &Stat, kind: Kind) {
        let (uid, gid) = (self.ids)(stat.st_uid, stat.st_gid);
        let mtime_s = stat.st_mtime;
        let mode = stat.st_mode & 0o7777;
        self.tree.insert(path, Entry { kind, mode, uid, gid, mtime_s, xattrs: BTreeMap::new() });
    }

    fn list_all(&mut self) -> Result<(), RenderError> {
        let mut pending = vec![TreePath::root()];
        while let Some(path) = pending.pop() {
            self.list(&path, &mut pending)?;
        }
        Ok(())
    }

    fn list(&mut self, directory: &TreePath, pending: &mut Vec<TreePath>) -> Result<(), RenderError> {
        let fd = self.open(directory).map_err(|e| failed("open", directory, e))?;
        let xattrs = xattrs(&fd).map_err(|e| failed("read the attributes of", directory, e))?;
        self.tree.get_mut(directory.as_bytes()).expect("noted before it is listed").xattrs = xattrs;
        let entries = Dir::read_from(&fd).map_err(|e| failed("list", directory, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| failed("list", directory, e))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let path = directory.join(name).map_err(RenderError::Name)?;
                if self.closed == Closed::Refuse && self.tree.len() >= MOST_ENTRIES {
                    return Err(RenderError::Many { limit: MOST_ENTRIES });
                }
                self.enter(&fd, path, pending)?;
            }
        }
        Ok(())
    }

    /// Opens a directory so that its entries can be opened too.
    fn open(&mut self, path: &TreePath) -> rustix::io::Result<OwnedFd> {
        let mode = self.tree.get(path.as_bytes()).expect("noted before it is opened").mode;
        let fd = directory::open(self.root, path.as_bytes());
        let usable = match &fd {
            // Reading needs r, which opening shows; searching needs x.
            Ok(fd) => mode & 0o100 != 0 || statat(fd, ".", AtFlags::empty()).is_ok(),
            Err(error) if *error != Errno::ACCESS || path.is_root() => return fd,
            Err(_) => false,
        };
        if usable || self.closed == Closed::Refuse {
            return fd;
        }
        let parent = directory::open(self.root, path.parent_bytes().unwrap_or_default())?;
        let name = if path.is_root() { b"." } else { path.file_name() };
        chmodat(&parent, name, Mode::from_raw_mode(mode | 0o500), AtFlags::empty())?;
        self.opened.push((path.clone(), Mode::from_raw_mode(mode)));
        directory::open(self.root, path.as_bytes())
    }

    /// Gives opened directories their modes back, those below others first.
    fn close(&mut self) -> Result<(), RenderError> {
        let mut result = Ok(());
        for (path, mode) in self.opened.drain(..).rev() {
            let restored = directory::open(self.root, path.as_bytes()).and_then(|fd| fchmod(&fd, mode));
            result = result.and(restored.map_err(|e| failed("restore the mode of", &path, e)));
        }
        result
    }

    fn enter(
        &mut self,
        parent: &OwnedFd,
        path: TreePath,
        pending: &mut Vec<TreePath>,
    ) -> Result<(), RenderError> {
        let name = path.file_name();
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| failed("read", &path, e))?;
        let device = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                if stat.st_dev == self.device {
                    pending.push(path.clone());
                }
                Kind::Directory
            }
            FileType::RegularFile => {
                self.inodes.insert(path.clone(), (stat.st_dev, stat.st_ino));
                // The digest follows when all files are known.
                Kind::File { digest: Digest([0; 32]), size_bytes: 0, hard_link: None }
            }
            FileType::Symlink => {
                let target = readlinkat(parent, name, Vec::new()).map_err(|e| failed("read", &path, e))?;
                Kind::Symlink { target: target.into_bytes() }
            }
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::CharacterDevice { major: device.0, minor: device.1 },
            FileType::BlockDevice => Kind::BlockDevice { major: device.0, minor: device.1 },
            // A socket is the trace of a running program, not a part of a root.
            _ => return Ok(()),
        };
        self.note(path, &stat, kind);
        Ok(())
    }

    /// Returns the names of each inode, in path order.
    fn groups(&self) -> Vec<Vec<TreePath>> {
        let mut at: HashMap<(u64, u64), usize> = HashMap::new();
        let mut groups: Vec<Vec<TreePath>> = Vec::new();
        for (path, inode) in &self.inodes {
            let index = *at.entry(*inode).or_insert(groups.len());
            if index == groups.len() {
                groups.push(Vec::new());
            }
            groups[index].push(path.clone());
        }
        groups
    }
}

struct Found {
    digest: Digest,
    size_bytes: u64,
    xattrs: Xattrs,
}

type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Digests the files on all cores; one result a group.
fn hash(root: &OwnedFd, groups: &[Vec<TreePath>], closed: Closed) -> Result<Vec<Found>, RenderError> {
    let found: Vec<OnceLock<Found>> = groups.iter().map(|_| OnceLock::new()).collect();
    let work: Vec<_> = groups.iter().zip(&found).collect();
    threads::try_for_each(&work, |(paths, slot)| {
        let path = &paths[0];
        let answer = with_file(root, path, closed, |file| {
            let xattrs = xattrs(file).map_err(|e| failed("read the attributes of", path, e))?;
            let (digest, size_bytes) = digest(file).map_err(|e| entry_error("read", path, e))?;
            Ok(Found { digest, size_bytes, xattrs })
        })?;
        // Each slot is worked on once.
        let _ = slot.set(answer);
        Ok::<_, RenderError>(())
    })?;
    Ok(found.into_iter().map(|slot| slot.into_inner().expect("all work is done")).collect())
}

fn digest(mut file: &File) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new(io::sink());
    let mut buffer = [0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.write_all(&buffer[..count])?,
        }
    }
    let (digest, size_bytes, _) = hasher.finish();
    Ok((digest, size_bytes))
}

/// Opens a regular file for reading, gives it to `read`, and leaves its mode as it was.
fn with_file<T>(
    root: &OwnedFd,
    path: &TreePath,
    closed: Closed,
    read: impl FnOnce(&File) -> Result<T, RenderError>,
) -> Result<T, RenderError> {
    let failed = |e| failed("open", path, e);
    let parent = path.parent_bytes().expect("a file is not the root");
    let parent = directory::open(root, parent).map_err(failed)?;
    // Not blocking, should it have become a pipe meanwhile.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = || openat(&parent, path.file_name(), flags, Mode::empty());
    let mut opened = None;
    let fd = match open() {
        Err(Errno::ACCESS) if closed == Closed::Open => {
            let stat = statat(&parent, path.file_name(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(RenderError::Changed { path: path.clone() });
            }
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
            chmodat(&parent, path.file_name(), mode | Mode::RUSR, AtFlags::empty()).map_err(failed)?;
            opened = Some(mode);
            open()
        }
        other => other,
    };
    let file = File::from(fd.map_err(failed)?);
    let stat = fstat(&file).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(RenderError::Changed { path: path.clone() });
    }
    let answer = read(&file);
    if let Some(mode) = opened {
        fchmod(&file, mode).map_err(failed)?;
    }
    answer
}

fn xattrs(fd: impl AsFd) -> rustix::io::Result<Xattrs> {
    let mut found = Xattrs::new();
    for name in XATTRS {
        let mut value = [0_u8; 1024];
        match fgetxattr(fd.as_fd(), name, &mut value[..]) {
            Ok(length) => {
                found.insert(name.as_bytes().to_vec(), value[..length].to_vec());
            }
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
