//! A clock that takes no time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::download::Clock;

/// A clock that goes on only by what is waited for, at once, and notes each wait.
#[derive(Debug, Default)]
pub struct FastClock(Mutex<(Duration, Vec<Duration>)>);

impl FastClock {
    /// Returns what was waited for since the last call.
    pub fn waits(&self) -> Vec<Duration> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).1)
    }
}

impl Clock for FastClock {
    fn now(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn wait(&self, time: Duration) {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.0 += time;
        clock.1.push(time);
    }

    fn spread(&self) -> f64 {
        1.0
    }
}
