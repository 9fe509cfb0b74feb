//! An image from a tree.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Seek, SeekFrom, Write},
};

use super::{
    BLOCK_BYTES, BLOCK_LOG, METADATA_BYTES, NO_FRAGMENT, NO_TABLE, PLAIN_BLOCK, PLAIN_METADATA,
    SUPERBLOCK_BYTES, Superblock,
    codec::{self, XZ},
};
use crate::{
    artifact::write::{PackError, file_order},
    digest::Digest,
    formats::xz::Effort,
    papers,
    progress::Task,
    store::Store,
    threads,
    tree::{Entry, Kind, Tree, TreePath},
};

/// `NO_XATTRS` of the superblock's flags: there is no table of them. `DUPLICATES`: equal contents stand once.
const FLAGS: u16 = 0x0200 | 0x0040;

/// So many blocks are held in memory at a time.
const BATCH: usize = 32;

/// Images are a multiple of this long, so that they can be mounted by a loop device.
const PADDED_BYTES: u64 = 4096;

/// A header in the directory table covers so many entries at most.
const ENTRIES_A_HEADER: usize = 256;

/// Writes a tree as an image, from the start of a file. All belongs to 0:0; `time_s` is its own time.
///
/// # Errors
/// Contents that cannot be read, and a file that cannot be written.
pub fn write(
    tree: &Tree,
    time_s: i64,
    store: &Store,
    task: &Task,
    out: &mut (impl Write + Seek),
) -> Result<(), PackError> {
    let effort = papers::effort(tree, store);
    let mut image = Image { out, position: 0, fragments: Vec::new(), places: BTreeMap::new(), effort };
    image.append(&[0; SUPERBLOCK_BYTES])?;
    image.contents(tree, store, task)?;
    let Tables { inodes, directories, root, count } = tables(tree, &image.places)?;
    let inode_table = image.position;
    image.append(&inodes)?;
    let directory_table = image.position;
    image.append(&directories)?;
    let fragments = image.fragments.len() as u32;
    let entries: Vec<u8> = image.fragments.iter().flat_map(|(start, size)| fragment(*start, *size)).collect();
    let fragment_table = match fragments {
        0 => NO_TABLE,
        _ => image.indexed_table(&entries)?,
    };
    let id_table = image.indexed_table(&0_u32.to_le_bytes())?;
    let used_bytes = image.position;
    let padding = used_bytes.next_multiple_of(PADDED_BYTES) - used_bytes;
    image.append(&vec![0; padding as usize])?;
    let superblock = Superblock {
        inodes: count,
        time_s: seconds(time_s),
        block_bytes: BLOCK_BYTES as u32,
        fragments,
        compression: XZ,
        block_log: BLOCK_LOG,
        flags: FLAGS,
        ids: 1,
        root,
        used_bytes,
        id_table,
        xattr_table: NO_TABLE,
        inode_table,
        directory_table,
        fragment_table,
        export_table: NO_TABLE,
    };
    let written =
        image.out.seek(SeekFrom::Start(0)).and_then(|_| image.out.write_all(&superblock.to_bytes()));
    written.map_err(PackError::writing)
}

/// Returns a time as an image holds it: to the year 2106.
fn seconds(time_s: i64) -> u32 {
    u32::try_from(time_s.max(0)).unwrap_or(u32::MAX)
}

fn fragment(start: u64, size: u32) -> Vec<u8> {
    [&start.to_le_bytes()[..], &size.to_le_bytes(), &[0; 4]].concat()
}

/// Where contents lie in the image.
#[derive(Clone, Debug)]
struct Place {
    start: u64,
    /// The size of each full block, with [`PLAIN_BLOCK`]; 0 for one of zeros alone.
    blocks: Vec<u32>,
    /// The fragment that holds the end, and where in it.
    end: (u32, u32),
}

/// A block to be made: parts of contents, one after the other.
type Parts = Vec<(Digest, u64, usize)>;

struct Image<'a, W> {
    out: &'a mut W,
    position: u64,
    fragments: Vec<(u64, u32)>,
    places: BTreeMap<Digest, Place>,
    /// Of the blocks of contents; metadata are few.
    effort: Effort,
}

impl<W: Write + Seek> Image<'_, W> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.out.write_all(bytes).map_err(PackError::writing)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Writes the contents of all files: full blocks first, then their ends.
    fn contents(&mut self, tree: &Tree, store: &Store, task: &Task) -> Result<(), PackError> {
        let mut blocks: Vec<Parts> = Vec::new();
        let mut ends: Vec<Parts> = Vec::new();
        let mut files = Vec::new();
        let mut room = 0;
        let mut seen = BTreeSet::new();
        for (digest, size_bytes) in file_order(tree) {
            if !seen.insert(digest) {
                continue;
            }
            let full = size_bytes / BLOCK_BYTES as u64;
            blocks.extend((0..full).map(|n| vec![(digest, n * BLOCK_BYTES as u64, BLOCK_BYTES)]));
            let rest = (size_bytes % BLOCK_BYTES as u64) as usize;
            let mut end = (NO_FRAGMENT, 0);
            if rest > 0 {
                if rest > room {
                    ends.push(Vec::new());
                    room = BLOCK_BYTES;
                }
                end = (ends.len() as u32 - 1, (BLOCK_BYTES - room) as u32);
                ends.last_mut().expect("one was begun").push((digest, full * BLOCK_BYTES as u64, rest));
                room -= rest;
            }
            files.push((digest, full as usize, end));
        }
        let made = self.blocks(&blocks, store, task)?;
        let mut made = made.into_iter();
        for (digest, full, end) in files {
            let own: Vec<(u64, u32)> = made.by_ref().take(full).collect();
            let start = own.first().map_or(0, |(start, _)| *start);
            let blocks = own.into_iter().map(|(_, size)| size).collect();
            self.places.insert(digest, Place { start, blocks, end });
        }
        self.fragments = self.blocks(&ends, store, task)?;
        Ok(())
    }

    /// Compresses blocks side by side and writes them in order; returns where each lies, and its size.
    fn blocks(&mut self, blocks: &[Parts], store: &Store, task: &Task) -> Result<Vec<(u64, u32)>, PackError> {
        let (mut places, effort) = (Vec::new(), self.effort);
        for batch in blocks.chunks(BATCH) {
            for made in threads::map(threads::cores(), batch, |parts| block(parts, effort, store, task)) {
                let (bytes, size) = made?;
                places.push((self.position, size));
                self.append(&bytes)?;
            }
        }
        Ok(places)
    }

    /// Writes a table and the list of its blocks; returns where the list lies.
    fn indexed_table(&mut self, bytes: &[u8]) -> Result<u64, PackError> {
        let mut starts = Vec::new();
        for chunk in bytes.chunks(METADATA_BYTES) {
            starts.extend(self.position.to_le_bytes());
            self.append(&metadata_block(chunk)?)?;
        }
        let at = self.position;
        self.append(&starts)?;
        Ok(at)
    }
}

/// Returns the bytes of a data block, and its size as inodes have it.
fn block(parts: &Parts, effort: Effort, store: &Store, task: &Task) -> Result<(Vec<u8>, u32), PackError> {
    let mut plain = Vec::new();
    for (digest, offset, count) in parts {
        let at = plain.len();
        plain.resize(at + count, 0);
        let failed = |source| PackError::Contents { what: digest.to_string(), source };
        let got = store.blob(digest)?.read_at(&mut plain[at..], *offset).map_err(failed)?;
        if got != *count {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    task.add(plain.len() as u64);
    if plain.len() == BLOCK_BYTES && plain.iter().all(|byte| *byte == 0) {
        return Ok((Vec::new(), 0));
    }
    Ok(match codec::compress(&plain, effort).map_err(PackError::writing)? {
        Some(packed) => {
            let size = packed.len() as u32;
            (packed, size)
        }
        None => {
            let size = plain.len() as u32 | PLAIN_BLOCK;
            (plain, size)
        }
    })
}

fn metadata_block(plain: &[u8]) -> Result<Vec<u8>, PackError> {
    let packed = codec::compress(plain, Effort::Best).map_err(PackError::writing)?;
    let (header, bytes) = match &packed {
        Some(packed) => (packed.len() as u16, &packed[..]),
        None => (plain.len() as u16 | PLAIN_METADATA, plain),
    };
    Ok([&header.to_le_bytes(), bytes].concat())
}

/// A table of metadata while it grows.
#[derive(Default)]
struct Metadata {
    done: Vec<u8>,
    open: Vec<u8>,
}

impl Metadata {
    /// Returns where the next byte goes: the start of its block in the table, and the offset in the block.
    fn position(&self) -> (u32, u16) {
        (self.done.len() as u32, self.open.len() as u16)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.open.extend_from_slice(bytes);
        while self.open.len() >= METADATA_BYTES {
            let rest = self.open.split_off(METADATA_BYTES);
            self.done.extend(metadata_block(&self.open)?);
            self.open = rest;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, PackError> {
        if !self.open.is_empty() {
            self.done.extend(metadata_block(&self.open)?);
        }
        Ok(self.done)
    }
}

/// The tables of inodes and directories.
struct Tables {
    inodes: Vec<u8>,
    directories: Vec<u8>,
    root: u64,
    count: u32,
}

/// An inode that was written, as its directory names it.
struct Named<'a> {
    name: &'a [u8],
    block: u32,
    offset: u16,
    number: u32,
    kind: u16,
}

fn tables(tree: &Tree, places: &BTreeMap<Digest, Place>) -> Result<Tables, PackError> {
    let numbers: BTreeMap<&[u8], u32> =
        tree.iter().enumerate().map(|(index, (path, _))| (path.as_bytes(), index as u32 + 1)).collect();
    let mut builder =
        Builder { numbers, places, inodes: Metadata::default(), directories: Metadata::default() };
    // In a directory before it stand its entries; so paths are taken from the last to the first.
    let mut pending: BTreeMap<&[u8], Vec<Named<'_>>> = BTreeMap::new();
    let mut root = 0;
    for (path, entry) in tree.iter().rev() {
        let mut entries = pending.remove(path.as_bytes()).unwrap_or_default();
        entries.reverse();
        let named = builder.inode(path, entry, &entries)?;
        match path.parent_bytes() {
            Some(parent) if !path.is_root() => pending.entry(parent).or_default().push(named),
            _ => root = u64::from(named.block) << 16 | u64::from(named.offset),
        }
    }
    let count = builder.numbers.len() as u32;
    let (inodes, directories) = (builder.inodes.finish()?, builder.directories.finish()?);
    Ok(Tables { inodes, directories, root, count })
}

struct Builder<'a> {
    numbers: BTreeMap<&'a [u8], u32>,
    places: &'a BTreeMap<Digest, Place>,
    inodes: Metadata,
    directories: Metadata,
}

impl<'a> Builder<'a> {
    fn inode(
        &mut self,
        path: &'a TreePath,
        entry: &Entry,
        entries: &[Named<'_>],
    ) -> Result<Named<'a>, PackError> {
        let number = self.numbers[path.as_bytes()];
        let (kind, body) = match &entry.kind {
            Kind::Directory => self.directory(path, entries)?,
            Kind::Symlink { target } => {
                let length = (target.len() as u32).to_le_bytes();
                (3, [&1_u32.to_le_bytes()[..], &length, target].concat())
            }
            Kind::File { digest, size_bytes, .. } => self.file(digest, *size_bytes),
            _ => return Err(PackError::Special(path.clone())),
        };
        let (block, offset) = self.inodes.position();
        let mut bytes = Vec::new();
        // Ids are indexes into the id table.
        for half in [kind, entry.mode as u16, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(seconds(entry.mtime_s).to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(body);
        self.inodes.append(&bytes)?;
        // Directory entries have the basic kind.
        let kind = if kind > 7 { kind - 7 } else { kind };
        Ok(Named { name: path.file_name(), block, offset, number, kind })
    }

    fn file(&self, digest: &Digest, size_bytes: u64) -> (u16, Vec<u8>) {
        let nowhere = Place { start: 0, blocks: Vec::new(), end: (NO_FRAGMENT, 0) };
        let place = self.places.get(digest).unwrap_or(&nowhere);
        let mut out = Vec::new();
        let is_basic = u32::try_from(place.start).is_ok() && u32::try_from(size_bytes).is_ok();
        if is_basic {
            out.extend((place.start as u32).to_le_bytes());
            out.extend(place.end.0.to_le_bytes());
            out.extend(place.end.1.to_le_bytes());
            out.extend((size_bytes as u32).to_le_bytes());
        } else {
            // How many bytes are not stored; a hint that the kernel passes on.
            let sparse = place.blocks.iter().filter(|size| **size == 0).count() as u64 * BLOCK_BYTES as u64;
            for long in [place.start, size_bytes, sparse] {
                out.extend(long.to_le_bytes());
            }
            for word in [1, place.end.0, place.end.1, u32::MAX] {
                out.extend(word.to_le_bytes());
            }
        }
        out.extend(place.blocks.iter().flat_map(|size| size.to_le_bytes()));
        (if is_basic { 2 } else { 9 }, out)
    }

    fn directory(&mut self, path: &TreePath, entries: &[Named<'_>]) -> Result<(u16, Vec<u8>), PackError> {
        let (block, offset) = self.directories.position();
        let listing = listing(entries);
        self.directories.append(&listing)?;
        let links = 2 + entries.iter().filter(|entry| entry.kind == 1).count() as u32;
        let parent = match path.parent_bytes() {
            Some(parent) if !path.is_root() => self.numbers.get(parent).copied().unwrap_or_default(),
            // Of the root it is one that no inode has.
            _ => self.numbers.len() as u32 + 1,
        };
        // Three more than there are, for `.` and `..`.
        let size = listing.len() as u32 + 3;
        let mut out = Vec::new();
        if let Ok(size) = u16::try_from(size) {
            out.extend(block.to_le_bytes());
            out.extend(links.to_le_bytes());
            out.extend(size.to_le_bytes());
            out.extend(offset.to_le_bytes());
            out.extend(parent.to_le_bytes());
            return Ok((1, out));
        }
        for word in [links, size, block, parent] {
            out.extend(word.to_le_bytes());
        }
        out.extend(0_u16.to_le_bytes());
        out.extend(offset.to_le_bytes());
        out.extend(u32::MAX.to_le_bytes());
        Ok((8, out))
    }
}

/// Returns the listing of a directory: headers, each followed by entries that share its block.
fn listing(entries: &[Named<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let fits = |entry: &&Named<'_>| {
            entry.block == first.block
                && i16::try_from(i64::from(entry.number) - i64::from(first.number)).is_ok()
        };
        let count = rest.iter().take(ENTRIES_A_HEADER).take_while(fits).count();
        for word in [count as u32 - 1, first.block, first.number] {
            out.extend(word.to_le_bytes());
        }
        for entry in &rest[..count] {
            let delta = (i64::from(entry.number) - i64::from(first.number)) as i16;
            out.extend(entry.offset.to_le_bytes());
            out.extend(delta.to_le_bytes());
            out.extend(entry.kind.to_le_bytes());
            out.extend((entry.name.len() as u16 - 1).to_le_bytes());
            out.extend(entry.name);
        }
        rest = &rest[count..];
    }
    out
}
