//! Signatures of images as cosign and other tools of sigstore keep them: a bundle, version 0.3, around a
//! statement of in-toto in a DSSE envelope.
//!
//! ```text
//! {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
//!  "verificationMaterial": {"publicKey": {"hint": HINT}, "tlogEntries": []},
//!  "dsseEnvelope": {"payload": BASE64, "payloadType": TEXT, "signatures": [{"sig": BASE64}]}}
//! HINT = base64 of the SHA-256 of the public key's SubjectPublicKeyInfo, in DER
//! ```
//!
//! The statement's subject is the image, by the digest of its manifest. (sigstore's protobuf-specs,
//! sigstore_bundle.proto; cosign's specs/BUNDLE_SPEC.md and pkg/cosign/bundle/protobundle.go for the hint.)
//! There is no certificate, and no entry of a transparency log: the key is one that the reader knows.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    app_id::AppId,
    base64,
    dsse::{self, DsseError, Envelope},
    json as strict,
    key_file::Key,
};
use crate::{digest::Digest, error::Hint, shown};

/// The media type of bundles, and the artifact type of manifests that refer to an image with one.
pub const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// How the media types of all versions of bundles begin.
const BUNDLE_TYPES: &str = "application/vnd.dev.sigstore.bundle";

/// What a statement says that signs an image (cosign 3).
pub const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, section 4).
const KEY_INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A bundle that does not sign an image.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// No JSON, or JSON that can be read in two ways.
    #[error("it is not JSON that can be read in one way only")]
    Json(#[source] serde_json::Error),
    /// Another document.
    #[error("it is not a bundle of sigstore: its mediaType is `{}`", shown::name(.0))]
    MediaType(String),
    /// No envelope.
    #[error("it has no DSSE envelope")]
    Envelope(#[from] DsseError),
    /// An envelope around something else, or a statement of another kind.
    #[error("its `{name}` is `{}`, not `{expected}`", shown::name(found))]
    Other {
        /// The field.
        name: &'static str,
        /// Its value.
        found: String,
        /// The value that it must have.
        expected: &'static str,
    },
    /// The key that is named did not sign it.
    #[error("the signature of {0} does not hold")]
    Forged(AppId),
    /// It is about another image.
    #[error("it is about another image: {}", shown::name(.0))]
    Subject(String),
}

impl Hint for BundleError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        None
    }
}

/// Returns a key's SubjectPublicKeyInfo, in DER.
fn key_info(key: &AppId) -> Vec<u8> {
    [&KEY_INFO[..], &key.0].concat()
}

/// Returns a key as PEM, as cosign and openssl read it.
pub fn to_pem(key: &AppId) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64::encode(&key_info(key)))
}

/// Returns the text by which bundles name a key.
pub fn hint(key: &AppId) -> String {
    base64::encode(&Digest::of(&key_info(key)).0)
}

/// Returns a bundle that signs an image.
pub fn sign(key: &Key, image: &Digest) -> Vec<u8> {
    attest(key, image, SIGN_PREDICATE, &json!({}))
}

/// Returns a bundle that states something of an image, signed by a key.
pub fn attest(key: &Key, image: &Digest, predicate_type: &str, predicate: &Value) -> Vec<u8> {
    let statement = json!({
        "_type": dsse::IN_TOTO_STATEMENT,
        "subject": [ { "digest": { "sha256": image } } ],
        "predicateType": predicate_type,
        "predicate": predicate,
    });
    let payload = statement.to_string();
    let signature = key.sign(&dsse::signed_bytes(dsse::IN_TOTO_PAYLOAD, payload.as_bytes()));
    let bundle = json!({
        "mediaType": BUNDLE_TYPE,
        // Some readers want the empty list to be there.
        "verificationMaterial": { "publicKey": { "hint": hint(&key.app_id()) }, "tlogEntries": [] },
        "dsseEnvelope": {
            "payload": base64::encode(payload.as_bytes()),
            "payloadType": dsse::IN_TOTO_PAYLOAD,
            "signatures": [ { "sig": base64::encode(&signature) } ],
        },
    });
    bundle.to_string().into_bytes()
}

/// A bundle. Nothing in it is to be believed before it was checked.
#[derive(Clone, Debug)]
pub struct Bundle(Value);

impl Bundle {
    /// Reads a bundle of any version.
    ///
    /// # Errors
    /// What is none.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let read = strict::read(bytes).map_err(BundleError::Json)?;
        let media_type = read.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        match media_type.starts_with(BUNDLE_TYPES) {
            true => Ok(Bundle(read)),
            false => Err(BundleError::MediaType(media_type.into())),
        }
    }

    /// Returns whether it says that a key signed it.
    pub fn names(&self, key: &AppId) -> bool {
        let named = self.0.pointer("/verificationMaterial/publicKey/hint").and_then(Value::as_str);
        named == Some(&hint(key))
    }

    /// Checks that a key signed a statement about an image; returns its predicate's type.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn check(&self, key: &AppId, image: &Digest) -> Result<String, BundleError> {
        let media_type = self.0.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        is("mediaType", media_type, BUNDLE_TYPE)?;
        let none = Value::Null;
        let envelope = Envelope::of(self.0.get("dsseEnvelope").unwrap_or(&none))?;
        is("payloadType", &envelope.payload_type, dsse::IN_TOTO_PAYLOAD)?;
        if !envelope.is_signed_by(key) {
            return Err(BundleError::Forged(*key));
        }
        let statement = strict::read(&envelope.payload).map_err(BundleError::Json)?;
        let text = |name: &str| statement.get(name).and_then(Value::as_str).unwrap_or_default();
        is("_type", text("_type"), dsse::IN_TOTO_STATEMENT)?;
        let subjects = statement.get("subject").and_then(Value::as_array);
        let subjects = subjects.map(Vec::as_slice).unwrap_or_default();
        let digests =
            subjects.iter().map(|subject| subject.pointer("/digest/sha256").and_then(Value::as_str));
        match digests.collect::<Vec<_>>()[..] {
            [Some(digest)] if digest == image.to_string() => Ok(text("predicateType").to_owned()),
            [Some(digest)] => Err(BundleError::Subject(format!("sha256:{digest}"))),
            _ => Err(BundleError::Subject("it has not one subject with a SHA-256".into())),
        }
    }
}

fn is(name: &'static str, found: &str, expected: &'static str) -> Result<(), BundleError> {
    match found == expected {
        true => Ok(()),
        false => Err(BundleError::Other { name, found: found.into(), expected }),
    }
}

/// Reads a bundle, whatever it is, as one who trusts a key.
#[cfg(feature = "testing")]
pub(crate) fn read_anything(bytes: &[u8]) {
    let key = Key::from_seed([7; 32]);
    let Ok(bundle) = Bundle::read(bytes) else { return };
    let _ = bundle.names(&key.app_id());
    let _ = bundle.check(&key.app_id(), &Digest::of(b""));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8410, section 10.1, and what openssl says of it.
    #[test]
    fn a_key_is_named_as_sigstore_names_it() {
        let key = AppId([
            0x19, 0xbf, 0x44, 0x09, 0x69, 0x84, 0xcd, 0xfe, 0x85, 0x41, 0xba, 0xc1, 0x67, 0xdc, 0x3b, 0x96,
            0xc8, 0x50, 0x86, 0xaa, 0x30, 0xb6, 0xb6, 0xcb, 0x0c, 0x5c, 0x38, 0xad, 0x70, 0x31, 0x66, 0xe1,
        ]);
        assert_eq!(
            to_pem(&key),
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
        );
        assert_eq!(hint(&key), "oekVYFTgT6yJmunydRMs3Ael28TqLCrTof/G4NJTaB8=");
    }

    #[test]
    fn a_bundle_signs_one_image_with_one_key() {
        let (key, image) = (Key::from_seed([7; 32]), Digest::of(b"image"));
        let bytes = sign(&key, &image);
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert!(text.starts_with(
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":""#
        ));
        assert_eq!(sign(&key, &image), bytes);
        let bundle = Bundle::read(&bytes).expect("reads");
        assert!(bundle.names(&key.app_id()) && !bundle.names(&AppId([0; 32])));
        assert_eq!(bundle.check(&key.app_id(), &image).expect("holds"), SIGN_PREDICATE);
        let other = bundle.check(&key.app_id(), &Digest::of(b"other")).expect_err("is of another");
        assert_eq!(other.to_string(), format!("it is about another image: sha256:{image}"));
        let other = Key::from_seed([8; 32]).app_id();
        let forged = bundle.check(&other, &image).expect_err("is of another key");
        assert_eq!(forged.to_string(), format!("the signature of {other} does not hold"));
        let attested =
            Bundle::read(&attest(&key, &image, "https://example.org/x", &json!({}))).expect("reads");
        assert_eq!(attested.check(&key.app_id(), &image).expect("holds"), "https://example.org/x");
    }

    #[test]
    fn what_is_changed_does_not_hold() {
        let (key, image) = (Key::from_seed([7; 32]), Digest::of(b"image"));
        let text = String::from_utf8(sign(&key, &image)).expect("text");
        let rows = [
            (
                ".v0.3+json",
                ".v0.2+json",
                "its `mediaType` is `application/vnd.dev.sigstore.bundle.v0.2+json`, not",
            ),
            ("vnd.in-toto+json", "vnd.other+json", "its `payloadType` is `application/vnd.other+json`, not"),
            ("dsseEnvelope", "messageSignature", "it has no DSSE envelope"),
            (r#""payload":"ey"#, r#""payload":"fy"#, "does not hold"),
            (r#""sig":""#, r#""sig":"AAAA"#, "does not hold"),
        ];
        for (from, to, expected) in rows {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            let bundle = Bundle::read(changed.as_bytes()).expect("reads");
            let error = bundle.check(&key.app_id(), &image).expect_err(from).to_string();
            assert!(error.contains(expected), "{error}");
        }
        for (bad, expected) in [
            ("[]", "it is not a bundle of sigstore: its mediaType is ``"),
            ("{\"mediaType\":1,\"mediaType\":1}", "it is not JSON that can be read in one way only"),
        ] {
            assert_eq!(Bundle::read(bad.as_bytes()).expect_err(bad).to_string(), expected);
        }
    }
}
