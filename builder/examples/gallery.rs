//! Writes `recipes/GALLERY.md`: a line for each recipe, of what `.ci/gallery` built and proved.
//!
//! ```text
//! cargo run --example gallery -- PACKAGES            compare with the table
//! cargo run --example gallery -- PACKAGES --write    write it
//! ```
//!
//! `PACKAGES` is a directory with `builds.json`, which `tinyroot build recipes/* --json` printed, and for each
//! recipe `NAME.json`, which `tinyroot check NAME.spk --coverage --json` printed. Exits 1 where a recipe failed,
//! missed a pruned path, grew by more than a hundredth, lost steps, or is not in the table. Seconds are told, and
//! judged by nobody.

#![allow(clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use serde_json::Value;

#[derive(Parser)]
struct Arguments {
    /// What `.ci/gallery` made
    packages: PathBuf,
    /// Write the table instead of comparing with it
    #[arg(long)]
    write: bool,
    /// Tell no times: something of the builds was cached
    #[arg(long)]
    untimed: bool,
}

/// A recipe's line.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    /// What the app is, and on what it runs.
    app: String,
    size_bytes: u64,
    steps: u64,
    misses: u64,
    /// Of the app's own files, those that the exercise reached; `None` where nobody measured it.
    reached: Option<[u64; 2]>,
    /// `None` where something was cached.
    seconds: Option<u64>,
}

type Table = BTreeMap<String, Line>;

/// What a package may grow by without a word.
const GROWTH: f64 = 0.01;

const HEAD: &str = "\
# The gallery

What `.ci/gallery` built and proved, several recipes side by side on two cores. *reached*: files of the app's own that the exercise used, of all
([coverage](../docs/pruning.md#what-the-proof-does-not-say)). *time*: of the build from empty caches, from its first stage to its end.

| recipe | app | package | steps | misses | reached | time |
|---|---|--:|--:|--:|--:|--:|
";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    let file = recipes.join("GALLERY.md");
    let known = read(&fs::read_to_string(&file).unwrap_or_default());
    let (mut table, mut faults) = built(&arguments.packages, &recipes)?;
    if arguments.untimed {
        table.values_mut().for_each(|line| line.seconds = None);
    }
    let text = write(&table);
    print!("{text}");
    faults.extend(changes(&known, &table));
    if arguments.write {
        fs::write(&file, text)?;
    }
    for fault in &faults {
        println!("{fault}");
    }
    Ok(if faults.is_empty() || arguments.write { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the lines of the recipes that were built, and what went wrong with others.
fn built(packages: &Path, recipes: &Path) -> Result<(Table, Vec<String>), Box<dyn Error>> {
    let builds: Value = serde_json::from_slice(&fs::read(packages.join("builds.json"))?)?;
    let mut table = Table::new();
    let mut faults = Vec::new();
    for build in builds["recipes"].as_array().into_iter().flatten() {
        let name = build["name"].as_str().unwrap_or_default();
        let result = &build["result"];
        if let Some(error) = result.get("error") {
            faults.push(format!("{name}: {}", error["message"].as_str().unwrap_or("failed")));
        }
        let Some(size_bytes) = result["size_bytes"].as_u64() else { continue };
        let count = |field: &str| result["proof"][field].as_u64().unwrap_or_default();
        let checked = fs::read(packages.join(format!("{name}.json"))).ok();
        let checked: Option<Value> = checked.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let own = checked.as_ref().map(|checked| &checked["coverage"]["total"]);
        let reached = own.and_then(|own| Some([own["reached_files"].as_u64()?, own["files"].as_u64()?]));
        let line = Line {
            app: told(&fs::read_to_string(recipes.join(name).join("recipe.toml"))?),
            size_bytes,
            steps: count("steps"),
            misses: count("misses"),
            reached,
            seconds: build["seconds"].as_f64().map(|seconds| seconds.round() as u64),
        };
        table.insert(name.to_owned(), line);
    }
    Ok((table, faults))
}

/// Returns the first sentence of a recipe's first comment.
fn told(recipe: &str) -> String {
    let comment: Vec<&str> = recipe.lines().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
    let comment = comment.join(" ");
    let sentence = comment.split_once(". ").map_or(&comment[..], |(sentence, _)| sentence);
    sentence.trim_end_matches('.').to_owned()
}

fn write(table: &Table) -> String {
    let mut text = HEAD.to_owned();
    for (name, line) in table {
        let reached =
            line.reached.map_or_else(|| "-".to_owned(), |[reached, all]| format!("{reached} of {all}"));
        let Line { app, size_bytes, steps, misses, .. } = line;
        let time = line.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
        let size = *size_bytes as f64 / 1e6;
        text += &format!("| `{name}` | {app} | {size:.2} MB | {steps} | {misses} | {reached} | {time} |\n");
    }
    text
}

/// Reads what [`write`] wrote; other lines are not of the table.
fn read(text: &str) -> Table {
    let lines = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.trim_end_matches(" |").split(" | ").collect();
        let [name, app, size, steps, misses, reached, seconds] = cells[..] else { return None };
        let reached =
            reached.split_once(" of ").and_then(|(n, all)| Some([n.parse().ok()?, all.parse().ok()?]));
        let line = Line {
            app: app.to_owned(),
            size_bytes: (size.strip_suffix(" MB")?.parse::<f64>().ok()? * 1e6).round() as u64,
            steps: steps.parse().ok()?,
            misses: misses.parse().ok()?,
            reached,
            seconds: seconds.strip_suffix(" s").and_then(|seconds| seconds.parse().ok()),
        };
        Some((name.trim_end_matches('`').to_owned(), line))
    });
    lines.collect()
}

/// Returns what somebody ought to look at.
fn changes(known: &Table, table: &Table) -> Vec<String> {
    let mut changes = Vec::new();
    for (name, line) in table {
        if line.misses > 0 {
            changes.push(format!("{name}: {} pruned paths were requested", line.misses));
        }
        let Some(before) = known.get(name) else {
            changes.push(format!("{name}: not in recipes/GALLERY.md"));
            continue;
        };
        let growth = line.size_bytes as f64 / before.size_bytes as f64 - 1.0;
        if growth.abs() > GROWTH {
            changes.push(format!("{name}: {:+.1} % since the table was written", growth * 100.0));
        }
        if line.steps < before.steps {
            changes.push(format!("{name}: {} steps instead of {}", line.steps, before.steps));
        }
    }
    let lost = known.keys().filter(|name| !table.contains_key(*name));
    changes.extend(lost.map(|name| format!("{name}: not built, and in recipes/GALLERY.md")));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            app: "A wiki: PHP, nginx".into(),
            size_bytes: 10_270_000,
            steps: 31,
            misses: 0,
            reached: Some([12, 40]),
            seconds: Some(65),
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let unmeasured = Line { reached: None, seconds: None, ..line() };
        let table = Table::from([("wiki".to_owned(), line()), ("tea".to_owned(), unmeasured)]);
        assert_eq!(read(&write(&table)), table);
    }

    #[test]
    fn what_is_told_of_an_app_is_a_sentence() {
        assert_eq!(told("# A wiki on nginx 1.2. Pages are\n# in /var.\n\n[app]\n"), "A wiki on nginx 1.2");
        assert_eq!(told("# Tea,\n# with milk\n"), "Tea, with milk");
    }

    #[test]
    fn growth_lost_steps_and_misses_are_told() {
        let known = Table::from([("wiki".to_owned(), line()), ("gone".to_owned(), line())]);
        let larger = Line { size_bytes: 10_470_000, steps: 30, misses: 2, ..line() };
        let table = Table::from([("wiki".to_owned(), larger), ("new".to_owned(), line())]);
        assert_eq!(
            changes(&known, &table),
            [
                "new: not in recipes/GALLERY.md",
                "wiki: 2 pruned paths were requested",
                "wiki: +1.9 % since the table was written",
                "wiki: 30 steps instead of 31",
                "gone: not built, and in recipes/GALLERY.md",
            ]
        );
        assert_eq!(changes(&known, &known), [""; 0]);
    }
}
