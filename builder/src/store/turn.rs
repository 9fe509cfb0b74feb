//! Turns: processes that would make the same thing make it one after the other, so that the later ones find
//! it there.
//!
//! `CACHE/turns` is an empty file, and each thing that can be made has a byte of it, which its maker locks. A
//! killed maker holds nothing. Where there are no locks (some network file systems, a cache that cannot be
//! written to) there are no turns: then two may do the same work, which is right as well, and the later
//! result goes ([`BundleWriter::finish`](super::BundleWriter::finish)).

use std::{
    fs::File,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{Arc, OnceLock},
};

use rustix::fs::OFlags;

use super::Store;
use crate::sys::lock::{self, Hold, LAST_BYTE};

/// The name of the file whose bytes are locked.
pub(super) const NAME: &str = "turns";

/// The byte that processes which rely on downloads share, and that one which removes some holds alone. No
/// thing has it.
const IN_USE: u64 = LAST_BYTE;

/// The file whose bytes are locked; none where it cannot be opened.
#[derive(Debug, Default)]
pub(super) struct Turns(OnceLock<Option<Arc<File>>>);

impl Turns {
    fn file(&self, root: &Path) -> Option<Arc<File>> {
        let open = || {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
            options.open(root.join(NAME)).ok().map(Arc::new)
        };
        self.0.get_or_init(open).clone()
    }
}

/// The turn to make a thing; others have theirs once this is dropped.
#[derive(Debug)]
pub struct Turn {
    held: Option<(Arc<File>, u64)>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((file, byte)) = &self.held {
            lock::unlock(file, *byte);
        }
    }
}

impl Store {
    /// Returns the turn to make a thing, of which no second one may be taken meanwhile by this store; `None`
    /// while another process has it.
    pub fn try_turn(&self, kind: &str, key: &str) -> Option<Turn> {
        self.hold(byte_of(kind, key), Hold::Alone, false)
    }

    /// As [`Store::try_turn`], once it can be had. What `on_wait` returns lives as long as that takes, where
    /// another process has it.
    pub fn turn<W>(&self, kind: &str, key: &str, on_wait: impl FnOnce() -> W) -> Turn {
        self.wait_for(byte_of(kind, key), Hold::Alone, on_wait)
    }

    /// Keeps others from removing what was downloaded, for as long as the result lives. Not to be called
    /// again meanwhile.
    pub fn rely_on_downloads<W>(&self, on_wait: impl FnOnce() -> W) -> Turn {
        self.wait_for(IN_USE, Hold::Shared, on_wait)
    }

    /// Waits until no other process relies on downloads, and keeps them from it for as long as the result
    /// lives.
    pub(super) fn may_remove_downloads<W>(&self, on_wait: impl FnOnce() -> W) -> Turn {
        self.wait_for(IN_USE, Hold::Alone, on_wait)
    }

    fn wait_for<W>(&self, byte: u64, hold: Hold, on_wait: impl FnOnce() -> W) -> Turn {
        self.hold(byte, hold, false).unwrap_or_else(|| {
            let _waiting = on_wait();
            self.hold(byte, hold, true).unwrap_or(Turn { held: None })
        })
    }

    fn hold(&self, byte: u64, hold: Hold, wait: bool) -> Option<Turn> {
        let Some(file) = self.turns.file(&self.root) else { return Some(Turn { held: None }) };
        match lock::lock(&file, byte, hold, wait) {
            Ok(true) => Some(Turn { held: Some((file, byte)) }),
            Ok(false) => None,
            Err(_) => Some(Turn { held: None }),
        }
    }
}

/// Returns the byte of a thing. That two things have the same one only makes one of them wait.
fn byte_of(kind: &str, key: &str) -> u64 {
    let digest = blake3::hash(format!("{kind}/{key}").as_bytes());
    let mut start = [0; 8];
    start.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(start) % IN_USE
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use super::*;

    #[test]
    fn a_thing_is_made_by_one_at_a_time_and_the_next_is_told_that_it_waits() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || Store::open(directory.path()).expect("opens");
        let (one, other) = (open(), open());
        let turn = one.try_turn("deb", "k").expect("is free");
        assert!(other.try_turn("deb", "k").is_none());
        assert!(other.try_turn("deb", "l").is_some() && other.try_turn("layer", "k").is_some());
        let waits = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| other.turn("deb", "k", || waits.store(true, Ordering::Relaxed)));
            while !waits.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(turn);
        });
        assert!(one.try_turn("deb", "k").is_some());
    }

    #[test]
    fn where_no_lock_can_be_had_there_is_no_waiting() {
        let directory = tempfile::tempdir().expect("a directory");
        drop(Store::open(directory.path()).expect("opens"));
        std::os::unix::fs::symlink("/dev/null", directory.path().join("turns")).expect("links");
        let open = || Store::open(directory.path()).expect("opens");
        let (one, other) = (open(), open());
        let _turn = one.turn("deb", "k", || ());
        let _other = other.turn("deb", "k", || panic!("nothing is locked"));
    }
}
