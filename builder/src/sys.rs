//! System calls, each as one safe function set to the careful choice: close on exec, no symbolic link
//! followed.
//!
//! The only room with `unsafe` in it. A failed call prints as a line of a trace would, with every argument.

#![allow(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "its callers know what a file is for, and add path and operation"
)]

pub mod cpu;
pub mod lock;
pub mod memory;
pub mod mount;
pub mod names;
pub mod namespace;
pub mod path;
pub mod peer;
pub mod process;
pub mod signals;
pub mod socket;
pub mod stdout;
pub mod terminal;

use std::{fmt, io};

use rustix::io::Errno;

use crate::error::Hint;

/// A system call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The call with its arguments, as C would write it.
    pub call: String,
    /// Why.
    pub errno: Errno,
}

impl Hint for CallError {}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.call, errno_text(self.errno))
    }
}

impl std::error::Error for CallError {}

impl From<CallError> for io::Error {
    fn from(error: CallError) -> Self {
        io::Error::new(io::Error::from(error.errno).kind(), error)
    }
}

/// The result of one call.
pub type Result<T> = std::result::Result<T, CallError>;

/// Adds the call, made up only if it failed.
fn traced<T>(result: rustix::io::Result<T>, call: impl FnOnce() -> String) -> Result<T> {
    result.map_err(|errno| CallError { call: call(), errno })
}

/// Turns a return value of `libc` into a result.
fn checked(value: libc::c_long) -> rustix::io::Result<libc::c_long> {
    if value == -1 { Err(last_errno()) } else { Ok(value) }
}

fn last_errno() -> Errno {
    Errno::from_raw_os_error(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// Returns name and meaning of an error number: `EPERM (Operation not permitted)`.
pub fn errno_text(errno: Errno) -> String {
    let meaning = io::Error::from(errno).to_string();
    let meaning = meaning.split(" (os error").next().unwrap_or_default();
    match errno_name(errno) {
        Some(name) => format!("{name} ({meaning})"),
        None => format!("error {} ({meaning})", errno.raw_os_error()),
    }
}

fn errno_name(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::ACCESS => "EACCES",
        Errno::AGAIN => "EAGAIN",
        Errno::BADF => "EBADF",
        Errno::BUSY => "EBUSY",
        Errno::CONNREFUSED => "ECONNREFUSED",
        Errno::DQUOT => "EDQUOT",
        Errno::EXIST => "EEXIST",
        Errno::FAULT => "EFAULT",
        Errno::INTR => "EINTR",
        Errno::INVAL => "EINVAL",
        Errno::IO => "EIO",
        Errno::ISDIR => "EISDIR",
        Errno::LOOP => "ELOOP",
        Errno::MFILE => "EMFILE",
        Errno::NAMETOOLONG => "ENAMETOOLONG",
        Errno::NFILE => "ENFILE",
        Errno::NODEV => "ENODEV",
        Errno::NOENT => "ENOENT",
        Errno::NOEXEC => "ENOEXEC",
        Errno::NOMEM => "ENOMEM",
        Errno::NOSPC => "ENOSPC",
        Errno::NOSYS => "ENOSYS",
        Errno::NOTCONN => "ENOTCONN",
        Errno::NOTDIR => "ENOTDIR",
        Errno::NXIO => "ENXIO",
        Errno::OPNOTSUPP => "EOPNOTSUPP",
        Errno::PERM => "EPERM",
        Errno::PIPE => "EPIPE",
        Errno::ROFS => "EROFS",
        Errno::SRCH => "ESRCH",
        Errno::USERS => "EUSERS",
        Errno::XDEV => "EXDEV",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_prints_as_a_line_of_a_trace() {
        let error = path::open_root(std::path::Path::new("/no/such/place")).expect_err("is not there");
        assert_eq!(
            error.to_string(),
            "open(\"/no/such/place\", O_PATH|O_DIRECTORY|O_CLOEXEC) = ENOENT (No such file or directory)"
        );
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    }
}
