//! Artifacts: packages at rest, read as a tree and written from a finished image.
//!
//! Reading: a file comes in, and its first bytes say its format. Out goes an [`Artifact`], whose tree names
//! contents that the store now has. What is not as its format's rules ask is refused whole; nothing of it can
//! be looked at by other means.
//!
//! Writing: [`Packable`] comes in, which the line alone makes, and a [`Writer`]. Out goes one file, written
//! under a temporary name next to its place, and renamed.
//!
//! A format is one file here, with its parts below it: [`spk`], and those that [`image`] reads and writes. A
//! new one adds a variant to [`Format`].

mod app;
mod bill;
mod convert;
mod erofs;
mod exact;
mod fault;
pub mod image;
mod oci;
mod papers;
mod prices;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod source;
pub mod spk;
mod squashfs;
mod write;

pub use app::app;
pub use bill::bill;
pub use convert::{AnyWriter, convert};
pub use exact::{Deviation, deviation};
pub use fault::ImageFault;
pub use image::normalise;
pub use oci::{Pushed, Referrer, RemoteError, Signatures, pull, push, reference, referrers, signatures};
pub use papers::{Papers, sizes_by};
pub use prices::{Prices, open as open_priced, open_any as open_any_priced, prices, tar_prices};
pub use write::{BlockSize, PackError, Packable, Packed, Writer};

use std::{
    borrow::Cow,
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    digest::Digest,
    error::{Hint, PathError},
    formats::{
        self,
        app_id::{AppId, PackageId},
        manifest::Manifest,
        spk::Signature,
    },
    progress::Progress,
    store::{Store, StoreError, is_of_space},
    tree::Tree,
};
use image::Image;
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
    /// Of another format.
    Image(Image),
}

impl Artifact {
    /// Returns its format.
    pub fn format(&self) -> Format {
        match &self.details {
            Details::Spk(_) => Format::Spk,
            Details::Image(image) => image.format,
        }
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        match &self.details {
            Details::Spk(spk) => &spk.manifest,
            Details::Image(image) => &image.manifest,
        }
    }

    /// Returns the signature.
    pub fn signature(&self) -> &Signature {
        match &self.details {
            Details::Spk(spk) => &spk.signature,
            Details::Image(image) => &image.signature,
        }
    }

    /// Returns its identity: half of its digest.
    pub fn package_id(&self) -> PackageId {
        self.digest.into()
    }

    /// Returns whose app it is: grains belong to it.
    pub fn app_id(&self) -> AppId {
        self.signature().app_id
    }

    /// Returns the app's title, as its maker wrote it.
    pub fn title(&self) -> &str {
        &self.manifest().title
    }

    /// Returns the app's version as people know it, as its maker wrote it.
    pub fn version(&self) -> &str {
        &self.manifest().marketing_version
    }

    /// Returns the number that grows with each release.
    pub fn release(&self) -> u32 {
        self.manifest().app_version
    }
}

/// A root in a file: a package of ours, or what others made.
#[derive(Debug)]
pub enum Root {
    /// It is signed, and holds.
    Package(Box<Artifact>),
    /// It has no signature.
    Foreign(Foreign),
}

/// A root in a file, as others made it: nothing vouches for it.
#[derive(Debug)]
pub struct Foreign {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// Its length; of a layout in a directory that of its image.
    pub size_bytes: u64,
    /// Its SHA-256; of a layout in a directory that of its image.
    pub digest: Digest,
    /// All that it holds.
    pub tree: Tree,
}

/// A format of artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Sandstorm's package.
    Spk,
    /// A tar of an OCI image layout, for `podman load` and `docker load`.
    Oci,
    /// An OCI image layout as a directory.
    OciDirectory,
    /// squashfs.
    Squashfs,
    /// EROFS.
    Erofs,
    /// A tar of the root.
    Tar,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 6] =
        [Format::Spk, Format::Oci, Format::OciDirectory, Format::Squashfs, Format::Erofs, Format::Tar];

    /// How many bytes of a file [`Format::of`] needs.
    pub const MAGIC_BYTES: usize = erofs::SUPERBLOCK_AT as usize + erofs::MAGIC.len();

    /// Returns the format of a file by its first bytes; `None` if there is none that begins so. A tar may be
    /// one of a layout.
    pub fn of(start: &[u8]) -> Option<Self> {
        if start.starts_with(&formats::spk::MAGIC) {
            return Some(Format::Spk);
        }
        if start.starts_with(&squashfs::MAGIC) {
            return Some(Format::Squashfs);
        }
        if start.get(erofs::SUPERBLOCK_AT as usize..).is_some_and(|rest| rest.starts_with(&erofs::MAGIC)) {
            return Some(Format::Erofs);
        }
        let is_tar = start.get(257..262).is_some_and(|magic| magic == b"ustar");
        (is_tar || formats::tar_in::begins(start)).then_some(Format::Tar)
    }

    /// Returns the format by the name that a file has; `None` if no ending says it.
    pub fn of_name(name: &str) -> Option<Self> {
        let endings = [
            (".spk", Format::Spk),
            (".oci.tar", Format::Oci),
            (".oci", Format::OciDirectory),
            (".squashfs", Format::Squashfs),
            (".sqfs", Format::Squashfs),
            (".erofs", Format::Erofs),
            (".tar", Format::Tar),
        ];
        endings.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| *format)
    }

    /// Returns the format of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Returns its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Spk => "spk",
            Format::Oci => "oci",
            Format::OciDirectory => "oci-dir",
            Format::Squashfs => "squashfs",
            Format::Erofs => "erofs",
            Format::Tar => "tar",
        }
    }

    /// Returns the ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Spk => ".spk",
            Format::Oci => ".oci.tar",
            Format::OciDirectory => ".oci",
            Format::Squashfs => ".squashfs",
            Format::Erofs => ".erofs",
            Format::Tar => ".tar",
        }
    }

    /// Returns how long a file of this format may be.
    pub fn limit_bytes(self) -> u64 {
        match self {
            Format::Spk => formats::spk::MAX_PACKAGE_BYTES,
            // Contents, blocks that are not full, and names.
            _ => 2 * fault::Budget::BYTES,
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
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
    /// A package that another key signed than those that are accepted.
    #[error("{} is refused: it is signed by {found}", path.display())]
    Signer {
        /// Which.
        path: PathBuf,
        /// Whose key signed it.
        found: AppId,
        /// Whose packages are accepted.
        accepted: BTreeSet<AppId>,
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
            ArtifactError::Signer { accepted, .. } => {
                let names: Vec<String> = accepted.iter().map(ToString::to_string).collect();
                Some(format!("only packages of {} are accepted (--signed-by)", names.join(", ")).into())
            }
            ArtifactError::Refused { .. } | ArtifactError::Exists(_) => None,
        }
    }
}

impl ArtifactError {
    /// Returns the same error under another name of the file, for one whose path says nothing.
    #[must_use]
    pub fn naming(mut self, name: &str) -> Self {
        match &mut self {
            ArtifactError::Io(PathError { path, .. })
            | ArtifactError::Refused { path, .. }
            | ArtifactError::Signer { path, .. } => *path = name.into(),
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
    #[error("it does not begin as a package does: .spk, OCI layout, squashfs, EROFS or tar")]
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
    /// A rule of another format.
    #[error(transparent)]
    Image(#[from] ImageFault),
    /// An image that is no package.
    #[error("it is not a package of tinyroot's: it holds no signature")]
    Unsigned,
    /// Contents that no package can have.
    #[error("its contents are not those of a package")]
    Tree(#[source] Box<PackError>),
}

/// Returns the format of a file; `None` for one that cannot be read, or begins as none does.
pub fn format_at(path: &Path) -> Option<Format> {
    Source::open(path).ok().map(|(_, format)| format)
}

/// Returns whether a directory is an OCI image layout.
pub fn is_layout(directory: &Path) -> bool {
    oci::Layout::is_in(directory)
}

/// Returns whether an artifact of that digest lies at a path.
pub fn is_at(path: &Path, format: Format, digest: &Digest) -> bool {
    let Ok((source, found)) = Source::open(path) else { return false };
    found == format && image::identity(&source, format).is_ok_and(|(found, _)| found == *digest)
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
        format => image::open(&source, format, false, store, progress),
    }
}

/// Reads a root in a file: a package as [`open`] does, and one without a signature as it is.
///
/// # Errors
/// As [`open`], but for those without a signature.
pub fn open_any(path: &Path, store: &Store, progress: &Progress) -> Result<Root, ArtifactError> {
    let (source, format) = Source::open(path)?;
    match format {
        Format::Spk => Ok(Root::Package(Box::new(spk::open(&source, store, progress)?))),
        format => image::open_any(&source, format, store, progress),
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
        format => image::open(&source, format, true, store, progress),
    }
}

/// Writes an artifact's contents to a directory that is not there yet, in its format's own way. It appears
/// whole or not at all.
///
/// # Errors
/// [`ArtifactError::Exists`], and a directory that cannot be written.
pub fn unpack(artifact: &Artifact, store: &Store, directory: &Path) -> Result<(), ArtifactError> {
    let items = match &artifact.details {
        Details::Spk(spk) => Cow::Borrowed(&spk.items),
        Details::Image(_) => Cow::Owned(spk::items_of(&artifact.tree)),
    };
    spk::unpack(&artifact.tree, &items, store, directory)
}

#[cfg(test)]
mod tests;
