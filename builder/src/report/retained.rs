//! What would go with a package, a rule or a step of the exercise.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::{Value, json};

use super::page::{Section, package_link};
use crate::{
    artifact::Papers,
    progress::size_text,
    reasons::{Cause, Drop, Graph, Part, Sum},
    shown,
};

/// How many parts of what goes are named on a line; JSON has all.
const SHOWN_PARTS: usize = 8;

/// How many lines of a list the text has; JSON has all.
const SHOWN_LINES: usize = 40;

/// How many rows a table of a page has.
const SHOWN_ROWS: usize = 100;

/// The retained sizes of an artifact.
pub struct Retained<'a> {
    graph: &'a Graph,
    papers: &'a Papers,
    packages: Vec<Brought>,
    /// Packages that were not weighed, as there are too many.
    left_out: usize,
    rules: Vec<(&'a Cause, Sum)>,
    steps: Vec<(&'a Cause, Sum)>,
}

/// What a package brings.
struct Brought {
    name: String,
    own: Sum,
    sum: Sum,
    parts: Vec<Part>,
}

impl<'a> Retained<'a> {
    /// Weighs all packages, rules and steps.
    pub fn of(graph: &'a Graph, papers: &'a Papers) -> Self {
        let mut headings: Vec<(&str, Sum)> =
            graph.headings().filter(|(name, sum)| !name.starts_with('(') && sum.files > 0).collect();
        headings.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let mut packages = Vec::new();
        for (name, own) in headings.iter().take_while(|_| !graph.is_weary()) {
            let drop = Drop { packages: BTreeSet::from([(*name).to_owned()]), ..Drop::default() };
            let gone = graph.gone(&drop);
            let (sum, parts) = (graph.sum(&gone), graph.parts(&gone));
            packages.push(Brought { name: (*name).to_owned(), own: *own, sum, parts });
        }
        let left_out = headings.len() - packages.len();
        packages.sort_by(|a, b| b.sum.cmp(&a.sum).then_with(|| a.name.cmp(&b.name)));
        let of_kind = |is_kind: fn(&Cause) -> bool| {
            let all = graph.retained().into_iter().flatten();
            let mut out: Vec<(&Cause, Sum)> = all.filter(|(cause, _)| is_kind(cause)).collect();
            out.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
            out
        };
        Retained {
            graph,
            papers,
            packages,
            left_out,
            rules: of_kind(|cause| matches!(cause, Cause::Rule { .. })),
            steps: of_kind(|cause| matches!(cause, Cause::Step(_))),
        }
    }

    /// Returns what the sizes are short of, a clause each.
    fn missing(&self) -> Vec<String> {
        let mut out = self.graph.facts().missing.clone();
        if self.left_out > 0 {
            out.push(format!("{} packages were not weighed, as there are too many reasons", self.left_out));
        }
        if self.graph.retained().is_none() {
            out.push("rules and steps were not weighed, as there are too many reasons".to_owned());
        }
        out
    }

    /// Returns the sizes for reading.
    pub fn text(&self) -> String {
        let mut out = missing_text(&self.missing());
        let compressed = compressed(self.graph);
        let _ = writeln!(out, "\na package brings itself and what nothing else needs{compressed}");
        for Brought { name, sum, parts, .. } in self.packages.iter().take(SHOWN_LINES) {
            let brought = parts_text(parts, Some(name));
            let _ = writeln!(out, "{}  {name}: {brought}{}", sizes(self.graph, sum), self.asked_text(name));
        }
        more(&mut out, self.packages.len());
        let _ = writeln!(out, "\na rule keeps what nothing else keeps{compressed}");
        self.causes_text(&self.rules, &mut out);
        let _ = writeln!(
            out,
            "\na step of the exercise was the first to use what nothing else keeps; later ones may use it too{compressed}"
        );
        self.causes_text(&self.steps, &mut out);
        out
    }

    fn causes_text(&self, causes: &[(&Cause, Sum)], out: &mut String) {
        let keeping: Vec<_> = causes.iter().filter(|(_, sum)| sum.files > 0).collect();
        for (cause, sum) in keeping.iter().take(SHOWN_LINES) {
            let _ = writeln!(out, "{}  {} ({})", sizes(self.graph, sum), cause_text(cause), files(sum.files));
        }
        more(out, keeping.len());
        if keeping.len() < causes.len() {
            let _ = writeln!(out, "{:>10}  and {} that keep nothing alone", "", causes.len() - keeping.len());
        }
    }

    fn asked_text(&self, name: &str) -> String {
        let asked = self.graph.asked_by(name);
        if asked.is_empty() { String::new() } else { format!(" ({})", asked_text(&asked)) }
    }

    /// Returns what is to be said of each package on a page.
    pub fn notes(&self) -> Vec<(String, Vec<String>)> {
        let note = |brought: &Brought| {
            let brings = parts_text(&brought.parts, Some(&brought.name));
            let mut lines = vec![format!("brings {}: {brings}", self.size(&brought.sum))];
            let asked = self.graph.asked_by(&brought.name);
            lines.extend((!asked.is_empty()).then(|| asked_text(&asked)));
            (brought.name.clone(), lines)
        };
        self.packages.iter().map(note).collect()
    }

    /// Returns them as tables of a page.
    pub fn sections(&self) -> Vec<Section> {
        let package = |Brought { name, sum, parts, .. }: &Brought| {
            let mut cells = vec![name.clone()];
            cells.extend(size_cells(self.graph, sum));
            cells.extend([parts_text(parts, Some(name)), asked_text(&self.graph.asked_by(name))]);
            (Some(package_link(name)), cells)
        };
        let cause = |(cause, sum): &(&Cause, Sum)| {
            let mut cells = vec![cause_text(cause)];
            cells.extend(size_cells(self.graph, sum));
            cells.push(sum.files.to_string());
            (None, cells)
        };
        let causes = |causes: &[(&Cause, Sum)]| {
            causes.iter().filter(|(_, sum)| sum.files > 0).take(SHOWN_ROWS).map(cause).collect()
        };
        let columns = |first: &'static str, last: &[(&'static str, bool)]| {
            [&[(first, false), ("Compressed", true), ("Unpacked", true)][..], last].concat()
        };
        vec![
            Section {
                title: "What packages bring: themselves and what nothing else needs".to_owned(),
                columns: columns("Package", &[("Brings", false), ("Asked for by", false)]),
                rows: self.packages.iter().take(SHOWN_ROWS).map(package).collect(),
            },
            Section {
                title: "What rules keep that nothing else keeps".to_owned(),
                columns: columns("Rule", &[("Files", true)]),
                rows: causes(&self.rules),
            },
            Section {
                title: "What steps of the exercise used first and nothing else keeps".to_owned(),
                columns: columns("Step", &[("Files", true)]),
                rows: causes(&self.steps),
            },
        ]
    }

    fn size(&self, sum: &Sum) -> String {
        match self.graph.facts().is_packed {
            true => format!("{} ({} unpacked)", size_text(sum.packed_bytes), size_text(sum.size_bytes)),
            false => size_text(sum.size_bytes),
        }
    }

    /// Returns them as JSON.
    pub fn json(&self) -> Value {
        let package = |brought: &Brought| {
            json!({
                "name": brought.name,
                "version": self.papers.version(&brought.name),
                "own": sum_json(self.graph, &brought.own),
                "retained": sum_json(self.graph, &brought.sum),
                "brings": parts_json(self.graph, &brought.parts),
                "asked_by": self.graph.asked_by(&brought.name),
            })
        };
        let cause = |(cause, sum): &(&Cause, Sum)| {
            let mut document = cause_json(cause);
            document["retained"] = sum_json(self.graph, sum);
            document
        };
        json!({
            "packages": self.packages.iter().map(package).collect::<Vec<_>>(),
            "rules": self.rules.iter().map(cause).collect::<Vec<_>>(),
            "steps": self.steps.iter().map(cause).collect::<Vec<_>>(),
            "missing": self.missing(),
        })
    }
}

/// Returns the columns of sizes.
pub(super) fn sizes(graph: &Graph, sum: &Sum) -> String {
    let size = format!("{:>10}", size_text(sum.size_bytes));
    match graph.facts().is_packed {
        true => format!("{:>10}{size}", size_text(sum.packed_bytes)),
        false => size,
    }
}

/// Returns the sizes as cells of a page's table.
pub(super) fn size_cells(graph: &Graph, sum: &Sum) -> [String; 2] {
    let packed = if graph.facts().is_packed { size_text(sum.packed_bytes) } else { String::new() };
    [packed, size_text(sum.size_bytes)]
}

/// Returns what the columns of [`sizes`] are.
pub(super) fn compressed(graph: &Graph) -> &'static str {
    if graph.facts().is_packed { ", compressed and as it is" } else { "" }
}

/// Returns what no sum of costs can say, for reading.
pub fn sharing_note(graph: &Graph) -> &'static str {
    match graph.facts().is_packed {
        true => {
            "note: contents that another path has stay, and save nothing; what files have in common without being equal stays \
             as well, but is counted with the file that has it first, so a build can save less\n"
        }
        false => "",
    }
}

/// Returns what is not known, for reading.
pub(super) fn missing_text(missing: &[String]) -> String {
    missing.iter().map(|clause| format!("note: {clause}\n")).collect()
}

/// Returns how a number of files is said.
pub(super) fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// Returns what goes by package as a list; `own` is what it is said of.
pub(super) fn parts_text(parts: &[Part], own: Option<&str>) -> String {
    let is_own = |part: &&Part| own == Some(&part.heading[..]);
    let itself = parts.iter().filter(is_own).map(|_| "itself".to_owned());
    let others = parts.iter().filter(|part| !is_own(part)).map(|part| match part.is_whole {
        true => part.heading.clone(),
        false => format!("{} of {}", size_text(part.sum.packed_bytes), part.heading),
    });
    let mut all: Vec<String> = itself.chain(others).collect();
    let left = all.len().saturating_sub(SHOWN_PARTS);
    all.truncate(SHOWN_PARTS);
    if left > 0 {
        all.push(format!("and {left} more"));
    }
    all.join(", ")
}

/// Returns who asks for a package, for reading.
pub(super) fn asked_text(asked: &[String]) -> String {
    const SHOWN: usize = 3;
    let (own, dependents): (Vec<&String>, Vec<&String>) =
        asked.iter().partition(|by| ["requested", "Essential"].contains(&&by[..]));
    let mut out: Vec<String> = own.into_iter().cloned().collect();
    if !dependents.is_empty() {
        let names: Vec<&str> = dependents.iter().take(SHOWN).map(|name| &name[..]).collect();
        let left = dependents.len().saturating_sub(SHOWN);
        let more = if left > 0 { format!(" and {left} more") } else { String::new() };
        out.push(format!("needed by {}{more}", names.join(", ")));
    }
    shown::line(&out.join(", ")).into_owned()
}

fn more(out: &mut String, count: usize) {
    if count > SHOWN_LINES {
        let _ = writeln!(out, "{:>10}  and {} more (--json has all)", "", count - SHOWN_LINES);
    }
}

/// Returns a reason for reading.
pub(super) fn cause_text(cause: &Cause) -> String {
    match cause {
        Cause::Rule { rule, text } => format!("{}: {}", shown::line(rule), shown::line(text)),
        Cause::Step(step) => shown::line(step).into_owned(),
        Cause::File(path) => format!("/{path}"),
    }
}

/// Returns a reason as JSON.
pub(super) fn cause_json(cause: &Cause) -> Value {
    match cause {
        Cause::Rule { rule, text } => json!({ "rule": **rule, "text": **text }),
        Cause::Step(step) => json!({ "step": step }),
        Cause::File(path) => json!({ "path": format!("/{path}") }),
    }
}

/// Returns sizes as JSON.
pub(super) fn sum_json(graph: &Graph, sum: &Sum) -> Value {
    let packed_bytes = graph.facts().is_packed.then_some(sum.packed_bytes);
    json!({ "packed_bytes": packed_bytes, "size_bytes": sum.size_bytes, "files": sum.files })
}

/// Returns what goes by package as JSON.
pub(super) fn parts_json(graph: &Graph, parts: &[Part]) -> Value {
    let part = |part: &Part| json!({ "package": part.heading, "whole": part.is_whole, "sum": sum_json(graph, &part.sum) });
    parts.iter().map(part).collect()
}
