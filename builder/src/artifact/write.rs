//! A tree as an artifact that can be installed.
//!
//! Comes in: a finished tree, the store with its contents, a manifest and a key. Goes out: one signed file, written beside
//! its place and renamed. Its bytes depend on these four alone: not on clock, cores, user or what was packed before.
//!
//! What the format cannot hold is left out with a word (devices, named pipes) or by rule (owners, mode bits but the
//! executable one, extended attributes); what no installer would take is refused before it is signed.

use std::{borrow::Cow, io, path::PathBuf};

use crate::{
    digest::Digest,
    error::{Hint, PathError},
    formats::{
        app_id::{AppId, PackageId},
        spk::SpkError,
    },
    store::StoreError,
};

/// A written package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its identity.
    pub package_id: PackageId,
    /// Whose it is.
    pub app_id: AppId,
    /// What its blocks hold and take, in their order.
    pub blocks: Vec<BlockSize>,
}

/// What a block of a package takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSize {
    /// What is in it: "metadata and small files", "data", "x86 programs", "programs".
    pub kind: &'static str,
    /// Decompressed.
    pub plain_bytes: u64,
    /// Compressed.
    pub packed_bytes: u64,
    /// True if it was kept from an earlier build.
    pub kept: bool,
}

/// A tree that cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file that cannot be written.
    #[error(transparent)]
    Io(#[from] PathError),
    /// Something that no installer would take.
    #[error("cannot make a package that can be installed")]
    Tree(#[from] SpkError),
    /// A manifest without what the format asks for.
    #[error("the manifest has no {0}")]
    Manifest(&'static str),
    /// Contents that are not there, or not as the tree says.
    #[error("cannot read the contents of {what}")]
    Contents {
        /// Of which file or part.
        what: String,
        /// What is wrong.
        source: io::Error,
    },
    /// The store cannot be used.
    #[error("cannot keep compressed blocks in the cache")]
    Store(#[from] StoreError),
}

impl Hint for PackError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            PackError::Io(error) => error.hint(),
            PackError::Store(error) => error.hint(),
            PackError::Tree(_) | PackError::Manifest(_) | PackError::Contents { .. } => None,
        }
    }
}
