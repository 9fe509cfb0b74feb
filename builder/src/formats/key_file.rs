//! Sandstorm's keyring: the secret keys of apps, one message after another.
//!
//! Each is a framed message with the root `KeyFile` (no data, 2 pointers): publicKey, 32 bytes; privateKey,
//! 64 bytes, which are the Ed25519 seed and the public key once more. Rings merge by concatenation;
//! duplicates are harmless. Where only text can be kept, as in the secrets of a CI service, a ring may be
//! written in base64 ([`read_any`]). An empty file is a ring without keys. Sandstorm's own reader silently
//! ignores a damaged end; here every byte must belong to a key, because a key that is silently lost is an app
//! that can never be upgraded again.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};

use super::{
    app_id::AppId,
    base64,
    capnp::{CapnpError, Message, Struct, Value, message_bytes},
};

/// A secret key that signs an app's packages.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(SigningKey);

/// A keyring that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The bytes from here on are not a key.
    #[error("the keyring is damaged at byte {offset}")]
    Damaged {
        /// Where the message should begin.
        offset: u64,
        /// The fault.
        source: CapnpError,
    },
    /// Text that no ring was written as. Nothing of it is shown: it may be another secret.
    #[error("it is not the text of a key, as `tinyroot key export --text` writes it")]
    Text,
    /// A key of the wrong length.
    #[error("the key at byte {offset} has {found} bytes where {expected} belong")]
    Length {
        /// Where its message begins.
        offset: u64,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The seed gives another public key than the one beside it.
    #[error("the key at byte {offset} does not match its public half")]
    Mismatch {
        /// Where its message begins.
        offset: u64,
    },
}

impl Key {
    /// Returns the key that grows from a seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Key(SigningKey::from_bytes(&seed))
    }

    /// Returns the app id, which is the public half.
    pub fn app_id(&self) -> AppId {
        AppId(self.0.verifying_key().to_bytes())
    }

    /// Signs a message (Ed25519, RFC 8032, not prehashed).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// Returns the key as one message of a keyring: 128 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let pointers =
            vec![Value::Data(self.app_id().0.to_vec()), Value::Data(self.0.to_keypair_bytes().to_vec())];
        message_bytes(&Value::Struct { data: Vec::new(), pointers })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.app_id())
    }
}

/// How the text of every ring begins: its first key is one segment of 15 words.
const TEXT_BEGINS: &str = "AAAAAA8AAAAAAAAA";

/// Returns whether the text of a ring, or at least its beginning, is in a text, however it is wrapped or
/// quoted there.
pub fn has_text_of_key(text: &str) -> bool {
    text.split_ascii_whitespace().collect::<String>().contains(TEXT_BEGINS)
}

/// Returns a keyring as text: base64 on one line.
pub fn to_text(ring: &[u8]) -> String {
    base64::encode(ring)
}

/// Reads a keyring, or the text of one, as [`to_text`] gives it; line ends and blanks in the text do not
/// count.
///
/// # Errors
/// As [`read`], and [`KeyFileError::Text`].
pub fn read_any(bytes: &[u8]) -> Result<Vec<Key>, KeyFileError> {
    // The first word of a message counts its segments, so a ring begins with bytes that no text has.
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let joined = text.map(|text| text.split_ascii_whitespace().collect::<String>());
    match joined {
        Some(text) => base64::decode(&text).and_then(|ring| read(&ring).ok()).ok_or(KeyFileError::Text),
        None => read(bytes),
    }
}

/// Reads a keyring: its keys in the order of the file, duplicates left out.
///
/// # Errors
/// [`KeyFileError`]: any byte that belongs to no key.
pub fn read(bytes: &[u8]) -> Result<Vec<Key>, KeyFileError> {
    let mut keys: Vec<Key> = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() as u64 {
        let damaged = |source| KeyFileError::Damaged { offset, source };
        let message = Message::new(&bytes, offset, None).map_err(damaged)?;
        let root = message.root().map_err(damaged)?;
        let field = |index, expected| field(&message, &root, index, offset, expected);
        let public = field(0, 32)?;
        let private = field(1, 64)?;
        let pair: [u8; 64] = private.try_into().expect("the length was checked");
        // from_keypair_bytes compares the halves; the separate public key must be the same again.
        let key = SigningKey::from_keypair_bytes(&pair).map_err(|_| KeyFileError::Mismatch { offset })?;
        if key.verifying_key().as_bytes()[..] != public[..] {
            return Err(KeyFileError::Mismatch { offset });
        }
        let key = Key(key);
        if !keys.contains(&key) {
            keys.push(key);
        }
        offset = message.end();
    }
    Ok(keys)
}

fn field(
    message: &Message<'_>,
    root: &Struct<'_>,
    index: u16,
    offset: u64,
    expected: usize,
) -> Result<Vec<u8>, KeyFileError> {
    let damaged = |source| KeyFileError::Damaged { offset, source };
    let bytes = match root.data(index).map_err(damaged)? {
        Some(span) if span.size_bytes == expected as u64 => message.read(span).map_err(damaged)?,
        Some(span) => {
            return Err(KeyFileError::Length { offset, found: span.size_bytes as usize, expected });
        }
        None => Vec::new(),
    };
    if bytes.len() == expected {
        return Ok(bytes);
    }
    Err(KeyFileError::Length { offset, found: bytes.len(), expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: u8) -> Key {
        Key::from_seed(std::array::from_fn(|i| first.wrapping_add(i as u8)))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn gives_the_known_answer() {
        let bytes = key(0).to_bytes();
        assert_eq!(bytes.len(), 128);
        assert_eq!(hex(&bytes[..32]), "000000000f000000000000000000020005000000020100001100000002020000");
        let public = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        assert_eq!(hex(&bytes[32..64]), public);
        assert_eq!(bytes[64..96], std::array::from_fn::<u8, 32, _>(|i| i as u8));
        assert_eq!(hex(&bytes[96..]), public);
        assert_eq!(key(0).app_id().to_string(), "0fhhggzmts8cw7chvndffky0m5my9pjhmfkhursxvk3684kp66w0");
        assert_eq!(read(&bytes).expect("reads"), [key(0)]);
    }

    #[test]
    fn of_a_text_that_is_no_ring_nothing_is_shown() {
        let ring = key(0).to_bytes();
        let text = to_text(&ring);
        assert!(text.starts_with(TEXT_BEGINS));
        let wrapped = format!("{}\r\n {}\n", &text[..76], &text[76..]);
        assert_eq!(read_any(wrapped.as_bytes()).expect("reads"), [key(0)]);
        assert_eq!(read_any(b" \n").expect("an empty ring"), []);
        for wrong in ["hunter2-my-secret", "hunter22", "-----BEGIN", &text[1..], &text[..120]] {
            assert!(matches!(read_any(wrong.as_bytes()), Err(KeyFileError::Text)), "{wrong}");
        }
    }

    #[test]
    fn rings_merge_by_concatenation() {
        assert_eq!(read(b"").expect("an empty ring"), []);
        let ring = [key(7).to_bytes(), key(0).to_bytes(), key(7).to_bytes()].concat();
        assert_eq!(read(&ring).expect("reads"), [key(7), key(0)]);
    }

    #[test]
    fn follows_another_layout() {
        // The private key first, in a segment of its own, by a far pointer.
        let pair = key(3);
        let mut bytes = Vec::new();
        for word in [1_u64 | 7 << 32, 9, 2 << 48, 0x1_0000_0005 | 0x100 << 32, 1 << 32 | 2] {
            bytes.extend(word.to_le_bytes());
        }
        bytes[24..32].copy_from_slice(&(1_u64 | 1 << 2 | 0x102 << 32).to_le_bytes());
        bytes.extend(pair.app_id().0);
        bytes.extend((1_u64 | 0x202 << 32).to_le_bytes());
        bytes.extend(pair.0.to_keypair_bytes());
        assert_eq!(read(&bytes).expect("reads"), [pair]);
    }

    #[test]
    fn refuses_damaged_rings() {
        let good = key(0).to_bytes();
        let mut other_public = good.clone();
        other_public[40] ^= 1;
        let mut other_seed = good.clone();
        other_seed[70] ^= 1;
        let mut short_key = good.clone();
        short_key[20..22].copy_from_slice(&[0xfa, 0]);
        let rows: [(&str, Vec<u8>, &str); 7] = [
            ("garbage of 7 bytes", vec![0; 7], "the keyring is damaged at byte 0"),
            ("a tail", [&good[..], &[1, 2, 3]].concat(), "the keyring is damaged at byte 128"),
            ("a cut key", good[..120].to_vec(), "the keyring is damaged at byte 0"),
            (
                "an empty message",
                vec![0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                "the key at byte 0 has 0 bytes where 32 belong",
            ),
            ("another public key", other_public, "the key at byte 0 does not match its public half"),
            ("another seed", other_seed, "the key at byte 0 does not match its public half"),
            ("a short key", short_key, "the key at byte 0 has 31 bytes where 32 belong"),
        ];
        for (summary, bytes, expected) in rows {
            assert_eq!(read(&bytes).expect_err(summary).to_string(), expected, "{summary}");
        }
    }
}
