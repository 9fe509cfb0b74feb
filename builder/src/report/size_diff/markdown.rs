//! The difference for a comment on a merge request.
//!
//! GitHub takes comments of 65 536 characters, GitLab such of 1 000 000; what is written here is no longer
//! than [`LIMIT_BYTES`]: the longest tables end earlier, and say how many rows they left out. All words of
//! packages stand in code, which takes no markup, mentions nobody and links to nothing.

use std::fmt::Write as _;

use super::{
    SizeReport,
    words::{
        CONTAINER, METADATA, cause, counted, entry_head, gained, named, path_text, same_changelog, shortened,
        shown_of, signed, size_texts, word,
    },
};
use crate::{
    diff::{PackageChange, Rest, Sizes},
    progress::size_text,
    shown,
};

/// The longest comment.
const LIMIT_BYTES: usize = 65_000;

/// Characters of a name or a clause that are shown.
const WIDTH: usize = 200;

/// Packages that are shown without unfolding.
const UNFOLDED: usize = 15;

/// A part of the comment.
struct Part {
    /// What stands before its rows, with an end of line.
    head: String,
    /// Its rows, each with an end of line; those at the end are left out first.
    rows: Vec<String>,
    /// What one of its rows and several are called.
    noun: (&'static str, &'static str),
    /// The row that says how many were left out.
    left_out: fn(&str) -> String,
    /// What stands after its rows.
    foot: String,
}

impl Part {
    /// Returns how many of its rows have no more bytes than that together.
    fn rows_within(&self, share_bytes: usize) -> usize {
        let mut used = 0_usize;
        let fits = |row: &&String| {
            used += row.len();
            used <= share_bytes
        };
        self.rows.iter().take_while(fits).count()
    }

    /// Writes it with so many of its rows.
    fn write(&self, out: &mut String, count: usize) {
        out.push_str(&self.head);
        self.rows.iter().take(count).for_each(|row| out.push_str(row));
        if let Some(left) = self.rows.len().checked_sub(count).filter(|left| *left > 0) {
            *out += &(self.left_out)(&format!(
                "and {left} more {}",
                if left == 1 { self.noun.0 } else { self.noun.1 }
            ));
        }
        out.push_str(&self.foot);
    }
}

/// Returns the report in Markdown.
pub(super) fn markdown(report: &SizeReport) -> String {
    let diff = &report.diff;
    let mut parts = vec![totals(report)];
    let (packages, touched) = shown_of(&diff.packages);
    let rests: Vec<String> =
        in_times(&touched, "package", "packages").into_iter().chain(rest_row(report)).collect();
    let (shown, folded) = packages.split_at(packages.len().min(UNFOLDED));
    if !shown.is_empty() || touched.count > 0 {
        let unit = if diff.sizes.packed().is_some() { "compressed" } else { "installed" };
        let head = format!("\n| package, {unit} | before | after | change |\n|---|---:|---:|---:|\n");
        let mut rows: Vec<String> = shown.iter().map(|package| package_row(package)).collect();
        rows.extend(rests.iter().filter(|_| folded.is_empty()).cloned());
        parts.push(table(head, rows, ("package", "packages"), ""));
    }
    if !folded.is_empty() {
        let mut rows: Vec<String> = folded.iter().map(|package| package_row(package)).collect();
        rows.extend(rests);
        let title = counted(folded.len(), "more package", "more packages");
        parts.push(table(fold(&title, "package"), rows, ("package", "packages"), FOLD_END));
    }
    if !diff.directories.is_empty() {
        let (directories, touched) = shown_of(&diff.directories);
        let rows = directories.iter().map(|d| size_row(&code(&d.path), &d.sizes));
        let rows = rows.chain(in_times(&touched, "directory", "directories")).collect();
        let title = counted(diff.directories.len(), "directory", "directories");
        parts.push(table(fold(&title, "directory"), rows, ("directory", "directories"), FOLD_END));
    }
    if !diff.paths.is_empty() {
        let (paths, touched) = shown_of(&diff.paths);
        let rows = paths
            .iter()
            .map(|path| size_row(&format!("{} {}", word(path.change), code(&path_text(path))), &path.sizes));
        let rows = rows.chain(in_times(&touched, "path", "paths")).collect();
        let title = counted(diff.paths.len(), "path", "paths");
        parts.push(table(fold(&title, "path"), rows, ("path", "paths"), FOLD_END));
    }
    let entries: Vec<String> = diff
        .packages
        .iter()
        .filter(|package| same_changelog(&diff.packages, package).is_none())
        .flat_map(changelog)
        .collect();
    if !entries.is_empty() {
        parts.push(Part {
            head: "\n<details><summary>What the changelogs say</summary>\n".to_owned(),
            rows: entries,
            noun: ("entry", "entries"),
            left_out: |text| format!("\n{text}\n"),
            foot: FOLD_END.to_owned(),
        });
    }
    within(LIMIT_BYTES, &parts)
}

/// Writes parts with as many of their rows as the limit allows: no part's rows have more bytes than a share
/// that is the same for all, so the longest parts are cut.
fn within(limit_bytes: usize, parts: &[Part]) -> String {
    let written = |share_bytes: usize| {
        let mut out = String::new();
        parts.iter().for_each(|part| part.write(&mut out, part.rows_within(share_bytes)));
        out
    };
    let all = written(usize::MAX);
    if all.len() <= limit_bytes {
        return all;
    }
    // The largest share that fits.
    let (mut fits, mut exceeds) = (0, limit_bytes + 1);
    while exceeds - fits > 1 {
        let middle = fits + (exceeds - fits) / 2;
        if written(middle).len() <= limit_bytes { fits = middle } else { exceeds = middle }
    }
    written(fits)
}

const FOLD_END: &str = "\n</details>\n";

/// Returns the head of a table that is folded.
fn fold(title: &str, column: &str) -> String {
    format!(
        "\n<details><summary>{title}</summary>\n\n| {column} | before | after | change |\n|---|---:|---:|---:|\n"
    )
}

fn table(head: String, rows: Vec<String>, noun: (&'static str, &'static str), foot: &str) -> Part {
    Part { head, rows, noun, left_out: |text| format!("| {text} | | | |\n"), foot: foot.to_owned() }
}

/// Returns what stands first: both totals, limits, and what else differs.
fn totals(report: &SizeReport) -> Part {
    let sizes = &report.diff.sizes;
    let mut out = String::from("| | before | after | change |\n|---|---:|---:|---:|\n");
    match report.files() {
        (Some(before), Some(after)) => {
            out += &row(if report.are_packages() { "**package file**" } else { "**file**" }, (before, after));
        }
        (before, after) => {
            let text = |size: Option<u64>| size.map_or_else(String::new, size_text);
            let _ = writeln!(out, "| **file** | {} | {} | |", text(before), text(after));
        }
    }
    if let Some((sizes, what)) = report.packed_otherwise() {
        out += &row(&what, sizes);
    }
    out += &row("**installed**", (sizes.before_bytes, sizes.after_bytes));
    for (sizes, what) in report.besides_files().into_iter().zip([METADATA, CONTAINER]) {
        sizes
            .filter(|(before, after)| before != after)
            .into_iter()
            .for_each(|sizes| out += &row(what, sizes));
    }
    let mut lines = report.bounds_told();
    for (what, was, is) in report.changed_facts() {
        lines.push(format!("{what}: {} -> {}", code(&was), code(&is)));
    }
    lines.extend(report.unpriced());
    lines.extend(report.all_but_proof().map(str::to_owned));
    if report.diff.is_empty() {
        lines.push("the contents are the same".to_owned());
    }
    for (at, line) in lines.into_iter().enumerate() {
        let _ = writeln!(out, "{}- {line}", if at == 0 { "\n" } else { "" });
    }
    Part { head: out, rows: Vec::new(), noun: ("", ""), left_out: |_| String::new(), foot: String::new() }
}

fn row(what: &str, (before, after): (u64, u64)) -> String {
    let (from, to) = size_texts(before, after);
    format!("| {what} | {from} | {to} | {} |\n", signed((before, after)))
}

fn size_row(what: &str, sizes: &Sizes) -> String {
    row(what, sizes.deciding())
}

fn package_row(package: &PackageChange) -> String {
    let notes = gained(package).into_iter().chain(cause(package).map(code));
    let notes: String = notes.map(|note| format!("<br>{note}")).collect();
    size_row(&format!("{}{notes}", code(&named(package))), &package.sizes)
}

/// Returns the row of those of which nothing but times differs.
fn in_times(rest: &Rest, one: &str, many: &str) -> Option<String> {
    let what = format!("{}, times alone differ", counted(rest.count, one, many));
    (rest.count > 0).then(|| size_row(&what, &rest.sizes))
}

/// Returns the row of the packages that are the same in both, where they take other bytes all the same.
fn rest_row(report: &SizeReport) -> Option<String> {
    let Rest { count, sizes } = &report.diff.unchanged.packages;
    let (before, after) = sizes.packed().filter(|(before, after)| before != after)?;
    Some(row(
        &counted(*count, "other package, the same in both", "other packages, the same in both"),
        (before, after),
    ))
}

/// Returns the entries of a package's changelog.
fn changelog(package: &PackageChange) -> Vec<String> {
    let entry = |entry: &crate::formats::changelog::Entry| {
        // A fence that no line of the text can end.
        let longest = entry.text.split(|c| c != '~').map(str::len).max().unwrap_or_default();
        let fence = "~".repeat(longest.max(2) + 1);
        let head = code(&format!("{} {}", package.package, entry_head(entry)));
        format!("\n{head}\n\n{fence}\n{}\n{fence}\n", shown::lines(&entry.text))
    };
    package.changelog.iter().map(entry).collect()
}

/// Returns a foreign text as code in a cell of a table. What would end the code or the cell is written as a
/// reference to a character.
fn code(text: &str) -> String {
    let text = shortened(&shown::line(text), WIDTH);
    let is_plain = |c: char| !matches!(c, '`' | '|' | '\\') && !c.is_control();
    if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with(' ') && !text.ends_with(' ') {
        return format!("`{text}`");
    }
    let mut out = String::from("<code>");
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | ' ') {
            out.push(c);
        } else {
            let _ = write!(out, "&#{};", u32::from(c));
        }
    }
    out + "</code>"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(rows: usize, width: usize) -> Part {
        table("head\n".into(), vec![format!("| {} |\n", "x".repeat(width)); rows], ("row", "rows"), "foot\n")
    }

    #[test]
    fn the_longest_tables_are_cut_and_say_by_how_much() {
        let parts = [part(3, 10), part(5000, 100)];
        let out = within(20_000, &parts);
        assert!(out.len() <= 20_000 && out.len() > 19_000, "{}", out.len());
        assert_eq!(out.matches("xxxxxxxxxx |").count(), 3 + (out.matches(&"x".repeat(100)).count()));
        let left = 5000 - out.matches(&"x".repeat(100)).count();
        assert!(out.contains(&format!("| and {left} more rows | | | |\nfoot\n")), "{out}");
        assert!(!within(1 << 20, &parts).contains("more rows"));
    }

    #[test]
    fn foreign_words_are_code() {
        for (text, expected) in [
            ("/usr/bin/<b>@team</b>", "`/usr/bin/<b>@team</b>`"),
            ("a`b", "<code>a&#96;b</code>"),
            ("a|b.c", "<code>a&#124;b&#46;c</code>"),
            ("a\\|b", "<code>a&#92;&#124;b</code>"),
            ("</code>`", "<code>&#60;/code&#62;&#96;</code>"),
            ("", "<code></code>"),
        ] {
            assert_eq!(code(text), expected);
        }
        assert!(code(&"`".repeat(5000)).len() < 5 * WIDTH + 20);
    }
}
