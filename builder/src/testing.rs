//! Fixtures: .debs made in memory from a few words, archives made and signed on the spot, and a
//! server on the loopback that misbehaves on request.
//!
//! Only there with the feature `testing`, which the package turns on for its own tests. Takes
//! words and gives bytes, directories and URLs; nothing of it ends up in a release. Everything
//! panics on a fault, since a test can do nothing better.
//!
//! ```
//! use tinyroot::testing::{MadeArchive, Server, deb};
//!
//! let directory = tempfile::tempdir().unwrap();
//! let hello = deb("hello").field("Depends", "libc6 (>= 2.36)").file("usr/bin/hello", 0o755, "hi\n");
//! let made = MadeArchive::new("bookworm").add(hello).add(deb("libc6").version("2.36-9")).write_with_pockets(directory.path());
//! let server = Server::start(directory.path());
//! // made.keyring is a file for --keyring, server.url() one for --mirror
//! # assert!(made.keyring.exists() && server.url().starts_with("http://127.0.0.1:"));
//! ```

#![allow(clippy::disallowed_methods, reason = "tests panic on a fault")]

mod archive;
mod clock;
mod deb;
mod key;
mod listener;
mod package;
pub(crate) mod readers;
mod registry;
mod repository;
mod server;

/// Says that a test cannot run here, so that its silence is not taken for success; with `TINYROOT_TEST_ALL`
/// in the environment, as CI has it, that is a failure.
pub fn skip(why: &str) {
    use std::io::Write as _;
    assert!(std::env::var_os("TINYROOT_TEST_ALL").is_none(), "this test cannot run here: {why}");
    // The test harness keeps what print macros write.
    let _ = writeln!(std::io::stderr(), "not tested here: {why}");
}

/// Returns whether tests that gain by repetition run at full length: with `TINYROOT_TEST_LONG` in the
/// environment, as .ci/nightly has it.
pub fn is_long() -> bool {
    std::env::var_os("TINYROOT_TEST_LONG").is_some()
}

pub use archive::{ARCHIVE_TIME_S, Made, MadeArchive};
pub use clock::FastClock;
pub use deb::{Compression, Deb, deb};
pub use key::{KEY_TIME_S, Key};
pub use package::pack;
pub use readers::{READERS, Reader, Seed, find as find_reader, long_inputs, seeds};
pub use registry::{MadeRegistry, RegistryFault};
pub use repository::Repository;
pub use server::{Fault, Request, Server};
