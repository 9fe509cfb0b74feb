//! From a recipe and the archive to the lock, and back.

use super::{LineError, Session};
use crate::{
    archive::{Archive, Index, Selection},
    fetch::fetch,
    line::error::Fault,
    lock::{Lock, LockedIndex},
    recipe::Recipe,
    resolve::{Request, Resolution},
    unpack::{Unpacked, unpack},
};

/// Returns what a recipe asks for. Roots are made with merged `/usr`, hence the preference.
pub fn request(recipe: &Recipe) -> Request {
    Request {
        packages: recipe.requested(),
        essential: true,
        recommends: recipe.debian.recommends,
        recommends_of: recipe.debian.recommends_of.clone(),
        exclude: recipe.debian.exclude.clone(),
        prefer: vec![Request::MERGED_USR.into()],
        pins: recipe.debian.pins.clone(),
    }
}

/// Returns the lock of what was chosen for a request, from the indexes of an archive.
pub fn lock(recipe: &Recipe, archive: &Archive, request: &Request, resolution: &Resolution) -> Lock {
    let debian = &recipe.debian;
    Lock::new(&debian.suite, &debian.architecture, archive.time_s, request, indexes(archive), resolution)
}

fn indexes(archive: &Archive) -> Vec<LockedIndex> {
    let index = |index: &Index| LockedIndex {
        suite: index.suite.clone(),
        component: index.component.clone(),
        architecture: index.architecture.clone(),
        digest: index.digest,
    };
    archive.indexes.iter().map(index).collect()
}

/// Fetches and unpacks those packages of a resolution whose names satisfy a condition, for a look into them before
/// there is a recipe.
///
/// # Errors
/// A package that cannot be had, or is damaged.
pub fn look_into(
    archive: &Archive,
    request: &Request,
    resolution: &Resolution,
    is_wanted: impl Fn(&str) -> bool,
    session: &Session,
) -> Result<Unpacked, LineError> {
    let Selection { suite, architecture, .. } = &archive.selection;
    let mut lock = Lock::new(suite, architecture, archive.time_s, request, indexes(archive), resolution);
    lock.packages.retain(|package| is_wanted(&package.name));
    let mirrors = session.mirrors(&lock)?;
    let _relying = session.store.rely_on_downloads(|| session.progress.wait_for_another(super::root::TRIMS));
    let fetched = fetch(&lock, &mirrors, &session.store, &session.downloader(), &session.progress)?;
    Ok(unpack(&fetched, &session.store, &session.progress)?)
}

/// Reads the lock of a recipe, which must be one for what the recipe asks for now.
///
/// # Errors
/// A lock that cannot be read, or was made for another request ([`LineError::is_drift`]).
pub fn read_lock(recipe: &Recipe) -> Result<Lock, LineError> {
    let path = recipe.lock_path();
    let lock = Lock::read(&path)?;
    if !lock.matches(&recipe.debian.suite, &recipe.debian.architecture, &request(recipe)) {
        let hint = format!("make it anew with `tinyroot lock {}`", recipe.directory.display());
        return Err(LineError::from(Fault::Drifted(path)).with_hint(Some(hint)));
    }
    Ok(lock)
}
