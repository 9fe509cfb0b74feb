//! Stands in for `xz2`, which is no longer maintained and links an old liblzma: its living fork under the old
//! name.
//!
//! `debian-packaging` and its `async-compression` name `xz2`; two crates that link liblzma cannot be in one
//! program.

pub use liblzma::*;
