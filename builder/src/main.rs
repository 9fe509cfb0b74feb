//! Arguments → command → exit code.

#![warn(clippy::disallowed_methods)]

use std::process::ExitCode;

use tinyroot::sandbox;

fn main() -> ExitCode {
    // The program of every sandbox's monitor is this one; it reads no other argument and prints nothing.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == sandbox::CHILD_ARGUMENT) {
        sandbox::child_main();
    }
    // Before anything starts a thread. `TINYROOT_CACHE= tinyroot …` means the default, as with most programs.
    tinyroot::sys::process::forget_empty_variables("TINYROOT_");
    tinyroot::sys::process::raise_open_files();
    tinyroot::sys::names::use_built_in_services();
    sandbox::remove_for_all();
    tinyroot::cli::main()
}
