//! A pool: a directory with all that builds of recipes need and that a network would otherwise give.
//!
//! ```text
//! POOL/pool/…              the .debs of Debian's archive, each at its path in that archive
//! POOL/archives/NAME/…     the same of an archive beside it
//! POOL/npm/NAME/-/…        tarballs, as npm registries have them
//! POOL/dists/…             signed indexes, on request
//! POOL/tinyroot-pool       the mark of a directory that we made
//! ```
//!
//! Locks say what belongs in it, and all digests are in them: a build needs no index (only `lock --check`
//! does), and its files are not trusted. It has the layout of a mirror (any web server over it is one for
//! `--mirror`, and one for `--npm-registry` below `npm`). Builds only read it, so it may be another user's
//! and its file system mounted read-only. A file gets its name when it is complete, and modes that let
//! everybody read it, whatever the umask.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    atomic,
    download::{DownloadError, Downloader, LOGIN_HINT, Length, Wanted, describe, url_below},
    error::{At as _, Hint, PathError},
    files,
    formats::suite,
    progress::{Progress, Unit},
    sys::path::open_regular_through_links,
};

/// The mode of files.
const FILE_MODE: u32 = 0o644;
/// The mode of directories.
const DIRECTORY_MODE: u32 = 0o755;

/// The place of files that are being fetched.
const SCRATCH: &str = ".tinyroot-fetch-";

/// The mark of a pool. Files in any other directory must not be replaced or removed: it may be a mirror that
/// another tool keeps. It is not hidden, since CI services that keep directories between jobs may leave out
/// hidden files.
const MARK: &str = "tinyroot-pool";
const MARK_TEXT: &str =
    "`tinyroot fetch` made this directory; with --prune it removes the packages that no recipe needs.\n";

/// The contents of a new file system.
const LOST_AND_FOUND: &str = "lost+found";

/// A file that belongs in a pool.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where, below the pool.
    pub path: String,
    /// The file, and its possible sources.
    pub wanted: Wanted,
}

/// The result of filling a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Filled {
    /// How many files are needed, and are there now.
    pub files: usize,
    /// How many of them were fetched now.
    pub fetched: usize,
    /// Their size.
    pub fetched_bytes: u64,
    /// The paths of those of which something else was there.
    pub damaged: Vec<String>,
    /// The paths that were not needed and were removed.
    pub removed: Vec<String>,
}

impl Filled {
    /// Adds the results of further files.
    pub fn add(&mut self, other: Filled) {
        self.files += other.files;
        self.fetched += other.fetched;
        self.fetched_bytes += other.fetched_bytes;
        self.damaged.extend(other.damaged);
        self.removed.extend(other.removed);
    }
}

/// A pool that could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// A path that points out of the pool, or is not the name of a package.
    #[error("cannot keep {what} in a pool: `{path}` is not the path of a package")]
    Path {
        /// The package.
        what: String,
        /// Its path, as its lock has it.
        path: String,
    },
    /// Two recipes want other bytes at one place.
    #[error("cannot keep {what} in a pool twice: two recipes have other checksums for {path}")]
    Clash {
        /// The package.
        what: String,
        /// Where it would lie.
        path: String,
    },
    /// A directory that holds something and has no mark.
    #[error("cannot use {} as a pool: it is not empty, and `tinyroot fetch` did not make it", .0.display())]
    Foreign(PathBuf),
    /// Something else where a directory should be.
    #[error("cannot use {} as a directory of a pool: it is something else", .0.display())]
    NotDirectory(PathBuf),
    /// A directory where a package should be.
    #[error("cannot put {what} into the pool: {} is a directory", path.display())]
    Directory {
        /// The package.
        what: String,
        /// Where it belongs.
        path: PathBuf,
    },
    /// Files that could not be had; as many others as possible are in the pool.
    #[error("{}", describe(faults, *of, |path| path.clone()))]
    Fetch {
        /// Each path and its fault.
        faults: Vec<(String, DownloadError)>,
        /// How many files the pool lacked.
        of: usize,
    },
    /// The disk.
    #[error(transparent)]
    Io(#[from] PathError),
}

impl Hint for PoolError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        let text = match self {
            PoolError::Clash { .. } => "give each of these recipes a pool of its own",
            PoolError::Path { .. } => "make the lock anew with `tinyroot lock`",
            PoolError::Foreign(_) => "name a directory that is new or empty with --output DIR",
            PoolError::NotDirectory(_) => "remove it, or name another directory with --output DIR",
            PoolError::Directory { .. } => "remove this directory",
            PoolError::Fetch { faults, .. } if faults.iter().any(|(_, error)| is_of_disk(error)) => {
                "make room, or name another directory with --output DIR; what was fetched is in the pool"
            }
            PoolError::Fetch { faults, .. } if faults.iter().any(|(_, error)| error.has_page()) => LOGIN_HINT,
            PoolError::Fetch { .. } => {
                "name a further mirror with --mirror URL or a service of past states with --snapshot-service; \
                 what was fetched is in the pool"
            }
            PoolError::Io(error) => return error.hint(),
        };
        Some(text.into())
    }
}

fn is_of_disk(error: &DownloadError) -> bool {
    matches!(error, DownloadError::Write { .. })
}

/// Returns the base URL of Debian's archive in a pool, or of an archive beside it.
pub fn base(pool: &str, archive: Option<&str>) -> String {
    match archive {
        Some(name) => format!("file:{pool}/archives/{name}"),
        None => format!("file:{pool}"),
    }
}

/// Returns whether a pool has the signed indexes of a suite.
pub fn has_indexes(pool: &str, archive: Option<&str>, suite: &str) -> bool {
    let has = |name: &str| {
        Path::new(pool).join(path(&format!("{}{name}", suite::directory(suite)), archive)).is_file()
    };
    has("InRelease") || has("Release")
}

/// Returns the base URL of the registry in a pool.
pub fn npm_base(pool: &str) -> String {
    format!("file:{pool}/npm")
}

/// Returns the path below a pool of a file of an archive.
pub fn path(path: &str, archive: Option<&str>) -> String {
    match archive {
        Some(name) => format!("archives/{name}/{path}"),
        None => path.to_owned(),
    }
}

/// Checks that a directory may be filled and pruned: it has our mark, or is empty or not there yet.
///
/// # Errors
/// [`PoolError::Foreign`], [`PoolError::NotDirectory`] and [`PoolError::Io`].
pub fn check(pool: &Path) -> Result<(), PoolError> {
    let entries = match files::list(pool) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(PoolError::NotDirectory(pool.into()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut is_empty = true;
    for entry in entries {
        is_empty &= entry.file_name() == LOST_AND_FOUND;
    }
    // Looked for last: another process may make it at the same time.
    let is_ours = fs::symlink_metadata(pool.join(MARK)).is_ok_and(|found| found.is_file());
    if is_empty || is_ours { Ok(()) } else { Err(PoolError::Foreign(pool.into())) }
}

/// Makes a pool with its mark, if it is not there.
fn make(pool: &Path) -> Result<(), PoolError> {
    check(pool)?;
    make_directories(pool, Path::new(""))?;
    let mark = pool.join(MARK);
    let mut file = match File::options().write(true).create_new(true).open(&mark) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(PathError::new("make", &mark, error).into()),
    };
    let written = file.write_all(MARK_TEXT.as_bytes());
    let opened = written.and_then(|()| file.set_permissions(Permissions::from_mode(FILE_MODE)));
    Ok(opened.at("write", &mark)?)
}

/// Fills a pool, which is made if needed: good files stay, damaged ones are replaced with a warning.
///
/// # Errors
/// [`PoolError`]; files fetched so far are in the pool.
pub fn fill(
    pool: &Path,
    items: &[Item],
    downloader: &Downloader,
    progress: &Progress,
) -> Result<Filled, PoolError> {
    let items = by_path(items)?;
    make(pool)?;
    let mut filled = Filled { files: items.len(), ..Filled::default() };
    let mut missing: Vec<(Wanted, PathBuf)> = Vec::new();
    let task = progress.task("checking the pool", items.len() as u64, Unit::Items);
    for (path, wanted) in &items {
        let place = pool.join(path);
        if !is_right(&place, wanted) {
            if let Ok(found) = fs::symlink_metadata(&place) {
                if found.is_dir() {
                    return Err(PoolError::Directory { what: wanted.what.clone(), path: place });
                }
                progress.warn(&format!("{} is damaged; it is fetched again", place.display()));
                filled.damaged.push((*path).to_owned());
            }
            make_directories(pool, Path::new(path).parent().unwrap_or(Path::new("")))?;
            missing.push((Wanted { mode: FILE_MODE, ..(*wanted).clone() }, place));
        }
        task.add(1);
    }
    drop(task);
    if missing.is_empty() {
        return Ok(filled);
    }
    let scratch = atomic::Directory::make(pool, SCRATCH).at("make a directory in", pool)?;
    let total = missing.iter().map(|(wanted, _)| wanted.length.limit()).sum();
    let task = progress.task("fetching packages", total, Unit::Bytes);
    let errors = downloader.fetch_all(&missing, scratch.path(), &|bytes| task.add(bytes));
    drop(task);
    if !errors.is_empty() {
        let path = |place: &Path| place.strip_prefix(pool).unwrap_or(place).display().to_string();
        let faults = errors.into_iter().map(|(index, error)| (path(&missing[index].1), error)).collect();
        return Err(PoolError::Fetch { faults, of: missing.len() });
    }
    filled.fetched = missing.len();
    let size = |place: &PathBuf| fs::metadata(place).map_or(0, |found| found.len());
    filled.fetched_bytes = missing.iter().map(|(_, place)| size(place)).sum();
    Ok(filled)
}

/// Writes the Release files of a pool, each at once, behind the indexes that they list.
///
/// # Errors
/// [`PoolError::Io`].
pub fn write_signed(pool: &Path, signed: &[(String, Vec<u8>)]) -> Result<(), PoolError> {
    for (path, bytes) in signed {
        make_directories(pool, Path::new(path).parent().unwrap_or(Path::new("")))?;
        let place = pool.join(path);
        atomic::replace(&place, bytes).at("write", &place)?;
    }
    Ok(())
}

/// Removes the packages that are not needed from a pool, and directories that are empty then; where indexes
/// are needed, those that are not as well. Files with other names and in other places stay. Returns their
/// paths, sorted.
///
/// # Errors
/// Those of [`check`].
pub fn prune(pool: &Path, items: &[Item]) -> Result<Vec<String>, PoolError> {
    check(pool)?;
    let needed = by_path(items)?;
    let mut removed = Vec::new();
    let with_indexes = needed.keys().any(|path| is_index(path));
    let is_ours = |path: &str| {
        let is_package = path.ends_with(if path.starts_with("npm/") { ".tgz" } else { ".deb" });
        is_package || with_indexes && is_index(path)
    };
    for top in ["pool", "archives", "npm", "dists"] {
        let goes = |path: &str| is_ours(path) && !needed.contains_key(path);
        prune_below(pool, Path::new(top), &goes, &mut removed)?;
    }
    removed.sort();
    Ok(removed)
}

fn prune_below(
    pool: &Path,
    below: &Path,
    goes: &dyn Fn(&str) -> bool,
    removed: &mut Vec<String>,
) -> Result<(), PoolError> {
    let directory = pool.join(below);
    // A link points out of the pool.
    if !fs::symlink_metadata(&directory).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    let entries = files::list(&directory)?;
    for entry in entries {
        let path = below.join(entry.file_name());
        let kind = entry.file_type().at("look at", &directory)?;
        if kind.is_dir() {
            prune_below(pool, &path, goes, removed)?;
            // One that is not empty stays.
            let _ = files::remove_dir(pool.join(&path));
        } else if path.to_str().is_some_and(goes) {
            files::remove_file(pool.join(&path))?;
            removed.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

/// Returns items by their paths, each once.
fn by_path(items: &[Item]) -> Result<BTreeMap<&str, &Wanted>, PoolError> {
    let mut out: BTreeMap<&str, &Wanted> = BTreeMap::new();
    for Item { path, wanted } in items {
        let named = is_index(path) || [".deb", ".tgz"].iter().any(|ending| path.ends_with(ending));
        if !named || url_below("", path).is_none() {
            return Err(PoolError::Path { what: wanted.what.clone(), path: path.clone() });
        }
        if let Some(other) = out.insert(path, wanted)
            && other.checksum != wanted.checksum
        {
            return Err(PoolError::Clash { what: wanted.what.clone(), path: path.clone() });
        }
    }
    Ok(out)
}

/// Returns whether a path is one of a Packages index.
fn is_index(path: &str) -> bool {
    let own = path.rsplit('/').next().unwrap_or_default();
    own.starts_with("Packages") || path.contains("/by-hash/")
}

fn is_right(place: &Path, wanted: &Wanted) -> bool {
    let Ok(file) = open_regular_through_links(place) else { return false };
    let length = file.metadata().map_or(0, |found| found.len());
    let fits = match wanted.length {
        Length::Exactly(bytes) => length == bytes,
        Length::AtMost(bytes) => length <= bytes,
    };
    fits && wanted.checksum.is_of(file).unwrap_or(false)
}

/// Makes a directory below a pool and all above it, for everybody to read.
fn make_directories(pool: &Path, below: &Path) -> Result<(), PoolError> {
    let above = below.ancestors().collect::<Vec<_>>();
    for directory in above.into_iter().rev().map(|below| pool.join(below)) {
        if directory.is_dir() {
            continue;
        }
        files::create_dir_all(&directory).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => PoolError::NotDirectory(directory.clone()),
            _ => error.into(),
        })?;
        files::set_permissions(&directory, Permissions::from_mode(DIRECTORY_MODE))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
