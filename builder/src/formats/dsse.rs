//! Signed statements: DSSE envelopes (Dead Simple Signing Envelope, protocol 1.0), signed by Ed25519 keys.
//!
//! ```text
//! {"payload": BASE64, "payloadType": TEXT, "signatures": [{"keyid": TEXT, "sig": BASE64}]}
//! sig = Ed25519("DSSEv1" SP length SP payloadType SP length SP payload)      lengths in decimal
//! ```
//!
//! Base64 may be standard or URL-safe, as the specification has it. `keyid` is no more than a hint: a
//! signature is tried with the keys that a reader trusts. Ours is the key's own name, as app ids are written.
//! Unknown fields are passed over; a field that is there twice is refused.

use ed25519_dalek::{Signature as Ed25519, VerifyingKey};
use serde_json::{Value, json};

use super::{app_id::AppId, base64, json as strict, key_file::Key};

/// The type of in-toto's payloads (in-toto attestation framework, "Envelope").
pub const IN_TOTO_PAYLOAD: &str = "application/vnd.in-toto+json";

/// The `_type` of in-toto's statements.
pub const IN_TOTO_STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The longest envelope that is read. One with the materials of WordPress takes 0.1 MB.
pub const MAX_BYTES: u64 = 4 << 20;

/// More signatures are not looked at.
const MOST_SIGNATURES: usize = 64;

/// An envelope that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    /// Longer than any is.
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// No JSON, or JSON that can be read in two ways.
    #[error("it is not JSON that can be read in one way only")]
    Json(#[source] serde_json::Error),
    /// A field that is missing or of another type.
    #[error("`{0}` is missing, or is not what an envelope has there")]
    Field(&'static str),
    /// A field that is not base64.
    #[error("`{0}` is not base64")]
    Base64(&'static str),
    /// More signatures than are looked at.
    #[error("it has more than {MOST_SIGNATURES} signatures")]
    TooMany,
}

/// An envelope. Nothing in it is to be believed before a trusted key is found to have signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// How the payload is to be read.
    pub payload_type: String,
    /// What is signed.
    pub payload: Vec<u8>,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    keyid: String,
    bytes: Vec<u8>,
}

/// Returns the bytes that are signed ("pre-authentication encoding").
pub fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Returns an envelope as text, signed by one key.
pub fn sign(key: &Key, payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let signature = key.sign(&signed_bytes(payload_type, payload));
    let envelope = json!({
        "payload": base64::encode(payload),
        "payloadType": payload_type,
        "signatures": [ { "keyid": key.app_id(), "sig": base64::encode(&signature) } ],
    });
    format!("{envelope:#}\n").into_bytes()
}

impl Envelope {
    /// Reads an envelope. No signature is checked yet.
    ///
    /// # Errors
    /// [`DsseError`].
    pub fn read(bytes: &[u8]) -> Result<Self, DsseError> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(DsseError::TooLong);
        }
        Self::of(&strict::read(bytes).map_err(DsseError::Json)?)
    }

    /// Takes an envelope out of a document that was read as [`read`](Self::read) does.
    ///
    /// # Errors
    /// [`DsseError`].
    pub fn of(read: &Value) -> Result<Self, DsseError> {
        let signatures = read.get("signatures").and_then(Value::as_array);
        let signatures = signatures.ok_or(DsseError::Field("signatures"))?;
        if signatures.len() > MOST_SIGNATURES {
            return Err(DsseError::TooMany);
        }
        let payload_type = text(read, "payloadType")?.to_owned();
        let signatures = signatures.iter().map(|signature| {
            let keyid = match signature.get("keyid") {
                None => "",
                Some(keyid) => keyid.as_str().ok_or(DsseError::Field("keyid"))?,
            };
            Ok(Signature { keyid: keyid.to_owned(), bytes: decoded(signature, "sig")? })
        });
        let signatures = signatures.collect::<Result<_, _>>()?;
        Ok(Envelope { payload_type, payload: decoded(read, "payload")?, signatures })
    }

    /// Returns whether a key signed it.
    pub fn is_signed_by(&self, key: &AppId) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&key.0) else { return false };
        let signed = signed_bytes(&self.payload_type, &self.payload);
        let holds = |signature: &Signature| {
            Ed25519::from_slice(&signature.bytes).is_ok_and(|held| key.verify_strict(&signed, &held).is_ok())
        };
        self.signatures.iter().any(holds)
    }

    /// Returns the names of the keys that are said to have signed it; anybody can write them.
    pub fn claimed(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().map(|signature| &signature.keyid[..])
    }
}

fn text<'a>(object: &'a Value, name: &'static str) -> Result<&'a str, DsseError> {
    object.get(name).and_then(Value::as_str).ok_or(DsseError::Field(name))
}

fn decoded(object: &Value, name: &'static str) -> Result<Vec<u8>, DsseError> {
    let text = text(object, name)?;
    base64::decode(text).or_else(|| base64::decode_url_safe(text)).ok_or(DsseError::Base64(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::from_seed([7; 32])
    }

    fn envelope(fields: &str) -> String {
        let signed = String::from_utf8(sign(&key(), "text/x", b"tea?>")).expect("text");
        signed.replacen('{', &format!("{{{fields}"), 1)
    }

    /// The first is the example of the specification (protocol.md, "Test Vectors").
    #[test]
    fn what_is_signed_is_as_the_specification_has_it() {
        let rows: [(&str, &[u8], &[u8]); 3] = [
            (
                "http://example.com/HelloWorld",
                b"hello world",
                b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
            ),
            ("", b"", b"DSSEv1 0  0 "),
            ("\u{e9}", b" \0", b"DSSEv1 2 \xc3\xa9 2  \0"),
        ];
        for (payload_type, payload, expected) in rows {
            assert_eq!(signed_bytes(payload_type, payload), expected);
        }
    }

    #[test]
    fn the_envelope_of_the_specification_is_read() {
        let text = br#"{"payload": "aGVsbG8gd29ybGQ=", "payloadType": "http://example.com/HelloWorld",
            "signatures": [{"sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}"#;
        let read = Envelope::read(text).expect("is read");
        assert_eq!(
            (&read.payload_type[..], &read.payload[..]),
            ("http://example.com/HelloWorld", &b"hello world"[..])
        );
        // It is signed with ECDSA, so no key of ours signed it.
        assert!(!read.is_signed_by(&key().app_id()));
    }

    #[test]
    fn a_signature_holds_for_its_key_type_and_payload_alone() {
        let signed = envelope("");
        let read = Envelope::read(signed.as_bytes()).expect("is read");
        assert_eq!((&read.payload_type[..], &read.payload[..]), ("text/x", &b"tea?>"[..]));
        assert_eq!(read.claimed().collect::<Vec<_>>(), [key().app_id().to_string()]);
        assert!(read.is_signed_by(&key().app_id()));
        assert!(!read.is_signed_by(&Key::from_seed([8; 32]).app_id()));
        assert!(!read.is_signed_by(&AppId([0; 32])));
        for (from, to) in [("text/x", "text/y"), ("dGVhPz4=", "dGVhPz8="), (r#""sig": ""#, r#""sig": "AA"#)] {
            let changed = signed.replace(from, to);
            assert_ne!(changed, signed);
            let holds =
                Envelope::read(changed.as_bytes()).is_ok_and(|read| read.is_signed_by(&key().app_id()));
            assert!(!holds, "{changed}");
        }
        let url_safe = signed.replace('+', "-").replace('/', "_").replace("text_x", "text/x");
        assert_ne!(url_safe, signed);
        assert!(Envelope::read(url_safe.as_bytes()).expect("is read").is_signed_by(&key().app_id()));
        Envelope::read(envelope(r#""more": {},"#).as_bytes()).expect("unknown fields are passed over");
    }

    #[test]
    fn what_can_be_read_in_two_ways_or_not_at_all_is_refused() {
        let twice = "it is not JSON that can be read in one way only";
        let many = vec![r#"{"sig":""}"#; 65].join(",");
        let rows = [
            (envelope(r#""payloadType": "text/y","#), twice),
            (envelope(r#""payload": "","#), twice),
            (envelope("").replace(r#""sig""#, r#""sig": "", "sig""#), twice),
            ("[]".into(), "`signatures` is missing, or is not what an envelope has there"),
            (r#"{"signatures":[]}"#.into(), "`payloadType` is missing, or is not what an envelope has there"),
            (
                r#"{"signatures":[],"payloadType":[]}"#.into(),
                "`payloadType` is missing, or is not what an envelope has there",
            ),
            (r#"{"signatures":[],"payloadType":"","payload":"Zg"}"#.into(), "`payload` is not base64"),
            (r#"{"signatures":[],"payloadType":"","payload":"+_=="}"#.into(), "`payload` is not base64"),
            (r#"{"payloadType":"","signatures":[{"sig":"?"}]}"#.into(), "`sig` is not base64"),
            (
                r#"{"payloadType":"","signatures":[{"sig":"","keyid":1}]}"#.into(),
                "`keyid` is missing, or is not what an envelope has there",
            ),
            (format!(r#"{{"signatures":[{many}]}}"#), "it has more than 64 signatures"),
            (" ".repeat(MAX_BYTES as usize + 1), "it is longer than 4194304 bytes"),
        ];
        for (text, expected) in rows {
            let start: String = text.chars().take(80).collect();
            let error = Envelope::read(text.as_bytes()).expect_err(&start);
            assert_eq!(error.to_string(), expected, "{start}");
        }
    }
}
