//! Words that the renderers share.

use crate::{
    diff::{Change, PackageChange, PathChange},
    progress::size_text,
};

/// The names of the bytes that are in no file.
pub(super) const METADATA: &str = "names, modes and the signature";
pub(super) const CONTAINER: &str = "headers, checks and the index";

/// Returns a package's name with its version, or with both names and versions.
pub(super) fn named(p: &PackageChange) -> String {
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
pub(super) fn path_text(p: &PathChange) -> String {
    match &p.path_before {
        Some(before) => format!("/{before} -> {}", p.path.rsplit('/').next().unwrap_or_default()),
        None => format!("/{}", p.path),
    }
}

/// Returns two sizes as texts; in bytes where they would read the same and are not.
pub(super) fn size_texts(before: u64, after: u64) -> (String, String) {
    let texts = (size_text(before), size_text(after));
    match before != after && texts.0 == texts.1 {
        true => (format!("{before} bytes"), format!("{after} bytes")),
        false => texts,
    }
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
    }
}

/// Returns a number with its noun.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}
