//! Two trees, compared by the size of their contents.
//!
//! Comes in: two trees, and for each a function that returns the heading of a path (its Debian package, as a
//! rule). Goes out: a [`SizeDiff`]. Pure. Sizes are those of file contents, hard links counted once; what a
//! change costs compressed cannot be derived from a part.

mod renames;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    formats::size::parse_size,
    tree::{Entry, Kind, Tree, TreePath},
};

/// The changes between two trees.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SizeDiff {
    /// All contents of the first.
    pub before_bytes: u64,
    /// All contents of the second.
    pub after_bytes: u64,
    /// Headings whose contents changed, the largest change of size first, then by name.
    pub packages: Vec<PackageChange>,
    /// Paths that changed, the largest change of size first, then by path.
    pub paths: Vec<PathChange>,
}

/// The changes under a heading.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PackageChange {
    /// The heading.
    pub package: String,
    /// The heading that it had in the first, where its name has another version now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_before: Option<String>,
    /// Its version in the first; [`diff`] does not know it.
    pub version_before: Option<String>,
    /// Its version in the second.
    pub version_after: Option<String>,
    /// Its contents in the first.
    pub before_bytes: u64,
    /// Its contents in the second.
    pub after_bytes: u64,
    /// How many of its paths changed.
    pub paths: usize,
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
    /// Its contents in the first.
    pub before_bytes: u64,
    /// Its contents in the second.
    pub after_bytes: u64,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// It has another version in its name, and maybe other contents.
    Renamed,
    /// Both have it, with another kind, other contents or another target.
    Changed,
    /// Only mode, owner, attributes or time differ.
    Metadata,
}

impl SizeDiff {
    /// Returns by how much the second is larger; negative where it is smaller.
    pub fn growth_bytes(&self) -> i64 {
        growth(self.before_bytes, self.after_bytes)
    }

    /// Returns true if both hold the same.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

fn growth(before_bytes: u64, after_bytes: u64) -> i64 {
    i64::try_from(i128::from(after_bytes) - i128::from(before_bytes)).unwrap_or(i64::MAX)
}

/// A limit on growth, as `--fail-over` takes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many bytes more.
    Bytes(u64),
    /// So many percent more.
    Percent(f64),
}

/// Text that is not a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number of bytes (200000, 200 kB, 1.5 MB) or a percentage (5%)")]
pub struct InvalidLimit;

impl std::str::FromStr for Limit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let number = |text: &str| {
            let value: f64 = text.trim().parse().map_err(|_| InvalidLimit)?;
            if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(InvalidLimit) }
        };
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            return number(percent).map(Limit::Percent);
        }
        parse_size(text).map(Limit::Bytes).map_err(|_| InvalidLimit)
    }
}

impl Limit {
    /// Returns how many bytes a package of this size may grow by.
    pub fn bytes_of(&self, before_bytes: u64) -> u64 {
        match *self {
            Limit::Bytes(bytes) => bytes,
            Limit::Percent(percent) => (percent * before_bytes as f64 / 100.0).floor() as u64,
        }
    }

    /// Returns by how many bytes growth from one size to another is over the limit; 0 if it is not.
    pub fn exceeded_by(&self, before_bytes: u64, after_bytes: u64) -> u64 {
        after_bytes.saturating_sub(before_bytes).saturating_sub(self.bytes_of(before_bytes))
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Limit::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

/// Compares two trees.
pub fn diff(
    before: &Tree,
    after: &Tree,
    package_before: impl Fn(&TreePath) -> String,
    package_after: impl Fn(&TreePath) -> String,
) -> SizeDiff {
    let mut packages: BTreeMap<String, PackageChange> = BTreeMap::new();
    let mut count = |package: String, before_bytes: u64, after_bytes: u64, paths: usize| {
        let sum = packages.entry(package.clone()).or_insert(PackageChange {
            package,
            package_before: None,
            version_before: None,
            version_after: None,
            before_bytes: 0,
            after_bytes: 0,
            paths: 0,
        });
        sum.before_bytes += before_bytes;
        sum.after_bytes += after_bytes;
        sum.paths += paths;
    };
    let mut paths = Vec::new();
    let mut there: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    let all: BTreeSet<&TreePath> = before.iter().chain(after.iter()).map(|(path, _)| path).collect();
    for path in all {
        let (old, new) = (before.get(path.as_bytes()), after.get(path.as_bytes()));
        let (before_bytes, after_bytes) = (old.map_or(0, own_bytes), new.map_or(0, own_bytes));
        let change = change(old, new);
        let changes = usize::from(change.is_some());
        let (was, is) = (package_before(path), package_after(path));
        let shown = if new.is_some() { is.clone() } else { was.clone() };
        // Directories are of many.
        let is_content = |entry: Option<&Entry>| entry.is_some_and(|entry| !entry.kind.is_directory());
        there.entry(was.clone()).or_default().0 |= is_content(old);
        there.entry(is.clone()).or_default().1 |= is_content(new);
        if old.is_some() && new.is_some() && was != is {
            count(was, before_bytes, 0, changes);
            count(is, 0, after_bytes, changes);
        } else {
            count(shown.clone(), before_bytes, after_bytes, changes);
        }
        if let Some(change) = change {
            paths.push(PathChange {
                path: path.to_string(),
                path_before: None,
                package: shown,
                change,
                before_bytes,
                after_bytes,
            });
        }
    }
    let renamed = renames::of_paths(&mut paths, |path| {
        let tree = if path.change == Change::Added { after } else { before };
        match tree.get(path.path.as_bytes()).map(|entry| &entry.kind) {
            Some(Kind::File { .. }) => "file",
            Some(Kind::Symlink { .. }) => "link",
            Some(Kind::Directory) => "directory",
            _ => "other",
        }
    });
    let largest = |before: u64, after: u64| std::cmp::Reverse(growth(before, after).unsigned_abs());
    paths.sort_by(|a, b| {
        let key = |p: &PathChange| largest(p.before_bytes, p.after_bytes);
        key(a).cmp(&key(b)).then_with(|| a.path.cmp(&b.path))
    });
    let mut packages: Vec<_> =
        packages.into_values().filter(|p| p.paths > 0 || p.before_bytes != p.after_bytes).collect();
    for package in &mut packages {
        // Each was counted as a removed path and as an added one.
        let twice = renamed.iter().filter(|name| **name == package.package).count();
        package.paths = package.paths.saturating_sub(twice);
    }
    renames::of_packages(&mut packages, |name| there.get(name).copied().unwrap_or_default());
    packages.sort_by_key(|p| largest(p.before_bytes, p.after_bytes));
    SizeDiff { before_bytes: before.size_bytes(), after_bytes: after.size_bytes(), packages, paths }
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

    #[test]
    fn names_what_changed_largest_first() {
        let before = tree(&[("a/same", "same"), ("a/gone", "123456"), ("b/grows", "1"), ("b/touched", "t")]);
        let mut after =
            tree(&[("a/same", "same"), ("b/grows", "1234567890"), ("b/touched", "t"), ("c/new", "12")]);
        after.get_mut(b"b/touched").expect("is there").mtime_s = 9;
        let diff = diff(&before, &after, first_component, first_component);
        assert_eq!((diff.before_bytes, diff.after_bytes, diff.growth_bytes()), (12, 17, 5));
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
            .map(|p| (p.package.as_str(), p.before_bytes, p.after_bytes, p.paths))
            .collect();
        assert_eq!(packages, [("b", 2, 11, 2), ("a", 10, 4, 1), ("c", 0, 2, 1)]);
    }

    #[test]
    fn nothing_changed_is_empty() {
        let one = tree(&[("a", "1")]);
        let same = diff(&one, &one, first_component, first_component);
        assert!(same.is_empty() && same.packages.is_empty());
    }

    #[test]
    fn a_file_that_moves_between_packages_is_told() {
        let one = tree(&[("a", "123")]);
        let moved = diff(&one, &one, |_| "old".into(), |_| "new".into());
        let packages: Vec<_> =
            moved.packages.iter().map(|p| (p.package.as_str(), p.before_bytes, p.after_bytes)).collect();
        assert_eq!(packages, [("new", 0, 3), ("old", 3, 0)]);
    }

    #[test]
    fn another_version_in_a_name_is_one_change() {
        let before = tree(&[
            ("libtea1/libtea.so.1.2", "12345"),
            ("libtea1/libcup.so.1", "1"),
            ("libtea1/libcup.so.2", "1"),
            ("pot/a", "1"),
        ]);
        let after = tree(&[
            ("libtea2/libtea.so.2.0.1", "1234567"),
            ("libtea2/libcup.so.3", "1"),
            ("pot/a", "1"),
            ("pot/b1", "1"),
        ]);
        let diff = diff(&before, &after, first_component, first_component);
        let packages: Vec<_> = diff
            .packages
            .iter()
            .map(|p| (p.package_before.as_deref(), &p.package[..], p.before_bytes, p.after_bytes, p.paths))
            .collect();
        assert_eq!(packages, [(Some("libtea1"), "libtea2", 7, 8, 4), (None, "pot", 1, 2, 1)]);
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
            ]
        );
    }

    #[test]
    fn limits() {
        let rows: [(&str, Option<Limit>); 14] = [
            ("200", Some(Limit::Bytes(200))),
            ("1.5 MB", Some(Limit::Bytes(1_500_000))),
            ("2KiB", Some(Limit::Bytes(2048))),
            ("3 kB", Some(Limit::Bytes(3000))),
            ("200k", Some(Limit::Bytes(200_000))),
            ("200KB", Some(Limit::Bytes(200_000))),
            ("200KiB", Some(Limit::Bytes(204_800))),
            ("0.1 GB", Some(Limit::Bytes(100_000_000))),
            ("1 %", Some(Limit::Percent(1.0))),
            ("5%", Some(Limit::Percent(5.0))),
            ("", None),
            ("-1", None),
            ("nan%", None),
            ("1 GB!", None),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<Limit>().ok(), expected, "{text}");
        }
        for (limit, before, after, over) in [
            (Limit::Bytes(5), 10, 15, 0),
            (Limit::Bytes(5), 10, 17, 2),
            (Limit::Bytes(0), 10, 9, 0),
            (Limit::Percent(10.0), 100, 110, 0),
            (Limit::Percent(10.0), 100, 111, 1),
            (Limit::Percent(10.0), 0, 1, 1),
        ] {
            assert_eq!(limit.exceeded_by(before, after), over, "{limit} from {before} to {after}");
        }
    }
}
