//! How many connections are served at a time.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A number of connections that may be open at a time.
pub(crate) struct Slots {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: usize,
    /// Since when none is free.
    full_since: Option<Instant>,
}

/// One open connection; free again when dropped.
pub(crate) struct ConnectionSlot(Arc<Slots>);

impl Slots {
    /// Returns slots for `count` connections, at least one.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Slots {
            state: Mutex::new(State { free: count, full_since: None }),
            changed: Condvar::new(),
        })
    }

    /// Takes a free slot. Waits for one until none was free for `patience`, then returns `None`: a client
    /// that waits in the queue gets a response sooner or later, and all clients behind it get theirs at once.
    pub fn take(self: &Arc<Self>, patience: Duration) -> Option<ConnectionSlot> {
        let mut state = self.lock();
        while state.free == 0 {
            let since = *state.full_since.get_or_insert_with(Instant::now);
            let left = patience.checked_sub(since.elapsed()).filter(|left| !left.is_zero())?;
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.free -= 1;
        if state.free == 0 {
            state.full_since = Some(Instant::now());
        }
        Some(ConnectionSlot(self.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.free += 1;
        state.full_since = None;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_too_many_waits_for_a_slot_and_not_for_ever() {
        let slots = Slots::new(1);
        let patience = Duration::from_secs(60);
        let held = slots.take(patience).expect("is free");
        assert!(slots.take(Duration::from_millis(20)).is_none());
        assert!(slots.take(Duration::ZERO).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.take(patience).is_some());
            std::thread::sleep(Duration::from_millis(20));
            drop(held);
            assert!(waiting.join().expect("ends"));
        });
        assert!(slots.take(Duration::ZERO).is_some(), "free again");
    }
}
