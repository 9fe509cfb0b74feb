//! Sums by package and by directory.

use std::collections::BTreeMap;

use super::{Change, DirectoryChange, PackageChange, PathChange, Rest, Side, Sizes, paths::Both, renames};

/// What is summed up while the paths of two trees are gone through.
pub(super) struct Sums<'a> {
    sides: [&'a Side<'a>; 2],
    depth: usize,
    /// Whether what is the same is listed if it takes notably other bytes.
    is_listed_by_size: bool,
    none: Sizes,
    packages: BTreeMap<String, PackageChange>,
    directories: BTreeMap<String, Sizes>,
    /// Of each heading, whether either tree has a file of it.
    there: BTreeMap<String, [bool; 2]>,
}

impl<'a> Sums<'a> {
    /// Begins. Directories are told apart down to `depth`.
    pub fn new(sides: [&'a Side<'a>; 2], depth: usize, is_listed_by_size: bool) -> Self {
        Sums {
            sides,
            depth,
            is_listed_by_size,
            none: Sizes::none(sides),
            packages: BTreeMap::new(),
            directories: BTreeMap::new(),
            there: BTreeMap::new(),
        }
    }

    /// Returns whether what is the same is listed for its sizes.
    pub fn is_listed(&self, sizes: &Sizes) -> bool {
        self.is_listed_by_size && sizes.is_notable()
    }

    /// Adds a path.
    pub fn add(&mut self, both: &Both<'_>) {
        let counts = (usize::from(both.change.is_some()), usize::from(both.is_touched));
        for (side, heading) in both.headings.iter().enumerate() {
            self.there.entry(heading.clone()).or_default()[side] |= both.is_file[side];
        }
        let [was, is] = &both.headings;
        if both.is_there == [true; 2] && was != is {
            // The path counts once, where it is now.
            self.count(was, &both.sizes.only_before(), (0, 0));
            self.count(is, &both.sizes.only_after(), counts);
        } else {
            self.count(both.heading(), &both.sizes, counts);
        }
        if both.is_file != [false; 2] {
            let directory = directory(&both.path(), self.depth);
            self.directories.entry(directory).or_insert(self.none).add(&both.sizes);
        }
    }

    fn count(&mut self, package: &str, sizes: &Sizes, (paths, touched): (usize, usize)) {
        let sum = self.package(package);
        sum.sizes.add(sizes);
        sum.paths += paths;
        sum.touched += touched;
    }

    fn package(&mut self, name: &str) -> &mut PackageChange {
        let none = self.none;
        self.packages.entry(name.to_owned()).or_insert_with(|| PackageChange::new(name.to_owned(), none))
    }

    /// Counts once what was counted as a removed path and as an added one: `packages` has that of each removed one.
    pub fn merge(&mut self, packages: &[String]) {
        for name in packages {
            if let Some(package) = self.packages.get_mut(name) {
                package.paths = package.paths.saturating_sub(1);
            }
        }
    }

    /// Takes the packages that are listed, and those of the others that hold anything.
    pub fn packages(&mut self, paths: &[PathChange]) -> (Vec<PackageChange>, BTreeMap<String, Sizes>) {
        let [before, after] = self.sides.map(|side| side.versions);
        for (name, _) in after.iter().filter(|(name, is)| before.get(*name).is_some_and(|was| was != *is)) {
            self.package(name);
        }
        let mut packages: Vec<_> = std::mem::take(&mut self.packages).into_values().collect();
        let is_there = |name: &str| self.there.get(name).copied().unwrap_or_default();
        renames::of_packages(&mut packages, is_there);
        for package in &mut packages {
            let name_before = package.package_before.as_ref().unwrap_or(&package.package);
            package.version_before = before.get(name_before).cloned();
            package.version_after = after.get(&package.package).cloned();
        }
        let places = places(&packages);
        for path in paths.iter().filter(|path| path.is_changed_file()) {
            if let Some(at) = places.get(&path.package) {
                packages[*at].files += 1;
            }
        }
        let mut unlisted = BTreeMap::new();
        packages.retain(|package| {
            let is_as_large = !self.is_listed(&package.sizes);
            let is_same = package.paths == 0 && package.is_same_but_for_times() && is_as_large;
            // Those that hold nothing are of no interest where nothing of them changed.
            if is_same && is_there(&package.package) != [false; 2] {
                unlisted.insert(package.package.clone(), package.sizes);
            }
            !is_same
        });
        packages.sort_by_key(|package| package.sizes.order());
        (packages, unlisted)
    }

    /// Takes the directories of which a path changed, or that are listed for their sizes; the others are added to
    /// `rest`.
    pub fn directories(&mut self, paths: &[PathChange], rest: &mut Rest) -> Vec<DirectoryChange> {
        let mut counts: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
        for change in paths.iter().filter(|path| path.change != Change::Same) {
            let is = directory(&change.path, self.depth);
            // A directory that a path left changed as well.
            let left = change.path_before.as_ref().map(|path| directory(path, self.depth));
            if let Some(left) = left.filter(|left| *left != is) {
                let (paths, _, files) = counts.entry(left).or_default();
                *paths += 1;
                *files += usize::from(change.is_changed_file());
            }
            let (paths, touched, files) = counts.entry(is).or_default();
            *paths += 1;
            *touched += usize::from(change.is_touched);
            *files += usize::from(change.is_changed_file());
        }
        let mut changed = Vec::new();
        for (path, sizes) in std::mem::take(&mut self.directories) {
            let (paths, touched, files) = match counts.get(&path) {
                Some(counts) => *counts,
                None if self.is_listed(&sizes) => (0, 0, 0),
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
