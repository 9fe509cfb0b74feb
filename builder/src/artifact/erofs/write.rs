//! An image from a tree.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Seek, SeekFrom, Write},
};

use super::{
    BLOCK_BYTES, BLOCK_LOG, ENTRY_BYTES, EXTENDED, FLAT_INLINE, FLAT_PLAIN, INODE_BYTES, MAGIC, S_IFDIR,
    S_IFLNK, S_IFREG, SLOT_BYTES, SUPERBLOCK_AT,
};
use crate::{
    artifact::write::{PackError, file_order},
    digest::Digest,
    progress::Task,
    store::Store,
    tree::{Entry, Kind, Tree},
};

/// The first inode's place; programs take an inode number of 0 for "none".
const FIRST_INODE_AT: usize = 2 * SLOT_BYTES;

/// The longest end that lies behind its inode.
const MAX_END_BYTES: usize = BLOCK_BYTES - INODE_BYTES;

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
    out.write_all(&[0; BLOCK_BYTES]).map_err(PackError::writing)?;
    let mut meta_block = 1;
    let places = contents(tree, store, task, out, &mut meta_block)?;
    let mut nodes = nodes(tree, &places)?;
    let mut metadata = vec![0; place(&mut nodes).next_multiple_of(BLOCK_BYTES)];
    let numbers: BTreeMap<&[u8], u64> = nodes.iter().map(|(path, node)| (*path, node.number)).collect();
    let mut blocks = meta_block + (metadata.len() / BLOCK_BYTES) as u32;
    let mut listings = Vec::new();
    for (index, (path, node)) in nodes.iter_mut().enumerate() {
        if node.entry.kind.is_directory() {
            let mut listing = listing(tree, path, &numbers);
            let end = listing.split_off(listing.len() - node.end.len());
            node.start = blocks;
            blocks += (listing.len() / BLOCK_BYTES) as u32;
            listings.append(&mut listing);
            node.end = end;
        }
        let at = node.number as usize * SLOT_BYTES;
        let inode = inode(node, index as u32 + 1, links(tree, path, node.entry));
        metadata[at..at + INODE_BYTES].copy_from_slice(&inode);
        metadata[at + INODE_BYTES..at + INODE_BYTES + node.end.len()].copy_from_slice(&node.end);
    }
    out.write_all(&metadata).and_then(|()| out.write_all(&listings)).map_err(PackError::writing)?;
    let root = numbers.get(&b""[..]).copied().unwrap_or_default();
    let mut superblock = MAGIC.to_vec();
    // No checksum, as its feature is not set.
    superblock.extend([0; 8]);
    superblock.extend([BLOCK_LOG, 0]);
    superblock.extend((root as u16).to_le_bytes());
    superblock.extend((nodes.len() as u64).to_le_bytes());
    superblock.extend(time_s.to_le_bytes());
    superblock.extend(0_u32.to_le_bytes());
    for word in [blocks, meta_block, 0] {
        superblock.extend(word.to_le_bytes());
    }
    // The name of the file system is of its contents, so that the same image has the same one everywhere.
    superblock.extend(&Digest::of(tree.to_text().as_bytes()).0[..16]);
    superblock.resize(128, 0);
    let written = out.seek(SeekFrom::Start(SUPERBLOCK_AT)).and_then(|_| out.write_all(&superblock));
    written.map_err(PackError::writing)
}

/// Where contents lie: the first of their whole blocks, and their end.
type Places = BTreeMap<Digest, (u32, Vec<u8>)>;

/// Writes the whole blocks of all contents. An end that does not fit behind an inode is a block, too.
fn contents(
    tree: &Tree,
    store: &Store,
    task: &Task,
    out: &mut impl Write,
    position: &mut u32,
) -> Result<Places, PackError> {
    let mut places = Places::new();
    let mut seen = BTreeSet::new();
    for (digest, size_bytes) in file_order(tree) {
        if !seen.insert(digest) {
            continue;
        }
        let failed = |source| PackError::Contents { what: digest.to_string(), source };
        let mut bytes = store.blob(&digest)?.read().map_err(failed)?;
        if bytes.len() as u64 != size_bytes {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut end = bytes.split_off(bytes.len() / BLOCK_BYTES * BLOCK_BYTES);
        if end.len() > MAX_END_BYTES {
            end.resize(BLOCK_BYTES, 0);
            bytes.append(&mut end);
        }
        out.write_all(&bytes).map_err(PackError::writing)?;
        places.insert(digest, (*position, end));
        let blocks = u32::try_from(bytes.len() / BLOCK_BYTES).ok();
        let too_many = || PackError::writing(io::Error::other("the image would have too many blocks"));
        *position = blocks.and_then(|blocks| position.checked_add(blocks)).ok_or_else(too_many)?;
        task.add(size_bytes);
    }
    Ok(places)
}

/// An inode to be written.
struct Node<'a> {
    entry: &'a Entry,
    size_bytes: u64,
    /// The first whole block.
    start: u32,
    /// What stands behind the inode; of a directory, zeros until its listing is known.
    end: Vec<u8>,
    number: u64,
}

type Nodes<'a> = Vec<(&'a [u8], Node<'a>)>;

fn nodes<'a>(tree: &'a Tree, places: &Places) -> Result<Nodes<'a>, PackError> {
    let mut nodes = Nodes::new();
    for (path, entry) in tree.iter() {
        let (size_bytes, start, end) = match &entry.kind {
            Kind::File { digest, size_bytes, .. } => {
                let (start, end) = places.get(digest).cloned().unwrap_or_default();
                (*size_bytes, start, end)
            }
            Kind::Symlink { target } if target.len() <= MAX_END_BYTES => {
                (target.len() as u64, 0, target.clone())
            }
            Kind::Directory => {
                let size = listing_bytes(tree, path.as_bytes());
                let rest = size % BLOCK_BYTES;
                (size as u64, 0, vec![0; if rest > MAX_END_BYTES { 0 } else { rest }])
            }
            _ => return Err(PackError::Special(path.clone())),
        };
        nodes.push((path.as_bytes(), Node { entry, size_bytes, start, end, number: 0 }));
    }
    Ok(nodes)
}

/// Gives each inode its place, so that its end lies in the same block; returns how many bytes they take.
fn place(nodes: &mut Nodes<'_>) -> usize {
    let mut at = FIRST_INODE_AT;
    for (_, node) in nodes.iter_mut() {
        let length = INODE_BYTES + node.end.len();
        let left = BLOCK_BYTES - at % BLOCK_BYTES;
        if length > left {
            at += left;
        }
        node.number = (at / SLOT_BYTES) as u64;
        at = (at + length).next_multiple_of(SLOT_BYTES);
    }
    at
}

/// An entry of a directory: its name, the path of its inode, and its kind as `FT_REG_FILE`, `FT_DIR` and
/// `FT_SYMLINK` of the kernel.
type Listed<'a> = (&'a [u8], &'a [u8], u8);

/// Returns the entries of a directory as they are listed: by their bytes, `.` and `..` among them.
fn entries<'a>(tree: &'a Tree, path: &'a [u8]) -> Vec<Listed<'a>> {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let parent = slash.map_or(&b""[..], |slash| &path[..slash]);
    let mut entries: Vec<Listed<'_>> = vec![(b".", path, 2), (b"..", parent, 2)];
    entries.extend(tree.children(path).map(|(child, entry)| {
        let kind = match entry.kind {
            Kind::Directory => 2,
            Kind::Symlink { .. } => 7,
            _ => 1,
        };
        (child.file_name(), child.as_bytes(), kind)
    }));
    entries.sort();
    entries
}

/// Splits the entries of a directory into blocks.
fn blocks<'e, 'a>(entries: &'e [Listed<'a>]) -> Vec<&'e [Listed<'a>]> {
    let mut blocks = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (index, (name, ..)) in entries.iter().enumerate() {
        let length = ENTRY_BYTES + name.len();
        if used + length > BLOCK_BYTES {
            blocks.push(&entries[start..index]);
            (start, used) = (index, 0);
        }
        used += length;
    }
    blocks.push(&entries[start..]);
    blocks
}

fn listing_bytes(tree: &Tree, path: &[u8]) -> usize {
    let entries = entries(tree, path);
    let blocks = blocks(&entries);
    let last = blocks.last().map_or(0, |last| last.iter().map(|(name, ..)| ENTRY_BYTES + name.len()).sum());
    (blocks.len() - 1) * BLOCK_BYTES + last
}

/// Returns the listing of a directory: blocks of entries followed by their names.
fn listing(tree: &Tree, path: &[u8], numbers: &BTreeMap<&[u8], u64>) -> Vec<u8> {
    let entries = entries(tree, path);
    let blocks = blocks(&entries);
    let mut out = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let start = out.len();
        let mut name_at = (block.len() * ENTRY_BYTES) as u16;
        for (name, child, kind) in *block {
            out.extend(numbers.get(child).copied().unwrap_or_default().to_le_bytes());
            out.extend(name_at.to_le_bytes());
            out.extend([*kind, 0]);
            name_at += name.len() as u16;
        }
        block.iter().for_each(|(name, ..)| out.extend_from_slice(name));
        let is_last = index + 1 == blocks.len();
        if !is_last || out.len() - start > MAX_END_BYTES {
            out.resize(start + BLOCK_BYTES, 0);
        }
    }
    out
}

fn links(tree: &Tree, path: &[u8], entry: &Entry) -> u32 {
    match entry.kind {
        Kind::Directory => 2 + tree.children(path).filter(|(_, e)| e.kind.is_directory()).count() as u32,
        _ => 1,
    }
}

/// Returns the 64 bytes of an inode.
fn inode(node: &Node<'_>, index: u32, links: u32) -> Vec<u8> {
    let kind = match node.entry.kind {
        Kind::Directory => S_IFDIR,
        Kind::Symlink { .. } => S_IFLNK,
        _ => S_IFREG,
    };
    let layout = if node.end.is_empty() { FLAT_PLAIN } else { FLAT_INLINE };
    let mut out = Vec::with_capacity(INODE_BYTES);
    for half in [EXTENDED | layout << 1, 0, kind | node.entry.mode as u16, 0] {
        out.extend(half.to_le_bytes());
    }
    out.extend(node.size_bytes.to_le_bytes());
    // The first block, the inode's number for 32-bit programs, owner, group.
    for word in [node.start, index, 0, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend(node.entry.mtime_s.to_le_bytes());
    out.extend(0_u32.to_le_bytes());
    out.extend(links.to_le_bytes());
    out.resize(INODE_BYTES, 0);
    out
}
