//! A step of the set-up, by which its failure is named, and the step that most others share.

use std::{os::fd::OwnedFd, path::Path};

use rustix::io::Errno;

use crate::sys::{
    self, CallError,
    path::{make_directory, make_file, open_in_root},
};

/// A failed step of the set-up.
#[derive(Debug)]
pub(super) struct SetUpFault {
    /// The operation, so that "cannot" can stand before it.
    pub step: String,
    /// The failure.
    pub call: CallError,
}

/// Adds the step to an error.
pub(super) fn step<T>(result: sys::Result<T>, step: impl FnOnce() -> String) -> Result<T, SetUpFault> {
    result.map_err(|call| SetUpFault { step: step(), call })
}

/// Returns the file at a path of the new root, to mount on. A missing one is made where that can be.
pub(super) fn mount_point(root: &OwnedFd, path: &Path, is_directory: bool) -> sys::Result<OwnedFd> {
    match open_in_root(root, path) {
        Err(error) if error.errno == Errno::NOENT => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
            else {
                return Err(error);
            };
            let parent = open_in_root(root, parent)?;
            let made =
                if is_directory { make_directory(&parent, name, 0o755) } else { make_file(&parent, name) };
            made.map_err(|_| error)?;
            open_in_root(root, path)
        }
        result => result,
    }
}
