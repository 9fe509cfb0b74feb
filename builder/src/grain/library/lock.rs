//! The lock of a grain's directory: a grain runs once at a time.

use std::{
    borrow::Cow,
    fs::File,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::error::{At as _, Hint, PathError};

/// Why the directory of a grain cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The directory or its lock.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The grain runs already.
    #[error("the grain at {} is running already", .0.display())]
    Busy(PathBuf),
}

impl Hint for LockError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            LockError::Io(error) => error.hint(),
            LockError::Busy(_) => Some("run another one with --grain NAME".into()),
        }
    }
}

/// Makes the grain's directory and holds its lock for as long as the value lives.
///
/// # Errors
/// [`LockError`].
pub fn lock(directory: &Path) -> Result<File, LockError> {
    super::make_closed(directory).at("make", directory)?;
    super::close_files(directory);
    let path = directory.join("lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.at("open", &path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(LockError::Busy(directory.to_path_buf())),
        Err(errno) => Err(PathError::new("lock", &path, errno).into()),
    }
}
