//! A recipe's lock moved to the present state of the archive, for an attempt: what moved, what the changelogs
//! of the moved packages say, and which of them may be why the app does not prove any more.

use std::collections::{BTreeMap, BTreeSet};

use super::{LineError, Session, choose, lock, request, universe};
use crate::{
    files,
    formats::changelog,
    lock::{Changes, Lock},
    recipe::Recipe,
    shutdown::Restored,
    store::Store,
    unpack,
};

/// Two locks of a recipe: the one that is there, and the one of the present state of the archive.
pub struct Moved {
    /// The one in the recipe's folder.
    pub old: Lock,
    /// The one that would take its place.
    pub new: Lock,
    /// What differs.
    pub changes: Changes,
    /// Whether a solver chose, since apt's own way leads into a contradiction.
    pub beyond_apt: bool,
}

/// Resolves a recipe by the present state of the archive. Nothing is written.
///
/// # Errors
/// A recipe without a lock, an archive that cannot be had, a request that nothing satisfies.
pub fn moved(recipe: &Recipe, session: &Session) -> Result<Moved, LineError> {
    let old = Lock::read(&recipe.lock_path())?;
    let archive = session.open_of(&recipe.debian)?;
    let universe = universe(&archive, &recipe.debian.pins)?;
    let request = request(recipe);
    let resolution = choose(&universe, &request)?;
    let new = lock(recipe, &archive, &request, &resolution);
    let changes = Changes::between(&old, &new);
    Ok(Moved { old, new, changes, beyond_apt: resolution.beyond_apt })
}

impl Moved {
    /// Writes the new lock for an attempt. The old one comes back, byte for byte, unless that succeeds.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn attempt(&self, recipe: &Recipe) -> Result<Restored, LineError> {
        let path = recipe.lock_path();
        let restored = Restored::new(&path, files::read(&path)?);
        self.new.write(&path)?;
        Ok(restored)
    }

    /// Returns the moved packages that may be why an attempt failed: those that the error names as words of
    /// its own; else those with files in the package, where these are known; else all.
    pub fn suspects(&self, error: &str, shipped: &BTreeSet<String>) -> Vec<String> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let words: BTreeSet<&str> = error
            .split(|letter: char| !(letter.is_ascii() && is_part(letter as u8)))
            .map(|word| word.trim_end_matches('.'))
            .collect();
        let tiers: [&dyn Fn(&str) -> bool; 3] =
            [&|name| words.contains(name), &|name| shipped.contains(name), &|_| true];
        let names = tiers.iter().map(|fits| {
            let moved = self.changes.packages.iter().map(|change| &change.name);
            let fitting = moved.filter(|name| fits(name));
            fitting.cloned().collect::<Vec<String>>()
        });
        names.into_iter().find(|names| !names.is_empty()).unwrap_or_default()
    }
}

/// What the changelog of a package says of its versions since the old one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The highest urgency, in one lower-case word; `None` where no entry says any.
    pub urgency: Option<&'static str>,
    /// The vulnerabilities that are named (`CVE-2024-12345`), sorted.
    pub vulnerabilities: Vec<String>,
}

/// Urgencies of Debian's changelogs, the lowest first (Debian Policy 5.6.17).
const URGENCIES: [&str; 5] = ["low", "medium", "high", "emergency", "critical"];

/// Returns what the changelogs of the packages say that moved up, by package. One whose changelog is of other
/// versions than its own (compilers' packages, say), or cannot be read, is not in it. They are read out of the
/// store: of packages that were unpacked there.
pub fn news(moved: &Moved, store: &Store) -> BTreeMap<String, News> {
    let mut out = BTreeMap::new();
    for change in moved.changes.packages.iter().filter(|change| change.kind() == "upgraded") {
        let (Some(locked), Some(old)) = (moved.new.get(&change.name), &change.old) else { continue };
        let Some(text) = unpack::changelog(locked, |name| moved.new.get(name), store) else { continue };
        let entries = changelog::between(&text, old, &locked.version);
        let urgency = |entry: &changelog::Entry| {
            URGENCIES.iter().position(|word| word.eq_ignore_ascii_case(&entry.urgency))
        };
        let urgency =
            entries.iter().filter_map(urgency).max().and_then(|index| URGENCIES.get(index)).copied();
        let named: BTreeSet<String> = entries.into_iter().flat_map(|entry| entry.cves).collect();
        out.insert(change.name.clone(), News { urgency, vulnerabilities: named.into_iter().collect() });
    }
    out
}
