//! Input and output of writing an artifact, for all formats.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

use super::Format;
use crate::{
    digest::Digest,
    error::{Hint, PathError},
    formats::{
        app_id::{AppId, PackageId},
        spk::SpkError,
    },
    papers::EnclosedError,
    progress::Progress,
    render::RenderError,
    store::{Store, StoreError},
    tree::{Tree, TreePath},
};

/// An image that may be packed: it was proven, or its maker chose to do without, and the paper in it says
/// which.
///
/// [`line::pack`](crate::line::pack) makes one, and [`convert`](super::convert()) takes one out of a package
/// that was read and holds; so no other tree becomes an artifact.
#[derive(Clone, Debug)]
pub struct Packable(pub(crate) Tree);

impl Packable {
    /// Returns the image's tree.
    pub fn tree(&self) -> &Tree {
        &self.0
    }

    /// Takes the tree out.
    pub fn into_tree(self) -> Tree {
        self.0
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
    /// Its contents: "metadata and small files", "small files of Debian", "data",
    /// "x86 programs", "alike x86 programs", "programs".
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
    /// A tree that cannot be written as an archive.
    #[error(transparent)]
    Render(RenderError),
    /// An entry that the format has no place for.
    #[error("/{0} is of a kind that this format cannot hold, or has a longer link target")]
    Special(TreePath),
    /// A package that does not say how it is started.
    #[error("cannot say how an engine starts the package")]
    Enclosed(#[source] EnclosedError),
    /// An architecture that container engines have no name for.
    #[error("container engines have no name for the architecture `{0}`")]
    Architecture(String),
    /// A writer that cannot write a format.
    #[error("internal error: a writer of images was given the format {0}")]
    Format(Format),
    /// The kernel's error, while a file was written whose name is not known here.
    #[error("cannot write the package")]
    Writing(#[source] io::Error),
    /// The store cannot be used.
    #[error("cannot keep compressed blocks in the cache")]
    Store(#[from] StoreError),
}

impl Hint for PackError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            PackError::Io(error) => error.hint(),
            PackError::Store(error) => error.hint(),
            PackError::Render(error) => error.hint(),
            PackError::Enclosed(error) => error.hint(),
            _ => None,
        }
    }
}

impl PackError {
    /// Returns the error of writing to a file whose name the writer does not know.
    pub(super) fn writing(source: io::Error) -> Self {
        PackError::Writing(source)
    }

    /// Names the file that was written.
    pub(super) fn naming(self, path: &Path) -> Self {
        match self {
            PackError::Writing(source) => PathError::new("write", path, source).into(),
            other => other,
        }
    }
}

/// Returns the contents of a tree's files in an order in which like stands beside like: by the ends of their
/// names, then by path.
pub(super) fn file_order(tree: &Tree) -> Vec<(Digest, u64)> {
    let files = tree.iter().filter_map(|(path, entry)| Some((path, entry.kind.content()?)));
    let mut files: Vec<_> =
        files.map(|(path, content)| ((ending(path.file_name()), path), content)).collect();
    files.sort();
    files.into_iter().map(|(_, content)| content).collect()
}

fn ending(name: &[u8]) -> &[u8] {
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    dot.map_or(&b""[..], |dot| &name[dot..])
}
