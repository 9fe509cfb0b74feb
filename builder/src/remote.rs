//! The remote cache: bundles of the store, shared by machines through a server that none of them trusts.
//!
//! Comes in: the name of a bundle that the store lacks, or those that it has. Goes out: the bundle, in the store;
//! or copies of it on the server. An entry is a statement, signed by the machine that made it, and a file that
//! the statement names by its digest. A tree of a package and a configured layer cannot be checked against
//! anything but the work itself, so the reader believes those whose keys it names, and nobody else: the
//! server can keep entries back, and no more.
//!
//! It never makes a command fail, and does not hold it up: an entry that is refused is named and made here, and
//! a server that does not answer, or is slow, is given up with one warning. It never sends on what another
//! machine made, so that trust in one key does not become trust in the keys that its holder trusts.

mod entry;
mod place;
mod statement;

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    download::{self, MirrorFault, ObjectError, Patience},
    error::chain,
    formats::{app_id::AppId, key_file::Key},
    progress::{Progress, Unit, size_text},
    store::{Elsewhere, LAYER, Store, UNPACKED_DEB},
    threads,
};

use entry::EntryError;
pub use place::Place;
pub use statement::Statement;
use statement::StatementError;

/// How long a server may take to be connected to, and be silent. Whatever is in the cache takes some seconds
/// to make.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that is slower does not save time: packages are made at about this speed.
const SLOWEST_BYTES_PER_S: u64 = 256 << 10;

/// The time that one exchange may take besides that of its bytes, which distant servers need.
const GRACE: Duration = Duration::from_millis(500);

/// The sum of all time beyond, after which a server is given up.
const MOST_LOST: Duration = Duration::from_secs(10);

/// More refused entries are not named, and no more fetched.
const MOST_REFUSED: usize = 8;

/// The kinds of bundles that are shared; others are made faster than they are fetched.
const KINDS: [&str; 4] = [UNPACKED_DEB, LAYER, "npm", "xz-block"];

/// How many entries are sent side by side.
const SENDERS: usize = 4;

/// Returns how servers of remote caches are reached, in place of the patience that mirrors get.
pub fn impatient(options: download::Options) -> download::Options {
    download::Options {
        connect_timeout: CONNECT_TIMEOUT,
        stall_timeout: STALL_TIMEOUT,
        slowest_bytes_per_s: SLOWEST_BYTES_PER_S,
        patience: Patience::NONE,
        ..options
    }
}

/// A remote cache.
#[derive(Debug)]
pub struct RemoteCache {
    place: Place,
    /// Whose entries are believed.
    keys: Vec<AppId>,
    /// Who signs what is sent; nothing is, without.
    signer: Option<Key>,
    progress: Progress,
    is_given_up: AtomicBool,
    refused: AtomicUsize,
    lost_ms: AtomicU64,
    taken: AtomicUsize,
    /// Entries of which the files were found to be missing or wrong, by name.
    wanting: Mutex<BTreeSet<String>>,
}

/// Why an entry cannot be had.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// A statement that does not count.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A file that is not the stated one.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The server, or a file that is not the stated one.
    #[error(transparent)]
    Server(#[from] MirrorFault),
    /// This machine.
    #[error("there is no place for what it sends")]
    Disk(#[from] io::Error),
}

impl From<ObjectError> for Fault {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Fault(fault) => Fault::Server(fault),
            ObjectError::Disk(error) => Fault::Disk(error),
        }
    }
}

impl Fault {
    /// Returns whether one entry is at fault, and others may be whole.
    fn is_of_entry(&self) -> bool {
        match self {
            Fault::Statement(_) => true,
            Fault::Entry(error) => !error.is_of_store(),
            Fault::Server(fault) => fault.is_of_bytes(),
            Fault::Disk(_) => false,
        }
    }
}

impl RemoteCache {
    /// Names a cache; nothing is connected yet. Entries of the signer are believed as well.
    pub fn new(place: Place, mut keys: Vec<AppId>, signer: Option<Key>, progress: Progress) -> Self {
        keys.extend(signer.as_ref().map(Key::app_id));
        let mut known = BTreeSet::new();
        keys.retain(|key| known.insert(*key));
        RemoteCache {
            place,
            keys,
            signer,
            progress,
            is_given_up: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            lost_ms: AtomicU64::new(0),
            taken: AtomicUsize::new(0),
            wanting: Mutex::default(),
        }
    }

    fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Uses the server no more, and says so, once.
    fn give_up(&self, why: &str) {
        if !self.is_given_up.swap(true, Ordering::Relaxed) {
            let why = why.replace('\n', "\n  ");
            self.progress.warn(&format!("the remote cache {} is not used any more: {why}", self.place));
        }
    }

    /// Names an entry that is refused.
    fn refuse(&self, name: &str, key: &AppId, fault: &Fault) {
        let url = self.place.url(name, key);
        let why = chain(fault).replace('\n', "\n  ");
        self.progress.warn(&format!("{url} is refused, and what it stands for is made here: {why}"));
        self.wanting.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        if self.refused.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_REFUSED {
            self.give_up(&format!("{MOST_REFUSED} of its entries were refused"));
        }
    }

    /// Notes how long an exchange took. Time that neither its bytes nor the distance explain adds up.
    fn note_time(&self, began: Instant, bytes: u64) {
        let fair = GRACE + Duration::from_millis(bytes.saturating_mul(1000) / SLOWEST_BYTES_PER_S);
        let lost = began.elapsed().saturating_sub(fair).as_millis() as u64;
        let sum = self.lost_ms.fetch_add(lost, Ordering::Relaxed) + lost;
        if u128::from(sum) > MOST_LOST.as_millis() {
            self.give_up(&format!("it is slow: {} s were lost with waiting", sum / 1000));
        }
    }

    /// Fetches the statement of an entry; `None` if it is not there.
    fn statement(&self, name: &str, key: &AppId) -> Result<Option<Statement>, Fault> {
        let began = Instant::now();
        let read = self.place.statement(name, key);
        self.note_time(began, 0);
        Ok(read?.map(|bytes| Statement::read(&bytes, name, key)).transpose()?)
    }

    /// Brings an entry into the store; returns whether it is there.
    fn bring_by(&self, store: &Store, kind: &str, key: &str, by: &AppId) -> Result<bool, Fault> {
        let name = name(kind, key);
        let Some(statement) = self.statement(&name, by)? else { return Ok(false) };
        let began = Instant::now();
        let file = self.place.file(&name, &statement, &store.tmp());
        self.note_time(began, statement.size_bytes);
        let Some(file) = file? else {
            // It was removed since.
            return Ok(false);
        };
        entry::read(file, &statement, (kind, key), &by.to_string(), store)?;
        Ok(true)
    }

    /// Sends the bundles in use that this machine made and the server lacks. Without a signer it does nothing.
    pub fn share(&self, store: &Store) {
        let Some(signer) = self.signer.as_ref().filter(|_| !self.is_given_up()) else { return };
        let bundles = store.own_bundles();
        let bundles: Vec<_> = bundles.iter().filter(|(kind, _)| KINDS.contains(&kind.as_str())).collect();
        let task = self.progress.task("filling the remote cache", bundles.len() as u64, Unit::Items);
        let (sent, sent_bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        threads::map(threads::for_downloads(SENDERS), &bundles, |(kind, key)| {
            if self.is_given_up() {
                return;
            }
            match self.send(store, kind, key, signer) {
                Ok(0) => {}
                Ok(bytes) => {
                    sent.fetch_add(1, Ordering::Relaxed);
                    sent_bytes.fetch_add(bytes, Ordering::Relaxed);
                }
                Err(fault) => self.give_up(&format!("cannot write to it: {}", chain(&fault))),
            }
            task.add(1);
        });
        let (sent, bytes) = (sent.into_inner(), size_text(sent_bytes.into_inner()));
        self.progress.detail(&format!("sent {sent} entries to the remote cache, {bytes}"));
    }

    /// Sends a bundle, unless it is there and whole; returns how long it is.
    fn send(&self, store: &Store, kind: &str, key: &str, signer: &Key) -> Result<u64, Fault> {
        let name = name(kind, key);
        let by = signer.app_id();
        let is_wanting = self.wanting.lock().unwrap_or_else(PoisonError::into_inner).contains(&name);
        if !is_wanting {
            let known = match self.statement(&name, &by) {
                Err(fault) if fault.is_of_entry() => None,
                known => known?,
            };
            if let Some(statement) = known
                && self.place.has_file(&statement)?
            {
                return Ok(0);
            }
        }
        // One that is damaged is made again when it is needed next.
        let Some((text, pack)) = store.export_bundle(kind, key) else { return Ok(0) };
        let mut file = tempfile::tempfile_in(store.tmp())?;
        let Ok(statement) = entry::write(&text, &pack, &mut file) else { return Ok(0) };
        if statement.size_bytes.max(statement.plain_bytes) > statement::MAX_ENTRY_BYTES {
            return Ok(0);
        }
        let envelope = statement.sign(&name, signer);
        if is_wanting || !self.place.has_file(&statement)? {
            let began = Instant::now();
            self.place.put_file(&statement, file)?;
            self.note_time(began, statement.size_bytes);
        }
        // Last, so that no statement names a file that is not there.
        self.place.put_statement(&name, &by, &statement, &envelope)?;
        Ok(statement.size_bytes)
    }

    /// Returns how many entries were taken from it.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Elsewhere for RemoteCache {
    fn bring(&self, store: &Store, kind: &str, key: &str) -> bool {
        for by in &self.keys {
            if self.is_given_up() {
                return false;
            }
            match self.bring_by(store, kind, key, by) {
                Ok(false) => {}
                Ok(true) => {
                    self.taken.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
                Err(fault) if fault.is_of_entry() => self.refuse(&name(kind, key), by, &fault),
                Err(fault) => self.give_up(&chain(&fault)),
            }
        }
        false
    }
}

/// Returns the name of a bundle, as statements have it.
fn name(kind: &str, key: &str) -> String {
    format!("{kind}/{key}")
}

/// The statement of an entry, and the first line of its file, as a function that takes anything
/// ([`testing::readers`](crate::testing::READERS)).
#[cfg(feature = "testing")]
pub(crate) fn read_anything(bytes: &[u8]) {
    statement::read_anything(bytes);
    let _ = entry::lengths(bytes);
}

#[cfg(test)]
mod tests;
