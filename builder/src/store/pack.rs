//! Packs: the files of contents, checked as they are read.
//!
//! A pack is checked as fs-verity does it, only here and on any file system: in chunks of 64 KiB, each
//! against the digest (BLAKE3, which takes a fraction of the time of reading) that the sealed bundle has of
//! it. A chunk is checked when it is first read, and the checked bytes are returned. Later reads of it by
//! this process are not checked again.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::fs::{FlockOperation, flock};

use super::blob::{Blob, BlobLocation};
use crate::{digest::Digest, formats::capnp::ReadAt, threads};

/// The size of one check: the common size of reads, and enough for BLAKE3 to use a CPU's widest registers.
pub(super) const CHUNK_BYTES: u64 = 1 << 16;

/// Chunks that [`Pack::check`] gives to a thread at once.
const CHUNKS_AT_ONCE: u64 = 64;

/// Called with each file that was found changed.
pub(super) type OnDamage = Box<dyn Fn(&Path) + Send + Sync>;

/// Changes that were found in a store, and their treatment.
#[derive(Default)]
pub(super) struct Damages {
    /// Files that were changed since they were written; they are gone.
    found: Mutex<Vec<PathBuf>>,
    below: OnceLock<PathBuf>,
    /// Entries of a cache that cannot be written which are as good as not there.
    aside: Mutex<BTreeSet<PathBuf>>,
    on_damage: OnceLock<OnDamage>,
    /// Whether a reader of contents was refused some.
    refused: AtomicBool,
}

impl fmt::Debug for Damages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Damages")
            .field("found", &self.found)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl Damages {
    pub fn tell(&self, on_damage: OnDamage) {
        let _ = self.on_damage.set(on_damage);
    }

    pub fn add(&self, path: &Path) {
        if let Some(tell) = self.on_damage.get() {
            tell(path);
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_path_buf());
    }

    pub fn take(&self) -> Vec<PathBuf> {
        std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says where a cache lies of which nothing may be removed.
    pub fn keep(&self, below: &Path) {
        let _ = self.below.set(below.to_path_buf());
    }

    /// Takes a file for gone from now on, if it is in the cache of which nothing may be removed. Returns
    /// whether it is.
    pub fn set_aside(&self, path: &Path) -> bool {
        let is_below = self.below.get().is_some_and(|below| path.starts_with(below));
        if is_below {
            self.aside.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_path_buf());
        }
        is_below
    }

    pub fn is_aside(&self, path: &Path) -> bool {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    pub fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    pub fn take_refused(&self) -> bool {
        self.refused.swap(false, Ordering::Relaxed)
    }

    pub fn has_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

/// The file with the contents of one bundle; cheap to clone.
#[derive(Clone, Debug)]
pub struct Pack(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// The bundle that names it.
    bundle: PathBuf,
    /// Held with a shared lock, so that no process removes a pack that is in use by its path.
    file: File,
    size_bytes: u64,
    digests: Vec<Digest>,
    /// A bit for each chunk that was checked.
    checked: Vec<AtomicU64>,
    is_damaged: AtomicBool,
    damages: Arc<Damages>,
}

impl Pack {
    /// Takes a file for a pack; `None` if its length is not that of the chunks.
    pub(super) fn new(
        (path, bundle): (PathBuf, PathBuf),
        file: File,
        size_bytes: u64,
        digests: Vec<Digest>,
        damages: Arc<Damages>,
    ) -> Option<Self> {
        if digests.len() as u64 != size_bytes.div_ceil(CHUNK_BYTES) {
            return None;
        }
        // Without the lock it may be removed while it is used by its path, and is made again then.
        let _ = flock(&file, FlockOperation::NonBlockingLockShared);
        let checked = (0..digests.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let is_damaged = AtomicBool::new(false);
        Some(Pack(Arc::new(Inner { path, bundle, file, size_bytes, digests, checked, is_damaged, damages })))
    }

    /// Returns where it lies. Reads by this path are not checked, but for [`Pack::check`].
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns its length.
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes
    }

    /// Returns whether the file still has a name.
    pub(super) fn is_there(&self) -> bool {
        self.0.file.metadata().is_ok_and(|found| found.nlink() > 0)
    }

    /// Returns whether some of it was found changed; all of it is made again then.
    pub(super) fn is_damaged(&self) -> bool {
        self.0.is_damaged.load(Ordering::Relaxed)
    }

    /// Returns whether both are one open file.
    pub(super) fn is_same(&self, other: &Pack) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Notes that a reader of contents had to be refused.
    pub(super) fn refuse(&self) {
        self.0.damages.refuse();
    }

    /// Returns the file, whose contents are not checked by this.
    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    /// Fills a buffer from an offset.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for contents that were changed since they were written, which are then
    /// removed from the cache; [`io::ErrorKind::UnexpectedEof`] past the end.
    pub fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.0.size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let chunks = offset / CHUNK_BYTES..end.div_ceil(CHUNK_BYTES);
        if chunks.clone().all(|chunk| self.is_checked(chunk)) {
            return self.damaged_if_short(self.0.file.read_exact_at(buffer, offset));
        }
        let mut kept = Vec::new();
        for chunk in chunks {
            let start = (offset % CHUNK_BYTES) as usize;
            let length = self.length_of(chunk);
            let (piece, rest) = buffer.split_at_mut((length - start).min(buffer.len()));
            if self.is_checked(chunk) {
                self.damaged_if_short(self.0.file.read_exact_at(piece, offset))?;
            } else if piece.len() == length {
                self.read_chunk(chunk, piece)?;
            } else {
                kept.resize(length, 0);
                self.read_chunk(chunk, &mut kept)?;
                piece.copy_from_slice(&kept[start..start + piece.len()]);
            }
            offset += piece.len() as u64;
            buffer = rest;
        }
        Ok(())
    }

    /// Returns all of it as contents, which are checked as they are read.
    pub fn whole(&self) -> Blob {
        Blob(BlobLocation::Pack { pack: self.clone(), offset: 0, size_bytes: self.0.size_bytes })
    }

    /// Returns all of it.
    ///
    /// # Errors
    /// As [`Pack::read_exact_at`].
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut out = vec![0; usize::try_from(self.0.size_bytes).map_err(io::Error::other)?];
        self.read_exact_at(&mut out, 0)?;
        Ok(out)
    }

    /// Checks all of it that was not yet, on all cores: for those who read it by its path.
    ///
    /// # Errors
    /// As [`Pack::read_exact_at`].
    pub fn check(&self) -> io::Result<()> {
        let count = self.0.digests.len() as u64;
        let pieces: Vec<u64> = (0..count).step_by(CHUNKS_AT_ONCE as usize).collect();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let results = threads::map(cores, &pieces, |first| {
            self.check_range(first * CHUNK_BYTES, CHUNKS_AT_ONCE * CHUNK_BYTES)
        });
        results.into_iter().collect()
    }

    /// Checks those chunks of a part that were not checked yet.
    pub(super) fn check_range(&self, offset: u64, size_bytes: u64) -> io::Result<()> {
        let end = offset.saturating_add(size_bytes).min(self.0.size_bytes);
        let mut buffer = Vec::new();
        for chunk in offset / CHUNK_BYTES..end.div_ceil(CHUNK_BYTES) {
            if !self.is_checked(chunk) {
                buffer.resize(self.length_of(chunk), 0);
                self.read_chunk(chunk, &mut buffer)?;
            }
        }
        Ok(())
    }

    fn length_of(&self, chunk: u64) -> usize {
        (self.0.size_bytes - chunk * CHUNK_BYTES).min(CHUNK_BYTES) as usize
    }

    fn is_checked(&self, chunk: u64) -> bool {
        self.0.checked[(chunk / 64) as usize].load(Ordering::Relaxed) & 1 << (chunk % 64) != 0
    }

    /// Reads a chunk and checks it.
    fn read_chunk(&self, chunk: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.damaged_if_short(self.0.file.read_exact_at(buffer, chunk * CHUNK_BYTES))?;
        if digest(buffer) != self.0.digests[chunk as usize] {
            return Err(self.damaged());
        }
        self.0.checked[(chunk / 64) as usize].fetch_or(1 << (chunk % 64), Ordering::Relaxed);
        Ok(())
    }

    /// A file that was cut off since it was opened is damaged like any other.
    fn damaged_if_short(&self, read: io::Result<()>) -> io::Result<()> {
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged()),
            other => other,
        }
    }

    /// Takes the bundle out of the cache and returns the error that says so.
    fn damaged(&self) -> io::Error {
        let Inner { path, bundle, file, is_damaged, damages, .. } = &*self.0;
        if !is_damaged.swap(true, Ordering::Relaxed) {
            if !damages.set_aside(bundle) {
                let _ = fs::remove_file(bundle);
            }
            if !damages.set_aside(path) {
                remove_if_unused(path, file);
            }
            damages.add(path);
        }
        let text = format!("{} was changed since tinyroot wrote it, and was removed", path.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

impl ReadAt for Pack {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.size_bytes)
    }

    fn fill_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

/// Removes a pack if no other process uses it; one that stays is never used again.
pub(super) fn remove_if_unused(path: &Path, file: &File) {
    if flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        let _ = fs::remove_file(path);
    }
}

fn digest(chunk: &[u8]) -> Digest {
    Digest(blake3::hash(chunk).into())
}

/// Digests the chunks of a pack while it is written.
#[derive(Debug, Default)]
pub(super) struct Digester {
    chunk: Vec<u8>,
    digests: Vec<Digest>,
    /// Chunks that were changed after they were passed on.
    stale: BTreeSet<u64>,
}

impl Digester {
    /// Reads the appended bytes.
    pub fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES as usize - self.chunk.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if self.chunk.is_empty() && now.len() == room {
                self.digests.push(digest(now));
            } else {
                self.chunk.extend_from_slice(now);
                if self.chunk.len() as u64 == CHUNK_BYTES {
                    self.digests.push(digest(&self.chunk));
                    self.chunk.clear();
                }
            }
            bytes = later;
        }
    }

    /// Notes that bytes were written over.
    pub fn change(&mut self, offset: u64, size_bytes: u64) {
        self.stale.extend(offset / CHUNK_BYTES..(offset + size_bytes).div_ceil(CHUNK_BYTES));
    }

    /// Returns the digest of each chunk of the file that was written.
    pub fn finish(mut self, file: &File, size_bytes: u64) -> io::Result<Vec<Digest>> {
        if !self.chunk.is_empty() {
            self.digests.push(digest(&self.chunk));
        }
        for chunk in self.stale {
            let offset = chunk * CHUNK_BYTES;
            let mut bytes = vec![0; (size_bytes - offset).min(CHUNK_BYTES) as usize];
            file.read_exact_at(&mut bytes, offset)?;
            self.digests[chunk as usize] = digest(&bytes);
        }
        Ok(self.digests)
    }
}
