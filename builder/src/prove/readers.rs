//! The readers of lines of logs and pages, as functions that take anything ([`testing::readers`](crate::testing::READERS)).

use super::{compare, left, misses, named};

/// Lines of a log or a page.
pub(crate) fn lines(text: &str) {
    let _ = named::tells_of_missing(text);
    let lines: Vec<&str> = text.lines().take(4).collect();
    for line in &lines {
        let _ = left::tells_failure(line);
    }
    compare::readers::patterns(&lines);
}

/// A report of what a grain asked for in vain.
pub(crate) fn report(bytes: &[u8]) {
    misses::assert_lines_come_back(&String::from_utf8_lossy(bytes));
}
