//! Removes the files that root-like programs left, of any owner.

use std::{io, path::Path};

use super::{
    Ids, SandboxError, Way,
    child::Monitor,
    protocol::{Report, Task},
};
use crate::deep;

/// Has [`deep::remove_tree`] remove what we may not as root of a user namespace of ours: files of our
/// subordinate ids are its own, and so are directories that a script left without the right to write.
pub fn remove_for_all() {
    deep::set_remover(|path| {
        let ways = [Way::Subordinate, Way::Single];
        let removed = ways.into_iter().any(|way| remove_as_root_inside(path, way).is_ok());
        if removed { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    });
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
