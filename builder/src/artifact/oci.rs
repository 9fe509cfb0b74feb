//! OCI image layouts, as a directory or as a tar of it: what container engines run.
//!
//! ```text
//! oci-layout                {"imageLayoutVersion": "1.0.0"}
//! index.json                the image's manifest, by digest
//! manifest.json             for `docker load` of engines that know no layouts; in a tar only
//! blobs/sha256/DIGEST       manifest, configuration, one layer: a gzipped tar of the tree
//! ```
//!
//! (OCI image format specification 1.1: image-layout, manifest, config, layer.) Written are one image of one
//! layer, times of the package's epoch, and in the layer `/var` with all in it as the grain's user's,
//! since engines copy that to a new volume. Read is any image of one platform: layers of tar,
//! gzip or zstd with whiteouts, and what `docker save` writes.

mod config;
mod layout;
mod read;
mod referrers;
mod remote;
mod write;

pub use config::reference;
pub(super) use layout::Layout;
pub(super) use read::{image_of, lay, layers, read};
pub use referrers::{Referrer, referrers};
pub use remote::{Pushed, RemoteError, Signatures, pull, push, signatures};
pub(super) use write::{parts, write_directory, write_tar};

use serde_json::{Value, json};

use crate::digest::Digest;

/// Media types of what is written.
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG_EMPTY: &str = "application/vnd.oci.empty.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

const LAYOUT_FILE: &str = "oci-layout";
const INDEX_FILE: &str = "index.json";
const DOCKER_FILE: &str = "manifest.json";

/// A blob as others name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Its kind.
    pub media_type: String,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
}

impl Descriptor {
    /// Returns it as JSON.
    fn json(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": name_of(&self.digest), "size": self.size_bytes })
    }

    /// Reads one; `None` if it has not the form of one, or another digest than of SHA-256.
    fn read(value: &Value) -> Option<Self> {
        Some(Descriptor {
            media_type: value["mediaType"].as_str().unwrap_or_default().to_owned(),
            digest: value["digest"].as_str()?.strip_prefix("sha256:")?.parse().ok()?,
            size_bytes: value["size"].as_u64()?,
        })
    }
}

/// Returns a digest as OCI writes it.
fn name_of(digest: &Digest) -> String {
    format!("sha256:{digest}")
}
