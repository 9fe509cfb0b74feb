//! squashfs 4.0, which the kernel mounts without unpacking.
//!
//! ```text
//! superblock       96 bytes: "hsqs" · inodes · time · block size · fragments · compression · … · where each table is
//! data             each file's full blocks, then fragments: ends of files, several to a block
//! inode table      metadata blocks of 8 KiB: u16 size, bit 15 if stored plain · data
//! directory table  the same
//! fragment table   the same, and where each of its blocks lies
//! id table         the same
//! ```
//!
//! All numbers are little-endian (kernel's `Documentation/filesystems/squashfs.rst` and
//! `fs/squashfs/squashfs_fs.h`). Read and written here, not by a library: those at hand read the tables of an
//! untrusted image without bounds, and do not promise the same bytes from one version to the next.
//!
//! Written are blocks of 1 MiB in xz; equal contents stand once. Read is all that the kernel reads but lz4
//! and lzo; the time of a file is all of its attributes that is kept besides its mode.

mod codec;
mod pieces;
mod read;
mod tables;
mod write;

pub(super) use codec::Codec;
pub(super) use pieces::{Fragment, pieces};
pub(super) use read::read;
pub(super) use write::write;

use super::fault::Fields;

/// The first bytes of an image.
pub(super) const MAGIC: [u8; 4] = *b"hsqs";

/// The size of data blocks that are written, the largest that the format knows.
const BLOCK_BYTES: usize = 1 << BLOCK_LOG;
const BLOCK_LOG: u16 = 20;

/// The size of metadata blocks.
const METADATA_BYTES: usize = 8192;

const SUPERBLOCK_BYTES: usize = 96;

/// "Nowhere", in tables and inodes.
const NO_TABLE: u64 = u64::MAX;
const NO_FRAGMENT: u32 = u32::MAX;

/// Set in the size of a data block that is stored plain.
const PLAIN_BLOCK: u32 = 1 << 24;
/// Set in the size of a metadata block that is stored plain.
const PLAIN_METADATA: u16 = 1 << 15;

/// The superblock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Superblock {
    inodes: u32,
    time_s: u32,
    block_bytes: u32,
    fragments: u32,
    compression: u16,
    block_log: u16,
    flags: u16,
    ids: u16,
    root: u64,
    used_bytes: u64,
    id_table: u64,
    xattr_table: u64,
    inode_table: u64,
    directory_table: u64,
    fragment_table: u64,
    export_table: u64,
}

impl Superblock {
    fn to_bytes(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for word in [self.inodes, self.time_s, self.block_bytes, self.fragments] {
            out.extend(word.to_le_bytes());
        }
        for half in [self.compression, self.block_log, self.flags, self.ids, 4, 0] {
            out.extend(half.to_le_bytes());
        }
        let tables = [self.inode_table, self.directory_table, self.fragment_table, self.export_table];
        for long in [self.root, self.used_bytes, self.id_table, self.xattr_table].into_iter().chain(tables) {
            out.extend(long.to_le_bytes());
        }
        out
    }

    /// Reads a superblock; `None` if it is of another kind or version.
    fn read(bytes: &[u8; SUPERBLOCK_BYTES]) -> Option<Self> {
        let mut fields = Fields(bytes.strip_prefix(&MAGIC)?);
        let (inodes, time_s, block_bytes, fragments) =
            (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
        let (compression, block_log, flags, ids) =
            (fields.u16()?, fields.u16()?, fields.u16()?, fields.u16()?);
        if (fields.u16()?, fields.u16()?) != (4, 0) {
            return None;
        }
        let (root, used_bytes, id_table, xattr_table) =
            (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
        let (inode_table, directory_table, fragment_table, export_table) =
            (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
        Some(Superblock {
            inodes,
            time_s,
            block_bytes,
            fragments,
            compression,
            block_log,
            flags,
            ids,
            root,
            used_bytes,
            id_table,
            xattr_table,
            inode_table,
            directory_table,
            fragment_table,
            export_table,
        })
    }
}
