//! What is known of an artifact's files, and what goes of them: values.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{digest::Digest, tree::TreePath};

/// The name of the step that is the start of the app, in used.list.
pub const START: &str = "start";

/// A reason to keep files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A rule of the recipe or of pruning.
    Rule {
        /// Its name in prune.list. Shared, as many files have one reason, and that may be long.
        rule: Arc<str>,
        /// What it says, such as `prune.keep "/usr/share/geshi/*"`.
        text: Arc<str>,
    },
    /// A step of the exercise, or the start of the app.
    Step(String),
    /// Another path of the artifact.
    File(TreePath),
}

/// What is known of a path of an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// What its contents take in the artifact; 0 for all but files.
    pub packed_bytes: u64,
    /// The size of its contents; 0 for a further name of a file.
    pub size_bytes: u64,
    /// Its contents, of a file and of each further name of one.
    pub contents: Option<Digest>,
    /// Whether it counts as a file ([`Kind::counts_as_file`](crate::tree::Kind::counts_as_file)).
    pub is_file: bool,
    /// The Debian package, or what it is else, in brackets.
    pub heading: String,
    /// What keeps it, each alone.
    pub causes: Vec<Cause>,
    /// What keeps it if nothing else that is kept does.
    pub spare: Option<Cause>,
    /// Programs and libraries that do not start without it.
    pub needed_by: BTreeSet<TreePath>,
    /// The steps that are known to use it.
    pub steps: BTreeSet<String>,
}

/// What is known of an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its paths, as they lie in it.
    pub files: BTreeMap<TreePath, FileFacts>,
    /// For each package, those that depend on it.
    pub dependents: BTreeMap<String, BTreeSet<String>>,
    /// Packages that stand for themselves, each with the reason, such as `requested`.
    pub requested: BTreeMap<String, String>,
    /// The app's own packages.
    pub app_packages: BTreeSet<String>,
    /// What the artifact does not tell, a clause each.
    pub missing: Vec<String>,
    /// Whether [`FileFacts::packed_bytes`] are known; else they are the sizes of contents.
    pub is_packed: bool,
}

/// Sizes of files together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sum {
    /// In the artifact.
    pub packed_bytes: u64,
    /// Their contents.
    pub size_bytes: u64,
    /// How many.
    pub files: u64,
}

impl Sum {
    pub(super) fn add(&mut self, file: &FileFacts) {
        if file.is_file {
            self.packed_bytes += file.packed_bytes;
            self.size_bytes += file.size_bytes;
            self.files += 1;
        }
    }

    pub(super) fn add_sum(&mut self, other: &Sum) {
        self.packed_bytes += other.packed_bytes;
        self.size_bytes += other.size_bytes;
        self.files += other.files;
    }
}

/// What goes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Packages that nothing asks for any more, those that were dropped among them.
    pub packages: BTreeSet<String>,
    /// Paths.
    pub paths: BTreeSet<TreePath>,
}

/// What is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drop {
    /// Packages.
    pub packages: BTreeSet<String>,
    /// Rules, steps and paths.
    pub causes: BTreeSet<Cause>,
}

/// A part of a package that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The package, or what it is else, in brackets.
    pub heading: String,
    /// What goes of it.
    pub sum: Sum,
    /// Whether that is all of it.
    pub is_whole: bool,
}
