//! The signed indexes of a Debian archive.
//!
//! A suite, mirrors and keys come in; the texts of its Packages indexes go out, each checked by
//! its digest in a Release file, which is checked by its signature. Nothing is parsed here beyond
//! what that needs: stanzas are read by `formats::packages`. Nothing unverified is handed on or
//! kept. What was fetched stays in the store, so that an archive that has not changed costs one
//! small conditional request a suite, and `--offline` none.

mod error;
mod index;
mod keyring;
mod release;
mod sources;

use std::{fs, path::PathBuf, thread};

use crate::{
    download::{Answer, Downloader, Validators, url_below},
    formats::digest::Digest,
    progress::{Progress, Unit},
    store::Store,
};

use keyring::Signed;
use release::{ListedIndex, Release};

pub use error::ArchiveError;
pub use keyring::{Keyring, KeyringError};
pub use release::ReleaseError;
pub use sources::Mirrors;

/// More than any InRelease file has; Debian's largest have some 200 kB.
const MAX_RELEASE_BYTES: u64 = 16 << 20;

/// Which part of an archive is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The suite, by codename (`bookworm`).
    pub suite: String,
    /// What is read beside it: `updates` stands for `bookworm-updates`.
    pub pockets: Vec<String>,
    /// Components (`main`).
    pub components: Vec<String>,
    /// The Debian architecture (`amd64`).
    pub architecture: String,
}

impl Selection {
    /// Selects `main` of a suite with its updates and security updates, which `sid` and its like
    /// do not have.
    pub fn new(suite: &str, architecture: &str) -> Self {
        let rolling = ["sid", "unstable", "experimental"].contains(&suite);
        let pockets = if rolling { &[][..] } else { &["updates", "security"] };
        Selection {
            suite: suite.into(),
            pockets: pockets.iter().map(|&pocket| pocket.into()).collect(),
            components: vec!["main".into()],
            architecture: architecture.into(),
        }
    }

    /// Checks that every name can be a part of a path.
    fn check(&self) -> Result<(), ArchiveError> {
        let one = |name: &String| {
            let good = |b: u8| b.is_ascii_alphanumeric() || b"-+._~".contains(&b);
            !name.is_empty() && !name.starts_with('.') && name.bytes().all(good)
        };
        // A component may have several parts ("updates/main").
        let parts = self.components.iter().flat_map(|name| name.split('/')).map(str::to_owned);
        let names = [&self.suite, &self.architecture].into_iter().chain(&self.pockets).cloned();
        match names.chain(parts).find(|name| !one(name)) {
            Some(name) => Err(ArchiveError::Name { name }),
            None => Ok(()),
        }
    }

    /// Returns the names of all suites that are read, the suite itself first.
    pub fn suites(&self) -> Vec<String> {
        let pockets = self.pockets.iter().map(|pocket| format!("{}-{pocket}", self.suite));
        std::iter::once(self.suite.clone()).chain(pockets).collect()
    }
}

/// How an archive is reached and trusted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Base URLs (`http://HOST/debian`) or absolute directories, tried in turn. Where empty, the
    /// host's own apt sources are asked.
    pub mirrors: Vec<String>,
    /// The directory of apt's sources.
    pub sources: PathBuf,
    /// A file, or a directory of files, with the only keys to trust, armored or not; `None` for the
    /// keys of Debian's archive that come with tinyroot.
    pub keyring: Option<PathBuf>,
    /// The present, in seconds since 1970: what Date, Valid-Until and keys are measured by.
    pub now_s: i64,
}

impl Default for Options {
    fn default() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Options {
            mirrors: Vec::new(),
            sources: "/etc/apt".into(),
            keyring: None,
            now_s: now.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
        }
    }
}

/// One Packages index, checked.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its suite, pocket included (`bookworm-security`).
    pub suite: String,
    /// Its component.
    pub component: String,
    /// The architecture in its path: the one asked for, or `all` where an archive keeps that apart.
    pub architecture: String,
    /// SHA-256 of the text.
    pub digest: Digest,
    /// When its Release file was made: the Date field, in seconds since 1970.
    pub time_s: i64,
    /// Whether apt would take packages of it only on request (`NotAutomatic: yes`, as backports have).
    pub not_automatic: bool,
    /// Whether what was once taken from it is upgraded from it (`ButAutomaticUpgrades: yes`).
    pub but_automatic_upgrades: bool,
    /// Fingerprints of the keys whose signatures on that file are good, in upper-case hex.
    pub signed_by: Vec<String>,
    /// The stanzas, as the archive has them; may be empty.
    pub text: Vec<u8>,
}

/// An archive as it stands: every index of a [`Selection`], in the order of
/// [`Selection::suites`], then components.
#[derive(Clone, Debug)]
pub struct Archive {
    /// What was selected.
    pub selection: Selection,
    /// The indexes.
    pub indexes: Vec<Index>,
    /// The newest of the indexes' times.
    pub time_s: i64,
}

/// Opens an archive: fetches what the store does not have yet of its signed indexes.
///
/// Offline, what was fetched before is used, however old it is.
///
/// # Errors
/// Every way in which mirrors, signatures, times and digests can be wrong: see [`ArchiveError`].
pub fn open(
    selection: &Selection,
    options: &Options,
    store: &Store,
    downloader: &Downloader,
    progress: &Progress,
) -> Result<Archive, ArchiveError> {
    selection.check()?;
    let keyring = match &options.keyring {
        Some(path) => Keyring::read(path)?,
        None => Keyring::debian(),
    };
    let suites = selection.suites();
    let mirrors = Mirrors::find(&suites, options)?;
    let opening = Opening { options, store, downloader, progress, keyring, mirrors };
    let task = progress.task("asking for the state of the archive", suites.len() as u64, Unit::Items);
    let releases = thread::scope(|scope| {
        let threads: Vec<_> = suites
            .iter()
            .map(|suite| scope.spawn(|| opening.release(suite).inspect(|_| task.add(1))))
            .collect();
        threads.into_iter().map(|t| t.join().expect("no panic in a thread")).collect::<Result<Vec<_>, _>>()
    })?;
    drop(task);
    let mut listed: Vec<(&Dated, &ListedIndex)> = Vec::new();
    for release in &releases {
        for component in &selection.components {
            let found = release.release.indexes(component, &selection.architecture);
            if found.is_empty() {
                opening.without_index(selection, &release.suite, component)?;
            }
            listed.extend(found.into_iter().map(|index| (release, index)));
        }
    }
    let texts = opening.texts(&listed)?;
    let index = |((release, listed), text): (&(&Dated, &ListedIndex), Vec<u8>)| Index {
        suite: release.suite.clone(),
        component: listed.component.clone(),
        architecture: listed.architecture.clone(),
        digest: listed.plain.digest,
        time_s: release.release.date_s,
        not_automatic: release.release.not_automatic,
        but_automatic_upgrades: release.release.but_automatic_upgrades,
        signed_by: release.signers.clone(),
        text,
    };
    let indexes: Vec<Index> = listed.iter().zip(texts).map(index).collect();
    // Only now, so that whoever works offline later finds every index of what is kept.
    for release in releases.iter().filter(|release| release.is_new) {
        store.write_file(&opening.kept_path(&release.suite), &release.to_bytes())?;
    }
    let time_s = releases.iter().map(|release| release.release.date_s).max().unwrap_or_default();
    Ok(Archive { selection: selection.clone(), indexes, time_s })
}

/// What opening an archive needs throughout.
struct Opening<'a> {
    options: &'a Options,
    store: &'a Store,
    downloader: &'a Downloader,
    progress: &'a Progress,
    keyring: Keyring,
    mirrors: Mirrors,
}

/// A verified Release file, as it came.
struct Dated {
    suite: String,
    release: Release,
    signers: Vec<String>,
    bytes: Vec<u8>,
    validators: Validators,
    /// Not in the store yet.
    is_new: bool,
}

impl Dated {
    /// Returns the form in which it is kept: where it came from, an empty line, the InRelease file.
    fn to_bytes(&self) -> Vec<u8> {
        let Validators { url, etag, modified } = &self.validators;
        let mut out = format!("url {url}\netag {etag}\nmodified {modified}\n\n").into_bytes();
        out.extend_from_slice(&self.bytes);
        out
    }
}

impl Opening<'_> {
    /// Returns where the Release file of a suite is kept: apart for each set of keys, since an archive
    /// that other keys vouch for is another archive.
    fn kept_path(&self, suite: &str) -> PathBuf {
        self.store.root().join("indexes").join(self.keyring.name()).join(suite)
    }

    /// Returns the Release file that is kept, if there is one and it is still to be trusted.
    fn kept(&self, suite: &str) -> Option<Dated> {
        let kept = fs::read(self.kept_path(suite)).ok()?;
        let end = kept.windows(2).position(|pair| pair == b"\n\n")?;
        let head = std::str::from_utf8(&kept[..end]).ok()?;
        let mut lines = head.lines();
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let validators =
            Validators { url: value("url")?, etag: value("etag")?, modified: value("modified")? };
        let bytes = kept[end + 2..].to_vec();
        let Signed { text, signers } = self.keyring.verify(&bytes, self.options.now_s).ok()?;
        let release = Release::parse(&text).ok()?;
        Some(Dated { suite: suite.into(), release, signers, bytes, validators, is_new: false })
    }

    /// Returns the present Release file of a suite.
    fn release(&self, suite: &str) -> Result<Dated, ArchiveError> {
        let kept = self.kept(suite);
        let path = format!("dists/{suite}/InRelease");
        let bases = self.mirrors.of(suite);
        let urls: Vec<String> = bases.iter().filter_map(|base| url_below(base, &path)).collect();
        let (now_s, offline) = (self.options.now_s, self.downloader.offline());
        if offline && !urls.iter().any(|url| url.starts_with("file:")) {
            let kept = kept.ok_or_else(|| ArchiveError::NotKept { suite: suite.into() })?;
            kept.release
                .check(suite, now_s, true)
                .map_err(|source| ArchiveError::Kept { suite: suite.into(), source })?;
            return Ok(kept);
        }
        if urls.is_empty() {
            let directory = self.options.sources.clone();
            return Err(ArchiveError::NoMirror { suite: suite.into(), directory });
        }
        let check = |answer: Answer| {
            let Answer::Body { bytes, validators } = answer else {
                let kept = kept.as_ref().ok_or("the server answers a question that was not asked")?;
                kept.release.check(suite, now_s, offline)?;
                return Ok(None);
            };
            let Signed { text, signers } = self.keyring.verify(&bytes, now_s)?;
            let release = Release::parse(&text)?;
            release.check(suite, now_s, offline)?;
            if let Some(known) = kept.as_ref().filter(|kept| kept.release.date_s > release.date_s) {
                let (found, known) = (moment(release.date_s), moment(known.release.date_s));
                return Err(ReleaseError::Replayed { found, known }.into());
            }
            self.progress.detail(&format!(
                "{suite} of {} is signed by {}",
                moment(release.date_s),
                signers.join(", ")
            ));
            Ok(Some(Dated { suite: suite.into(), release, signers, bytes, validators, is_new: true }))
        };
        let known = kept.as_ref().map(|kept| &kept.validators);
        let new = self.downloader.fetch_small(&path, &urls, MAX_RELEASE_BYTES, known, check)?;
        Ok(new.or(kept).expect("an answer without a body is accepted only with one kept"))
    }

    /// A pocket need not have every component; the suite itself must.
    fn without_index(&self, selection: &Selection, suite: &str, component: &str) -> Result<(), ArchiveError> {
        let architecture = selection.architecture.clone();
        if suite == selection.suite {
            return Err(ArchiveError::NoIndex {
                suite: suite.into(),
                component: component.into(),
                architecture,
            });
        }
        self.progress.warn(&format!("{suite} has no component {component} for {architecture}"));
        Ok(())
    }
}

/// Returns the day of a time, as `2024-01-31`.
fn day(time_s: i64) -> String {
    moment(time_s).split(' ').next().unwrap_or_default().to_owned()
}

/// Returns a time to the minute, as `2024-01-31 23:59 UTC`.
fn moment(time_s: i64) -> String {
    match jiff::Timestamp::from_second(time_s) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => format!("second {time_s}"),
    }
}

#[cfg(test)]
mod tests;
