//! The tables of an image, and its blocks.

use std::{collections::HashMap, fs::File, io, os::unix::fs::FileExt as _, rc::Rc};

use super::{METADATA_BYTES, PLAIN_BLOCK, PLAIN_METADATA, SUPERBLOCK_BYTES, Superblock, codec::Codec};
use crate::artifact::fault::{Allowance, Fields, ImageFault, Part};

/// The largest block that the format knows.
const MAX_BLOCK_BYTES: u32 = 1 << 20;

/// How many metadata blocks are kept: 8 MiB. A tree is read nearly in the order in which it was written.
const KEPT_BLOCKS: usize = 1024;

/// How long an entry of the table of fragments is, and how many a block has.
const FRAGMENT_BYTES: usize = 16;
const FRAGMENTS_A_BLOCK: u32 = (METADATA_BYTES / FRAGMENT_BYTES) as u32;

const SUPERBLOCK: Part<'_> = Part::Only("the superblock");
const IDS: Part<'_> = Part::Only("the table of ids");
const FRAGMENTS: Part<'_> = Part::Only("the table of fragments");

/// A metadata block, and where the next one begins.
type Block = Rc<(Vec<u8>, u64)>;

/// An image whose superblock was read.
pub(super) struct Image<'a> {
    file: &'a File,
    pub file_bytes: u64,
    pub superblock: Superblock,
    pub codec: Codec,
    /// What of it may still come.
    pub allowance: Allowance,
    /// Owners, by their number.
    pub ids: Vec<u32>,
    blocks: HashMap<u64, Block>,
}

impl<'a> Image<'a> {
    /// Reads what stands at known places. No table but that of ids, whose length has 16 bits, is read whole.
    pub fn open(file: &'a File) -> Result<Self, ImageFault> {
        let rule = |rule| ImageFault::rule(SUPERBLOCK, rule);
        let mut bytes = [0; SUPERBLOCK_BYTES];
        file.read_exact_at(&mut bytes, 0).map_err(|e| ImageFault::read(SUPERBLOCK, e))?;
        let file_bytes = file.metadata().map_err(|e| ImageFault::read(SUPERBLOCK, e))?.len();
        let superblock = Superblock::read(&bytes).ok_or_else(|| rule("is not one of squashfs 4.0"))?;
        let is_size = superblock.block_bytes.is_power_of_two()
            && (4096..=MAX_BLOCK_BYTES).contains(&superblock.block_bytes)
            && superblock.block_bytes.trailing_zeros() == u32::from(superblock.block_log);
        if !is_size {
            return Err(rule("has an impossible block size"));
        }
        let codec = Codec::of(superblock.compression).map_err(|rule| ImageFault::rule("the image", rule))?;
        // Each is a block of its own, which has at least a byte.
        if u64::from(superblock.fragments) > file_bytes {
            return Err(rule("has more fragments than the image has bytes"));
        }
        let (allowance, blocks) = (Allowance::of(file_bytes), HashMap::new());
        let mut image = Image { file, file_bytes, superblock, codec, allowance, ids: Vec::new(), blocks };
        let mut ids = Vec::new();
        let length = usize::from(superblock.ids) * 4;
        for index in 0..length.div_ceil(METADATA_BYTES) as u64 {
            ids.extend_from_slice(&image.listed(superblock.id_table, index, IDS)?.0);
        }
        if ids.len() != length {
            return Err(ImageFault::rule(IDS, "has another length than the superblock says"));
        }
        let mut fields = Fields(&ids);
        image.ids = std::iter::from_fn(|| fields.u32()).collect();
        Ok(image)
    }

    /// Reads a block of a table whose blocks are listed.
    fn listed(&mut self, list: u64, index: u64, part: Part<'_>) -> Result<Block, ImageFault> {
        let at = index.checked_mul(8).and_then(|at| list.checked_add(at));
        let at = at.ok_or_else(|| ImageFault::rule(part, "lies outside of the image"))?;
        let mut start = [0; 8];
        self.file.read_exact_at(&mut start, at).map_err(|e| ImageFault::read(part, e))?;
        self.block(u64::from_le_bytes(start), part)
    }

    /// Returns where a fragment lies and how long it is there; `None` if there is none of that number.
    pub fn fragment(&mut self, index: u32) -> Result<Option<(u64, u32)>, ImageFault> {
        if index >= self.superblock.fragments {
            return Ok(None);
        }
        let list = self.superblock.fragment_table;
        let block = self.listed(list, u64::from(index / FRAGMENTS_A_BLOCK), FRAGMENTS)?;
        let at = (index % FRAGMENTS_A_BLOCK) as usize * FRAGMENT_BYTES;
        let mut fields = Fields(block.0.get(at..).unwrap_or_default());
        let found = (|| Some((fields.u64()?, fields.u32()?)))();
        match found {
            Some(found) => Ok(Some(found)),
            None => Err(ImageFault::rule(FRAGMENTS, "has another length than the superblock says")),
        }
    }

    /// Reads a metadata block.
    fn block(&mut self, start: u64, part: Part<'_>) -> Result<Block, ImageFault> {
        if let Some(block) = self.blocks.get(&start) {
            return Ok(block.clone());
        }
        self.allowance.table(part, METADATA_BYTES as u64)?;
        let failed = |source| ImageFault::read(part, source);
        let mut header = [0; 2];
        self.file.read_exact_at(&mut header, start).map_err(failed)?;
        let header = u16::from_le_bytes(header);
        let size = usize::from(header & !PLAIN_METADATA);
        if size > METADATA_BYTES {
            return Err(ImageFault::rule(part, "has a block that is too long"));
        }
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, start + 2).map_err(failed)?;
        if header & PLAIN_METADATA == 0 {
            bytes = self.codec.decompress(&bytes, METADATA_BYTES).map_err(failed)?;
        }
        let block = Rc::new((bytes, start + 2 + size as u64));
        if self.blocks.len() >= KEPT_BLOCKS {
            self.blocks.clear();
        }
        self.blocks.insert(start, block.clone());
        Ok(block)
    }

    /// Returns a cursor into a table by a block's start, relative to the table, and an offset in that block.
    pub fn cursor(
        &mut self,
        table: u64,
        block: u64,
        offset: u16,
        part: Part<'_>,
    ) -> Result<Cursor, ImageFault> {
        let start =
            table.checked_add(block).ok_or_else(|| ImageFault::rule(part, "lies outside of the image"))?;
        let block = self.block(start, part)?;
        Ok(Cursor { block, offset: usize::from(offset) })
    }

    /// Reads bytes on, over the ends of blocks.
    pub fn take(&mut self, cursor: &mut Cursor, count: usize, part: Part<'_>) -> Result<Vec<u8>, ImageFault> {
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

    /// Returns the length of a data block in the file, by its size in an inode or the table of fragments.
    ///
    /// # Errors
    /// It is longer than a block: what does not become smaller is stored plain.
    pub fn packed_bytes(&self, size: u32, part: Part<'_>) -> Result<u64, ImageFault> {
        match size & !PLAIN_BLOCK {
            length if length > self.superblock.block_bytes => {
                Err(ImageFault::rule(part, "has a block that is longer than it may be"))
            }
            length => Ok(u64::from(length)),
        }
    }

    /// Reads a data block of at most so many bytes, which are no more than a block's.
    pub fn data(
        &mut self,
        start: u64,
        size: u32,
        most_bytes: usize,
        part: Part<'_>,
    ) -> Result<Vec<u8>, ImageFault> {
        let failed = |source| ImageFault::read(part, source);
        let length = self.packed_bytes(size, part)?;
        self.allowance.block(part, length.max(most_bytes as u64))?;
        if length == 0 {
            return Ok(vec![0; most_bytes]);
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, start).map_err(failed)?;
        match size & PLAIN_BLOCK {
            0 => self.codec.decompress(&bytes, most_bytes).map_err(failed),
            _ if bytes.len() > most_bytes => {
                Err(failed(io::Error::new(io::ErrorKind::InvalidData, "a block is longer than it may be")))
            }
            _ => Ok(bytes),
        }
    }
}

/// A place in a table.
pub(super) struct Cursor {
    block: Block,
    offset: usize,
}
