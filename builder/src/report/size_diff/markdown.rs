//! The difference for a comment on a change.

use std::fmt::Write as _;

use super::{
    SizeReport,
    words::{CONTAINER, METADATA, named, path_text, signed, size_texts, word},
};

/// Paths that are listed; JSON has all.
const SHOWN_PATHS: usize = 50;

/// Returns the report in Markdown.
pub(super) fn markdown(report: &SizeReport) -> String {
    let diff = &report.diff;
    let is_packed = diff.sizes.packed().is_some();
    let mut out = String::from("| | before | after | change |\n|---|---:|---:|---:|\n");
    let cell = |text: &str| text.replace('|', "\\|");
    let mut row = |what: &str, (before, after)| {
        let change = signed((before, after));
        let (from, to) = size_texts(before, after);
        let _ = writeln!(out, "| {what} | {from} | {to} | {change} |");
    };
    if let (Some(before), Some(after)) = report.files() {
        row(if report.are_packages() { "**package file**" } else { "**file**" }, (before, after));
    }
    row("**installed**", (diff.sizes.before_bytes, diff.sizes.after_bytes));
    for p in &diff.packages {
        row(&cell(&named(p)), p.sizes.deciding());
    }
    if is_packed {
        row("other packages", diff.unchanged.packages.sizes.deciding());
    }
    for (sizes, what) in report.besides_files().into_iter().zip([METADATA, CONTAINER]) {
        sizes.into_iter().for_each(|sizes| row(what, sizes));
    }
    let facts = report.changed_facts().into_iter().map(|(what, was, is)| format!("{what}: {was} -> {is}"));
    let lines: Vec<String> = report
        .bounds()
        .into_iter()
        .chain(facts)
        .chain(report.unpriced())
        .map(|line| format!("- {}\n", cell(&line)))
        .collect();
    if !lines.is_empty() {
        out += &format!("\n{}", lines.concat());
    }
    if !diff.is_empty() {
        let _ = writeln!(out, "\n<details><summary>{} paths</summary>\n", diff.paths.len());
        out.push_str("| path | | change |\n|---|---|---:|\n");
        for p in diff.paths.iter().take(SHOWN_PATHS) {
            let size = signed(p.sizes.deciding());
            let _ = writeln!(out, "| `{}` | {} | {size} |", cell(&path_text(p)), word(p.change));
        }
        out.push_str("\n</details>\n");
    }
    out
}
