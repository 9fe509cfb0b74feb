//! Companions: libraries in the app's own language, as deep as its Depends go.
//!
//! They are loaded by name when a page comes to it, and pages that no exercise opened should find them. The
//! nearest are taken first, until the budget is spent; the ones left out are reported.

use std::collections::{BTreeMap, BTreeSet};

use super::{Candidate, Facts, Ruling, below};

/// How much code of its language a package may have to be kept for the app's sake: some libraries
/// of an app, not a language's own.
const COMPANION_BYTES: u64 = 1_500_000;

/// The packages that are kept for the app's sake.
#[derive(Default)]
pub(in crate::prune) struct Companions<'a> {
    /// By package, the endings of the code that stays.
    kept: BTreeMap<&'a str, BTreeSet<&'static [u8]>>,
    /// Their files of such code.
    pub kept_bytes: u64,
    /// Those that the budget left out.
    pub left_out: BTreeMap<&'a str, u64>,
}

impl<'a> Companions<'a> {
    /// Follows Depends from the app's packages, those nearest first, then by name.
    pub fn of(facts: &Facts<'a>) -> Self {
        let mut out = Companions::default();
        let (app_code, code) = code(facts);
        let mut seen: BTreeSet<&str> = facts.policy.app_packages.iter().map(String::as_str).collect();
        let mut level = seen.clone();
        while !level.is_empty() {
            let depends = level.iter().filter_map(|package| facts.policy.depends.get(*package)).flatten();
            let next: BTreeSet<&str> =
                depends.map(String::as_str).filter(|package| seen.insert(package)).collect();
            level = BTreeSet::new();
            for package in next {
                let Some((&package, _)) = facts.by_package.get_key_value(package) else { continue };
                let Some(own) = code.get(package) else {
                    // One that only depends on others stands for these.
                    if is_empty(facts, package) {
                        level.insert(package);
                    }
                    continue;
                };
                let own = own
                    .iter()
                    .filter(|(ending, bytes)| app_code.contains(*ending) && **bytes <= COMPANION_BYTES);
                let own: BTreeMap<&'static [u8], u64> =
                    own.map(|(ending, bytes)| (*ending, *bytes)).collect();
                let bytes: u64 = own.values().sum();
                if own.is_empty() {
                    continue;
                }
                if out.kept_bytes + bytes > facts.policy.companion_bytes {
                    out.left_out.insert(package, bytes);
                    continue;
                }
                out.kept_bytes += bytes;
                out.kept.insert(package, own.into_keys().collect());
                level.insert(package);
            }
        }
        out
    }

    /// Returns how many packages are kept for the app's sake.
    pub fn count(&self) -> usize {
        self.kept.len()
    }
}

/// How much code of each ending a package has.
type Code<'a> = BTreeMap<&'a str, BTreeMap<&'static [u8], u64>>;

/// Returns the endings of code of the app that the trace saw opened, and the code of all packages.
fn code<'a>(facts: &Facts<'a>) -> (BTreeSet<&'static [u8]>, Code<'a>) {
    let (mut app_code, mut code) = (BTreeSet::new(), Code::new());
    for (package, paths) in &facts.by_package {
        for path in paths {
            let Some(ending) = code_ending(path.as_bytes()) else { continue };
            let content = facts.tree.get(path.as_bytes()).and_then(|entry| entry.kind.content());
            let Some((_, size_bytes)) = content else { continue };
            *code.entry(package).or_default().entry(ending).or_default() += size_bytes;
            let opened = facts.evidence.get(path.as_bytes()).is_some_and(super::Used::contents);
            if opened && facts.policy.app_packages.contains(*package) {
                app_code.insert(ending);
            }
        }
    }
    (app_code, code)
}

/// Returns true for a package with nothing but its documentation.
fn is_empty(facts: &Facts<'_>, package: &str) -> bool {
    let is_directory = |path: &[u8]| facts.tree.get(path).is_some_and(|entry| entry.kind.is_directory());
    facts.by_package[package]
        .iter()
        .map(|path| path.as_bytes())
        .all(|path| is_directory(path) || below(path, &["usr/share/doc", "usr/share/lintian"]))
}

/// Returns the ending of a path that interpreters load by name.
fn code_ending(path: &[u8]) -> Option<&'static [u8]> {
    // JavaScript is as a rule for browsers; only below these directories is it for Node.
    let node = below(path, &["usr/share/nodejs", "usr/lib/nodejs"]);
    let endings: &[&[u8]] =
        if node { &[b".js", b".json"] } else { &[b".php", b".inc", b".py", b".pm", b".pl", b".rb"] };
    endings.iter().find(|ending| path.ends_with(ending)).copied()
}

/// Keeps the code of companions.
pub(super) fn companion(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Ruling {
    let (Some(package), Some(ending)) = (candidate.package, code_ending(candidate.bytes())) else {
        return Ruling::Pass;
    };
    if facts.companions.kept.get(package).is_some_and(|endings| endings.contains(ending)) {
        return Ruling::Keep(format!("code of {package}, a library that the app depends on"));
    }
    Ruling::Pass
}
