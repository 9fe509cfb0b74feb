//! Work side by side, with as many threads as can be had.
//!
//! The calling thread takes part, so all work is done even where no thread can be started (`ulimit -u`,
//! `ulimit -v`, a container's limit of processes). Results do not depend on how many there are.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, Builder},
};

use crate::files;

/// The hint for a thread that cannot be started.
pub const HINT: &str = "the limit of processes (`ulimit -u`, or a container's) or of memory (`ulimit -v`) is reached: raise it, \
                        or end other programs";

/// Returns how many threads have a core of their own; 16 at most, since each needs memory.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(16)
}

/// Runs the same work on up to so many threads at once, the calling one included.
pub fn on_each(count: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 1..count {
            if Builder::new().spawn_scoped(scope, &work).is_err() {
                break;
            }
        }
        work();
    });
}

/// Does work for each item on up to so many threads; returns the results in the items' order.
pub fn map<'a, I: Sync, T: Send>(count: usize, items: &'a [I], work: impl Fn(&'a I) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<T>>> = Mutex::new(items.iter().map(|_| None).collect());
    on_each(count.min(items.len()), || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return };
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(result);
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_iter().flatten().collect()
}

/// Does work on each item, on all cores; the error of the first item in order is returned.
pub fn try_for_each<T: Sync, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let fault: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let run = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return };
            if let Err(error) = work(item) {
                // No new items; those before this one are being worked on and may still fail.
                next.fetch_max(items.len(), Ordering::Relaxed);
                let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
                if fault.as_ref().is_none_or(|(known, _)| at < *known) {
                    *fault = Some((at, error));
                }
            }
        }
    };
    on_each(cores().min(items.len()), run);
    let fault = fault.into_inner().unwrap_or_else(PoisonError::into_inner);
    fault.map_or(Ok(()), |(_, error)| Err(error))
}

/// Returns how much memory programs can be given before the host swaps; `None` where the kernel does not say
/// (`MemAvailable` of `proc_meminfo(5)`, since Linux 3.14).
pub fn available_bytes() -> Option<u64> {
    let text = files::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Turns at work of which only so much may be done side by side. Clones share them.
#[derive(Clone, Debug)]
pub struct Turns(Arc<(Mutex<usize>, Condvar)>);

/// A turn; ends when dropped.
#[derive(Debug)]
pub struct Turn(Turns);

impl Turns {
    /// Makes turns of which so many can be had at once; 1 or more.
    pub fn of(count: usize) -> Self {
        Turns(Arc::new((Mutex::new(count.max(1)), Condvar::new())))
    }

    /// Waits for a turn. Where that takes time, `waiting` is called, and what it returns lives as long.
    pub fn take<W>(&self, waiting: impl FnOnce() -> W) -> Turn {
        let (free, freed) = &*self.0;
        let mut count = free.lock().unwrap_or_else(PoisonError::into_inner);
        if *count == 0 {
            let _waiting = waiting();
            while *count == 0 {
                count = freed.wait(count).unwrap_or_else(PoisonError::into_inner);
            }
        }
        *count -= 1;
        Turn(self.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Turns(shared) = &self.0;
        *shared.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        shared.1.notify_one();
    }
}

/// How many threads the HTTP library needs besides those that call it: its own, and those that look names up.
/// It panics without.
pub const FOR_HTTP: usize = 3;

/// Returns how many of so many threads can be had at once now, besides the calling one.
pub fn available(count: usize) -> usize {
    let (sender, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    thread::scope(|scope| {
        // They stay until all are there: then the sender is gone.
        let stay = || {
            let _ = wait.lock().unwrap_or_else(PoisonError::into_inner).recv();
        };
        let had = (0..count).take_while(|_| Builder::new().spawn_scoped(scope, stay).is_ok()).count();
        drop(sender);
        had
    })
}

/// Returns on how many threads, the calling one included, files can be fetched side by side.
pub fn for_downloads(wanted: usize) -> usize {
    (available(wanted + FOR_HTTP) + 1).saturating_sub(FOR_HTTP).clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_however_many_threads_there_are() {
        let items: Vec<usize> = (0..100).collect();
        for count in [0, 1, 3, 200] {
            assert_eq!(
                map(count, &items, |item| item * 2),
                items.iter().map(|item| item * 2).collect::<Vec<_>>()
            );
        }
        assert_eq!(map(4, &[] as &[usize], |item| *item), [0; 0]);
    }

    #[test]
    fn only_so_many_have_a_turn_at_once() {
        let (turns, now, most) = (Turns::of(2), AtomicUsize::new(0), AtomicUsize::new(0));
        let waited = AtomicUsize::new(0);
        map(5, &[(); 5], |()| {
            let _turn = turns.take(|| waited.fetch_add(1, Ordering::Relaxed));
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            thread::sleep(std::time::Duration::from_millis(20));
            now.fetch_sub(1, Ordering::Relaxed);
        });
        assert!(most.load(Ordering::Relaxed) <= 2);
        assert!(waited.load(Ordering::Relaxed) > 0);
        // All were given back.
        let turns = [turns.take(|| panic!("is free")), turns.take(|| panic!("is free"))];
        assert_eq!(turns.len(), 2);
    }

    #[test]
    fn threads_that_were_tried_end() {
        for count in [0, 1, 5] {
            assert_eq!(available(count), count);
        }
        assert_eq!([0, 1, 6].map(for_downloads), [1, 1, 6]);
    }
}
