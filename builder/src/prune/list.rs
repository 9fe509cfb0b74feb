//! prune.list: the text form of a [`Plan`], kept in the artifact and read by `why` and by the
//! report of misses.
//!
//! ```text
//! tinyroot prune.list 1
//! /usr/lib/x86_64-linux-gnu/libxml2.so.2.9.14 libxml2 loader libxml2.so.2 NEEDED by <- /usr/lib/php/20220829/dom.so
//! …
//! dropped coreutils unused nothing asked for it
//! /usr/bin/ b2sum base32 …
//! ```
//!
//! First the kept paths, sorted: path, package (`-` for none), rule, reason, and after `<-` the
//! kept path that the reason ends with. Then the dropped ones, by package, rule and reason, one
//! line a directory. Words are escaped as in the text form of trees, so no name holds a space.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Plan, Verdict};
use crate::tree::{TreePath, escape, unescape};

const HEAD: &str = "tinyroot prune.list 1";

/// What a prune.list says about one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// True if it stayed.
    pub kept: bool,
    /// Its package.
    pub package: Option<String>,
    /// The rule that decided.
    pub rule: String,
    /// Why; with [`Listed::because`], that path ends it.
    pub reason: String,
    /// The kept path that needs it.
    pub because: Option<TreePath>,
}

/// A prune.list, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneList {
    /// What it says, by path.
    pub paths: BTreeMap<TreePath, Listed>,
}

impl From<&Plan> for PruneList {
    fn from(plan: &Plan) -> Self {
        let listed = |(path, d): (&TreePath, &super::Decision)| {
            let listed = Listed {
                kept: d.verdict != Verdict::Drop,
                package: plan.packages.get(path).cloned(),
                rule: d.rule.to_owned(),
                reason: d.reason.clone(),
                because: d.because.clone(),
            };
            (path.clone(), listed)
        };
        PruneList { paths: plan.decisions.iter().map(listed).collect() }
    }
}

impl PruneList {
    /// Returns what is said about a path and about those that led to it, one step each.
    pub fn chain(&self, path: &[u8]) -> Vec<(&TreePath, &Listed)> {
        let mut out: Vec<(&TreePath, &Listed)> = Vec::new();
        let mut at = self.paths.get_key_value(path);
        while let Some((path, listed)) = at.filter(|(path, _)| !out.iter().any(|(seen, _)| seen == path)) {
            out.push((path, listed));
            at = listed.because.as_ref().and_then(|because| self.paths.get_key_value(because));
        }
        out
    }
}

/// Returns the text form of a plan.
pub fn write_list(plan: &Plan) -> String {
    let mut out = format!("{HEAD}\n");
    type Directories<'a> = BTreeMap<&'a [u8], Vec<&'a [u8]>>;
    let mut dropped: BTreeMap<(&str, &str, &str), Directories<'_>> = BTreeMap::new();
    for (path, decision) in &plan.decisions {
        let package = plan.packages.get(path).map_or("-", |package| &package[..]);
        if decision.verdict == Verdict::Drop {
            let group = dropped.entry((package, decision.rule, &decision.reason)).or_default();
            group.entry(path.parent_bytes().unwrap_or_default()).or_default().push(path.file_name());
            continue;
        }
        write!(out, "/{path} {package} {} {}", decision.rule, decision.reason).expect("writing to a string");
        if let Some(because) = &decision.because {
            write!(out, " <- /{because}").expect("writing to a string");
        }
        out.push('\n');
    }
    for ((package, rule, reason), directories) in dropped {
        writeln!(out, "dropped {package} {rule} {reason}").expect("writing to a string");
        for (directory, names) in directories {
            write!(out, "/{}", escape(directory)).expect("writing to a string");
            for name in names {
                write!(out, " {}", escape(name)).expect("writing to a string");
            }
            out.push('\n');
        }
    }
    out
}

/// Reads the text form; `None` for what is not in it.
pub fn parse_list(text: &str) -> Option<PruneList> {
    let mut lines = text.lines();
    if lines.next()? != HEAD {
        return None;
    }
    let mut out = PruneList::default();
    let mut group: Option<Listed> = None;
    for line in lines {
        if let Some(head) = line.strip_prefix("dropped ") {
            group = Some(parse_words(head, false)?);
        } else if let Some(listed) = &group {
            let mut words = line.split(' ');
            let directory = unescape(words.next()?.strip_prefix('/')?)?;
            for name in words {
                let path = TreePath::new(&[&directory[..], b"/", &unescape(name)?].concat()).ok()?;
                out.paths.insert(path, listed.clone());
            }
        } else {
            let (path, rest) = line.split_once(' ')?;
            out.paths.insert(parse_path(path)?, parse_words(rest, true)?);
        }
    }
    Some(out)
}

fn parse_path(word: &str) -> Option<TreePath> {
    TreePath::new(&unescape(word.strip_prefix('/')?)?).ok()
}

/// Reads `PACKAGE RULE REASON [<- PATH]`.
fn parse_words(text: &str, kept: bool) -> Option<Listed> {
    let mut words = text.splitn(3, ' ');
    let package = words.next().filter(|word| *word != "-").map(str::to_owned);
    let rule = words.next()?.to_owned();
    let rest = words.next()?;
    let (reason, because) = match rest.rsplit_once(" <- ") {
        Some((reason, path)) => (reason.to_owned(), Some(parse_path(path)?)),
        None => (rest.to_owned(), None),
    };
    Some(Listed { kept, package, rule, reason, because })
}
