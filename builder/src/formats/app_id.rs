//! The names of apps and packages, as Sandstorm writes them.
//!
//! An *app id* is an Ed25519 public key of 32 bytes in a base 32 of its own: digits and small letters without
//! `b`, `i`, `l` and `o`, most significant bit first, filled up with zero bits to 52 characters. Reading is
//! tolerant of common typing errors: case does not matter, `o` is 0, `i` and `l` are 1, `b` is 8. The four
//! bits left over at the end must be zero, so that every id has one canonical spelling.
//!
//! A *package id* is the first half of the SHA-256 of a package file, in lower-case hex.

use std::{fmt, str::FromStr};

use crate::digest::Digest;
use crate::error::Hint;

const ALPHABET: &[u8; 32] = b"0123456789acdefghjkmnpqrstuvwxyz";
const TEXT_LENGTH: usize = 52;

/// An app's identity: the public half of the key that signs its packages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub [u8; 32]);

/// Text that is not an app id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAppId {
    /// Not 52 characters.
    #[error("an app id has 52 characters, not {0}")]
    Length(usize),
    /// A character outside the alphabet.
    #[error("an app id cannot contain `{}`", .0.escape_debug())]
    Character(char),
    /// The last character carries more than its one bit.
    #[error("the last character of an app id is 0 or h")]
    LeftOver,
}

impl Hint for InvalidAppId {}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut pending, mut bits) = (0_u32, 0);
        let mut text = String::with_capacity(TEXT_LENGTH);
        for &byte in self.0.iter().chain(&[0]) {
            pending = pending << 8 | u32::from(byte);
            bits += 8;
            while bits >= 5 && text.len() < TEXT_LENGTH {
                bits -= 5;
                text.push(char::from(ALPHABET[(pending >> bits & 31) as usize]));
            }
        }
        f.pad(&text)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for AppId {
    type Err = InvalidAppId;

    fn from_str(text: &str) -> Result<Self, InvalidAppId> {
        let length = text.chars().count();
        if length != TEXT_LENGTH {
            return Err(InvalidAppId::Length(length));
        }
        let mut out = [0; 32];
        let (mut pending, mut bits, mut written) = (0_u32, 0, 0);
        for letter in text.chars() {
            let plain = match letter.to_ascii_lowercase() {
                'o' => '0',
                'i' | 'l' => '1',
                'b' => '8',
                other => other,
            };
            let value = ALPHABET.iter().position(|&a| char::from(a) == plain);
            let value = value.ok_or(InvalidAppId::Character(letter))?;
            pending = (pending << 5 | value as u32) & 0xfff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                out[written] = (pending >> bits & 0xff) as u8;
                written += 1;
            }
        }
        if pending & ((1 << bits) - 1) != 0 {
            return Err(InvalidAppId::LeftOver);
        }
        Ok(AppId(out))
    }
}

impl serde::Serialize for AppId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for AppId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A package file's identity. It changes with every byte of the file, so with recompression too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(pub [u8; 16]);

impl From<Digest> for PackageId {
    fn from(file: Digest) -> Self {
        let mut out = [0; 16];
        out.copy_from_slice(&file.0[..16]);
        PackageId(out)
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl serde::Serialize for PackageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "0fhhggzmts8cw7chvndffky0m5my9pjhmfkhursxvk3684kp66w0";

    #[test]
    fn reads_what_people_type() {
        let id: AppId = KNOWN.parse().expect("reads");
        assert_eq!(id.0[..4], [0x03, 0xa1, 0x07, 0xbf]);
        assert_eq!(id.to_string(), KNOWN);
        let rows: [(&str, String, Result<AppId, InvalidAppId>); 9] = [
            ("upper case", KNOWN.to_uppercase(), Ok(id)),
            ("o for 0", KNOWN.replace('0', "o"), Ok(id)),
            ("O for 0", KNOWN.replace('0', "O"), Ok(id)),
            ("b for 8", KNOWN.replace('8', "b"), Ok(id)),
            ("short", KNOWN[1..].into(), Err(InvalidAppId::Length(51))),
            ("long", format!("{KNOWN}0"), Err(InvalidAppId::Length(53))),
            ("not a letter", KNOWN.replace('z', "!"), Err(InvalidAppId::Character('!'))),
            ("not ASCII", KNOWN.replace('z', "é"), Err(InvalidAppId::Character('é'))),
            ("left-over bits", format!("{}1", &KNOWN[..51]), Err(InvalidAppId::LeftOver)),
        ];
        for (summary, text, expected) in rows {
            assert_eq!(text.parse(), expected, "{summary}");
        }
    }

    #[test]
    fn i_and_l_are_one() {
        let one = AppId([0x08; 32]).to_string();
        assert!(one.contains('1'));
        assert_eq!(one.replace('1', "i").parse(), Ok(AppId([0x08; 32])));
        assert_eq!(one.replace('1', "L").parse(), Ok(AppId([0x08; 32])));
    }

    #[test]
    fn every_id_round_trips() {
        for byte in 0..=255 {
            let id = AppId(std::array::from_fn(|i| byte ^ (i as u8).wrapping_mul(37)));
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
