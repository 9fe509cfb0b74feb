//! From a recipe folder to its configured root with the recipe's files on it: where several commands begin.

use std::{error::Error, path::Path};

use crate::{
    app,
    archive::Mirrors,
    assemble::{Assembled, assemble},
    cli::{Context, Failure, archives},
    configure::{Configured, configure},
    fetch::fetch,
    lock::Lock,
    recipe::{self, Recipe},
    unpack::{Unpacked, unpack},
};

/// A recipe's root, and what it was made from.
pub(super) struct Staged {
    /// The recipe.
    pub recipe: Recipe,
    /// Its packages.
    pub unpacked: Unpacked,
    /// Its packages as one tree, before any script ran.
    pub assembled: Assembled,
    /// Its root, with the recipe's files laid over it.
    pub configured: Configured,
}

/// Reads a recipe folder and makes its root, from the store where that has it.
pub(super) fn stage(folder: &Path, context: &Context) -> Result<Staged, Failure> {
    let recipe = recipe::read(folder)?;
    let lock = Lock::read(&recipe.lock_path()).map_err(|error| {
        let hint = error.hint();
        hinted(error, hint)
    })?;
    let store = context.store()?;
    let options = archives::options(context, recipe.debian.mirror.as_deref());
    let suites: Vec<String> = lock.packages.iter().map(|package| package.suite.clone()).collect();
    let mirrors = Mirrors::find(&suites, &options)?;
    let fetched = fetch(&lock, &mirrors, &store, &archives::downloader(context), &context.progress);
    let fetched = fetched.map_err(|error| {
        let hint = error.hint();
        hinted(error, hint)
    })?;
    let unpacked = unpack(&fetched, &store, &context.progress)?;
    let assembled = assemble(&unpacked)?;
    let mut configured =
        configure(&unpacked, &assembled, &lock, &store, &context.progress).map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            hinted(error, hint)
        })?;
    app::lay_files(&mut configured.tree, &recipe, &store, configured.epoch_s)?;
    Ok(Staged { recipe, unpacked, assembled, configured })
}

/// Makes a failure of an error and what one can do about it.
pub(super) fn hinted(error: impl Error + Send + Sync + 'static, hint: Option<String>) -> Failure {
    let failure = Failure::from(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
