//! Why each file of an artifact is in it, as a graph, and what would go with each reason.
//!
//! Comes in: [`Facts`], which [`gather`] reads out of an artifact. Goes out: a [`Graph`], and from it sums of
//! what has no other reason. Pure, but for `gather`.
//!
//! Two graphs, as a file needs both a package that ships it and a reason to be kept:
//!
//! ```text
//! request → package → package                   Depends, out of the lock and of dpkg's status
//! rule, exercise step → file → file             prune.list and used.list; DT_NEEDED, out of the files
//! ```
//!
//! An edge reads "keeps". A node *dominates* another if each way to that one goes through it (Cooper, Harvey,
//! Kennedy: A Simple, Fast Dominance Algorithm); what it dominates is its *retained* part, as heap analysers
//! call it. Where the artifact names one reason of several, as prune.list does, that one counts, so a retained
//! size can be too large there; `DT_NEEDED` and the recipe's patterns are known in full.

mod alike;
mod edges;
mod facts;
pub mod gather;
mod risk;
mod what_if;

pub use facts::{Cause, Drop, Facts, FileFacts, Gone, Part, START, Sum};
pub use risk::Risk;
pub use what_if::{Change, WhatIf, WhatIfError};

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use alike::Alike;
use edges::{causes_of, cut_off, packages_of};
use petgraph::{
    Direction,
    algo::dominators::simple_fast,
    graph::{DiGraph, NodeIndex},
};

use crate::{digest::Digest, tree::TreePath};

/// The most nodes times nodes with several reasons for which dominators are computed: at worst the algorithm
/// takes that many steps. WordPress with its MariaDB has a fiftieth.
const MAX_STEPS: u64 = 5_000_000_000;

/// The graph, with the dominators of its files.
pub struct Graph {
    facts: Facts,
    /// `None` is what all stand on.
    causes: DiGraph<Option<Cause>, ()>,
    by_cause: BTreeMap<Cause, NodeIndex>,
    packages: DiGraph<Option<String>, ()>,
    by_package: BTreeMap<String, NodeIndex>,
    by_heading: BTreeMap<String, (Sum, Vec<TreePath>)>,
    /// The paths of contents that several have.
    alike: HashMap<Digest, Alike>,
    retained: Option<Vec<Sum>>,
    /// How many edges were followed.
    followed: Cell<u64>,
}

/// The most steps from paths of equal contents to the root of the dominator tree. WordPress has a thousandth.
const MAX_CLIMBED: u64 = 50_000_000;

/// Most edges that are followed to find what goes with one thing after another: some seconds. For all packages
/// of WordPress with its MariaDB it is a thousandth.
const MAX_FOLLOWED: u64 = 50_000_000;

impl Graph {
    /// Makes the graph.
    pub fn new(facts: Facts) -> Self {
        let (causes, by_cause) = causes_of(&facts);
        let (packages, by_package) = packages_of(&facts);
        let mut by_heading: BTreeMap<String, (Sum, Vec<TreePath>)> = BTreeMap::new();
        for (path, file) in &facts.files {
            let (sum, paths) = by_heading.entry(file.heading.clone()).or_default();
            sum.add(file);
            paths.push(path.clone());
        }
        let alike = Alike::of(&facts);
        let mut graph = Graph {
            facts,
            causes,
            by_cause,
            packages,
            by_package,
            by_heading,
            alike,
            retained: None,
            followed: Cell::new(0),
        };
        graph.retained = graph.dominated();
        graph
    }

    /// Returns what it was made of.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns the size of each heading that files stand under.
    pub fn headings(&self) -> impl Iterator<Item = (&str, Sum)> {
        self.by_heading.iter().map(|(heading, (sum, _))| (&heading[..], *sum))
    }

    /// Returns what would go with each rule, step and path; `None` if there are too many reasons to weigh.
    pub fn retained(&self) -> Option<impl Iterator<Item = (&Cause, Sum)>> {
        let sums = self.retained.as_ref()?;
        Some(self.by_cause.iter().map(|(cause, node)| (cause, sums[node.index()])))
    }

    /// Sums up the files below each node of the dominator tree.
    fn dominated(&self) -> Option<Vec<Sum>> {
        let several =
            |node: &NodeIndex| self.causes.neighbors_directed(*node, Direction::Incoming).nth(1).is_some();
        let joins = self.causes.node_indices().filter(several).count() as u64;
        if joins.saturating_mul(self.causes.node_count() as u64) > MAX_STEPS {
            return None;
        }
        let dominators = simple_fast(&self.causes, NodeIndex::new(0));
        let mut sums = vec![Sum::default(); self.causes.node_count()];
        let mut below = vec![0_usize; self.causes.node_count()];
        for node in self.causes.node_indices() {
            if let Some(above) = dominators.immediate_dominator(node) {
                below[above.index()] += 1;
            }
            if let Some(Some(Cause::File(path))) = self.causes.node_weight(node) {
                self.facts.files.get(path).into_iter().for_each(|file| sums[node.index()].add(file));
            }
        }
        // From the leaves to the root.
        let mut leaves: Vec<NodeIndex> =
            self.causes.node_indices().filter(|node| below[node.index()] == 0).collect();
        while let Some(node) = leaves.pop() {
            let Some(above) = dominators.immediate_dominator(node) else { continue };
            let sum = sums[node.index()];
            sums[above.index()].add_sum(&sum);
            below[above.index()] -= 1;
            if below[above.index()] == 0 {
                leaves.push(above);
            }
        }
        // Where not all paths of some contents are below a node, the contents stay.
        let mut climbed = 0;
        for alike in self.alike.values() {
            let mut gone: BTreeMap<NodeIndex, Vec<&TreePath>> = BTreeMap::new();
            for path in &alike.paths {
                let mut at = self.by_cause.get(&Cause::File(path.clone())).copied();
                while let Some(node) = at {
                    gone.entry(node).or_default().push(path);
                    at = dominators.immediate_dominator(node);
                    climbed += 1;
                    if climbed > MAX_CLIMBED {
                        return None;
                    }
                }
            }
            for (node, paths) in gone {
                let sum = &mut sums[node.index()];
                for path in paths.iter().filter_map(|path| self.facts.files.get(*path)) {
                    sum.packed_bytes -= path.packed_bytes;
                    sum.size_bytes -= path.size_bytes;
                }
                sum.packed_bytes += alike.packed_bytes[..paths.len()].iter().sum::<u64>();
                sum.size_bytes += alike.size_bytes[..paths.len()].iter().sum::<u64>();
            }
        }
        Some(sums)
    }

    /// Returns what goes if things are taken away: packages that nothing else asks for, their files, and what
    /// is kept for nothing else.
    pub fn gone(&self, drop: &Drop) -> Gone {
        let packages: Vec<NodeIndex> =
            drop.packages.iter().filter_map(|name| self.by_package.get(name).copied()).collect();
        let packages = cut_off(&self.packages, &packages, &self.followed);
        let mut gone = Gone { packages: drop.packages.clone(), paths: BTreeSet::new() };
        gone.packages.extend(packages.iter().filter_map(|node| self.packages[*node].clone()));
        let files = gone.packages.iter().filter_map(|name| Some(&self.by_heading.get(name)?.1)).flatten();
        let files = files.filter_map(|path| self.by_cause.get(&Cause::File(path.clone())));
        let causes = drop.causes.iter().filter_map(|cause| self.by_cause.get(cause));
        let dropped: Vec<NodeIndex> = files.chain(causes).copied().collect();
        for node in cut_off(&self.causes, &dropped, &self.followed) {
            if let Some(Cause::File(path)) = &self.causes[node] {
                gone.paths.insert(path.clone());
            }
        }
        gone
    }

    /// Returns whether [`Graph::gone`] has followed more than is sensible; a caller with a list then ends it.
    pub fn is_weary(&self) -> bool {
        self.followed.get() > MAX_FOLLOWED
    }

    /// Returns what each path that goes saves.
    ///
    /// Contents that a path that stays has as well are not saved: what stays takes over what they cost.
    fn saved(&self, gone: &Gone) -> Vec<(&TreePath, &FileFacts, Sum)> {
        let mut out: Vec<(&TreePath, &FileFacts, Sum)> = Vec::new();
        let mut several: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
        for (path, file) in gone.paths.iter().filter_map(|path| self.facts.files.get_key_value(path)) {
            if let Some(contents) = file.contents.filter(|contents| self.alike.contains_key(contents)) {
                several.entry(contents).or_default().push(out.len());
            }
            let mut sum = Sum::default();
            sum.add(file);
            out.push((path, file, sum));
        }
        for (contents, mut places) in several {
            let alike = &self.alike[&contents];
            if places.len() == alike.paths.len() {
                continue;
            }
            places.sort_by_key(|place| (out[*place].1.packed_bytes, out[*place].0));
            for (nth, place) in places.into_iter().enumerate() {
                let sum = &mut out[place].2;
                (sum.packed_bytes, sum.size_bytes) = (alike.packed_bytes[nth], alike.size_bytes[nth]);
            }
        }
        out
    }

    /// Returns the sizes of what goes, without those of contents that stay under another path.
    pub fn sum(&self, gone: &Gone) -> Sum {
        self.sum_of(gone, gone)
    }

    /// Returns the part of [`Graph::sum`] that some of the paths have.
    pub fn sum_of(&self, gone: &Gone, some: &Gone) -> Sum {
        let mut sum = Sum::default();
        for (path, _, saved) in self.saved(gone) {
            if some.paths.contains(path) {
                sum.add_sum(&saved);
            }
        }
        sum
    }

    /// Returns the paths that go and whose contents stay, with the first path that has them then.
    pub fn staying<'a>(&'a self, gone: &'a Gone) -> Vec<(&'a TreePath, &'a TreePath)> {
        let stays = |path: &TreePath| {
            let alike = self.alike.get(&self.facts.files.get(path)?.contents?)?;
            alike.paths.iter().find(|other| !gone.paths.contains(*other))
        };
        gone.paths.iter().filter_map(|path| Some((path, stays(path)?))).collect()
    }

    /// Returns what goes by package, the largest first.
    pub fn parts(&self, gone: &Gone) -> Vec<Part> {
        self.parts_of(gone, gone)
    }

    /// Returns the part of [`Graph::parts`] that some of the paths have.
    pub fn parts_of(&self, gone: &Gone, some: &Gone) -> Vec<Part> {
        let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
        for (_, file, saved) in self.saved(gone).iter().filter(|(path, ..)| some.paths.contains(*path)) {
            sums.entry(&file.heading).or_default().add_sum(saved);
        }
        let part = |(heading, sum): (&str, Sum)| {
            let all = self.by_heading.get(heading).map_or(0, |(all, _)| all.files);
            Part { heading: heading.to_owned(), sum, is_whole: all == sum.files }
        };
        let mut parts: Vec<Part> = sums.into_iter().filter(|(_, sum)| sum.files > 0).map(part).collect();
        parts.sort_by(|a, b| b.sum.cmp(&a.sum).then_with(|| a.heading.cmp(&b.heading)));
        parts
    }

    /// Returns what asks for a package: packages, or a reason of its own.
    pub fn asked_by(&self, package: &str) -> Vec<String> {
        let requested = self.facts.requested.get(package).cloned();
        requested
            .into_iter()
            .chain(self.facts.dependents.get(package).into_iter().flatten().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests;
