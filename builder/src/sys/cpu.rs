//! Processors.

use std::marker::PhantomData;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// This thread on one processor, with the threads and processes that it starts meanwhile. Dropped, it may run
/// where it might before; what it started stays.
#[derive(Debug)]
pub struct OneCpu {
    before: CpuSet,
    /// It is this thread's, so it is dropped by it.
    _thread: PhantomData<*const ()>,
}

impl OneCpu {
    /// Keeps this thread where it runs. `None` where that is not allowed, or is so already.
    pub fn stay() -> Option<Self> {
        let before = sched_getaffinity(None).ok()?;
        if before.count() < 2 {
            return None;
        }
        let mut here = CpuSet::new();
        here.set(sched_getcpu());
        sched_setaffinity(None, &here).ok()?;
        Some(OneCpu { before, _thread: PhantomData })
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_and_what_it_starts_stay_on_one_processor() {
        let count = || sched_getaffinity(None).expect("may be asked").count();
        let before = count();
        let stay = OneCpu::stay();
        assert_eq!(stay.is_some(), before > 1);
        assert_eq!((count(), std::thread::spawn(count).join().expect("ends")), (1, 1));
        drop(stay);
        assert_eq!(count(), before);
    }
}
