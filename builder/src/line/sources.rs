//! How the line reaches archives and registries: mirrors, keys and downloads, as session and recipe have
//! them.

use std::collections::BTreeSet;

use super::{LineError, Session, error::Fault};
use crate::{
    archive::{self, Archive, Files, Mirrors, Selection, Snapshots},
    fetch::mirrors_of,
    formats::pins::Pin,
    lock::Lock,
    npm::Registry,
    pool,
    recipe::{Debian, ExtraArchive},
    resolve::{Request, Resolution, ResolveError, Universe, remedies, resolve},
};

impl Session {
    /// Returns where npm packages are looked for.
    pub fn registry(&self) -> Registry<'_> {
        Registry { url: self.npm_registry.as_deref(), pool: self.pool.as_deref() }
    }

    /// Returns the options for a recipe's Debian archive: what the recipe says goes first.
    fn options_of(&self, debian: &Debian) -> archive::Options {
        let mut options = self.archive.clone();
        options.mirrors.splice(0..0, debian.mirrors.iter().cloned());
        if let Some(template) = debian.snapshot_service.clone() {
            options.snapshots = Some(Snapshots { template, wanted_s: None });
        }
        options
    }

    /// Opens Debian's archive.
    ///
    /// # Errors
    /// An archive that cannot be reached or is not to be trusted.
    pub fn open(&self, selection: &Selection) -> Result<Archive, LineError> {
        self.open_one(selection, &self.archive)
    }

    /// Opens all archives that a recipe chooses from.
    ///
    /// # Errors
    /// As [`Session::open`]; and a past state that no service has.
    pub fn open_of(&self, debian: &Debian) -> Result<Archive, LineError> {
        let mut options = self.options_of(debian);
        if let Some(time) = &debian.snapshot {
            let Some(service) = &mut options.snapshots else {
                return Err(Fault::NoSnapshotService(time.clone()).into());
            };
            service.wanted_s = snapshot_time(time);
        }
        let mut archive = self.open_one(&selection(debian), &options)?;
        for extra in &debian.archives {
            let (selection, options) = self.beside(debian, extra);
            archive.join(self.open_one(&selection, &options)?);
        }
        Ok(archive)
    }

    /// Returns how an archive beside Debian's is opened.
    fn beside(&self, debian: &Debian, extra: &ExtraArchive) -> (Selection, archive::Options) {
        let options = archive::Options {
            mirrors: extra.mirrors.clone(),
            keyring: Some(extra.keys.clone()),
            name: Some(extra.name.clone()),
            snapshots: None,
            ..self.archive.clone()
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
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn files_of(&self, debian: &Debian) -> Result<Files, LineError> {
        let downloader = self.downloader();
        let mut all = vec![(None, selection(debian), self.options_of(debian))];
        for extra in &debian.archives {
            let (selection, options) = self.beside(debian, extra);
            all.push((Some(extra.name.as_str()), selection, options));
        }
        let mut out = Files::default();
        for (name, selection, options) in all {
            let found = archive::files(&selection, &options, &self.store, &downloader, &self.progress)?;
            let indexes = found.indexes.into_iter().map(|(path, wanted)| (pool::path(&path, name), wanted));
            out.indexes.extend(indexes);
            let signed = found.signed.into_iter().map(|(path, bytes)| (pool::path(&path, name), bytes));
            out.signed.extend(signed);
        }
        Ok(out)
    }

    fn open_one(&self, selection: &Selection, options: &archive::Options) -> Result<Archive, LineError> {
        let mut options = options.clone();
        // With a network the present state counts.
        if let Some(pool) = self.pool.as_deref().filter(|_| self.mirrors.offline)
            && pool::has_indexes(pool, options.name.as_deref(), &selection.suite)
        {
            options.mirrors = vec![pool::base(pool, options.name.as_deref())];
            options.snapshots = None;
        }
        Ok(archive::open(selection, &options, &self.store, &self.downloader(), &self.progress)?)
    }

    /// Returns the error for the first of some suites of Debian's archive that is nowhere, if there is one:
    /// what is locked of it cannot be had then.
    pub(super) fn missing_suite(&self, debian: &Debian, suites: &BTreeSet<&str>) -> Option<LineError> {
        let options = self.options_of(debian);
        let of_others =
            |suite: &str| debian.archives.iter().any(|extra| suite.starts_with(&format!("{}/", extra.name)));
        for suite in suites.iter().filter(|suite| !of_others(suite)) {
            let one = Selection { suite: (*suite).into(), pockets: Vec::new(), ..selection(debian) };
            let opened = archive::open(&one, &options, &self.store, &self.downloader(), &self.progress);
            if let Err(error) = opened.map(drop)
                && error.is_missing_suite()
            {
                return Some(error.into());
            }
        }
        None
    }

    /// Returns where the .debs of Debian's own archive can be had that a lock names: the pool first.
    ///
    /// # Errors
    /// A mirror that is no URL.
    pub fn mirrors(&self, lock: &Lock) -> Result<Mirrors, LineError> {
        let mut mirrors = mirrors_of(lock, &self.archive, &[])?;
        if let Some(pool) = &self.pool {
            mirrors.add_pool(pool);
        }
        Ok(mirrors)
    }

    /// Returns where the .debs of a recipe's lock can be had: the pool first.
    ///
    /// # Errors
    /// A mirror that is no URL.
    pub fn mirrors_of(&self, debian: &Debian, lock: &Lock) -> Result<Mirrors, LineError> {
        let beside: Vec<&str> = debian.archives.iter().map(|extra| extra.name.as_str()).collect();
        let mut mirrors = mirrors_of(lock, &self.options_of(debian), &beside)?;
        for extra in &debian.archives {
            mirrors.add(&extra.name, &extra.suite, &extra.mirrors)?;
        }
        if let Some(pool) = &self.pool {
            mirrors.add_pool(pool);
        }
        Ok(mirrors)
    }
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

/// Reads the packages of an archive, and ranks them by pins.
///
/// # Errors
/// An index that breaks a rule.
pub fn universe<'a>(archive: &'a Archive, pins: &[Pin]) -> Result<Universe<'a>, LineError> {
    Ok(Universe::pinned(&archive.selection.architecture, &archive.sources(), pins)?)
}

/// Resolves a request; where that cannot be done, the hint names the single changes that would help.
///
/// # Errors
/// A request that nothing satisfies.
pub fn choose(universe: &Universe<'_>, request: &Request) -> Result<Resolution, LineError> {
    resolve(universe, request).map_err(|error| {
        let changes = match &error {
            ResolveError::Unsatisfiable { .. } => remedies(universe, request),
            _ => Vec::new(),
        };
        let hint = format!("any one of these would help: {}", changes.join(", "));
        LineError::from(error).with_hint((!changes.is_empty()).then_some(hint))
    })
}
