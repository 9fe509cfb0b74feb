//! The signature message.

use ed25519_dalek::{Signature as Ed25519, VerifyingKey};

use crate::formats::{
    app_id::AppId,
    capnp::{CapnpError, Message, Value, message_bytes},
    key_file::Key,
};

/// The largest signature message. Real ones have 192 bytes.
const MAX_BYTES: u64 = 1 << 16;

/// A signature that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// No such message.
    #[error("cannot read the signature")]
    Message(#[source] CapnpError),
    /// A message over its limit.
    #[error("the signature message takes more than {MAX_BYTES} bytes")]
    TooLarge,
    /// A key that is not of 32 bytes or no point of the curve.
    #[error("the public key is invalid")]
    PublicKey,
    /// Not a signature with the 64 bytes it signs.
    #[error("the signature has not the form of one")]
    Form,
    /// Made by another key, or changed since.
    #[error("the signature is not by the key that is named beside it")]
    Forged,
}

/// A signature that holds for its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who signed.
    pub app_id: AppId,
    /// SHA-512 of the archive message that was signed.
    pub archive_sha512: [u8; 64],
    /// The signature message, byte by byte as it was read: whoever lays out the same archive writes the same
    /// package with it, without the key.
    pub message: Vec<u8>,
}

/// Returns the length of the signature message at the start of a stream, as soon as enough of it is there.
///
/// # Errors
/// [`SignatureError::TooLarge`], also where the segment table alone is.
pub fn signature_length(start: &[u8]) -> Result<Option<usize>, SignatureError> {
    let word = |index: usize| {
        let bytes = start.get(4 * index..4 * index + 4)?;
        Some(u64::from(u32::from_le_bytes(bytes.try_into().expect("four bytes"))))
    };
    let Some(last) = word(0) else { return Ok(None) };
    if last >= MAX_BYTES / 4 {
        return Err(SignatureError::TooLarge);
    }
    let mut total = (4 * (last + 2)).next_multiple_of(8);
    for index in 1..=last as usize + 1 {
        let Some(words) = word(index) else { return Ok(None) };
        total += words * 8;
    }
    if total > MAX_BYTES {
        return Err(SignatureError::TooLarge);
    }
    Ok(Some(total as usize))
}

/// Reads a signature message and checks it against its own public key.
///
/// The checks come in the order of Sandstorm's tool: key, form, signature. Points of small order are refused.
///
/// # Errors
/// [`SignatureError`].
pub fn read_signature(bytes: &[u8]) -> Result<Signature, SignatureError> {
    let message = Message::new(&bytes, 0, None).map_err(SignatureError::Message)?;
    let root = message.root().map_err(SignatureError::Message)?;
    let field = |index| match root.data(index).map_err(SignatureError::Message)? {
        Some(span) => message.read(span).map_err(SignatureError::Message),
        None => Ok(Vec::new()),
    };
    let public: [u8; 32] = field(0)?.try_into().map_err(|_| SignatureError::PublicKey)?;
    let combined: [u8; 128] = field(1)?.try_into().map_err(|_| SignatureError::Form)?;
    let key = VerifyingKey::from_bytes(&public).map_err(|_| SignatureError::PublicKey)?;
    let (signature, digest) = combined.split_at(64);
    let signature = Ed25519::from_slice(signature).map_err(|_| SignatureError::Form)?;
    key.verify_strict(digest, &signature).map_err(|_| SignatureError::Forged)?;
    let archive_sha512 = digest.try_into().expect("half of 128 bytes");
    Ok(Signature { app_id: AppId(public), archive_sha512, message: bytes.to_vec() })
}

/// Returns the signature message for an archive message of that SHA-512: 192 bytes.
pub fn sign(key: &Key, archive_sha512: &[u8; 64]) -> Vec<u8> {
    let combined = [key.sign(archive_sha512), *archive_sha512].concat();
    let pointers = vec![Value::Data(key.app_id().0.to_vec()), Value::Data(combined)];
    message_bytes(&Value::Struct { data: Vec::new(), pointers })
}
