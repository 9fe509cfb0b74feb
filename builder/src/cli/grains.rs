//! `tinyroot grains`: the grains on disk.

use super::{Failure, xdg_directory};
use crate::grains::Grains;

/// Returns all grains of this user.
pub(super) fn library() -> Result<Grains, Failure> {
    let data = xdg_directory("XDG_DATA_HOME", ".local/share")
        .ok_or_else(|| Failure::new("HOME is not set").hint("set XDG_DATA_HOME"))?;
    Ok(Grains::new(data.join("grains")))
}
