//! The one place that prints. All that is printed is text: what would be more on a terminal is escaped.

use std::io::{self, Write as _};

use super::Failure;
use crate::shown;

/// Prints a result to stdout. A reader that has seen enough (`| head`) is no fault.
///
/// # Errors
/// What the kernel says, such as a full disk.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(shown::lines(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Prints lines to stderr: what is no result. Where stderr is closed they are lost.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", shown::lines(text));
}

/// Prints a question to stderr; the cursor stays behind it.
pub(super) fn ask(text: &str) {
    let _ = write!(io::stderr(), "{}", shown::line(text));
}

/// Prints a line of an app to stderr, marked, so that it is not taken for one of ours.
pub(super) fn say_for_app(line: &[u8]) {
    // One write a line: others print there too.
    let marked = format!("| {}\n", shown::line(&String::from_utf8_lossy(line)));
    let _ = io::stderr().write_all(marked.as_bytes());
}
