//! The order in which dpkg is given packages.

use std::collections::HashMap;

use crate::{
    formats::relation::{self, Relation},
    unpack::UnpackedPackage,
};

/// Returns the indexes of packages in the order in which they are unpacked: the Essential ones
/// and what they need first, then the rest, each after what it depends on as far as cycles
/// allow; by name where nothing else decides. It follows from the set alone.
pub fn order(packages: &[UnpackedPackage]) -> Vec<usize> {
    let mut walk = Walk::new(packages);
    walk.visit_all(|package| package.control.essential());
    walk.visit_all(|_| true);
    walk.done
}

/// Returns the indexes of the Essential packages and all that they need, in the order of
/// [`order`]: what must be configured before any other package's script may run (Policy 3.8).
pub fn essential(packages: &[UnpackedPackage]) -> Vec<usize> {
    let mut walk = Walk::new(packages);
    walk.visit_all(|package| package.control.essential());
    walk.done
}

/// The arguments of one call of dpkg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The packages that it unpacks, in order.
    pub unpack: Vec<usize>,
    /// Those that it configures then.
    pub configure: Vec<usize>,
}

/// Returns the steps in which dpkg is given all packages but the Essential ones, which are
/// configured before. A `preinst` may count on what its package names in `Pre-Depends` being
/// configured, with all that those need (Policy 7.2): mariadb-server's makes a user, for which
/// `passwd` must have its settings for PAM. The last step leaves configuring to the caller.
pub fn steps(packages: &[UnpackedPackage]) -> Vec<Step> {
    let mut walk = Walk::new(packages);
    walk.visit_all(|package| package.control.essential());
    let mut configured = walk.seen.clone();
    let mut unpacked = walk.seen.clone();
    let mut steps = Vec::new();
    let mut step = Step::default();
    for index in order(packages).into_iter().filter(|index| !configured[*index]).collect::<Vec<_>>() {
        let mut first = Walk::new(packages);
        first.seen.clone_from(&configured);
        // In a cycle it would be asked to come before itself.
        first.seen[index] = true;
        if packages[index].control_files.contains_key("preinst") {
            for group in relations(&packages[index], "Pre-Depends") {
                if let Some(needed) = group.iter().find_map(|relation| first.provider(relation)) {
                    first.visit(needed);
                }
            }
        }
        for needed in first.done.iter().chain([&index]) {
            if *needed == index && !first.done.is_empty() {
                step.configure.clone_from(&first.done);
                first.done.iter().for_each(|done| configured[*done] = true);
                steps.push(std::mem::take(&mut step));
            }
            if !std::mem::replace(&mut unpacked[*needed], true) {
                step.unpack.push(*needed);
            }
        }
    }
    steps.push(step);
    steps
}

struct Walk<'a> {
    packages: &'a [UnpackedPackage],
    by_name: Vec<usize>,
    /// Real names, each with itself, and provided names with the version that is provided.
    providers: HashMap<&'a str, Vec<(usize, Option<&'a str>)>>,
    seen: Vec<bool>,
    done: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(packages: &'a [UnpackedPackage]) -> Self {
        let mut by_name: Vec<usize> = (0..packages.len()).collect();
        by_name.sort_by(|a, b| packages[*a].locked.name.cmp(&packages[*b].locked.name));
        let mut providers: HashMap<&str, Vec<(usize, Option<&str>)>> = HashMap::new();
        for &index in &by_name {
            let locked = &packages[index].locked;
            // Before all that provide it.
            providers.entry(&locked.name).or_default().insert(0, (index, Some(&locked.version)));
            for relation in relations(&packages[index], "Provides").into_iter().flatten() {
                let version = relation.versions.map(|(_, version)| version);
                providers.entry(relation.name).or_default().push((index, version));
            }
        }
        Walk { packages, by_name, providers, seen: vec![false; packages.len()], done: Vec::new() }
    }

    fn visit_all(&mut self, wanted: impl Fn(&UnpackedPackage) -> bool) {
        for index in self.by_name.clone() {
            if wanted(&self.packages[index]) {
                self.visit(index);
            }
        }
    }

    fn visit(&mut self, index: usize) {
        if std::mem::replace(&mut self.seen[index], true) {
            return;
        }
        self.visit_needed(index, &["Pre-Depends", "Depends"]);
        self.done.push(index);
    }

    fn visit_needed(&mut self, index: usize, fields: &[&str]) {
        for field in fields {
            for group in relations(&self.packages[index], field) {
                if let Some(needed) = group.iter().find_map(|relation| self.provider(relation)) {
                    self.visit(needed);
                }
            }
        }
    }

    fn provider(&self, relation: &Relation<'_>) -> Option<usize> {
        let admitted = |version: &Option<&str>| match version {
            Some(version) => relation.admits(version),
            None => relation.versions.is_none(),
        };
        let found = self.providers.get(relation.name)?.iter().find(|(_, version)| admitted(version))?;
        Some(found.0)
    }
}

/// Returns the groups of a field. A field that cannot be read counts as empty: only the order
/// hangs on it here, and the resolver has read it before.
fn relations<'a>(package: &'a UnpackedPackage, field: &str) -> Vec<Vec<Relation<'a>>> {
    let text = package.control.get(field).unwrap_or_default();
    let groups = relation::parse(text, &package.locked.architecture).unwrap_or_default();
    groups.into_iter().map(|group| group.alternatives).collect()
}
