//! PHP's files and classes: what a source includes by a path, and what autoloaders find by the name of a
//! class.
//!
//! Maps are Composer's (`vendor/composer/autoload_*.php`) and those that Debian's packages bring as
//! `autoload.php` (phpab(1)). A map names all classes of its libraries; what stays are those that kept
//! sources name.

pub(super) mod source;

use std::collections::HashMap;

use super::{Imported, Need, end_of, tokens::MAX_BYTES};
use crate::{
    prune::{
        PruneError,
        rules::{Candidate, Facts, State, parent},
    },
    tree::TreePath,
};
use source::Location;

/// Directories of Debian's include path.
const INCLUDE_PATH: &[&str] = &["usr/share/php", "usr/share/pear"];

/// How many directories of one beginning are looked into.
const MAX_DIRECTORIES: usize = 32;

/// The maps of a root.
#[derive(Default)]
pub(in crate::prune) struct Roots {
    /// Files by class, in lower case.
    classes: HashMap<String, Vec<u8>>,
    /// Directories by the beginning of the names of classes, and whether all of the name is below (PSR-0).
    beginnings: HashMap<String, Vec<(Vec<u8>, bool)>>,
}

impl Roots {
    pub(super) fn of(facts: &Facts<'_>) -> Result<Self, PruneError> {
        let mut roots = Roots::default();
        for (path, entry) in facts.tree.iter() {
            let name = path.file_name();
            let is_composers = path.parent_bytes().is_some_and(|above| above.ends_with(b"/composer"))
                && name.starts_with(b"autoload_")
                && name.ends_with(b".php");
            let size_bytes = entry.kind.content().map_or(MAX_BYTES + 1, |(_, size_bytes)| size_bytes);
            if !(is_composers || name == b"autoload.php") || size_bytes > MAX_BYTES {
                continue;
            }
            let contents = facts.contents(&facts.candidate(path, entry))?;
            for (key, location) in source::map(&contents) {
                // phpab's paths stand behind `__DIR__ .` where they are used.
                let location = Location { up: Some(location.up.unwrap_or(0)), ..location };
                let Some(target) = place(&location, path.as_bytes(), facts).into_iter().next() else {
                    continue;
                };
                if name == b"autoload_namespaces.php" || key.ends_with('\\') {
                    let is_whole = name == b"autoload_namespaces.php";
                    let directories = roots.beginnings.entry(key.to_lowercase()).or_default();
                    if directories.len() < MAX_DIRECTORIES
                        && !directories.contains(&(target.clone(), is_whole))
                    {
                        directories.push((target, is_whole));
                    }
                } else {
                    roots.classes.entry(key.to_lowercase()).or_insert(target);
                }
            }
        }
        Ok(roots)
    }

    /// Returns the file of a class.
    fn find(&self, class: &str, facts: &Facts<'_>) -> Option<TreePath> {
        if let Some(path) = self.classes.get(&class.to_ascii_lowercase()) {
            return end_of(path, facts);
        }
        let below = |length: usize| {
            let directories = self.beginnings.get(&class[..length].to_ascii_lowercase())?;
            directories.iter().find_map(|(directory, is_whole)| {
                let rest = if *is_whole { class.replace('_', "/") } else { class[length..].to_owned() };
                let path = [directory, &b"/"[..], rest.replace('\\', "/").as_bytes(), b".php"].concat();
                end_of(&path, facts)
            })
        };
        // The longest beginning counts first; those of PSR-0 may end anywhere.
        let ends = class.match_indices(['\\', '_']).map(|(at, _)| at + 1);
        ends.collect::<Vec<_>>().into_iter().rev().take(20).find_map(below)
    }
}

/// Returns where a path that a source writes down may lead.
fn place(location: &Location, source: &[u8], facts: &Facts<'_>) -> Vec<Vec<u8>> {
    let directory = parent(source).unwrap_or_default();
    let below =
        |directory: &[u8]| [directory, b"/", location.path.trim_start_matches('/').as_bytes()].concat();
    match location.up {
        Some(up) => {
            // __DIR__ has no links in it, and `..` is the directory above.
            let directory = facts.tree.resolve(directory, |_| {});
            let mut above = directory.as_ref().map(TreePath::as_bytes);
            for _ in 0..up {
                above = above.and_then(parent);
            }
            above.and_then(|above| normal(&below(above))).into_iter().collect()
        }
        None if location.path.starts_with('/') => normal(location.path.as_bytes()).into_iter().collect(),
        None => {
            let directories = INCLUDE_PATH.iter().map(|directory| directory.as_bytes());
            std::iter::once(directory)
                .chain(directories)
                .filter_map(|directory| normal(&below(directory)))
                .collect()
        }
    }
}

/// Returns a path without `.` and `..`; `None` for one that leaves the root.
fn normal(path: &[u8]) -> Option<Vec<u8>> {
    super::joined(b"", &String::from_utf8_lossy(path))
}

/// Returns the names in a source.
pub(super) fn imported(
    candidate: &Candidate<'_>,
    facts: &Facts<'_>,
    state: &mut State,
) -> Result<Vec<Imported>, PruneError> {
    if candidate.entry.kind.content().is_none_or(|(_, size_bytes)| size_bytes > MAX_BYTES) {
        return Ok(Vec::new());
    }
    let path = candidate.bytes();
    let roots = match state.roots.php.take() {
        Some(roots) => roots,
        None => Roots::of(facts)?,
    };
    let contents = facts.contents(candidate)?;
    let names = source::names(&contents);
    // The needs of a library's functions that no run has loaded have no end.
    let is_reached = candidate.used.is_some() || facts.is_whole(path);
    let is_followed = |need: Need| need == Need::Sure || is_reached;
    let files = names.files.iter().filter(|(_, need)| is_followed(*need)).filter_map(|(location, need)| {
        let path = place(location, path, facts).iter().find_map(|path| end_of(path, facts))?;
        Some(Imported { path, need: *need })
    });
    let mut found: Vec<Imported> = files.collect();
    for (class, need) in names.classes.iter().filter(|(_, need)| is_followed(**need)) {
        found.extend(roots.find(class, facts).map(|path| Imported { path, need: *need }));
    }
    if [&b"autoload_files.php"[..], b"autoload_static.php"].contains(&candidate.path.file_name()) {
        found.extend(always_loaded(&contents, path, facts));
    }
    state.roots.php = Some(roots);
    Ok(found)
}

/// Returns the files that Composer's autoloader loads in each request: those whose keys in its map are
/// digests.
fn always_loaded(contents: &[u8], map: &[u8], facts: &Facts<'_>) -> Vec<Imported> {
    let is_digest = |key: &str| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let files = source::map(contents).into_iter().filter(|(key, _)| is_digest(key));
    let paths = files.flat_map(|(_, location)| place(&location, map, facts));
    paths.filter_map(|path| end_of(&path, facts)).map(|path| Imported { path, need: Need::Sure }).collect()
}
