//! Attestations of rebuilds: the signed word of somebody who made a package again and got the same bytes.
//!
//! Comes in: a package's digest and what is known of its rebuild; or envelopes from anywhere, and the keys
//! that a reader trusts. Goes out: an in-toto statement in a DSSE envelope; or those of the trusted keys that
//! attest the package. Pure: no clock, no file.
//!
//! ```text
//! _type           https://in-toto.io/Statement/v1
//! subject         the package's file name and SHA-256
//! predicateType   urn:tinyroot:rebuild:1
//! predicate       result           "same": no other is attested
//!                 proof            "repeated", "not_repeated" or "none"
//!                 tool             name, version
//!                 materials        as provenance.json in the package has them
//!                 host             in what surroundings it was made: none of it may change a byte
//! ```

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::{Value, json};

use crate::{
    digest::Digest,
    error::{Hint, PathError},
    formats::{
        app_id::AppId,
        dsse::{self, DsseError, Envelope},
        json,
        key_file::Key,
    },
    shown,
};

const PREDICATE_TYPE: &str = "urn:tinyroot:rebuild:1";

/// What somebody states of a rebuild that gave the same bytes.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// The package's file name.
    pub name: &'a str,
    /// Its SHA-256.
    pub digest: Digest,
    /// What was done about its proof, in a word.
    pub proof: &'a str,
    /// The version of tinyroot that made it again.
    pub version: &'a str,
    /// All that it was made of.
    pub materials: &'a [Value],
    /// The surroundings, by name.
    pub host: &'a BTreeMap<&'static str, String>,
}

impl Statement<'_> {
    /// Returns the statement as an envelope that a key signed.
    pub fn sign(&self, key: &Key) -> Vec<u8> {
        let statement = json!({
            "_type": dsse::IN_TOTO_STATEMENT,
            "subject": [ { "name": self.name, "digest": { "sha256": self.digest } } ],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "result": "same",
                "proof": self.proof,
                "tool": { "name": "tinyroot", "version": self.version },
                "materials": self.materials,
                "host": self.host,
            },
        });
        dsse::sign(key, dsse::IN_TOTO_PAYLOAD, statement.to_string().as_bytes())
    }
}

/// An attestation that does not count.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// A file that cannot be read.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file that is none.
    #[error("{} is refused as an attestation", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Fault,
    },
    /// Keys are wanted, and none is trusted.
    #[error("no rebuilder is trusted, and anybody can make keys and attest with them")]
    NoneTrusted {
        /// The keys that are said to have signed.
        claimed: BTreeSet<String>,
    },
    /// More rebuilders are wanted than are trusted.
    #[error("{threshold} rebuilders are wanted, and {trusted} can be counted")]
    Unreachable {
        /// As many are wanted.
        threshold: usize,
        /// As many are trusted.
        trusted: usize,
    },
    /// Too few attest the package.
    #[error("{} of the {threshold} rebuilders that are wanted attest the package", found.len())]
    TooFew {
        /// Those that do.
        found: BTreeSet<AppId>,
        /// As many are wanted.
        threshold: usize,
        /// The keys that are said to have signed.
        claimed: BTreeSet<String>,
    },
}

impl Hint for AttestationError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            AttestationError::Io(error) => error.hint(),
            AttestationError::Refused { .. } => None,
            AttestationError::NoneTrusted { claimed } => {
                let keys = "name the keys of rebuilders whom you know with --rebuilder KEYID";
                Some(format!("{keys}; {}", said(claimed)).into())
            }
            AttestationError::Unreachable { .. } => {
                Some("name further rebuilders with --rebuilder KEYID, or lower --threshold".into())
            }
            AttestationError::TooFew { claimed, .. } => Some(said(claimed).into()),
        }
    }
}

fn said(claimed: &BTreeSet<String>) -> String {
    let names: Vec<String> = claimed.iter().take(8).map(|name| shown::name(name)).collect();
    match names.is_empty() {
        true => "the files name no key".into(),
        false => format!("the files say that they are signed by {}", names.join(", ")),
    }
}

/// Why a file is not an attestation of the package.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No envelope.
    #[error("it is not a DSSE envelope")]
    Envelope(#[from] DsseError),
    /// An envelope around something else.
    #[error("its payload is of type `{}`, not {}", shown::name(.0), dsse::IN_TOTO_PAYLOAD)]
    PayloadType(String),
    /// A trusted key signed something that cannot be read.
    #[error("its statement is not JSON that can be read in one way only")]
    Json(#[source] serde_json::Error),
    /// A statement of another kind.
    #[error("its `{name}` is `{}`, not `{expected}`", shown::name(found))]
    Other {
        /// The field.
        name: &'static str,
        /// Its value.
        found: String,
        /// The value it must have.
        expected: &'static str,
    },
    /// A statement about another package.
    #[error("it is about another package: {}", shown::name(.0))]
    Subject(String),
    /// It says that a trusted key signed it, and that key did not.
    #[error("the signature of {0} does not hold")]
    Forged(AppId),
}

/// Returns which of the trusted keys attest a package; at least as many as are wanted.
///
/// Each key counts once. The signature is checked first: what no trusted key signed is not read further, and
/// does not count. What a trusted key is said to have signed, or signed, must be sound, or all is refused.
///
/// # Errors
/// [`AttestationError`].
pub fn count(
    files: &[(PathBuf, Vec<u8>)],
    package: &Digest,
    trusted: &BTreeSet<AppId>,
    threshold: usize,
) -> Result<BTreeSet<AppId>, AttestationError> {
    let (mut claimed, mut found) = (BTreeSet::new(), BTreeSet::new());
    for (path, bytes) in files {
        let signers = read(bytes, package, trusted, &mut claimed);
        let refused = |source| AttestationError::Refused { path: path.clone(), source };
        found.extend(signers.map_err(refused)?);
    }
    if trusted.is_empty() {
        return Err(AttestationError::NoneTrusted { claimed });
    }
    if trusted.len() < threshold {
        return Err(AttestationError::Unreachable { threshold, trusted: trusted.len() });
    }
    match found.len() < threshold {
        true => Err(AttestationError::TooFew { found, threshold, claimed }),
        false => Ok(found),
    }
}

/// Returns the trusted keys that signed an envelope about a package.
fn read(
    bytes: &[u8],
    package: &Digest,
    trusted: &BTreeSet<AppId>,
    claimed: &mut BTreeSet<String>,
) -> Result<BTreeSet<AppId>, Fault> {
    let envelope = Envelope::read(bytes)?;
    claimed.extend(envelope.claimed().map(str::to_owned));
    if envelope.payload_type != dsse::IN_TOTO_PAYLOAD {
        return Err(Fault::PayloadType(envelope.payload_type));
    }
    let signers: BTreeSet<AppId> = trusted.iter().filter(|key| envelope.is_signed_by(key)).copied().collect();
    let named = |key: &&AppId| envelope.claimed().any(|claimed| claimed == key.to_string());
    if let Some(forged) = trusted.iter().filter(named).find(|key| !signers.contains(key)) {
        return Err(Fault::Forged(*forged));
    }
    if !signers.is_empty() {
        check(&json::read(&envelope.payload).map_err(Fault::Json)?, package)?;
    }
    Ok(signers)
}

/// Checks that a statement says of a package that its rebuild gave the same bytes.
fn check(statement: &Value, package: &Digest) -> Result<(), Fault> {
    let text = |pointer: &str| statement.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    for (name, pointer, expected) in [
        ("_type", "/_type", dsse::IN_TOTO_STATEMENT),
        ("predicateType", "/predicateType", PREDICATE_TYPE),
        ("result", "/predicate/result", "same"),
    ] {
        if text(pointer) != expected {
            return Err(Fault::Other { name, found: text(pointer).into(), expected });
        }
    }
    let subjects = statement.get("subject").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let digests = subjects.iter().map(|subject| subject.pointer("/digest/sha256").and_then(Value::as_str));
    // One package a statement: a list could hide that most of it was never made.
    match digests.collect::<Vec<_>>()[..] {
        [Some(digest)] if digest == package.to_string() => Ok(()),
        [Some(digest)] => Err(Fault::Subject(format!("sha256 {digest}"))),
        _ => Err(Fault::Subject("it has not one subject with a SHA-256".into())),
    }
}

/// Reads an attestation or a signature of an image, whatever it is, as one who trusts a key.
#[cfg(feature = "testing")]
pub(crate) fn read_anything(bytes: &[u8]) {
    use crate::formats::sigstore;

    let key = Key::from_seed([7; 32]);
    let package = Digest::of(b"");
    let trusted = BTreeSet::from([key.app_id()]);
    let _ = read(bytes, &package, &trusted, &mut BTreeSet::new());
    sigstore::read_anything(bytes);
    // The same as a statement that the key signed.
    let signed = dsse::sign(&key, dsse::IN_TOTO_PAYLOAD, bytes);
    let _ = read(&signed, &package, &trusted, &mut BTreeSet::new());
}

#[cfg(test)]
mod tests;
