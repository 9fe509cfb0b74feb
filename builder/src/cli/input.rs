//! Standard input.

use std::io::{self, Read as _};

use super::Failure;

use crate::error::At as _;

/// Returns all that comes, up to so many bytes.
///
/// # Errors
/// What the kernel says: standard input may be a directory.
pub(super) fn read(most_bytes: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(most_bytes).read_to_end(&mut bytes);
    read.at("read", "standard input")?;
    Ok(bytes)
}
