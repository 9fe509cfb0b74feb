//! Faults of an archive, and their remedies.

use std::{borrow::Cow, error::Error, io, path::PathBuf};

use super::{KeyringError, ReleaseError};
use crate::{
    download::{DownloadError, LOGIN_HINT, MirrorFault, PROXY_HINT},
    error::Hint,
    formats::checksum::Checksum,
    store::StoreError,
};

/// A fault of an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A mirror that is not a URL.
    #[error(
        "cannot use the mirror `{given}`: it is neither an http, https or file URL nor an absolute directory"
    )]
    MirrorUrl {
        /// The given text.
        given: String,
    },
    /// Nothing says where the archive is.
    #[error("cannot find a mirror for {suite}: none was given, and the apt sources in {} name none", directory.display())]
    NoMirror {
        /// Which suite.
        suite: String,
        /// Where apt's sources were looked for.
        directory: PathBuf,
    },
    /// A suite, component or architecture with other characters than such names have.
    #[error("`{name}` cannot be the name of a suite, component or architecture")]
    Name {
        /// As given.
        name: String,
    },
    /// Keys that cannot be read.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A file that no mirror has as it should be.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// Offline, and never fetched.
    #[error("cannot open {suite} offline: it was never fetched")]
    NotKept {
        /// Which suite.
        suite: String,
    },
    /// Offline, and the kept copy cannot be used.
    #[error("cannot use what was fetched of {suite} before")]
    Kept {
        /// Which suite.
        suite: String,
        /// Why not.
        source: ReleaseError,
    },
    /// The archive lacks a selected suite, component or architecture.
    #[error("{suite} has no component `{component}` for {architecture}")]
    NoIndex {
        /// Which suite.
        suite: String,
        /// Which component.
        component: String,
        /// Which architecture.
        architecture: String,
    },
    /// An index that was fetched rightly and is broken inside.
    #[error("cannot decompress {what}")]
    Decompress {
        /// Its path in the archive.
        what: String,
        /// The decompressor's error.
        source: io::Error,
    },
    /// An index that holds another text than its Release file says.
    #[error("cannot use {what}: its text is not the listed one\n  expected {expected}\n  found    {found}")]
    WrongText {
        /// Its path in the archive.
        what: String,
        /// As listed.
        expected: Box<Checksum>,
        /// The digest of the decompressed bytes, cut where they became too long.
        found: Box<Checksum>,
    },
    /// The cache.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ArchiveError {
    /// Whether the suite is nowhere: nothing says where it is, or no mirror has it.
    pub fn is_missing_suite(&self) -> bool {
        match self {
            ArchiveError::NoMirror { .. } => true,
            ArchiveError::Download(error) => error.is_gone(),
            _ => false,
        }
    }
}

impl Hint for ArchiveError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        let text = match self {
            ArchiveError::NoMirror { suite, .. } if is_pocket(suite) => {
                let text = format!(
                    "name one with --mirror URL or the environment variable TINYROOT_MIRROR; or leave {suite} out with \
                     `pockets` of [debian] (`pockets = []` takes the suite alone)"
                );
                return Some(text.into());
            }
            ArchiveError::NoMirror { .. } => {
                "name one with --mirror URL or the environment variable TINYROOT_MIRROR"
            }
            ArchiveError::NotKept { .. } => "run the same once without --offline",
            ArchiveError::Download(DownloadError::Offline { .. }) => "run the same once without --offline",
            ArchiveError::Download(DownloadError::Places { faults, .. }) => {
                return faults.iter().find_map(|(url, fault)| fault_hint(url, fault)).map(Cow::Borrowed);
            }
            ArchiveError::Store(error) => return error.hint(),
            _ => return None,
        };
        Some(text.into())
    }
}

/// Returns true for the suites that are added to a recipe's own.
fn is_pocket(suite: &str) -> bool {
    ["-security", "-updates"].iter().any(|ending| suite.ends_with(ending))
}

fn fault_hint(url: &str, fault: &MirrorFault) -> Option<&'static str> {
    let error = match fault.itself() {
        MirrorFault::Refused(error) | MirrorFault::Damaged(error) => error,
        MirrorFault::WebPage => return Some(LOGIN_HINT),
        MirrorFault::Threads(_) => return Some(crate::threads::HINT),
        _ if fault.is_of_proxy() => return Some(PROXY_HINT),
        MirrorFault::Connect(_) | MirrorFault::Certificate(_) if url.starts_with("https:") => {
            return Some(
                "an http mirror will do as well, since all that comes is checked by signature or digest; \
                 or use what is cached with --offline",
            );
        }
        MirrorFault::Connect(_)
        | MirrorFault::ConnectionRefused(_)
        | MirrorFault::UnknownHost(_)
        | MirrorFault::Stalled(_)
        | MirrorFault::Slow(_)
        | MirrorFault::GivenUp(_)
        | MirrorFault::Status(500..)
        | MirrorFault::Busy { .. } => {
            return Some("try another mirror with --mirror URL, or what is cached with --offline");
        }
        MirrorFault::NotFound if url.ends_with("-security/InRelease") => {
            return Some(
                "name a mirror that has security updates with a further --mirror URL; or leave them out with `pockets` of [debian]",
            );
        }
        MirrorFault::NotFound if url.ends_with("/InRelease") => {
            return Some("check the name of the suite, or try another mirror with --mirror URL");
        }
        _ => return None,
    };
    let error: &(dyn Error + 'static) = error.as_ref();
    match error.downcast_ref::<ReleaseError>() {
        Some(ReleaseError::Future { .. }) => return Some("set this host's clock"),
        Some(ReleaseError::Expired { .. }) => {
            return Some(
                "if this host's clock is right, the mirror is out of date: try another with --mirror URL",
            );
        }
        Some(ReleaseError::Replayed { .. }) => {
            return Some(
                "the mirror is behind, or hides updates: try another with --mirror URL; \
                 to go back on purpose, use another --cache DIR",
            );
        }
        _ => {}
    }
    match error.downcast_ref::<KeyringError>() {
        Some(KeyringError::Untrusted { .. }) => Some(
            "for an archive with keys of its own, name them with --keyring FILE; \
             for Debian's, be wary of this mirror",
        ),
        Some(KeyringError::NotSigned { .. }) => Some(
            "this is no mirror of a Debian archive, or something on the way answers in its place, \
             as the login page of a network does",
        ),
        _ => None,
    }
}
