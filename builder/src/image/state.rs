//! Which files below the stage's `/var` are state, so that a grain gets copies of its own.
//!
//! Comes in: the stage's trees, its packages, the evidence and the recipe. Goes out: a [`Fate`] for each
//! file. What a package gives to another user than root, or lets a group write, is data; so is a conffile,
//! and all in a directory that is data. All else that a package ships is code.
//!
//! Owners that maintainer scripts give are known in some ways to be root-like and not in others, yet each way
//! must give the same bytes. So the configured tree's owners are never looked at, only what is the same
//! everywhere: owners and modes in the packages, modes of the configured tree, `/var/lib/dpkg/statoverride`,
//! and the text of the scripts.

mod scripts;

#[cfg(feature = "testing")]
pub(super) use scripts::given;

use std::collections::BTreeSet;

use crate::{
    evidence::{Kinds, UsedList},
    recipe::Recipe,
    store::Store,
    tree::{Entry, Globs, Kind, Tree, TreePath},
    unpack::Unpacked,
};

/// Who may write besides the owner: group and others.
const WRITABLE: u32 = 0o022;

/// The part of a file of the stage's that a grain's first `/var` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A link to the file in the read-only root: code.
    Link,
    /// A copy that an upgrade leaves alone: a maintainer script made it, and may have made it together with
    /// others (a database).
    Made,
    /// A copy that an upgrade merges as dpkg does conffiles: a package or the recipe ships it.
    State,
}

/// The signs that distinguish state from code.
pub struct State<'a> {
    stage: &'a Tree,
    assembled: &'a Tree,
    used: &'a UsedList,
    laid: BTreeSet<&'a TreePath>,
    conffiles: BTreeSet<TreePath>,
    /// The paths that overrides and scripts give to another user than root.
    given: Globs,
    /// The recipe's `app.state`.
    asked: Globs,
    /// The same, as they are written.
    named: BTreeSet<String>,
}

impl<'a> State<'a> {
    /// Takes in what is known: `stage` is the configured tree with the recipe's files on it, `assembled` the
    /// one before any script ran.
    pub fn new(
        recipe: &'a Recipe,
        stage: &'a Tree,
        assembled: &'a Tree,
        unpacked: &Unpacked,
        used: &'a UsedList,
        store: &Store,
    ) -> Self {
        let mut conffiles = BTreeSet::new();
        let mut given = overridden(stage, store);
        for package in &unpacked.packages {
            let text = |name: &str| {
                let bytes = store.read(package.control_files.get(name)?).ok()?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            };
            let list = text("conffiles").unwrap_or_default();
            conffiles.extend(list.lines().filter_map(|line| TreePath::new(line.trim().as_bytes()).ok()));
            for script in ["preinst", "postinst"] {
                given.extend(text(script).iter().flat_map(|text| scripts::given(text)));
            }
        }
        State {
            stage,
            assembled,
            used,
            laid: recipe.files.iter().map(|file| &file.path).collect(),
            conffiles,
            given: usable(given),
            asked: usable(recipe.app.state.clone()),
            named: recipe.app.state.iter().map(|glob| glob.trim_matches('/').to_owned()).collect(),
        }
    }

    /// Returns what becomes of a file, by its path in the stage. A link of the stage's is state if a copy is
    /// to be in its place.
    pub fn fate(&self, path: &TreePath) -> Fate {
        let content = |tree: &Tree| tree.get(path.as_bytes()).and_then(|entry| entry.kind.content());
        let now = content(self.stage);
        let is_shipped = now == content(self.assembled);
        let is_written = |at: &TreePath| self.used.kinds(at.as_bytes()).contains(Kinds::WRITTEN);
        let is_file = now.is_some();
        // A link is copied if it is named itself: `**` is about what lies below /var, not about what that
        // leads to.
        let is_asked =
            if is_file { self.asked.find(path).is_some() } else { self.named.contains(&path.to_string()) };
        if is_asked || is_file && self.laid.contains(path) {
            return Fate::State;
        }
        match (is_shipped, now) {
            (false, _) => Fate::Made,
            (true, _) if is_written(path) || path.ancestors().any(|at| is_written(&at)) => Fate::State,
            (true, Some(_)) if self.is_data(path) => Fate::State,
            (true, _) => Fate::Link,
        }
    }

    /// Returns whether a path or a directory above it is data.
    fn is_data(&self, path: &TreePath) -> bool {
        let above = path.ancestors().filter(|above| above.is_at_or_below(b"var"));
        self.conffiles.contains(path) || [path.clone()].into_iter().chain(above).any(|at| self.is_given(&at))
    }

    fn is_given(&self, path: &TreePath) -> bool {
        let shipped = self.assembled.get(path.as_bytes());
        let writable =
            |entry: &Entry| !matches!(entry.kind, Kind::Symlink { .. }) && entry.mode & WRITABLE != 0;
        shipped.is_some_and(|entry| entry.uid != 0 || writable(entry))
            || self.stage.get(path.as_bytes()).is_some_and(writable)
            || self.given.find(path).is_some()
    }
}

/// Returns the globs; those that are none say nothing. The recipe's own were checked when it was read.
fn usable(globs: Vec<String>) -> Globs {
    let good = globs.into_iter().filter(|glob| Globs::new([glob]).is_ok());
    Globs::new(good.collect::<Vec<_>>()).unwrap_or_default()
}

/// Returns the paths that `dpkg-statoverride` gives to another user than root: lines of user, group, mode and
/// path. (Modes show in the tree.)
fn overridden(stage: &Tree, store: &Store) -> Vec<String> {
    let content = stage.get(b"var/lib/dpkg/statoverride").and_then(|entry| entry.kind.content());
    let bytes = content.and_then(|(digest, _)| store.read(&digest).ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let path = |line: &str| {
        let mut words = line.splitn(4, ' ');
        words.next().filter(|user| scripts::is_other(user))?;
        words.nth(2).filter(|path| path.starts_with("/var/")).map(globset::escape)
    };
    text.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests;
