//! Release files: as they came, verified, and as they are kept in the store.
//!
//! ```text
//! url URL
//! etag ETAG
//! modified TIME
//! verified KEYS UNTIL BYTES SHA256 SIGNER,SIGNER
//! made TIME                  (of the signature; only of archives beside Debian's)
//! signature BYTES            (only where the signature came apart)
//!
//! (the signature)(the file as it came)(the text that is signed)
//! ```
//!
//! Checking four signatures of 4096 bits takes longer than choosing packages, so the result is kept with the
//! file: it holds for the same keys (`KEYS`, a digest of all that is known of them) until one of them
//! expires, where the store's seal shows that we wrote it. In a file without, such as one of another machine,
//! that line means nothing: the signature is checked.

use std::fmt::Write as _;

use super::{
    Message,
    keyring::{Keyring, Signed},
    release::{Asked, Release},
};
use crate::{digest::Digest, download::Validators, store::KeptFile};

/// A verified Release file.
pub(super) struct VerifiedRelease {
    pub(super) suite: String,
    pub(super) release: Release,
    pub(super) signed: Signed,
    pub(super) message: Message,
    pub(super) validators: Validators,
    /// Whether it is of an archive beside Debian's.
    pub(super) leniently: bool,
    /// Not in the store yet.
    pub(super) is_new: bool,
}

impl VerifiedRelease {
    /// Returns the bytes to keep.
    pub(super) fn to_bytes(&self, keyring: &Keyring) -> Vec<u8> {
        let Validators { url, etag, modified } = &self.validators;
        let Message { bytes, signature } = &self.message;
        let Signed { text, signers, made_s, until_s } = &self.signed;
        let mut head = format!("url {url}\netag {etag}\nmodified {modified}\n");
        let (keys, digest) = (keyring.digest(), Digest::of(text.as_bytes()));
        let _ = writeln!(head, "verified {keys} {until_s} {} {digest} {}", text.len(), signers.join(","));
        if self.leniently {
            let _ = writeln!(head, "made {made_s}");
        }
        if let Some(signature) = signature {
            let _ = writeln!(head, "signature {}", signature.len());
        }
        head.push('\n');
        let signature = signature.as_deref().unwrap_or_default();
        [head.as_bytes(), signature, bytes, text.as_bytes()].concat()
    }

    /// Reads the kept result, if it is still valid at a time.
    pub(super) fn from_kept(
        file: &KeptFile,
        asked: Asked<'_>,
        keyring: &Keyring,
        now_s: i64,
    ) -> Option<Self> {
        let KeptFile { bytes: kept, is_ours } = file;
        let end = memchr::memmem::find(kept, b"\n\n")?;
        let lines = std::str::from_utf8(&kept[..end]).ok()?.lines();
        let value = |name: &str| lines.clone().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let validators = Validators {
            url: value("url")?.into(),
            etag: value("etag")?.into(),
            modified: value("modified")?.into(),
        };
        let verified: Vec<&str> = value("verified")?.split(' ').collect();
        let &[keys, until_s, text_bytes, digest, signers] = &verified[..] else { return None };
        let (until_s, text_bytes): (i64, usize) = (until_s.parse().ok()?, text_bytes.parse().ok()?);
        let made_s: Option<i64> = value("made").and_then(|time| time.parse().ok());
        let apart: Option<usize> = value("signature").and_then(|length| length.parse().ok());
        let rest = &kept[end + 2..];
        let (signature, rest) = rest.split_at_checked(apart.unwrap_or(0))?;
        let (bytes, text) = rest.split_at_checked(rest.len().checked_sub(text_bytes)?)?;
        let message = Message { bytes: bytes.to_vec(), signature: apart.map(|_| signature.to_vec()) };
        let known = *is_ours
            && keys == keyring.digest().to_string()
            && until_s > now_s
            && made_s.is_some() == asked.leniently;
        let signed = match known && Digest::of(text).to_string() == digest {
            true => Signed {
                text: String::from_utf8(text.to_vec()).ok()?,
                signers: signers.split(',').map(str::to_owned).collect(),
                made_s: made_s.unwrap_or(i64::MIN),
                until_s,
            },
            false => message.verify(keyring, now_s).ok()?,
        };
        let release = asked.parse(&signed).ok()?;
        let (suite, leniently) = (asked.suite.into(), asked.leniently);
        Some(VerifiedRelease { suite, release, signed, message, validators, leniently, is_new: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{KEY_TIME_S, Key};

    fn keyring_of(keys: &[&Key]) -> Keyring {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys.asc");
        std::fs::write(&path, keys.iter().map(|key| key.armored()).collect::<String>()).expect("writes");
        Keyring::read(&path).expect("made keys can be read")
    }

    #[test]
    fn what_was_verified_holds_for_the_same_keys_until_one_expires() {
        let key = Key::new(1).lives_s(900);
        let keyring = keyring_of(&[&key]);
        let text = "Codename: made\nSuite: made\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n";
        let message = Message { bytes: key.sign(text, KEY_TIME_S + 10).into_bytes(), signature: None };
        let signed = message.verify(&keyring, KEY_TIME_S + 20).expect("good");
        assert_eq!(signed.until_s, KEY_TIME_S + 900);
        let asked = Asked { suite: "made", leniently: false };
        let release = asked.parse(&signed).expect("sound");
        let validators = Validators { url: "u".into(), ..Validators::default() };
        let dated = VerifiedRelease {
            suite: "made".into(),
            release,
            signed,
            message,
            validators,
            leniently: false,
            is_new: true,
        };
        let kept = dated.to_bytes(&keyring);
        let again = |kept: &[u8], keyring: &Keyring, now_s| {
            let file = KeptFile { bytes: kept.to_vec(), is_ours: true };
            VerifiedRelease::from_kept(&file, asked, keyring, now_s)
                .map(|dated| (dated.signed.text, dated.signed.signers))
        };
        let whole = again(&kept, &keyring, KEY_TIME_S + 899).expect("still in force");
        assert_eq!(whole, (dated.signed.text, vec![key.fingerprint()]));
        assert_eq!(again(&kept, &keyring, KEY_TIME_S + 900), None);
        // One of another machine is verified; a text that its line alone vouches for is not there.
        let forged = |kept: &[u8]| {
            let other = whole.0.replace("Suite: made", "Suite: evil");
            let head = String::from_utf8_lossy(&kept[..kept.len() - whole.0.len()]);
            let digests = [&whole.0, &other].map(|text| Digest::of(text.as_bytes()).to_string());
            (head.replace(&digests[0], &digests[1]) + &other).into_bytes()
        };
        let file = |bytes: &[u8], is_ours| KeptFile { bytes: bytes.to_vec(), is_ours };
        let read = |file: KeptFile| {
            let dated = VerifiedRelease::from_kept(&file, asked, &keyring, KEY_TIME_S + 20)?;
            Some(dated.signed.text)
        };
        assert_eq!(read(file(&kept, false)), Some(whole.0.clone()));
        assert_eq!(read(file(&forged(&kept), false)), Some(whole.0.clone()));
        // Other keys under the same fingerprint: nothing is taken on trust.
        assert_eq!(again(&kept, &keyring_of(&[&Key::new(1).revoked()]), KEY_TIME_S + 20), None);
        assert_eq!(again(&kept, &keyring_of(&[&Key::new(2)]), KEY_TIME_S + 20), None);
        // A damaged entry is verified again from the message, or counts as missing.
        for at in 0..kept.len() {
            let mut flipped = kept.clone();
            flipped[at] ^= 1;
            for damaged in [&flipped[..], &kept[..at]] {
                if let Some((text, _)) = again(damaged, &keyring, KEY_TIME_S + 20) {
                    assert_eq!(text, whole.0, "byte {at}");
                }
            }
        }
    }
}
