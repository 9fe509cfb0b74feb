//! Why an image is refused that is a file system or layers of one.

use std::io;

pub use crate::formats::budget::Budget;
use crate::{
    formats::{budget::TooMuch, tar_in::TarError},
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
        ImageFault::rule(format!("/{}", path.shown()), rule)
    }
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
