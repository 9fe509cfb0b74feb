//! The difference of two packages, in bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    package::Statement,
    page::{Page, PageFile},
};
use crate::{
    artifact::{Artifact, Papers},
    diff::{Change, Limit, PackageChange, PathChange, SizeDiff, diff, own_bytes},
    formats::app_id::AppId,
    papers,
    progress::size_text,
    shown,
    store::Store,
    tree::{Tree, TreePath},
};

/// Paths that the text forms list; JSON has all.
const SHOWN_PATHS: usize = 50;

/// Two packages compared: contents, files, and what each says of itself.
pub struct SizeReport<'a> {
    diff: SizeDiff,
    files: Files,
    facts: [Facts; 2],
    artifacts: [&'a Artifact; 2],
    papers: (Papers, Papers),
}

impl<'a> SizeReport<'a> {
    /// Compares two packages. `limit` bounds how much larger the second may be.
    pub fn of(before: &'a Artifact, after: &'a Artifact, limit: Option<Limit>, store: &Store) -> Self {
        let papers = (Papers::read(&before.tree, store), Papers::read(&after.tree, store));
        let mut diff =
            diff(&before.tree, &after.tree, |path| papers.0.heading(path), |path| papers.1.heading(path));
        add_versions(&mut diff, &papers);
        let facts = [before, after].map(|artifact| Facts::read(artifact, store));
        let files = Files { before_bytes: before.size_bytes, after_bytes: after.size_bytes, limit };
        SizeReport { diff, files, facts, artifacts: [before, after], papers }
    }

    /// Returns by how much the second is over the limit, as a clause; `None` if it is not.
    pub fn excess(&self) -> Option<String> {
        self.files.excess()
    }

    /// Returns one JSON document.
    pub fn json(&self) -> serde_json::Value {
        let Files { before_bytes, after_bytes, limit } = self.files;
        let mut document = serde_json::json!(self.diff);
        document["artifact_before_bytes"] = before_bytes.into();
        document["artifact_after_bytes"] = after_bytes.into();
        document["before"] = serde_json::json!(self.facts[0]);
        document["after"] = serde_json::json!(self.facts[1]);
        if let Some(limit) = limit {
            document["limit_bytes"] = limit.bytes_of(before_bytes).into();
            document["over_limit_bytes"] = limit.exceeded_by(before_bytes, after_bytes).into();
        }
        document
    }

    /// Returns the report for reading.
    pub fn text(&self) -> String {
        text(&self.diff, self.files, &self.facts)
    }

    /// Returns the report as a page for a browser.
    pub fn html(&self) -> String {
        let title = |side: usize| {
            let artifact = self.artifacts[side];
            format!("{} {}", shown::name(artifact.title()), shown::name(artifact.version()))
        };
        let Files { before_bytes, after_bytes, .. } = self.files;
        let (from, to) = size_texts(before_bytes, after_bytes);
        let versions = self.diff.packages.iter().map(|package| {
            (package.package.clone(), package.version_before.clone(), package.version_after.clone())
        });
        let facts =
            changed(&self.facts).into_iter().map(|(what, was, is)| format!("{what}: {was} \u{2192} {is}"));
        Page {
            title: format!("{} \u{2192} {}", title(0), title(1)),
            total: format!("{} ({from} \u{2192} {to})", signed(before_bytes, after_bytes)),
            facts: bounds(self.files, &self.facts).into_iter().chain(facts).collect(),
            is_difference: true,
            files: self.page_files(),
            versions: versions.collect(),
        }
        .html()
    }

    /// Returns the links and files of both.
    fn page_files(&self) -> Vec<PageFile> {
        let changes: BTreeMap<&str, &PathChange> =
            self.diff.paths.iter().map(|change| (&change.path[..], change)).collect();
        let moved: BTreeSet<&str> =
            self.diff.paths.iter().filter_map(|change| change.path_before.as_deref()).collect();
        let [before, after] = self.artifacts.map(|artifact| &artifact.tree);
        let bytes = |tree: &Tree, path: &str| tree.get(path.as_bytes()).map(own_bytes);
        let paths: BTreeSet<&TreePath> = before.iter().chain(after.iter()).map(|(path, _)| path).collect();
        let mut files = Vec::new();
        for path in paths {
            let is_there = |tree: &Tree| tree.get(path.as_bytes()).is_some_and(|e| !e.kind.is_directory());
            let text = path.to_string();
            if !(is_there(before) || is_there(after)) || moved.contains(&text[..]) {
                continue;
            }
            let change = changes.get(&text[..]);
            let path_before = change.and_then(|change| change.path_before.clone());
            let package = match change {
                Some(change) => change.package.clone(),
                None => self.papers.1.heading(path),
            };
            files.push(PageFile {
                plain_bytes: [bytes(before, path_before.as_deref().unwrap_or(&text)), bytes(after, &text)],
                packed_bytes: [None, None],
                change: change.map_or("same", |change| word(change.change)),
                path: text,
                package,
                path_before,
            });
        }
        files
    }

    /// Returns the report for a comment on a change.
    pub fn markdown(&self) -> String {
        markdown(&self.diff, self.files, &self.facts)
    }
}

/// Two sizes of one file, and how much more the second may have.
#[derive(Clone, Copy)]
struct Files {
    before_bytes: u64,
    after_bytes: u64,
    limit: Option<Limit>,
}

impl Files {
    fn excess(&self) -> Option<String> {
        let Files { before_bytes, after_bytes, limit } = *self;
        let limit = limit?;
        let over = limit.exceeded_by(before_bytes, after_bytes);
        let (from, to) = size_texts(before_bytes, after_bytes);
        let grown = after_bytes.saturating_sub(before_bytes);
        (over > 0).then(|| {
            format!("the package grew by {grown} bytes, from {from} to {to}: {over} bytes over the limit of {limit}")
        })
    }
}

/// The statements of a package about itself.
#[derive(serde::Serialize)]
struct Facts {
    version: String,
    app_version: u32,
    app_id: AppId,
    proof: String,
    budget_bytes: Option<u64>,
}

impl Facts {
    fn read(artifact: &Artifact, store: &Store) -> Self {
        let proof = Statement::read(artifact, store);
        Facts {
            version: artifact.version().to_owned(),
            app_version: artifact.release(),
            app_id: artifact.app_id(),
            proof: proof
                .map_or_else(|| "unknown".to_owned(), |proof| shown::line(&proof.text()).into_owned()),
            budget_bytes: papers::budget_bytes(&artifact.tree, store),
        }
    }

    /// Returns what they are called and how they are shown.
    fn rows(&self) -> [(&'static str, String); 4] {
        [
            ("version", format!("{} ({})", shown::name(&self.version), self.app_version)),
            ("app id", self.app_id.to_string()),
            ("proof", self.proof.clone()),
            ("budget", self.budget_bytes.map_or_else(|| "none".to_owned(), size_text)),
        ]
    }
}

/// Returns the facts that differ: what they are called, how they were and how they are.
fn changed(facts: &[Facts; 2]) -> Vec<(&'static str, String, String)> {
    let rows = facts[0].rows().into_iter().zip(facts[1].rows());
    rows.filter(|(was, is)| was.1 != is.1).map(|(was, is)| (was.0, was.1, is.1)).collect()
}

/// Adds the versions of packages, and the packages of which nothing but the version changed.
fn add_versions(diff: &mut SizeDiff, papers: &(Papers, Papers)) {
    for package in &mut diff.packages {
        let before = package.package_before.as_ref().unwrap_or(&package.package);
        package.version_before = papers.0.version(before).map(str::to_owned);
        package.version_after = papers.1.version(&package.package).map(str::to_owned);
    }
    for (package, version) in papers.1.versions() {
        let before = papers.0.version(package).filter(|before| *before != version);
        let Some(before) = before.filter(|_| diff.packages.iter().all(|p| p.package != package)) else {
            continue;
        };
        diff.packages.push(PackageChange {
            package: package.to_owned(),
            package_before: None,
            version_before: Some(before.to_owned()),
            version_after: Some(version.to_owned()),
            before_bytes: 0,
            after_bytes: 0,
            paths: 0,
        });
    }
}

/// Returns a package's name with its version, or with both names and versions.
fn named(p: &PackageChange) -> String {
    let whole = |name: &str, version: &Option<String>| match version {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    };
    let after = whole(&p.package, &p.version_after);
    match (&p.package_before, &p.version_before, &p.version_after) {
        (Some(name), version, _) => format!("{} -> {after}", whole(name, version)),
        (None, Some(before), Some(after)) if before != after => format!("{} {before} -> {after}", p.package),
        (None, Some(_), None) => format!("{}, gone", whole(&p.package, &p.version_before)),
        (None, None, Some(_)) => format!("{after}, new"),
        _ => after,
    }
}

/// Returns how a path is shown: of one with another version in its name where it was, and its new name.
fn path_text(p: &PathChange) -> String {
    match &p.path_before {
        Some(before) => format!("/{before} -> {}", p.path.rsplit('/').next().unwrap_or_default()),
        None => format!("/{}", p.path),
    }
}

/// Returns what is to be said of the limit that was asked for and of the budget that B has.
fn bounds(files: Files, facts: &[Facts; 2]) -> Vec<String> {
    let over =
        |over: u64| if over == 0 { "kept".to_owned() } else { format!("exceeded by {}", size_text(over)) };
    let Files { before_bytes, after_bytes, limit } = files;
    let limit = limit.map(|limit| {
        let shown = match limit {
            Limit::Bytes(bytes) => size_text(bytes),
            Limit::Percent(_) => limit.to_string(),
        };
        format!("limit of growth {shown}: {}", over(limit.exceeded_by(before_bytes, after_bytes)))
    });
    let budget = facts[1].budget_bytes.map(|budget| match budget.checked_sub(after_bytes) {
        Some(left) => format!("budget {}: {} left", size_text(budget), size_text(left)),
        None => format!("budget {}: {}", size_text(budget), over(after_bytes - budget)),
    });
    limit.into_iter().chain(budget).collect()
}

/// Returns two sizes as texts; in bytes where they would read the same and are not.
fn size_texts(before: u64, after: u64) -> (String, String) {
    let texts = (size_text(before), size_text(after));
    match before != after && texts.0 == texts.1 {
        true => (format!("{before} bytes"), format!("{after} bytes")),
        false => texts,
    }
}

fn signed(before: u64, after: u64) -> String {
    let sign = if after < before { "-" } else { "+" };
    format!("{sign}{}", size_text(after.abs_diff(before)))
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Renamed => "renamed",
        Change::Changed => "changed",
        Change::Metadata => "metadata",
    }
}

fn text(diff: &SizeDiff, files: Files, facts: &[Facts; 2]) -> String {
    let mut out = String::new();
    let mut total = |what: &str, before, after| {
        let (from, to) = size_texts(before, after);
        let _ = writeln!(out, "{:>10}  {what}: {from} -> {to}", signed(before, after));
    };
    total("package file", files.before_bytes, files.after_bytes);
    total("contents", diff.before_bytes, diff.after_bytes);
    for line in bounds(files, facts) {
        let _ = writeln!(out, "{:>10}  {line}", "");
    }
    for (what, was, is) in changed(facts) {
        let _ = writeln!(out, "{what:>10}  {was} -> {is}");
    }
    if diff.is_empty() {
        out.push_str("the contents are the same\n");
        return out;
    }
    out.push_str("\nby package\n");
    for p in &diff.packages {
        let size = signed(p.before_bytes, p.after_bytes);
        let _ = writeln!(out, "{size:>10}  {} ({} changed)", named(p), p.paths);
    }
    out.push_str("\nby path\n");
    for p in diff.paths.iter().take(SHOWN_PATHS) {
        let size = signed(p.before_bytes, p.after_bytes);
        let _ = writeln!(out, "{size:>10}  {:<8}  {}  {}", word(p.change), path_text(p), p.package);
    }
    if diff.paths.len() > SHOWN_PATHS {
        let _ = writeln!(out, "{:>10}  and {} more paths", "", diff.paths.len() - SHOWN_PATHS);
    }
    out
}

fn markdown(diff: &SizeDiff, files: Files, facts: &[Facts; 2]) -> String {
    let mut out = String::from("| | before | after | change |\n|---|---:|---:|---:|\n");
    let cell = |text: &str| text.replace('|', "\\|");
    let mut row = |what: &str, before, after| {
        let change = signed(before, after);
        let (from, to) = size_texts(before, after);
        let _ = writeln!(out, "| {what} | {from} | {to} | {change} |");
    };
    row("**package file**", files.before_bytes, files.after_bytes);
    row("**contents**", diff.before_bytes, diff.after_bytes);
    for p in &diff.packages {
        row(&cell(&named(p)), p.before_bytes, p.after_bytes);
    }
    let bounds = bounds(files, facts);
    let facts = changed(facts).into_iter().map(|(what, was, is)| format!("{what}: {was} -> {is}"));
    let lines: Vec<String> =
        bounds.into_iter().chain(facts).map(|line| format!("- {}\n", cell(&line))).collect();
    if !lines.is_empty() {
        out += &format!("\n{}", lines.concat());
    }
    if !diff.is_empty() {
        let _ = writeln!(out, "\n<details><summary>{} paths</summary>\n", diff.paths.len());
        out.push_str("| path | | change |\n|---|---|---:|\n");
        for p in diff.paths.iter().take(SHOWN_PATHS) {
            let size = signed(p.before_bytes, p.after_bytes);
            let _ = writeln!(out, "| `{}` | {} | {size} |", cell(&path_text(p)), word(p.change));
        }
        out.push_str("\n</details>\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_exceeded_is_told_in_bytes() {
        let told = |limit: &str, before_bytes, after_bytes| {
            let limit = limit.parse().expect("is a limit");
            Files { before_bytes, after_bytes, limit: Some(limit) }.excess()
        };
        assert_eq!(told("0", 1_300_000, 1_300_000), None);
        let text = "the package grew by 7 bytes, from 1300000 bytes to 1300007 bytes: \
                    7 bytes over the limit of 0 bytes";
        assert_eq!(told("0", 1_300_000, 1_300_007).as_deref(), Some(text));
        let text = "the package grew by 200000 bytes, from 1.0 MB to 1.2 MB: \
                    150000 bytes over the limit of 5 %";
        assert_eq!(told("5%", 1_000_000, 1_200_000).as_deref(), Some(text));
    }
}
