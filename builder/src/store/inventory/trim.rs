//! What was not used for long is removed.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::{Entry, Kind};
use crate::{
    store::{Store, Turn},
    sys::path::open_regular,
};

/// The result of [`Store::trim`].
#[derive(Clone, Debug, Default)]
pub struct Trimmed {
    /// The removed entries.
    pub removed: Vec<Entry>,
    /// The length of the entries that stayed.
    pub kept_bytes: u64,
    /// The length of entries that were not removed since they are in use.
    pub in_use_bytes: u64,
}

impl Store {
    /// Removes remains, and then what was not used for the longest time, until the rest has at most so many
    /// bytes. What other processes use stays; for those that rely on downloads it waits, and `on_wait` is
    /// called.
    pub fn trim<W>(&self, keep_bytes: u64, on_wait: impl FnOnce() -> W) -> Trimmed {
        let _alone: Turn = self.may_remove_downloads(on_wait);
        let mut entries = self.entries();
        entries.sort_by(|a, b| {
            let key = |entry: &Entry| (entry.kind != Kind::Remains, entry.used_s);
            key(a).cmp(&key(b)).then_with(|| a.path.cmp(&b.path))
        });
        let total: u64 = entries.iter().map(|entry| entry.size_bytes).sum();
        let mut out = Trimmed { kept_bytes: total, ..Trimmed::default() };
        for entry in entries {
            if entry.kind != Kind::Remains && out.kept_bytes <= keep_bytes {
                break;
            }
            if remove(&entry) {
                out.kept_bytes -= entry.size_bytes;
                out.removed.push(entry);
            } else {
                out.in_use_bytes += entry.size_bytes;
            }
        }
        out
    }
}

/// Removes an entry; returns false if it is in use.
fn remove(entry: &Entry) -> bool {
    let Some(pack) = entry.pack.as_deref().or((entry.kind == Kind::Remains).then_some(&entry.path)) else {
        return fs::remove_file(&entry.path).is_ok();
    };
    // Held until both are gone.
    let held: io::Result<File> = open_regular(pack);
    if let Ok(file) = &held
        && flock(file, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::AGAIN)
    {
        return false;
    }
    let is_gone = |path: &Path| match fs::remove_file(path) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(()) => true,
    };
    is_gone(&entry.path) && is_gone(pack)
}
