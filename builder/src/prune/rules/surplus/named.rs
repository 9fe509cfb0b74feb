//! Which directories of tests and examples the code of an app names.
//!
//! What an exercise did not reach may still load `tests/fixtures.php` one day. A loader names it: as
//! part of a path, of a name space or of an import. So each line of code and settings is looked at that holds
//! such a name, comments and URLs left out. Where in doubt it is named, and stays.

use std::collections::BTreeSet;

use regex::bytes::Regex;

use super::{Surplus, Whole};
use crate::{
    prune::PruneError,
    tree::{Kind, TreePath},
};

/// Directories that hold code and settings.
const ENDINGS: [&[u8]; 27] = [
    b".cfg",
    b".cgi",
    b".cjs",
    b".conf",
    b".erb",
    b".fcgi",
    b".inc",
    b".ini",
    b".js",
    b".json",
    b".lua",
    b".mjs",
    b".php",
    b".phtml",
    b".pl",
    b".pm",
    b".properties",
    b".py",
    b".rake",
    b".rb",
    b".ru",
    b".sh",
    b".tcl",
    b".toml",
    b".xml",
    b".yaml",
    b".yml",
];

/// Larger files are data.
const MOST_BYTES: u64 = 4 << 20;

/// The named paths.
pub(super) struct Named {
    names: BTreeSet<Vec<u8>>,
    paths: BTreeSet<TreePath>,
}

impl Named {
    /// Looks for names in what lies outside of the directories themselves and is not surplus.
    ///
    /// # Errors
    /// [`PruneError::Contents`].
    pub fn find(
        whole: &Whole<'_, '_>,
        names: &BTreeSet<&[u8]>,
        directories: &[&TreePath],
        surplus: &Surplus,
    ) -> Result<Self, PruneError> {
        let mut named = Named { names: BTreeSet::new(), paths: BTreeSet::new() };
        let mut patterns: Vec<(&[u8], Regex)> =
            names.iter().filter_map(|name| Some((*name, pattern(name)?))).collect();
        let laid =
            whole.facts.overlay.iter().filter_map(|path| whole.facts.tree.subtree(path.as_bytes()).next());
        for (path, entry) in whole.paths.iter().copied().chain(laid) {
            let Kind::File { size_bytes, .. } = entry.kind else { continue };
            let is_laid = whole.facts.overlay.contains(path);
            let is_program = entry.mode & 0o111 != 0;
            let is_code = ENDINGS.iter().any(|ending| path.as_bytes().ends_with(ending));
            if patterns.is_empty()
                || size_bytes > MOST_BYTES && !is_program
                || !(is_laid || is_code || is_program)
                || directories.iter().any(|directory| path.is_at_or_below(directory.as_bytes()))
                || surplus.reason(path.as_bytes()).is_some()
            {
                continue;
            }
            let contents = whole.facts.contents(&whole.facts.candidate(path, entry))?;
            if contents.starts_with(b"\x7fELF") {
                named.paths.extend(
                    directories.iter().filter(|d| holds(&contents, d.as_bytes())).map(|d| (*d).clone()),
                );
                continue;
            }
            patterns.retain(|(name, pattern)| {
                let is_named = pattern.is_match(&contents) && is_in_code(&contents, pattern);
                if is_named {
                    named.names.insert(name.to_vec());
                }
                !is_named
            });
        }
        Ok(named)
    }

    /// Returns true if a directory is named.
    pub fn has(&self, path: &TreePath) -> bool {
        self.names.contains(path.file_name()) || self.paths.contains(path)
    }
}

/// Returns the word that names a directory in a line: a slash, a backslash or two colons beside it, an import
/// of it, or its name alone in quotes where a path is put together.
fn pattern(name: &[u8]) -> Option<Regex> {
    let name = regex::escape(std::str::from_utf8(name).ok()?);
    let pattern = format!(
        r#"(?i-u)\b{name}[/\\]|[/\\]{name}\b|::{name}\b|\b{name}::|\b(?:from|import|use)\b.*\b{name}\b|\b(?:base|dir|file|include|join|load|open|path|require|root|src)\w*\b.*['"]{name}['"]"#
    );
    Regex::new(&pattern).ok()
}

/// Returns true if a line other than a comment names it, and not in a URL.
fn is_in_code(contents: &[u8], pattern: &Regex) -> bool {
    contents.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).any(|line| {
        let is_comment =
            [&b"//"[..], b"*", b"/*", b"# ", b"; ", b"<!--"].iter().any(|start| line.starts_with(start));
        !is_comment && pattern.is_match(&without_urls(line))
    })
}

fn without_urls(line: &[u8]) -> Vec<u8> {
    let is_word = |word: &&[u8]| !word.windows(3).any(|window| window == b"://");
    let words: Vec<&[u8]> = line.split(|byte| b" \t<>".contains(byte)).filter(is_word).collect();
    words.join(&b' ')
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}
