//! Where entries lie at a server.
//!
//! ```text
//! URL/1/KIND/KEY.APPID.json     the statement about an entry, signed by that key
//! URL/1/files/SHA256            its file
//! ```

use std::{fmt, fs::File, path::Path};

use tempfile::NamedTempFile;

use super::statement::{self, Statement};
use crate::{
    digest::Digest,
    download::{Length, MirrorFault, ObjectError, Objects, Wanted},
    formats::app_id::AppId,
};

/// A server.
#[derive(Debug)]
pub enum Place {
    /// A web server that takes files by PUT.
    Web {
        /// Its URL, for messages.
        url: String,
        /// The files below it.
        objects: Objects,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Web { url, .. } => f.write_str(url),
        }
    }
}

/// Returns the path of the statement of an entry.
fn statement_path(name: &str, key: &AppId) -> String {
    format!("1/{name}.{key}.json")
}

/// Returns the path of the file of an entry.
fn file_path(digest: &Digest) -> String {
    format!("1/files/{digest}")
}

impl Place {
    /// Returns the URL of an entry.
    pub(super) fn url(&self, name: &str, key: &AppId) -> String {
        match self {
            Place::Web { url, .. } => format!("{url}/{}", statement_path(name, key)),
        }
    }

    /// Fetches the statement of an entry; `None` if it is not there.
    pub(super) fn statement(&self, name: &str, key: &AppId) -> Result<Option<Vec<u8>>, MirrorFault> {
        match self {
            Place::Web { objects, .. } => objects.read(&statement_path(name, key), statement::MAX_BYTES),
        }
    }

    /// Fetches the file of an entry, which has the stated digest and length; `None` if it is not there.
    pub(super) fn file(
        &self,
        name: &str,
        statement: &Statement,
        tmp: &Path,
    ) -> Result<Option<NamedTempFile>, ObjectError> {
        let wanted = Wanted {
            what: name.to_owned(),
            urls: Vec::new(),
            past: Vec::new(),
            length: Length::Exactly(statement.size_bytes),
            checksum: statement.digest.into(),
            mode: Wanted::OWN,
        };
        match self {
            Place::Web { objects, .. } => objects.fetch(&wanted, &file_path(&statement.digest), tmp),
        }
    }

    /// Returns whether the file of an entry is there.
    pub(super) fn has_file(&self, statement: &Statement) -> Result<bool, MirrorFault> {
        match self {
            Place::Web { objects, .. } => objects.has(&file_path(&statement.digest), statement.size_bytes),
        }
    }

    /// Sends the file of an entry.
    pub(super) fn put_file(&self, statement: &Statement, file: File) -> Result<(), ObjectError> {
        match self {
            Place::Web { objects, .. } => {
                objects.put_file(&file_path(&statement.digest), file, statement.size_bytes)
            }
        }
    }

    /// Sends the statement of an entry whose file is there.
    pub(super) fn put_statement(
        &self,
        name: &str,
        key: &AppId,
        _: &Statement,
        envelope: &[u8],
    ) -> Result<(), ObjectError> {
        match self {
            Place::Web { objects, .. } => objects.put_bytes(&statement_path(name, key), envelope.to_vec()),
        }
    }
}
