//! Both graphs of reasons, and what has no other way in.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashSet},
};

use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
};

use super::{Cause, Facts};

/// Returns the graph of rules, steps and paths.
pub(super) fn causes_of(facts: &Facts) -> (DiGraph<Option<Cause>, ()>, BTreeMap<Cause, NodeIndex>) {
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
pub(super) fn packages_of(facts: &Facts) -> (DiGraph<Option<String>, ()>, BTreeMap<String, NodeIndex>) {
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
pub(super) fn cut_off<N>(
    graph: &DiGraph<N, ()>,
    dropped: &[NodeIndex],
    followed: &Cell<u64>,
) -> HashSet<NodeIndex> {
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
