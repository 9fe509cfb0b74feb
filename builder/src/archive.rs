//! The signed indexes of a Debian archive.
//!
//! A suite, mirrors and keys come in; the texts of its Packages indexes go out, each checked by
//! its digest in a Release file, which is checked by its signature. Nothing is parsed here beyond
//! what that needs: stanzas are read by `formats::packages`. Nothing unverified is handed on or
//! kept. What was fetched stays in the store, so that an archive that has not changed costs one
//! small conditional request a suite, and `--offline` none.

mod sources;

use std::path::PathBuf;

use crate::formats::digest::Digest;

pub use sources::Mirrors;

/// Which part of an archive is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The suite, by codename (`bookworm`).
    pub suite: String,
    /// What is read beside it: `updates` stands for `bookworm-updates`.
    pub pockets: Vec<String>,
    /// Components (`main`).
    pub components: Vec<String>,
    /// The Debian architecture (`amd64`).
    pub architecture: String,
}

impl Selection {
    /// Selects `main` of a suite with its updates and security updates, which `sid` and its like
    /// do not have.
    pub fn new(suite: &str, architecture: &str) -> Self {
        let rolling = ["sid", "unstable", "experimental"].contains(&suite);
        let pockets = if rolling { &[][..] } else { &["updates", "security"] };
        Selection {
            suite: suite.into(),
            pockets: pockets.iter().map(|&pocket| pocket.into()).collect(),
            components: vec!["main".into()],
            architecture: architecture.into(),
        }
    }

    /// Returns the names of all suites that are read, the suite itself first.
    pub fn suites(&self) -> Vec<String> {
        let pockets = self.pockets.iter().map(|pocket| format!("{}-{pocket}", self.suite));
        std::iter::once(self.suite.clone()).chain(pockets).collect()
    }
}

/// How an archive is reached and trusted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Base URLs (`http://HOST/debian`) or absolute directories, tried in turn. Where empty, the
    /// host's own apt sources are asked.
    pub mirrors: Vec<String>,
    /// The directory of apt's sources.
    pub sources: PathBuf,
    /// A file, or a directory of files, with the only keys to trust, armored or not; `None` for the
    /// keys of Debian's archive that come with tinyroot.
    pub keyring: Option<PathBuf>,
    /// The present, in seconds since 1970: what Date, Valid-Until and keys are measured by.
    pub now_s: i64,
}

impl Default for Options {
    fn default() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Options {
            mirrors: Vec::new(),
            sources: "/etc/apt".into(),
            keyring: None,
            now_s: now.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
        }
    }
}

/// One Packages index, checked.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its suite, pocket included (`bookworm-security`).
    pub suite: String,
    /// Its component.
    pub component: String,
    /// The architecture in its path: the one asked for, or `all` where an archive keeps that apart.
    pub architecture: String,
    /// SHA-256 of the text.
    pub digest: Digest,
    /// When its Release file was made: the Date field, in seconds since 1970.
    pub time_s: i64,
    /// Whether apt would take packages of it only on request (`NotAutomatic: yes`, as backports have).
    pub not_automatic: bool,
    /// Whether what was once taken from it is upgraded from it (`ButAutomaticUpgrades: yes`).
    pub but_automatic_upgrades: bool,
    /// The stanzas, as the archive has them; may be empty.
    pub text: Vec<u8>,
}

/// An archive as it stands: every index of a [`Selection`], in the order of
/// [`Selection::suites`], then components.
#[derive(Clone, Debug)]
pub struct Archive {
    /// What was selected.
    pub selection: Selection,
    /// The indexes.
    pub indexes: Vec<Index>,
    /// The newest of the indexes' times.
    pub time_s: i64,
}

/// A fault of an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A mirror that is no URL.
    #[error("cannot use the mirror '{given}': it is no http, https or file URL and no absolute directory")]
    MirrorUrl {
        /// What was given.
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
}

impl ArchiveError {
    /// Returns what one can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ArchiveError::NoMirror { .. } => {
                Some("name one with --mirror URL or the environment variable TINYROOT_MIRROR".into())
            }
            ArchiveError::MirrorUrl { .. } => None,
        }
    }
}
