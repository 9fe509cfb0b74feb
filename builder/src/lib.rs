//! Turns Debian packages into tiny, sealed, per-app Debian roots.

#![deny(unsafe_code)]

pub mod formats;
pub mod progress;
pub mod store;
pub mod tree;
