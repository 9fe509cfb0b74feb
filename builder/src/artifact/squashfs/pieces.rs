//! What an image is made of, for accounting.

use std::{collections::BTreeMap, fs::File, ops::Range};

use super::{
    PLAIN_BLOCK, Superblock,
    codec::Codec,
    read::{Found, marked},
    tables::Image,
};
use crate::{
    artifact::fault::{ImageFault, Part},
    tree::TreePath,
};

/// Returns what an image is made of: nothing is decompressed but tables.
///
/// # Errors
/// As [`read`](super::read()).
pub fn pieces(file: &File) -> Result<Pieces, ImageFault> {
    let mut image = Image::open(file)?;
    let Found { tree, files, .. } = Found::read(&mut image)?;
    let Superblock { block_bytes, inode_table, used_bytes, .. } = image.superblock;
    // Tables stand behind all data, inodes first.
    let table_bytes = used_bytes.saturating_sub(inode_table);
    let mut blocks = Vec::new();
    let mut ends: BTreeMap<u32, Vec<(TreePath, Range<u64>)>> = BTreeMap::new();
    for (path, entry) in tree {
        let Some(place) = marked(&entry).and_then(|file| files.get(file)) else { continue };
        let mut end = place.start;
        for size in &place.blocks {
            end = end.saturating_add(image.packed_bytes(*size, Part::Entry(&path))?);
        }
        if end > image.file_bytes && end > place.start {
            return Err(ImageFault::entry(&path, "lies outside of the image"));
        }
        let left = place.size_bytes % u64::from(block_bytes);
        if let Some((index, offset)) = place.fragment
            && left > 0
        {
            let offset = u64::from(offset);
            ends.entry(index).or_default().push((path.clone(), offset..offset + left));
        }
        blocks.push((path, place.start..end));
    }
    let mut fragments = Vec::new();
    for (index, ends) in ends {
        let part = Part::Only("a fragment");
        let (start, size) = image.fragment(index)?.ok_or_else(|| ImageFault::rule(part, "is not there"))?;
        let size_bytes = image.packed_bytes(size, part)?;
        image.allowance.block(part, u64::from(block_bytes))?;
        let packing = (size & PLAIN_BLOCK == 0).then_some(image.codec);
        fragments.push(Fragment { start, size_bytes, packing, ends });
    }
    Ok(Pieces { blocks, fragments, table_bytes, block_bytes })
}

/// What an image is made of besides its tables.
pub struct Pieces {
    /// Where the whole blocks of each file lie, which may be none.
    pub blocks: Vec<(TreePath, Range<u64>)>,
    /// Blocks of the ends of several files, each once.
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
    /// How long it is there: no longer than a block.
    pub size_bytes: u64,
    /// How it is compressed, if it is.
    pub packing: Option<Codec>,
    /// Which file has which part of it, decompressed.
    pub ends: Vec<(TreePath, Range<u64>)>,
}
