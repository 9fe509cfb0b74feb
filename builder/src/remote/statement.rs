//! What a writer states of an entry: an in-toto statement in a DSSE envelope.
//!
//! ```text
//! _type           https://in-toto.io/Statement/v1
//! subject         KIND/KEY, and the SHA-256 of the entry's file
//! predicateType   urn:tinyroot:cache-entry:1
//! predicate       size_bytes       of the file, as it is sent
//!                 plain_bytes      of what it decompresses to
//!                 tool             name, version
//! ```

use serde_json::{Value, json};

use crate::{
    digest::Digest,
    formats::{
        app_id::AppId,
        deb,
        dsse::{self, DsseError, Envelope},
        json,
        key_file::Key,
    },
    shown,
};

const PREDICATE_TYPE: &str = "urn:tinyroot:cache-entry:1";

/// The longest statement that is read; one takes 1 KB.
pub const MAX_BYTES: u64 = 64 << 10;

/// The longest entry, as it is sent and decompressed: one .deb, uncompressed, and its list of contents.
pub const MAX_ENTRY_BYTES: u64 = deb::MEMBER_BYTES_MAX;

/// What is stated of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The SHA-256 of its file.
    pub digest: Digest,
    /// The length of its file.
    pub size_bytes: u64,
    /// The length of what that decompresses to.
    pub plain_bytes: u64,
}

/// Why a statement does not count.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// No envelope.
    #[error("it is not a DSSE envelope")]
    Envelope(#[from] DsseError),
    /// Signed by another, or by nobody.
    #[error("the key {key} did not sign it{}", if claimed.is_empty() { String::new() } else { format!(", as it says of {claimed}") })]
    Signature {
        /// Whose signature is wanted.
        key: AppId,
        /// Whose it is said to be.
        claimed: String,
    },
    /// An envelope around something else.
    #[error("what it signs is no statement of a cache's entry")]
    Kind,
    /// A statement about another entry.
    #[error("it is a statement about another entry: {0}")]
    Other(String),
    /// A statement that lacks something.
    #[error("its `{0}` is missing, or is not what a statement has there")]
    Field(&'static str),
    /// An entry that is too long.
    #[error("its entry is longer than any may be: {0} bytes")]
    Length(u64),
}

impl Statement {
    /// Returns the statement of an entry as an envelope that a key signed.
    pub fn sign(&self, name: &str, key: &Key) -> Vec<u8> {
        let statement = json!({
            "_type": dsse::IN_TOTO_STATEMENT,
            "subject": [ { "name": name, "digest": { "sha256": self.digest } } ],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "size_bytes": self.size_bytes,
                "plain_bytes": self.plain_bytes,
                "tool": { "name": "tinyroot", "version": env!("CARGO_PKG_VERSION") },
            },
        });
        dsse::sign(key, dsse::IN_TOTO_PAYLOAD, statement.to_string().as_bytes())
    }

    /// Reads the statement of an entry, which a key must have signed. Nothing else of it is looked at before.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn read(bytes: &[u8], name: &str, key: &AppId) -> Result<Self, StatementError> {
        let envelope = Envelope::read(bytes)?;
        if !envelope.is_signed_by(key) {
            let claimed: Vec<String> = envelope.claimed().take(4).map(shown::name).collect();
            let claimed = claimed.into_iter().filter(|name| *name != key.to_string());
            return Err(StatementError::Signature {
                key: *key,
                claimed: claimed.collect::<Vec<_>>().join(", "),
            });
        }
        let statement = Some(&envelope.payload).filter(|_| envelope.payload_type == dsse::IN_TOTO_PAYLOAD);
        let statement = statement.and_then(|payload| json::read(payload).ok()).ok_or(StatementError::Kind)?;
        let is = |field: &str, text: &str| statement[field] == text;
        if !is("_type", dsse::IN_TOTO_STATEMENT) || !is("predicateType", PREDICATE_TYPE) {
            return Err(StatementError::Kind);
        }
        let subject = statement["subject"].as_array().map(|subjects| &subjects[..]);
        let Some([subject]) = subject else { return Err(StatementError::Field("subject")) };
        let found = subject["name"].as_str().unwrap_or_default();
        if found != name {
            return Err(StatementError::Other(shown::name(found)));
        }
        let digest = subject["digest"]["sha256"].as_str().and_then(|hex| hex.parse().ok());
        let length = |field: &'static str| {
            let bytes = statement["predicate"].get(field).and_then(Value::as_u64);
            match bytes.ok_or(StatementError::Field(field))? {
                bytes @ ..=MAX_ENTRY_BYTES => Ok(bytes),
                bytes => Err(StatementError::Length(bytes)),
            }
        };
        Ok(Statement {
            digest: digest.ok_or(StatementError::Field("subject.digest"))?,
            size_bytes: length("size_bytes")?,
            plain_bytes: length("plain_bytes")?,
        })
    }
}

/// The statement of an entry, as a function that takes anything.
#[cfg(feature = "testing")]
pub(super) fn read_anything(bytes: &[u8]) {
    let key = Key::from_seed([7; 32]);
    // The same as a statement that the key signed.
    for bytes in [bytes, &dsse::sign(&key, dsse::IN_TOTO_PAYLOAD, bytes)] {
        if let Ok(read) = Statement::read(bytes, "deb/x", &key.app_id()) {
            assert!(read.size_bytes.max(read.plain_bytes) <= MAX_ENTRY_BYTES);
            let again = read.sign("deb/x", &key);
            assert_eq!(Statement::read(&again, "deb/x", &key.app_id()).ok(), Some(read));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::from_seed([7; 32])
    }

    fn statement() -> Statement {
        Statement { digest: Digest::of(b"tea"), size_bytes: 3, plain_bytes: 5 }
    }

    fn signed(payload_type: &str, change: (&str, &str)) -> Vec<u8> {
        let envelope = Envelope::read(&statement().sign("deb/tea", &key())).expect("is read");
        let text = String::from_utf8(envelope.payload).expect("is text");
        let changed = text.replace(change.0, change.1);
        assert_eq!(changed == text, change.0.is_empty(), "{change:?}");
        dsse::sign(&key(), payload_type, changed.as_bytes())
    }

    #[test]
    fn a_statement_is_of_one_entry_and_one_key() {
        let bytes = statement().sign("deb/tea", &key());
        assert_eq!(Statement::read(&bytes, "deb/tea", &key().app_id()).expect("is read"), statement());
        let other = Key::from_seed([8; 32]);
        let error =
            Statement::read(&bytes, "deb/tea", &other.app_id()).expect_err("is another's").to_string();
        let expected =
            format!("the key {} did not sign it, as it says of {}", other.app_id(), key().app_id());
        assert_eq!(error, expected);
        let error = Statement::read(&bytes, "deb/\u{1b}[2J", &key().app_id()).expect_err("is another");
        assert_eq!(error.to_string(), "it is a statement about another entry: deb/tea");
    }

    #[test]
    fn what_is_signed_for_something_else_is_refused() {
        let rows = [
            ("text/plain", ("", ""), "what it signs is no statement of a cache's entry"),
            (
                dsse::IN_TOTO_PAYLOAD,
                (PREDICATE_TYPE, "urn:tinyroot:rebuild:1"),
                "what it signs is no statement of a cache's entry",
            ),
            (
                dsse::IN_TOTO_PAYLOAD,
                ("\"size_bytes\":3", "\"size_bytes\":-3"),
                "its `size_bytes` is missing, or is not what a statement has there",
            ),
            (
                dsse::IN_TOTO_PAYLOAD,
                ("\"plain_bytes\":5", "\"plain_bytes\":10000000000"),
                "its entry is longer than any may be: 10000000000 bytes",
            ),
            (
                dsse::IN_TOTO_PAYLOAD,
                ("sha256", "sha512"),
                "its `subject.digest` is missing, or is not what a statement has there",
            ),
            (
                dsse::IN_TOTO_PAYLOAD,
                ("\"subject\":[", "\"subject\":[{},"),
                "its `subject` is missing, or is not what a statement has there",
            ),
            (
                dsse::IN_TOTO_PAYLOAD,
                ("\"subject\":", "\"subject\":[],\"subject\":"),
                "what it signs is no statement of a cache's entry",
            ),
        ];
        for (payload_type, change, expected) in rows {
            let signed = signed(payload_type, change);
            let error = Statement::read(&signed, "deb/tea", &key().app_id()).expect_err(expected);
            assert_eq!(error.to_string(), expected);
        }
        assert!(Statement::read(b"{}", "deb/tea", &key().app_id()).is_err());
    }
}
