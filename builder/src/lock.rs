//! `recipe.lock`: every .deb that a recipe stands on, by digest.
//!
//! A resolution in, a text that a person can read in a diff out, and back. The same resolution
//! gives the same text. There is no mirror in it: any source of the bytes will do. A lock that is read is
//! checked like any foreign file.

mod changes;
mod moving;
mod text;

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

pub use changes::{Change, Changes};

use crate::{
    atomic,
    digest::Digest,
    error::{At as _, Hint, PathError},
    files,
    formats::checksum::Checksum,
    resolve::{Request, Resolution, Resolved},
};

/// The name of the file within a recipe folder.
pub const FILE_NAME: &str = "recipe.lock";

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The suite asked for, such as `bookworm`.
    pub suite: String,
    /// The architecture.
    pub architecture: String,
    /// The newest `Date` of the suites' Release files, in seconds since 1970.
    pub time_s: i64,
    /// The times of the older locks that packages were left from when others moved on alone, rising: what has
    /// left the archive since can be had of a past state of one of them.
    pub earlier_s: Vec<i64>,
    /// The request.
    pub request: Request,
    /// The indexes that were chosen from; sorted.
    pub indexes: Vec<LockedIndex>,
    /// Sorted by name; no name comes twice.
    pub packages: Vec<LockedPackage>,
}

/// One index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedIndex {
    /// Such as `bookworm-security`.
    pub suite: String,
    /// Such as `main`.
    pub component: String,
    /// Such as `amd64`.
    pub architecture: String,
    /// SHA-256 of its uncompressed text.
    pub digest: Digest,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, which may be `all`.
    pub architecture: String,
    /// The suite that it is from, such as `bookworm-security`.
    pub suite: String,
    /// Where its .deb lies, relative to the root of that suite's archive.
    pub path: String,
    /// Length of the .deb.
    pub size_bytes: u64,
    /// SHA-256 of the .deb; its SHA-512 where the archive has no other.
    pub checksum: Checksum,
    /// The first requirement that brought it.
    pub because: String,
}

/// A fault of a lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It does not exist.
    #[error("there is no {}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file that cannot be used.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A text that is not a lock.
    #[error("{}:{line}: {reason}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// One lower-case clause.
        reason: String,
    },
}

impl Hint for LockError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            LockError::Missing { path } => {
                let recipe = path.parent().unwrap_or(Path::new(".")).display();
                Some(format!("make it with `tinyroot lock {recipe}`").into())
            }
            LockError::Invalid { .. } => Some("make it anew with `tinyroot lock` and read the diff".into()),
            LockError::Io(error) => error.hint(),
        }
    }
}

impl Lock {
    /// Makes the lock of a resolution.
    pub fn new(
        suite: &str,
        architecture: &str,
        time_s: i64,
        request: &Request,
        mut indexes: Vec<LockedIndex>,
        resolution: &Resolution,
    ) -> Self {
        indexes.sort();
        let package = |p: &Resolved| LockedPackage {
            name: p.name.clone(),
            version: p.version.clone(),
            architecture: p.architecture.clone(),
            suite: p.suite.clone(),
            path: p.path.clone(),
            size_bytes: p.size_bytes,
            checksum: p.checksum,
            because: p.because.clone(),
        };
        Lock {
            suite: suite.into(),
            architecture: architecture.into(),
            time_s,
            earlier_s: Vec::new(),
            request: request.clone(),
            indexes,
            packages: resolution.packages.iter().map(package).collect(),
        }
    }

    /// Returns whether the lock was made for that request.
    pub fn matches(&self, suite: &str, architecture: &str, request: &Request) -> bool {
        self.suite == suite && self.architecture == architecture && self.request == *request
    }

    /// Returns a package by name.
    pub fn get(&self, name: &str) -> Option<&LockedPackage> {
        let at = self.packages.binary_search_by(|package| package.name.as_str().cmp(name)).ok()?;
        Some(&self.packages[at])
    }

    /// Reads the lock at a path.
    ///
    /// # Errors
    /// [`LockError::Missing`], [`LockError::Io`], or [`LockError::Invalid`] for the first thing that is
    /// wrong.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let bytes = match files::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LockError::Missing { path: path.into() });
            }
            read => read?,
        };
        Lock::parse(&bytes).map_err(|(line, reason)| LockError::Invalid { path: path.into(), line, reason })
    }

    /// Writes the lock in one step: after a kill there is the old one or the new one.
    ///
    /// # Errors
    /// [`LockError::Io`]: a directory that cannot be written to, or a full disk.
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        Ok(atomic::replace(path, self.to_text().as_bytes()).at("write", path)?)
    }
}

/// Makes a lock of packages: name, version and suite.
#[cfg(test)]
pub(crate) fn made(packages: &[(&str, &str, &str)]) -> Lock {
    let package = |(name, version, suite): &(&str, &str, &str)| LockedPackage {
        name: (*name).into(),
        version: (*version).into(),
        architecture: "all".into(),
        suite: (*suite).into(),
        path: format!("pool/{name}_{version}_all.deb"),
        size_bytes: 1,
        checksum: Digest::of(b"").into(),
        because: "requested".into(),
    };
    Lock {
        suite: "s".into(),
        architecture: "amd64".into(),
        time_s: 0,
        earlier_s: Vec::new(),
        request: Request::default(),
        indexes: Vec::new(),
        packages: packages.iter().map(package).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn is_written_in_one_step_and_read_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE_NAME);
        let missing = Lock::read(&path).expect_err("is not there");
        assert!(matches!(missing, LockError::Missing { .. }));
        assert!(missing.hint().expect("there is one").starts_with("make it with `tinyroot lock "));

        let request = Request { packages: vec!["a".into()], ..Request::default() };
        let lock = Lock::new("bookworm", "amd64", 7, &request, Vec::new(), &Resolution::default());
        lock.write(&path).expect("writes");
        let later = Lock { time_s: 8, ..lock };
        later.write(&path).expect("writes again");
        assert_eq!(Lock::read(&path).expect("reads"), later);
        assert!(later.matches("bookworm", "amd64", &request));
        assert!(!later.matches("trixie", "amd64", &request));
        assert!(!later.matches("bookworm", "amd64", &Request { recommends: true, ..request }));
        assert_eq!(fs::read_dir(directory.path()).expect("lists").count(), 1);
        assert_eq!(fs::metadata(&path).expect("is there").permissions().mode() & 0o7777, 0o644);

        fs::write(&path, "version = 1\nsuite = 3\n").expect("writes");
        let error = Lock::read(&path).expect_err("is damaged").to_string();
        assert!(error.starts_with(&format!("{}:2: invalid type", path.display())), "{error}");
        let nowhere = directory.path().join("none").join(FILE_NAME);
        assert!(matches!(later.write(&nowhere), Err(LockError::Io(PathError { operation: "write", .. }))));
    }
}
