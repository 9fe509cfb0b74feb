//! Two trees, compared by the size of their contents.
//!
//! Comes in: two [`Side`]s: a tree, the heading of each path (its Debian package, as a rule), and what each
//! file takes in the compressed artifact, where that is known. Goes out: a [`SizeDiff`]. Pure.
//!
//! Two sizes are counted. *Installed* ones are those of file contents, hard links counted once. *Packed* ones
//! are what these take compressed, where they stand: so they change a little in files that are the same too.
//! Where both sides have packed sizes, these decide what comes first.

mod limit;
mod renames;

use std::collections::{BTreeMap, BTreeSet};

pub use limit::{Bound, InvalidBound, InvalidLimit, Limit};
pub use renames::renamed_packages;

use crate::{
    formats::changelog,
    tree::{Entry, Kind, Tree, TreePath, unescape},
};

/// From here on a change of what is the same in both is notable.
const NOTABLE_BYTES: u64 = 1000;

/// From here on it is if it is 1 % or more.
const NOISE_BYTES: u64 = 100;

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

/// Sizes before and after, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// Contents in the first.
    pub before_bytes: u64,
    /// Contents in the second.
    pub after_bytes: u64,
    /// The same compressed in the first; `None` where it is not known.
    pub packed_before_bytes: Option<u64>,
    /// The same compressed in the second.
    pub packed_after_bytes: Option<u64>,
}

impl Sizes {
    /// Returns no bytes, known to be so as far as the sides are priced.
    fn none(sides: [&Side<'_>; 2]) -> Self {
        let [packed_before_bytes, packed_after_bytes] = sides.map(|side| side.packed.map(|_| 0));
        Sizes { packed_before_bytes, packed_after_bytes, ..Sizes::default() }
    }

    fn add(&mut self, other: &Sizes) {
        let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        self.before_bytes += other.before_bytes;
        self.after_bytes += other.after_bytes;
        self.packed_before_bytes = sum(self.packed_before_bytes, other.packed_before_bytes);
        self.packed_after_bytes = sum(self.packed_after_bytes, other.packed_after_bytes);
    }

    /// Returns the sizes of the first alone, the other being none.
    fn only_before(&self) -> Self {
        Sizes { after_bytes: 0, packed_after_bytes: self.packed_after_bytes.map(|_| 0), ..*self }
    }

    /// Returns the sizes of the second alone.
    fn only_after(&self) -> Self {
        Sizes { before_bytes: 0, packed_before_bytes: self.packed_before_bytes.map(|_| 0), ..*self }
    }

    /// Takes the sizes in the first from another.
    fn take_before(&mut self, other: &Sizes) {
        (self.before_bytes, self.packed_before_bytes) = (other.before_bytes, other.packed_before_bytes);
    }

    /// Returns the packed sizes; `None` unless both are known.
    pub fn packed(&self) -> Option<(u64, u64)> {
        Some((self.packed_before_bytes?, self.packed_after_bytes?))
    }

    /// Returns the sizes that decide: the packed ones where both are known, else the installed ones.
    pub fn deciding(&self) -> (u64, u64) {
        self.packed().unwrap_or((self.before_bytes, self.after_bytes))
    }

    /// Returns by how much the contents grew; negative where they shrank.
    pub fn growth_bytes(&self) -> i64 {
        growth((self.before_bytes, self.after_bytes))
    }

    /// Returns whether what decides differs by more than a change elsewhere moves it: what is the same costs a
    /// little more or less wherever the coder's state before it is another.
    pub fn is_notable(&self) -> bool {
        let (before, after) = self.deciding();
        let change = before.abs_diff(after);
        change >= NOTABLE_BYTES || change >= NOISE_BYTES && change.saturating_mul(100) >= before.max(after)
    }

    /// Orders the largest change first, be it more or less.
    fn order(&self) -> impl Ord + use<> {
        let installed = growth((self.before_bytes, self.after_bytes)).unsigned_abs();
        std::cmp::Reverse((growth(self.deciding()).unsigned_abs(), installed))
    }
}

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
    fn new(package: String, sizes: Sizes) -> Self {
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
    fn is_changed_file(&self) -> bool {
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

/// The parts of both trees that are the same, and are in no list: their packed sizes can differ all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Unchanged {
    /// Of headings.
    pub packages: Rest,
    /// Of directories.
    pub directories: Rest,
    /// Of paths that are no directories.
    pub paths: Rest,
}

/// A sum of what is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rest {
    /// How many.
    pub count: usize,
    /// What they hold.
    #[serde(flatten)]
    pub sizes: Sizes,
}

impl Rest {
    fn new(sizes: Sizes) -> Self {
        Rest { count: 0, sizes }
    }

    /// Adds one.
    pub fn add(&mut self, sizes: &Sizes) {
        self.count += 1;
        self.sizes.add(sizes);
    }
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

impl SizeDiff {
    /// Returns true if both hold the same.
    pub fn is_empty(&self) -> bool {
        self.paths.iter().all(|path| path.change == Change::Same)
    }
}

fn growth((before_bytes, after_bytes): (u64, u64)) -> i64 {
    i64::try_from(i128::from(after_bytes) - i128::from(before_bytes)).unwrap_or(i64::MAX)
}

/// Compares two trees. Directories are told apart down to `depth`.
pub fn diff(before: &Side<'_>, after: &Side<'_>, depth: usize) -> SizeDiff {
    let none = Sizes::none([before, after]);
    let is_packed_otherwise =
        before.packed.is_some() && after.packed.is_some() && before.packing != after.packing;
    let mut packages: BTreeMap<String, PackageChange> = BTreeMap::new();
    let mut count = |package: String, sizes: &Sizes, (paths, touched): (usize, usize)| {
        let sum = packages.entry(package.clone()).or_insert_with(|| PackageChange::new(package, none));
        sum.sizes.add(sizes);
        sum.paths += paths;
        sum.touched += touched;
    };
    let mut directories: BTreeMap<String, Sizes> = BTreeMap::new();
    let mut paths = Vec::new();
    let mut same = Rest::new(none);
    let mut there: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    let all: BTreeSet<&TreePath> =
        before.tree.iter().chain(after.tree.iter()).map(|(path, _)| path).collect();
    for path in all {
        let (old, new) = (before.tree.get(path.as_bytes()), after.tree.get(path.as_bytes()));
        let packed = |side: &Side<'_>| Some(side.packed?.get(path).copied().unwrap_or_default());
        let sizes = Sizes {
            before_bytes: old.map_or(0, own_bytes),
            after_bytes: new.map_or(0, own_bytes),
            packed_before_bytes: packed(before),
            packed_after_bytes: packed(after),
        };
        let change = change(old, new);
        let is_touched = old
            .zip(new)
            .is_some_and(|(old, new)| old != new && Entry { mtime_s: new.mtime_s, ..old.clone() } == *new);
        let changes = (usize::from(change.is_some()), usize::from(is_touched));
        let (was, is) = ((before.heading)(path), (after.heading)(path));
        let shown = if new.is_some() { is.clone() } else { was.clone() };
        // Directories are of many.
        let is_content = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.kind.counts_as_file());
        there.entry(was.clone()).or_default().0 |= is_content(old);
        there.entry(is.clone()).or_default().1 |= is_content(new);
        if old.is_some() && new.is_some() && was != is {
            // The path counts once, where it is now.
            count(was, &sizes.only_before(), (0, 0));
            count(is, &sizes.only_after(), changes);
        } else {
            count(shown.clone(), &sizes, changes);
        }
        if is_content(old) || is_content(new) {
            directories.entry(directory(&path.to_string(), depth)).or_insert(none).add(&sizes);
        }
        if change.is_none() && !(is_content(new) && sizes.is_notable() && !is_packed_otherwise) {
            if is_content(new) {
                same.add(&sizes);
            }
            continue;
        }
        paths.push(PathChange {
            path: path.to_string(),
            path_before: None,
            package: shown,
            change: change.unwrap_or(Change::Same),
            is_touched,
            is_file: is_content(new) || is_content(old),
            sizes,
            cause: None,
        });
    }
    let renamed = renames::of_paths(&mut paths, |path| {
        let tree = if path.change == Change::Added { after.tree } else { before.tree };
        match tree.get(path.tree_path().as_bytes()).map(|entry| &entry.kind) {
            Some(Kind::File { .. }) => "file",
            Some(Kind::Symlink { .. }) => "link",
            Some(Kind::Directory) => "directory",
            _ => "other",
        }
    });
    paths.sort_by(|a, b| a.sizes.order().cmp(&b.sizes.order()).then_with(|| a.path.cmp(&b.path)));
    for name in renamed {
        // Each was counted as a removed path and as an added one.
        if let Some(package) = packages.get_mut(&name) {
            package.paths = package.paths.saturating_sub(1);
        }
    }
    for name in after.versions.keys().filter(|name| before.versions.get(*name) != after.versions.get(*name)) {
        if before.versions.contains_key(name) {
            packages.entry(name.clone()).or_insert_with(|| PackageChange::new(name.clone(), none));
        }
    }
    let mut packages: Vec<_> = packages.into_values().collect();
    renames::of_packages(&mut packages, |name| there.get(name).copied().unwrap_or_default());
    for package in &mut packages {
        let name_before = package.package_before.as_ref().unwrap_or(&package.package);
        package.version_before = before.versions.get(name_before).cloned();
        package.version_after = after.versions.get(&package.package).cloned();
    }
    let places = places(&packages);
    let changed = paths.iter().filter(|path| path.is_changed_file());
    let counted: Vec<usize> = changed.filter_map(|path| places.get(&path.package).copied()).collect();
    counted.into_iter().for_each(|at| packages[at].files += 1);
    let mut unchanged = Unchanged { packages: Rest::new(none), directories: Rest::new(none), paths: same };
    let mut unlisted = BTreeMap::new();
    packages.retain(|package| {
        let is_as_large = is_packed_otherwise || !package.sizes.is_notable();
        let is_same = package.paths == 0 && package.is_same_but_for_times() && is_as_large;
        // Those that hold nothing are of no interest where nothing of them changed.
        if is_same && there.get(&package.package).is_some_and(|(was, is)| *was || *is) {
            unchanged.packages.add(&package.sizes);
            unlisted.insert(package.package.clone(), package.sizes);
        }
        !is_same
    });
    packages.sort_by_key(|package| package.sizes.order());
    let is_listed = |sizes: &Sizes| !is_packed_otherwise && sizes.is_notable();
    let directories = directories_of(directories, &paths, depth, is_listed, &mut unchanged.directories);
    let mut sizes = none;
    (sizes.before_bytes, sizes.after_bytes) = (before.tree.size_bytes(), after.tree.size_bytes());
    let packed = |side: &Side<'_>| Some(side.packed?.values().sum());
    (sizes.packed_before_bytes, sizes.packed_after_bytes) = (packed(before), packed(after));
    SizeDiff { sizes, packages, directories, paths, unchanged, is_packed_otherwise, unlisted }
}

/// Returns where each heading of either side is in a list.
pub fn places(packages: &[PackageChange]) -> BTreeMap<String, usize> {
    let names = |(at, package): (usize, &PackageChange)| {
        let names = package.package_before.iter().chain([&package.package]);
        names.map(|name| (name.clone(), at)).collect::<Vec<_>>()
    };
    packages.iter().enumerate().flat_map(names).collect()
}

/// Returns the directory under which a path is counted: its parent, cut at a depth.
fn directory(path: &str, depth: usize) -> String {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let shown: Vec<&str> = parent.split('/').take(depth.max(1)).collect();
    format!("/{}", shown.join("/"))
}

/// Returns the directories of which a path changed, or that are listed for their sizes; the others are added
/// to `rest`.
fn directories_of(
    all: BTreeMap<String, Sizes>,
    paths: &[PathChange],
    depth: usize,
    is_listed: impl Fn(&Sizes) -> bool,
    rest: &mut Rest,
) -> Vec<DirectoryChange> {
    let mut counts: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    for change in paths.iter().filter(|path| path.change != Change::Same) {
        let (paths, touched, files) = counts.entry(directory(&change.path, depth)).or_default();
        *paths += 1;
        *touched += usize::from(change.is_touched);
        *files += usize::from(change.is_changed_file());
        // A directory that a path left changed as well.
        let left = change.path_before.as_ref().map(|path| directory(path, depth));
        if let Some(left) = left.filter(|left| *left != directory(&change.path, depth)) {
            let (paths, _, files) = counts.entry(left).or_default();
            *paths += 1;
            *files += usize::from(change.is_changed_file());
        }
    }
    let mut changed = Vec::new();
    for (path, sizes) in all {
        let (paths, touched, files) = match counts.get(&path) {
            Some(counts) => *counts,
            None if is_listed(&sizes) => (0, 0, 0),
            None => {
                rest.add(&sizes);
                continue;
            }
        };
        changed.push(DirectoryChange { path, sizes, paths, touched, files });
    }
    changed.sort_by_key(|directory| directory.sizes.order());
    changed
}

/// Returns the size of an entry's own contents; 0 for the further names of a hard link.
pub fn own_bytes(entry: &Entry) -> u64 {
    match entry.kind {
        Kind::File { size_bytes, hard_link: None, .. } => size_bytes,
        _ => 0,
    }
}

fn change(old: Option<&Entry>, new: Option<&Entry>) -> Option<Change> {
    match (old, new) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (Some(old), Some(new)) if old == new => None,
        (Some(old), Some(new)) => {
            let same = match (old.kind.content(), new.kind.content()) {
                (Some(old), Some(new)) => old == new,
                _ => old.kind == new.kind,
            };
            Some(if same { Change::Metadata } else { Change::Changed })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let entry = |text: &str| Entry::file(Digest::of(text.as_bytes()), text.len() as u64, 0o644, 0);
        files
            .iter()
            .map(|(path, text)| (TreePath::new(path.as_bytes()).expect("good"), entry(text)))
            .collect()
    }

    fn first_component(path: &TreePath) -> String {
        path.to_string().split('/').next().unwrap_or_default().to_owned()
    }

    fn side<'a>(tree: &'a Tree, heading: &'a dyn Fn(&TreePath) -> String) -> Side<'a> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        Side { tree, heading, versions: &NONE, packed: None, packing: "spk" }
    }

    fn compared(before: &Tree, after: &Tree) -> SizeDiff {
        diff(&side(before, &first_component), &side(after, &first_component), 2)
    }

    #[test]
    fn names_what_changed_largest_first() {
        let before = tree(&[("a/same", "same"), ("a/gone", "123456"), ("b/grows", "1"), ("b/touched", "t")]);
        let mut after =
            tree(&[("a/same", "same"), ("b/grows", "1234567890"), ("b/touched", "t"), ("c/new", "12")]);
        after.get_mut(b"b/touched").expect("is there").mtime_s = 9;
        let diff = compared(&before, &after);
        assert_eq!((diff.sizes.before_bytes, diff.sizes.after_bytes, diff.sizes.growth_bytes()), (12, 17, 5));
        let paths: Vec<_> = diff.paths.iter().map(|p| (p.path.as_str(), p.change)).collect();
        assert_eq!(
            paths,
            [
                ("b/grows", Change::Changed),
                ("a/gone", Change::Removed),
                ("c/new", Change::Added),
                ("b/touched", Change::Metadata),
            ]
        );
        let packages: Vec<_> = diff
            .packages
            .iter()
            .map(|p| (p.package.as_str(), p.sizes.before_bytes, p.sizes.after_bytes, p.paths))
            .collect();
        assert_eq!(packages, [("b", 2, 11, 2), ("a", 10, 4, 1), ("c", 0, 2, 1)]);
    }

    #[test]
    fn nothing_changed_is_empty() {
        let one = tree(&[("a", "1")]);
        let same = compared(&one, &one);
        assert!(same.is_empty() && same.packages.is_empty());
    }

    #[test]
    fn packed_sizes_decide_the_order_and_all_of_them_are_counted() {
        let before = tree(&[("a/same", "same"), ("a/grows", "1"), ("b/same", "same"), ("c/big", "")]);
        let after = tree(&[("a/same", "same"), ("a/grows", "123456"), ("b/same", "same"), ("c/big", "1")]);
        let prices = |sizes: [u64; 4]| -> BTreeMap<TreePath, u64> {
            before.iter().map(|(path, _)| path.clone()).zip(sizes).collect()
        };
        let (was, is) = (prices([1, 4, 20, 0]), prices([2, 5, 19, 90]));
        let mut sides = [side(&before, &first_component), side(&after, &first_component)];
        sides[0].packed = Some(&was);
        let [one, other] = &sides;
        let half = diff(one, other, 2);
        assert_eq!((half.sizes.packed_before_bytes, half.sizes.packed_after_bytes), (Some(25), None));
        assert_eq!(half.packages[0].package, "a", "installed sizes decide");
        sides[1].packed = Some(&is);
        let [one, other] = &sides;
        let diff = diff(one, other, 2);
        assert_eq!(diff.sizes.packed(), Some((25, 116)));
        let packages: Vec<_> = diff.packages.iter().map(|p| (&p.package[..], p.sizes.packed())).collect();
        assert_eq!(packages, [("c", Some((0, 90))), ("a", Some((5, 7)))]);
        assert_eq!(
            (diff.unchanged.packages.count, diff.unchanged.packages.sizes.packed()),
            (1, Some((20, 19)))
        );
        let sum = |rest: &Rest, listed: &mut dyn Iterator<Item = &Sizes>| {
            let mut all = rest.sizes;
            listed.for_each(|sizes| all.add(sizes));
            all
        };
        let Unchanged { packages, directories, paths } = &diff.unchanged;
        assert_eq!(sum(packages, &mut diff.packages.iter().map(|p| &p.sizes)), diff.sizes);
        assert_eq!(sum(directories, &mut diff.directories.iter().map(|d| &d.sizes)), diff.sizes);
        assert_eq!(sum(paths, &mut diff.paths.iter().map(|p| &p.sizes)), diff.sizes);
    }

    #[test]
    fn what_is_compressed_in_another_way_is_one_sum() {
        let before = tree(&[("a/same", "same"), ("a/grows", "1"), ("b/same", "same")]);
        let after = tree(&[("a/same", "same"), ("a/grows", "12"), ("b/same", "same")]);
        let prices = |factor: u64| -> BTreeMap<TreePath, u64> {
            before.iter().map(|(path, _)| path.clone()).zip([factor, 2 * factor, 3 * factor]).collect()
        };
        let (was, is) = (prices(1000), prices(3000));
        let listed = |packing| {
            let mut sides = [side(&before, &first_component), side(&after, &first_component)];
            (sides[0].packed, sides[1].packed) = (Some(&was), Some(&is));
            sides[1].packing = packing;
            let [one, other] = &sides;
            let diff = diff(one, other, 2);
            let paths: Vec<String> = diff.paths.iter().map(|path| path.path.clone()).collect();
            let names: Vec<String> = diff.packages.iter().map(|package| package.package.clone()).collect();
            (paths, names, diff.directories.len(), diff.unchanged.paths.sizes.packed())
        };
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let all = (texts(&["b/same", "a/same", "a/grows"]), texts(&["a", "b"]), 2, Some((0, 0)));
        assert_eq!(listed("spk"), all);
        assert_eq!(listed("oci"), (texts(&["a/grows"]), texts(&["a"]), 1, Some((5000, 15_000))));
    }

    #[test]
    fn files_that_changed_count_alike_for_packages_and_directories() {
        let mut before = tree(&[("a/one", "1"), ("a/two", "2"), ("a/time", "3"), ("a/gone", "4")]);
        let mut after = tree(&[("a/one", "11"), ("a/two", "2"), ("a/time", "3")]);
        let link = |target: &str| Entry::symlink(target.as_bytes().to_vec(), 0);
        let path = |text: &str| TreePath::new(text.as_bytes()).expect("good");
        before.insert(path("a/link"), link("one"));
        after.insert(path("a/link"), link("two"));
        after.insert(path("a/empty"), Entry::directory(0));
        for name in ["a/two", "a/time"] {
            after.get_mut(name.as_bytes()).expect("is there").mtime_s = 9;
        }
        let Kind::File { hard_link, .. } = &mut after.get_mut(b"a/two").expect("is there").kind else {
            panic!("is no file")
        };
        *hard_link = Some(path("a/one"));
        let diff = compared(&before, &after);
        // The directory is a path that changed, and no file; of one file the time alone did.
        let package = &diff.packages[0];
        assert_eq!((package.paths, package.touched, package.files), (6, 1, 4));
        let directory = &diff.directories[0];
        assert_eq!((directory.paths, directory.touched, directory.files), (6, 1, 4));
    }

    #[test]
    fn a_file_that_moves_between_packages_is_told() {
        let one = tree(&[("a", "123")]);
        let moved = diff(&side(&one, &|_| "old".into()), &side(&one, &|_| "new".into()), 2);
        let packages: Vec<_> = moved
            .packages
            .iter()
            .map(|p| (p.package.as_str(), p.sizes.before_bytes, p.sizes.after_bytes))
            .collect();
        assert_eq!(packages, [("new", 0, 3), ("old", 3, 0)]);
    }

    #[test]
    fn another_version_in_a_name_is_one_change() {
        let before = tree(&[
            ("libtea1/libtea.so.1.2", "12345"),
            ("libtea1/libcup.so.1", "1"),
            ("libtea1/libcup.so.2", "1"),
            ("pot/a", "1"),
            ("lib/pot/b", "1"),
        ]);
        let after = tree(&[
            ("libtea2/libtea.so.2.0.1", "1234567"),
            ("libtea2/libcup.so.3", "1"),
            ("pot/a", "1"),
            ("pot/b1", "1"),
            ("usr/lib/pot/b", "1"),
        ]);
        let package = |path: &TreePath| match path.as_bytes() {
            b"lib/pot/b" | b"usr/lib/pot/b" => "lid".to_owned(),
            _ => first_component(path),
        };
        let diff = diff(&side(&before, &package), &side(&after, &package), 2);
        let packages: Vec<_> = diff
            .packages
            .iter()
            .map(|p| {
                (
                    p.package_before.as_deref(),
                    &p.package[..],
                    p.sizes.before_bytes,
                    p.sizes.after_bytes,
                    p.paths,
                )
            })
            .collect();
        assert_eq!(
            packages,
            [(Some("libtea1"), "libtea2", 7, 8, 4), (None, "pot", 1, 2, 1), (None, "lid", 1, 1, 1)]
        );
        let paths: Vec<_> =
            diff.paths.iter().map(|p| (p.path_before.as_deref(), &p.path[..], p.change)).collect();
        assert_eq!(
            paths,
            [
                (Some("libtea1/libtea.so.1.2"), "libtea2/libtea.so.2.0.1", Change::Renamed),
                // Of two it is not known which.
                (None, "libtea1/libcup.so.1", Change::Removed),
                (None, "libtea1/libcup.so.2", Change::Removed),
                (None, "libtea2/libcup.so.3", Change::Added),
                (None, "pot/b1", Change::Added),
                (Some("lib/pot/b"), "usr/lib/pot/b", Change::Renamed),
            ]
        );
    }
}
