//! The .debs that a lock names.
//!
//! A lock and mirrors come in; files in the store go out, each checked against the length and digest in
//! the lock when it came. No index is read and no version chosen. Files that the store has already
//! are not fetched again; their digests are checked once more when they are unpacked.

mod faults;
mod mirrors;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    archive::Mirrors,
    digest::{Digest, Hasher},
    download::{DownloadError, Downloader, Length, Wanted, url_below},
    files,
    formats::checksum::Checksum,
    lock::{Lock, LockedPackage},
    progress::{Progress, Unit},
    store::{Store, UNPACKED_DEB},
    threads,
};

pub use faults::FetchError;
pub use mirrors::mirrors_of;

/// A .deb in the store.
#[derive(Clone, Debug)]
pub struct FetchedDeb {
    /// Its entry in the lock.
    pub package: LockedPackage,
    /// Where it is; nothing is there if the store has it unpacked.
    pub path: PathBuf,
    /// Its SHA-256: the locked one, or that of the file which was found to have the locked SHA-512.
    pub digest: Digest,
}

/// Every .deb of a lock, in the order of the lock.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The .debs.
    pub debs: Vec<FetchedDeb>,
    /// How many bytes had to be fetched.
    pub fetched_bytes: u64,
}

/// Fetches those .debs of a lock that the store does not have.
///
/// # Errors
/// [`FetchError`], with every package that could not be had; the store keeps the others.
pub fn fetch(
    lock: &Lock,
    mirrors: &Mirrors,
    store: &Store,
    downloader: &Downloader,
    progress: &Progress,
) -> Result<Fetched, FetchError> {
    bring(lock, store, downloader, progress);
    let mut fetched_bytes = 0;
    let mut tried: BTreeSet<String> = BTreeSet::new();
    loop {
        let missing: Vec<&LockedPackage> = lock.packages.iter().filter(|p| !is_there(p, store)).collect();
        let missing: Vec<_> = missing.into_iter().filter(|p| !tried.contains(&p.checksum.hex())).collect();
        let Some(first) = missing.first() else { break };
        // A file that another process fetches now is not fetched twice.
        let turn = |package: &&LockedPackage| store.try_turn(TURN, &package.checksum.hex());
        let ours: Vec<_> = missing.iter().filter_map(|package| Some((*package, turn(package)?))).collect();
        if ours.is_empty() {
            let wait = || progress.wait_for_another("fetches packages");
            store.turn(TURN, &first.checksum.hex(), wait);
            continue;
        }
        let ours: Vec<_> = ours.into_iter().filter(|(package, _)| !is_there(package, store)).collect();
        if ours.is_empty() {
            continue;
        }
        let total = ours.iter().map(|(package, _)| package.size_bytes).sum();
        let files: Vec<(Wanted, PathBuf)> =
            ours.iter().map(|(p, _)| (wanted(p, mirrors), store.deb_path(&p.checksum))).collect();
        let task = progress.task("fetching packages", total, Unit::Bytes);
        let errors = downloader.fetch_all(&files, &store.tmp(), &|bytes| task.add(bytes));
        if !errors.is_empty() {
            let faults = errors.into_iter().map(|(index, error)| (ours[index].0.clone(), error)).collect();
            return Err(FetchError { faults, of: lock.packages.len(), has_past: mirrors.has_past() });
        }
        fetched_bytes += total;
        tried.extend(ours.iter().map(|(package, _)| package.checksum.hex()));
    }
    let mut debs = Vec::new();
    for package in &lock.packages {
        let path = store.deb_path(&package.checksum);
        let digest = digest(package, &path).ok_or_else(|| damaged(lock, package, &path))?;
        debs.push(FetchedDeb { package: package.clone(), path, digest });
    }
    Ok(Fetched { debs, fetched_bytes })
}

/// Brings the trees of packages that another machine has unpacked, so that their .debs need not be fetched.
fn bring(lock: &Lock, store: &Store, downloader: &Downloader, progress: &Progress) {
    if !store.has_elsewhere() {
        return;
    }
    let missing = lock.packages.iter().filter(|package| !is_there(package, store));
    // Trees are named by SHA-256, which a lock by SHA-512 does not have.
    let missing = missing.filter_map(|package| match package.checksum {
        Checksum::Sha256(digest) => Some((package, digest.to_string())),
        Checksum::Sha512(_) => None,
    });
    let mut missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        return;
    }
    missing.sort_by_key(|(package, _)| std::cmp::Reverse(package.size_bytes));
    let task = progress.task("fetching unpacked packages", missing.len() as u64, Unit::Items);
    threads::map(threads::for_downloads(downloader.threads()), &missing, |(package, key)| {
        task.now(&package.name);
        store.bring(UNPACKED_DEB, key);
        task.add(1);
    });
}

/// The turns of those who fetch one .deb.
const TURN: &str = "fetch";

/// Returns whether the store has a .deb, or its unpacked tree.
fn is_there(package: &LockedPackage, store: &Store) -> bool {
    let path = store.deb_path(&package.checksum);
    let Some(found) = fs::metadata(&path).ok().filter(|found| found.len() == package.size_bytes) else {
        return match package.checksum {
            Checksum::Sha256(digest) => store.has_bundle(UNPACKED_DEB, &digest.to_string()),
            Checksum::Sha512(_) => false,
        };
    };
    store.used(&path, &found);
    digest(package, &path).is_some()
}

/// Returns the SHA-256 of a .deb. One that is locked by SHA-512 is read for it, and is checked once more;
/// `None`: it has another SHA-512, or cannot be read.
fn digest(package: &LockedPackage, path: &Path) -> Option<Digest> {
    if let Checksum::Sha256(digest) = package.checksum {
        return Some(digest);
    }
    let mut hasher = Hasher::new(package.checksum.begin());
    io::copy(&mut files::open(path).ok()?, &mut hasher).ok()?;
    let (digest, _, state) = hasher.finish();
    (state.finish() == package.checksum).then_some(digest)
}

/// Makes the error for a .deb that was in the store a moment ago, whole.
fn damaged(lock: &Lock, package: &LockedPackage, path: &Path) -> FetchError {
    let source = io::Error::other("what was just written reads otherwise");
    let what = format!("{} {}", package.name, package.version);
    let error = DownloadError::Write { what, path: path.into(), source };
    FetchError { faults: vec![(package.clone(), error)], of: lock.packages.len(), has_past: false }
}

/// Returns the file to fetch for a package, and its possible sources.
pub(crate) fn wanted(package: &LockedPackage, mirrors: &Mirrors) -> Wanted {
    let (bases, past) = (mirrors.beginning_with(&package.suite), mirrors.past(&package.suite));
    Wanted {
        what: format!("{} {}", package.name, package.version),
        urls: bases.iter().filter_map(|base| url_below(base, &package.path)).collect(),
        past: past.iter().filter_map(|base| url_below(base, &package.path)).collect(),
        length: Length::Exactly(package.size_bytes),
        checksum: package.checksum,
        mode: Wanted::OWN,
    }
}

#[cfg(test)]
mod tests;
