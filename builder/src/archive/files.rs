//! The signed indexes of an archive as files, for a copy of it that has nothing else: see
//! [`pool`](crate::pool).

use super::{ArchiveError, Opener, Options, Selection};
use crate::{download::Downloader, download::Wanted, formats::suite, progress::Progress, store::Store};

/// Files of an archive, by their paths in it.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Packages indexes, to be fetched.
    pub indexes: Vec<(String, Wanted)>,
    /// The Release files that list them, and signatures that stand apart; checked. To be written behind the
    /// indexes.
    pub signed: Vec<(String, Vec<u8>)>,
}

/// Returns the files of an archive that choosing packages needs.
///
/// # Errors
/// As [`open`](super::open).
pub fn files(
    selection: &Selection,
    options: &Options,
    store: &Store,
    downloader: &Downloader,
    progress: &Progress,
) -> Result<Files, ArchiveError> {
    let opening = Opener::begin(selection, options, store, downloader, progress)?;
    let mut out = Files::default();
    for name in selection.suites() {
        let release = opening.release(&name)?;
        let directory = suite::directory(&name);
        for component in selection.components() {
            let found = release.release.indexes(component, &selection.architecture);
            if found.is_empty() {
                opening.without_index(selection, &name, component)?;
            }
            for index in found {
                // By its digest, so that old and new ones never mix, where the archive has it so.
                let path = index.fetched.by_hash.as_ref().unwrap_or(&index.fetched.path);
                out.indexes.push((format!("{directory}{path}"), opening.wanted(&release, index)));
            }
        }
        let bytes = release.message.bytes.clone();
        match release.message.signature.clone() {
            None => out.signed.push((format!("{directory}InRelease"), bytes)),
            Some(signature) => {
                out.signed.push((format!("{directory}Release.gpg"), signature));
                out.signed.push((format!("{directory}Release"), bytes));
            }
        }
    }
    Ok(out)
}
