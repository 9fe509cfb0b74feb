//! Packages at rest: read as a tree, and written from one.
//!
//! [`spk`] is the one format so far.

mod papers;
pub mod spk;
mod write;

pub use papers::{Papers, sizes_by};
pub use spk::{ArtifactError, Fault, Opened, open, pack, unpack, verify};
pub use write::{BlockSize, PackError, Packed};
