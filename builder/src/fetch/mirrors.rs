//! Where the packages of a lock are to be had.

use std::collections::BTreeSet;

use crate::{
    archive::{ArchiveError, Mirrors, Options},
    lock::Lock,
};

/// Finds the mirrors of every suite of Debian's archive that a lock names, and where they are to be had
/// as they were when it was made, if a service has them. Suites of the archives `beside` it, which are named,
/// are left for [`Mirrors::add`].
///
/// # Errors
/// As [`Mirrors::find`].
pub fn mirrors_of(lock: &Lock, options: &Options, beside: &[&str]) -> Result<Mirrors, ArchiveError> {
    let of_packages = lock.packages.iter().map(|package| &package.suite);
    let suites: BTreeSet<&String> = lock.indexes.iter().map(|i| &i.suite).chain(of_packages).collect();
    let own = |suite: &&String| suite.split_once('/').is_none_or(|(name, _)| !beside.contains(&name));
    let suites: Vec<String> = suites.into_iter().filter(own).cloned().collect();
    let times_s: Vec<i64> =
        std::iter::once(lock.time_s).chain(lock.earlier_s.iter().rev().copied()).collect();
    Mirrors::at(&suites, &times_s, options)
}
