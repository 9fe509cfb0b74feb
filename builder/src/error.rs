//! The form of errors. Every room has an enum of its own, and what is the same in all of them is here.
//!
//! - An error is one lower-case clause, "cannot VERB OBJECT", or the rule that something breaks. It never
//!   repeats its source.
//! - An error of a file holds its path: [`PathError`], made with [`At::at`].
//! - A name or a value inside a text stands in `backticks`; a path stands bare.
//! - What one can do about an error is its [`Hint`], apart from its text.
//! - An error is shown with its causes: in one line ([`chain`]) or, on the command line, a line each, marked
//!   `cause:`.

use std::{
    borrow::Cow,
    error::Error,
    io, iter,
    path::{Path, PathBuf},
};

/// A file or directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct PathError {
    /// The operation, as a verb: `read`, `create a directory in`.
    pub operation: &'static str,
    /// The path that the operation was tried on.
    pub path: PathBuf,
    /// What the kernel said.
    pub source: io::Error,
}

impl PathError {
    /// Returns the error of an operation on a path.
    pub fn new(operation: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        PathError { operation, path: path.as_ref().to_path_buf(), source: source.into() }
    }

    /// Returns the kind of the kernel's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Keeps operation and path where an error of the kernel is expected, and its kind.
impl From<PathError> for io::Error {
    fn from(error: PathError) -> Self {
        io::Error::new(error.kind(), error)
    }
}

/// Adds operation and path to an error of the kernel.
pub trait At<T> {
    /// Returns the result, its error with operation and path.
    ///
    /// # Errors
    /// [`PathError`] if the operation failed.
    fn at(self, operation: &'static str, path: impl AsRef<Path>) -> Result<T, PathError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, operation: &'static str, path: impl AsRef<Path>) -> Result<T, PathError> {
        self.map_err(|source| PathError::new(operation, path, plain(source.into())))
    }
}

/// Returns the kernel's error without the path that tempfile adds: a temporary name says nothing to a reader.
fn plain(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|added| added.source()?.downcast_ref::<io::Error>());
    inner.and_then(io::Error::raw_os_error).map_or(error, io::Error::from_raw_os_error)
}

/// An error that may say what one can do about it.
pub trait Hint: Error {
    /// Returns what one can do about the error: one clause, without a full stop. `None` if nothing is known
    /// to help.
    fn hint(&self) -> Option<Cow<'_, str>> {
        None
    }
}

impl Hint for PathError {}

/// Returns an error and its causes, each one before its own cause.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| (*error).source())
}

/// Returns an error and its causes in one line: `cannot read tea: it is damaged`.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_file_holds_its_path_and_says_nothing_twice() {
        let error = Err::<(), _>(rustix::io::Errno::NOENT).at("read", "/tea").expect_err("is one");
        assert_eq!(error.to_string(), "cannot read /tea");
        assert_eq!(chain(&error), "cannot read /tea: No such file or directory (os error 2)");
        assert_eq!(causes(&error).count(), 2);
    }
}
