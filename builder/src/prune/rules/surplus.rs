//! Surplus files inside packages that are kept whole: documentation wherever it lies, and languages that the
//! recipe does not name.
//!
//! A trace shows little of an app, so its own packages stay whole. But what people read about it, what its
//! authors test it with, and what it says in other languages are no part of what it does. Names alone do not
//! decide: `help` may be a plug-in, `tests` a module, `is` a verb. So each rule asks for more than a name,
//! and what a trace saw used stays, with all that belongs to it.

mod codes;
mod documents;
mod folders;
mod languages;
mod named;

use std::collections::{BTreeMap, HashSet};

use super::{Facts, PruneError, parent};
use crate::tree::{Entry, TreePath};

pub(super) use folders::Folders;
pub use languages::languages_of;

/// The surplus, each part by a file or a directory with all below it.
#[derive(Default)]
pub(in crate::prune) struct Surplus {
    reasons: BTreeMap<Vec<u8>, &'static str>,
}

impl Surplus {
    /// Looks through the packages that are kept whole.
    ///
    /// # Errors
    /// [`PruneError::Contents`].
    pub fn of(facts: &Facts<'_>) -> Result<Self, PruneError> {
        let whole = Whole::of(facts);
        let mut surplus = Surplus::default();
        languages::find(&whole, &mut surplus);
        documents::find(&whole, &mut surplus)?;
        Ok(surplus)
    }

    /// Returns why a path is surplus, if it is.
    pub fn reason(&self, path: &[u8]) -> Option<&'static str> {
        let mut at = Some(path).filter(|_| !self.reasons.is_empty());
        while let Some(path) = at {
            if let Some(reason) = self.reasons.get(path) {
                return Some(reason);
            }
            at = parent(path);
        }
        None
    }

    fn add(&mut self, path: &[u8], reason: &'static str) {
        self.reasons.entry(path.to_vec()).or_insert(reason);
    }
}

/// The packages that are kept whole.
struct Whole<'f, 'a> {
    facts: &'f Facts<'a>,
    /// Their files below `/usr` and `/opt`, and those that were made for them there.
    paths: Vec<(&'a TreePath, &'a Entry)>,
    /// The used paths and the recipe's, and every directory above them.
    used: HashSet<Vec<u8>>,
    /// Directories that were listed, and every directory above.
    listed: HashSet<Vec<u8>>,
}

impl<'f, 'a> Whole<'f, 'a> {
    fn of(facts: &'f Facts<'a>) -> Self {
        let below = facts.tree.subtree(b"opt").chain(facts.tree.subtree(b"usr"));
        let paths = below.filter(|(path, _)| facts.is_whole(path.as_bytes())).collect();
        let contents = facts.evidence.iter().filter(|(_, used)| used.contents()).map(|(path, _)| path);
        let ours = facts.overlay.iter().chain(facts.commands.keys());
        let listed = facts.evidence.iter().filter(|(_, used)| used.listed).map(|(path, _)| path);
        Whole { facts, paths, used: with_above(contents.chain(ours)), listed: with_above(listed) }
    }

    fn is_used(&self, path: &TreePath) -> bool {
        self.used.contains(path.as_bytes())
    }
}

fn with_above<'p>(paths: impl Iterator<Item = &'p TreePath>) -> HashSet<Vec<u8>> {
    let mut all = HashSet::new();
    for path in paths {
        let mut at = Some(path.as_bytes());
        while let Some(path) = at.filter(|path| all.insert(path.to_vec())) {
            at = parent(path);
        }
    }
    all
}

/// Returns the parts of a path.
fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

/// Returns true for the name of a directory that holds languages: `i18n`, `lang`, `LC_MESSAGES`.
fn is_of_languages(name: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 9] = [
        b"i18n",
        b"intl",
        b"l10n",
        b"lang",
        b"lc_messages",
        b"locale",
        b"locali",
        b"messages",
        b"translation",
    ];
    const NAMES: [&[u8]; 4] = [b"mo", b"msg", b"nls", b"po"];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&&name[..]) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}
