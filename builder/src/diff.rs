//! Two trees, compared by the size of their contents.
//!
//! Comes in: two [`Side`]s: a tree, the heading of each path (its Debian package, as a rule), and what each
//! file takes in the compressed artifact, where that is known. Goes out: a [`SizeDiff`]. Pure.
//!
//! Two sizes are counted. *Installed* ones are those of file contents, hard links counted once. *Packed* ones
//! are what these take compressed, where they stand: so they change a little in files that are the same too.
//! Where both sides have packed sizes, these decide what comes first.
//!
//! Each path is looked at in both trees (`paths`) and summed up by package and directory (`sums`); then those
//! that differ in a version alone become one (`renames`).

mod change;
mod limit;
mod paths;
mod renames;
mod sizes;
mod sums;

use std::collections::BTreeMap;

pub use change::{Cause, CauseKind, Change, DirectoryChange, PackageChange, PathChange};
pub use limit::{Bound, InvalidBound, InvalidLimit, Limit};
pub use renames::renamed_packages;
pub use sizes::{Rest, Sizes, Unchanged, own_bytes};
pub use sums::places;

use crate::tree::{Kind, Tree, TreePath};
use sums::Sums;

/// One of two trees that are compared.
pub struct Side<'a> {
    /// The tree.
    pub tree: &'a Tree,
    /// Returns the heading of a path.
    pub heading: &'a dyn Fn(&TreePath) -> String,
    /// The versions of headings, as far as they have any.
    pub versions: &'a BTreeMap<String, String>,
    /// What each file takes compressed; `None` where it is not known.
    pub packed: Option<&'a BTreeMap<TreePath, u64>>,
    /// How files are compressed. Where the two sides differ in it, what files take compressed that are the same
    /// says nothing of these: no such file is listed.
    pub packing: &'a str,
}

/// The changes between two trees.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SizeDiff {
    /// All contents.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Headings whose contents or versions changed, or that take notably other bytes compressed; the largest
    /// change of size first, then by name.
    pub packages: Vec<PackageChange>,
    /// Directories, cut at a depth, of which the same is true; in the same order.
    pub directories: Vec<DirectoryChange>,
    /// Paths of which the same is true; in the same order.
    pub paths: Vec<PathChange>,
    /// What is in none of the lists.
    pub unchanged: Unchanged,
    /// Whether the two are compressed in different ways.
    pub is_packed_otherwise: bool,
    /// The headings that are in no list.
    #[serde(skip)]
    pub unlisted: BTreeMap<String, Sizes>,
}

impl SizeDiff {
    /// Returns true if both hold the same.
    pub fn is_empty(&self) -> bool {
        self.paths.iter().all(|path| path.change == Change::Same)
    }
}

/// Compares two trees. Directories are told apart down to `depth`.
pub fn diff(before: &Side<'_>, after: &Side<'_>, depth: usize) -> SizeDiff {
    let sides = [before, after];
    let none = Sizes::none(sides);
    let is_packed_otherwise =
        before.packed.is_some() && after.packed.is_some() && before.packing != after.packing;
    let [mut same, mut directories_left, mut packages_left] = [Rest::new(none); 3];
    let mut sums = Sums::new(sides, depth, !is_packed_otherwise);
    let mut paths = Vec::new();
    for both in paths::all(sides) {
        sums.add(&both);
        if both.change.is_some() || both.is_file[1] && sums.is_listed(&both.sizes) {
            paths.push(both.into_change());
        } else if both.is_file[1] {
            same.add(&both.sizes);
        }
    }
    sums.merge(&renames::of_paths(&mut paths, |path| kind(path, sides)));
    paths.sort_by(|a, b| a.sizes.order().cmp(&b.sizes.order()).then_with(|| a.path.cmp(&b.path)));
    let (packages, unlisted) = sums.packages(&paths);
    unlisted.values().for_each(|sizes| packages_left.add(sizes));
    let directories = sums.directories(&paths, &mut directories_left);
    let packed = |side: &Side<'_>| Some(side.packed?.values().sum());
    SizeDiff {
        sizes: Sizes {
            before_bytes: before.tree.size_bytes(),
            after_bytes: after.tree.size_bytes(),
            packed_before_bytes: packed(before),
            packed_after_bytes: packed(after),
        },
        packages,
        directories,
        paths,
        unchanged: Unchanged { packages: packages_left, directories: directories_left, paths: same },
        is_packed_otherwise,
        unlisted,
    }
}

/// Returns the name of the kind of what was added or removed.
fn kind(path: &PathChange, [before, after]: [&Side<'_>; 2]) -> &'static str {
    let tree = if path.change == Change::Added { after.tree } else { before.tree };
    match tree.get(path.tree_path().as_bytes()).map(|entry| &entry.kind) {
        Some(Kind::File { .. }) => "file",
        Some(Kind::Symlink { .. }) => "link",
        Some(Kind::Directory) => "directory",
        _ => "other",
    }
}

#[cfg(test)]
mod tests;
