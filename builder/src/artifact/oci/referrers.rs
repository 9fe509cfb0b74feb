//! What is pushed beside an image and refers to it: bills of materials, provenance, signatures.
//!
//! ```text
//! application/spdx+json                               SPDX 2.3
//! application/vnd.cyclonedx+json                      CycloneDX 1.6
//! application/vnd.in-toto+json                        provenance.json of the papers, where there is no key
//! application/vnd.dev.sigstore.bundle.v0.3+json       with the app's key: the signature, and the provenance
//! ```
//!
//! Each is a manifest with an empty configuration, one layer and the image as its subject (OCI image
//! specification 1.1, "Guidelines for Artifact Usage"). Their bytes depend on the package and the key alone.

use serde_json::{Value, json};

use super::{CONFIG_EMPTY, Descriptor, MANIFEST_TYPE, config::descriptor};
use crate::{
    artifact::{Artifact, Papers},
    digest::Digest,
    formats::{
        dsse::IN_TOTO_PAYLOAD,
        key_file::Key,
        sigstore::{self, BUNDLE_TYPE, SIGN_PREDICATE},
    },
    layout,
    papers::{
        self,
        bill::{self, BillError, Form, Subject},
    },
    store::Store,
};

/// The contents of an empty configuration.
pub(super) const EMPTY: &[u8] = b"{}";

/// A document about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its kind: the media type of its document.
    pub artifact_type: &'static str,
    /// The document.
    pub bytes: Vec<u8>,
    /// What lists say of it.
    pub(super) annotations: Value,
}

impl Referrer {
    fn new(artifact_type: &'static str, bytes: Vec<u8>, created: &str) -> Self {
        let annotations = json!({ "org.opencontainers.image.created": created });
        Referrer { artifact_type, bytes, annotations }
    }

    /// One with a signed statement (cosign's specs/BUNDLE_SPEC.md, "Annotations").
    fn bundle(bytes: Vec<u8>, predicate_type: &str, created: &str) -> Self {
        let annotations = json!({
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate_type,
            "org.opencontainers.image.created": created,
        });
        Referrer { artifact_type: BUNDLE_TYPE, bytes, annotations }
    }

    /// Returns the document as a layer.
    pub(super) fn layer(&self) -> Descriptor {
        descriptor(self.artifact_type, &self.bytes)
    }

    /// Returns the manifest that refers to an image.
    pub(super) fn manifest(&self, image: &Descriptor) -> Vec<u8> {
        let mut layer = self.layer().json();
        let ending = match self.artifact_type {
            BUNDLE_TYPE => "sigstore.json",
            "application/spdx+json" => "spdx.json",
            "application/vnd.cyclonedx+json" => "cdx.json",
            _ => "intoto.json",
        };
        let name = format!("sha256-{}.{ending}", Digest::of(&self.bytes));
        layer["annotations"] = json!({ "org.opencontainers.image.title": name });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": self.artifact_type,
            "config": descriptor(CONFIG_EMPTY, EMPTY).json(),
            "layers": [layer],
            "subject": image.json(),
            "annotations": self.annotations,
        });
        manifest.to_string().into_bytes()
    }

    /// Returns how a list names it.
    pub(super) fn listed(&self, manifest: &[u8]) -> Value {
        let mut listed = descriptor(MANIFEST_TYPE, manifest).json();
        listed["artifactType"] = self.artifact_type.into();
        listed["annotations"] = self.annotations.clone();
        listed
    }
}

/// Returns all documents about the image of a package. With the app's key it is signed.
///
/// # Errors
/// [`BillError`]: a package whose list of packages, or whose contents, cannot be read.
pub fn referrers(
    artifact: &Artifact,
    image: &Digest,
    key: Option<&Key>,
    store: &Store,
) -> Result<Vec<Referrer>, BillError> {
    let owners = Papers::read(&artifact.tree, store);
    let init = layout::INIT.trim_start_matches('/');
    let epoch_s = artifact.tree.get(init.as_bytes()).map_or(0, |entry| entry.mtime_s);
    let created = jiff::Timestamp::from_second(epoch_s).unwrap_or_default().to_string();
    let mut out = Vec::new();
    for form in [Form::Spdx, Form::CycloneDx] {
        let subject = Subject {
            title: artifact.title(),
            version: artifact.version(),
            digest: Some(*image),
            tree: &artifact.tree,
            store,
            owner: &|path| owners.owner(path).map(str::to_owned),
        };
        out.push(Referrer::new(form.media_type(), bill::bill(form, &subject)?, &created));
    }
    let provenance = papers::provenance_paper(&artifact.tree, store);
    match (provenance, key) {
        (Some((bytes, _)), None) => out.push(Referrer::new(IN_TOTO_PAYLOAD, bytes, &created)),
        (Some((_, statement)), Some(key)) => {
            let predicate_type = statement["predicateType"].as_str().unwrap_or_default();
            let bytes = sigstore::attest(key, image, predicate_type, &statement["predicate"]);
            out.push(Referrer::bundle(bytes, predicate_type, &created));
        }
        (None, _) => {}
    }
    if let Some(key) = key {
        out.push(Referrer::bundle(sigstore::sign(key, image), SIGN_PREDICATE, &created));
    }
    Ok(out)
}
