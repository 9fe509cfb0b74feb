//! A grain: one running copy of an app with its own data, over the sandbox.
//!
//! Comes in: a furnished tree ([`image`](crate::image)), served as a view or rendered as a directory
//! ([`Base`]), and a directory for `/var`. Goes out: a [`Grain`] whose services are ready, that can
//! be connected to, restarted on the same `/var`, and stopped. It sees its root read-only, its
//! `/var`, fresh `/tmp`, `/run` and `/dev/shm`, and its own loopback. What its services print goes
//! to a log. Dropped, nothing of it is left.

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
pub use root::Base;
pub use spec::GrainOptions;
pub use subject::GrainTarget;
