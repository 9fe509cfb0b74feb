//! `tinyroot diff`: what changed between two packages, in bytes.

use std::{fmt::Write as _, path::PathBuf};

use crate::{
    artifact::{self, Papers},
    cli::{Context, Failure, print, size_text},
    diff::{Change, Limit, SizeDiff, diff},
};

/// Paths that the text forms list; JSON has all.
const SHOWN_PATHS: usize = 50;

/// Compare two packages by size: by Debian package and by path
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The older package
    #[arg(value_name = "A")]
    before: PathBuf,
    /// The newer package
    #[arg(value_name = "B")]
    after: PathBuf,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit with 3 if B is larger than A by more than this: bytes (200 kB) or a percentage (5%)
    #[arg(long, value_name = "LIMIT")]
    fail_over: Option<Limit>,
}

/// How the result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For reading
    Text,
    /// One document
    Json,
    /// For a comment on a change
    Markdown,
}

/// Two sizes of one file.
#[derive(Clone, Copy)]
struct Files {
    before_bytes: u64,
    after_bytes: u64,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let store = context.reading_store()?;
    let before = artifact::open(&args.before, &store, &context.progress)?;
    let after = artifact::open(&args.after, &store, &context.progress)?;
    let papers = (Papers::read(&before.tree, &store), Papers::read(&after.tree, &store));
    let result =
        diff(&before.tree, &after.tree, |path| papers.0.heading(path), |path| papers.1.heading(path));
    let files = Files { before_bytes: before.size_bytes, after_bytes: after.size_bytes };
    match if context.global.json { Format::Json } else { args.format } {
        Format::Json => {
            let mut document = serde_json::to_value(&result)?;
            document["artifact_before_bytes"] = files.before_bytes.into();
            document["artifact_after_bytes"] = files.after_bytes.into();
            if let Some(limit) = args.fail_over {
                document["limit_bytes"] = limit.bytes_of(files.before_bytes).into();
                document["over_limit_bytes"] =
                    limit.exceeded_by(files.before_bytes, files.after_bytes).into();
            }
            print(&format!("{}\n", serde_json::to_string_pretty(&document)?))?;
        }
        Format::Text => print(&text(&result, files))?,
        Format::Markdown => print(&markdown(&result, files))?,
    }
    match args.fail_over {
        Some(limit) => within(limit, files),
        None => Ok(()),
    }
}

fn within(limit: Limit, files: Files) -> Result<(), Failure> {
    let Files { before_bytes, after_bytes } = files;
    let over = limit.exceeded_by(before_bytes, after_bytes);
    if over == 0 {
        return Ok(());
    }
    let (from, to) = size_texts(before_bytes, after_bytes);
    let grown = after_bytes.saturating_sub(before_bytes);
    Err(Failure::exceeded(format!(
        "the package grew by {grown} bytes, from {from} to {to}: {over} bytes over the limit of {limit}"
    )))
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
        Change::Changed => "changed",
        Change::Metadata => "metadata",
    }
}

fn text(diff: &SizeDiff, files: Files) -> String {
    let mut out = String::new();
    let mut total = |what: &str, before, after| {
        let (from, to) = size_texts(before, after);
        let _ = writeln!(out, "{:>10}  {what}: {from} -> {to}", signed(before, after));
    };
    total("package file", files.before_bytes, files.after_bytes);
    total("contents", diff.before_bytes, diff.after_bytes);
    if diff.is_empty() {
        out.push_str("the contents are the same\n");
        return out;
    }
    out.push_str("\nby package\n");
    for p in &diff.packages {
        let size = signed(p.before_bytes, p.after_bytes);
        let _ = writeln!(out, "{size:>10}  {} ({} changed)", p.package, p.paths);
    }
    out.push_str("\nby path\n");
    for p in diff.paths.iter().take(SHOWN_PATHS) {
        let size = signed(p.before_bytes, p.after_bytes);
        let _ = writeln!(out, "{size:>10}  {:<8}  /{}  {}", word(p.change), p.path, p.package);
    }
    if diff.paths.len() > SHOWN_PATHS {
        let _ = writeln!(out, "{:>10}  and {} more paths", "", diff.paths.len() - SHOWN_PATHS);
    }
    out
}

fn markdown(diff: &SizeDiff, files: Files) -> String {
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
        row(&cell(&p.package), p.before_bytes, p.after_bytes);
    }
    if !diff.is_empty() {
        let _ = writeln!(out, "\n<details><summary>{} paths</summary>\n", diff.paths.len());
        out.push_str("| path | | change |\n|---|---|---:|\n");
        for p in diff.paths.iter().take(SHOWN_PATHS) {
            let size = signed(p.before_bytes, p.after_bytes);
            let _ = writeln!(out, "| `/{}` | {} | {size} |", cell(&p.path), word(p.change));
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
            within(limit, Files { before_bytes, after_bytes }).err().map(|failure| failure.to_string())
        };
        assert_eq!(told("0", 1_300_000, 1_300_000), None);
        let text = "limit exceeded: the package grew by 7 bytes, from 1300000 bytes to 1300007 bytes: \
                    7 bytes over the limit of 0 bytes";
        assert_eq!(told("0", 1_300_000, 1_300_007).as_deref(), Some(text));
        let text = "limit exceeded: the package grew by 200000 bytes, from 1.0 MB to 1.2 MB: \
                    150000 bytes over the limit of 5 %";
        assert_eq!(told("5%", 1_000_000, 1_200_000).as_deref(), Some(text));
    }
}
