//! Grains: running copies of an app, each with its own data.
//!
//! - [`GrainSpec`]: what a grain needs besides its root, from a recipe.
//! - [`GrainRoot`]: an image tree ([`image`](crate::image)) as a view or a directory; any number of grains
//!   start on it.
//! - [`Grain`]: the process: boot, readiness by a descriptor, stop, restart, programs beside the services.
//! - [`Log`]: its output.
//! - [`library`]: the grains on disk, each with a lock.
//! - [`runner`]: a grain of an app, in the foreground or behind a front end.
//!
//! A running grain sees its root read-only, its `/var`, fresh `/tmp`, `/run` and `/dev/shm`, and its own
//! loopback. Trace, proof, `run`, `check --watch` and `serve` all start one by [`Grain::start_with`]. A
//! dropped grain leaves nothing behind but its `/var`.
//!
//! This room runs what it is given: it reads no artifact and no paper, so it needs none of the builder's
//! stages but the recipe and the services of an image.

mod error;
pub mod library;
mod log;
mod process;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod remedy;
mod root;
pub mod runner;
mod spec;
mod subject;

pub use error::GrainError;
pub use log::{Log, OnLine};
pub use process::Grain;
pub use remedy::{Remedy, Waits};
pub use root::{GrainRoot, RootOptions, views};
pub use spec::GrainSpec;
pub use subject::GrainTarget;
