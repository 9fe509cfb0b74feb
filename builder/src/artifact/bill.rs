//! The bill of materials of an artifact.

use super::{Artifact, Papers};
use crate::{
    papers::bill::{self, BillError, Form, Subject},
    store::Store,
};

/// Returns the bill of an artifact that was read, as a JSON document. Equal artifacts have equal bills.
///
/// # Errors
/// [`BillError`]: an artifact whose list of packages, or whose contents, cannot be read.
pub fn bill(artifact: &Artifact, form: Form, store: &Store) -> Result<Vec<u8>, BillError> {
    let papers = Papers::read(&artifact.tree, store);
    bill::bill(
        form,
        &Subject {
            title: artifact.title(),
            version: artifact.version(),
            digest: Some(artifact.digest),
            tree: &artifact.tree,
            store,
            owner: &|path| papers.owner(path).map(str::to_owned),
        },
    )
}
