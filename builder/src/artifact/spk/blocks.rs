//! The blocks of an artifact: read, found among those that were kept, or compressed side by side.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use sha2::{Digest as _, Sha512};

use super::plan::PlannedBlock;
use crate::{
    artifact::write::PackError,
    digest::{Digest, Hasher},
    error::At as _,
    formats::{
        capnp::Piece,
        spk::WrittenArchive,
        xz::{self, Block, Effort},
    },
    progress::Task,
    store::Store,
    threads,
    tree::Tree,
};

/// Encoders need some ten times their dictionary; more of them at once would ask for gigabytes.
const MAX_WORKERS: usize = 4;

/// Blocks below this are made faster than they are looked up.
const LEAST_KEPT_BYTES: u64 = 1 << 18;

const BUNDLE: &str = "xz-block";

/// The stream that is compressed, by its pieces.
pub(super) struct Contents<'a> {
    pub store: &'a Store,
    pub archive: &'a WrittenArchive,
}

impl<'a> Contents<'a> {
    fn piece(&self, piece: &'a Piece) -> Result<Box<dyn Read + 'a>, PackError> {
        Ok(match piece {
            Piece::Bytes(bytes) => Box::new(&bytes[..]),
            Piece::Content { id, .. } => Box::new(self.store.blob(&self.archive.contents[*id])?.reader()),
        })
    }

    fn copy(&self, pieces: &'a [Piece], mut to: impl Write) -> Result<(), PackError> {
        for piece in pieces {
            let copied = io::copy(&mut self.piece(piece)?, &mut to);
            copied.map_err(|source| PackError::Contents { what: "the package".into(), source })?;
        }
        Ok(())
    }

    /// Returns the SHA-512 of all of it.
    pub fn sha512(&self) -> Result<[u8; 64], PackError> {
        let mut hasher = Sha512::new();
        self.copy(&self.archive.message.pieces, &mut hasher)?;
        Ok(hasher.finalize().into())
    }

    fn digest(&self, block: &PlannedBlock) -> Result<Digest, PackError> {
        let mut hasher = Hasher::new(io::sink());
        self.copy(&self.archive.message.pieces[block.pieces.clone()], &mut hasher)?;
        Ok(hasher.finish().0)
    }

    fn reader(&'a self, block: &PlannedBlock) -> Result<impl Read + 'a, PackError> {
        let pieces = &self.archive.message.pieces[block.pieces.clone()];
        let readers = pieces.iter().map(|piece| self.piece(piece)).collect::<Result<Vec<_>, _>>()?;
        Ok(Chain(readers.into_iter()))
    }
}

/// Reads one reader after the other.
struct Chain<'a>(std::vec::IntoIter<Box<dyn Read + 'a>>);

impl Read for Chain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(reader) = self.0.as_mut_slice().first_mut() {
            let got = reader.read(buffer)?;
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            self.0.next();
        }
        Ok(0)
    }
}

/// A block, and whether it was kept.
pub(super) type Encoded = (Block, bool);

/// A block to be made, by what it is kept under.
struct Wanted<'a> {
    block: &'a PlannedBlock,
    digest: Digest,
    key: String,
}

/// Takes the blocks that were kept, and makes the others, side by side on up to so many threads.
pub(super) fn encode(
    contents: &Contents<'_>,
    planned: &[PlannedBlock],
    effort: Effort,
    workers: usize,
    task: &Task,
) -> Result<Vec<Encoded>, PackError> {
    let find = |block| find(contents, block, effort, task);
    let found = in_parallel(workers, planned, |block| block.plain_bytes, find)?;
    let missing: Vec<&Wanted<'_>> = found.iter().filter_map(|found| found.as_ref().err()).collect();
    let make = |wanted: &&Wanted<'_>| make(contents, wanted, effort, task);
    let made = in_parallel(workers, &missing, |wanted| wanted.block.plain_bytes, make)?;
    let mut made = made.into_iter();
    let blocks = found.into_iter().map(|found| match found {
        Ok(kept) => (kept, true),
        Err(_) => (made.next().expect("each that is missing was made"), false),
    });
    Ok(blocks.collect())
}

/// Does the same for all items side by side, the largest first; returns the results in the items' order.
fn in_parallel<'i, I: Sync, T: Send>(
    workers: usize,
    items: &'i [I],
    size: impl Fn(&'i I) -> u64,
    work: impl Fn(&'i I) -> Result<T, PackError> + Sync,
) -> Result<Vec<T>, PackError> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(size(&items[index])));
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Result<T, PackError>>>> = Mutex::new(items.iter().map(|_| None).collect());
    let worker = || {
        while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = work(&items[index]);
            if result.is_err() {
                next.store(order.len(), Ordering::Relaxed);
            }
            done.lock().expect("no panic holds the lock")[index] = Some(result);
        }
    };
    threads::on_each(workers.min(MAX_WORKERS).min(items.len()), worker);
    // After a fault, items that were not begun are missing; the fault itself is among the rest.
    done.into_inner().expect("no panic holds the lock").into_iter().flatten().collect()
}

/// Returns the block that was kept, or what is wanted.
fn find<'a>(
    contents: &Contents<'_>,
    block: &'a PlannedBlock,
    effort: Effort,
    task: &Task,
) -> Result<Result<Block, Wanted<'a>>, PackError> {
    let digest = contents.digest(block)?;
    let key = format!("{digest}-{}-{}", block.class.filter().name(), effort.encoder());
    let load = || contents.store.load_bundle(BUNDLE, &key);
    let brought = || {
        let is_brought = block.plain_bytes >= LEAST_KEPT_BYTES && contents.store.bring(BUNDLE, &key);
        is_brought.then(load).flatten()
    };
    if let Some((_, pack)) = load().or_else(brought)
        && let Ok(bytes) = pack.read()
        && let Ok(kept) = Block::from_bytes(bytes)
        && kept.plain_bytes == block.plain_bytes
    {
        task.add(block.plain_bytes);
        return Ok(Ok(kept));
    }
    Ok(Err(Wanted { block, digest, key }))
}

/// Compresses a block and keeps it for the next build.
fn make(
    contents: &Contents<'_>,
    wanted: &Wanted<'_>,
    effort: Effort,
    task: &Task,
) -> Result<Block, PackError> {
    let block = wanted.block;
    let what = || format!("the block of {}", block.class.name());
    let failed = |source| PackError::Contents { what: what(), source };
    let hasher = RefCell::new(Hasher::new(io::sink()));
    let plain = Counted { inner: contents.reader(block)?, task, hasher: &hasher };
    let encoded =
        xz::encode_block(plain, block.plain_bytes, &block.class.filter(), effort).map_err(failed)?;
    if hasher.into_inner().finish().0 != wanted.digest {
        return Err(failed(io::Error::other("they changed while they were packed")));
    }
    keep(contents.store, wanted, &encoded)?;
    Ok(encoded)
}

/// Keeps a block for the next build.
fn keep(store: &Store, wanted: &Wanted<'_>, block: &Block) -> Result<(), PackError> {
    if block.plain_bytes < LEAST_KEPT_BYTES {
        return Ok(());
    }
    let mut bundle = store.begin_bundle(BUNDLE, &wanted.key)?;
    bundle.write_all(&block.bytes).at("write to", store.tmp())?;
    bundle.finish(&Tree::new())?;
    Ok(())
}

/// Counts and digests what is read.
struct Counted<'a, R> {
    inner: R,
    task: &'a Task,
    hasher: &'a RefCell<Hasher<io::Sink>>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.hasher.borrow_mut().write_all(&buffer[..got])?;
        self.task.add(got as u64);
        Ok(got)
    }
}
