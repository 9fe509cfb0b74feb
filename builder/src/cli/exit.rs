//! The exit statuses of all commands, and the places that end the program early.
//!
//! `run` passes on the app's own status; all others are here.

use std::process::ExitCode;

/// The work is done.
pub(super) const DONE: u8 = 0;

/// The work failed.
pub(super) const FAILED: u8 = 1;

/// The command line is wrong.
pub(super) const USAGE: u8 = 2;

/// The work is done, and a given limit is exceeded or a lock has drifted.
pub(super) const BEYOND: u8 = 3;

/// Returns the status after help, a version or a wrong command line was printed.
pub(super) fn of_usage(error: &clap::Error) -> ExitCode {
    ExitCode::from(if error.use_stderr() { USAGE } else { DONE })
}

/// Returns the status of a program that a signal ended, as shells give it.
pub(super) fn of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(FAILED)
}

/// Ends the program after a signal, with the status that shells give such a program.
pub(super) fn stopped(signal: i32) -> ! {
    now(of_signal(signal).into())
}

/// Ends the program at once, its work done, while threads of it still wait.
pub(super) fn done() -> ! {
    now(DONE.into())
}

#[expect(clippy::disallowed_methods, reason = "the one place")]
fn now(status: i32) -> ! {
    std::process::exit(status)
}
