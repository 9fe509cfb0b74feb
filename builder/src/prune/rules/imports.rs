//! Imports of kept code by name: modules that no run has loaded so far.
//!
//! A run shows what its own pages load. Code that is kept names more, in functions and branches that no step
//! reached, and interpreters that list directories never ask for what is gone. So names in kept code are
//! followed, at full depth, as long as a bound allows; nearest first, since rounds of consequences go out
//! from what is kept.

mod node;
mod perl;
mod php;
mod python;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod ruby;
mod tokens;

use std::collections::{BTreeMap, HashSet};

use super::{Candidate, Decision, Facts, Needs, Ruling, State, first_ruling, languages::compiled_parts};
use crate::{prune::PruneError, tree::TreePath};

/// Whether code goes on without what it imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// It stops at once.
    Sure,
    /// It stops when a function of it is called.
    Late,
    /// It does something else instead.
    Optional,
}

/// A file that is imported.
struct Imported {
    path: TreePath,
    need: Need,
}

/// The paths that imports have kept so far.
#[derive(Default)]
pub(in crate::prune) struct Account {
    paths: HashSet<TreePath>,
    bytes: u64,
    /// The paths beyond the bound, with their sizes.
    pub left_out: BTreeMap<TreePath, u64>,
}

/// Where each language looks for modules, once it was needed.
#[derive(Default)]
pub(in crate::prune) struct Roots {
    node: Option<node::Roots>,
    perl: Option<perl::Roots>,
    php: Option<php::Roots>,
    python: Option<python::Roots>,
    ruby: Option<ruby::Roots>,
    /// Whether an interpreter of a language ran.
    is_spoken: Vec<(Language, bool)>,
}

/// The languages whose imports are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Node,
    Perl,
    Php,
    Python,
    Ruby,
}

impl Language {
    /// Endings of files of a language, beginnings of its interpreters' names, and the language.
    const KNOWN: &[(&[&str], &str, Language)] = &[
        (&[".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"], "node", Language::Node),
        (&[".pm", ".pl", ".psgi"], "perl", Language::Perl),
        (&[".php", ".inc", ".phtml"], "php", Language::Php),
        (&[".py", ".so"], "python3", Language::Python),
        (&[".rb", ".ru", ".rake"], "ruby", Language::Ruby),
    ];

    /// Returns the language of a file, by its ending or by the interpreter that its first line names.
    fn of(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Result<Option<Language>, PruneError> {
        let name = candidate.path.file_name();
        let by_ending = Self::KNOWN
            .iter()
            .find(|(endings, ..)| endings.iter().any(|ending| name.ends_with(ending.as_bytes())));
        if let Some((.., language)) = by_ending {
            let is_rubys =
                name.ends_with(b".so") && memchr::memmem::find(candidate.bytes(), b"/ruby/").is_some();
            return Ok(Some(if is_rubys { Language::Ruby } else { *language }));
        }
        let is_program = !name.contains(&b'.') || name.ends_with(b".cgi") || name.ends_with(b".fcgi");
        if candidate.entry.mode & 0o111 == 0 || !is_program {
            return Ok(None);
        }
        let head = facts.head(candidate, 128)?;
        let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
        let names = |interpreter: &str| memchr::memmem::find(line, interpreter.as_bytes()).is_some();
        let found = Self::KNOWN.iter().find(|(_, interpreter, _)| names(interpreter));
        Ok(found.filter(|_| line.starts_with(b"#!")).map(|(.., language)| *language))
    }

    /// Returns true if a run used an interpreter of the language, or the recipe starts one: apps bring
    /// sources in languages that only their developers use.
    fn is_spoken(self, facts: &Facts<'_>, state: &mut State) -> bool {
        let known = &mut state.roots.is_spoken;
        if let Some((_, is_spoken)) = known.iter().find(|(language, _)| *language == self) {
            return *is_spoken;
        }
        let interpreter =
            Self::KNOWN.iter().find(|(.., language)| *language == self).map_or("", |(_, name, _)| name);
        let is_one = |path: &TreePath| {
            let name = path.file_name();
            name.starts_with(interpreter.as_bytes())
                || name.strip_prefix(b"lib").is_some_and(|name| name.starts_with(interpreter.as_bytes()))
        };
        let ran = facts.evidence.iter().any(|(path, used)| used.contents() && is_one(path));
        let is_spoken = self == Language::Python || ran || facts.commands.keys().any(is_one);
        known.push((self, is_spoken));
        is_spoken
    }
}

/// Modules that kept code imports.
pub(super) fn imports(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    if facts.policy.imports_bytes == 0 || !candidate.is_file() {
        return Ok(());
    }
    let language = Language::of(candidate, facts)?.filter(|language| language.is_spoken(facts, state));
    let mut found = match language {
        None => return Ok(()),
        Some(Language::Node) => node::imported(candidate, facts, state)?,
        Some(Language::Perl) => perl::imported(candidate, facts, state)?,
        Some(Language::Php) => php::imported(candidate, facts, state)?,
        Some(Language::Python) => python::imported(candidate, facts, state)?,
        Some(Language::Ruby) => ruby::imported(candidate, facts, state)?,
    };
    found.sort_by_key(|imported| imported.need);
    for Imported { path, need } in found {
        if !afford(&path, facts, &mut state.account) {
            continue;
        }
        let reason = match need {
            Need::Sure => "imported by",
            Need::Late => "imported in a function of",
            Need::Optional => "imported where it is there by",
        };
        needs.follow(path.as_bytes(), reason, facts);
    }
    Ok(())
}

/// Returns a path, if it leads to a file.
fn end_of(path: &[u8], facts: &Facts<'_>) -> Option<TreePath> {
    let end = facts.tree.resolve(path, |_| {})?;
    let is_directory = facts.tree.get(end.as_bytes())?.kind.is_directory();
    (!is_directory).then(|| TreePath::new(path).ok()).flatten()
}

/// Returns a relative path below a directory, without `.` and `..`; `None` for one that leaves the root.
fn joined(directory: &[u8], relative: &str) -> Option<Vec<u8>> {
    let mut at: Vec<&[u8]> = directory.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                at.pop()?;
            }
            part => at.push(part.as_bytes()),
        }
    }
    Some(at.join(&b'/'))
}

/// Returns true if the bound has room for a file; files that stay anyway take none.
fn afford(path: &TreePath, facts: &Facts<'_>, account: &mut Account) -> bool {
    let Some(end) = facts.tree.resolve(path.as_bytes(), |_| {}) else { return false };
    let Some(candidate) = facts.lookup(end.as_bytes()) else { return false };
    match first_ruling(&candidate, facts) {
        (_, Ruling::Keep(_)) => return true,
        (_, Ruling::Forbid(_)) => return false,
        _ if account.paths.contains(&end) => return true,
        _ => {}
    }
    let mut size_bytes = candidate.entry.kind.content().map_or(0, |(_, size_bytes)| size_bytes);
    // A compiled part can be many times its module.
    for part in
        end.as_bytes().strip_suffix(b".pm").into_iter().flat_map(|module| compiled_parts(module, facts))
    {
        let content = facts.tree.get(part.as_bytes()).and_then(|entry| entry.kind.content());
        size_bytes += content.map_or(0, |(_, size_bytes)| size_bytes);
    }
    if account.bytes + size_bytes > facts.policy.imports_bytes {
        account.left_out.insert(end, size_bytes);
        return false;
    }
    account.bytes += size_bytes;
    account.paths.insert(end);
    true
}
