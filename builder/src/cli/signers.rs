//! `--signed-by`: whose packages a command accepts.

use std::{collections::BTreeSet, path::Path};

use super::secret::APP_ID;
use crate::{
    artifact::{Artifact, ArtifactError},
    formats::app_id::AppId,
    progress::Progress,
    store::Store,
};

/// Whose packages are accepted, for every command that reads one.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Signers {
    /// Refuse a package that is signed by another key than this app id; may be repeated
    #[arg(long, value_name = "APPID", value_parser = APP_ID)]
    signed_by: Vec<AppId>,
}

impl Signers {
    /// Returns whether any were named.
    pub(super) fn are_named(&self) -> bool {
        !self.signed_by.is_empty()
    }

    /// Returns a way to open packages that is the given one, and refuses those of other keys than were named.
    pub(super) fn only<O>(
        &self,
        open: O,
    ) -> impl Fn(&Path, &Store, &Progress) -> Result<Artifact, ArtifactError>
    where
        O: Fn(&Path, &Store, &Progress) -> Result<Artifact, ArtifactError>,
    {
        move |path, store, progress| {
            let artifact = open(path, store, progress)?;
            let found = artifact.app_id();
            if !self.are_named() || self.signed_by.contains(&found) {
                return Ok(artifact);
            }
            let accepted = BTreeSet::from_iter(self.signed_by.iter().copied());
            Err(ArtifactError::Signer { path: path.to_path_buf(), found, accepted })
        }
    }
}
