//! The lowest speed of a transfer: a slower mirror counts as a silent one.

use std::time::{Duration, Instant};

use super::{Downloader, MirrorFault, SLOWEST_BYTES_PER_S};

/// The pace of one response.
pub(super) struct Pace {
    window: Duration,
    began: Instant,
    bytes: u64,
}

impl Downloader {
    /// Begins to measure.
    pub(super) fn pace(&self) -> Pace {
        Pace { window: self.options.stall_timeout, began: Instant::now(), bytes: 0 }
    }
}

impl Pace {
    /// Takes note of bytes that came; fails if too few came for the length of a window.
    pub(super) fn note(&mut self, bytes: u64) -> Result<(), MirrorFault> {
        self.bytes += bytes;
        let elapsed = self.began.elapsed();
        if elapsed < self.window {
            return Ok(());
        }
        if u128::from(self.bytes) * 1000 < u128::from(SLOWEST_BYTES_PER_S) * elapsed.as_millis() {
            return Err(MirrorFault::Slow);
        }
        (self.began, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}
