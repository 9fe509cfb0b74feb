//! Standard output, as it was when the program began.

use std::sync::atomic::{AtomicBool, Ordering};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Called by the loader before Rust's own start, which opens `/dev/null` in the place of closed descriptors:
/// later they cannot be distinguished.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: `fcntl(F_GETFD)` touches no memory.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
}

/// Returns whether the program was started without a standard output (`>&-`), so that output is lost.
pub fn was_closed() -> bool {
    WAS_CLOSED.load(Ordering::Relaxed)
}
