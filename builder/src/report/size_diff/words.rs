//! Words that the renderers share.

use crate::{
    diff::{CauseKind, Change, DirectoryChange, PackageChange, PathChange, Rest, Sizes},
    formats::changelog::Entry,
    progress::size_text,
    shown,
};

/// The names of the bytes that are in no file.
pub(super) const METADATA: &str = "names, modes and the signature";
pub(super) const CONTAINER: &str = "headers, checks and the index";

/// Returns a package's name with its version, or with both names and versions.
pub(super) fn named(p: &PackageChange) -> String {
    let (name, versions) = name_and_versions(p);
    versions.map_or_else(|| name.clone(), |versions| format!("{name} {versions}"))
}

/// Returns a package's name and its version, or both names and versions.
pub(super) fn name_and_versions(p: &PackageChange) -> (String, Option<String>) {
    if let Some(before) = &p.package_before {
        let versions = match (&p.version_before, &p.version_after) {
            (Some(before), Some(after)) => Some(format!("{before} -> {after}")),
            _ => None,
        };
        return (format!("{before} -> {}", p.package), versions);
    }
    let versions = match (&p.version_before, &p.version_after) {
        (Some(before), Some(after)) if before != after => format!("{before} -> {after}"),
        (Some(before), None) => format!("{before}, gone"),
        (None, Some(after)) => format!("{after}, new"),
        (Some(version), Some(_)) => version.clone(),
        (None, None) => return (p.package.clone(), None),
    };
    (p.package.clone(), Some(versions))
}

/// Returns how a path is shown: of one with another version in its name where it was, and its new name.
pub(super) fn path_text(p: &PathChange) -> String {
    let (path, renamed) = path_and_new_name(p);
    renamed.map_or_else(|| path.clone(), |renamed| format!("{path} {renamed}"))
}

/// Returns a path; of one with another version in its name where it was, and an arrow with its new name, or
/// with its new path, where a directory has another name.
pub(super) fn path_and_new_name(p: &PathChange) -> (String, Option<String>) {
    let Some(before) = &p.path_before else { return (format!("/{}", p.path), None) };
    let (old, new) = (before.rsplit_once('/'), p.path.rsplit_once('/'));
    let renamed = match (old, new) {
        (Some((was, _)), Some((is, name))) if was == is => format!("-> {name}"),
        _ => format!("-> /{}", p.path),
    };
    (format!("/{before}"), Some(renamed))
}

/// Returns two sizes as texts; with as many digits as tell them apart.
pub(super) fn size_texts(before: u64, after: u64) -> (String, String) {
    let texts = (size_text(before), size_text(after));
    if before == after || texts.0 != texts.1 {
        return texts;
    }
    let (unit_bytes, unit) = match before {
        0..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        _ => (1e9, "GB"),
    };
    let exact = |bytes: u64, digits: usize| format!("{:.digits$} {unit}", bytes as f64 / unit_bytes);
    let told = (2..9).find(|digits| exact(before, *digits) != exact(after, *digits)).unwrap_or(9);
    (exact(before, told), exact(after, told))
}

/// Returns a change of size with its sign.
pub(super) fn signed((before, after): (u64, u64)) -> String {
    let sign = if after < before { "-" } else { "+" };
    format!("{sign}{}", size_text(after.abs_diff(before)))
}

/// Returns the word for a kind of change.
pub(super) fn word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Renamed => "renamed",
        Change::Changed => "changed",
        Change::Metadata => "metadata",
        Change::Same => "same",
    }
}

/// Returns a number with its noun.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Returns how many files changed in more than their times, as a note, or how many directories where no file
/// did; nothing where a cause says that none did.
pub(super) fn changed(package: &PackageChange) -> Option<String> {
    let is_sharing = package.cause.as_ref().is_some_and(|cause| cause.kind == CauseKind::Sharing);
    let text = match (package.files, package.paths.saturating_sub(package.touched)) {
        (0, directories) if directories > 0 => {
            format!("{} changed", counted(directories, "directory", "directories"))
        }
        (files, _) => format!("{files} changed"),
    };
    (!is_sharing).then_some(text)
}

/// Returns the changes that are shown, and the sum of those that are not: nothing but times differs in them.
pub(super) fn shown_of<C: Shown>(changes: &[C]) -> (Vec<&C>, Rest) {
    let (folded, shown): (Vec<&C>, Vec<&C>) = changes.iter().partition(|change| change.is_folded());
    let mut rest = Rest::default();
    rest.sizes.packed_before_bytes = Some(0);
    rest.sizes.packed_after_bytes = Some(0);
    folded.iter().for_each(|change| rest.add(change.sizes()));
    (shown, rest)
}

/// A change that is shown, or is one of many that are not.
pub(super) trait Shown {
    fn sizes(&self) -> &Sizes;
    fn is_folded(&self) -> bool;
}

impl Shown for PackageChange {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn is_folded(&self) -> bool {
        self.is_same_but_for_times() && !self.sizes.is_notable()
    }
}

impl Shown for DirectoryChange {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn is_folded(&self) -> bool {
        self.paths == self.touched && !self.sizes.is_notable()
    }
}

impl Shown for PathChange {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn is_folded(&self) -> bool {
        self.is_touched && !self.sizes.is_notable()
    }
}

/// Returns how many files a package gained and lost by pruning; nothing if it did not, or if it is not known.
pub(super) fn gained(package: &PackageChange) -> Option<String> {
    let (gained, lost) = (package.files_gained?, package.files_lost?);
    let files = |count: usize| counted(count, "file", "files");
    match (gained, lost) {
        (0, 0) => None,
        (gained, 0) => Some(format!("{} gained", files(gained))),
        (0, lost) => Some(format!("{} lost", files(lost))),
        (gained, lost) => Some(format!("{} gained, {lost} lost", files(gained))),
    }
}

/// Returns the cause of a package's change, where it says more than the versions do.
pub(super) fn cause(package: &PackageChange) -> Option<&str> {
    let cause = package.cause.as_ref()?;
    let is_told = cause.kind == CauseKind::Version && cause.text == "another version";
    (!is_told).then_some(&cause.text)
}

/// Returns the first line of an entry of a changelog.
pub(super) fn entry_head(entry: &Entry) -> String {
    let distribution = shown::name(&entry.distribution);
    let cves = match &entry.cves[..] {
        [] => String::new(),
        [first, second, rest @ ..] if rest.len() > 1 => {
            format!(" ({first}, {second} and {} more)", rest.len())
        }
        few => format!(" ({})", few.join(", ")),
    };
    format!("{} {distribution}{cves}", shown::name(&entry.version))
}

/// Beginnings of lines that say who uploaded, not what changed.
const UPLOADS: [&str; 4] = ["Non-maintainer upload", "Team upload", "QA upload", "No change rebuild"];

/// Returns the first line of an entry's text that says something.
pub(super) fn entry_start(entry: &Entry) -> String {
    let lines = || entry.text.lines().map(|line| line.trim().trim_start_matches(['*', '-', ' ']));
    let is_said = |line: &&str| !line.is_empty() && !line.starts_with('[');
    let is_of_upload = |line: &&str| UPLOADS.iter().any(|start| line.starts_with(start));
    let start = lines().filter(is_said).find(|line| !is_of_upload(line));
    shown::line(start.or_else(|| lines().find(is_said)).unwrap_or_default()).into_owned()
}

/// Returns a package before another with the same changelog, as those of one source have.
pub(super) fn same_changelog<'p>(
    packages: &'p [PackageChange],
    package: &PackageChange,
) -> Option<&'p PackageChange> {
    let mut before = packages.iter().take_while(|other| other.package != package.package);
    before.find(|other| !other.changelog.is_empty() && other.changelog == package.changelog)
}

/// Returns a text that is no longer than a width, with an ellipsis at its end if it was.
pub(super) fn ended(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Returns a text that is no longer than a width, with an ellipsis in its middle if it was.
pub(super) fn shortened(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let head = width.saturating_sub(1) / 3;
    let tail = width.saturating_sub(1) - head;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - tail).collect();
    format!("{start}…{end}")
}
