//! Artifacts: packages at rest, read as a tree and written from a finished image.
//!
//! Reading: a file comes in, and its first bytes say its format. Out goes an [`Artifact`], whose tree names
//! contents that the store now has. What is not as its format's rules ask is refused whole; nothing of it can
//! be looked at by other means.
//!
//! Writing: [`Packable`] comes in, which the line alone makes, and a [`Writer`]. Out goes one file, written
//! under a temporary name next to its place, and renamed.
//!
//! A format is one file here, with its parts below it: [`spk`]. A new one adds a variant to [`Format`] and to
//! [`Details`], and a [`Writer`].

mod app;
mod bill;
mod papers;
mod source;
pub mod spk;
mod write;

pub use app::app;
pub use bill::bill;
pub use papers::{Papers, sizes_by};
pub use write::{BlockSize, PackError, Packable, Packed, Writer};

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use crate::{
    digest::Digest,
    error::{Hint, PathError},
    formats::{self, app_id::AppId},
    progress::Progress,
    store::{Store, StoreError, is_of_space},
    tree::Tree,
};
use source::Source;
use spk::Spk;

/// A package that was read and holds.
#[derive(Debug)]
pub struct Artifact {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub digest: Digest,
    /// All that it holds.
    pub tree: Tree,
    /// Details of its format.
    pub details: Details,
}

/// Details that only one format has.
#[derive(Debug)]
pub enum Details {
    /// Of an `.spk`.
    Spk(Spk),
}

impl Artifact {
    /// Returns whose app it is: grains belong to it.
    pub fn app_id(&self) -> AppId {
        let Details::Spk(spk) = &self.details;
        spk.app_id
    }

    /// Returns the app's title, as its maker wrote it.
    pub fn title(&self) -> &str {
        let Details::Spk(spk) = &self.details;
        &spk.manifest.title
    }

    /// Returns the app's version as people know it, as its maker wrote it.
    pub fn version(&self) -> &str {
        let Details::Spk(spk) = &self.details;
        &spk.manifest.marketing_version
    }

    /// Returns the number that grows with each release.
    pub fn release(&self) -> u32 {
        let Details::Spk(spk) = &self.details;
        spk.manifest.app_version
    }
}

/// A format that artifacts are read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Sandstorm's.
    Spk,
}

impl Format {
    /// How many bytes of a file [`Format::of`] needs.
    pub const MAGIC_BYTES: usize = formats::spk::MAGIC.len();

    /// Returns the format of a file by its first bytes; `None` if there is none that begins so.
    pub fn of(start: &[u8]) -> Option<Self> {
        start.starts_with(&formats::spk::MAGIC).then_some(Format::Spk)
    }

    /// Returns how long a file of this format may be.
    pub fn limit_bytes(self) -> u64 {
        match self {
            Format::Spk => formats::spk::MAX_PACKAGE_BYTES,
        }
    }
}

/// An artifact that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A file that cannot be used.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file that is not a package.
    #[error("{} is refused", path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Fault,
    },
    /// Something lies where the package should go.
    #[error("{} already exists", .0.display())]
    Exists(PathBuf),
    /// The store cannot be used.
    #[error("cannot write the package's contents to the cache")]
    Store(#[from] StoreError),
}

impl Hint for ArtifactError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            ArtifactError::Io(error) => error.hint(),
            ArtifactError::Store(error) => error.hint(),
            ArtifactError::Refused { .. } | ArtifactError::Exists(_) => None,
        }
    }
}

impl ArtifactError {
    /// Returns the same error under another name of the file, for one whose path says nothing.
    #[must_use]
    pub fn naming(mut self, name: &str) -> Self {
        match &mut self {
            ArtifactError::Io(PathError { path, .. }) | ArtifactError::Refused { path, .. } => {
                *path = name.into()
            }
            ArtifactError::Exists(_) | ArtifactError::Store(_) => {}
        }
        self
    }

    /// Returns whether there was no space for what was unpacked.
    fn is_of_space(&self) -> bool {
        match self {
            ArtifactError::Io(PathError { source, .. }) => is_of_space(source),
            ArtifactError::Store(error) => error.is_of_space(),
            _ => false,
        }
    }
}

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It begins as no format does.
    #[error("it does not begin as a Sandstorm package does")]
    Magic,
    /// More bytes than the largest package has.
    #[error("it is longer than a package can be: {limit_bytes} bytes")]
    TooLong {
        /// As many as it may have.
        limit_bytes: u64,
    },
    /// A rule of `.spk`.
    #[error(transparent)]
    Spk(#[from] spk::Fault),
}

/// Reads an artifact: decompressed and checked in full if it is new to the store, else found there by its
/// digest. What the store has is checked as it is read; a part of the structure that was changed since makes
/// it new to the store again.
///
/// # Errors
/// [`ArtifactError::Refused`] says why the file cannot be installed.
pub fn open(path: &Path, store: &Store, progress: &Progress) -> Result<Artifact, ArtifactError> {
    let (source, format) = Source::open(path)?;
    match format {
        Format::Spk => spk::open(&source, store, progress),
    }
}

/// Checks an artifact in full, whatever the store knows of it, and reads it.
///
/// # Errors
/// As [`open`].
pub fn verify(path: &Path, store: &Store, progress: &Progress) -> Result<Artifact, ArtifactError> {
    let (source, format) = Source::open(path)?;
    match format {
        Format::Spk => spk::verify(&source, store, progress),
    }
}

/// Writes an artifact's contents to a directory that is not there yet, in its format's own way. It appears
/// whole or not at all.
///
/// # Errors
/// [`ArtifactError::Exists`], and a directory that cannot be written.
pub fn unpack(artifact: &Artifact, store: &Store, directory: &Path) -> Result<(), ArtifactError> {
    match &artifact.details {
        Details::Spk(spk) => spk::unpack(&artifact.tree, spk, store, directory),
    }
}
