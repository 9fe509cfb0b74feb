//! An `.spk`: the archive message laid out, signed, compressed in blocks side by side.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::File,
    io::{self, Read, Write},
    num::NonZeroUsize,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use sha2::{Digest as _, Sha512};

use super::{
    Artifact, BlockSize, PackError,
    plan::{PlannedBlock, class_of, cut, ranks},
};
use crate::{
    beside,
    formats::{
        capnp::Piece,
        digest::{Digest, Hasher},
        key_file::Key,
        manifest::{self, Manifest},
        spk::{self, LateContent, WrittenArchive},
        xz::{self, Block},
    },
    progress::{Progress, Task, Unit},
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

/// Encoders need some ten times their dictionary; more of them at once would ask for gigabytes.
const MAX_WORKERS: usize = 4;

/// Blocks below this are made faster than they are looked up.
const LEAST_KEPT_BYTES: u64 = 1 << 18;

const BUNDLE: &str = "xz-block";

/// Writes a tree as a signed package. Appears under its name whole or not at all.
///
/// Added are what every package has: `sandstorm-manifest`, and the places that a grain mounts over (`dev`, `tmp`,
/// `var`, `proc/cpuinfo`).
///
/// # Errors
/// [`PackError`].
pub fn pack(
    tree: &Tree,
    store: &Store,
    manifest: &Manifest,
    key: &Key,
    out: &Path,
    progress: &Progress,
) -> Result<Artifact, PackError> {
    let tree = complete(tree, store, manifest, progress)?;
    let mut archive = lay_out(&tree, store)?;
    let reader = Contents { store, archive: &archive };
    let signature = spk::sign(key, &reader.sha512()?);
    archive.message.pieces.insert(0, Piece::Bytes(signature));
    let planned = cut(&archive.message);
    let total = planned.iter().map(|block| block.plain_bytes).sum();
    let task = progress.task("packing", total, Unit::Bytes);
    let contents = Contents { store, archive: &archive };
    let blocks = encode(&contents, &planned, &task)?;
    write(&blocks, &planned, key, out)
}

/// Returns the tree as it goes into the package.
fn complete(tree: &Tree, store: &Store, manifest: &Manifest, progress: &Progress) -> Result<Tree, PackError> {
    if manifest.title.is_empty() {
        return Err(PackError::Manifest("title"));
    }
    if manifest.marketing_version.is_empty() {
        return Err(PackError::Manifest("marketing version"));
    }
    let mut tree = tree.clone();
    tree.retain(|path, entry| {
        let special = !matches!(entry.kind, Kind::Directory | Kind::File { .. } | Kind::Symlink { .. });
        if special {
            progress.warn(&format!("{path} is left out: a package holds no devices or named pipes"));
        }
        !special
    });
    let path = |name: &str| TreePath::new(name.as_bytes()).expect("a good path");
    let bytes = manifest.to_bytes();
    let size_bytes = bytes.len() as u64;
    tree.insert(path(manifest::FILE_NAME), Entry::file(store.put(bytes), size_bytes, 0o644, 0));
    for name in ["dev", "tmp", "var"] {
        if tree.get(name.as_bytes()).is_none() {
            tree.insert(path(name), Entry::directory(0));
        }
    }
    if tree.get(b"proc/cpuinfo").is_none() {
        tree.insert(path("proc/cpuinfo"), Entry::file(store.put(Vec::new()), 0, 0o644, 0));
    }
    tree.add_parents(0);
    Ok(tree)
}

/// Ranks contents and lays the archive out.
fn lay_out(tree: &Tree, store: &Store) -> Result<WrittenArchive, PackError> {
    let mut classes = HashMap::new();
    let mut sums = Vec::new();
    for (path, entry) in tree.iter() {
        let Some((digest, size_bytes)) = entry.kind.content() else { continue };
        let class = match classes.get(&digest) {
            Some(class) => *class,
            None => {
                let failed = |source| PackError::Contents { what: path.to_string(), source };
                let blob = store.blob(&digest).map_err(|e| failed(io::Error::other(e)))?;
                if blob.size_bytes() != size_bytes {
                    return Err(failed(io::Error::other("their length is not that of the tree")));
                }
                class_of(&LateContent { path, digest, size_bytes }, &blob).map_err(failed)?
            }
        };
        classes.insert(digest, class);
        sums.push((class, size_bytes));
    }
    let rank = ranks(&sums);
    Ok(spk::write_archive(tree, |content| rank(classes[&content.digest]))?)
}

/// The stream that is compressed, by its pieces.
struct Contents<'a> {
    store: &'a Store,
    archive: &'a WrittenArchive,
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

    fn sha512(&self) -> Result<[u8; 64], PackError> {
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
type Encoded = (Block, bool);

/// Makes the blocks side by side, the largest first.
fn encode(contents: &Contents<'_>, planned: &[PlannedBlock], task: &Task) -> Result<Vec<Encoded>, PackError> {
    let mut order: Vec<usize> = (0..planned.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(planned[index].plain_bytes));
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Result<Encoded, PackError>>>> =
        Mutex::new(planned.iter().map(|_| None).collect());
    let work = || {
        while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = encode_or_find(contents, &planned[index], task);
            if result.is_err() {
                next.store(order.len(), Ordering::Relaxed);
            }
            done.lock().expect("no panic holds the lock")[index] = Some(result);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 1..cores.min(MAX_WORKERS).min(planned.len()) {
            scope.spawn(work);
        }
        work();
    });
    // After a fault, blocks that were not begun are missing; the fault itself is among the rest.
    done.into_inner().expect("no panic holds the lock").into_iter().flatten().collect()
}

fn encode_or_find(contents: &Contents<'_>, block: &PlannedBlock, task: &Task) -> Result<Encoded, PackError> {
    let digest = contents.digest(block)?;
    let filter = block.class.filter();
    let key = format!("{digest}-{}-{}", filter.name(), xz::ENCODER);
    let store = contents.store;
    if let Some((_, pack)) = store.load_bundle(BUNDLE, &key)
        && let Ok(bytes) = std::fs::read(&pack)
        && let Ok(kept) = Block::from_bytes(bytes)
        && kept.plain_bytes == block.plain_bytes
    {
        task.add(block.plain_bytes);
        return Ok((kept, true));
    }
    let what = || format!("the block of {}", block.class.name());
    let failed = |source| PackError::Contents { what: what(), source };
    let hasher = RefCell::new(Hasher::new(io::sink()));
    let plain = Counted { inner: contents.reader(block)?, task, hasher: &hasher };
    let encoded = xz::encode_block(plain, block.plain_bytes, &filter).map_err(failed)?;
    if hasher.into_inner().finish().0 != digest {
        return Err(failed(io::Error::other("they changed while they were packed")));
    }
    if block.plain_bytes >= LEAST_KEPT_BYTES {
        let mut bundle = store.begin_bundle(BUNDLE, &key)?;
        bundle.write_all(&encoded.bytes).map_err(|source| PackError::Io {
            operation: "write to",
            path: store.tmp(),
            source,
        })?;
        bundle.finish(&Tree::new())?;
    }
    Ok((encoded, false))
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

/// Puts the blocks together in a file beside its place, and that in its place.
fn write(blocks: &[Encoded], planned: &[PlannedBlock], key: &Key, out: &Path) -> Result<Artifact, PackError> {
    let io = |operation, source| PackError::Io { operation, path: out.to_path_buf(), source };
    let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (file, _unfinished) = beside::file(parent, ".tinyroot-pack-").map_err(|e| io("create", e))?;
    let mut hasher = Hasher::new(file);
    let records: Vec<_> = blocks.iter().map(|(block, _)| block.record()).collect();
    let written = (|| {
        hasher.write_all(&spk::MAGIC)?;
        hasher.write_all(&xz::stream_header())?;
        blocks.iter().try_for_each(|(block, _)| hasher.write_all(&block.bytes))?;
        hasher.write_all(&xz::stream_end(&records))
    })();
    written.map_err(|e| io("write", e))?;
    let (digest, size_bytes, file) = hasher.finish();
    file.as_file().sync_all().map_err(|e| io("write", e))?;
    let _: File = file.persist(out).map_err(|e| io("create", e.error))?;
    let size = |((block, kept), plan): (&Encoded, &PlannedBlock)| BlockSize {
        kind: plan.class.name(),
        plain_bytes: block.plain_bytes,
        packed_bytes: block.bytes.len() as u64,
        kept: *kept,
    };
    Ok(Artifact {
        path: out.to_path_buf(),
        size_bytes,
        digest,
        package_id: digest.into(),
        app_id: key.app_id(),
        blocks: blocks.iter().zip(planned).map(size).collect(),
    })
}
