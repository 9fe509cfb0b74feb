//! The largest things that could go.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use super::{
    page::{Section, directory_link, file_link, package_link},
    retained::{
        asked_text, cause_json, cause_text, files, missing_text, parts_json, parts_text, size_cells, sizes,
        sum_json,
    },
    what_if::{risk_json, steps_text},
};
use crate::{
    layout::ImagePath,
    reasons::{Cause, Drop, FileFacts, Gone, Graph, Risk, START, Sum, gather::TINYROOT},
    tree::TreePath,
};

/// How many are shown.
const SHOWN: usize = 10;

/// How many files and directories that nothing used are weighed, the largest.
const MAX_UNUSED: usize = 200;

/// The rules of the recipe and of pruning that keep what was not used.
const RULES: [&str; 4] = ["recipe", "companion", "imports", "app"];

/// The largest things that could go: packages but the app's own, rules, steps, and directories and files that
/// the exercise did not use. What the recipe starts, or what a program that stays does not start without, is
/// not among them.
pub struct WhyBig<'a> {
    graph: &'a Graph,
    things: Vec<Thing<'a>>,
}

/// What could go.
struct Thing<'a> {
    subject: Subject<'a>,
    gone: Gone,
    sum: Sum,
    risk: Risk,
    kept_by: Vec<(Cause, Sum)>,
}

/// What is taken away.
#[derive(Clone)]
enum Subject<'a> {
    Package(&'a str),
    Cause(&'a Cause),
    /// With all below it.
    Directory(TreePath),
    File(TreePath),
}

impl<'a> WhyBig<'a> {
    /// Finds them.
    pub fn of(graph: &'a Graph) -> Self {
        let mut things: Vec<Thing<'_>> = Vec::new();
        for (subject, drop) in subjects(graph) {
            if graph.is_weary() {
                break;
            }
            let gone = graph.gone(&drop);
            let sum = graph.sum(&gone);
            things.push(Thing { subject, gone, sum, risk: Risk::default(), kept_by: Vec::new() });
        }
        // Of two that are nearly the same, the wider one is the answer: it is weighed first.
        things.sort_by_key(|thing| Reverse(thing.sum));
        let mut chosen: Vec<Thing<'_>> = Vec::new();
        for mut thing in things.into_iter().filter(|thing| thing.sum.files > 0) {
            if chosen.len() == SHOWN {
                break;
            }
            thing.risk = graph.risk(&thing.gone);
            let is_same = |other: &Thing<'_>| {
                let common = Gone {
                    paths: thing.gone.paths.intersection(&other.gone.paths).cloned().collect(),
                    ..Gone::default()
                };
                5 * graph.sum(&common).packed_bytes >= 4 * other.sum.packed_bytes
            };
            if !thing.risk.is_fatal() && !chosen.iter().any(is_same) {
                thing.kept_by = graph.kept_by(&thing.gone);
                chosen.push(thing);
            }
        }
        WhyBig { graph, things: chosen }
    }

    /// Returns them for reading.
    pub fn text(&self) -> String {
        let graph = self.graph;
        let mut out = missing_text(&graph.facts().missing);
        let columns = if graph.facts().is_packed { ", compressed and as they are" } else { "" };
        let _ = writeln!(out, "\nthe largest things that could go, with what nothing else needs{columns}");
        for Thing { subject, gone, sum, risk, kept_by } in &self.things {
            let _ = writeln!(out, "{}  {} ({})", sizes(graph, sum), subject.text(), files(sum.files));
            let mut line = |what: &str, text: &str| writeln!(out, "{:22}{what}: {text}", "");
            let parts = graph.parts(gone);
            let own = match subject {
                Subject::Package(name) => Some(*name),
                _ => None,
            };
            if parts.len() > 1 || own.is_none() {
                let _ = line("of", &parts_text(&parts, own));
            }
            let _ = line("kept by", &self.keeper_text(subject, kept_by));
            let _ = line("risk", &risk_line(risk));
            let _ = line("to try", &subject.remedy());
        }
        if self.things.is_empty() {
            out.push_str("  nothing: all of it is needed to start\n");
        }
        out
    }

    /// Returns them as a table of a page.
    pub fn section(&self) -> Section {
        let row = |Thing { subject, sum, risk, kept_by, .. }: &Thing<'_>| {
            let mut cells = vec![subject.text()];
            cells.extend(size_cells(self.graph, sum));
            cells.extend([self.keeper_text(subject, kept_by), risk_line(risk), subject.remedy()]);
            (subject.link(), cells)
        };
        Section {
            title: "The largest things that could go".to_owned(),
            columns: vec![
                ("What", false),
                ("Saves, compressed", true),
                ("Unpacked", true),
                ("Kept by", false),
                ("Risk", false),
                ("To try", false),
            ],
            rows: self.things.iter().map(row).collect(),
        }
    }

    fn keeper_text(&self, subject: &Subject<'_>, kept_by: &[(Cause, Sum)]) -> String {
        let asked = match subject {
            Subject::Package(name) => self.graph.asked_by(name),
            _ => Vec::new(),
        };
        let mut out: Vec<String> = Vec::new();
        if !asked.is_empty() {
            out.push(asked_text(&asked));
        }
        out.extend(kept_by.iter().take(2).map(|(cause, _)| cause_text(cause)));
        if kept_by.len() > 2 {
            out.push(format!("and {} more", kept_by.len() - 2));
        }
        out.join("; ")
    }

    /// Returns them as JSON.
    pub fn json(&self) -> Value {
        let graph = self.graph;
        let thing = |Thing { subject, gone, sum, risk, kept_by }: &Thing<'_>| {
            let keeper = |(cause, sum): &(Cause, Sum)| {
                let mut document = cause_json(cause);
                document["sum"] = sum_json(graph, sum);
                document
            };
            let asked_by = match subject {
                Subject::Package(name) => graph.asked_by(name),
                _ => Vec::new(),
            };
            json!({
                "subject": subject.json(),
                "saves": sum_json(graph, sum),
                "parts": parts_json(graph, &graph.parts(gone)),
                "asked_by": asked_by,
                "kept_by": kept_by.iter().map(keeper).collect::<Vec<_>>(),
                "risk": risk_json(risk),
                "to_try": subject.remedy(),
            })
        };
        json!({
            "things": self.things.iter().map(thing).collect::<Vec<_>>(),
            "missing": graph.facts().missing,
        })
    }
}

impl Subject<'_> {
    fn text(&self) -> String {
        match self {
            Subject::Package(name) => format!("package {name}"),
            Subject::Cause(cause @ Cause::Rule { .. }) => format!("rule {}", cause_text(cause)),
            Subject::Cause(cause @ Cause::Step(_)) => format!("step {}", cause_text(cause)),
            Subject::Cause(cause @ Cause::File(_)) => cause_text(cause),
            Subject::File(path) => format!("/{path}"),
            Subject::Directory(path) => format!("/{path}/"),
        }
    }

    /// Returns where it is in a page.
    fn link(&self) -> Option<String> {
        match self {
            Subject::Package(name) => Some(package_link(name)),
            Subject::Directory(path) => Some(directory_link(path)),
            Subject::File(path) => Some(file_link(path)),
            Subject::Cause(_) => None,
        }
    }

    fn json(&self) -> Value {
        match self {
            Subject::Package(name) => json!({ "package": name }),
            Subject::Cause(cause) => cause_json(cause),
            Subject::Directory(path) => json!({ "directory": format!("/{path}") }),
            Subject::File(path) => json!({ "path": format!("/{path}") }),
        }
    }

    /// Returns how a recipe takes it away.
    fn remedy(&self) -> String {
        let drop = |path: &TreePath| {
            format!("[prune] drop = [\"/{}\"]", ImagePath::in_image(path.clone()).to_stage())
        };
        match self {
            Subject::Package(name) => format!("inspect --what-if \"drop package {name}\""),
            Subject::Cause(Cause::Rule { rule, text }) => match &**rule {
                "companion" => "[prune] companions, or drop in [prune]".to_owned(),
                "imports" => "[prune] imports".to_owned(),
                _ => format!("without {text}"),
            },
            Subject::Cause(Cause::Step(_)) => "the exercise without this step".to_owned(),
            Subject::Cause(Cause::File(path)) | Subject::Directory(path) | Subject::File(path) => drop(path),
        }
    }
}

/// Returns the worst that is known of a change, on one line.
fn risk_line(risk: &Risk) -> String {
    let steps = steps_text(risk.steps.iter().map(|(step, files)| (&step[..], *files)));
    let dependents: BTreeSet<&str> = risk.dependents.iter().map(|(by, _)| &by[..]).collect();
    let mut out = vec![steps];
    if !dependents.is_empty() {
        let named: Vec<&str> = dependents.iter().take(3).copied().collect();
        let more =
            if dependents.len() > 3 { format!(" and {} more", dependents.len() - 3) } else { String::new() };
        let verb = if dependents.len() == 1 { "depends" } else { "depend" };
        out.push(format!("{}{more} {verb} on it", named.join(", ")));
    }
    if let Some((by, _)) = risk.bereft.first() {
        let more = if risk.bereft.len() > 1 {
            format!(" and {} more", risk.bereft.len() - 1)
        } else {
            String::new()
        };
        out.push(format!("/{by}{more} may need it"));
    }
    out.join("; ")
}

/// Returns what is weighed.
fn subjects(graph: &Graph) -> Vec<(Subject<'_>, Drop)> {
    let facts = graph.facts();
    let cause = |cause: &Cause| Drop { causes: BTreeSet::from([cause.clone()]), ..Drop::default() };
    let mut out: Vec<(Subject<'_>, Drop)> = Vec::new();
    for (name, _) in graph.headings().filter(|(name, _)| !name.starts_with('(')) {
        if !facts.app_packages.contains(name) {
            let drop = Drop { packages: BTreeSet::from([name.to_owned()]), ..Drop::default() };
            out.push((Subject::Package(name), drop));
        }
    }
    let is_apps = |text: &str| text.contains(", the app, ");
    for (known, _) in graph.retained().into_iter().flatten() {
        let is_weighed = match known {
            Cause::Rule { rule, text } => RULES.contains(&&**rule) && !is_apps(text),
            Cause::Step(step) => step != START,
            Cause::File(_) => false,
        };
        if is_weighed {
            out.push((Subject::Cause(known), cause(known)));
        }
    }
    out.extend(unused(graph));
    out
}

/// Returns the largest directories of which nothing was used, and such files in others. Without evidence there
/// are none.
fn unused(graph: &Graph) -> Vec<(Subject<'_>, Drop)> {
    let is_own = |cause: &Cause| matches!(cause, Cause::Rule { rule, .. } if [TINYROOT, "laid", "basics"].contains(&&**rule));
    let files = || graph.facts().files.iter().filter(|(_, file)| file.is_file);
    let is_used = |file: &FileFacts| !file.steps.is_empty() || file.causes.iter().any(is_own);
    let mut used: BTreeSet<TreePath> = BTreeSet::from([TreePath::root()]);
    for (path, _) in files().filter(|(_, file)| is_used(file)) {
        for above in path.ancestors() {
            if !used.insert(above) {
                break;
            }
        }
    }
    if files().all(|(_, file)| file.steps.is_empty()) {
        return Vec::new();
    }
    // By the topmost directory that was not used; a file in one that was is alone.
    let mut groups: BTreeMap<(TreePath, bool), BTreeSet<Cause>> = BTreeMap::new();
    let mut sums: BTreeMap<(TreePath, bool), u64> = BTreeMap::new();
    for (path, file) in files().filter(|(_, file)| !is_used(file)) {
        let top = path.ancestors().take_while(|above| !used.contains(above)).last();
        let key = top.map_or_else(|| (path.clone(), false), |top| (top, true));
        *sums.entry(key.clone()).or_default() += file.packed_bytes;
        groups.entry(key).or_default().insert(Cause::File(path.clone()));
    }
    let mut largest: Vec<(Reverse<u64>, (TreePath, bool))> =
        sums.into_iter().map(|(key, bytes)| (Reverse(bytes), key)).collect();
    largest.sort();
    let subject = |(_, key): (Reverse<u64>, (TreePath, bool))| {
        let drop = Drop { causes: groups.remove(&key).unwrap_or_default(), ..Drop::default() };
        let (path, is_directory) = key;
        (if is_directory { Subject::Directory(path) } else { Subject::File(path) }, drop)
    };
    largest.into_iter().take(MAX_UNUSED).map(subject).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasons::Facts;

    fn facts(rows: &[(&str, &str, u64, &[Cause], &str)]) -> Facts {
        let mut facts = Facts { is_packed: true, ..Facts::default() };
        for (path, heading, bytes, causes, step) in rows {
            let file = FileFacts {
                packed_bytes: *bytes,
                size_bytes: *bytes,
                is_file: true,
                heading: (*heading).to_owned(),
                causes: causes.to_vec(),
                steps: step.split_whitespace().map(str::to_owned).collect(),
                ..FileFacts::default()
            };
            facts.files.insert(TreePath::new(path.as_bytes()).expect("a good path"), file);
        }
        facts
    }

    #[test]
    fn only_what_can_go_is_named_and_nothing_twice() {
        let rule = |rule: &str, text: &str| Cause::Rule { rule: rule.into(), text: text.into() };
        let file = |path: &str| Cause::File(TreePath::new(path.as_bytes()).expect("a good path"));
        let start = || Cause::Step("start".to_owned());
        let app = rule("app", "part of wiki, the app, which is kept whole");
        let mut facts = facts(&[
            ("usr/sbin/web", "web", 100, &[rule("laid", "the program of service")], "start"),
            ("usr/lib/libweb", "libweb", 90, &[file("usr/sbin/web")], "start"),
            ("usr/share/wiki/page", "wiki", 80, &[app.clone(), start()], "start"),
            ("usr/share/wiki/never/a", "wiki", 30, std::slice::from_ref(&app), ""),
            ("usr/share/wiki/never/deep/b", "wiki", 20, std::slice::from_ref(&app), ""),
            ("usr/share/wiki/alone", "wiki", 10, std::slice::from_ref(&app), ""),
            ("usr/share/geshi/a", "geshi", 40, &[rule("recipe", "prune.keep \"/usr/share/geshi/*\"")], ""),
            ("usr/share/feed", "feed", 5, &[Cause::Step("GET:/feed".to_owned())], "GET:/feed"),
            ("tinyroot/init", "(tinyroot)", 70, &[rule(TINYROOT, "own")], ""),
        ]);
        facts.app_packages.insert("wiki".to_owned());
        let library = facts.files.get_mut(&b"usr/lib/libweb"[..]).expect("is there");
        library.needed_by.insert(TreePath::new(b"usr/sbin/web").expect("a good path"));
        let graph = Graph::new(facts);
        let found = WhyBig::of(&graph);
        let things: Vec<(String, u64)> =
            found.things.iter().map(|thing| (thing.subject.text(), thing.sum.packed_bytes)).collect();
        let expected = [
            ("/usr/share/wiki/never/", 50),
            ("package geshi", 40),
            ("/usr/share/wiki/alone", 10),
            ("package feed", 5),
        ];
        assert_eq!(things, expected.map(|(what, bytes)| (what.to_owned(), bytes)));
        let text = found.text();
        assert!(text.contains("risk: the exercise used 1 file of it, first in GET:/feed (1)\n"), "{text}");
        assert!(text.contains("to try: [prune] drop = [\"/usr/share/wiki/never\"]\n"), "{text}");
    }
}
