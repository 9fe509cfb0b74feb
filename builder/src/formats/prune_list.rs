//! prune.list: the text form of a [`Plan`](crate::prune::Plan), kept in the artifact and read by `why` and by
//! the report of misses. [`write_list`](crate::prune::write_list) writes it.
//!
//! ```text
//! tinyroot prune.list 1
//! reduced /usr/lib/x86_64-linux-gnu/libicudata.so.72.1 197 of 3920 items of ICU's data, …
//! /usr/lib/x86_64-linux-gnu/libxml2.so.2.9.14 libxml2 loader libxml2.so.2 NEEDED by <- /usr/lib/php/20220829/dom.so
//! …
//! dropped coreutils unused nothing asked for it
//! /usr/bin/ b2sum base32 …
//! ```
//!
//! Documentation and the package system's own files are named by their topmost directory, with a
//! slash at the end, for all below it. First the kept files that have not their package's contents any more,
//! and what is left of them; then the kept paths, sorted: path, package (`-` for none), rule, reason, and
//! after `<-` the kept path that the reason ends with. Then the dropped ones, by package, rule and reason,
//! one line a directory. Words are escaped as in the text form of trees, so no name holds a space.

use std::{collections::BTreeMap, sync::Arc};

use crate::tree::{TreePath, unescape};

/// The longest name of a package.
const MAX_PACKAGE_BYTES: usize = 255;

/// Most paths of a list that is read: in memory each takes some 250 bytes, and in the list it may be two.
/// Whole roots have some ten thousand.
const MAX_PATHS: usize = 300_000;

/// Most bytes of all paths together: in the list a dropped path has its name alone.
const MAX_PATHS_BYTES: usize = 24 << 20;

/// The first line.
pub const HEAD: &str = "tinyroot prune.list 1";

/// The statement of a prune.list about one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// True if it stayed.
    pub kept: bool,
    /// Its package. All paths of a group share these texts: a list of a few kB may have many paths and a long
    /// reason.
    pub package: Option<Arc<str>>,
    /// The rule that decided.
    pub rule: Arc<str>,
    /// Why; with [`Listed::because`], that path ends it.
    pub reason: Arc<str>,
    /// The kept path that needs it.
    pub because: Option<TreePath>,
    /// True if this stands for all below the path as well.
    pub with_all_below: bool,
}

impl Listed {
    /// Returns the whole reason as a clause.
    pub fn text(&self) -> String {
        match &self.because {
            Some(path) => format!("{} /{path}", self.reason),
            None => self.reason.to_string(),
        }
    }
}

/// A prune.list, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneList {
    /// Its statements, by path.
    pub paths: BTreeMap<TreePath, Listed>,
    /// Files that were reduced, and what is left of each.
    pub reduced: BTreeMap<TreePath, String>,
}

impl PruneList {
    /// Returns the statement about a path, be it with all below a directory.
    pub fn find(&self, path: &TreePath) -> Option<(&TreePath, &Listed)> {
        let own = self.paths.get_key_value(path);
        own.or_else(|| {
            let above = path.ancestors().find_map(|above| self.paths.get_key_value(&above));
            above.filter(|(_, listed)| listed.with_all_below)
        })
    }

    /// Returns the statements about a path and about those that led to it, one step each.
    pub fn chain(&self, path: &TreePath) -> Vec<(&TreePath, &Listed)> {
        let mut out: Vec<(&TreePath, &Listed)> = Vec::new();
        let mut at = self.find(path);
        while let Some((path, listed)) = at.filter(|(path, _)| !out.iter().any(|(seen, _)| seen == path)) {
            out.push((path, listed));
            at = listed.because.as_ref().and_then(|because| self.paths.get_key_value(because));
        }
        out
    }
}

/// Reads the text form; `None` for any other text, and for more paths than any root has.
pub fn parse_list(text: &str) -> Option<PruneList> {
    let mut lines = text.lines();
    if lines.next()? != HEAD {
        return None;
    }
    let mut out = PruneList::default();
    let mut group: Option<Listed> = None;
    let mut paths_bytes = 0;
    let mut fits = |path: &TreePath, listed: &PruneList| {
        paths_bytes += path.as_bytes().len();
        paths_bytes <= MAX_PATHS_BYTES && listed.paths.len() + listed.reduced.len() < MAX_PATHS
    };
    for line in lines {
        if let Some(reduced) = line.strip_prefix("reduced ") {
            let (path, text) = reduced.split_once(' ')?;
            let path = parse_path(path).filter(|path| fits(path, &out))?;
            out.reduced.insert(path, text.to_owned());
        } else if let Some(head) = line.strip_prefix("dropped ") {
            group = Some(parse_words(head, false)?);
        } else if let Some(listed) = &group {
            let mut words = line.split(' ');
            let directory = unescape(words.next()?.strip_prefix('/')?)?;
            for name in words {
                let path = TreePath::new(&[&directory[..], b"/", &unescape(name)?].concat()).ok();
                let path = path.filter(|path| fits(path, &out))?;
                let with_all_below = name.ends_with('/');
                out.paths.insert(path, Listed { with_all_below, ..listed.clone() });
            }
        } else {
            let (path, rest) = line.split_once(' ')?;
            let path = parse_path(path).filter(|path| fits(path, &out))?;
            out.paths.insert(path, parse_words(rest, true)?);
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
    let package: Option<Arc<str>> = words.next().filter(|word| *word != "-").map(Arc::from);
    if package.as_ref().is_some_and(|package| package.len() > MAX_PACKAGE_BYTES) {
        return None;
    }
    let rule = words.next()?.into();
    let rest = words.next()?;
    let (reason, because) = match rest.rsplit_once(" <- ") {
        Some((reason, path)) => (reason.into(), Some(parse_path(path)?)),
        None => (rest.into(), None),
    };
    Some(Listed { kept, package, rule, reason, because, with_all_below: false })
}
