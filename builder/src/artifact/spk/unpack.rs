//! A package as a directory, as Sandstorm's `unpack` makes it.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps, mkdirat, open, openat, renameat,
    renameat_with, symlinkat, utimensat,
};

use crate::{
    artifact::ArtifactError,
    error::{At as _, PathError},
    files,
    formats::{
        capnp::Span,
        spk::{Item, ItemKind},
    },
    shutdown::CleanupGuard,
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

/// Writes a package's contents to a directory.
///
/// Files are 0666 or 0777 less the umask, directories 0777 less the umask; times are those of the package;
/// link targets are taken verbatim.
pub fn unpack(tree: &Tree, items: &[Item], store: &Store, directory: &Path) -> Result<(), ArtifactError> {
    if fs::symlink_metadata(directory).is_ok() {
        return Err(ArtifactError::Exists(directory.to_path_buf()));
    }
    let parent = directory.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fresh = tempfile::Builder::new().prefix(".tinyroot-unpack-").tempdir_in(parent);
    let fresh = fresh.at("create a directory in", parent)?;
    let _cleanup = CleanupGuard::new(fresh.path());
    let root = fresh.path().join("root");
    files::create_dir(&root)?;
    let handle = open(&root, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty());
    let handle = handle.at("open", &root)?;
    let mut writer =
        Writer { store, tree, open: vec![Level { path: TreePath::root(), handle, times: None }] };
    for item in items {
        writer.write(item).at("write", directory.join(item.path.as_path()))?;
    }
    writer.leave(0).at("write", directory)?;
    match renameat_with(CWD, &root, CWD, directory, RenameFlags::NOREPLACE) {
        // Not every file system can refuse to replace; a directory only ever replaces an empty one.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => renameat(CWD, &root, CWD, directory),
        other => other,
    }
    .map_err(|e| match e {
        rustix::io::Errno::EXIST => ArtifactError::Exists(directory.to_path_buf()),
        _ => PathError::new("create", directory, e).into(),
    })
}

/// Returns the entries of a tree in the order in which they are unpacked, directories before what is in them.
/// Devices and pipes, which no package holds, are left out.
pub fn items_of(tree: &Tree) -> Vec<Item> {
    let item = |(path, entry): (&TreePath, &Entry)| {
        let kind = match &entry.kind {
            Kind::Directory => ItemKind::Directory,
            Kind::Symlink { target } => ItemKind::Symlink(target.clone()),
            Kind::File { size_bytes, .. } => {
                let span = Span { offset: 0, size_bytes: *size_bytes };
                ItemKind::File { span, executable: entry.mode & 0o100 != 0 }
            }
            Kind::Fifo | Kind::CharacterDevice { .. } | Kind::BlockDevice { .. } => return None,
        };
        let mtime_ns = entry.mtime_s.saturating_mul(1_000_000_000);
        Some(Item { path: path.clone(), kind, mtime_ns })
    };
    tree.iter().filter(|(path, _)| !path.is_root()).filter_map(item).collect()
}

/// A directory that is being filled; its times are set when it is left.
struct Level {
    path: TreePath,
    handle: OwnedFd,
    times: Option<Timestamps>,
}

struct Writer<'a> {
    store: &'a Store,
    tree: &'a Tree,
    open: Vec<Level>,
}

impl Writer<'_> {
    fn write(&mut self, item: &Item) -> io::Result<()> {
        let parent = item.path.parent().unwrap_or_default();
        let depth = self.open.iter().rposition(|level| level.path == parent);
        let depth =
            depth.ok_or_else(|| io::Error::other("internal error: a directory comes after its contents"))?;
        self.leave(depth + 1)?;
        let at = self.open[depth].handle.as_fd();
        let name = item.path.file_name();
        let times = times(item.mtime_ns);
        match &item.kind {
            ItemKind::Directory => {
                mkdirat(at, name, Mode::from_raw_mode(0o777))?;
                let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                let handle = openat(at, name, flags, Mode::empty())?;
                self.open.push(Level { path: item.path.clone(), handle, times: Some(times) });
            }
            ItemKind::Symlink(target) => {
                symlinkat(&target[..], at, name)?;
                utimensat(at, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            ItemKind::File { executable, .. } => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                let mode = Mode::from_raw_mode(if *executable { 0o777 } else { 0o666 });
                let file = File::from(openat(at, name, flags, mode)?);
                self.fill(&item.path, &file)?;
                rustix::fs::futimens(&file, &times)?;
            }
        }
        Ok(())
    }

    fn fill(&self, path: &TreePath, file: &File) -> io::Result<()> {
        let digest = self.tree.get(path.as_bytes()).and_then(|entry| entry.kind.content());
        let (digest, _) =
            digest.ok_or_else(|| io::Error::other("internal error: a file without contents"))?;
        self.store.blob(&digest).map_err(io::Error::other)?.copy_to(file)
    }

    /// Sets the times of the directories below a depth and forgets them.
    fn leave(&mut self, depth: usize) -> io::Result<()> {
        while self.open.len() > depth {
            let level = self.open.pop().expect("it is not empty");
            if let Some(times) = level.times {
                rustix::fs::futimens(&level.handle, &times)?;
            }
        }
        Ok(())
    }
}

fn times(mtime_ns: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime_ns.div_euclid(1_000_000_000),
        tv_nsec: mtime_ns.rem_euclid(1_000_000_000) as _,
    };
    Timestamps { last_access: time, last_modification: time }
}
