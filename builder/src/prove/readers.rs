//! The readers of lines of logs and pages, as functions that take anything ([`testing::readers`](crate::testing::READERS)).

use super::{compare, left};

/// Lines of a log or a page.
pub(crate) fn lines(text: &str) {
    let lines: Vec<&str> = text.lines().take(4).collect();
    for line in &lines {
        let _ = left::tells_failure(line);
    }
    compare::readers::patterns(&lines);
}
