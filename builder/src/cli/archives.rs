//! How commands reach archives: mirrors, keys and downloads, as options and recipe have them.

use crate::{
    archive::{self, Archive, ArchiveError, Selection},
    cli::{Context, Failure},
    download::{self, Downloader},
    resolve::{ResolveError, Source, Universe},
};

/// Returns the options for archives: the recipe's mirror goes before the one that was given.
pub(super) fn options(context: &Context, recipe_mirror: Option<&str>) -> archive::Options {
    let global = &context.global;
    archive::Options {
        mirrors: recipe_mirror.into_iter().map(String::from).chain(global.mirror.clone()).collect(),
        keyring: global.keyring.clone(),
        ..archive::Options::default()
    }
}

/// Returns a downloader.
pub(super) fn downloader(context: &Context) -> Downloader {
    Downloader::new(download::Options { offline: context.global.offline, ..download::Options::default() })
}

/// Opens an archive.
pub(super) fn open(
    context: &Context,
    selection: &Selection,
    recipe_mirror: Option<&str>,
) -> Result<Archive, Failure> {
    let options = options(context, recipe_mirror);
    let store = context.store()?;
    let opened = archive::open(selection, &options, &store, &downloader(context), &context.progress);
    opened.map_err(|error: ArchiveError| {
        let hint = error.hint();
        let failure = Failure::from(error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// Reads the packages of an archive.
pub(super) fn universe(archive: &Archive) -> Result<Universe<'_>, ResolveError> {
    let sources: Vec<Source<'_>> = archive
        .indexes
        .iter()
        .map(|index| {
            let priority = match (index.not_automatic, index.but_automatic_upgrades) {
                (false, _) => Source::PRIORITY,
                (true, false) => Source::NOT_AUTOMATIC,
                (true, true) => Source::BUT_AUTOMATIC_UPGRADES,
            };
            Source { suite: &index.suite, priority, text: &index.text }
        })
        .collect();
    Universe::new(&archive.selection.architecture, &sources)
}
