//! Why an image is refused that is a file system or layers of one.

use std::{fmt, io};

pub use crate::formats::budget::Budget;
use crate::{
    formats::{
        budget::{Limits, TooMuch},
        tar_in::TarError,
    },
    tree::{InvalidPath, TreePath},
};

/// A fault of an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageFault {
    /// A part that cannot be read or decompressed.
    #[error("{part} cannot be read")]
    Read {
        /// Which part.
        part: String,
        /// Why.
        source: io::Error,
    },
    /// A part that breaks a rule of its format.
    #[error("{part} {rule}")]
    Rule {
        /// Which part.
        part: String,
        /// The rule, as a clause.
        rule: &'static str,
    },
    /// An archive that cannot be read.
    #[error("{part} cannot be read")]
    Tar {
        /// Which part.
        part: String,
        /// Why.
        source: TarError,
    },
    /// A name that cannot lie in a root.
    #[error("it has an impossible entry")]
    Path(#[from] InvalidPath),
    /// More than any image has.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// More than any image has, and where that much was reached.
    #[error("{part} is beyond what an image may have")]
    Beyond {
        /// The part or entry that is too much.
        part: String,
        /// What there is too much of.
        source: TooMuch,
    },
}

impl ImageFault {
    /// Returns the fault of a part that breaks a rule.
    pub fn rule(part: impl Into<String>, rule: &'static str) -> Self {
        ImageFault::Rule { part: part.into(), rule }
    }

    /// Returns the fault of a part that cannot be read.
    pub fn read(part: impl Into<String>, source: io::Error) -> Self {
        ImageFault::Read { part: part.into(), source }
    }

    /// Returns the fault of an entry that breaks a rule.
    pub fn entry(path: &TreePath, rule: &'static str) -> Self {
        ImageFault::rule(Part::Entry(path), rule)
    }
}

/// A part of an image, as faults name it.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// One of which there is one.
    Only(&'static str),
    /// An entry.
    Entry(&'a TreePath),
    /// The inode of an entry.
    Inode(&'a TreePath),
    /// The listing of a directory.
    Listing(&'a TreePath),
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, path) = match self {
            Part::Only(name) => return f.write_str(name),
            Part::Entry(path) => ("", path),
            Part::Inode(path) => ("the inode of ", path),
            Part::Listing(path) => ("the listing of ", path),
        };
        write!(f, "{prefix}/{}", path.shown())
    }
}

impl From<Part<'_>> for String {
    fn from(part: Part<'_>) -> Self {
        part.to_string()
    }
}

/// What may still come of an image that is a file system. There a few bytes can stand for much: several entries can
/// share an inode, several inodes a listing or a block, and a length can be claimed.
#[derive(Clone, Debug)]
pub struct Allowance {
    tree: Budget,
    tables_bytes: u64,
    blocks_bytes: u64,
    max_blocks_bytes: u64,
}

impl Allowance {
    /// Most bytes of tables that are read: inodes, listings and where blocks lie. As many entries as there may be
    /// take a quarter of it.
    const TABLES_BYTES: u64 = 128 << 20;
    /// As many bytes of contents may be in any image, and else so many times its length: what people pack shrinks to
    /// a third or a tenth, and nothing but zeros to a seven thousandth.
    const SMALL_BYTES: u64 = 256 << 20;
    const RATIO: u64 = 200;

    /// Returns that of an image by the length of its file.
    pub fn of(file_bytes: u64) -> Self {
        let content_bytes = file_bytes.saturating_mul(Self::RATIO).clamp(Self::SMALL_BYTES, Budget::BYTES);
        let limits = Limits { entries: Budget::ENTRIES, content_bytes, held_bytes: Budget::HELD_BYTES };
        // The blocks of a file have its length, and those of the ends of files are at least half full.
        let max_blocks_bytes = 2 * content_bytes;
        Allowance {
            tree: Budget::of(limits),
            tables_bytes: Self::TABLES_BYTES,
            blocks_bytes: max_blocks_bytes,
            max_blocks_bytes,
        }
    }

    /// Takes an entry with its path.
    ///
    /// # Errors
    /// There were as many, or as long ones, as allowed.
    pub fn entry(&mut self, path: &TreePath) -> Result<(), ImageFault> {
        let taken = self.tree.entry().and_then(|()| self.tree.held(path.as_bytes().len()));
        taken.map_err(|fault| beyond(Part::Entry(path), fault))
    }

    /// Takes the target of a link.
    ///
    /// # Errors
    /// They are longer than allowed.
    pub fn target(&mut self, path: &TreePath, target: &[u8]) -> Result<(), ImageFault> {
        self.tree.held(target.len()).map_err(|fault| beyond(Part::Entry(path), fault))
    }

    /// Takes the contents of a file.
    ///
    /// # Errors
    /// They are more than allowed.
    pub fn contents(&mut self, path: &TreePath, size_bytes: u64) -> Result<(), ImageFault> {
        self.tree.bytes(size_bytes).map_err(|fault| beyond(Part::Entry(path), fault))
    }

    /// Takes a part of a table that is read.
    ///
    /// # Errors
    /// They are longer than allowed.
    pub fn table(&mut self, part: Part<'_>, size_bytes: u64) -> Result<(), ImageFault> {
        let left = self.tables_bytes.checked_sub(size_bytes);
        let fault = TooMuch { what: "bytes of tables", limit: Self::TABLES_BYTES };
        self.tables_bytes = left.ok_or_else(|| beyond(part, fault))?;
        Ok(())
    }

    /// Takes a block that is read, by what it has at most, packed or not.
    ///
    /// # Errors
    /// They are more than allowed.
    pub fn block(&mut self, part: Part<'_>, size_bytes: u64) -> Result<(), ImageFault> {
        let left = self.blocks_bytes.checked_sub(size_bytes);
        let fault = TooMuch { what: "bytes in the blocks of files", limit: self.max_blocks_bytes };
        self.blocks_bytes = left.ok_or_else(|| beyond(part, fault))?;
        Ok(())
    }
}

fn beyond(part: Part<'_>, source: TooMuch) -> ImageFault {
    ImageFault::Beyond { part: part.into(), source }
}

/// Little-endian numbers, one after the other; `None` at the end.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// Takes bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Takes a number.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Takes a number.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Takes a number.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
