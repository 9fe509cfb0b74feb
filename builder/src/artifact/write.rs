//! Input and output of writing an artifact, for all formats.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

use crate::{
    digest::Digest,
    error::{Hint, PathError},
    formats::{
        app_id::{AppId, PackageId},
        spk::SpkError,
    },
    progress::Progress,
    store::{Store, StoreError},
    tree::Tree,
};

/// An image that may be packed: it was proven, or its maker chose to do without, and the paper in it says
/// which.
///
/// [`line::pack`](crate::line::pack) alone makes one, so that no other tree becomes an artifact.
#[derive(Clone, Debug)]
pub struct Packable(pub(crate) Tree);

impl Packable {
    /// Returns the image's tree.
    pub fn tree(&self) -> &Tree {
        &self.0
    }
}

/// Writes artifacts of one format.
pub trait Writer {
    /// Returns whose key signs; `None` if the format has no signature.
    fn app_id(&self) -> Option<AppId>;

    /// Writes an image as one file, which appears under its name whole or not at all. Its bytes depend on the
    /// image and the writer alone: not on clock, cores, user or what was packed before.
    ///
    /// # Errors
    /// [`PackError`].
    fn write(
        &self,
        image: Packable,
        out: &Path,
        store: &Store,
        progress: &Progress,
    ) -> Result<Packed, PackError>;
}

/// A written package.
#[derive(Clone, Debug)]
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
    /// The image that is in it. What its format adds is not.
    pub tree: Tree,
    /// The contents and sizes of its blocks, in order.
    pub blocks: Vec<BlockSize>,
}

/// A block of a package, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSize {
    /// Its contents: "metadata and small files", "data", "x86 programs", "programs".
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
        /// The kernel's error.
        source: io::Error,
    },
    /// A signature was taken from another package, and this one would have other contents.
    #[error("the signature that it should carry is of another archive")]
    OtherArchive,
    /// The store cannot be used.
    #[error("cannot keep compressed blocks in the cache")]
    Store(#[from] StoreError),
}

impl Hint for PackError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            PackError::Io(error) => error.hint(),
            PackError::Store(error) => error.hint(),
            PackError::Tree(_)
            | PackError::Manifest(_)
            | PackError::Contents { .. }
            | PackError::OtherArchive => None,
        }
    }
}
