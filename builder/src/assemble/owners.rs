//! Which package a path belongs to.

use std::collections::BTreeMap;

use crate::tree::TreePath;

/// Paths and the packages that ship them.
///
/// A path is asked for as it lies in the tree or as a package ships it below a link into `/usr`:
/// `bin/x` and `usr/bin/x` are one. Directories may belong to many packages; what scripts made
/// belongs to none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    packages: Vec<String>,
    by_path: BTreeMap<TreePath, Vec<usize>>,
    /// Links into `/usr` and their targets.
    aliases: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Owners {
    /// Starts without paths, over package names that are later meant by their index.
    pub(super) fn new(packages: Vec<String>) -> Self {
        Owners { packages, ..Owners::default() }
    }

    pub(super) fn alias(&mut self, link: &[u8], directory: &[u8]) {
        self.aliases.push((link.to_vec(), directory.to_vec()));
    }

    pub(super) fn add(&mut self, path: TreePath, index: usize) {
        let owners = self.by_path.entry(path).or_default();
        let name = &self.packages[index];
        if let Err(place) = owners.binary_search_by(|other| self.packages[*other].cmp(name)) {
            owners.insert(place, index);
        }
    }

    /// Gives paths to a package, beside those that have them already.
    pub fn claim(&mut self, package: &str, paths: impl IntoIterator<Item = TreePath>) {
        let known = self.packages.iter().position(|name| name == package);
        let index = known.unwrap_or_else(|| {
            self.packages.push(package.to_owned());
            self.packages.len() - 1
        });
        paths.into_iter().for_each(|path| self.add(path, index));
    }

    pub(super) fn is_alias(&self, path: &[u8]) -> bool {
        self.aliases.iter().any(|(link, _)| link == path)
    }

    pub(super) fn clear(&mut self, path: &[u8]) {
        self.by_path.remove(path);
    }

    pub(super) fn indexes(&self, path: &[u8]) -> &[usize] {
        self.by_path.get(path).map_or(&[], Vec::as_slice)
    }

    /// Returns the packages that ship a path, by name; more than one only for directories, links
    /// to directories, and what is diverted when scripts run.
    pub fn owners(&self, path: &[u8]) -> impl Iterator<Item = &str> {
        let found = self.by_path.get(path).or_else(|| self.by_path.get(&*self.aliased(path)?));
        found.into_iter().flatten().map(|index| self.packages[*index].as_str())
    }

    /// Returns the one package that ships a path; `None` if none or several do.
    pub fn owner(&self, path: &[u8]) -> Option<&str> {
        let mut owners = self.owners(path);
        owners.next().filter(|_| owners.next().is_none())
    }

    /// Returns all paths with an owner, in path order, each with its packages.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, impl Iterator<Item = &str>)> {
        self.by_path
            .iter()
            .map(|(path, owners)| (path, owners.iter().map(|index| self.packages[*index].as_str())))
    }

    /// Returns the paths that a package ships, in path order.
    pub fn paths(&self, package: &str) -> impl Iterator<Item = &TreePath> {
        let index = self.packages.iter().position(|name| name == package);
        let owned = move |(_, owners): &(_, &Vec<usize>)| index.is_some_and(|index| owners.contains(&index));
        self.by_path.iter().filter(owned).map(|(path, _)| path)
    }

    /// Takes a diversion into account (`dpkg-divert`): files that packages other than `by` ship at `from` are
    /// placed at `to`.
    pub fn divert(&mut self, from: &[u8], to: &TreePath, by: Option<&str>) {
        let from = if self.by_path.contains_key(from) { Some(from.to_vec()) } else { self.aliased(from) };
        let Some(owners) = from.as_ref().and_then(|from| self.by_path.get_mut(&**from)) else { return };
        let by = by.and_then(|name| self.packages.iter().position(|package| package == name));
        let (stay, go): (Vec<usize>, Vec<usize>) = owners.iter().partition(|index| Some(**index) == by);
        *owners = stay;
        let to = self
            .aliased(to.as_bytes())
            .and_then(|path| TreePath::new(&path).ok())
            .unwrap_or_else(|| to.clone());
        for index in go {
            self.add(to.clone(), index);
        }
        self.by_path.retain(|_, owners| !owners.is_empty());
    }

    /// Returns a path below a link into `/usr` as it lies below `/usr`.
    fn aliased(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.aliases.iter().find_map(|(link, directory)| {
            let rest = path.strip_prefix(&link[..])?;
            rest.starts_with(b"/").then(|| [directory, rest].concat())
        })
    }
}
