//! Why there is no solution: the way from the request to the clash, as a short tree.
//!
//! ```text
//! php-thing 1.0 (requested)
//!   Depends: libfoo (>= 2)
//!     libfoo 2.1
//!       Conflicts: bar
//!         but bar 1.0 is requested
//! ```

use std::collections::{HashMap, HashSet};

use resolvo::{
    Requirement,
    conflict::{ConflictCause, ConflictEdge, ConflictGraph, ConflictNode},
};

use crate::resolve::{ResolveError, facts::AllFacts, solver::Stated, universe::Id};

/// How many lines a tree has at most.
const MOST_LINES: usize = 60;

/// Shows a conflict.
///
/// # Errors
/// A stanza whose relations cannot be read.
pub(super) fn show(
    facts: &AllFacts<'_, '_>,
    asked: &[(Id, &'static str)],
    graph: &ConflictGraph,
    stated: &[Stated],
) -> Result<String, ResolveError> {
    let mut tree = Tree {
        facts,
        involved: Involved::of(graph, stated),
        asked: HashMap::new(),
        told: HashSet::new(),
        out: String::new(),
        lines: 0,
    };
    for (id, reason) in asked {
        tree.asked.entry(*id).or_insert(reason);
    }
    let mut roots: Vec<(Id, &'static str)> = Vec::new();
    for (id, reason) in asked {
        if tree.involved.roots.contains(id) && !roots.iter().any(|(other, _)| other == id) {
            roots.push((*id, reason));
        }
    }
    for (id, reason) in roots {
        tree.package(id, reason, 0)?;
    }
    Ok(tree.out.trim_end().to_owned())
}

/// The part of all requirements that makes the conflict.
#[derive(Default)]
struct Involved {
    roots: HashSet<Id>,
    needs: HashSet<(Id, usize)>,
    bans: HashSet<(Id, Id)>,
}

impl Involved {
    fn of(graph: &ConflictGraph, stated: &[Stated]) -> Self {
        let mut involved = Involved::default();
        for edge in graph.graph.raw_edges() {
            let source = graph.graph[edge.source()];
            let target = graph.graph[edge.target()];
            let (from, to) = (solvable(source), solvable(target));
            match edge.weight {
                ConflictEdge::Requires(Requirement::Union(union)) => match stated[union.0 as usize] {
                    (Some(by), n) => drop(involved.needs.insert((by, n))),
                    (None, _) => involved.roots.extend(to),
                },
                ConflictEdge::Conflict(ConflictCause::Constrains(_)) => {
                    involved.bans.extend(from.zip(to));
                }
                _ => {}
            }
        }
        involved
    }
}

fn solvable(node: ConflictNode) -> Option<Id> {
    match node {
        ConflictNode::Solvable(id) => Some(Id(id.into_raw())),
        _ => None,
    }
}

struct Tree<'f, 'u, 'a> {
    facts: &'f AllFacts<'u, 'a>,
    involved: Involved,
    asked: HashMap<Id, &'static str>,
    told: HashSet<Id>,
    out: String,
    lines: usize,
}

impl Tree<'_, '_, '_> {
    fn line(&mut self, depth: usize, text: &str) {
        self.lines += 1;
        match self.lines.cmp(&MOST_LINES) {
            std::cmp::Ordering::Less => {
                self.out += &"  ".repeat(depth + 1);
                self.out += text;
                self.out.push('\n');
            }
            std::cmp::Ordering::Equal => self.out += "  …\n",
            std::cmp::Ordering::Greater => {}
        }
    }

    fn shown(&self, id: Id) -> String {
        let package = self.facts.universe.package(id);
        format!("{} {}", package.name, package.version)
    }

    /// Describes why a package cannot be installed beside the rest.
    fn package(&mut self, id: Id, reason: &str, depth: usize) -> Result<(), ResolveError> {
        let shown = self.shown(id);
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        if !self.told.insert(id) {
            self.line(depth, &format!("{shown}{reason}, see above"));
            return Ok(());
        }
        self.line(depth, &format!("{shown}{reason}"));
        let facts = self.facts.of(id)?;
        for need in facts.needs.iter().filter(|need| need.critical && need.options.is_empty()) {
            self.line(depth + 1, &format!("{}: {}", need.field, need.text));
            let what = self.what_there_is(need.text);
            self.line(depth + 2, &what);
        }
        for (n, need) in facts.needs.iter().enumerate() {
            if self.involved.needs.contains(&(id, n)) && !need.options.is_empty() {
                self.line(depth + 1, &format!("{}: {}", need.field, need.text));
                for option in &need.options {
                    self.package(*option, "", depth + 2)?;
                }
            }
        }
        let mut told = HashSet::new();
        for ban in &facts.bans {
            if self.involved.bans.contains(&(id, ban.id)) && told.insert((ban.text, ban.id)) {
                let asked = self.asked.get(&ban.id).map_or(String::new(), |reason| format!(" ({reason})"));
                let other = self.shown(ban.id);
                self.line(depth + 1, &format!("{}: {}, so not beside {other}{asked}", ban.field, ban.text));
            }
        }
        Ok(())
    }

    /// Describes the packages that exist in place of those that a group needs.
    fn what_there_is(&self, group: &str) -> String {
        let universe = self.facts.universe;
        let parsed = crate::formats::relation::parse(group, universe.architecture()).unwrap_or_default();
        let mut there = Vec::new();
        for relation in parsed.iter().flat_map(|group| &group.alternatives) {
            if let Some(id) = universe.find(relation.name) {
                let excluded = if self.facts.is_excluded(id) { ", which is excluded" } else { "" };
                there.push(format!("{}{excluded}", self.shown(id)));
            }
            for (id, version) in universe.providers(relation.name) {
                let as_what = version.map_or(String::new(), |version| format!(" as {version}"));
                let excluded = if self.facts.is_excluded(id) { ", which is excluded" } else { "" };
                there.push(format!("{} provides it{as_what}{excluded}", self.shown(id)));
            }
        }
        if there.is_empty() {
            let names = parsed.iter().flat_map(|group| &group.alternatives).map(|relation| relation.name);
            let left_out: Vec<String> = names.flat_map(|name| universe.left_out(name)).collect();
            match left_out.is_empty() {
                true => "there is no such package".into(),
                false => left_out.join("; "),
            }
        } else {
            format!("there is only {}", there.join("; "))
        }
    }
}
