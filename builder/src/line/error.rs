//! Why the line stops: the error of a stage, with what one can do about it from where the line began.

use std::{borrow::Cow, error::Error, fmt, path::PathBuf};

use crate::{
    archive::ArchiveError,
    artifact::PackError,
    assemble::AssembleError,
    configure::ConfigureError,
    error::{Hint, PathError},
    evidence::{Miss, UsedListError},
    fetch::FetchError,
    lock::LockError,
    npm::NpmError,
    overlay::OverlayError,
    papers::PapersError,
    prove::ProveError,
    prune::PruneError,
    recipe::RecipeError,
    reduce::ReduceError,
    resolve::ResolveError,
    unpack::UnpackError,
};

/// Why the line stopped, and what would help.
#[derive(Debug)]
pub struct LineError {
    fault: Box<Fault>,
    hint: Option<String>,
}

/// The error that stopped the line: of a stage, or between two of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A recipe, read anew after it was mended.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A lock that cannot be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A lock for another request than the recipe's.
    #[error("{} was made for other packages than the recipe now names", .0.display())]
    Drifted(PathBuf),
    /// A past state of the archive, and no service that has it.
    #[error("no snapshot service is configured for debian.snapshot {0}")]
    NoSnapshotService(String),
    /// An archive that cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Packages that cannot be chosen.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// .debs that cannot be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// npm packages that cannot be had or laid.
    #[error(transparent)]
    Npm(#[from] NpmError),
    /// A .deb that breaks a rule.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// Packages that do not fit together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// Maintainer scripts that fail.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// A file of the recipe that has no place.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// Evidence that cannot be read.
    #[error(transparent)]
    Evidence(#[from] UsedListError),
    /// A root that cannot be pruned.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// A file that cannot be reduced.
    #[error(transparent)]
    Reduce(#[from] ReduceError),
    /// Papers that cannot be written.
    #[error(transparent)]
    Papers(#[from] PapersError),
    /// An app that cannot be proven.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A pruned app that does not respond as the full root does, at so many steps.
    #[error("{0} steps respond otherwise than on the full root")]
    Differs(usize),
    /// The version of the app is that of a package that the lock does not have.
    #[error("the app's version is that of {0}, which is not in recipe.lock")]
    NoVersion(String),
    /// A recipe whose `[reduce]` cannot be edited.
    #[error("cannot change [reduce] in {}", .0.display())]
    NotEdited(PathBuf),
    /// A recipe that cannot be written.
    #[error(transparent)]
    Write(#[from] PathError),
    /// Contents of the cache that were changed, and are missing now.
    #[error("parts of the cache were changed since they were written, and the result would lack them")]
    Refused,
    /// A package that cannot be written.
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl Hint for Fault {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Fault::Recipe(error) => error.hint(),
            Fault::Lock(error) => error.hint(),
            Fault::Archive(error) => error.hint(),
            Fault::Resolve(error) => error.hint(),
            Fault::Fetch(error) => error.hint(),
            Fault::Npm(error) => error.hint(),
            Fault::Unpack(error) => error.hint(),
            Fault::Assemble(error) => error.hint(),
            Fault::Configure(error) => error.hint(),
            Fault::Overlay(error) => error.hint(),
            Fault::Evidence(error) => error.hint(),
            Fault::Prune(error) => error.hint(),
            Fault::Reduce(error) => error.hint(),
            Fault::Papers(error) => error.hint(),
            Fault::Prove(error) => error.hint(),
            Fault::Write(error) => error.hint(),
            Fault::Pack(error) => error.hint(),
            Fault::NoSnapshotService(_) => Some(
                "name a service with debian.snapshot_service, --snapshot-service or TINYROOT_SNAPSHOT_SERVICE"
                    .into(),
            ),
            Fault::NoVersion(_) => Some("name one of its packages in `version`".into()),
            Fault::Refused => Some("they were removed: run the same again".into()),
            Fault::Drifted(_) | Fault::Differs(_) | Fault::NotEdited(_) => None,
        }
    }
}

impl Hint for LineError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        self.hint.as_deref().map(Cow::Borrowed)
    }
}

impl LineError {
    /// Returns what stopped the line.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Returns true if the lock is not what the recipe now asks for.
    pub fn is_drift(&self) -> bool {
        matches!(*self.fault, Fault::Drifted(_))
    }

    /// Returns the pruned paths that an app which could not be proven asked for.
    pub fn misses(&self) -> &[Miss] {
        match &*self.fault {
            Fault::Prove(error) => error.misses(),
            _ => &[],
        }
    }

    /// Says what else one can do about it, in place of what was known.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl<E> From<E> for LineError
where
    Fault: From<E>,
{
    fn from(error: E) -> Self {
        let fault = Box::new(Fault::from(error));
        let hint = fault.hint().map(Cow::into_owned);
        LineError { fault, hint }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl Error for LineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}
