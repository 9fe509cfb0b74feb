//! Packages' trees as one tree, as dpkg would leave it before any script has run.
//!
//! Comes in: [`Unpacked`]. Goes out: the tree, the owner of each path, and each decision that was
//! not self-evident. Pure: no store, no file. The rules are dpkg's (`src/main/archives.c`,
//! Debian Policy 7.6), applied in the order of [`order()`]:
//!
//! - `/bin`, `/sbin`, `/lib` and, where anything lies there, `/lib64` and its like are links into
//!   `/usr` before the first package comes; files shipped below them are placed in `/usr`.
//! - A path is followed through links to directories that lie in the tree already.
//! - A directory stays where a link to one is shipped later, and a link to a directory where a
//!   directory is shipped later. A directory has the mode and owner of who ships it first, and the
//!   newest time.
//! - All else can be shipped by one package only, unless one of the two has `Replaces` for the
//!   other, or diverts; the later of two that replace each other wins.

mod order;
mod owners;

pub use order::{Step, essential, order, steps};
pub use owners::Owners;

use std::{collections::HashMap, fmt};

use crate::{
    error::Hint,
    formats::relation,
    tree::{Entry, Kind, Tree, TreePath},
    unpack::{Unpacked, UnpackedPackage},
};

/// The root that packages make.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The entries.
    pub tree: Tree,
    /// From which package.
    pub owners: Owners,
    /// The decisions that were made, in the order of the packages.
    pub decisions: Vec<Decision>,
}

/// A decision between two packages that ship one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The path.
    pub path: TreePath,
    /// The package whose entry is in the tree.
    pub kept: String,
    /// The package whose entry is not.
    pub dropped: String,
    /// Why.
    pub reason: Reason,
}

/// Why one package's entry was taken and not another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A directory was there before a link came.
    DirectoryFirst,
    /// A link to a directory was there before a directory came.
    LinkFirst,
    /// The one has `Replaces` for the other.
    Replaces,
    /// One of the two diverts files when its scripts run; they will settle it.
    Diverts,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { path, kept, dropped, reason } = self;
        match reason {
            Reason::DirectoryFirst => {
                write!(f, "/{path} stays the directory of {kept}; {dropped} has a link there")
            }
            Reason::LinkFirst => {
                write!(f, "/{path} stays the link of {kept}; {dropped} has a directory there")
            }
            Reason::Replaces => write!(f, "/{path} is that of {kept}, which replaces files of {dropped}"),
            Reason::Diverts => {
                write!(f, "/{path} is that of {kept} until a diversion settles it with {dropped}")
            }
        }
    }
}

/// Packages that cannot lie in one root; each clash, in the order of paths.
#[derive(Debug, thiserror::Error)]
#[error("packages clash{}", list(clashes))]
pub struct AssembleError {
    /// The clashes; never empty.
    pub clashes: Vec<Clash>,
}

impl Hint for AssembleError {}

fn list(clashes: &[Clash]) -> String {
    clashes.iter().map(|clash| format!("\n  {clash}")).collect()
}

/// Why a path of a package cannot lie in the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Clash {
    /// Two packages ship it, and nothing says which one is meant.
    #[error("/{path} is in {first} and in {second}, and neither replaces the other")]
    Twice {
        /// The path.
        path: TreePath,
        /// Name and version of the earlier package.
        first: String,
        /// Name and version of the later one.
        second: String,
    },
    /// A directory of one package is a file or node of another.
    #[error("/{path} is a directory in {first} and another kind of file in {second}")]
    Directory {
        /// The path.
        path: TreePath,
        /// Name and version of the package with the directory.
        first: String,
        /// Name and version of the other.
        second: String,
    },
    /// It lies below something that is neither directory nor link to one.
    #[error("/{path} of {package} cannot lie below /{above}, which is not a directory")]
    Below {
        /// The path.
        path: TreePath,
        /// Name and version of its package.
        package: String,
        /// The path in the way.
        above: TreePath,
    },
    /// Through a link it gets longer than a path may be.
    #[error("/{path} of {package} becomes too long a path")]
    TooLong {
        /// The path.
        path: TreePath,
        /// Name and version of its package.
        package: String,
    },
}

/// Assembles the root that packages make.
///
/// # Errors
/// All clashes between packages.
pub fn assemble(unpacked: &Unpacked) -> Result<Assembled, AssembleError> {
    let packages = &unpacked.packages;
    let mut root = Root {
        packages,
        tree: Tree::new(),
        owners: Owners::new(packages.iter().map(|p| p.locked.name.clone()).collect()),
        decisions: Vec::new(),
        clashes: Vec::new(),
        directories: HashMap::new(),
    };
    root.merge_usr();
    for index in order(packages) {
        root.add(index);
    }
    let Root { mut tree, owners, decisions, mut clashes, .. } = root;
    if !clashes.is_empty() {
        clashes.sort();
        clashes.dedup();
        return Err(AssembleError { clashes });
    }
    settle_usr_links(&mut tree);
    tree.regroup_hard_links();
    Ok(Assembled { tree, owners, decisions })
}

/// Directories that are links into `/usr`, always.
const MERGED: [&str; 3] = ["bin", "sbin", "lib"];
/// Those that are so where a package ships anything there (multilib directories of all ports).
const MERGED_IF_USED: [&str; 4] = ["lib32", "lib64", "libo32", "libx32"];

struct Root<'a> {
    packages: &'a [UnpackedPackage],
    tree: Tree,
    owners: Owners,
    decisions: Vec<Decision>,
    clashes: Vec<Clash>,
    /// For the present package: where directories as it names them lie in the tree.
    directories: HashMap<Vec<u8>, TreePath>,
}

impl Root<'_> {
    fn merge_usr(&mut self) {
        let used = |name: &&str| {
            let usr = format!("usr/{name}");
            let ships = |p: &UnpackedPackage| {
                p.tree.subtree(name.as_bytes()).next().is_some() || p.tree.get(usr.as_bytes()).is_some()
            };
            self.packages.iter().any(ships)
        };
        let names: Vec<&str> = MERGED.into_iter().chain(MERGED_IF_USED.into_iter().filter(used)).collect();
        let path = |text: &str| TreePath::new(text.as_bytes()).expect("a sound path");
        self.tree.insert(TreePath::root(), Entry::directory(0));
        self.tree.insert(path("usr"), Entry::directory(0));
        for name in names {
            let target = format!("usr/{name}");
            self.tree.insert(path(&target), Entry::directory(0));
            self.tree.insert(path(name), Entry::symlink(target.as_bytes(), 0));
            self.owners.alias(name.as_bytes(), target.as_bytes());
        }
    }

    fn label(&self, index: usize) -> String {
        let locked = &self.packages[index].locked;
        format!("{} {}", locked.name, locked.version)
    }

    fn add(&mut self, index: usize) {
        self.directories.clear();
        let packages = self.packages;
        for (path, entry) in packages[index].tree.iter() {
            if let Err(clash) = self.add_entry(index, path, entry) {
                self.clashes.push(clash);
            }
        }
    }

    fn add_entry(&mut self, index: usize, path: &TreePath, entry: &Entry) -> Result<(), Clash> {
        let at = self.locate(index, path, entry.mtime_s)?;
        let mut entry = entry.clone();
        if let Kind::File { hard_link: Some(first), .. } = &mut entry.kind {
            *first = self.locate(index, first, entry.mtime_s)?;
        }
        if self.place(index, &at, entry)? {
            self.owners.add(at, index);
        }
        Ok(())
    }

    /// Returns where a path of a package lies in the tree, its parents being followed and made.
    fn locate(&mut self, index: usize, path: &TreePath, mtime_s: i64) -> Result<TreePath, Clash> {
        let Some(parent) = path.parent() else { return Ok(TreePath::root()) };
        let directory = match self.directories.get(parent.as_bytes()) {
            Some(known) => known.clone(),
            None => {
                let found = self.directory(index, path, &parent, mtime_s)?;
                self.directories.insert(parent.as_bytes().to_vec(), found.clone());
                found
            }
        };
        let too_long = |_| Clash::TooLong { path: path.clone(), package: self.label(index) };
        directory.join(path.file_name()).map_err(too_long)
    }

    fn directory(
        &mut self,
        index: usize,
        path: &TreePath,
        directory: &TreePath,
        mtime_s: i64,
    ) -> Result<TreePath, Clash> {
        if directory.is_root() {
            return Ok(TreePath::root());
        }
        let at = self.locate(index, directory, mtime_s)?;
        let end = match self.tree.get(at.as_bytes()).map(|e| &e.kind) {
            // dpkg would fail here; honest packages ship all their directories.
            None => {
                self.tree.insert(at.clone(), Entry::directory(mtime_s));
                Some(at.clone())
            }
            Some(Kind::Directory) => Some(at.clone()),
            Some(_) => self.directory_at(&at),
        };
        end.ok_or_else(|| Clash::Below { path: path.clone(), package: self.label(index), above: at })
    }

    /// Returns the directory at a path, or the one that a link there points to.
    fn directory_at(&self, path: &TreePath) -> Option<TreePath> {
        let end = self.tree.resolve(path.as_bytes(), |_| {})?;
        let is_directory =
            end.is_root() || self.tree.get(end.as_bytes()).is_some_and(|e| e.kind.is_directory());
        is_directory.then_some(end)
    }

    /// Puts an entry at its place, or decides against it. Returns whether the package owns the path.
    fn place(&mut self, index: usize, at: &TreePath, entry: Entry) -> Result<bool, Clash> {
        let Some(there) = self.tree.get(at.as_bytes()) else {
            self.tree.insert(at.clone(), entry);
            return Ok(true);
        };
        let first = self.owners.indexes(at.as_bytes()).first().copied();
        match (&there.kind, &entry.kind) {
            (Kind::Directory, Kind::Directory) => {
                let mtime_s = there.mtime_s.max(entry.mtime_s);
                let there = self.tree.get_mut(at.as_bytes()).expect("just seen");
                if first.is_none() {
                    *there = entry;
                }
                there.mtime_s = mtime_s;
                Ok(true)
            }
            (Kind::Directory, Kind::Symlink { .. }) => {
                self.decide(at, first, index, Reason::DirectoryFirst);
                Ok(true)
            }
            (Kind::Symlink { .. }, Kind::Directory) if self.directory_at(at).is_some() => {
                // Packages ship directories where the links into /usr are; that is as it should be.
                if !self.owners.is_alias(at.as_bytes()) {
                    self.decide(at, first, index, Reason::LinkFirst);
                }
                Ok(true)
            }
            (Kind::Symlink { target: old }, Kind::Symlink { target: new })
                if self.lead_together(at, old, new) =>
            {
                if first.is_none() {
                    self.tree.insert(at.clone(), entry);
                }
                Ok(true)
            }
            _ => self.contend(index, at, entry),
        }
    }

    fn decide(&mut self, at: &TreePath, kept: Option<usize>, dropped: usize, reason: Reason) {
        let name = |index: usize| self.packages[index].locked.name.clone();
        let kept = kept.map_or_else(|| "the root".into(), name);
        self.decisions.push(Decision { path: at.clone(), kept, dropped: name(dropped), reason });
    }

    /// Returns whether two link targets at a path are one directory.
    fn lead_together(&self, at: &TreePath, old: &[u8], new: &[u8]) -> bool {
        let end = |target: &[u8]| {
            let from: &[u8] =
                if target.starts_with(b"/") { b"" } else { at.parent_bytes().unwrap_or_default() };
            let end = self.tree.resolve(&[from, b"/", target].concat(), |_| {})?;
            self.tree.get(end.as_bytes()).is_some_and(|e| e.kind.is_directory()).then_some(end)
        };
        end(old).is_some_and(|old| end(new) == Some(old))
    }

    /// Decides between two packages that ship one path of which at most one can be there.
    fn contend(&mut self, index: usize, at: &TreePath, entry: Entry) -> Result<bool, Clash> {
        let is_directory = |kind: &Kind| kind.is_directory();
        let there = is_directory(&self.tree.get(at.as_bytes()).expect("there is a contender").kind);
        let owners: Vec<usize> = self.owners.indexes(at.as_bytes()).to_vec();
        if there || self.owners.is_alias(at.as_bytes()) {
            // Entries below it would have no parent directory.
            let first = owners.first().map_or_else(|| "every root".into(), |other| self.label(*other));
            return Err(Clash::Directory { path: at.clone(), first, second: self.label(index) });
        }
        for &other in &owners {
            if other == index {
                continue;
            }
            let (first, second) = (self.label(other), self.label(index));
            let (ours, theirs) = (&self.packages[index], &self.packages[other]);
            if replaces(ours, theirs) {
                let [kept, dropped] = [ours, theirs].map(|p| p.locked.name.clone());
                self.decisions.push(Decision { path: at.clone(), kept, dropped, reason: Reason::Replaces });
            } else if replaces(theirs, ours) {
                self.decide(at, Some(other), index, Reason::Replaces);
                return Ok(false);
            } else if theirs.diverts {
                // The earlier one's scripts run first; it has moved the place of ours out of its way.
                self.decide(at, Some(other), index, Reason::Diverts);
                return Ok(true);
            } else if ours.diverts {
                let [kept, dropped] = [ours, theirs].map(|p| p.locked.name.clone());
                self.decisions.push(Decision { path: at.clone(), kept, dropped, reason: Reason::Diverts });
                self.tree.insert(at.clone(), entry);
                return Ok(true);
            } else if is_directory(&entry.kind) {
                return Err(Clash::Directory { path: at.clone(), first: second, second: first });
            } else {
                return Err(Clash::Twice { path: at.clone(), first, second });
            }
        }
        self.owners.clear(at.as_bytes());
        self.tree.insert(at.clone(), entry);
        Ok(true)
    }
}

/// Returns whether a package's `Replaces` names another, as dpkg reads it: by name, never by Provides.
fn replaces(package: &UnpackedPackage, other: &UnpackedPackage) -> bool {
    let field = package.control.get("Replaces").unwrap_or_default();
    let groups = relation::parse(field, &package.locked.architecture).unwrap_or_default();
    groups
        .iter()
        .flat_map(|group| &group.alternatives)
        .any(|relation| relation.name == other.locked.name && relation.admits(&other.locked.version))
}

/// Gives the links that no package ships the time of `/usr`, so that it comes from packages too.
fn settle_usr_links(tree: &mut Tree) {
    let mtime_s = tree.get(b"usr").map_or(0, |usr| usr.mtime_s);
    for name in MERGED.into_iter().chain(MERGED_IF_USED) {
        for path in [name.to_owned(), format!("usr/{name}")] {
            if let Some(entry) = tree.get_mut(path.as_bytes()).filter(|entry| entry.mtime_s == 0) {
                entry.mtime_s = mtime_s;
            }
        }
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
