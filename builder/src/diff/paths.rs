//! What is at each path, in one of the trees or in both.

use std::collections::BTreeSet;

use super::{Change, PathChange, Side, Sizes, own_bytes};
use crate::tree::{Entry, TreePath};

/// A path in both trees.
pub(super) struct Both<'a> {
    path: &'a TreePath,
    pub sizes: Sizes,
    /// `None` where the entries are equal.
    pub change: Option<Change>,
    /// Whether the time alone differs.
    pub is_touched: bool,
    /// Whether either tree has anything there.
    pub is_there: [bool; 2],
    /// Whether either tree has a file there ([`Kind::counts_as_file`](crate::tree::Kind::counts_as_file)).
    pub is_file: [bool; 2],
    /// Of either tree.
    pub headings: [String; 2],
}

/// Returns all paths of two trees, in order.
pub(super) fn all<'a>(sides: [&'a Side<'a>; 2]) -> impl Iterator<Item = Both<'a>> {
    let paths: BTreeSet<&TreePath> =
        sides.iter().flat_map(|side| side.tree.iter()).map(|(path, _)| path).collect();
    paths.into_iter().map(move |path| Both::at(path, sides))
}

impl<'a> Both<'a> {
    fn at(path: &'a TreePath, sides: [&Side<'_>; 2]) -> Self {
        let entries = sides.map(|side| side.tree.get(path.as_bytes()));
        let [before_bytes, after_bytes] = entries.map(|entry| entry.map_or(0, own_bytes));
        let packed = |side: &Side<'_>| Some(side.packed?.get(path).copied().unwrap_or_default());
        let [packed_before_bytes, packed_after_bytes] = sides.map(packed);
        let is_touched = match entries {
            [Some(old), Some(new)] => old != new && Entry { mtime_s: new.mtime_s, ..old.clone() } == *new,
            _ => false,
        };
        Both {
            path,
            sizes: Sizes { before_bytes, after_bytes, packed_before_bytes, packed_after_bytes },
            change: change(entries),
            is_touched,
            is_there: entries.map(|entry| entry.is_some()),
            // Directories are of many.
            is_file: entries.map(|entry| entry.is_some_and(|entry| entry.kind.counts_as_file())),
            headings: sides.map(|side| (side.heading)(path)),
        }
    }

    /// Returns the path, printed.
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// Returns the heading that it is listed under: where it is; where it was, if it is gone.
    pub fn heading(&self) -> &String {
        &self.headings[usize::from(self.is_there[1])]
    }

    /// Returns it as an item of a list.
    pub fn into_change(self) -> PathChange {
        PathChange {
            path: self.path(),
            path_before: None,
            package: self.heading().clone(),
            change: self.change.unwrap_or(Change::Same),
            is_touched: self.is_touched,
            is_file: self.is_file != [false; 2],
            sizes: self.sizes,
            cause: None,
        }
    }
}

fn change(entries: [Option<&Entry>; 2]) -> Option<Change> {
    match entries {
        [None, None] => None,
        [None, Some(_)] => Some(Change::Added),
        [Some(_), None] => Some(Change::Removed),
        [Some(old), Some(new)] if old == new => None,
        [Some(old), Some(new)] => {
            let same = match (old.kind.content(), new.kind.content()) {
                (Some(old), Some(new)) => old == new,
                _ => old.kind == new.kind,
            };
            Some(if same { Change::Metadata } else { Change::Changed })
        }
    }
}
