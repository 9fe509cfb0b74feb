//! Requests to stop, as something that is waited for.

use super::{Result, traced};
use rustix::io::Errno;

/// SIGINT, SIGTERM and SIGHUP, blocked in this thread and in those that it starts from now on.
#[derive(Debug)]
pub struct Stops {
    set: libc::sigset_t,
}

impl Stops {
    /// Blocks the signals. To be called before any thread is started that should not end by them.
    ///
    /// # Errors
    /// The call.
    pub fn block() -> Result<Self> {
        let set = set_of(&STOPS);
        // SAFETY: the set outlives the call; the old mask is not wanted.
        let code = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        let result = if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(code)) };
        traced(result, || "pthread_sigmask(SIG_BLOCK, {INT, TERM, HUP})".into())?;
        Ok(Stops { set })
    }

    /// Waits for one of them and returns its number.
    pub fn wait(&self) -> i32 {
        loop {
            let mut signal = 0;
            // SAFETY: both references outlive the call.
            if unsafe { libc::sigwait(&self.set, &mut signal) } == 0 {
                return signal;
            }
        }
    }
}

/// Has this process treat every signal as a new one does. It blocks none, or with `hold_stops` SIGINT,
/// SIGTERM and SIGHUP.
pub fn reset(hold_stops: bool) {
    for signal in 1..=libc::SIGRTMAX() {
        // Some cannot be changed, which is as good. SAFETY: no function of ours is named.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let signals = if hold_stops { &STOPS[..] } else { &[] };
    // SAFETY: the set outlives the call; the old mask is not wanted.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set_of(signals), std::ptr::null_mut()) };
}

/// Requests to stop.
const STOPS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: an all-zero set is a valid one, and `sigemptyset` and `sigaddset` write only to it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in signals {
            libc::sigaddset(&mut set, *signal);
        }
        set
    }
}
