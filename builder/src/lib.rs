//! Turns Debian packages into tiny, sealed, per-app Debian roots.

#![deny(unsafe_code)]

pub mod cli;
pub mod formats;
pub mod progress;
pub mod recipe;
pub mod store;
pub mod tree;
