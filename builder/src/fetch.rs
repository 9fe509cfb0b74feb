//! Locked .debs, fetched.

use std::path::PathBuf;

use crate::lock::LockedPackage;

/// The .debs of a lock, each with the locked digest.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// In the order of the lock.
    pub debs: Vec<FetchedDeb>,
}

/// One .deb.
#[derive(Clone, Debug)]
pub struct FetchedDeb {
    /// What the lock says.
    pub package: LockedPackage,
    /// Where it lies.
    pub path: PathBuf,
}
