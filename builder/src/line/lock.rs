//! From a recipe and the archive to the lock, and back.

use super::LineError;
use crate::{
    archive::Archive,
    line::error::Fault,
    lock::{Lock, LockedIndex},
    recipe::Recipe,
    resolve::{Request, Resolution},
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
    let indexes = archive.indexes.iter().map(|index| LockedIndex {
        suite: index.suite.clone(),
        component: index.component.clone(),
        architecture: index.architecture.clone(),
        digest: index.digest,
    });
    Lock::new(&debian.suite, &debian.architecture, archive.time_s, request, indexes.collect(), resolution)
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
