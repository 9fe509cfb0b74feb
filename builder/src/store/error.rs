//! The faults of a store.

use std::{borrow::Cow, path::PathBuf};

use crate::{
    closed::Open,
    digest::Digest,
    error::{Hint, PathError},
};

/// A fault of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the cache cannot be used.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A directory of the cache that others could write to.
    #[error("cannot use the cache {}: {open}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why others could.
        open: Open,
    },
    /// A directory of other things.
    #[error("cannot use {} as a cache: it holds other things, such as `{other}`", path.display())]
    NotCache {
        /// Which.
        path: PathBuf,
        /// The name of one of them.
        other: String,
    },
    /// A store in memory, which cannot give a directory.
    #[error("there is no directory to write to")]
    NoPlace,
    /// Contents that no loaded tree brought along.
    #[error("contents sha256:{0} are not in the store")]
    Missing(Digest),
}

impl Hint for StoreError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            StoreError::Open { path, open } => Some(open.remedy(path).into()),
            StoreError::NotCache { path, .. } => Some(
                format!("name a directory of its own, such as --cache {}", path.join("tinyroot").display())
                    .into(),
            ),
            StoreError::NoPlace => Some("name one with --cache DIR".into()),
            StoreError::Io(error) => error.hint(),
            StoreError::Missing(_) => None,
        }
    }
}
