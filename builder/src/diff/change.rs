//! What changed: a package, a directory, a path, and because of what.

use super::Sizes;
use crate::{
    formats::changelog,
    tree::{TreePath, unescape},
};

/// The changes under a heading.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PackageChange {
    /// The heading.
    pub package: String,
    /// The heading that it had in the first, where its name has another version now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_before: Option<String>,
    /// Its version in the first.
    pub version_before: Option<String>,
    /// Its version in the second.
    pub version_after: Option<String>,
    /// Its contents.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// How many of its paths changed.
    pub paths: usize,
    /// In how many of them the time alone did.
    #[serde(skip)]
    pub touched: usize,
    /// How many of its files ([`Kind::counts_as_file`]) changed in more than their times.
    pub files: usize,
    /// How many of its files were pruned in the first and are in the second; `None` where it is not known.
    pub files_gained: Option<usize>,
    /// How many of its files were in the first and are pruned in the second.
    pub files_lost: Option<usize>,
    /// Because of what it changed, if that is known; [`diff`] does not know it.
    pub cause: Option<Cause>,
    /// What its changelog says of the versions after the first up to the second, if it is at hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changelog: Vec<changelog::Entry>,
}

impl PackageChange {
    pub(super) fn new(package: String, sizes: Sizes) -> Self {
        PackageChange {
            package,
            package_before: None,
            version_before: None,
            version_after: None,
            sizes,
            paths: 0,
            touched: 0,
            files: 0,
            files_gained: None,
            files_lost: None,
            cause: None,
            changelog: Vec::new(),
        }
    }

    fn has_another_version(&self) -> bool {
        self.version_before != self.version_after || self.package_before.is_some()
    }

    /// Returns whether at most the times of its paths changed.
    pub fn is_same_but_for_times(&self) -> bool {
        let has_same_size = self.sizes.before_bytes == self.sizes.after_bytes;
        self.paths == self.touched && has_same_size && !self.has_another_version()
    }
}

/// The changes in a directory and all below it, as far as it is not listed itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DirectoryChange {
    /// Where, printed, with a slash before it.
    pub path: String,
    /// Its contents.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// How many of its paths changed.
    pub paths: usize,
    /// In how many of them the time alone did.
    #[serde(skip)]
    pub touched: usize,
    /// How many of its files ([`Kind::counts_as_file`]) changed in more than their times.
    pub files: usize,
}

/// The change at a path.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PathChange {
    /// Where, printed.
    pub path: String,
    /// Where it was in the first, where its name has another version now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_before: Option<String>,
    /// The heading it is counted under.
    pub package: String,
    /// The kind of the change.
    pub change: Change,
    /// Whether the time alone differs.
    #[serde(skip)]
    pub is_touched: bool,
    /// Whether it is, or was, a file ([`Kind::counts_as_file`]).
    #[serde(skip)]
    pub is_file: bool,
    /// Its contents.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Because of what it changed, if that is known; [`diff`] does not know it.
    pub cause: Option<Cause>,
}

impl PathChange {
    /// Returns where it is; where it was, if it is gone.
    pub fn tree_path(&self) -> TreePath {
        from_printed(&self.path)
    }

    /// Returns whether it is a file that changed in more than its time.
    pub(super) fn is_changed_file(&self) -> bool {
        self.is_file && !self.is_touched && self.change != Change::Same
    }

    /// Returns where it was, if it was anywhere.
    pub fn tree_path_before(&self) -> TreePath {
        from_printed(self.path_before.as_ref().unwrap_or(&self.path))
    }
}

fn from_printed(path: &str) -> TreePath {
    unescape(path).and_then(|bytes| TreePath::new(&bytes).ok()).unwrap_or_default()
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// It has another version in its name, or lies below `/usr` since that was merged; maybe with other contents.
    Renamed,
    /// Both have it, with another kind, other contents or another target.
    Changed,
    /// Only mode, owner, attributes or time differ.
    Metadata,
    /// Nothing differs but what it takes compressed.
    Same,
}

/// Because of what something changed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cause {
    /// Its kind.
    pub kind: CauseKind,
    /// The cause as a clause.
    pub text: String,
    /// What led to it, a step each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
}

impl Cause {
    /// Makes one that nothing more is known of.
    pub fn new(kind: CauseKind, text: String) -> Self {
        Cause { kind, text, chain: Vec::new() }
    }
}

/// A kind of cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// The recipe requests another package.
    Request,
    /// A package needs another one.
    Dependency,
    /// A package has another version.
    Version,
    /// The recipe keeps, drops or brings other files.
    Recipe,
    /// The exercise uses other files.
    Exercise,
    /// A rule of pruning decided otherwise.
    Rule,
    /// Another part of a file is left.
    Reduction,
    /// Nothing of it changed, but what has bytes in common with it.
    Sharing,
}
