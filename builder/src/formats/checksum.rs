//! SHA-256 and SHA-512 digests of files, as archives and npm's registries publish them.
//!
//! npm writes Subresource Integrity (W3C): words of `ALGORITHM-BASE64[?OPTIONS]`, of which the strongest
//! algorithm counts. SHA-1, which registries of old gave alone, proves nothing and is refused.

use std::{
    fmt::{self, Write as _},
    io,
    str::FromStr,
};

use sha2::{Digest as _, Sha256, Sha512};

use super::base64;
use crate::digest::Digest;

/// A digest that says of which kind it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checksum {
    /// SHA-256.
    Sha256(Digest),
    /// SHA-512.
    Sha512([u8; 64]),
}

/// Why an integrity value says nothing that can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIntegrity {
    /// Neither SHA-512 nor SHA-256 is among its words.
    #[error("has neither sha512 nor sha256 (sha1 proves nothing)")]
    Weak,
    /// Its strongest word does not hold a digest in base64.
    #[error("is damaged")]
    Damaged,
}

/// A text that is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 or SHA-512 digest in lower-case hex")]
pub struct InvalidHex;

impl Checksum {
    /// Reads an integrity value; of several digests of the strongest kind, the first.
    ///
    /// # Errors
    /// [`InvalidIntegrity`].
    pub fn from_integrity(text: &str) -> Result<Self, InvalidIntegrity> {
        let value = |prefix: &str| {
            let word = text.split_ascii_whitespace().find_map(|word| word.strip_prefix(prefix))?;
            Some(base64::decode(word.split('?').next().unwrap_or(word)).ok_or(InvalidIntegrity::Damaged))
        };
        let damaged = |_| InvalidIntegrity::Damaged;
        match (value("sha512-"), value("sha256-")) {
            (Some(bytes), _) => Ok(Checksum::Sha512(bytes?.try_into().map_err(damaged)?)),
            (None, Some(bytes)) => Ok(Checksum::Sha256(Digest(bytes?.try_into().map_err(damaged)?))),
            (None, None) => Err(InvalidIntegrity::Weak),
        }
    }

    /// Returns the checksum, of this one's kind, of bytes.
    pub fn of_same_kind(&self, bytes: &[u8]) -> Self {
        let mut state = self.begin();
        state.update(bytes);
        state.finish()
    }

    /// Returns whether all that a reader gives has this checksum.
    ///
    /// # Errors
    /// The reader's error.
    pub fn is_of(&self, mut reader: impl io::Read) -> io::Result<bool> {
        let mut state = self.begin();
        io::copy(&mut reader, &mut state)?;
        Ok(state.finish() == *self)
    }

    /// Begins a checksum of this one's kind.
    pub fn begin(&self) -> State {
        match self {
            Checksum::Sha256(_) => State::Sha256(Sha256::new()),
            Checksum::Sha512(_) => State::Sha512(Sha512::new()),
        }
    }

    /// Returns the name of the kind.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Checksum::Sha256(_) => "sha256",
            Checksum::Sha512(_) => "sha512",
        }
    }

    /// Returns the digits, as lower-case hex.
    pub fn hex(&self) -> String {
        let bytes: &[u8] = match self {
            Checksum::Sha256(digest) => &digest.0,
            Checksum::Sha512(bytes) => bytes,
        };
        bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl FromStr for Checksum {
    type Err = InvalidHex;

    /// Reads lower-case hex; the length decides between the two.
    fn from_str(text: &str) -> Result<Self, InvalidHex> {
        let half = |text: &str| text.parse::<Digest>().map_err(|_| InvalidHex);
        match text.len() {
            64 => half(text).map(Checksum::Sha256),
            128 => {
                let (first, second) = text.split_at_checked(64).ok_or(InvalidHex)?;
                let mut out = [0; 64];
                out[..32].copy_from_slice(&half(first)?.0);
                out[32..].copy_from_slice(&half(second)?.0);
                Ok(Checksum::Sha512(out))
            }
            _ => Err(InvalidHex),
        }
    }
}

impl serde::Serialize for Checksum {
    /// As a map of the algorithm to lower-case hex.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.algorithm(), self.hex())])
    }
}

impl From<Digest> for Checksum {
    fn from(digest: Digest) -> Self {
        Checksum::Sha256(digest)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A checksum in the making.
#[derive(Clone, Debug)]
pub enum State {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Sha512),
}

impl State {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Returns the checksum of all that came.
    pub fn finish(self) -> Checksum {
        match self {
            State::Sha256(state) => Checksum::Sha256(Digest(state.finalize().into())),
            State::Sha512(state) => Checksum::Sha512(state.finalize().into()),
        }
    }
}

impl io::Write for State {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published values for `abc` (FIPS 180-2, B.1 and C.1), in base64.
    const SHA256: &str = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    const SHA512: &str =
        "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";

    #[test]
    fn the_strongest_digest_counts() {
        let sha256 = Checksum::Sha256(Digest::of(b"abc"));
        let sha512 = Checksum::Sha512([0; 64]).of_same_kind(b"abc");
        assert_ne!(sha512, Checksum::Sha512([0; 64]).of_same_kind(b"abd"));
        let rows = [
            (SHA256.to_owned(), Ok(sha256)),
            (SHA512.to_owned(), Ok(sha512)),
            (format!("sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0= {SHA256}  {SHA512}?x"), Ok(sha512)),
            ("sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0=".to_owned(), Err(InvalidIntegrity::Weak)),
            (String::new(), Err(InvalidIntegrity::Weak)),
            ("sha512-qZk+NkcGgWq6PiVxeFDCbJzQ2J0=".to_owned(), Err(InvalidIntegrity::Damaged)),
            (SHA512.replace("==", "="), Err(InvalidIntegrity::Damaged)),
            (SHA256.replace("ung", "un_"), Err(InvalidIntegrity::Damaged)),
        ];
        for (text, expected) in rows {
            assert_eq!(Checksum::from_integrity(&text), expected, "{text}");
        }
        assert!(sha256.to_string().starts_with("sha256 ba7816bf"));
        assert!(sha512.to_string().starts_with("sha512 ddaf35a1"));
        for checksum in [sha256, sha512] {
            let hex = checksum.hex();
            assert_eq!(hex.parse(), Ok(checksum));
            for bad in [&hex[1..], &hex.to_uppercase(), &hex.replacen('d', "g", 1), &format!("{hex}0")] {
                assert_eq!(bad.parse::<Checksum>(), Err(InvalidHex), "{bad}");
            }
        }
        assert_eq!("ä".repeat(64).parse::<Checksum>(), Err(InvalidHex));
    }
}
