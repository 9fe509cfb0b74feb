//! Trusted keys, and the rules for their signatures.
//!
//! A text counts as signed if at least one signature on it is good: by a primary key or subkey of
//! the keyring that may sign, is neither expired nor revoked, and is bound to its certificate; made with
//! SHA-256 or better and, for RSA, 2048 bits or more; neither of the future nor expired. Signatures of
//! unknown keys neither help nor harm, as InRelease files commonly carry one of a key to come. Only the text
//! that the signature covers is ever handed on. (RFC 9580, sections 5.2 and 7.)

use std::path::{Path, PathBuf};

use pgp::{
    composed::{
        CleartextSignedMessage, Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey,
    },
    crypto::hash::HashAlgorithm,
    packet::{Signature, SignatureType},
    ser::Serialize,
    types::{KeyDetails, PublicParams, Tag, VerifyingKey},
};

use crate::digest::Digest;
use crate::error::{Hint, PathError};
use crate::files;

/// The keys of Debian's archive; see `keyring/README.md`.
const DEBIAN: [&str; 6] = [
    include_str!("../../../keyring/debian-archive-bookworm-automatic.asc"),
    include_str!("../../../keyring/debian-archive-bookworm-security-automatic.asc"),
    include_str!("../../../keyring/debian-archive-bookworm-stable.asc"),
    include_str!("../../../keyring/debian-archive-trixie-automatic.asc"),
    include_str!("../../../keyring/debian-archive-trixie-security-automatic.asc"),
    include_str!("../../../keyring/debian-archive-trixie-stable.asc"),
];

/// How far the clock of a signer may be ahead of ours.
pub(super) const CLOCK_LEEWAY_S: i64 = 86_400;

/// RSA keys below this are refused. Debian's have 4096.
const MIN_RSA_BYTES: usize = 2048 / 8;

/// A fault of a keyring, or a text that it does not vouch for.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A file or directory that cannot be read.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file that holds something else.
    #[error("cannot use the keyring {}: it holds no OpenPGP certificate that can be read", path.display())]
    Parse {
        /// Which one.
        path: PathBuf,
    },
    /// A text that is not clear-signed, or not only, and has no signature apart.
    #[error("it is not one clear-signed text: {reason}")]
    NotSigned {
        /// Its fault.
        reason: &'static str,
    },
    /// No good signature.
    #[error("no trusted key vouches for it{}", .reasons.iter().map(|r| format!("\n{r}")).collect::<String>())]
    Untrusted {
        /// The fault of each signature.
        reasons: Vec<String>,
    },
}

impl Hint for KeyringError {}

impl KeyringError {
    /// Whether a text that was damaged on its way would look like this.
    pub(super) fn may_be_damage(&self) -> bool {
        match self {
            KeyringError::NotSigned { .. } => true,
            KeyringError::Untrusted { reasons } => {
                reasons.is_empty() || reasons.iter().any(|reason| reason.ends_with(WRONG))
            }
            KeyringError::Io(_) | KeyringError::Parse { .. } => false,
        }
    }
}

/// A text that a trusted key has signed.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    /// The signed text, with `\n` line ends.
    pub(super) text: String,
    /// Fingerprints of the certificates whose signatures are good.
    pub(super) signers: Vec<String>,
    /// When the newest of these signatures was made, in seconds since 1970.
    pub(super) made_s: i64,
    /// From when on it has to be verified anew, as a key or signature expires then; [`i64::MAX`]: never.
    pub(super) until_s: i64,
}

/// Certificates to trust.
#[derive(Clone, Debug)]
pub struct Keyring {
    certificates: Vec<SignedPublicKey>,
    /// Of the files that these were read from.
    digest: Digest,
}

impl Keyring {
    /// Returns the keys of Debian's archive that are built in.
    pub fn debian() -> Self {
        let parse = |text: &&str| SignedPublicKey::from_string(text).expect("a test reads each").0;
        let digest = Digest::of(DEBIAN.concat().as_bytes());
        Keyring { certificates: DEBIAN.iter().map(parse).collect(), digest }
    }

    /// Reads a file, or every `.asc`, `.gpg` and `.pgp` file of a directory.
    ///
    /// # Errors
    /// [`KeyringError::Io`] and [`KeyringError::Parse`].
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        let named = |error| PathError { operation: "read the keyring", ..error };
        let mut paths = vec![path.to_path_buf()];
        if path.is_dir() {
            paths = files::list(path).map_err(named)?.into_iter().map(|entry| entry.path()).collect();
            let keys = ["asc", "gpg", "pgp"];
            paths.retain(|file| file.extension().is_some_and(|e| keys.iter().any(|key| e == *key)));
            paths.sort();
        }
        let (mut certificates, mut digests) = (Vec::new(), String::new());
        for file in &paths {
            let bytes = files::read(file).map_err(named)?;
            certificates.extend(parse(&bytes).ok_or_else(|| KeyringError::Parse { path: file.clone() })?);
            digests += &Digest::of(&bytes).to_string();
        }
        if certificates.is_empty() {
            return Err(KeyringError::Parse { path: path.into() });
        }
        Ok(Keyring { certificates, digest: Digest::of(digests.as_bytes()) })
    }

    /// Reads certificates, armored or not; `None` if there is none or one is broken.
    #[cfg(feature = "testing")]
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        Some(Keyring { certificates: parse(bytes)?, digest: Digest::of(bytes) })
    }

    /// Returns the fingerprints of the certificates, in upper-case hex, sorted.
    pub fn fingerprints(&self) -> Vec<String> {
        let mut out: Vec<String> = self.certificates.iter().map(fingerprint).collect();
        out.sort();
        out.dedup();
        out
    }

    /// Returns a name for the set of keys; results that they vouch for are stored under it.
    pub(super) fn name(&self) -> String {
        let digest = Digest::of(self.fingerprints().join("\n").as_bytes());
        digest.to_string()[..16].to_owned()
    }

    /// Returns a digest of all that is known of the keys, what limits them included.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the signed text of a clear-signed message.
    ///
    /// # Errors
    /// [`KeyringError::NotSigned`], also for text outside the signature, and
    /// [`KeyringError::Untrusted`].
    pub(super) fn verify(&self, message: &[u8], now_s: i64) -> Result<Signed, KeyringError> {
        let not_signed = |reason| KeyringError::NotSigned { reason };
        // The armor's own parser would skip text before it; here it is refused.
        if !message.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----") {
            return Err(not_signed("it does not begin as one"));
        }
        let (message, _) = CleartextSignedMessage::from_armor(message)
            .map_err(|_| not_signed("it is damaged, or something follows its signature"))?;
        let text = message.signed_text();
        let signed = self.signed(message.signatures().iter(), text.as_bytes(), now_s)?;
        Ok(Signed { text: text.replace("\r\n", "\n"), ..signed })
    }

    /// Returns a text whose signature is a file of its own, armored or not.
    ///
    /// # Errors
    /// As [`Keyring::verify`].
    pub(super) fn verify_apart(
        &self,
        text: &[u8],
        signature: &[u8],
        now_s: i64,
    ) -> Result<Signed, KeyringError> {
        let not_signed = |reason| KeyringError::NotSigned { reason };
        let read = match std::str::from_utf8(signature) {
            Ok(armored) => DetachedSignature::from_string_many(armored)
                .and_then(|(signatures, _)| signatures.collect::<Result<Vec<_>, _>>()),
            Err(_) => DetachedSignature::from_bytes_many(signature)
                .and_then(|signatures| signatures.collect::<Result<Vec<_>, _>>()),
        };
        let signatures = read.map_err(|_| not_signed("the signature beside it cannot be read"))?;
        let signed = self.signed(signatures.iter().map(|apart| &apart.signature), text, now_s)?;
        let text = std::str::from_utf8(text).map_err(|_| not_signed("it is not UTF-8"))?;
        Ok(Signed { text: text.replace("\r\n", "\n"), ..signed })
    }

    /// Returns who signed a text, at least one, and when; the text itself is for the caller to put in.
    fn signed<'s>(
        &self,
        signatures: impl Iterator<Item = &'s Signature>,
        text: &[u8],
        now_s: i64,
    ) -> Result<Signed, KeyringError> {
        let (mut signers, mut reasons, mut until_s, mut made_s) =
            (Vec::new(), Vec::new(), i64::MAX, i64::MIN);
        for signature in signatures {
            match self.judge(signature, text, now_s) {
                Ok((signer, end_s)) => {
                    signers.push(signer);
                    until_s = until_s.min(end_s);
                    made_s = made_s.max(signature.created().map_or(0, |made| i64::from(made.as_secs())));
                }
                Err(reason) => reasons.push(format!("{}: {reason}", issuer(signature))),
            }
        }
        match signers.is_empty() {
            true => Err(KeyringError::Untrusted { reasons }),
            false => Ok(Signed { text: String::new(), signers, made_s, until_s }),
        }
    }

    /// Returns the certificate behind a good signature and when one of the two expires, or the fault.
    fn judge(&self, signature: &Signature, text: &[u8], now_s: i64) -> Result<(String, i64), String> {
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Err("it is not a signature of a text".into());
        }
        let end_s = check_signature(signature, now_s)?;
        for certificate in &self.certificates {
            let primary = &certificate.primary_key;
            if is_issuer(signature, primary) {
                check_strength(primary)?;
                let (itself, key_end_s) = check_primary(certificate, now_s)?;
                if !itself.key_flags().sign() {
                    return Err("the key may not sign texts".into());
                }
                signature.verify(primary, text).map_err(|_| WRONG)?;
                return Ok((fingerprint(certificate), end_s.min(key_end_s)));
            }
            if let Some(subkey) = certificate.public_subkeys.iter().find(|key| is_issuer(signature, &key.key))
            {
                check_strength(&subkey.key)?;
                let (_, key_end_s) = check_primary(certificate, now_s)?;
                let subkey_end_s = check_subkey(certificate, subkey, now_s)?;
                signature.verify(&subkey.key, text).map_err(|_| WRONG)?;
                return Ok((fingerprint(certificate), end_s.min(key_end_s).min(subkey_end_s)));
            }
        }
        Err("the key is not in the keyring".into())
    }
}

const WRONG: &str = "the signature is wrong: the text or the signature was changed";

pub(super) fn fingerprint(certificate: &SignedPublicKey) -> String {
    format!("{:X}", certificate.primary_key.fingerprint())
}

/// Returns how a signature names its key.
fn issuer(signature: &Signature) -> String {
    if let Some(print) = signature.issuer_fingerprint().first() {
        return format!("signature by {print:X}");
    }
    match signature.issuer_key_id().first() {
        Some(id) => format!("signature by {}", id.to_string().to_uppercase()),
        None => "signature by an unnamed key".into(),
    }
}

/// Whether a signature names a key. One that names none matches no key.
fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let prints = signature.issuer_fingerprint();
    if !prints.is_empty() {
        return prints.into_iter().any(|print| *print == key.fingerprint());
    }
    signature.issuer_key_id().into_iter().any(|id| *id == key.legacy_key_id())
}

/// Checks a signature's own fields: hash, and times. Returns when it expires.
fn check_signature(signature: &Signature, now_s: i64) -> Result<i64, String> {
    match signature.hash_alg() {
        Some(
            HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512,
        ) => {}
        Some(weak) => return Err(format!("its hash is {weak}, which can be forged")),
        None => return Err("its kind is unknown".into()),
    }
    let created = signature.created().ok_or("it does not say when it was made")?;
    let created_s = i64::from(created.as_secs());
    if created_s > now_s + CLOCK_LEEWAY_S {
        return Err("it was made in the future".into());
    }
    let life_s = signature.signature_expiration_time().map_or(0, |life| i64::from(life.as_secs()));
    match end(created_s, life_s) {
        end_s if end_s <= now_s => Err("it has expired".into()),
        end_s => Ok(end_s),
    }
}

/// Returns when what lives from a time on ends; without a length of life, never.
fn end(start_s: i64, life_s: i64) -> i64 {
    if life_s == 0 { i64::MAX } else { start_s + life_s }
}

fn check_strength(key: &impl KeyDetails) -> Result<(), String> {
    // The length of modulus and exponent with their headings; an exponent is of no more than a few bytes.
    if let PublicParams::RSA(params) = key.public_params()
        && params.write_len() < MIN_RSA_BYTES + 4
    {
        return Err("the RSA key is too short".into());
    }
    Ok(())
}

/// Returns the newest good statement of a certificate about its user, and so about its primary key,
/// if that is in force. Statements directly about the key may limit its life as well, but many say
/// nothing of it: Debian's keys have some, made last, that only name who may revoke them. Returns when it
/// ends, too.
fn check_primary(certificate: &SignedPublicKey, now_s: i64) -> Result<(&Signature, i64), String> {
    let key = &certificate.primary_key;
    let details = &certificate.details;
    let revoked = |s: &Signature| s.typ() == Some(SignatureType::KeyRevocation) && s.verify_key(key).is_ok();
    if details.revocation_signatures.iter().any(revoked) {
        return Err("the key is revoked".into());
    }
    let own = |s: &Signature| is_issuer(s, key) && check_signature(s, now_s).is_ok();
    let of_users = details.users.iter().flat_map(|user| {
        let good = |s: &&Signature| own(s) && s.verify_certification(key, Tag::UserId, &user.id).is_ok();
        user.signatures.iter().filter(good)
    });
    let newest = of_users.max_by_key(|s| s.created());
    let newest = newest.ok_or("the key's certificate is not signed by itself")?;
    let direct = details.direct_signatures.iter().filter(|s| own(s) && s.verify_key(key).is_ok());
    let limiting = direct.filter(|s| s.key_expiration_time().is_some()).max_by_key(|s| s.created());
    let mut end_s = i64::MAX;
    for statement in [Some(newest), limiting].into_iter().flatten() {
        let life_end_s =
            check_life(key, statement, now_s).map_err(|when| format!("the key expired {when}"))?;
        end_s = end_s.min(life_end_s).min(check_signature(statement, now_s)?);
    }
    Ok((newest, end_s))
}

/// Checks that a certificate's newest good statement about a subkey lets it sign, now. Returns until when.
fn check_subkey(
    certificate: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    now_s: i64,
) -> Result<i64, String> {
    let primary = &certificate.primary_key;
    let of = |kind: SignatureType| {
        let good = move |s: &&Signature| {
            s.typ() == Some(kind) && s.verify_subkey_binding(primary, &subkey.key).is_ok()
        };
        subkey.signatures.iter().filter(good)
    };
    if of(SignatureType::SubkeyRevocation).next().is_some() {
        return Err("the subkey is revoked".into());
    }
    let bindings = of(SignatureType::SubkeyBinding).filter(|s| check_signature(s, now_s).is_ok());
    let newest = bindings.max_by_key(|s| s.created()).ok_or("the subkey is not bound to its certificate")?;
    if !newest.key_flags().sign() {
        return Err("the subkey may not sign texts".into());
    }
    let admits = newest.embedded_signature().is_some_and(|back| {
        back.typ() == Some(SignatureType::KeyBinding)
            && check_signature(back, now_s).is_ok()
            && back.verify_primary_key_binding(&subkey.key, primary).is_ok()
    });
    if !admits {
        return Err("the subkey does not admit to belong to its certificate".into());
    }
    let life_end_s = check_life(&subkey.key, newest, now_s);
    let life_end_s = life_end_s.map_err(|when| format!("the subkey expired {when}"))?;
    Ok(life_end_s.min(check_signature(newest, now_s)?))
}

/// Returns when a key expires, or the day on which it did.
fn check_life(key: &impl VerifyingKey, statement: &Signature, now_s: i64) -> Result<i64, String> {
    let life_s = statement.key_expiration_time().map_or(0, |life| i64::from(life.as_secs()));
    let end_s = end(i64::from(key.created_at().as_secs()), life_s);
    if end_s > now_s { Ok(end_s) } else { Err(format!("on {}", super::day(end_s))) }
}

/// Reads certificates, armored (several in a row) or not; `None` if there is none or one is broken.
pub(super) fn parse(bytes: &[u8]) -> Option<Vec<SignedPublicKey>> {
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let out: Vec<SignedPublicKey> = match std::str::from_utf8(bytes) {
        Ok(text) if text.contains(BEGIN) => {
            let blocks = text.split(BEGIN).skip(1).map(|block| format!("{BEGIN}{block}"));
            let mut out = Vec::new();
            for block in blocks {
                let (keys, _) = SignedPublicKey::from_string_many(&block).ok()?;
                out.extend(keys.collect::<Result<Vec<_>, _>>().ok()?);
            }
            out
        }
        _ => SignedPublicKey::from_bytes_many(bytes).ok()?.collect::<Result<_, _>>().ok()?,
    };
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests;
