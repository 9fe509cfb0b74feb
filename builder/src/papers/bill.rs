//! Bills of materials of an artifact, in full: every package, every file with its digests.
//!
//! Comes in: the tree of an artifact, which may be foreign, and the store. Goes out: a document of SPDX 2.3 or of
//! CycloneDX 1.6. It depends on nothing else, neither clock nor host: its time is the artifact's own.
//!
//! The artifact itself encloses only a short bill: digests do not compress, and all that stands here comes out of
//! the artifact.

mod cyclonedx;
mod inventory;
mod spdx;

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    digest::Digest,
    error::Hint,
    formats::{checksum::Checksum, deb822::Fault},
    store::{Store, StoreError},
    tree::Tree,
};

use inventory::Inventory;

/// A form of bills of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// SPDX 2.3, as JSON.
    Spdx,
    /// CycloneDX 1.6, as JSON.
    CycloneDx,
}

impl Form {
    /// Returns the media type of its documents.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Spdx => "application/spdx+json",
            Form::CycloneDx => "application/vnd.cyclonedx+json",
        }
    }
}

/// What a bill is about.
pub struct Subject<'a> {
    /// Its title, where it encloses no recipe that has its name.
    pub title: &'a str,
    /// Its version as people know it.
    pub version: &'a str,
    /// SHA-256 of its file, if it is one.
    pub digest: Option<Digest>,
    /// All that it holds.
    pub tree: &'a Tree,
    /// Where its contents are.
    pub store: &'a Store,
    /// Names the package of a path.
    pub owner: &'a dyn Fn(&[u8]) -> Option<String>,
}

/// Why there is no bill of an artifact.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// dpkg's status in the artifact cannot be parsed.
    #[error("cannot read the status of Debian packages in the artifact")]
    Status(#[source] Fault),
    /// Contents that are not to be had.
    #[error("cannot read /{path} of the artifact")]
    Contents {
        /// The file.
        path: String,
        /// The store's error.
        source: StoreError,
    },
}

impl Hint for BillError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            BillError::Status(_) => None,
            BillError::Contents { source, .. } => source.hint(),
        }
    }
}

/// Returns the bill of an artifact: JSON, a line ended at its end. Equal artifacts have equal bills.
///
/// # Errors
/// [`BillError`].
pub fn bill(form: Form, subject: &Subject<'_>) -> Result<Vec<u8>, BillError> {
    let inventory = Inventory::of(subject)?;
    let mut seed = subject.tree.to_text();
    seed += &subject.digest.map(|digest| digest.to_string()).unwrap_or_default();
    let identity = uuid(&Digest::of(seed.as_bytes()));
    drop(seed);
    let text = match form {
        Form::Spdx => serde_json::to_vec_pretty(&spdx::Document::of(subject, &inventory, &identity)),
        Form::CycloneDx => {
            serde_json::to_vec_pretty(&cyclonedx::Document::of(subject, &inventory, &identity))
        }
    };
    let mut text = text.expect("names of fields are texts");
    text.push(b'\n');
    Ok(text)
}

/// A list of which each element is made when it is written: an artifact may have many small files.
struct Lazily<F>(F);

impl<F, I> Serialize for Lazily<F>
where
    F: Fn() -> I,
    I: IntoIterator,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// Returns a time as RFC 3339 in UTC.
pub(super) fn timestamp(time_s: i64) -> String {
    jiff::Timestamp::from_second(time_s).unwrap_or_default().to_string()
}

/// Returns a digest as a UUID of version 8 (RFC 9562, 5.8).
pub(super) fn uuid(digest: &Digest) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.0[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Returns a checksum as CycloneDX names its algorithm.
pub(super) fn hash(checksum: &Checksum) -> Value {
    let algorithm = match checksum {
        Checksum::Sha256(_) => "SHA-256",
        Checksum::Sha512(_) => "SHA-512",
    };
    json!({ "alg": algorithm, "content": checksum.hex() })
}
