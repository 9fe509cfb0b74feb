//! Java's key stores hold the time at which each certificate was put into them, so no two runs make the same.
//!
//! Source: the format as `sun.security.provider.JavaKeyStore` of OpenJDK writes it, all numbers big-endian:
//!
//! ```text
//! FEEDFEED, version 1 or 2, number of entries
//! each: tag 2, alias, milliseconds since 1970, kind (version 2), length, certificate
//!       tag 1, alias, milliseconds since 1970, length, key, number of certificates, each as above
//! SHA-1 of the password in UTF-16, "Mighty Aphrodite" and all that stands before
//! ```

use sha1::{Digest as _, Sha1};

/// The key store that ca-certificates-java makes, below the root.
pub(super) const PATH: &str = "etc/ssl/certs/java/cacerts";

/// The password that Java's own key stores have; it keeps nothing secret.
const PASSWORD: &str = "changeit";

/// Gives every entry one time. Returns false, and changes nothing, if the bytes are not such a key store or
/// have another password.
pub(super) fn restamp(bytes: &mut [u8], time_s: i64) -> bool {
    let Some(end) = bytes.len().checked_sub(SUM_BYTES) else { return false };
    let Some(times) = times(&bytes[..end]) else { return false };
    if sum(&bytes[..end])[..] != bytes[end..] {
        return false;
    }
    for at in times {
        bytes[at..at + 8].copy_from_slice(&(time_s * 1000).to_be_bytes());
    }
    let sum = sum(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum);
    true
}

/// Returns a body with the sum that makes it a key store.
#[cfg(feature = "testing")]
pub(super) fn with_sum(body: &[u8]) -> Vec<u8> {
    [body, &sum(body)].concat()
}

const SUM_BYTES: usize = 20;

fn sum(body: &[u8]) -> [u8; SUM_BYTES] {
    let password = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes);
    let start: Vec<u8> = password.chain(*b"Mighty Aphrodite").collect();
    Sha1::new().chain_update(start).chain_update(body).finalize().into()
}

/// Returns where the times stand.
fn times(body: &[u8]) -> Option<Vec<usize>> {
    let mut reader = Reader { body, at: 0 };
    let (magic, version, entries) = (reader.number()?, reader.number()?, reader.number()?);
    if magic != 0xfeed_feed || !matches!(version, 1 | 2) {
        return None;
    }
    let mut times = Vec::new();
    for _ in 0..entries {
        let tag = reader.number()?;
        reader.short()?;
        times.push(reader.at);
        reader.pass(8)?;
        let certificates = match tag {
            1 => {
                reader.long()?;
                reader.number()?
            }
            2 => 1,
            _ => return None,
        };
        for _ in 0..certificates {
            if version == 2 {
                reader.short()?;
            }
            reader.long()?;
        }
    }
    (reader.at == body.len()).then_some(times)
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn pass(&mut self, length: usize) -> Option<()> {
        self.at = self.at.checked_add(length).filter(|at| *at <= self.body.len())?;
        Some(())
    }

    fn number(&mut self) -> Option<u32> {
        let bytes = self.body.get(self.at..)?.first_chunk::<4>()?;
        self.at += 4;
        Some(u32::from_be_bytes(*bytes))
    }

    /// Passes over a text with its length of 16 bits.
    fn short(&mut self) -> Option<()> {
        let bytes = self.body.get(self.at..)?.first_chunk::<2>()?;
        self.pass(2 + usize::from(u16::from_be_bytes(*bytes)))
    }

    /// Passes over bytes with their length of 32 bits.
    fn long(&mut self) -> Option<()> {
        let length = self.number()?;
        self.pass(length as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(time_ms: u64, version: u32) -> Vec<u8> {
        let text =
            |text: &str| [&u16::try_from(text.len()).expect("short").to_be_bytes(), text.as_bytes()].concat();
        let kind = if version == 2 { text("X.509") } else { Vec::new() };
        let certificate = [&kind[..], &3_u32.to_be_bytes(), b"abc"].concat();
        let time = time_ms.to_be_bytes();
        let mut out = [0xfeed_feed_u32, version, 2].map(u32::to_be_bytes).concat();
        out.extend([&2_u32.to_be_bytes(), &text("debian:one")[..], &time, &certificate].concat());
        out.extend([&1_u32.to_be_bytes(), &text("mine")[..], &time, &[0, 0, 0, 2], b"xy"].concat());
        out.extend([&2_u32.to_be_bytes()[..], &certificate, &certificate].concat());
        let sum = sum(&out);
        out.extend(sum);
        out
    }

    #[test]
    fn all_entries_get_the_time() {
        for version in [1, 2] {
            let mut bytes = store(1_234_567, version);
            assert!(restamp(&mut bytes, 99));
            assert_eq!(bytes, store(99_000, version));
        }
    }

    #[test]
    fn what_is_no_such_store_stays() {
        let whole = store(1, 2);
        for at in 0..whole.len() {
            for damaged in [whole[..at].to_vec(), [&whole[..at], &[!whole[at]], &whole[at + 1..]].concat()] {
                let mut after = damaged.clone();
                assert!(!restamp(&mut after, 5), "{at}");
                assert_eq!(after, damaged);
            }
        }
    }
}
