//! A tree from an image.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    ops::Range,
    os::unix::fs::FileExt as _,
    rc::Rc,
};

use super::{
    METADATA_BYTES, NO_FRAGMENT, PLAIN_BLOCK, PLAIN_METADATA, SUPERBLOCK_BYTES, Superblock, codec::Codec,
};
use crate::{
    artifact::fault::{Budget, Fields, ImageFault},
    digest::Digest,
    store::BundleWriter,
    tree::{Entry, Kind, Tree, TreePath},
};

/// How deep directories may lie, as in packages.
const MAX_DEPTH: usize = 62;

/// The largest block that the format knows.
const MAX_BLOCK_BYTES: u32 = 1 << 20;

/// Most bytes of a link's target.
const MAX_TARGET_BYTES: u32 = 4095;

/// A part of the image that is named in faults.
const SUPERBLOCK: &str = "the superblock";

/// Reads an image; contents go to the bundle.
///
/// # Errors
/// [`ImageFault`]. A directory that is reached twice is one; so loops end.
pub fn read(file: &File, bundle: &mut BundleWriter<'_>) -> Result<Tree, ImageFault> {
    let mut image = Image::open(file)?;
    let mut found =
        Found { tree: Tree::new(), files: Vec::new(), seen: BTreeSet::new(), budget: Budget::new() };
    let root = image.superblock.root;
    image.visit(root, &TreePath::root(), 0, &mut found)?;
    image.contents(found, bundle)
}

/// Returns what an image is made of, for accounting: nothing is decompressed but tables.
///
/// # Errors
/// As [`read`].
pub fn pieces(file: &File) -> Result<Pieces, ImageFault> {
    let mut image = Image::open(file)?;
    let mut found =
        Found { tree: Tree::new(), files: Vec::new(), seen: BTreeSet::new(), budget: Budget::new() };
    let root = image.superblock.root;
    image.visit(root, &TreePath::root(), 0, &mut found)?;
    let Superblock { block_bytes, inode_table, used_bytes, .. } = image.superblock;
    // Tables stand behind all data, inodes first.
    let table_bytes = used_bytes.saturating_sub(inode_table);
    let mut pieces = Pieces { blocks: Vec::new(), fragments: Vec::new(), table_bytes, block_bytes };
    let block_bytes = u64::from(image.superblock.block_bytes);
    let length = |size: u32| u64::from(size & !PLAIN_BLOCK);
    for (start, size) in &image.fragments {
        if length(*size) > u64::from(MAX_BLOCK_BYTES) {
            return Err(ImageFault::rule("a fragment", "is longer than a block may be"));
        }
        let packing = (size & PLAIN_BLOCK == 0).then_some(image.codec);
        pieces.fragments.push(Fragment {
            start: *start,
            size_bytes: length(*size),
            packing,
            ends: Vec::new(),
        });
    }
    for (path, place) in found.files {
        let mut at = place.start;
        for size in &place.blocks {
            if length(*size) > u64::from(MAX_BLOCK_BYTES) {
                return Err(ImageFault::entry(&path, "has a block that is longer than it may be"));
            }
            pieces.blocks.push((path.clone(), at..at.saturating_add(length(*size))));
            at = at.saturating_add(length(*size));
        }
        let left = match place.fragment {
            Some(_) => place.size_bytes % block_bytes,
            None => 0,
        };
        if let Some((index, offset)) = place.fragment
            && left > 0
            && let Some(fragment) = pieces.fragments.get_mut(index as usize)
        {
            let offset = u64::from(offset);
            fragment.ends.push((path, offset..offset + left));
        }
    }
    Ok(pieces)
}

/// What an image is made of besides its tables.
pub struct Pieces {
    /// Whole blocks, each of one file, by where they lie.
    pub blocks: Vec<(TreePath, Range<u64>)>,
    /// Blocks of the ends of several files.
    pub fragments: Vec<Fragment>,
    /// How long all tables are together: inodes, names, owners.
    pub table_bytes: u64,
    /// The size of a block.
    pub block_bytes: u32,
}

/// A block of the ends of several files.
pub struct Fragment {
    /// Where it lies.
    pub start: u64,
    /// How long it is there.
    pub size_bytes: u64,
    /// How it is compressed, if it is.
    pub packing: Option<Codec>,
    /// Which file has which part of it, decompressed.
    pub ends: Vec<(TreePath, Range<u64>)>,
}

/// A metadata block, and where the next one begins.
type Block = Rc<(Vec<u8>, u64)>;

struct Image<'a> {
    file: &'a File,
    superblock: Superblock,
    codec: Codec,
    ids: Vec<u32>,
    fragments: Vec<(u64, u32)>,
    blocks: HashMap<u64, Block>,
}

/// What was found so far.
struct Found {
    tree: Tree,
    files: Vec<(TreePath, FilePlace)>,
    /// Directories, by their inode.
    seen: BTreeSet<u64>,
    budget: Budget,
}

/// Where a file's contents lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FilePlace {
    fragment: Option<(u32, u32)>,
    start: u64,
    size_bytes: u64,
    blocks: Vec<u32>,
}

impl<'a> Image<'a> {
    fn open(file: &'a File) -> Result<Self, ImageFault> {
        let rule = |rule| ImageFault::rule(SUPERBLOCK, rule);
        let mut bytes = [0; SUPERBLOCK_BYTES];
        file.read_exact_at(&mut bytes, 0).map_err(|e| ImageFault::read(SUPERBLOCK, e))?;
        let superblock = Superblock::read(&bytes).ok_or(rule("is not one of squashfs 4.0"))?;
        let is_size = superblock.block_bytes.is_power_of_two()
            && (4096..=MAX_BLOCK_BYTES).contains(&superblock.block_bytes)
            && superblock.block_bytes.trailing_zeros() == u32::from(superblock.block_log);
        if !is_size {
            return Err(rule("has an impossible block size"));
        }
        let codec = Codec::of(superblock.compression).map_err(|rule| ImageFault::rule("the image", rule))?;
        let (ids, fragments) = (Vec::new(), Vec::new());
        let mut image = Image { file, superblock, codec, ids, fragments, blocks: HashMap::new() };
        let ids =
            image.indexed_table(superblock.id_table, u64::from(superblock.ids) * 4, "the table of ids")?;
        let mut fields = Fields(&ids);
        image.ids = std::iter::from_fn(|| fields.u32()).collect();
        if superblock.fragments > 0 {
            let length = u64::from(superblock.fragments) * 16;
            let table = image.indexed_table(superblock.fragment_table, length, "the table of fragments")?;
            let mut fields = Fields(&table);
            let entry = || Some((fields.u64()?, fields.u32()?, fields.u32()?));
            image.fragments = std::iter::from_fn(entry).map(|(start, size, _)| (start, size)).collect();
        }
        Ok(image)
    }

    /// Reads a table whose blocks are listed.
    fn indexed_table(&mut self, list: u64, length: u64, part: &'static str) -> Result<Vec<u8>, ImageFault> {
        let blocks = length.div_ceil(METADATA_BYTES as u64);
        // A list that is longer than the file is none.
        let list_bytes = usize::try_from(blocks * 8).unwrap_or(usize::MAX);
        let end = list.checked_add(blocks * 8);
        let file_bytes = self.file.metadata().map_err(|e| ImageFault::read(part, e))?.len();
        if end.is_none_or(|end| end > file_bytes) {
            return Err(ImageFault::rule(part, "lies outside of the image"));
        }
        let mut starts = vec![0; list_bytes];
        self.file.read_exact_at(&mut starts, list).map_err(|e| ImageFault::read(part, e))?;
        let mut fields = Fields(&starts);
        let mut out = Vec::new();
        while let Some(start) = fields.u64() {
            out.extend_from_slice(&self.block(start, part)?.0);
        }
        match out.len() as u64 == length {
            true => Ok(out),
            false => Err(ImageFault::rule(part, "has another length than the superblock says")),
        }
    }

    /// Reads a metadata block.
    fn block(&mut self, start: u64, part: &str) -> Result<Block, ImageFault> {
        if let Some(block) = self.blocks.get(&start) {
            return Ok(block.clone());
        }
        let mut header = [0; 2];
        self.file.read_exact_at(&mut header, start).map_err(|e| ImageFault::read(part, e))?;
        let header = u16::from_le_bytes(header);
        let size = usize::from(header & !PLAIN_METADATA);
        if size > METADATA_BYTES {
            return Err(ImageFault::rule(part, "has a block that is too long"));
        }
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, start + 2).map_err(|e| ImageFault::read(part, e))?;
        if header & PLAIN_METADATA == 0 {
            let plain = self.codec.decompress(&bytes, METADATA_BYTES);
            bytes = plain.map_err(|e| ImageFault::read(part, e))?;
        }
        let block = Rc::new((bytes, start + 2 + size as u64));
        self.blocks.insert(start, block.clone());
        Ok(block)
    }

    /// Returns a cursor into a table by a block's start, relative to the table, and an offset in that block.
    fn cursor(&mut self, table: u64, block: u64, offset: u16, part: &str) -> Result<Cursor, ImageFault> {
        let start = table.checked_add(block).ok_or(ImageFault::rule(part, "lies outside of the image"))?;
        let block = self.block(start, part)?;
        Ok(Cursor { block, offset: usize::from(offset) })
    }

    /// Reads bytes on, over the ends of blocks.
    fn take(&mut self, cursor: &mut Cursor, count: usize, part: &str) -> Result<Vec<u8>, ImageFault> {
        let mut out = Vec::new();
        while out.len() < count {
            let rest = cursor.block.0.get(cursor.offset..).unwrap_or_default();
            if rest.is_empty() {
                let next = cursor.block.1;
                let block = self.block(next, part)?;
                if block.0.is_empty() {
                    return Err(ImageFault::rule(part, "has an empty block"));
                }
                *cursor = Cursor { block, offset: 0 };
                continue;
            }
            let taken = rest.len().min(count - out.len());
            out.extend_from_slice(&rest[..taken]);
            cursor.offset += taken;
        }
        Ok(out)
    }

    /// Reads an inode and all below it.
    fn visit(
        &mut self,
        inode: u64,
        path: &TreePath,
        depth: usize,
        found: &mut Found,
    ) -> Result<(), ImageFault> {
        let part = &format!("the inode of /{path}")[..];
        let damaged = || ImageFault::rule(part, "is damaged");
        let mut cursor = self.cursor(self.superblock.inode_table, inode >> 16, inode as u16, part)?;
        let head = self.take(&mut cursor, 16, part)?;
        let mut head = Fields(&head);
        let (kind, mode) = (head.u16().ok_or_else(damaged)?, head.u16().ok_or_else(damaged)?);
        let mut id = || {
            let index = head.u16().ok_or_else(damaged)?;
            let id = self.ids.get(usize::from(index)).copied();
            id.ok_or(ImageFault::rule(part, "has an owner that is not in the table of ids"))
        };
        let (uid, gid) = (id()?, id()?);
        let mtime_s = i64::from(head.u32().ok_or_else(damaged)?);
        let mut listing = None;
        let entry_kind = match kind {
            1 | 8 => {
                listing = Some(self.directory(kind == 8, &mut cursor, part)?);
                Kind::Directory
            }
            2 | 9 => {
                let place = self.file_place(kind == 9, &mut cursor, part, &mut found.budget)?;
                let size_bytes = place.size_bytes;
                found.files.push((path.clone(), place));
                Kind::File { digest: Digest([0; 32]), size_bytes, hard_link: None }
            }
            3 | 10 => {
                let bytes = self.take(&mut cursor, 8, part)?;
                let mut fields = Fields(&bytes[4..]);
                let length = fields.u32().filter(|length| (1..=MAX_TARGET_BYTES).contains(length));
                let length = length.ok_or(ImageFault::rule(part, "has an impossible link target"))?;
                let target = self.take(&mut cursor, length as usize, part)?;
                if target.contains(&0) {
                    return Err(ImageFault::rule(part, "has an impossible link target"));
                }
                Kind::Symlink { target }
            }
            4 | 5 | 11 | 12 => {
                let bytes = self.take(&mut cursor, 8, part)?;
                let device = Fields(&bytes[4..]).u32().ok_or_else(damaged)?;
                // As the kernel's `new_decode_dev` does.
                let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
                match kind {
                    4 | 11 => Kind::BlockDevice { major, minor },
                    _ => Kind::CharacterDevice { major, minor },
                }
            }
            6 | 13 => Kind::Fifo,
            7 | 14 => return Err(ImageFault::rule(part, "is that of a socket, which no root holds")),
            _ => return Err(ImageFault::rule(part, "is of an unknown kind")),
        };
        if path.is_root() && listing.is_none() {
            return Err(ImageFault::rule(part, "is not that of a directory"));
        }
        let mode = if kind == 3 || kind == 10 { 0o777 } else { u32::from(mode) & 0o7777 };
        let entry = Entry { kind: entry_kind, mode, uid, gid, mtime_s, xattrs: BTreeMap::new() };
        if found.tree.insert(path.clone(), entry).is_some() {
            return Err(ImageFault::entry(path, "is there twice"));
        }
        let Some(listing) = listing else { return Ok(()) };
        if !found.seen.insert(inode) {
            return Err(ImageFault::entry(path, "is a directory that lies in two places"));
        }
        if depth > MAX_DEPTH {
            return Err(ImageFault::entry(path, "lies below more than 62 directories"));
        }
        self.entries(listing, path, depth, found)
    }

    /// Reads the rest of a directory's inode: where its listing is, and how long.
    fn directory(
        &mut self,
        extended: bool,
        cursor: &mut Cursor,
        part: &str,
    ) -> Result<(u32, u16, u32), ImageFault> {
        let bytes = self.take(cursor, if extended { 24 } else { 16 }, part)?;
        let mut fields = Fields(&bytes);
        let read = match extended {
            false => (|| {
                let (block, _links, size, offset) =
                    (fields.u32()?, fields.u32()?, fields.u16()?, fields.u16()?);
                Some((block, offset, u32::from(size)))
            })(),
            true => (|| {
                let (_links, size, block, _parent) =
                    (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
                let (_indexes, offset) = (fields.u16()?, fields.u16()?);
                Some((block, offset, size))
            })(),
        };
        let (block, offset, size) = read.ok_or(ImageFault::rule(part, "is damaged"))?;
        Ok((block, offset, size.saturating_sub(3)))
    }

    /// Reads the rest of a file's inode.
    fn file_place(
        &mut self,
        extended: bool,
        cursor: &mut Cursor,
        part: &str,
        budget: &mut Budget,
    ) -> Result<FilePlace, ImageFault> {
        let bytes = self.take(cursor, if extended { 40 } else { 16 }, part)?;
        let mut fields = Fields(&bytes);
        let read = match extended {
            false => (|| {
                let (start, fragment, offset) = (fields.u32()?, fields.u32()?, fields.u32()?);
                Some((u64::from(start), fragment, offset, u64::from(fields.u32()?)))
            })(),
            true => (|| {
                let (start, size, _sparse, _links) =
                    (fields.u64()?, fields.u64()?, fields.u64()?, fields.u32()?);
                Some((start, fields.u32()?, fields.u32()?, size))
            })(),
        };
        let (start, fragment, offset, size_bytes) = read.ok_or(ImageFault::rule(part, "is damaged"))?;
        budget.bytes(size_bytes)?;
        let fragment = (fragment != NO_FRAGMENT).then_some((fragment, offset));
        let block_bytes = u64::from(self.superblock.block_bytes);
        let count = match fragment {
            Some(_) => size_bytes / block_bytes,
            None => size_bytes.div_ceil(block_bytes),
        };
        // The budget of bytes bounds it.
        let bytes = self.take(cursor, count as usize * 4, part)?;
        let mut fields = Fields(&bytes);
        let blocks = std::iter::from_fn(|| fields.u32()).collect();
        Ok(FilePlace { fragment, start, size_bytes, blocks })
    }

    /// Reads the entries of a directory.
    fn entries(
        &mut self,
        (block, offset, size): (u32, u16, u32),
        path: &TreePath,
        depth: usize,
        found: &mut Found,
    ) -> Result<(), ImageFault> {
        let part = &format!("the listing of /{path}")[..];
        let damaged = || ImageFault::rule(part, "is damaged");
        if size == 0 {
            return Ok(());
        }
        let mut cursor = self.cursor(self.superblock.directory_table, u64::from(block), offset, part)?;
        let mut left = size as usize;
        let mut take = |image: &mut Self, count: usize| -> Result<_, ImageFault> {
            left = left.checked_sub(count).ok_or_else(damaged)?;
            Ok((image.take(&mut cursor, count, part)?, left))
        };
        let mut names: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut inodes = Vec::new();
        loop {
            let (head, _) = take(self, 12)?;
            let mut head = Fields(&head);
            let (count, block) = (head.u32().ok_or_else(damaged)?, head.u32().ok_or_else(damaged)?);
            let mut rest = 1;
            for _ in 0..=count.min(255) {
                found.budget.entry()?;
                let (entry, _) = take(self, 8)?;
                let mut entry = Fields(&entry);
                let offset = entry.u16().ok_or_else(damaged)?;
                let (_delta, _kind) = (entry.u16(), entry.u16());
                let length = usize::from(entry.u16().ok_or_else(damaged)?) + 1;
                let (name, left) = take(self, length)?;
                rest = left;
                if names.contains(&name) {
                    return Err(ImageFault::entry(&path.join(&name)?, "is there twice"));
                }
                inodes.push((path.join(&name)?, u64::from(block) << 16 | u64::from(offset)));
                names.insert(name);
            }
            if count > 255 {
                return Err(ImageFault::rule(part, "has a header for more than 256 entries"));
            }
            if rest == 0 {
                break;
            }
        }
        drop(names);
        for (path, inode) in inodes {
            self.visit(inode, &path, depth + 1, found)?;
        }
        Ok(())
    }

    /// Decompresses the contents of all files, those that share a fragment one after the other.
    fn contents(&mut self, found: Found, bundle: &mut BundleWriter<'_>) -> Result<Tree, ImageFault> {
        let Found { mut tree, mut files, .. } = found;
        files.sort_by(|(one, a), (two, b)| (a, one).cmp(&(b, two)));
        let mut last: Option<(FilePlace, Digest)> = None;
        let mut fragment = (NO_FRAGMENT, Vec::new());
        for (path, place) in files {
            let digest = match &last {
                Some((before, digest)) if *before == place => *digest,
                _ => self.copy(&path, &place, &mut fragment, bundle)?,
            };
            if let Some(Kind::File { digest: own, .. }) =
                tree.get_mut(path.as_bytes()).map(|entry| &mut entry.kind)
            {
                *own = digest;
            }
            last = Some((place, digest));
        }
        Ok(tree)
    }

    /// Appends the contents of a file to the bundle.
    fn copy(
        &self,
        path: &TreePath,
        place: &FilePlace,
        fragment: &mut (u32, Vec<u8>),
        bundle: &mut BundleWriter<'_>,
    ) -> Result<Digest, ImageFault> {
        let failed = |source| ImageFault::read(format!("/{path}"), source);
        let block_bytes = u64::from(self.superblock.block_bytes);
        let mut at = place.start;
        let mut left = place.size_bytes;
        let mut adding = bundle.adding();
        for size in &place.blocks {
            let expected = left.min(block_bytes) as usize;
            let bytes = self.data(at, *size, expected).map_err(failed)?;
            if bytes.len() != expected {
                return Err(ImageFault::entry(path, "has a block of another length than its own"));
            }
            adding.append(&bytes).map_err(failed)?;
            at = at.saturating_add(u64::from(size & !PLAIN_BLOCK));
            left -= expected as u64;
        }
        if left > 0 {
            let missing = || ImageFault::entry(path, "lies in a fragment that is not there");
            let (index, offset) = place.fragment.ok_or_else(missing)?;
            if fragment.0 != index {
                let (start, size) = *self.fragments.get(index as usize).ok_or_else(missing)?;
                *fragment = (index, self.data(start, size, block_bytes as usize).map_err(failed)?);
            }
            let end = (offset as usize).checked_add(left as usize);
            let bytes = end.and_then(|end| fragment.1.get(offset as usize..end)).ok_or_else(missing)?;
            adding.append(bytes).map_err(failed)?;
        }
        Ok(adding.finish())
    }

    /// Reads a data block of at most so many bytes.
    fn data(&self, start: u64, size: u32, most_bytes: usize) -> std::io::Result<Vec<u8>> {
        let length = (size & !PLAIN_BLOCK) as usize;
        if length == 0 {
            return Ok(vec![0; most_bytes]);
        }
        if length > MAX_BLOCK_BYTES as usize {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "a block is longer than it may be",
            ));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        match size & PLAIN_BLOCK {
            0 => self.codec.decompress(&bytes, most_bytes),
            _ => Ok(bytes),
        }
    }
}

/// A place in a table.
struct Cursor {
    block: Block,
    offset: usize,
}
