//! The clean-up when a person stops the program.
//!
//! The maker of something unfinished that outlives a process (a scratch directory, a temporary file)
//! registers it here for as long as it is unfinished. [`tidy_up`] then ends the programs that were started
//! and removes what is registered, and gives a terminal its settings back. After a kill that leaves no time
//! for this, the next run cleans up: see `store`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{atomic, deep, sys};

/// The handler of the next stop signal, instead of the program's end.
static STOP_HANDLER: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// While it lives, one stop signal calls a handler instead of ending the program.
#[derive(Debug)]
pub struct StopHandler(());

impl StopHandler {
    /// Registers a handler for the next stop signal; the one after it ends the program again.
    pub fn new(act: impl FnOnce() + Send + 'static) -> Self {
        *STOP_HANDLER.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(act));
        StopHandler(())
    }
}

impl Drop for StopHandler {
    fn drop(&mut self) {
        STOP_HANDLER.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Runs the registered stop handler instead of exiting; returns false if there is none.
pub fn run_stop_handler() -> bool {
    let act = STOP_HANDLER.lock().unwrap_or_else(PoisonError::into_inner).take();
    act.map(|act| act()).is_some()
}

static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Something unfinished; no longer so once this is dropped.
#[derive(Debug)]
pub struct CleanupGuard(PathBuf);

impl CleanupGuard {
    /// Registers a path.
    pub fn new(path: &Path) -> Self {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_path_buf());
        CleanupGuard(path.to_path_buf())
    }
}

impl Drop for CleanupGuard {
    fn drop(&mut self) {
        UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Files that get their earlier contents back when the program is stopped.
static CHANGED: Mutex<BTreeMap<PathBuf, Vec<u8>>> = Mutex::new(BTreeMap::new());

/// A file that was changed for an attempt. It gets its contents back when this is dropped, and when a person
/// stops the program, unless the attempt succeeded.
#[derive(Debug)]
pub struct Restored {
    path: PathBuf,
}

impl Restored {
    /// Registers the contents that a file has. To be called before it is changed.
    pub fn new(path: &Path, contents: Vec<u8>) -> Self {
        CHANGED.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_path_buf(), contents);
        Restored { path: path.to_path_buf() }
    }

    /// Lets the file be as it is now.
    pub fn keep(self) {
        CHANGED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }

    /// Gives the file its contents back.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn restore(self) -> io::Result<()> {
        match CHANGED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path) {
            Some(contents) => atomic::replace(&self.path, &contents),
            None => Ok(()),
        }
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let contents = CHANGED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        if let Some(contents) = contents {
            let _ = atomic::replace(&self.path, &contents);
        }
    }
}

/// The settings that the terminal at standard input had.
static TERMINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal at standard input, made to hand on every key as it is; as it was before once this is dropped.
#[derive(Debug)]
pub struct RawTerminal(());

impl RawTerminal {
    /// Changes the terminal.
    ///
    /// # Errors
    /// Standard input is none.
    pub fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        *TERMINAL.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(RawTerminal(()))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore_terminal();
    }
}

fn restore_terminal() {
    if let Some(before) = TERMINAL.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // One that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
}

/// Kills the programs that this one started, removes what is unfinished, and gives files their contents back
/// that were changed for an attempt. The process must end right after.
pub fn tidy_up() {
    // First, since replacing a file registers another. Both locks are kept in the end.
    let mut changed = CHANGED.lock().unwrap_or_else(PoisonError::into_inner);
    for (path, contents) in std::mem::take(&mut *changed) {
        let _ = atomic::replace(&path, &contents);
    }
    std::mem::forget(changed);
    // The lock is kept: no thread may finish anything from now on, such as one that waits for one of those
    // programs.
    let unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    // With a sandbox's monitor its programs end, but for those in a chroot: they become our children.
    let _ = sys::process::adopt_orphans();
    sys::process::end_children();
    restore_terminal();
    for path in unfinished.iter() {
        // Programs that were just killed may still add a file.
        for _ in 0..3 {
            if deep::remove_tree(path).is_ok() {
                break;
            }
        }
    }
    std::mem::forget(unfinished);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_to_stop_is_answered_otherwise() {
        let (sender, called) = std::sync::mpsc::channel();
        let again = sender.clone();
        let instead = StopHandler::new(move || sender.send("once").expect("is heard"));
        assert_eq!([run_stop_handler(), run_stop_handler()], [true, false]);
        drop(instead);
        drop(StopHandler::new(move || again.send("never").expect("is heard")));
        assert!(!run_stop_handler());
        assert_eq!(called.iter().collect::<Vec<_>>(), ["once"]);
    }

    #[test]
    fn only_the_unfinished_is_registered() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("half");
        let unfinished = CleanupGuard::new(&path);
        assert!(UNFINISHED.lock().expect("no panic").contains(&path));
        drop(unfinished);
        assert!(!UNFINISHED.lock().expect("no panic").contains(&path));
    }

    #[test]
    fn a_file_gets_its_contents_back_unless_the_attempt_succeeds() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lock");
        let attempt = || {
            std::fs::write(&path, "old").expect("writes");
            let restored = Restored::new(&path, b"old".to_vec());
            std::fs::write(&path, "new").expect("writes");
            restored
        };
        let contents = || std::fs::read_to_string(&path).expect("reads");
        drop(attempt());
        assert_eq!(contents(), "old");
        attempt().restore().expect("writes");
        assert_eq!(contents(), "old");
        attempt().keep();
        assert_eq!(contents(), "new");
        assert!(CHANGED.lock().expect("no panic").is_empty());
    }
}
