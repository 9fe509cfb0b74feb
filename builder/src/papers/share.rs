//! How much of a package an artifact holds.

use std::collections::BTreeMap;

use crate::{
    formats::prune_list::{Listed, PruneList},
    layout::ImagePath,
    tree::{Tree, TreePath},
};

/// How much of a package is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// All of its files with the contents that it ships. Documentation, translations and what only a host
    /// runs are not counted: prune.list names them by directory.
    Whole,
    /// Some of its files, or some of them reduced.
    Partial,
    /// None of its files.
    Absent,
}

impl Extent {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Extent::Whole => "whole",
            Extent::Partial => "partial",
            Extent::Absent => "absent",
        }
    }
}

/// The part of a package that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Files and links that are there.
    pub kept: u64,
    /// Paths that were pruned, as far as prune.list has them by name.
    pub pruned: Vec<TreePath>,
    /// Files that have not the package's contents any more, and what is left of each.
    pub reduced: Vec<(TreePath, String)>,
}

impl Share {
    /// Counts what a prune.list says of a path of the package; `left` says what is left of its contents.
    pub fn count(&mut self, path: &TreePath, listed: &Listed, left: Option<&String>, tree: &Tree) {
        let is_file = |path: &[u8]| tree.get(path).is_some_and(|entry| !entry.kind.is_directory());
        let is_there = is_file(ImagePath::of_stage(path).as_bytes()) || is_file(path.as_bytes());
        match (is_there, listed.kept) {
            // A licence text is pruned with the documentation, and is in as a paper.
            (true, is_kept) => self.kept += u64::from(is_kept),
            (false, false) => self.pruned.push(path.clone()),
            // A directory that is kept.
            (false, true) => {}
        }
        if let Some(left) = left.filter(|_| listed.kept) {
            self.reduced.push((path.clone(), left.clone()));
        }
    }

    /// Returns how much it is.
    pub fn extent(&self) -> Extent {
        match (self.kept, self.pruned.is_empty() && self.reduced.is_empty()) {
            (0, _) => Extent::Absent,
            (_, true) => Extent::Whole,
            (_, false) => Extent::Partial,
        }
    }
}

/// Returns the share of each package that a prune.list names, by name; npm's are `npm:NAME`. The tree says
/// which paths are files.
pub fn shares(list: &PruneList, tree: &Tree) -> BTreeMap<String, Share> {
    let mut out: BTreeMap<String, Share> = BTreeMap::new();
    for (path, listed) in &list.paths {
        let Some(package) = listed.package.as_deref() else { continue };
        let share = out.entry(package.to_owned()).or_default();
        share.count(path, listed, list.reduced.get(path), tree);
    }
    out
}
