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

pub mod gather;
mod risk;
mod what_if;

pub use risk::Risk;
pub use what_if::{Change, WhatIf, WhatIfError};

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use petgraph::{
    Direction,
    algo::dominators::simple_fast,
    graph::{DiGraph, NodeIndex},
};

use crate::{digest::Digest, tree::TreePath};

/// The most nodes times nodes with several reasons for which dominators are computed: at worst the algorithm
/// takes that many steps. WordPress with its MariaDB has a fiftieth.
const MAX_STEPS: u64 = 5_000_000_000;

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
    fn add(&mut self, file: &FileFacts) {
        if file.is_file {
            self.packed_bytes += file.packed_bytes;
            self.size_bytes += file.size_bytes;
            self.files += 1;
        }
    }

    fn add_sum(&mut self, other: &Sum) {
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

/// Paths of equal contents.
struct Alike {
    paths: Vec<TreePath>,
    /// What each takes, the least first: as many of them as go are saved. In a format that looks far back, the
    /// first takes it all, and the others next to nothing; whichever goes, one of them still takes it all.
    packed_bytes: Vec<u64>,
    size_bytes: Vec<u64>,
}

impl Alike {
    /// Finds those of which there are several.
    fn of(facts: &Facts) -> HashMap<Digest, Alike> {
        let mut all: HashMap<Digest, Vec<(&TreePath, &FileFacts)>> = HashMap::new();
        for (path, file) in &facts.files {
            if let Some(contents) = file.contents {
                all.entry(contents).or_default().push((path, file));
            }
        }
        all.retain(|_, files| files.len() > 1);
        let sorted = |files: &[(&TreePath, &FileFacts)], bytes: fn(&FileFacts) -> u64| {
            let mut out: Vec<u64> = files.iter().map(|(_, file)| bytes(file)).collect();
            out.sort_unstable();
            out
        };
        let alike = |(contents, files): (Digest, Vec<(&TreePath, &FileFacts)>)| {
            let alike = Alike {
                paths: files.iter().map(|(path, _)| (*path).clone()).collect(),
                packed_bytes: sorted(&files, |file| file.packed_bytes),
                size_bytes: sorted(&files, |file| file.size_bytes),
            };
            (contents, alike)
        };
        all.into_iter().map(alike).collect()
    }
}

/// Returns the graph of rules, steps and paths.
fn causes_of(facts: &Facts) -> (DiGraph<Option<Cause>, ()>, BTreeMap<Cause, NodeIndex>) {
    let mut graph = DiGraph::new();
    let root = graph.add_node(None);
    let mut by_cause: BTreeMap<Cause, NodeIndex> = BTreeMap::new();
    for path in facts.files.keys() {
        let cause = Cause::File(path.clone());
        let node = graph.add_node(Some(cause.clone()));
        by_cause.insert(cause, node);
    }
    let mut node_of = |cause: &Cause, graph: &mut DiGraph<Option<Cause>, ()>| match by_cause.get(cause) {
        Some(node) => Some(*node),
        // A path that is not there keeps nothing.
        None if matches!(cause, Cause::File(_)) => None,
        None => {
            let node = graph.add_node(Some(cause.clone()));
            graph.add_edge(root, node, ());
            by_cause.insert(cause.clone(), node);
            Some(node)
        }
    };
    let nodes: Vec<NodeIndex> = graph.node_indices().skip(1).collect();
    for (file, node) in facts.files.values().zip(&nodes) {
        let causes: BTreeSet<&Cause> = file.causes.iter().collect();
        for cause in causes {
            if let Some(from) = node_of(cause, &mut graph).filter(|from| from != node) {
                graph.add_edge(from, *node, ());
            }
        }
    }
    // Circles have no way in but by these.
    let mut reached = reached(&graph, root);
    for (file, node) in facts.files.values().zip(&nodes).filter(|(file, _)| file.spare.is_some()) {
        if !reached.contains(node)
            && let Some(from) = file.spare.as_ref().and_then(|cause| node_of(cause, &mut graph))
        {
            graph.add_edge(from, *node, ());
        }
    }
    reached = self::reached(&graph, root);
    for node in nodes.iter().filter(|node| !reached.contains(node)) {
        graph.add_edge(root, *node, ());
    }
    (graph, by_cause)
}

/// Returns the graph of packages.
fn packages_of(facts: &Facts) -> (DiGraph<Option<String>, ()>, BTreeMap<String, NodeIndex>) {
    let mut graph = DiGraph::new();
    let root = graph.add_node(None);
    let names: BTreeSet<&String> = facts
        .dependents
        .iter()
        .flat_map(|(name, dependents)| std::iter::once(name).chain(dependents))
        .chain(facts.requested.keys())
        .chain(facts.files.values().map(|file| &file.heading).filter(|heading| !heading.starts_with('(')))
        .collect();
    let by_package: BTreeMap<String, NodeIndex> =
        names.into_iter().map(|name| (name.clone(), graph.add_node(Some(name.clone())))).collect();
    for name in facts.requested.keys() {
        graph.add_edge(root, by_package[name], ());
    }
    for (name, dependents) in &facts.dependents {
        for dependent in dependents.iter().filter(|dependent| *dependent != name) {
            graph.add_edge(by_package[dependent], by_package[name], ());
        }
    }
    let reached = reached(&graph, root);
    for node in by_package.values().filter(|node| !reached.contains(node)) {
        graph.add_edge(root, *node, ());
    }
    (graph, by_package)
}

/// Returns all that a node leads to.
fn reached<N>(graph: &DiGraph<N, ()>, from: NodeIndex) -> HashSet<NodeIndex> {
    let mut out = HashSet::from([from]);
    let mut rest = vec![from];
    while let Some(node) = rest.pop() {
        rest.extend(graph.neighbors(node).filter(|next| out.insert(*next)));
    }
    out
}

/// Returns nodes and what has no way from the root but through these; only what they lead to is looked at.
fn cut_off<N>(graph: &DiGraph<N, ()>, dropped: &[NodeIndex], followed: &Cell<u64>) -> HashSet<NodeIndex> {
    let count = || followed.set(followed.get() + 1);
    let dropped: HashSet<NodeIndex> = dropped.iter().copied().collect();
    let mut below = dropped.clone();
    let mut rest: Vec<NodeIndex> = dropped.iter().copied().collect();
    while let Some(node) = rest.pop() {
        rest.extend(graph.neighbors(node).inspect(|_| count()).filter(|next| below.insert(*next)));
    }
    let has_other = |node: &&NodeIndex| {
        !dropped.contains(*node)
            && graph
                .neighbors_directed(**node, Direction::Incoming)
                .inspect(|_| count())
                .any(|from| !below.contains(&from))
    };
    let mut kept: HashSet<NodeIndex> = below.iter().filter(has_other).copied().collect();
    let mut rest: Vec<NodeIndex> = kept.iter().copied().collect();
    while let Some(node) = rest.pop() {
        let next = graph.neighbors(node).filter(|next| below.contains(next) && !dropped.contains(next));
        rest.extend(next.filter(|next| kept.insert(*next)));
    }
    below.retain(|node| !kept.contains(node));
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text.as_bytes()).expect("a good path")
    }

    fn step(text: &str) -> Cause {
        Cause::Step(text.to_owned())
    }

    fn rule(text: &str) -> Cause {
        Cause::Rule { rule: "recipe".into(), text: text.into() }
    }

    fn file(name: &str) -> Cause {
        Cause::File(path(name))
    }

    /// `(path, package, bytes, causes)`, and `(package, dependents)`.
    fn graph(files: &[(&str, &str, u64, &[Cause])], dependents: &[(&str, &[&str])]) -> Graph {
        let mut facts = Facts::default();
        for (at, heading, bytes, causes) in files {
            let known = FileFacts {
                packed_bytes: *bytes,
                size_bytes: 10 * bytes,
                is_file: true,
                heading: (*heading).to_owned(),
                causes: causes.to_vec(),
                ..FileFacts::default()
            };
            facts.files.insert(path(at), known);
        }
        for (name, by) in dependents {
            match by {
                [] => drop(facts.requested.insert((*name).to_owned(), "requested".to_owned())),
                by => {
                    let by = by.iter().map(|name| (*name).to_owned());
                    facts.dependents.insert((*name).to_owned(), by.collect());
                }
            }
        }
        Graph::new(facts)
    }

    fn without(graph: &Graph, packages: &[&str], causes: &[Cause]) -> (Vec<String>, Vec<String>, u64) {
        let drop = Drop {
            packages: packages.iter().map(|name| (*name).to_owned()).collect(),
            causes: causes.iter().cloned().collect(),
        };
        let gone = graph.gone(&drop);
        let paths = gone.paths.iter().map(ToString::to_string).collect();
        (gone.packages.iter().cloned().collect(), paths, graph.sum(&gone).packed_bytes)
    }

    fn retained(graph: &Graph, cause: &Cause) -> u64 {
        let mut all = graph.retained().expect("is small");
        all.find(|(other, _)| *other == cause).expect("is in the graph").1.packed_bytes
    }

    /// php-xml loads libxml, which loads ICU, which nginx needs not; both need the C library.
    fn php() -> Graph {
        graph(
            &[
                ("nginx", "nginx", 1, &[step("start")]),
                ("xml.so", "php-xml", 2, &[step("GET:/feed")]),
                ("libxml", "libxml2", 4, &[file("xml.so")]),
                ("libicu", "libicu", 8, &[file("libxml")]),
                ("libc", "libc6", 16, &[file("nginx"), file("libicu"), file("libxml")]),
            ],
            &[
                ("nginx", &[]),
                ("php-xml", &[]),
                ("libxml2", &["php-xml"]),
                ("libicu", &["libxml2"]),
                ("libc6", &["nginx", "libicu"]),
            ],
        )
    }

    #[test]
    fn a_package_brings_what_nothing_else_needs() {
        let php = php();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let gone = without(&php, &["php-xml"], &[]);
        assert_eq!(gone.0, names(&["libicu", "libxml2", "php-xml"]));
        assert_eq!(gone.1, names(&["libicu", "libxml", "xml.so"]));
        assert_eq!(gone.2, 14);
        assert_eq!(without(&php, &["nginx", "php-xml"], &[]).2, 31);
        assert_eq!(retained(&php, &step("GET:/feed")), 14);
        assert_eq!(retained(&php, &file("libxml")), 12);
        assert_eq!(retained(&php, &file("libc")), 16);
    }

    #[test]
    fn files_go_that_only_a_gone_package_needs_though_another_package_stays_for_it() {
        // dpkg asks for zlib too, but only php's files load it.
        let made = graph(
            &[
                ("php", "php", 1, &[step("start")]),
                ("libz", "zlib1g", 2, &[file("php")]),
                ("zpipe", "zlib1g", 4, &[rule("keep")]),
            ],
            &[("php", &[]), ("dpkg", &[]), ("zlib1g", &["php", "dpkg"])],
        );
        let drop = Drop { packages: BTreeSet::from(["php".to_owned()]), ..Drop::default() };
        let gone = made.gone(&drop);
        assert_eq!(gone.packages.len(), 1);
        let parts = made.parts(&gone);
        let parts: Vec<_> =
            parts.iter().map(|part| (&part.heading[..], part.sum.packed_bytes, part.is_whole)).collect();
        assert_eq!(parts, [("zlib1g", 2, false), ("php", 1, true)]);
    }

    #[test]
    fn two_reasons_keep_a_file_if_one_goes() {
        let made = graph(
            &[
                ("a", "x", 1, &[rule("one"), rule("two")]),
                ("b", "x", 2, &[rule("one")]),
                ("c", "x", 4, &[file("a"), file("b")]),
            ],
            &[],
        );
        assert_eq!(retained(&made, &rule("one")), 2);
        assert_eq!(retained(&made, &rule("two")), 0);
        assert_eq!(without(&made, &[], &[rule("one"), rule("two")]).2, 7);
    }

    #[test]
    fn circles_go_as_a_whole_and_what_nothing_leads_to_stands_for_itself() {
        let made = graph(
            &[
                ("a", "x", 1, &[rule("one"), file("b")]),
                ("b", "y", 2, &[file("a")]),
                ("c", "z", 4, &[file("d")]),
                ("d", "z", 8, &[file("c")]),
                ("e", "z", 16, &[file("never")]),
            ],
            &[("x", &["y"]), ("y", &["x"]), ("z", &["z"])],
        );
        assert_eq!(retained(&made, &rule("one")), 3);
        assert_eq!(retained(&made, &file("c")), 4);
        assert_eq!(without(&made, &["z"], &[]).2, 28);
        // Each of the two packages is asked for by the other one alone, so each stands for itself.
        assert_eq!(without(&made, &["y"], &[]), (vec!["y".to_owned()], vec!["b".to_owned()], 2));
    }

    #[test]
    fn a_spare_reason_counts_where_no_other_leads_there() {
        let mut facts = graph(
            &[("a", "x", 1, &[file("b")]), ("b", "x", 2, &[file("a")]), ("c", "x", 4, &[rule("one")])],
            &[],
        )
        .facts;
        for name in ["a", "c"] {
            facts.files.get_mut(&path(name)).expect("is there").spare = Some(step("start"));
        }
        let made = Graph::new(facts);
        assert_eq!(retained(&made, &step("start")), 3);
        assert_eq!(retained(&made, &rule("one")), 4);
    }

    #[test]
    fn contents_go_once_with_the_last_path_that_has_them() {
        let mut facts = graph(
            &[
                ("bin/git", "git", 100, &[rule("one")]),
                ("core/git", "git", 3, &[rule("two")]),
                ("other", "copy", 2, &[rule("two")]),
                ("linked", "git", 0, &[rule("three")]),
                ("zero", "git", 9, &[rule("one")]),
            ],
            &[],
        )
        .facts;
        for name in ["bin/git", "core/git", "other", "linked"] {
            facts.files.get_mut(&path(name)).expect("is there").contents = Some(Digest::of(b"git"));
        }
        // A further name of a file.
        let linked = facts.files.get_mut(&path("linked")).expect("is there");
        linked.size_bytes = 0;
        let made = Graph::new(facts);
        let rules = |rules: &[&str]| rules.iter().map(|name| rule(name)).collect::<Vec<_>>();
        // The dear one goes, and another of them is dear then.
        assert_eq!(without(&made, &[], &rules(&["one"])).2, 9);
        assert_eq!(without(&made, &[], &[file("bin/git")]).2, 0);
        assert_eq!(without(&made, &[], &rules(&["two"])).2, 2);
        assert_eq!(without(&made, &[], &rules(&["one", "two"])).2, 9 + 2 + 3);
        assert_eq!(without(&made, &[], &rules(&["one", "two", "three"])).2, 9 + 100 + 3 + 2);
        assert_eq!((retained(&made, &rule("one")), retained(&made, &rule("two"))), (9, 2));
        let drop = Drop { causes: rules(&["one", "two"]).into_iter().collect(), ..Drop::default() };
        let gone = made.gone(&drop);
        let parts: Vec<_> =
            made.parts(&gone).into_iter().map(|part| (part.heading, part.sum.packed_bytes)).collect();
        assert_eq!(parts, [("git".to_owned(), 14), ("copy".to_owned(), 0)]);
        let staying = made.staying(&gone);
        assert_eq!(staying.len(), 3);
        assert!(staying.iter().all(|(_, stays)| **stays == path("linked")));
    }

    #[test]
    fn the_dominator_tree_and_the_cut_agree_on_graphs_of_all_shapes() {
        // A linear congruential generator (Numerical Recipes): the same graphs each time.
        let mut state: u32 = 7;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for _ in 0..60 {
            let mut facts = Facts::default();
            for at in 0..24 {
                let mut causes = Vec::new();
                for _ in 0..=next(3) {
                    causes.push(match next(5) {
                        0 => step(&next(4).to_string()),
                        _ => file(&next(24).to_string()),
                    });
                }
                let contents = Some(Digest::of(next(16).to_string().as_bytes()));
                let packed_bytes = u64::from(next(9));
                let known =
                    FileFacts { packed_bytes, contents, is_file: true, causes, ..FileFacts::default() };
                facts.files.insert(path(&at.to_string()), known);
            }
            let made = Graph::new(facts);
            for (cause, sum) in made.retained().expect("is small") {
                let drop = Drop { causes: BTreeSet::from([cause.clone()]), ..Drop::default() };
                assert_eq!(made.sum(&made.gone(&drop)), sum, "{cause:?}");
            }
        }
    }
}
