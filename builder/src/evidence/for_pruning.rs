//! The uses of a path in a trace, as far as pruning needs them.

use std::collections::BTreeMap;

use super::{Kinds, UsedLine, UsedList};
use crate::{layout::INIT, tree::TreePath};

/// The uses, by path.
pub type Evidence = BTreeMap<TreePath, Used>;

/// How one path was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// A program was started from it, or it was a program's interpreter.
    pub executed: bool,
    /// It was opened to be read.
    pub opened: bool,
    /// It was opened to be written, or its grain's copy was.
    pub written: bool,
    /// It was read as a link.
    pub linked: bool,
    /// It was listed.
    pub listed: bool,
    /// It was walked through.
    pub traversed: bool,
    /// It was found by stat.
    pub found: bool,
    /// The program that did so first, and when: "php-fpm8.2 at step 3".
    pub by: String,
}

impl Used {
    /// Returns true if contents were asked for.
    pub fn contents(&self) -> bool {
        self.executed || self.opened || self.written
    }

    /// Returns true if anything was found there; false for what was looked for in vain.
    pub fn any(&self) -> bool {
        self.contents() || self.linked || self.listed || self.traversed || self.found
    }

    /// Returns the strongest use and its program as a clause.
    pub fn text(&self) -> String {
        let how = match self {
            Used { executed: true, .. } => "executed",
            Used { opened: true, .. } => "opened",
            Used { written: true, .. } => "written",
            Used { listed: true, .. } => "listed",
            Used { linked: true, .. } => "read as a link",
            Used { found: true, .. } => "found by stat",
            _ => "walked through",
        };
        if self.by.is_empty() { how.to_owned() } else { format!("{how} by {}", self.by) }
    }
}

/// Returns what pruning asks of a used.list. That a grain's first process copied the skeleton of
/// `/var` says nothing about the app, so it does not count.
pub fn evidence_of(list: &UsedList) -> Evidence {
    let by_app = |(path, line): &(&TreePath, &UsedLine)| {
        line.program != INIT || !path.is_at_or_below(b"var") || line.kinds.contains(Kinds::WRITTEN)
    };
    list.iter().filter(by_app).map(|(path, line)| (path.clone(), Used::from(line))).collect()
}

impl From<&UsedLine> for Used {
    fn from(line: &UsedLine) -> Self {
        let mut by = line.program.rsplit('/').next().unwrap_or_default().to_owned();
        if !line.service.is_empty() {
            by += &format!(" of {}", line.service);
        }
        if !line.step.is_empty() {
            by += &format!(" at {}", line.step);
        }
        Used {
            executed: line.kinds.contains(Kinds::EXECUTED),
            opened: line.kinds.contains(Kinds::OPENED),
            written: line.kinds.contains(Kinds::WRITTEN),
            linked: line.kinds.contains(Kinds::READ_LINK),
            listed: line.kinds.contains(Kinds::LISTED),
            traversed: line.kinds.contains(Kinds::TRAVERSED),
            found: line.kinds.contains(Kinds::STAT),
            by: by.trim_start().to_owned(),
        }
    }
}
