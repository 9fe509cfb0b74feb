//! The readers of lines of logs and pages, as functions that take anything
//! ([`testing::readers`](crate::testing::READERS)).

use super::{compare, side_effects};

/// Lines of a log or a page.
pub(crate) fn lines(text: &str) {
    let lines: Vec<&str> = text.lines().take(4).collect();
    for line in &lines {
        let _ = side_effects::tells_failure(line);
    }
    compare::readers::patterns(&lines);
}
