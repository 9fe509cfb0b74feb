//! The difference for reading on a terminal.

use std::fmt::Write as _;

use super::{
    SizeReport,
    words::{
        CONTAINER, METADATA, cause, changed, counted, ended, entry_head, entry_start, gained,
        name_and_versions, path_and_new_name, same_changelog, shortened, shown_of, signed, size_texts, word,
    },
};
use crate::{
    diff::{PackageChange, Rest, Sizes},
    progress::size_text,
    shown,
};

/// Paths and directories that are listed; JSON has all.
const SHOWN: usize = 50;

/// Entries of a changelog whose heads are shown.
const SHOWN_ENTRIES: usize = 3;

/// Where lines begin that go on with the one before.
const INDENT: usize = 14;

/// The columns that a line takes if its words allow it.
const COLUMNS: usize = 98;

/// Returns the report for reading.
pub(super) fn text(report: &SizeReport) -> String {
    let diff = &report.diff;
    let mut out = String::new();
    let mut total = |what: &str, (before, after)| {
        let (from, to) = size_texts(before, after);
        let _ = writeln!(out, "{:>10}  {what}: {from} -> {to}", signed((before, after)));
    };
    match report.files() {
        (Some(before), Some(after)) if report.are_packages() => total("package file", (before, after)),
        (Some(before), Some(after)) => total("file", (before, after)),
        _ => {}
    }
    if let Some(said) = report.only_file() {
        let _ = writeln!(out, "{:>10}  {said}", "");
    }
    let Sizes { before_bytes, after_bytes, .. } = diff.sizes;
    let mut total = |what: &str, (before, after)| {
        let (from, to) = size_texts(before, after);
        let _ = writeln!(out, "{:>10}  {what}: {from} -> {to}", signed((before, after)));
    };
    total("installed", (before_bytes, after_bytes));
    if let Some((sizes, what)) = report.packed_otherwise() {
        total(&what, sizes);
    }
    for line in report.bounds_told() {
        let _ = writeln!(out, "{:>10}  {line}", "");
    }
    for (what, was, is) in report.changed_facts() {
        line(&mut out, &format!("{what:>10}"), &was, &[format!("-> {is}")]);
    }
    if let Some(line) = report.unpriced() {
        let _ = writeln!(out, "{:>10}  {line}", "");
    }
    if let Some(said) = report.all_but_proof() {
        out.push_str(said);
        out.push('\n');
        return out;
    }
    if diff.is_empty() {
        out.push_str("the contents are the same\n");
        if diff.packages.is_empty() && diff.directories.is_empty() && diff.paths.is_empty() {
            return out;
        }
    }
    let is_packed = diff.sizes.packed().is_some();
    let head = |out: &mut String, title: &str, is_long: bool| {
        let (unit, last) = if is_packed { ("compressed", "installed") } else { ("installed", "") };
        let last = if is_long { format!("{last:>11}") } else { String::new() };
        let _ = writeln!(out, "\n{title}, {unit}\n{:>10}{:>10}{:>10}{last}", "change", "before", "after");
    };

    head(&mut out, "by package", true);
    let (packages, touched) = shown_of(&diff.packages);
    for p in packages {
        let (name, versions) = name_and_versions(p);
        let changed: Vec<String> = changed(p).into_iter().chain(gained(p)).collect();
        let changed = (!changed.is_empty()).then(|| format!("({})", changed.join(", ")));
        let notes: Vec<String> =
            versions.into_iter().chain(changed).chain(cause(p).map(str::to_owned)).collect();
        line(&mut out, &cells(&p.sizes, true), &name, &notes);
        changelog(&mut out, p, &diff.packages);
    }
    in_times(&mut out, &touched, "package", "packages", true);
    rest(&mut out, &diff.unchanged.packages, "other package", "other packages", true);
    for (sizes, what) in report.besides_files().into_iter().zip([METADATA, CONTAINER]) {
        if let Some(sizes) = sizes {
            line(&mut out, &format!("{}{:11}", triple(sizes), ""), what, &[]);
        }
    }

    head(&mut out, "by directory", true);
    let (directories, touched) = shown_of(&diff.directories);
    for directory in directories.iter().take(SHOWN) {
        let changed = match directory.files {
            0 => "(no file changed)".to_owned(),
            count => format!("({count} changed)"),
        };
        line(&mut out, &cells(&directory.sizes, true), &directory.path, &[changed]);
    }
    more(&mut out, directories.len(), "directory", "directories");
    in_times(&mut out, &touched, "directory", "directories", true);
    rest(&mut out, &diff.unchanged.directories, "other directory", "other directories", true);

    head(&mut out, "by path", false);
    let (paths, touched) = shown_of(&diff.paths);
    for p in paths.iter().take(SHOWN) {
        let start = format!("{}  {:<8}", cells(&p.sizes, false), word(p.change));
        let (path, renamed) = path_and_new_name(p);
        let notes: Vec<String> = renamed.into_iter().chain([p.package.clone()]).collect();
        line(&mut out, &start, &path, &notes);
    }
    more(&mut out, paths.len(), "path", "paths");
    in_times(&mut out, &touched, "path", "paths", false);
    rest(&mut out, &diff.unchanged.paths, "other path", "other paths", false);
    out
}

/// Writes the heads of the entries of a package's changelog; one that stands there already is named.
fn changelog(out: &mut String, package: &PackageChange, packages: &[PackageChange]) {
    if let Some(other) = same_changelog(packages, package) {
        let _ = writeln!(out, "{:INDENT$}changelog as that of {}", "", shown::name(&other.package));
        return;
    }
    for entry in package.changelog.iter().take(SHOWN_ENTRIES) {
        let text = format!("{}: {}", entry_head(entry), entry_start(entry));
        let _ = writeln!(out, "{:INDENT$}{}", "", ended(&text, COLUMNS - INDENT));
    }
    if let Some(left) = package.changelog.len().checked_sub(SHOWN_ENTRIES).filter(|left| *left > 0) {
        let _ = writeln!(out, "{:INDENT$}and {}", "", counted(left, "older entry", "older entries"));
    }
}

/// Writes the sum of that of which nothing but times differs.
fn in_times(out: &mut String, rest: &Rest, one: &str, many: &str, is_long: bool) {
    if rest.count > 0 {
        let what = counted(rest.count, one, many);
        line(out, &cells(&rest.sizes, is_long), &what, &["(times alone differ)".to_owned()]);
    }
}

/// Writes the sum of what is the same in both, if it takes other bytes all the same.
fn rest(out: &mut String, rest: &Rest, one: &str, many: &str, is_long: bool) {
    if rest.sizes.packed().is_some_and(|(before, after)| before != after) {
        let what = counted(rest.count, one, many);
        line(out, &cells(&rest.sizes, is_long), &what, &["(the same in both)".to_owned()]);
    }
}

/// Writes how many are not listed.
fn more(out: &mut String, count: usize, one: &str, many: &str) {
    if let Some(left) = count.checked_sub(SHOWN).filter(|left| *left > 0) {
        let _ = writeln!(out, "{:>10}  and {left} more {}", "", if left == 1 { one } else { many });
    }
}

/// Returns a change of size, the size before and the size after.
fn triple((before, after): (u64, u64)) -> String {
    format!("{:>10}{:>10}{:>10}", signed((before, after)), size_text(before), size_text(after))
}

/// Returns the sizes that decide, and the change of the installed ones if these are not they.
fn cells(sizes: &Sizes, is_long: bool) -> String {
    let mut cells = triple(sizes.deciding());
    if is_long && sizes.packed().is_some() {
        let _ = write!(cells, "{:>11}", signed((sizes.before_bytes, sizes.after_bytes)));
    }
    cells
}

/// Writes a line: its figures, a name, and notes, which go to lines of their own where they do not fit.
fn line(out: &mut String, figures: &str, name: &str, notes: &[String]) {
    let start = figures.chars().count() + 2;
    let name = shortened(name, COLUMNS - start);
    let mut used = start + name.chars().count();
    let _ = write!(out, "{figures}  {name}");
    for note in notes {
        let note = ended(note, COLUMNS - INDENT);
        let wide = note.chars().count();
        if used + 1 + wide <= COLUMNS {
            let _ = write!(out, " {note}");
            used += 1 + wide;
        } else {
            let _ = write!(out, "\n{:INDENT$}{note}", "");
            used = INDENT + wide;
        }
    }
    out.push('\n');
}
