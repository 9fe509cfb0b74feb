//! Files and packages whose names differ in a version alone, and files that lie below `/usr` since it was
//! merged: one line each, instead of a removed and an added one.

use std::collections::{BTreeMap, HashSet};

use super::{Change, PackageChange, PathChange};
use crate::layout::MERGED;

/// Returns a path as it is where `/usr` is merged.
fn in_merged_usr(path: &str) -> String {
    let is_merged = MERGED.iter().any(|directory| format!("{path}/").starts_with(directory));
    if is_merged { format!("usr/{path}") } else { path.to_owned() }
}

/// Returns a name with `#` in the place of each version: digits, with dots between them.
fn without_versions(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        if !letter.is_ascii_digit() {
            out.push(letter);
            continue;
        }
        out.push('#');
        let mut ahead = letters.clone();
        loop {
            match ahead.next() {
                Some(digit) if digit.is_ascii_digit() => letters = ahead.clone(),
                Some('.') => {}
                _ => break,
            }
        }
    }
    out
}

/// Returns the name of a package with `#` in the place of each version. What Debian appends to the names of
/// libraries whose ABI changed without their own doing is a part of the version: `t64` since times have 64
/// bits on all architectures (trixie), `v5` since GCC 5 (stretch).
fn package_without_versions(name: &str) -> String {
    let library = name.strip_suffix("t64").or_else(|| name.strip_suffix("v5")).unwrap_or(name);
    without_versions(library)
}

/// Returns a path as it is where `/usr` is merged, with `#` in the place of each version, those in the name of its
/// package as [`package_without_versions`] has them.
fn path_without_versions(path: &str, package: &str) -> String {
    let name =
        |name: &str| if name == package { package_without_versions(name) } else { without_versions(name) };
    in_merged_usr(path).split('/').map(name).collect::<Vec<_>>().join("/")
}

/// Returns the pairs of items of which one is gone and one is new, with the same key, which no further one
/// has.
fn pairs<I>(items: &[I], key: impl Fn(&I) -> Option<(bool, String)>) -> Vec<(usize, usize)> {
    let mut found: BTreeMap<String, [Vec<usize>; 2]> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some((is_new, key)) = key(item) {
            found.entry(key).or_default()[usize::from(is_new)].push(index);
        }
    }
    let only = |[gone, new]: [Vec<usize>; 2]| match (&gone[..], &new[..]) {
        ([gone], [new]) => Some((*gone, *new)),
        _ => None,
    };
    found.into_values().filter_map(only).collect()
}

/// Returns the packages of which one is gone and one is new, and whose names differ in versions alone.
pub fn renamed_packages<'n>(
    gone: impl Iterator<Item = &'n str>,
    new: impl Iterator<Item = &'n str>,
) -> Vec<(&'n str, &'n str)> {
    let all: Vec<(bool, &str)> = gone.map(|name| (false, name)).chain(new.map(|name| (true, name))).collect();
    let merged = pairs(&all, |(is_new, name)| Some((*is_new, package_without_versions(name))));
    merged.into_iter().map(|(gone, new)| (all[gone].1, all[new].1)).collect()
}

/// Removes the items that were merged into others.
fn retain<I>(items: &mut Vec<I>, merged: &[(usize, usize)]) {
    let gone: HashSet<usize> = merged.iter().map(|(gone, _)| *gone).collect();
    let mut index = 0;
    items.retain(|_| {
        index += 1;
        !gone.contains(&(index - 1))
    });
}

/// Makes one change of each removed and added path whose packages and names differ so; `kind`
/// returns the kind of a path. Returns the packages of the removed ones.
pub(super) fn of_paths(
    paths: &mut Vec<PathChange>,
    kind: impl Fn(&PathChange) -> &'static str,
) -> Vec<String> {
    let merged = pairs(paths, |path| {
        let is_new = match path.change {
            Change::Added => true,
            Change::Removed => false,
            _ => return None,
        };
        let stem = path_without_versions(&path.path, &path.package);
        Some((is_new, format!("{} {} {stem}", kind(path), package_without_versions(&path.package))))
    });
    for (gone, new) in &merged {
        let (path_before, sizes) = (paths[*gone].path.clone(), paths[*gone].sizes);
        let path = &mut paths[*new];
        path.sizes.take_before(&sizes);
        (path.path_before, path.change) = (Some(path_before), Change::Renamed);
    }
    let packages = merged.iter().map(|(gone, _)| paths[*gone].package.clone()).collect();
    retain(paths, &merged);
    packages
}

/// Makes one change of each package that is gone and one that is new, whose names differ in versions alone.
/// `is_there` returns whether the first and the second tree have anything of a package.
pub(super) fn of_packages(packages: &mut Vec<PackageChange>, is_there: impl Fn(&str) -> [bool; 2]) {
    let merged = pairs(packages, |package| match is_there(&package.package) {
        [true, false] => Some((false, package_without_versions(&package.package))),
        [false, true] => Some((true, package_without_versions(&package.package))),
        _ => None,
    });
    for (gone, new) in &merged {
        let before = packages[*gone].clone();
        let package = &mut packages[*new];
        package.sizes.take_before(&before.sizes);
        package.paths += before.paths;
        package.touched += before.touched;
        package.package_before = Some(before.package);
    }
    retain(packages, &merged);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_names() {
        for (name, expected) in [
            ("usr/lib/libfoo.so.1.2", "usr/lib/libfoo.so.#"),
            ("libicu72", "libicu#"),
            ("python3.11-minimal", "python#-minimal"),
            ("a1.b22.", "a#.b#."),
            ("libx-4.2.so", "libx-#.so"),
            ("none", "none"),
        ] {
            assert_eq!(without_versions(name), expected);
        }
        for (before, after) in
            [("libnettle8", "libnettle8t64"), ("libicu72", "libicu76"), ("libgtk-3-0", "libgtk-3-0t64")]
        {
            assert_eq!(package_without_versions(before), package_without_versions(after));
        }
        let copyright =
            |package| path_without_versions(&format!("usr/share/doc/{package}/copyright"), package);
        assert_eq!(copyright("libnettle8"), copyright("libnettle8t64"));
        assert_eq!(
            path_without_versions("lib/a/b.so.1", "b"),
            path_without_versions("usr/lib/a/b.so.2", "b")
        );
        // Of two it is not known which.
        let (gone, new) = (["liba1", "libb1", "libb2", "c"], ["liba1t64", "libb3", "d"]);
        assert_eq!(renamed_packages(gone.into_iter(), new.into_iter()), [("liba1", "liba1t64")]);
    }
}
