//! How commands reach archives and registries: mirrors, keys and downloads, as options and recipe have them.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    archive::{self, Archive, ArchiveError, Files, Mirrors, Selection, Snapshots},
    cli::{Context, Failure, hinted},
    download::{self, Downloader, Patience, Proxies},
    lock::Lock,
    npm, pool,
    recipe::{Debian, ExtraArchive},
    resolve::{Pin, Request, Resolution, ResolveError, Universe, remedies, resolve},
};

/// Returns the options for Debian's archive that hold without a recipe.
fn options(context: &Context) -> archive::Options {
    let global = &context.global;
    archive::Options {
        mirrors: global.mirror.iter().filter(|given| !given.is_empty()).cloned().collect(),
        keyring: global.keyring.clone(),
        snapshots: global.snapshot_service.clone().map(|template| Snapshots { template, wanted_s: None }),
        ..archive::Options::default()
    }
}

/// Returns the options for a recipe's Debian archive: what it says itself goes first.
fn options_of(context: &Context, debian: &Debian) -> archive::Options {
    let mut options = options(context);
    options.mirrors.splice(0..0, debian.mirrors.iter().cloned());
    if let Some(template) = debian.snapshot_service.clone() {
        options.snapshots = Some(Snapshots { template, wanted_s: None });
    }
    options
}

/// Returns a downloader for mirrors, which are reached as apt reaches them.
pub(crate) fn downloader(context: &Context) -> Downloader {
    downloader_by(context, Proxies::as_apt(&archive::Options::default().sources))
}

/// Returns a downloader for registries, of which apt knows nothing.
pub(crate) fn registry_downloader(context: &Context) -> Downloader {
    downloader_by(context, Proxies::of_environment())
}

fn downloader_by(context: &Context, proxies: Proxies) -> Downloader {
    Downloader::new(download::Options {
        offline: context.global.offline,
        proxies,
        patience: Patience::of_seconds(context.global.retry_time),
        progress: context.progress.clone(),
        ..download::Options::default()
    })
}

/// Returns the npm registry for recipes that name none.
pub(crate) fn npm_registry(context: &Context) -> Option<String> {
    let variable =
        ["NPM_CONFIG_REGISTRY", "npm_config_registry"].iter().find_map(|name| std::env::var(name).ok());
    let npmrc = std::env::var_os("HOME").map(|home| Path::new(&home).join(".npmrc"));
    let npmrc = npmrc.and_then(|path| fs::read_to_string(path).ok());
    npm::registry(&npm::Sources {
        option: context.global.npm_registry.as_deref(),
        environment: variable.as_deref(),
        npmrc: npmrc.as_deref(),
    })
}

/// Opens Debian's archive.
pub(crate) fn open(context: &Context, selection: &Selection) -> Result<Archive, Failure> {
    open_one(context, selection, &options(context))
}

/// Opens all archives that a recipe chooses from.
pub(crate) fn open_of(context: &Context, debian: &Debian) -> Result<Archive, Failure> {
    let mut options = options_of(context, debian);
    if let Some(time) = &debian.snapshot {
        let Some(service) = &mut options.snapshots else {
            let failure = Failure::new(format!("nothing says where the state of {time} can be had"));
            return Err(failure.hint(
                "name a service with debian.snapshot_service, --snapshot-service or TINYROOT_SNAPSHOT_SERVICE",
            ));
        };
        service.wanted_s = snapshot_time(time);
    }
    let mut archive = open_one(context, &selection(debian), &options)?;
    for extra in &debian.archives {
        let (selection, options) = beside(debian, extra);
        archive.join(open_one(context, &selection, &options)?);
    }
    Ok(archive)
}

/// Returns how an archive beside Debian's is opened.
fn beside(debian: &Debian, extra: &ExtraArchive) -> (Selection, archive::Options) {
    let options = archive::Options {
        mirrors: extra.mirrors.clone(),
        keyring: Some(extra.keys.clone()),
        name: Some(extra.name.clone()),
        ..archive::Options::default()
    };
    let selection = Selection {
        suite: extra.suite.clone(),
        pockets: Vec::new(),
        components: extra.components.clone(),
        architecture: debian.architecture.clone(),
    };
    (selection, options)
}

/// Returns the signed indexes of all archives that a recipe chooses from, as files of a pool.
pub(crate) fn files_of(context: &Context, debian: &Debian) -> Result<Files, Failure> {
    let (store, downloader) = (context.store()?, downloader(context));
    let mut all = vec![(None, selection(debian), options_of(context, debian))];
    for extra in &debian.archives {
        let (selection, options) = beside(debian, extra);
        all.push((Some(extra.name.as_str()), selection, options));
    }
    let mut out = Files::default();
    for (name, selection, options) in all {
        let found = archive::files(&selection, &options, &store, &downloader, &context.progress);
        let found = found.map_err(|error| {
            let hint = error.hint();
            hinted(error, hint)
        })?;
        out.indexes.extend(found.indexes.into_iter().map(|(path, wanted)| (pool::path(&path, name), wanted)));
        out.signed.extend(found.signed.into_iter().map(|(path, bytes)| (pool::path(&path, name), bytes)));
    }
    Ok(out)
}

/// Returns the indexes of Debian's archive that a recipe chooses from.
fn selection(debian: &Debian) -> Selection {
    Selection {
        suite: debian.suite.clone(),
        pockets: debian.pockets.clone(),
        components: debian.components.clone(),
        architecture: debian.architecture.clone(),
    }
}

/// Returns a time as a recipe has it, which was checked when that was read, in seconds since 1970.
fn snapshot_time(time: &str) -> Option<i64> {
    let parsed = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", time).ok()?;
    let zoned = parsed.to_datetime().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

fn open_one(
    context: &Context,
    selection: &Selection,
    options: &archive::Options,
) -> Result<Archive, Failure> {
    let store = context.store()?;
    let mut options = options.clone();
    // With a network the present state counts.
    if let Some(pool) = self::pool(context)?.filter(|_| context.global.offline)
        && pool::has_indexes(&pool, options.name.as_deref(), &selection.suite)
    {
        options.mirrors = vec![pool::base(&pool, options.name.as_deref())];
        options.snapshots = None;
    }
    let opened = archive::open(selection, &options, &store, &downloader(context), &context.progress);
    opened.map_err(|error: ArchiveError| {
        let hint = error.hint();
        hinted(error, hint)
    })
}

/// Returns the failure for the first of some suites of Debian's archive that is nowhere, if there is one: what is locked of it
/// cannot be had then.
pub(crate) fn missing_suite(context: &Context, debian: &Debian, suites: &BTreeSet<&str>) -> Option<Failure> {
    let options = options_of(context, debian);
    let store = context.store().ok()?;
    let of_others =
        |suite: &str| debian.archives.iter().any(|extra| suite.starts_with(&format!("{}/", extra.name)));
    for suite in suites.iter().filter(|suite| !of_others(suite)) {
        let one = Selection { suite: (*suite).into(), pockets: Vec::new(), ..selection(debian) };
        let opened = archive::open(&one, &options, &store, &downloader(context), &context.progress);
        if let Err(error) = opened.map(drop)
            && error.is_missing_suite()
        {
            let hint = error.hint();
            return Some(hinted(error, hint));
        }
    }
    None
}

/// Returns where the .debs of a recipe's lock can be had.
pub(crate) fn mirrors(context: &Context, debian: &Debian, lock: &Lock) -> Result<Mirrors, ArchiveError> {
    let beside: Vec<&str> = debian.archives.iter().map(|extra| extra.name.as_str()).collect();
    let mut mirrors = Mirrors::for_lock(lock, &options_of(context, debian), &beside)?;
    for extra in &debian.archives {
        mirrors.add(&extra.name, &extra.suite, &extra.mirrors)?;
    }
    Ok(mirrors)
}

/// Returns the pool that packages are taken from, as an absolute path.
///
/// # Errors
/// A directory that is not there, or that cannot be named in a URL.
pub(crate) fn pool(context: &Context) -> Result<Option<String>, Failure> {
    let Some(given) = &context.global.pool else { return Ok(None) };
    let shown = given.display();
    if !given.is_dir() {
        let failure = Failure::new(format!("there is no pool {shown}"));
        return Err(failure.hint(format!("fill one with `tinyroot fetch RECIPE --output {shown}`")));
    }
    match std::path::absolute(given)?.to_str() {
        Some(path) => Ok(Some(path.trim_end_matches('/').to_owned())),
        None => Err(Failure::new(format!("the name of the pool {shown} is no text in UTF-8"))),
    }
}

/// Reads the packages of an archive, and ranks them by pins.
pub(crate) fn universe<'a>(archive: &'a Archive, pins: &[Pin]) -> Result<Universe<'a>, ResolveError> {
    Universe::pinned(&archive.selection.architecture, &archive.sources(), pins)
}

/// Resolves a request; where that cannot be done, the hint names the single changes that would help.
pub(crate) fn choose(universe: &Universe<'_>, request: &Request) -> Result<Resolution, Failure> {
    resolve(universe, request).map_err(|error| {
        let changes = match &error {
            ResolveError::Unsatisfiable { .. } => remedies(universe, request),
            _ => Vec::new(),
        };
        let failure = Failure::from(error);
        match changes.is_empty() {
            true => failure,
            false => failure.hint(format!("any one of these would help: {}", changes.join(", "))),
        }
    })
}
