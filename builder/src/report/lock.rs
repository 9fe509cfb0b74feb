//! The changes of a recipe.lock.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    lock::{Change, Changes, Lock},
    progress::size_text,
    resolve::Resolution,
};

/// A lock that was resolved, compared with the one before.
pub struct LockReport<'a> {
    path: &'a Path,
    packages: usize,
    changes: Changes,
    summary: String,
}

impl<'a> LockReport<'a> {
    /// Compares the lock of a resolution with the one at a path, if there is one.
    pub fn of(path: &'a Path, old: Option<&Lock>, new: &Lock, resolution: &Resolution) -> Self {
        let changes = match old {
            Some(old) => Changes::between(old, new),
            None => Changes { packages: Vec::new(), other: true },
        };
        let summary = if old.is_none() { totals(resolution) } else { changes.summary() };
        LockReport { path, packages: new.packages.len(), changes, summary }
    }

    /// Returns whether nothing moves.
    pub fn is_up_to_date(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns each package that moves, a line each.
    pub fn text(&self) -> String {
        self.changes.packages.iter().map(|change| format!("{change}\n")).collect()
    }

    /// Returns what moves in all, as a clause.
    pub fn summary(&self) -> String {
        let path = self.path.display();
        match self.is_up_to_date() {
            true => format!("{path} is up to date: {} packages", self.packages),
            false => format!("{path}: {}", self.summary),
        }
    }

    /// Returns that the lock would move, as a clause.
    pub fn drift(&self) -> String {
        format!("{} would change: {}", self.path.display(), self.summary)
    }

    /// Returns one JSON document; `written` says whether the lock was.
    pub fn json(&self, written: bool) -> Value {
        let change = |change: &Change| {
            json!({
                "name": change.name, "kind": change.kind(), "old": change.old, "new": change.new,
                "security": change.security,
            })
        };
        json!({
            "path": self.path, "up_to_date": self.is_up_to_date(), "written": written, "packages": self.packages,
            "changes": self.changes.packages.iter().map(change).collect::<Vec<_>>(),
        })
    }
}

fn totals(resolution: &Resolution) -> String {
    let bytes = resolution.packages.iter().map(|package| package.size_bytes).sum();
    format!("{} packages, {}", resolution.packages.len(), size_text(bytes))
}
