//! Where an archive can be had: mirrors, from options or from the host's own apt sources.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{ArchiveError, Options};
use crate::{download::without_password, files, formats::apt_conf, pool};

/// Suites that Debian's own mirrors carry side by side: a base that serves one serves the others.
const DEBIAN_SUITES: [&str; 12] = [
    "bookworm",
    "bullseye",
    "buster",
    "duke",
    "experimental",
    "forky",
    "oldoldstable",
    "oldstable",
    "sid",
    "stable",
    "testing",
    "trixie",
];

/// How long after a Release file was made a snapshot service is sure to have that state: mirrors are
/// pushed within hours, and services look at them some times a day.
const SNAPSHOT_LAG_S: i64 = 86_400;

/// The base URLs of each suite that is read, best first.
///
/// Bases are `http:`, `https:` or `file:` URLs without a slash at the end. Security updates are
/// commonly on another base than all else, which is why each suite has a list of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors {
    suites: BTreeMap<String, Vec<String>>,
    /// The same of archives beside Debian's, by the archive's name and the suite.
    others: BTreeMap<(String, String), Vec<String>>,
    /// The pool that is looked in before all, as a path.
    pool: Option<String>,
    /// Where files are looked for that have left the mirrors: past states of a suite's archive.
    past: BTreeMap<String, Vec<String>>,
}

/// A service that has past states of Debian's archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// A base URL or directory, in which `{archive}` stands for `debian` or `debian-security`, and
    /// `{time}` for a time such as `20261101T000000Z`, of which the service has the state before.
    pub template: String,
    /// The state that is wanted instead of the present one, in seconds since 1970.
    pub wanted_s: Option<i64>,
}

impl Snapshots {
    /// Returns the base of a suite's archive at a time.
    fn base(&self, suite: &str, time_s: i64) -> Result<String, ArchiveError> {
        let time =
            jiff::Timestamp::from_second(time_s).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string();
        let archive = if is_security(suite) { "debian-security" } else { "debian" };
        base_of(&self.template.replace("{archive}", archive).replace("{time}", &time))
    }
}

impl Mirrors {
    /// Finds the mirrors of suites: the options' own, else those that the host's apt sources name.
    /// A suite without a mirror gets an empty list; that is a fault only once a mirror is needed.
    ///
    /// # Errors
    /// [`ArchiveError::MirrorUrl`].
    pub fn find(suites: &[String], options: &Options) -> Result<Self, ArchiveError> {
        if let Some(service) = &options.snapshots
            && let Some(time_s) = service.wanted_s
        {
            let mut mirrors = Mirrors::default();
            for suite in suites {
                mirrors.suites.insert(suite.clone(), vec![service.base(suite, time_s)?]);
            }
            return Ok(mirrors);
        }
        if options.mirrors.is_empty() && options.name.is_none() {
            let sources = read_sources(&options.sources);
            let bases = suites.iter().map(|suite| (suite.clone(), host_bases(&sources, suite)));
            return Ok(Mirrors { suites: bases.collect(), ..Mirrors::default() });
        }
        let given = options.mirrors.iter().map(|given| base_of(given)).collect::<Result<Vec<_>, _>>()?;
        let bases = suites.iter().map(|suite| (suite.clone(), option_bases(&given, suite)));
        Ok(Mirrors { suites: bases.collect(), ..Mirrors::default() })
    }

    /// Finds the mirrors of suites of Debian's archive, and where they are to be had as they were at these
    /// times (seconds since 1970, the best first), if a service has them.
    ///
    /// # Errors
    /// As [`Mirrors::find`].
    pub fn at(suites: &[String], times_s: &[i64], options: &Options) -> Result<Self, ArchiveError> {
        let mut mirrors = Mirrors::find(suites, options)?;
        let Some(service) = &options.snapshots else { return Ok(mirrors) };
        for suite in suites {
            let mut bases: Vec<String> = Vec::new();
            for time_s in times_s {
                for time_s in [*time_s, time_s.saturating_add(SNAPSHOT_LAG_S)] {
                    bases.push(service.base(suite, time_s)?);
                }
            }
            mirrors.past.insert(suite.clone(), bases);
        }
        Ok(mirrors)
    }

    /// Adds the mirrors of an archive beside Debian's, for one of its suites.
    ///
    /// # Errors
    /// [`ArchiveError::MirrorUrl`].
    pub fn add(&mut self, archive: &str, suite: &str, given: &[String]) -> Result<(), ArchiveError> {
        let bases = given.iter().map(|given| base_of(given)).collect::<Result<Vec<_>, _>>()?;
        self.others.insert((archive.into(), suite.into()), bases);
        Ok(())
    }

    /// Has packages looked for in a pool first; indexes are not.
    pub fn add_pool(&mut self, pool: &str) {
        self.pool = Some(pool.into());
    }

    /// Returns the name of the archive beside Debian's that a suite is of, if it is of one.
    pub fn archive_of<'s>(&self, suite: &'s str) -> Option<&'s str> {
        let (archive, own) = suite.split_once('/')?;
        self.others.contains_key(&(archive.to_owned(), own.to_owned())).then_some(archive)
    }

    /// Returns the bases of one suite of Debian's archive, or of the one that the options name; best first.
    pub fn of(&self, suite: &str) -> &[String] {
        self.suites.get(suite).map_or(&[], Vec::as_slice)
    }

    /// Whether a service has past states.
    pub fn has_past(&self) -> bool {
        !self.past.is_empty()
    }

    /// Returns the bases of past states of a suite's archive, the most likely first.
    pub fn past(&self, suite: &str) -> &[String] {
        self.past.get(suite).map_or(&[], Vec::as_slice)
    }

    /// Returns every base that may have a file of a suite's pool: the pool directory, those of the suite,
    /// then those of the other suites of its archive. Files of one archive are not requested from another.
    pub fn beginning_with(&self, suite: &str) -> Vec<String> {
        let pool = self.pool.as_ref().map(|path| pool::base(path, self.archive_of(suite)));
        let mut bases: Vec<&String> = pool.iter().collect();
        let beside = suite.split_once('/').map(|(archive, own)| (archive.to_owned(), own.to_owned()));
        match beside.and_then(|key| self.others.get_key_value(&key)) {
            Some(((archive, _), own)) => {
                bases.extend(own);
                let others = self.others.iter().filter(|((name, _), _)| name == archive);
                bases.extend(others.flat_map(|(_, bases)| bases));
            }
            None => bases.extend(self.of(suite).iter().chain(self.suites.values().flatten())),
        }
        let mut out: Vec<String> = Vec::new();
        for base in bases {
            if !out.contains(base) {
                out.push(base.clone());
            }
        }
        out
    }
}

/// Returns the path of a base, as `/debian` of `http://mirror.example/debian`; `/` where it has none.
pub(super) fn path_of(base: &str) -> &str {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    let rest = rest.strip_prefix("file:").unwrap_or(rest);
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

fn is_security(suite: &str) -> bool {
    suite.ends_with("-security")
}

/// Checks and completes a base that a person gave.
fn base_of(given: &str) -> Result<String, ArchiveError> {
    let base = given.trim_end_matches('/');
    if base.starts_with('/') {
        return Ok(format!("file:{base}"));
    }
    let known = ["http://", "https://", "file:/"].iter().any(|scheme| base.starts_with(scheme));
    let clean = base.bytes().all(|byte| byte.is_ascii_graphic());
    if known && clean {
        Ok(base.into())
    } else {
        Err(ArchiveError::MirrorUrl { given: without_password(given) })
    }
}

/// Returns the bases for a suite among given ones. Debian's mirrors have `…/debian` and, where
/// they carry it at all, `…/debian-security` beside it; other archives have all in one.
fn option_bases(given: &[String], suite: &str) -> Vec<String> {
    let mut out = Vec::new();
    for base in given {
        if is_security(suite) && base.ends_with("/debian") {
            out.push(format!("{base}-security"));
        }
        out.push(base.clone());
    }
    out
}

/// One line of apt's sources, whichever way it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
}

/// Returns the bases that the host's sources have for a suite: those that name it, and where none
/// does those that carry another of Debian's suites of the same kind.
fn host_bases(sources: &[Source], suite: &str) -> Vec<String> {
    let of = |matches: &dyn Fn(&str) -> bool| {
        let mut out: Vec<String> = Vec::new();
        for source in sources.iter().filter(|source| source.suites.iter().any(|named| matches(named))) {
            for base in source.uris.iter().filter_map(|uri| base_of(uri).ok()) {
                if !out.contains(&base) {
                    out.push(base);
                }
            }
        }
        out
    };
    let named = of(&|named| named == suite);
    if !named.is_empty() {
        return named;
    }
    let debian = |name: &str| DEBIAN_SUITES.contains(&name.split('-').next().unwrap_or_default());
    if !debian(suite) {
        return Vec::new();
    }
    of(&|named| debian(named) && is_security(named) == is_security(suite))
}

/// Reads `sources.list` and `sources.list.d/*.{list,sources}`, in apt's order (see sources.list(5)).
fn read_sources(directory: &Path) -> Vec<Source> {
    let mut files = vec![directory.join("sources.list")];
    let mut more: Vec<PathBuf> = files::list(directory.join("sources.list.d"))
        .into_iter()
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(|name| apt_conf::is_read(name, &["list", "sources"])))
        .map(|e| e.path())
        .collect();
    more.sort();
    files.extend(more);
    let mut out = Vec::new();
    for path in files {
        let parse: fn(&str) -> Vec<Source> = match path.extension().and_then(|e| e.to_str()) {
            Some("list") => parse_list,
            Some("sources") => parse_deb822,
            _ => continue,
        };
        // A source that only root may read holds a password; it is not for us.
        if let Ok(text) = files::read(&path) {
            out.extend(parse(&String::from_utf8_lossy(&text)));
        }
    }
    for source in &mut out {
        let uris = source.uris.iter().flat_map(|uri| expand(uri)).collect();
        source.uris = uris;
    }
    out
}

/// Returns the bases that a URI of apt stands for: a `mirror+file:` names a file that lists bases.
fn expand(uri: &str) -> Vec<String> {
    if let Some(path) = uri.strip_prefix("mirror+file:") {
        let path = format!("/{}", path.trim_start_matches('/'));
        let text = files::read_to_string(path).unwrap_or_default();
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        return text.lines().filter_map(first).filter(|word| !word.starts_with('#')).collect();
    }
    let copied = uri.strip_prefix("copy:").map(|path| format!("file:{path}"));
    vec![copied.unwrap_or_else(|| uri.to_owned())]
}

/// Reads the one-line form: `deb [option=value …] URI SUITE COMPONENT…`.
fn parse_list(text: &str) -> Vec<Source> {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some(rest) = line.trim_start().strip_prefix("deb") else { continue };
        let rest = match rest.trim_start().strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None if rest.starts_with(char::is_whitespace) => rest,
            None => continue,
        };
        let mut words = rest.split_whitespace();
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            out.push(Source { uris: vec![uri.into()], suites: vec![suite.into()] });
        }
    }
    out
}

/// Reads the deb822 form.
fn parse_deb822(text: &str) -> Vec<Source> {
    let mut out = Vec::new();
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            out.extend(source_of(&std::mem::take(&mut fields)));
        } else if line.starts_with([' ', '\t']) {
            let value = fields.entry(last.clone()).or_default();
            value.push(' ');
            value.push_str(line.trim());
        } else if let Some((name, value)) = line.split_once(':') {
            last = name.trim().to_ascii_lowercase();
            fields.insert(last.clone(), value.trim().to_owned());
        }
    }
    out
}

/// Returns the bases and suites of a text, read in both forms.
#[cfg(feature = "testing")]
pub(super) fn words_of(text: &str) -> Vec<String> {
    let sources = parse_list(text).into_iter().chain(parse_deb822(text));
    sources.flat_map(|source| [source.uris, source.suites].concat()).collect()
}

fn source_of(fields: &BTreeMap<String, String>) -> Option<Source> {
    let words = |name: &str| -> Vec<String> {
        fields
            .get(name)
            .map(|value| value.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    };
    let off = fields.get("enabled").is_some_and(|word| apt_conf::truth(word) == Some(false));
    if off || !words("types").iter().any(|kind| kind == "deb") {
        return None;
    }
    Some(Source { uris: words("uris"), suites: words("suites") })
}

#[cfg(test)]
mod tests;
