//! The line: from a recipe folder to a signed package, as a library. Commands, benches and tests call it.
//!
//! Each step takes the value that the step before it made, which is named for what was done; none can be made
//! in another way, so that no step can be taken out of turn. A [`Session`] has all that steps need of the
//! host.
//!
//! ```text
//! request, choose, lock   Recipe           → Lock         sources.rs, lock.rs
//! configure               Recipe (and Lock)→ Configured   root.rs: fetch, unpack, assemble, configure
//! overlay                 Recipe (and Lock)→ Overlaid     root.rs: the same, then npm packages and the recipe's files
//!                         Overlaid         → Trace        in `trace`, which writes the evidence
//! Image::of               Overlaid         → Image        image.rs: prune, reduce, image, papers
//! prove                   Image            → Proven       proof.rs, or by the caller's choice Unproven
//! pack                    either           → Packed       pack.rs
//! rebuild                 Artifact         → Rebuilt      rebuild.rs: all of it again, from what a package encloses
//! preview                 Recipe           → Tree         pack.rs: what `build` would pack, unproven
//! build                   Overlaid         → Built        build.rs: from the image on, with `--fix` and `--reduce`
//! moved                   Recipe           → Moved        update.rs: the lock for an attempt, put back where that fails
//! ```
//!
//! Nothing here reads the environment, knows the command line, prints, or chooses an exit status.

mod build;
mod error;
mod fix;
mod image;
mod lock;
mod pack;
mod proof;
mod rebuild;
mod reductions;
mod root;
mod session;
mod sources;
mod update;

pub use build::{Built, Care, build};
pub use error::{Fault, LineError};
pub use image::{Image, baseline, prune, read_evidence};
pub use lock::{lock, look_into, read_lock, request};
pub use pack::{Finished, manifest_of, pack, preview};
pub use proof::{Proven, Unproven, differs, prove, unproven, warn_of};
pub use rebuild::{Original, Outcome, ProofWanted, RebuildError, Rebuilt, rebuild};
pub use root::{Configured, Overlaid, Sources, Times, configure, overlay};
pub use session::Session;
pub use sources::{choose, universe};
pub use update::{Moved, News, moved, news};

#[cfg(test)]
mod tests;
