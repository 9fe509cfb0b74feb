//! EROFS, uncompressed: a file system that the kernel maps straight from the image.
//!
//! ```text
//! block 0        1024 bytes that are free · superblock: magic e0f5e1e2, 128 bytes
//! data           contents of files, whole blocks of 4 KiB
//! inodes         at multiples of 32 bytes, by their number: 64 bytes · the rest of the contents, if it fits
//! ```
//!
//! All numbers are little-endian (kernel's `Documentation/filesystems/erofs.rst` and
//! `fs/erofs/erofs_fs.h`). Written are 64-byte inodes, since the others have no time; the end of a file or
//! directory stands behind its inode where it fits into the same block. Compressed images are not read.

mod read;
mod write;

pub(super) use read::{places, read};
pub(super) use write::write;

/// Where the superblock lies.
pub(super) const SUPERBLOCK_AT: u64 = 1024;
/// Its first bytes.
pub(super) const MAGIC: [u8; 4] = 0xe0f5_e1e2_u32.to_le_bytes();

const BLOCK_LOG: u8 = 12;
const BLOCK_BYTES: usize = 1 << BLOCK_LOG;

/// The block with the superblock.
pub(super) const HEADER_BYTES: u64 = BLOCK_BYTES as u64;

/// The unit of inode numbers.
const SLOT_BYTES: usize = 32;
const INODE_BYTES: usize = 64;

/// Layouts of contents, bits 1 to 3 of an inode's format: whole blocks, or with their end behind the inode.
const FLAT_PLAIN: u16 = 0;
const FLAT_INLINE: u16 = 2;
/// Bit 0 of an inode's format: it has 64 bytes.
const EXTENDED: u16 = 1;

/// A directory entry without its name: u64 inode · u16 where its name begins · u8 kind · u8 0.
const ENTRY_BYTES: usize = 12;

const S_IFDIR: u16 = 0o040_000;
const S_IFREG: u16 = 0o100_000;
const S_IFLNK: u16 = 0o120_000;
const S_IFMT: u16 = 0o170_000;
