//! Bytes in, values out, and back: every format that tinyroot reads or writes, one a module.
//!
//! Pure: no clock, no environment, no files but the readers that are given. Whatever comes in is
//! hostile until it has been checked.

pub mod control;
pub mod deb822;
pub mod digest;
pub mod packages;
pub mod relation;
pub mod version;
