//! The lowest speed of a transfer: a slower mirror counts as a silent one.

use std::time::{Duration, Instant};

use super::{Downloader, MirrorFault};

/// The pace of one response.
pub(super) struct Pace {
    window: Duration,
    slowest_bytes_per_s: u64,
    began: Instant,
    bytes: u64,
}

impl Downloader {
    /// Begins to measure.
    pub(super) fn pace(&self) -> Pace {
        let (window, slowest_bytes_per_s) = (self.options.stall_timeout, self.options.slowest_bytes_per_s);
        Pace { window, slowest_bytes_per_s, began: Instant::now(), bytes: 0 }
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
        if u128::from(self.bytes) * 1000 < u128::from(self.slowest_bytes_per_s) * elapsed.as_millis() {
            return Err(MirrorFault::Slow(self.slowest_bytes_per_s));
        }
        (self.began, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}
