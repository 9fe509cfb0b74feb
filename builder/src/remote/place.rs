//! Where entries lie at a server.
//!
//! ```text
//! URL/1/KIND/KEY.APPID.json     the statement about an entry, signed by that key
//! URL/1/files/SHA256            its file
//! ```
//!
//! At a registry an entry is an image manifest under a tag of its own. Its annotation holds the statement; its
//! one layer is the file.
//!
//! ```text
//! docker://HOST/NAME:DIGEST-APPID     DIGEST: SHA-256 of `KIND/KEY`
//! ```

use std::{
    fmt,
    fs::File,
    io::{self, Seek as _},
    path::Path,
    sync::{Mutex, PoisonError},
};

use serde_json::json;

use super::statement::{self, Statement};
use crate::{
    digest::Digest,
    download::{
        Length, MirrorFault, ObjectError, Objects, Wanted,
        registry::{Outgoing, Registry},
    },
    formats::{app_id::AppId, image_name::ImageName, json},
};

/// The kinds of manifests and their parts (OCI image specification 1.1, "Image Manifest", with "Guidelines for
/// Artifact Usage").
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const ARTIFACT_TYPE: &str = "application/vnd.tinyroot.cache-entry.v1";
const FILE_TYPE: &str = "application/vnd.tinyroot.cache-entry.v1+zstd";

/// The config of artifacts that have none.
const EMPTY: &[u8] = b"{}";

/// The annotation with the statement.
const ANNOTATION: &str = "tinyroot.statement";

/// A server.
#[derive(Debug)]
pub enum Place {
    /// A web server that takes files by PUT.
    Web {
        /// Its URL, for messages.
        url: String,
        /// The files below it.
        objects: Box<Objects>,
    },
    /// A repository of a registry.
    Registry {
        /// Its name, without a tag.
        name: ImageName,
        /// The way to it.
        registry: Box<Registry>,
        /// Whether it is known to have what all its manifests name.
        has_empty: Mutex<bool>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Web { url, .. } => f.write_str(url),
            Place::Registry { name, .. } => name.fmt(f),
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

/// Returns the tag of an entry.
fn tag(name: &str, key: &AppId) -> String {
    format!("{}-{key}", Digest::of(name.as_bytes()))
}

impl Place {
    /// Names a web server, by the URL that messages show.
    pub fn web(url: &str, objects: Objects) -> Self {
        Place::Web { url: url.to_owned(), objects: Box::new(objects) }
    }

    /// Names a repository of a registry.
    pub fn registry(name: &ImageName, registry: Registry) -> Self {
        Place::Registry { name: name.clone(), registry: Box::new(registry), has_empty: Mutex::new(false) }
    }

    /// Returns the URL of an entry.
    pub(super) fn url(&self, name: &str, key: &AppId) -> String {
        match self {
            Place::Web { url, .. } => format!("{url}/{}", statement_path(name, key)),
            Place::Registry { name: image, .. } => format!("{image}:{}", tag(name, key)),
        }
    }

    /// Fetches the statement of an entry; `None` if it is not there.
    pub(super) fn statement(&self, name: &str, key: &AppId) -> Result<Option<Vec<u8>>, ObjectError> {
        match self {
            Place::Web { objects, .. } => Ok(objects.read(&statement_path(name, key), statement::MAX_BYTES)?),
            Place::Registry { registry, .. } => {
                let manifest = or_absent(registry.manifest(&tag(name, key)).map_err(ObjectError::from))?;
                let Some(manifest) = manifest else { return Ok(None) };
                let read = json::read(&manifest.bytes).unwrap_or_default();
                // What has no statement is refused as an empty one.
                Ok(Some(read["annotations"][ANNOTATION].as_str().unwrap_or_default().into()))
            }
        }
    }

    /// Fetches the file of an entry, which has the stated digest and length; `None` if it is not there.
    pub(super) fn file(
        &self,
        name: &str,
        statement: &Statement,
        tmp: &Path,
    ) -> Result<Option<File>, ObjectError> {
        let mut wanted = Wanted {
            what: name.to_owned(),
            urls: Vec::new(),
            past: Vec::new(),
            length: Length::Exactly(statement.size_bytes),
            checksum: statement.digest.into(),
            mode: Wanted::OWN,
        };
        match self {
            Place::Web { objects, .. } => {
                let file = objects.fetch(&wanted, &file_path(&statement.digest), tmp)?;
                Ok(file.map(tempfile::NamedTempFile::into_file))
            }
            Place::Registry { registry, .. } => {
                wanted.urls.push(registry.blob_url(&statement.digest));
                let place = tempfile::NamedTempFile::new_in(tmp)?.into_temp_path();
                let fetched = registry.blobs(&[(wanted, place.to_path_buf())], tmp, &|_| {});
                let opened = || Ok(crate::files::open(&place).map_err(io::Error::from)?);
                or_absent(fetched.map_err(ObjectError::from).and_then(|()| opened()))
            }
        }
    }

    /// Returns whether the file of an entry is there.
    pub(super) fn has_file(&self, statement: &Statement) -> Result<bool, ObjectError> {
        let Statement { digest, size_bytes, .. } = *statement;
        Ok(match self {
            Place::Web { objects, .. } => objects.has(&file_path(&digest), size_bytes)?,
            Place::Registry { registry, .. } => registry.has_blob(&digest, size_bytes)?,
        })
    }

    /// Sends the file of an entry.
    pub(super) fn put_file(&self, statement: &Statement, file: File) -> Result<(), ObjectError> {
        let Statement { digest, size_bytes, .. } = *statement;
        match self {
            Place::Web { objects, .. } => objects.put_file(&file_path(&digest), file, size_bytes),
            Place::Registry { registry, .. } => {
                let open = || -> io::Result<Box<dyn io::Read>> {
                    let mut file = file.try_clone()?;
                    file.rewind()?;
                    Ok(Box::new(file))
                };
                registry.upload(&Outgoing { what: "an entry", digest, size_bytes, open: &open }, &|_| {})?;
                Ok(())
            }
        }
    }

    /// Sends the statement of an entry whose file is there.
    pub(super) fn put_statement(
        &self,
        name: &str,
        key: &AppId,
        statement: &Statement,
        envelope: &[u8],
    ) -> Result<(), ObjectError> {
        match self {
            Place::Web { objects, .. } => objects.put_bytes(&statement_path(name, key), envelope.to_vec()),
            Place::Registry { registry, has_empty, .. } => {
                // Held while it is sent: another thread has not to send it too.
                let mut has_empty = has_empty.lock().unwrap_or_else(PoisonError::into_inner);
                if !*has_empty {
                    let open = || -> io::Result<Box<dyn io::Read>> { Ok(Box::new(EMPTY)) };
                    let (digest, size_bytes) = (Digest::of(EMPTY), EMPTY.len() as u64);
                    registry
                        .upload(&Outgoing { what: "a config", digest, size_bytes, open: &open }, &|_| {})?;
                    *has_empty = true;
                }
                drop(has_empty);
                let manifest = manifest(statement, envelope);
                Ok(registry.put_manifest(&tag(name, key), MANIFEST_TYPE, &manifest).map(drop)?)
            }
        }
    }
}

/// Returns the manifest of an entry.
fn manifest(statement: &Statement, envelope: &[u8]) -> Vec<u8> {
    let part = |media_type: &str, digest: Digest, size_bytes: u64| json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size_bytes });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": part(EMPTY_TYPE, Digest::of(EMPTY), EMPTY.len() as u64),
        "layers": [ part(FILE_TYPE, statement.digest, statement.size_bytes) ],
        "annotations": { ANNOTATION: String::from_utf8_lossy(envelope) },
    });
    manifest.to_string().into_bytes()
}

fn or_absent<T>(result: Result<T, ObjectError>) -> Result<Option<T>, ObjectError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ObjectError::Fault(MirrorFault::NotFound)) => Ok(None),
        Err(error) => Err(error),
    }
}
