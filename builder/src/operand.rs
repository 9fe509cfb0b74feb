//! What `diff` compares: a root, in whatever form it comes.
//!
//! Comes in: the path of a package, an image, a tar, a .deb or a directory. Goes out: an [`Operand`]: its tree
//! with contents in the store, which package each path belongs to, the packages' versions, and how large its
//! file is. Everything in it is hostile until it is checked. Nothing is written next to it, and no program is
//! started.

mod align;
mod compressed;
mod open;

pub use align::align;
pub use open::{open, stream_limit_bytes};

use std::borrow::Cow;

use crate::{
    artifact::{Artifact, ArtifactError, Fault, Papers, Prices},
    error::{Hint, PathError},
    render::RenderError,
    store::Store,
    tree::Tree,
    unpack::UnpackFault,
};

/// The kind of an operand, by what it was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A package of ours.
    Package,
    /// An OCI image, or what `docker save` writes, of others.
    Image,
    /// A squashfs or EROFS image of others.
    FileSystem,
    /// A tar of a root.
    Tar,
    /// A .deb.
    Deb,
    /// A directory.
    Directory,
    /// A recipe folder: what it would give now.
    Recipe,
    /// A recipe folder as a commit has it.
    Revision,
}

impl Taken {
    /// Returns its name in documents.
    pub fn word(self) -> &'static str {
        match self {
            Taken::Package => "package",
            Taken::Image => "image",
            Taken::FileSystem => "file_system",
            Taken::Tar => "tar",
            Taken::Deb => "deb",
            Taken::Directory => "directory",
            Taken::Recipe => "recipe",
            Taken::Revision => "revision",
        }
    }

    /// Returns its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Taken::Package => "a package",
            Taken::Image => "an image",
            Taken::FileSystem => "a file system image",
            Taken::Tar => "a tar",
            Taken::Deb => "a .deb",
            Taken::Directory => "a directory",
            Taken::Recipe => "a recipe",
            Taken::Revision => "a revision of a recipe",
        }
    }
}

/// One side of a diff.
#[derive(Debug)]
pub struct Operand {
    taken: Taken,
    title: String,
    size_bytes: Option<u64>,
    /// What it holds.
    pub root: Root,
    /// The owners of its paths, and the versions of packages.
    pub papers: Papers,
    /// What its files take in its file; `None` where it is not known.
    pub prices: Option<Prices>,
}

/// What an operand holds.
#[derive(Debug)]
pub enum Root {
    /// A package of ours.
    Package(Box<Artifact>),
    /// A tree without more.
    Tree(Tree),
}

impl Root {
    /// Takes the tree out.
    pub fn into_tree(self) -> Tree {
        match self {
            Root::Package(artifact) => artifact.tree,
            Root::Tree(tree) => tree,
        }
    }
}

impl Operand {
    /// Returns an operand of what a recipe gives; no file has been written of it.
    pub fn of_recipe(taken: Taken, title: String, tree: Tree, store: &Store) -> Self {
        let papers = Papers::read(&tree, store);
        Operand { taken, title, size_bytes: None, root: Root::Tree(tree), papers, prices: None }
    }

    /// Returns what it was taken for.
    pub fn taken(&self) -> Taken {
        self.taken
    }

    /// Returns a name for it: title and version of a package, else as it was named on the command line.
    pub fn title(&self) -> &str {
        &self.title
    }

    fn tree_mut(&mut self) -> &mut Tree {
        match &mut self.root {
            Root::Package(artifact) => &mut artifact.tree,
            Root::Tree(tree) => tree,
        }
    }

    /// Returns the package; `None` for what others made.
    pub fn artifact(&self) -> Option<&Artifact> {
        match &self.root {
            Root::Package(artifact) => Some(artifact),
            Root::Tree(_) => None,
        }
    }

    /// Returns the length of its file; `None` for what is none, as a directory.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }
}

/// Something that cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum OperandError {
    /// A path that cannot be looked at.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A package that is refused.
    #[error(transparent)]
    Package(ArtifactError),
    /// A file that is none of the things that are compared.
    #[error("cannot compare {name}: it begins as no package, image, tar or .deb does")]
    Unknown {
        /// As it was named.
        name: String,
    },
    /// Something that is not what it was taken for.
    #[error("cannot read {name} as {}", taken.name())]
    Refused {
        /// As it was named.
        name: String,
        /// What it was taken for.
        taken: Taken,
        /// Why it is none.
        source: OperandFault,
    },
}

/// Why something is not what it was taken for.
#[derive(Debug, thiserror::Error)]
pub enum OperandFault {
    /// A rule of images and tars.
    #[error(transparent)]
    Fault(Fault),
    /// The file, or the store.
    #[error(transparent)]
    Artifact(ArtifactError),
    /// A rule of .debs.
    #[error(transparent)]
    Deb(#[from] UnpackFault),
    /// An entry of a directory.
    #[error(transparent)]
    Directory(#[from] RenderError),
    /// An image in a form that is not read.
    #[error("it is an image as `skopeo copy` writes it to dir:, which is not read")]
    Transport,
    /// A compressed stream.
    #[error("it cannot be decompressed")]
    Compressed(#[source] std::io::Error),
    /// A compressed stream that yields too much.
    #[error("it decompresses to more than {limit_bytes} bytes")]
    TooLong {
        /// As many as it may have.
        limit_bytes: u64,
    },
    /// The place for what is decompressed.
    #[error("cannot keep what it decompresses to")]
    Kept(#[source] std::io::Error),
}

impl From<ArtifactError> for OperandFault {
    fn from(error: ArtifactError) -> Self {
        match error {
            ArtifactError::Refused { source, .. } => OperandFault::Fault(source),
            other => OperandFault::Artifact(other),
        }
    }
}

impl Hint for OperandError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            OperandError::Io(error) => error.hint(),
            OperandError::Package(error) => error.hint(),
            OperandError::Unknown { .. } => None,
            OperandError::Refused { source, .. } => match source {
                OperandFault::Artifact(error) => error.hint(),
                OperandFault::Deb(error) => error.hint(),
                OperandFault::Directory(error) => error.hint(),
                OperandFault::Transport => Some("make a layout of it: skopeo copy dir:PATH oci:OTHER".into()),
                OperandFault::Kept(_) => Some("name a directory with more room in TMPDIR".into()),
                _ => None,
            },
        }
    }
}
