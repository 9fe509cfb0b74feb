//! A package in another format, without a new build.

use std::path::Path;

use super::{
    Artifact, Format, Packable, Packed, Writer,
    image::ImageWriter,
    spk::{Signer, SpkWriter},
    write::PackError,
};
use crate::{
    formats::{app_id::AppId, manifest::Manifest},
    progress::Progress,
    store::Store,
};

/// Writes packages of any format.
#[derive(Clone, Copy)]
pub struct AnyWriter<'a> {
    /// The format.
    pub format: Format,
    /// The manifest of the package.
    pub manifest: &'a Manifest,
    /// The signer of the package.
    pub signer: Signer<'a>,
}

impl Writer for AnyWriter<'_> {
    fn app_id(&self) -> Option<AppId> {
        Some(self.signer.app_id())
    }

    fn write(
        &self,
        image: Packable,
        out: &Path,
        store: &Store,
        progress: &Progress,
    ) -> Result<Packed, PackError> {
        let AnyWriter { format, manifest, signer } = *self;
        match format {
            Format::Spk => SpkWriter { manifest, signer }.write(image, out, store, progress),
            _ => ImageWriter { format, manifest, signer }.write(image, out, store, progress),
        }
    }
}

/// Writes a package that was read in another format. It keeps its signature, so no key is needed; the bytes
/// are those that a build in that format gives.
///
/// # Errors
/// [`PackError::OtherArchive`] for a package that another program laid out, and one that cannot be written.
pub fn convert(
    artifact: &Artifact,
    format: Format,
    out: &Path,
    store: &Store,
    progress: &Progress,
) -> Result<Packed, PackError> {
    let signer = Signer::Carried(artifact.signature());
    let writer = AnyWriter { format, manifest: artifact.manifest(), signer };
    writer.write(Packable(artifact.tree.clone()), out, store, progress)
}
