//! A tree as a directory, a directory as a tree, a tree as a tar.
//!
//! Comes in: a [`Tree`] and the [`Store`] with its contents, or a directory. Goes out: the other
//! of the two. Each directory is opened through a handle of the root, never through a symbolic
//! link, and each name in it is used alone; so neither a tree nor a directory that changes
//! meanwhile escapes. The result never depends on umask, user, clock or cores.

mod directory;
mod scan;
mod tar;

pub use scan::{scan, survey};
pub use tar::{TarOptions, write_tar};

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown,
    fsetxattr, futimens, linkat, mkdirat, mknodat, openat, symlinkat, utimensat,
};

use crate::{
    error::{Hint, PathError},
    store::{Store, StoreError},
    threads,
    tree::{Entry, Kind, Tree, TreePath},
};

/// A tree that cannot be written out, or a directory that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The directory itself cannot be used; the path is one of the host.
    #[error(transparent)]
    Root(#[from] PathError),
    /// One entry below it cannot be made or read.
    #[error("cannot {operation} /{path} of the root")]
    Entry {
        /// The operation.
        operation: &'static str,
        /// The entry.
        path: TreePath,
        /// The kernel's error.
        source: io::Error,
    },
    /// Contents are missing or unreadable.
    #[error("cannot get the contents of /{path}")]
    Contents {
        /// The file.
        path: TreePath,
        /// The store's error.
        source: StoreError,
    },
    /// The tree holds an entry whose parent is missing or no directory.
    #[error("/{path} does not lie in a directory of its tree")]
    NoParent {
        /// The entry.
        path: TreePath,
    },
    /// A name or path that is too long for a tree.
    #[error("an entry of the root has an impossible name")]
    Name(#[source] crate::tree::InvalidPath),
    /// A file got other contents while it was read.
    #[error("/{path} changed while it was read")]
    Changed {
        /// The file.
        path: TreePath,
    },
    /// More entries than are read.
    #[error("it has more than {limit} entries")]
    Many {
        /// How many there may be.
        limit: usize,
    },
    /// A tar stream cannot be written.
    #[error("cannot write the tar")]
    Tar(#[source] io::Error),
}

impl Hint for RenderError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            RenderError::Root(error) => error.hint(),
            RenderError::Contents { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// The treatment of device nodes, which only real root can make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// They are left out.
    #[default]
    Skip,
    /// An empty file stands in their place, for a bind mount.
    Placeholder,
    /// They are made.
    Make,
}

/// How a tree is rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// Give entries their owners (needs root or a namespace with these ids); else the caller owns all.
    pub owners: bool,
    /// The treatment of device nodes.
    pub devices: Devices,
}

/// Renders a tree into a directory, which is made if needed; nothing that lies there is replaced.
///
/// Modes and times are the tree's, extended attributes too as far as the caller may set them
/// (file capabilities need root); hard links stay hard links.
///
/// # Errors
/// A path that exists already, and errors of kernel and store. Files made so far stay.
pub fn render(
    tree: &Tree,
    store: &Store,
    directory: &Path,
    options: RenderOptions,
) -> Result<(), RenderError> {
    let root = directory::open_root(directory)?;
    let job = Job { tree, store, root: &root, options };
    job.check_parents()?;
    job.make_directories()?;
    job.in_parallel()?;
    job.link()?;
    job.finish_directories()
}

struct Job<'a> {
    tree: &'a Tree,
    store: &'a Store,
    root: &'a OwnedFd,
    options: RenderOptions,
}

impl Job<'_> {
    fn check_parents(&self) -> Result<(), RenderError> {
        for (path, _) in self.tree.iter() {
            let Some(parent) = path.parent_bytes() else { continue };
            let there = self.tree.get(parent).is_some_and(|e| e.kind.is_directory());
            if !there && !parent.is_empty() {
                return Err(RenderError::NoParent { path: path.clone() });
            }
        }
        Ok(())
    }

    fn directories(&self) -> impl DoubleEndedIterator<Item = (&TreePath, &Entry)> {
        self.tree.iter().filter(|(_, entry)| entry.kind.is_directory())
    }

    /// Makes all directories, still open to the owner; a parent sorts before its entries.
    fn make_directories(&self) -> Result<(), RenderError> {
        let mut opened: Option<(Vec<u8>, OwnedFd)> = None;
        for (path, _) in self.directories().filter(|(path, _)| !path.is_root()) {
            let parent = path.parent_bytes().expect("only the root has none");
            if opened.as_ref().is_none_or(|(known, _)| known != parent) {
                let fd =
                    directory::open(self.root, parent).map_err(|e| failed("open the parent of", path, e))?;
                opened = Some((parent.to_vec(), fd));
            }
            let (_, fd) = opened.as_ref().expect("set above");
            mkdirat(fd, path.file_name(), Mode::RWXU).map_err(|e| failed("create", path, e))?;
        }
        Ok(())
    }

    /// Makes all else but further names of hard links, one directory after another, on all cores.
    fn in_parallel(&self) -> Result<(), RenderError> {
        let mut by_directory: BTreeMap<&[u8], Vec<(&TreePath, &Entry)>> = BTreeMap::new();
        for (path, entry) in self.tree.iter() {
            let further = matches!(&entry.kind, Kind::File { hard_link: Some(_), .. });
            if let Some(parent) = path.parent_bytes().filter(|_| !entry.kind.is_directory() && !further) {
                by_directory.entry(parent).or_default().push((path, entry));
            }
        }
        let work: Vec<_> = by_directory.into_iter().collect();
        threads::try_for_each(&work, |(parent, entries)| {
            let first = entries.first().expect("a directory is listed for an entry").0;
            let parent =
                directory::open(self.root, parent).map_err(|e| failed("open the parent of", first, e))?;
            entries.iter().try_for_each(|(path, entry)| self.make(&parent, path, entry))
        })
    }

    fn make(&self, parent: &OwnedFd, path: &TreePath, entry: &Entry) -> Result<(), RenderError> {
        let name = path.file_name();
        match &entry.kind {
            Kind::File { digest, .. } => {
                let contents = |source| RenderError::Contents { path: path.clone(), source };
                let blob = self.store.blob(digest).map_err(contents)?;
                let file = create(parent, name).map_err(|e| failed("create", path, e))?;
                blob.copy_to(&file).map_err(|source| entry_error("write", path, source))?;
                self.set_metadata(&file, path, entry)
            }
            Kind::Symlink { target } => {
                symlinkat(&target[..], parent, name).map_err(|e| failed("create", path, e))?;
                self.set_metadata_at(parent, path, entry)
            }
            Kind::Fifo => self.make_node(parent, path, entry, FileType::Fifo, 0),
            Kind::CharacterDevice { major, minor } => {
                self.make_device(parent, path, entry, FileType::CharacterDevice, (*major, *minor))
            }
            Kind::BlockDevice { major, minor } => {
                self.make_device(parent, path, entry, FileType::BlockDevice, (*major, *minor))
            }
            Kind::Directory => unreachable!("directories are made before all else"),
        }
    }

    fn make_device(
        &self,
        parent: &OwnedFd,
        path: &TreePath,
        entry: &Entry,
        kind: FileType,
        (major, minor): (u32, u32),
    ) -> Result<(), RenderError> {
        match self.options.devices {
            Devices::Skip => Ok(()),
            Devices::Placeholder => {
                create(parent, path.file_name()).map(drop).map_err(|e| failed("create", path, e))
            }
            Devices::Make => self.make_node(parent, path, entry, kind, rustix::fs::makedev(major, minor)),
        }
    }

    fn make_node(
        &self,
        parent: &OwnedFd,
        path: &TreePath,
        entry: &Entry,
        kind: FileType,
        device: u64,
    ) -> Result<(), RenderError> {
        mknodat(parent, path.file_name(), kind, Mode::RUSR | Mode::WUSR, device)
            .map_err(|e| failed("create", path, e))?;
        self.set_metadata_at(parent, path, entry)?;
        // The node was made here a moment ago, in a directory that was made here too.
        rustix::fs::chmodat(parent, path.file_name(), Mode::from_raw_mode(entry.mode), AtFlags::empty())
            .map_err(|e| failed("set the mode of", path, e))
    }

    fn link(&self) -> Result<(), RenderError> {
        for (path, entry) in self.tree.iter() {
            let Kind::File { hard_link: Some(first), .. } = &entry.kind else { continue };
            let parent_of = |path: &TreePath| {
                let parent = path.parent_bytes().expect("a file is not the root");
                directory::open(self.root, parent).map_err(|e| failed("open the parent of", path, e))
            };
            let (from, to) = (parent_of(first)?, parent_of(path)?);
            linkat(&from, first.file_name(), &to, path.file_name(), AtFlags::empty())
                .map_err(|e| failed("link", path, e))?;
        }
        Ok(())
    }

    /// Sets what the making of entries would have changed, and closes directories that are meant
    /// to be closed; the deepest first.
    fn finish_directories(&self) -> Result<(), RenderError> {
        for (path, entry) in self.directories().rev() {
            let fd = directory::open(self.root, path.as_bytes()).map_err(|e| failed("open", path, e))?;
            self.set_metadata(&fd, path, entry)?;
        }
        Ok(())
    }

    fn set_metadata(&self, fd: impl AsFd, path: &TreePath, entry: &Entry) -> Result<(), RenderError> {
        let fd = fd.as_fd();
        if self.options.owners {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            fchown(fd, Some(uid), Some(gid)).map_err(|e| failed("set the owner of", path, e))?;
        }
        // After the owner, because a new owner clears setuid and file capabilities.
        fchmod(fd, Mode::from_raw_mode(entry.mode)).map_err(|e| failed("set the mode of", path, e))?;
        for (name, value) in &entry.xattrs {
            match fsetxattr(fd, &name[..], value, XattrFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::PERM | rustix::io::Errno::NOTSUP) => {}
                Err(error) => return Err(failed("set an attribute of", path, error)),
            }
        }
        futimens(fd, &times(entry)).map_err(|e| failed("set the time of", path, e))
    }

    fn set_metadata_at(&self, parent: &OwnedFd, path: &TreePath, entry: &Entry) -> Result<(), RenderError> {
        let name = path.file_name();
        if self.options.owners {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| failed("set the owner of", path, e))?;
        }
        utimensat(parent, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| failed("set the time of", path, e))
    }
}

fn create(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.mtime_s, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn entry_error(operation: &'static str, path: &TreePath, source: io::Error) -> RenderError {
    RenderError::Entry { operation, path: path.clone(), source }
}

fn failed(operation: &'static str, path: &TreePath, error: rustix::io::Errno) -> RenderError {
    entry_error(operation, path, error.into())
}

#[cfg(test)]
mod tests;
