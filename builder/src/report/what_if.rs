//! What changes to a package would save, and what speaks against them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use super::retained::{files, missing_text, parts_json, sizes, sum_json};
use crate::{
    artifact::Artifact,
    progress::size_text,
    reasons::{Change, Gone, Graph, Risk, Sum, WhatIf},
    shown,
    tree::TreePath,
};

/// How many lines of a list the text has; JSON has all.
const SHOWN: usize = 10;

/// How many names stand on a line.
const SHOWN_NAMES: usize = 4;

/// What changes come to.
pub struct WhatIfReport<'a> {
    graph: &'a Graph,
    changes: &'a [Change],
    what_if: &'a WhatIf,
    artifact_bytes: u64,
    contents_bytes: u64,
    sum: Sum,
    /// What nothing else keeps.
    following: Gone,
    risk: Risk,
}

impl<'a> WhatIfReport<'a> {
    /// Weighs what goes.
    pub fn of(graph: &'a Graph, changes: &'a [Change], what_if: &'a WhatIf, artifact: &Artifact) -> Self {
        let WhatIf { gone, named } = what_if;
        WhatIfReport {
            graph,
            changes,
            what_if,
            artifact_bytes: artifact.size_bytes,
            contents_bytes: artifact.tree.size_bytes(),
            sum: graph.sum(gone),
            following: Gone {
                packages: gone.packages.difference(&named.packages).cloned().collect(),
                paths: gone.paths.difference(&named.paths).cloned().collect(),
            },
            risk: graph.risk(gone),
        }
    }

    /// Returns it for reading.
    pub fn text(&self) -> String {
        let (graph, sum) = (self.graph, &self.sum);
        let mut out = missing_text(&graph.facts().missing);
        let changes: Vec<String> = self.changes.iter().map(Change::text).collect();
        let _ = writeln!(out, "\n{}", shown::line(&changes.join(", ")));
        if graph.facts().is_packed {
            let left = self.artifact_bytes.saturating_sub(sum.packed_bytes);
            let (all, saved) = (size_text(self.artifact_bytes), size_text(sum.packed_bytes));
            let _ =
                writeln!(out, "saves    {saved} of {all} compressed, which leaves about {}", size_text(left));
        }
        let (all, saved) = (size_text(self.contents_bytes), size_text(sum.size_bytes));
        let _ = writeln!(out, "         {saved} of {all} installed, {}", files(sum.files));
        for (title, gone) in
            [("goes", &self.what_if.named), ("follows, as nothing else keeps it", &self.following)]
        {
            let parts = graph.parts_of(&self.what_if.gone, gone);
            if !parts.is_empty() {
                let _ = writeln!(out, "\n{title}");
            }
            for part in parts.iter().take(SHOWN) {
                let what = if part.is_whole { "all of " } else { "" };
                let _ = writeln!(
                    out,
                    "{}  {what}{} ({})",
                    sizes(graph, &part.sum),
                    part.heading,
                    files(part.sum.files)
                );
            }
            more(&mut out, parts.len());
        }
        let staying = graph.staying(&self.what_if.gone);
        if !staying.is_empty() {
            out.push_str("\nsaves nothing, as its contents stay\n");
        }
        for (path, stays) in staying.iter().take(SHOWN) {
            let _ = writeln!(out, "  /{path}: as /{stays}");
        }
        more(&mut out, staying.len());
        out += &risk_text(&self.risk);
        out
    }

    /// Returns it as JSON.
    pub fn json(&self) -> Value {
        let graph = self.graph;
        let staying: BTreeMap<&TreePath, &TreePath> = graph.staying(&self.what_if.gone).into_iter().collect();
        let file = |path: &TreePath| {
            let facts = graph.facts().files.get(path).filter(|file| file.is_file)?;
            Some(json!({
                "path": format!("/{path}"),
                "package": facts.heading,
                "packed_bytes": graph.facts().is_packed.then_some(facts.packed_bytes),
                "size_bytes": facts.size_bytes,
                "stays_as": staying.get(path).map(|stays| format!("/{stays}")),
                "follows": !self.what_if.named.paths.contains(path),
            }))
        };
        json!({
            "changes": self.changes.iter().map(Change::text).collect::<Vec<_>>(),
            "saved": sum_json(graph, &self.sum),
            "named": sum_json(graph, &graph.sum_of(&self.what_if.gone, &self.what_if.named)),
            "following": sum_json(graph, &graph.sum_of(&self.what_if.gone, &self.following)),
            "packages": self.what_if.gone.packages,
            "parts": parts_json(graph, &graph.parts(&self.what_if.gone)),
            "files": self.what_if.gone.paths.iter().filter_map(file).collect::<Vec<_>>(),
            "risk": risk_json(&self.risk),
            "missing": graph.facts().missing,
        })
    }
}

fn more(out: &mut String, count: usize) {
    if count > SHOWN {
        let _ = writeln!(out, "{:>10}  and {} more (--json has all)", "", count - SHOWN);
    }
}

/// Returns what speaks against a change, for reading.
fn risk_text(risk: &Risk) -> String {
    let Risk { broken, bereft, laid, dependents, steps } = risk;
    let lists: [(&str, Vec<String>); 4] = [
        (
            "the recipe needs",
            laid.iter().map(|(path, what)| format!("/{path}, {}", shown::line(what))).collect(),
        ),
        ("stays, and does not start without", by_user(broken)),
        ("stays, and may need", by_user(bereft)),
        (
            "stays, and depends on",
            dependents.iter().map(|(by, package)| format!("{by}: {package}")).collect(),
        ),
    ];
    let mut out = String::new();
    for (title, lines) in lists.iter().filter(|(_, lines)| !lines.is_empty()) {
        let _ = writeln!(out, "\n{title}");
        for line in lines.iter().take(SHOWN) {
            let _ = writeln!(out, "  {line}");
        }
        more(&mut out, lines.len());
    }
    let _ = writeln!(out, "\n{}", steps_text(steps.iter().map(|(step, files)| (&step[..], *files))));
    out
}

/// Returns a line for each path that stays, with those that it needs.
fn by_user(pairs: &BTreeSet<(TreePath, TreePath)>) -> Vec<String> {
    let mut lines: BTreeMap<&TreePath, Vec<String>> = BTreeMap::new();
    for (by, path) in pairs {
        lines.entry(by).or_default().push(path.file_name().escape_ascii().to_string());
    }
    let line = |(by, names): (&TreePath, Vec<String>)| match names.len() {
        ..=SHOWN_NAMES => format!("/{by}: {}", names.join(", ")),
        count => format!("/{by}: {} and {} more", names[..SHOWN_NAMES].join(", "), count - SHOWN_NAMES),
    };
    lines.into_iter().map(line).collect()
}

/// Returns which steps of the exercise used files, for reading.
pub(super) fn steps_text<'s>(steps: impl Iterator<Item = (&'s str, u64)>) -> String {
    let mut steps: Vec<(&str, u64)> = steps.collect();
    let all: u64 = steps.iter().map(|(_, files)| files).sum();
    if all == 0 {
        return "the exercise used nothing of it".to_owned();
    }
    steps.sort_by_key(|(step, files)| (Reverse(*files), *step));
    let named = steps.iter().take(3).map(|(step, files)| format!("{} ({files})", shown::line(step)));
    let mut named: Vec<String> = named.collect();
    if steps.len() > 3 {
        named.push(format!("and {} more steps", steps.len() - 3));
    }
    format!("the exercise used {} of it, first in {}", files(all), named.join(", "))
}

/// Returns what speaks against a change, as JSON.
pub(super) fn risk_json(risk: &Risk) -> Value {
    let paths = |pairs: &BTreeSet<(TreePath, TreePath)>| -> Value {
        let pair =
            |(by, path): &(TreePath, TreePath)| json!({ "by": format!("/{by}"), "path": format!("/{path}") });
        pairs.iter().map(pair).collect()
    };
    json!({
        "fatal": risk.is_fatal(),
        "broken": paths(&risk.broken),
        "may_need": paths(&risk.bereft),
        "recipe": risk.laid.iter()
            .map(|(path, what)| json!({ "path": format!("/{path}"), "what": what })).collect::<Vec<_>>(),
        "dependents": risk.dependents.iter()
            .map(|(by, package)| json!({ "by": by, "package": package })).collect::<Vec<_>>(),
        "steps": risk.steps.iter()
            .map(|(step, files)| json!({ "step": step, "files": files })).collect::<Vec<_>>(),
    })
}
