//! `recipe.lock`: every .deb that a recipe stands on, by digest.
//!
//! A resolution in, a text that a person can read in a diff out, and back. The same resolution
//! gives the same text. There is no mirror in it: whoever has the bytes will do. What is read is
//! checked as if a stranger had written it.

use crate::{
    formats::digest::Digest,
    resolve::{Request, Resolution},
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
    /// What was asked for.
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
    /// SHA-256 of the .deb.
    pub digest: Digest,
    /// The first requirement that brought it.
    pub because: String,
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
        let package = |p: &crate::resolve::Resolved| LockedPackage {
            name: p.name.clone(),
            version: p.version.clone(),
            architecture: p.architecture.clone(),
            suite: p.suite.clone(),
            path: p.path.clone(),
            size_bytes: p.size_bytes,
            digest: p.digest,
            because: p.because.clone(),
        };
        Lock {
            suite: suite.into(),
            architecture: architecture.into(),
            time_s,
            request: request.clone(),
            indexes,
            packages: resolution.packages.iter().map(package).collect(),
        }
    }

    /// Tells whether the lock was made for that request.
    pub fn matches(&self, suite: &str, architecture: &str, request: &Request) -> bool {
        self.suite == suite && self.architecture == architecture && self.request == *request
    }

    /// Returns a package by name.
    pub fn get(&self, name: &str) -> Option<&LockedPackage> {
        let at = self.packages.binary_search_by(|package| package.name.as_str().cmp(name)).ok()?;
        Some(&self.packages[at])
    }
}
