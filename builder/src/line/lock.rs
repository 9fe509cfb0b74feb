//! From a recipe and the archive to the lock.

use crate::{
    archive::Archive,
    lock::{Lock, LockedIndex},
    recipe::Recipe,
    resolve::{Request, Resolution},
};

/// Returns what a recipe asks for. Roots are made with merged `/usr`, hence the preference.
pub(crate) fn request(recipe: &Recipe) -> Request {
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

pub(crate) fn lock(recipe: &Recipe, archive: &Archive, request: &Request, resolution: &Resolution) -> Lock {
    let debian = &recipe.debian;
    let indexes = archive.indexes.iter().map(|index| LockedIndex {
        suite: index.suite.clone(),
        component: index.component.clone(),
        architecture: index.architecture.clone(),
        digest: index.digest,
    });
    Lock::new(&debian.suite, &debian.architecture, archive.time_s, request, indexes.collect(), resolution)
}
