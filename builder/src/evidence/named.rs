//! Missing things in an app's output, matched with the pruned paths.
//!
//! Comes in: text that the app printed or sent, and what was pruned. Goes out: the pruned paths that the text
//! names in a message about something missing. A program that lists a directory never asks for a name that
//! the listing lacks, so no lookup shows it; its error message does. Pure: nothing here reads a file.

mod said;

use std::{collections::HashSet, sync::Arc};

use super::{Cause, Miss, Pruned};
use crate::{
    formats::html,
    layout::ImagePath,
    tree::{Tree, TreePath},
};
use said::Wanted;

/// Candidates above which a name fits too much to say anything.
const MAX_CANDIDATES: usize = 4;

/// Longest line that is looked at; what is longer is no message.
const MAX_LINE_BYTES: usize = 16 << 10;

/// Distinct lines that a [`Reader`] looks at, so that an app that fails in a loop costs nothing.
const MAX_LINES: usize = 2_000;

/// Returns the pruned paths that a text says are not there, each once, in the text's order. `tree` is the
/// image's; the misses have stage paths.
pub fn named(text: &str, pruned: &Pruned, tree: &Tree) -> Vec<Miss> {
    let mut out: Vec<Miss> = Vec::new();
    for line in lines_of(text) {
        for miss in of_line(&line, pruned, tree) {
            if out.iter().all(|known| known.path != miss.path) {
                out.push(miss);
            }
        }
    }
    out
}

/// Returns true if a text has a line that says that something is missing, whether or not it was pruned.
pub fn tells_of_missing(text: &str) -> bool {
    lines_of(text).any(|line| !said::wanted(&line).is_empty())
}

/// Returns the lines of a text that may be messages, as a person would read them.
fn lines_of(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.len() <= MAX_LINE_BYTES && said::may_tell(line)).flat_map(|line| {
        // A message inside HTML or JSON is still one.
        let plain = html::unescape(line).replace("\\/", "/").replace("\\\"", "\"").replace("\\u0027", "'");
        plain.split("\\n").map(str::to_owned).collect::<Vec<_>>()
    })
}

fn of_line(line: &str, pruned: &Pruned, tree: &Tree) -> Vec<Miss> {
    let mut out = Vec::new();
    for wanted in said::wanted(line) {
        let paths = candidates(&wanted, pruned, tree);
        if paths.len() > MAX_CANDIDATES {
            continue;
        }
        out.extend(paths.into_iter().map(|(path, package)| Miss {
            cause: Cause::Said(line.trim().to_owned()),
            ..Miss::at(path, package.clone())
        }));
    }
    out
}

/// Returns the pruned paths that can be meant, in path order.
fn candidates<'a>(
    wanted: &Wanted,
    pruned: &'a Pruned,
    tree: &Tree,
) -> Vec<(&'a ImagePath, &'a Option<String>)> {
    match wanted {
        Wanted::Path(path) => {
            let path = TreePath::new(path.trim_start_matches('/').as_bytes());
            let path = path.ok().map(|path| ImagePath::of_stage(&path));
            path.and_then(|path| pruned.get_key_value(&path)).into_iter().collect()
        }
        Wanted::Endings(endings) => {
            // The first kind of place where there is any: `x.js` goes before `x/index.js`.
            let found = |ending: &String| {
                let is_it = |path: &ImagePath| [b"/", path.as_bytes()].concat().ends_with(ending.as_bytes());
                pruned.iter().filter(|(path, _)| is_it(path)).collect::<Vec<_>>()
            };
            endings.iter().map(found).find(|paths| !paths.is_empty()).unwrap_or_default()
        }
        Wanted::Python(module) => {
            let stem = format!("/{}", module.replace('.', "/"));
            let is_it = |path: &ImagePath| is_python_module(path.as_bytes(), &stem, pruned, tree);
            pruned.iter().filter(|(path, _)| is_it(path)).collect()
        }
        Wanted::Class(class) => {
            let is_it = |path: &ImagePath| is_jar_of(path.in_tree().file_name(), class);
            pruned.iter().filter(|(path, _)| is_it(path)).collect()
        }
    }
}

/// Returns true for `ROOT/a/b.py`, `ROOT/a/b/__init__.py` or `ROOT/a/b.TAG.so` where ROOT is no package
/// itself: `a` is imported from a directory of `sys.path`, which has no `__init__.py`.
fn is_python_module(path: &[u8], stem: &str, pruned: &Pruned, tree: &Tree) -> bool {
    let whole = [b"/", path].concat();
    let Some(at) = memchr::memmem::rfind(&whole, stem.as_bytes()) else { return false };
    let rest = &whole[at + stem.len()..];
    let is_extension = rest.starts_with(b".") && rest.ends_with(b".so") && !rest.contains(&b'/');
    if !(rest == b".py" || rest == b"/__init__.py" || is_extension) {
        return false;
    }
    let landmark = [&whole[..at], b"/__init__.py"].concat();
    let Ok(landmark) = TreePath::new(&landmark[1..]) else { return false };
    tree.get(landmark.as_bytes()).is_none() && !pruned.contains_key(&ImagePath::in_image(landmark))
}

/// Returns true for a .jar whose name is made of words of a class's name: `commons-logging-1.2.jar` for
/// `org.apache.commons.logging.LogFactory`. Contents are not at hand.
fn is_jar_of(file_name: &[u8], class: &str) -> bool {
    let Some(name) = file_name.strip_suffix(b".jar").and_then(|name| std::str::from_utf8(name).ok()) else {
        return false;
    };
    let parts: HashSet<String> = class.split(['.', '/', '$']).map(str::to_lowercase).collect();
    let mut words = name.split(['-', '_', '.']).filter(|word| {
        !word.starts_with(|letter: char| letter.is_ascii_digit())
            && !["api", "core", "java", "lib", "impl"].contains(word)
    });
    let Some(first) = words.next() else { return false };
    parts.contains(&first.to_lowercase()) && words.all(|word| parts.contains(&word.to_lowercase()))
}

/// Reads the output of a grain in use, line by line.
pub struct Reader {
    pruned: Arc<Pruned>,
    tree: Arc<Tree>,
    /// Lines that said that something is missing.
    lines: HashSet<String>,
    found: HashSet<TreePath>,
}

impl Reader {
    /// Returns one that has read nothing.
    pub fn new(pruned: Arc<Pruned>, tree: Arc<Tree>) -> Self {
        Reader { pruned, tree, lines: HashSet::new(), found: HashSet::new() }
    }

    /// Returns the pruned paths that a line names and that no line before it named. A line that was read
    /// before is not looked at, and after [`MAX_LINES`] none is.
    pub fn read(&mut self, line: &[u8]) -> Vec<Miss> {
        let text = String::from_utf8_lossy(line);
        if !said::may_tell(&text) || self.lines.len() >= MAX_LINES || !self.lines.insert(text.to_string()) {
            return Vec::new();
        }
        let mut misses = named(&text, &self.pruned, &self.tree);
        misses.retain(|miss| self.found.insert(miss.path.clone()));
        misses
    }
}

#[cfg(test)]
mod tests;
