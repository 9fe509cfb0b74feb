//! Work side by side, with as many threads as can be had.
//!
//! The calling thread takes part, so all work is done even where no thread can be started (`ulimit -u`,
//! `ulimit -v`, a container's limit of processes). Results do not depend on how many there are.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, Builder},
};

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
    fn threads_that_were_tried_end() {
        for count in [0, 1, 5] {
            assert_eq!(available(count), count);
        }
        assert_eq!([0, 1, 6].map(for_downloads), [1, 1, 6]);
    }
}
