//! The signed indexes of a Debian archive.
//!
//! A suite, mirrors and keys come in; the texts of its Packages indexes go out, each checked by
//! its digest in a Release file, which is checked by its signature. Nothing is parsed here beyond
//! that: stanzas are read by `formats::packages`. Nothing unverified is returned or
//! kept. Fetched files stay in the store, so that an archive that has not changed costs one
//! small conditional request a suite, and `--offline` none.

mod error;
mod files;
mod index;
mod kept_index;
mod kept_release;
mod keyring;
mod listed;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod release;
mod sources;

use std::path::PathBuf;

use crate::{
    digest::Digest,
    download::{Conditional, DownloadError, Downloader, Refusal, url_below},
    formats::{
        packages::Source,
        suite::{self, is_exact},
    },
    progress::{Progress, Unit},
    store::Store,
    threads,
};

use kept_release::VerifiedRelease;
use keyring::Signed;
use listed::ListedIndex;
use release::Asked;

pub use error::ArchiveError;
pub use files::{Files, files};
pub use kept_index::{Text, is_kept_index};
pub use keyring::{Keyring, KeyringError};
pub use release::ReleaseError;
pub use sources::{Mirrors, Snapshots};

/// More than any InRelease file has; Debian's largest have some 200 kB.
const MAX_RELEASE_BYTES: u64 = 16 << 20;

/// Which part of an archive is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The suite, by codename (`bookworm`), or the exact path of a directory (`./`); see
    /// [`suite::canonical`].
    pub suite: String,
    /// The pockets beside it: `updates` stands for `bookworm-updates`.
    pub pockets: Vec<String>,
    /// Components (`main`); an exact path has none.
    pub components: Vec<String>,
    /// The Debian architecture (`amd64`).
    pub architecture: String,
}

impl Selection {
    /// Selects `main` of a suite with its updates and security updates, which `sid` and its like
    /// do not have.
    pub fn new(suite: &str, architecture: &str) -> Self {
        let rolling = ["sid", "unstable", "experimental"].contains(&suite);
        let pockets = if rolling || is_exact(suite) { &[][..] } else { &["updates", "security"] };
        let components = if is_exact(suite) { &[][..] } else { &["main"] };
        let owned = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
        Selection {
            suite: suite.into(),
            pockets: owned(pockets),
            components: owned(components),
            architecture: architecture.into(),
        }
    }

    /// Checks that every name can be a part of a path.
    fn check(&self) -> Result<(), ArchiveError> {
        let wrong = |name: &String| ArchiveError::Name { name: name.clone() };
        suite::check(&self.suite).map_err(|_| wrong(&self.suite))?;
        for name in [&self.architecture].into_iter().chain(&self.pockets) {
            if name.contains('/') || suite::check_parts(name).is_err() {
                return Err(wrong(name));
            }
        }
        // A component may have several parts ("updates/main").
        let mut components = self.components.iter();
        components.find(|name| suite::check_parts(name).is_err()).map_or(Ok(()), |name| Err(wrong(name)))
    }

    /// Returns the requested components: of an exact path the one without a name.
    fn components(&self) -> Vec<&str> {
        match is_exact(&self.suite) {
            true => vec![""],
            false => self.components.iter().map(String::as_str).collect(),
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
    /// host's own apt sources are read.
    pub mirrors: Vec<String>,
    /// The directory of apt's sources.
    pub sources: PathBuf,
    /// A file, or a directory of files, with the only keys to trust, armored or not; `None` for the
    /// keys of Debian's archive that come with tinyroot.
    pub keyring: Option<PathBuf>,
    /// The name of an archive beside Debian's: `example` makes its suite `stable` known as
    /// `example/stable`. Its mirrors are those given and no others.
    pub name: Option<String>,
    /// Where past states of Debian's archive can be had.
    pub snapshots: Option<Snapshots>,
    /// The present, in seconds since 1970: the reference for Date, Valid-Until and keys.
    pub now_s: i64,
}

impl Default for Options {
    fn default() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Options {
            mirrors: Vec::new(),
            sources: "/etc/apt".into(),
            keyring: None,
            name: None,
            snapshots: None,
            now_s: now.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
        }
    }
}

impl Options {
    /// Returns the name of a suite of this archive beside those of others.
    fn label(&self, suite: &str) -> String {
        match &self.name {
            Some(name) => format!("{name}/{suite}"),
            None => suite.into(),
        }
    }

    /// Returns the time that signatures and Release files are measured by: a past state need be valid
    /// at its own time only.
    fn reference_time_s(&self) -> i64 {
        self.snapshots.as_ref().and_then(|service| service.wanted_s).unwrap_or(self.now_s)
    }
}

/// One Packages index, checked.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its suite, pocket included (`bookworm-security`), after the archive's name where that has one.
    pub suite: String,
    /// Its component; empty for an exact path.
    pub component: String,
    /// The architecture in its path: the requested one, or `all` where an archive keeps that apart.
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
    /// The stanzas, as the archive has them but for the fields that nothing here reads; may be empty.
    pub text: Text,
}

/// An archive as it stands: every index of a [`Selection`], in the order of
/// [`Selection::suites`], then components.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The selected suites and components.
    pub selection: Selection,
    /// The indexes.
    pub indexes: Vec<Index>,
    /// The newest of the indexes' times.
    pub time_s: i64,
}

/// Opens an archive: fetches the signed indexes that the store does not have yet.
///
/// Offline, the copies in the store are used, however old they are.
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
    let opening = Opener::begin(selection, options, store, downloader, progress)?;
    let suites = selection.suites();
    let task = progress.task("asking for the state of the archive", suites.len() as u64, Unit::Items);
    let releases = threads::map(threads::for_downloads(suites.len()), &suites, |suite| {
        opening.release(suite).inspect(|_| task.add(1))
    });
    let releases = releases.into_iter().collect::<Result<Vec<_>, _>>()?;
    drop(task);
    let mut listed: Vec<(&VerifiedRelease, &ListedIndex)> = Vec::new();
    for release in &releases {
        opening.warn_of_oddities(release);
        for component in selection.components() {
            let found = release.release.indexes(component, &selection.architecture);
            if found.is_empty() {
                opening.without_index(selection, &release.suite, component)?;
            }
            listed.extend(found.into_iter().map(|index| (release, index)));
        }
    }
    let texts = opening.texts(&listed)?;
    let index = |((release, listed), text): (&(&VerifiedRelease, &ListedIndex), Text)| Index {
        suite: options.label(&release.suite),
        component: listed.component.clone(),
        architecture: match listed.architecture.as_str() {
            "" => selection.architecture.clone(),
            own => own.into(),
        },
        digest: text.digest(),
        time_s: release.release.date_s,
        not_automatic: release.release.not_automatic,
        but_automatic_upgrades: release.release.but_automatic_upgrades,
        signed_by: release.signed.signers.clone(),
        text,
    };
    let indexes: Vec<Index> = listed.iter().zip(texts).map(index).collect();
    indexes.iter().for_each(|index| opening.warn_of_left_out(index));
    // Only now, so that a later offline run finds every index of the Release file that is kept.
    for release in releases.iter().filter(|release| release.is_new) {
        let path = opening.kept_path(&release.suite, opening.base(release));
        store.write_sealed(&path, &release.to_bytes(&opening.keyring))?;
    }
    let time_s = releases.iter().map(|release| release.release.date_s).max().unwrap_or_default();
    Ok(Archive { selection: selection.clone(), indexes, time_s })
}

impl Archive {
    /// Returns the indexes as sources of packages, each with the rank of its Release file.
    pub fn sources(&self) -> Vec<Source<'_>> {
        let mut out = Vec::new();
        for index in &self.indexes {
            let priority = Source::rank(index.not_automatic, index.but_automatic_upgrades);
            let (text, table) = (&*index.text, index.text.table());
            out.push(Source { suite: &index.suite, priority, text, table });
        }
        out
    }

    /// Adds the indexes of another archive behind its own.
    pub fn join(&mut self, other: Archive) {
        self.time_s = self.time_s.max(other.time_s);
        self.indexes.extend(other.indexes);
    }
}

/// The context in which an archive is opened.
struct Opener<'a> {
    options: &'a Options,
    architecture: &'a str,
    store: &'a Store,
    downloader: &'a Downloader,
    progress: &'a Progress,
    keyring: Keyring,
    mirrors: Mirrors,
}

impl<'a> Opener<'a> {
    fn begin(
        selection: &'a Selection,
        options: &'a Options,
        store: &'a Store,
        downloader: &'a Downloader,
        progress: &'a Progress,
    ) -> Result<Self, ArchiveError> {
        selection.check()?;
        let keyring = match &options.keyring {
            Some(path) => Keyring::read(path)?,
            None => Keyring::debian(),
        };
        let mirrors = Mirrors::find(&selection.suites(), options)?;
        let architecture = &*selection.architecture;
        Ok(Opener { options, architecture, store, downloader, progress, keyring, mirrors })
    }

    fn asked<'s>(&self, suite: &'s str) -> Asked<'s> {
        Asked { suite, leniently: self.options.name.is_some() || is_exact(suite) }
    }

    /// Returns the base that a Release file is from.
    fn base(&self, release: &VerifiedRelease) -> &str {
        let bases = self.mirrors.of(&release.suite);
        let url = &release.validators.url;
        bases
            .iter()
            .find(|base| url.strip_prefix(base.as_str()).is_some_and(|rest| rest.starts_with('/')))
            .map_or("", String::as_str)
    }

    /// Returns where the Release file of a suite is kept: apart for each set of keys, since an archive
    /// that other keys vouch for is another archive; and for each past state that is wanted. The mirrors of
    /// Debian have one archive, wherever it lies on them. A name that a recipe gives says less: it may stand
    /// for one directory of a server here and for another one there, so the path counts as well.
    fn kept_path(&self, suite: &str, base: &str) -> PathBuf {
        let mut directory = self.keyring.name();
        let past = self.options.snapshots.as_ref().and_then(|service| service.wanted_s);
        for part in
            [self.options.name.clone(), past.map(|time_s| format!("at-{time_s}"))].into_iter().flatten()
        {
            directory = format!("{directory}-{part}");
        }
        let mut path = self.store.root().join("indexes").join(directory);
        if self.options.name.is_some() {
            path.push(file_name(sources::path_of(base)));
        }
        path.join(file_name(suite))
    }

    /// Returns the newest Release file that is kept, if there is one and it is still to be trusted.
    fn kept(&self, suite: &str) -> Option<VerifiedRelease> {
        let mut paths: Vec<PathBuf> =
            self.mirrors.of(suite).iter().map(|base| self.kept_path(suite, base)).collect();
        if self.options.name.is_none() {
            paths = vec![self.kept_path(suite, "")];
        }
        let read = |path: PathBuf| {
            let kept = self.store.read_kept(&path).ok()?;
            VerifiedRelease::from_kept(
                &kept,
                self.asked(suite),
                &self.keyring,
                self.options.reference_time_s(),
            )
        };
        paths.into_iter().filter_map(read).max_by_key(|kept| kept.release.date_s)
    }

    /// Returns the present Release file of a suite.
    fn release(&self, suite: &str) -> Result<VerifiedRelease, ArchiveError> {
        let kept = self.kept(suite);
        let directory = suite::directory(suite);
        let path = format!("{directory}InRelease");
        let (now_s, offline) = (self.options.reference_time_s(), self.downloader.offline());
        let urls = |name: &str| -> Vec<String> {
            let path = format!("{directory}{name}");
            self.mirrors.of(suite).iter().filter_map(|base| url_below(base, &path)).collect()
        };
        let signed_inside = urls("InRelease");
        if offline && !signed_inside.iter().any(|url| url.starts_with("file:")) {
            let kept = kept.ok_or_else(|| ArchiveError::NotKept { suite: suite.into() })?;
            kept.release
                .check(&self.asked(suite), now_s, true)
                .map_err(|source| ArchiveError::Kept { suite: suite.into(), source })?;
            return Ok(kept);
        }
        if signed_inside.is_empty() {
            let directory = self.options.sources.clone();
            return Err(ArchiveError::NoMirror { suite: suite.into(), directory });
        }
        let known = kept.as_ref().map(|kept| &kept.validators);
        let check = |answer| self.judge(suite, answer, None, kept.as_ref());
        let new = self.downloader.fetch_small(&path, &signed_inside, MAX_RELEASE_BYTES, known, check);
        let new = match new {
            // Some archives have the older form only: Release, and its signature beside it.
            Err(error) if error.is_gone() => self
                .release_signed_apart(suite, &urls("Release"), kept.as_ref())
                .map_err(|other| if other.is_gone() { error } else { other })?,
            // A copy here that lacks it or is older does not make the kept one unusable.
            Err(_) if offline && kept.is_some() => None,
            new => new?,
        };
        Ok(new.or(kept).expect("an answer without a body is accepted only with one kept"))
    }

    /// Returns the Release file of a suite whose signature is a file of its own; `None`: the kept one.
    fn release_signed_apart(
        &self,
        suite: &str,
        urls: &[String],
        kept: Option<&VerifiedRelease>,
    ) -> Result<Option<VerifiedRelease>, DownloadError> {
        let path = format!("{}Release", suite::directory(suite));
        let known = kept.map(|kept| &kept.validators);
        self.downloader.fetch_small(&path, urls, MAX_RELEASE_BYTES, known, |answer| {
            let signature = match &answer {
                Conditional::Body { validators, .. } => {
                    let beside = [format!("{}.gpg", validators.url)];
                    let name = format!("{path}.gpg");
                    Some(self.downloader.fetch_small(
                        &name,
                        &beside,
                        MAX_RELEASE_BYTES,
                        None,
                        |signature| match signature {
                            Conditional::Body { bytes, .. } => Ok(bytes),
                            Conditional::Unchanged => Err(UNASKED.into()),
                        },
                    )?)
                }
                Conditional::Unchanged => None,
            };
            self.judge(suite, answer, signature, kept)
        })
    }

    /// Decides whether a response is a Release file that can be used; `None`: the kept one still is.
    fn judge(
        &self,
        suite: &str,
        answer: Conditional,
        signature: Option<Vec<u8>>,
        kept: Option<&VerifiedRelease>,
    ) -> Result<Option<VerifiedRelease>, Refusal> {
        let (now_s, offline) = (self.options.reference_time_s(), self.downloader.offline());
        let asked = self.asked(suite);
        let Conditional::Body { bytes, validators } = answer else {
            let kept = kept.ok_or(UNASKED)?;
            kept.release.check(&asked, now_s, offline)?;
            return Ok(None);
        };
        let message = Message { bytes, signature };
        // Some servers send an unchanged file again.
        if let Some(kept) = kept.filter(|kept| kept.message == message && kept.validators == validators) {
            kept.release.check(&asked, now_s, offline)?;
            return Ok(None);
        }
        let signed = message
            .verify(&self.keyring, now_s)
            .map_err(|error| Refusal { may_be_damaged: error.may_be_damage(), error: error.into() })?;
        let release = asked.parse(&signed)?;
        release.check(&asked, now_s, offline)?;
        if let Some(known) = kept.filter(|kept| kept.release.date_s > release.date_s) {
            let (found, known) = (format_time(release.date_s), format_time(known.release.date_s));
            return Err(ReleaseError::Replayed { found, known }.into());
        }
        self.progress.detail(&format!(
            "{suite} of {} is signed by {}",
            format_time(release.date_s),
            signed.signers.join(", ")
        ));
        let (suite, leniently) = (suite.into(), asked.leniently);
        Ok(Some(VerifiedRelease { suite, release, signed, message, validators, leniently, is_new: true }))
    }

    /// Warns of wrong fields in the Release file of another archive.
    fn warn_of_oddities(&self, release: &VerifiedRelease) {
        if release.leniently {
            for oddity in release.release.oddities(&release.suite) {
                let suite = self.options.label(&release.suite);
                self.progress.warn(&format!("the Release file of {suite} is odd: {oddity}"));
            }
        }
    }

    /// Warns of stanzas that cannot be used, with the first few.
    fn warn_of_left_out(&self, index: &Index) {
        let Some(table) = index.text.table().filter(|table| table.count_left_out() > 0) else { return };
        let count = table.count_left_out();
        let (what, are) = if count == 1 { ("stanza", "is") } else { ("stanzas", "are") };
        let left_out = table.left_out(&index.text, self.architecture).take(LEFT_OUT_SHOWN);
        let shown: String = left_out.map(|left| format!("\n  {}: {}", left.package(), left.reason)).collect();
        let more = match count.saturating_sub(LEFT_OUT_SHOWN) {
            0 => String::new(),
            more => format!("\n  and {more} more"),
        };
        self.progress.warn(&format!("{count} {what} of {} {are} left out{shown}{more}", index.suite));
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

/// How many stanzas that cannot be used are named.
const LEFT_OUT_SHOWN: usize = 3;

/// Returns a text with slashes as a name in a directory.
fn file_name(text: &str) -> String {
    let name = text.replace('%', "%25").replace('/', "%2f");
    match name.len() {
        // Longer ones may not fit.
        200.. => Digest::of(name.as_bytes()).to_string(),
        _ => name,
    }
}

/// A Release file and what signs it.
#[derive(PartialEq)]
struct Message {
    bytes: Vec<u8>,
    /// A signature apart (`Release.gpg`); none: the file is clear-signed.
    signature: Option<Vec<u8>>,
}

impl Message {
    fn verify(&self, keyring: &Keyring, now_s: i64) -> Result<Signed, KeyringError> {
        match &self.signature {
            Some(signature) => keyring.verify_apart(&self.bytes, signature, now_s),
            None => keyring.verify(&self.bytes, now_s),
        }
    }
}

/// The fault of a server that sends 304 to an unconditional request.
const UNASKED: &str = "the server sent 304 to an unconditional request";

/// Returns the day of a time, as `2024-01-31`.
fn day(time_s: i64) -> String {
    format_time(time_s).split(' ').next().unwrap_or_default().to_owned()
}

/// Returns a time to the minute, as `2024-01-31 23:59 UTC`.
fn format_time(time_s: i64) -> String {
    match jiff::Timestamp::from_second(time_s) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => format!("second {time_s}"),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
