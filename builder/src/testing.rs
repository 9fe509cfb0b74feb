//! Fixtures: .debs made in memory from a few words, archives made and signed on the spot, and a
//! server on the loopback that misbehaves on request.
//!
//! Only there with the feature `testing`, which the package turns on for its own tests. Takes
//! words and gives bytes, directories and URLs; nothing of it ends up in a release. Everything
//! panics on a fault, since a test can do nothing better.

mod deb;

pub use deb::{Compression, Deb, deb};
