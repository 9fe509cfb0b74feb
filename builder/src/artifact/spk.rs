//! `.spk`, Sandstorm's format: [`read`] checks and opens a package, [`write`] signs and compresses one, [`unpack`] makes a directory of
//! one as Sandstorm's tool does.

mod blocks;
mod plan;
mod read;
mod unpack;
mod write;

pub use read::{ArtifactError, Fault, Opened, open, verify};
pub use unpack::unpack;
pub use write::pack;
