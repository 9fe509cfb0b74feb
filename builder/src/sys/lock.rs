//! Locks on single bytes of a file, which need not be there (`F_OFD_SETLK(2const)`).
//!
//! A lock belongs to the open file: it ends when that is closed, by a kill as well. Two locks of one open
//! file do not exclude each other.

use std::{fs::File, io, mem, os::fd::AsRawFd as _};

use rustix::io::Errno;

use super::checked;

/// The kind of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// From holding it alone.
    Shared,
    /// From holding it at all.
    Alone,
}

/// The largest offset that a byte can have: files end at the largest `off_t`.
pub const LAST_BYTE: u64 = i64::MAX as u64 - 1;

/// Locks a byte; returns false if another open file holds it so that this cannot be. Waits for that to end if
/// `wait`.
///
/// # Errors
/// The call: `ENOLCK` and `EINVAL` where a file system has no locks.
pub fn lock(file: &File, byte: u64, hold: Hold, wait: bool) -> io::Result<bool> {
    let kind = match hold {
        Hold::Shared => libc::F_RDLCK,
        Hold::Alone => libc::F_WRLCK,
    };
    loop {
        match set(file, byte, kind, wait) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Ends a lock of this open file on a byte.
pub fn unlock(file: &File, byte: u64) {
    let _ = set(file, byte, libc::F_UNLCK, false);
}

/// `F_SETSIG` of `<asm-generic/fcntl.h>`, which `libc` lacks.
const F_SETSIG: libc::c_int = 10;

/// Returns whether anybody has a file open for writing, through whatever name: then it cannot have a lease
/// for reading (`F_SETLEASE(2const)`). The file is open for reading only, and our own user's.
///
/// # Errors
/// The call: `EINVAL` where a file system has no leases.
pub fn has_writers(file: &File) -> io::Result<bool> {
    let call = |command, argument: libc::c_int| {
        // SAFETY: the descriptor is open, and these commands take a number.
        checked(unsafe { libc::fcntl(file.as_raw_fd(), command, argument) }.into())
    };
    // Who opens it meanwhile makes the kernel send a signal, by default one that would end us. This one does
    // nothing.
    call(F_SETSIG, libc::SIGURG)?;
    match call(libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(_) => call(libc::F_SETLEASE, libc::F_UNLCK).map(|_| false).map_err(io::Error::from),
        Err(Errno::AGAIN) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

fn set(file: &File, byte: u64, kind: libc::c_int, wait: bool) -> Result<(), Errno> {
    // SAFETY: all bytes 0 are a valid `flock`.
    let mut lock: libc::flock = unsafe { mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = byte.min(LAST_BYTE) as libc::off_t;
    lock.l_len = 1;
    let command = if wait { libc::F_OFD_SETLKW } else { libc::F_OFD_SETLK };
    // SAFETY: the descriptor is open, and the kernel reads one `flock`, which outlives the call.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const lock) }.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_writers_while_it_is_open_for_writing() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("pack");
        std::fs::write(&path, "tea").expect("writes");
        let file = File::open(&path).expect("opens");
        assert!(!has_writers(&file).expect("has leases"));
        let other = place.path().join("link");
        std::fs::hard_link(&path, &other).expect("links");
        let writer = File::options().read(true).write(true).open(&other).expect("opens");
        assert!(has_writers(&file).expect("has leases"));
        let opened = File::open(&path).expect("opens");
        drop(writer);
        assert!(!has_writers(&file).expect("has leases") && !has_writers(&opened).expect("has leases"));
    }

    #[test]
    fn a_byte_is_held_by_one_open_file_or_shared_by_several() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("turns");
        let open = || {
            let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            options.expect("opens")
        };
        let (one, other) = (open(), open());
        let try_lock = |file: &File, byte, hold| lock(file, byte, hold, false).expect("has locks");
        for byte in [0, 77, LAST_BYTE] {
            assert!(try_lock(&one, byte, Hold::Alone));
            assert!(!try_lock(&other, byte, Hold::Alone) && !try_lock(&other, byte, Hold::Shared));
        }
        assert!(try_lock(&other, 1, Hold::Alone));
        unlock(&one, 77);
        assert!(try_lock(&one, 77, Hold::Shared) && try_lock(&other, 77, Hold::Shared));
        assert!(!try_lock(&one, 77, Hold::Alone));
        // A closed descriptor, as after a kill, holds no lock; the next waiter gets it.
        let waiting = std::thread::spawn(move || lock(&one, 1, Hold::Alone, true).expect("has locks"));
        std::thread::sleep(std::time::Duration::from_millis(30));
        drop(other);
        assert!(waiting.join().expect("ends"));
    }
}
