//! The readers of lines of logs and of reports of misses, as functions that take anything
//! ([`testing::readers`](crate::testing::READERS)).

use super::{misses, named};

/// A line of a log or a page, or several.
pub(crate) fn lines(text: &str) {
    let _ = named::tells_of_missing(text);
}

/// A report of what a grain asked for in vain.
pub(crate) fn report(bytes: &[u8]) {
    misses::assert_lines_come_back(&String::from_utf8_lossy(bytes));
}
