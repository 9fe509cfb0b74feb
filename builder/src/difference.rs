//! Two trees that should be the same, and where they first are not.
//!
//! Comes in: two trees, each with the store that has its contents. Goes out: the paths that differ, in path
//! order, and for the first files of them the place inside: the line of a text, the section of an ELF file,
//! the member of an archive, and so on down. Nothing is written, nothing run. Contents are foreign: what is
//! decompressed is bounded, and what cannot be read as what it claims to be is compared byte by byte.

mod contents;
mod elf;
mod members;
mod place;
#[cfg(feature = "testing")]
pub(crate) mod readers;

pub use contents::{Contents, Shown, of_bytes};
pub use place::Place;

use std::{borrow::Cow, collections::BTreeSet};

use crate::{
    digest::Digest,
    error::{Hint, PathError},
    store::{Store, StoreError},
    tree::{Entry, Kind, Tree, TreePath},
};

/// The places inside are looked for in so many files.
const MOST_LOOKED_INTO: usize = 8;

/// A tree, and the store that has its contents.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The tree.
    pub tree: &'a Tree,
    /// Has the contents of its files.
    pub store: &'a Store,
}

/// A path that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: TreePath,
    /// How.
    pub what: What,
}

/// How a path differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Only the first has it.
    OnlyFirst,
    /// Only the second has it.
    OnlySecond,
    /// One property has two values: `mode`, 0644, 0755.
    Property {
        /// Its name.
        name: &'static str,
        /// Of the first.
        first: String,
        /// Of the second.
        second: String,
    },
    /// The contents differ.
    Contents {
        /// Length and digest of the first.
        first: (u64, Digest),
        /// Length and digest of the second.
        second: (u64, Digest),
        /// Where inside; `None` in files after the first few.
        inside: Option<Contents>,
    },
}

/// Contents that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot compare the contents of `{path}`")]
pub struct DifferenceError {
    path: TreePath,
    source: StoreError,
}

impl Hint for DifferenceError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        self.source.hint()
    }
}

/// Returns the paths at which two trees differ, in path order; none if they are the same.
///
/// # Errors
/// Contents of a differing file that cannot be read.
pub fn between(first: Side<'_>, second: Side<'_>) -> Result<Vec<Difference>, DifferenceError> {
    let mut out = Vec::new();
    let mut looked_into = 0;
    let paths: BTreeSet<&TreePath> =
        first.tree.iter().chain(second.tree.iter()).map(|(path, _)| path).collect();
    for path in paths {
        let what = match (first.tree.get(path.as_bytes()), second.tree.get(path.as_bytes())) {
            (Some(one), Some(two)) => match of_entries(one, two) {
                Some(what) => what,
                None => continue,
            },
            (Some(_), None) => What::OnlyFirst,
            (None, _) => What::OnlySecond,
        };
        let mut difference = Difference { path: path.clone(), what };
        if let What::Contents { first: (_, one), second: (_, two), inside } = &mut difference.what
            && looked_into < MOST_LOOKED_INTO
        {
            looked_into += 1;
            let failed = |source| DifferenceError { path: path.clone(), source };
            let (one, two) =
                (first.store.blob(one).map_err(failed)?, second.store.blob(two).map_err(failed)?);
            let found = contents::of_blobs(&one, &two);
            let unread = |error| PathError::new("read contents in", first.store.root(), error).into();
            *inside = found.map_err(|error| failed(unread(error)))?;
        }
        out.push(difference);
    }
    Ok(out)
}

/// Returns the first way in which two entries differ.
fn of_entries(first: &Entry, second: &Entry) -> Option<What> {
    let property = |name, first: String, second: String| Some(What::Property { name, first, second });
    match (&first.kind, &second.kind) {
        (Kind::File { digest: one, size_bytes: a, .. }, Kind::File { digest: two, size_bytes: b, .. })
            if one != two =>
        {
            return Some(What::Contents { first: (*a, *one), second: (*b, *two), inside: None });
        }
        (Kind::File { hard_link: one, .. }, Kind::File { hard_link: two, .. }) if one != two => {
            let name = |link: &Option<TreePath>| link.as_ref().map_or("none".into(), ToString::to_string);
            return property("hard link", name(one), name(two));
        }
        (Kind::Symlink { target: one }, Kind::Symlink { target: two }) if one != two => {
            let text = |target: &[u8]| target.escape_ascii().to_string();
            return property("target", text(one), text(two));
        }
        (one, two) if one != two => return property("kind", word(one), word(two)),
        _ => {}
    }
    if first.mode != second.mode {
        return property("mode", format!("{:04o}", first.mode), format!("{:04o}", second.mode));
    }
    if (first.uid, first.gid) != (second.uid, second.gid) {
        let owner = |entry: &Entry| format!("{}:{}", entry.uid, entry.gid);
        return property("owner", owner(first), owner(second));
    }
    if first.mtime_s != second.mtime_s {
        return property("time", time(first.mtime_s), time(second.mtime_s));
    }
    if first.xattrs != second.xattrs {
        let names = |entry: &Entry| {
            let texts = entry
                .xattrs
                .iter()
                .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()));
            texts.collect::<Vec<_>>().join(" ")
        };
        return property("extended attributes", names(first), names(second));
    }
    None
}

fn time(time_s: i64) -> String {
    jiff::Timestamp::from_second(time_s).map_or_else(|_| time_s.to_string(), |time| time.to_string())
}

fn word(kind: &Kind) -> String {
    match kind {
        Kind::Directory => "directory".into(),
        Kind::File { .. } => "file".into(),
        Kind::Symlink { .. } => "symbolic link".into(),
        Kind::Fifo => "named pipe".into(),
        Kind::CharacterDevice { major, minor } => format!("character device {major}:{minor}"),
        Kind::BlockDevice { major, minor } => format!("block device {major}:{minor}"),
    }
}

#[cfg(test)]
mod tests;
