//! Stands in for `xattr` 0.2.3, which names a constant that `libc` has dropped on Linux.
//!
//! `debian-packaging` reaches it through `async-tar`, which calls [`set`] while unpacking an
//! archive to disk. tinyroot never unpacks that way, so the call answers "unsupported".

use std::{ffi::OsStr, io, path::Path};

/// Refuses: nothing in tinyroot sets extended attributes through this crate.
pub fn set(_path: impl AsRef<Path>, _name: impl AsRef<OsStr>, _value: &[u8]) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
