//! Terminals: made, and taken.

use std::os::fd::{AsFd, OwnedFd};

use rustix::pty::OpenptFlags;

use super::{Result, traced};

/// Makes a terminal in the `/dev/pts` that is mounted here, and returns the end of its user and that of its
/// program.
///
/// # Errors
/// The call.
pub fn open() -> Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours =
        traced(rustix::pty::openpt(flags), || "open(\"/dev/ptmx\", O_RDWR|O_NOCTTY|O_CLOEXEC)".into())?;
    traced(rustix::pty::unlockpt(&ours), || "ioctl(TERMINAL, TIOCSPTLCK, 0)".into())?;
    let theirs =
        traced(rustix::pty::ioctl_tiocgptpeer(&ours, flags), || "ioctl(TERMINAL, TIOCGPTPEER)".into())?;
    Ok((ours, theirs))
}

/// Makes a terminal the controlling one of this process, which must be its session's leader.
///
/// # Errors
/// The call; ENOTTY for anything but a terminal, EPERM for one that another session has.
pub fn take(terminal: impl AsFd) -> Result<()> {
    traced(rustix::process::ioctl_tiocsctty(terminal), || "ioctl(TERMINAL, TIOCSCTTY, 0)".into())
}
