//! Folders: the pieces in which the app's packages are kept with `[app] prune = "folders"`.
//!
//! The app's own directories are those high ones of which everything is the app's: `/usr/share/wiki`,
//! `/usr/lib/python3/dist-packages/wiki`. A folder is a directory two levels below one, with all that is in
//! it (`/usr/share/wiki/extensions/Gallery`). Files that lie higher are a folder with the files beside them
//! (`/usr/share/wiki/*`, `/usr/share/wiki/includes/*`). A folder is used if the contents of anything in it
//! were.

use std::collections::{HashMap, HashSet};

use super::parts;
use crate::prune::rules::{Facts, parent};

/// How far below an app's own directory folders lie.
const DEPTH: usize = 2;

/// Directories that many packages have a directory in.
const SHARED: [&str; 16] = [
    "usr/lib/nodejs",
    "usr/lib/python3",
    "usr/lib/python3/dist-packages",
    "usr/lib/ruby",
    "usr/lib/ruby/gems",
    "usr/lib/ruby/vendor_ruby",
    "usr/share/fonts",
    "usr/share/java",
    "usr/share/javascript",
    "usr/share/maven-repo",
    "usr/share/nodejs",
    "usr/share/perl5",
    "usr/share/php",
    "usr/share/rubygems-integration",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
];

/// Which directories are the app's own, and which folders were used.
#[derive(Default)]
pub(in crate::prune) struct Folders {
    /// For each directory, whether all below it is the app's.
    owned: HashMap<Vec<u8>, bool>,
    used: HashSet<(Vec<u8>, bool)>,
}

impl Folders {
    /// Looks at what was used of the app.
    pub fn of(facts: &Facts<'_>) -> Self {
        let mut folders = Folders::default();
        if !facts.policy.folders {
            return folders;
        }
        for (path, _) in facts.tree.iter().filter(|(_, entry)| !entry.kind.is_directory()) {
            let is_ours = facts
                .package_or_maker(path.as_bytes())
                .is_some_and(|p| facts.policy.app_packages.contains(p));
            let mut at = parent(path.as_bytes());
            while let Some(directory) = at {
                *folders.owned.entry(directory.to_vec()).or_insert(true) &= is_ours;
                at = parent(directory);
            }
        }
        let contents = facts.evidence.iter().filter(|(_, used)| used.contents()).map(|(path, _)| path);
        let used = contents.chain(&facts.overlay).chain(facts.commands.keys());
        folders.used = used.filter_map(|path| folders.folder(path.as_bytes(), false)).collect();
        folders
    }

    /// Returns the folder of a path that was not used, if it is in such a one.
    pub fn unused(&self, path: &[u8], is_directory: bool) -> Option<Vec<u8>> {
        let folder = self.folder(path, is_directory)?;
        (!self.used.contains(&folder)).then(|| {
            let (mut directory, is_whole) = folder;
            if !is_whole {
                directory.extend(b"/*");
            }
            directory
        })
    }

    /// Returns the directory of a folder, and whether all below it belongs to it.
    fn folder(&self, path: &[u8], is_directory: bool) -> Option<(Vec<u8>, bool)> {
        let home = self.home(path)?;
        let directory = if is_directory { path } else { parent(path)? };
        let below = directory.strip_prefix(home)?;
        let Some(below) = below.strip_prefix(b"/") else { return Some((directory.to_vec(), false)) };
        if parts(below).count() < DEPTH {
            return Some((directory.to_vec(), false));
        }
        let length: usize = parts(below).take(DEPTH).map(|part| part.len() + 1).sum();
        Some((directory[..home.len() + length].to_vec(), true))
    }

    /// Returns the app's own directory that a path lies in.
    fn home<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let least = if path.starts_with(b"opt/") { 2 } else { 3 };
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut above = slashes.skip(least - 1).map(|end| &path[..end]);
        let is_place = path.starts_with(b"usr/") || path.starts_with(b"opt/");
        let is_own = |directory: &&[u8]| {
            self.owned.get(*directory) == Some(&true)
                && !SHARED.iter().any(|shared| shared.as_bytes() == *directory)
        };
        above.find(|directory| is_place && is_own(directory))
    }
}
