//! From a [`Plan`] to prune.list ([`prune_list`](crate::formats::prune_list)).

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    ops::Bound,
};

use super::{Decision, Plan, Verdict, rules};
use crate::{
    formats::prune_list::HEAD,
    tree::{TreePath, escape},
};

/// Returns the text form of a plan; `reduced` are files with the description of their rest.
pub fn write_list<'a>(plan: &Plan, reduced: impl Iterator<Item = (&'a TreePath, &'a str)>) -> String {
    let mut out = format!("{HEAD}\n");
    for (path, text) in reduced {
        writeln!(out, "reduced /{path} {text}").expect("writing to a string");
    }
    type Directories<'a> = BTreeMap<&'a [u8], Vec<String>>;
    let mut dropped: BTreeMap<(&str, &str, &str), Directories<'_>> = BTreeMap::new();
    let broken = broken_directories(plan);
    for (path, decision) in &plan.decisions {
        let package = plan.packages.get(path).map_or("-", |package| &package[..]);
        if decision.verdict == Verdict::Drop {
            let whole = |path: &TreePath| {
                let drop = plan.decisions.get(path).is_some_and(is_bulk);
                drop && !broken.contains(path.as_bytes())
            };
            if path.parent().is_some_and(|parent| whole(&parent)) {
                continue;
            }
            let mut name = escape(path.file_name());
            let mut group = (package, decision.rule, &decision.reason[..]);
            if whole(path) && has_children(plan, path) {
                name.push('/');
                // Many packages may have a part in it.
                group.0 = plan.packages.get(path).map_or("-", |package| &package[..]);
            }
            let directories = dropped.entry(group).or_default();
            directories.entry(path.parent_bytes().unwrap_or_default()).or_default().push(name);
            continue;
        }
        write!(out, "/{path} {package} {} {}", decision.rule, decision.reason).expect("writing to a string");
        if let Some(because) = &decision.because {
            write!(out, " <- /{because}").expect("writing to a string");
        }
        out.push('\n');
    }
    for ((package, rule, reason), directories) in dropped {
        writeln!(out, "dropped {package} {rule} {reason}").expect("writing to a string");
        for (directory, names) in directories {
            write!(out, "/{}", escape(directory)).expect("writing to a string");
            for name in names {
                write!(out, " {name}").expect("writing to a string");
            }
            out.push('\n');
        }
    }
    out
}

/// Returns true for paths that are dropped in bulk, so that single names are not needed.
fn is_bulk(decision: &Decision) -> bool {
    decision.verdict == Verdict::Drop && rules::IN_BULK.contains(&decision.rule)
}

/// Returns the directories below which something is not dropped in bulk.
fn broken_directories(plan: &Plan) -> HashSet<&[u8]> {
    let mut out = HashSet::new();
    for (path, _) in plan.decisions.iter().filter(|(_, decision)| !is_bulk(decision)) {
        let mut above = path.parent_bytes();
        while let Some(directory) = above {
            if !out.insert(directory) {
                break;
            }
            above = rules::parent(directory);
        }
    }
    out
}

fn has_children(plan: &Plan, path: &TreePath) -> bool {
    let below = [path.as_bytes(), b"/"].concat();
    let mut after = plan.decisions.range::<[u8], _>((Bound::Excluded(&below[..]), Bound::Unbounded));
    after.next().is_some_and(|(next, _)| next.as_bytes().starts_with(&below))
}
