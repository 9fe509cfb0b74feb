//! Removes what root-like programs left, whoever it belongs to.

use std::{io, path::Path};

use super::{
    Ids, SandboxError, Way,
    child::Monitor,
    protocol::{Report, Task},
};
use crate::deep;

/// Removes a directory with all below it, or a file; no link is followed.
///
/// Where the kernel refuses that to us, root of a user namespace of ours does it: files of our subordinate ids are its
/// own, and so are directories that a script left without the right to write.
///
/// # Errors
/// The refusal, where not even such a root may; any other error as it is.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let refused = match remove(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        result => return result,
    };
    let ways = [Way::Subordinate, Way::Single];
    if ways.into_iter().any(|way| remove_as_root_inside(path, way).is_ok()) { Ok(()) } else { Err(refused) }
}

/// Removes with no more than one's own rights.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    deep::remove(path)
}

fn remove_as_root_inside(path: &Path, way: Way) -> Result<(), SandboxError> {
    let ids = Ids::RootLike(way);
    let mut monitor =
        Monitor::spawn(&Task::Remove { ids, path: std::path::absolute(path).unwrap_or_default() })?;
    let result = monitor.map(ids).and_then(|()| monitor.next());
    monitor.stop();
    match result?.0 {
        Report::Done { .. } => Ok(()),
        _ => Err(SandboxError::Ended { output: String::new() }),
    }
}
