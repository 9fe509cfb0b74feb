//! The readers of mirrors' files and of their copies in the cache, as functions that take anything
//! ([`testing::readers`](crate::testing::READERS)).

use std::{
    io::{self, Read as _},
    sync::LazyLock,
};

use super::{
    Message, index, kept_index,
    kept_release::VerifiedRelease,
    keyring::{self, Keyring},
    listed::Form,
    release::{Asked, Release},
    sources,
};
use crate::{
    digest::Digest,
    download::Validators,
    formats::packages::{Reducer, table::Table},
    store::KeptFile,
    testing::{ARCHIVE_TIME_S, Key},
};

/// How much of an index is decompressed.
const PLAIN_BYTES: u64 = 4 << 20;

/// The keys that made archives are signed with.
static KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::of(Key::new(1).armored().as_bytes()).expect("made keys can be read"));

/// A clear-signed text; or, behind a line of its own with `---`, a text and its signature apart.
pub(crate) fn in_release(bytes: &[u8]) {
    let split = memchr::memmem::find(bytes, b"\n---\n");
    let message = match split {
        Some(at) => Message { bytes: bytes[..=at].to_vec(), signature: Some(bytes[at + 5..].to_vec()) },
        None => Message { bytes: bytes.to_vec(), signature: None },
    };
    let Ok(signed) = message.verify(&KEYRING, ARCHIVE_TIME_S + 10) else { return };
    assert!(!signed.signers.is_empty() && signed.until_s > ARCHIVE_TIME_S);
    assert!(signed.text.len() <= bytes.len());
    for leniently in [false, true] {
        let _ = Asked { suite: "bookworm", leniently }.parse(&signed);
    }
}

/// A Release file, as if it were signed.
pub(crate) fn release(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for signed_s in [None, Some(ARCHIVE_TIME_S)] {
        let Ok(release) = Release::parse(text, signed_s) else { continue };
        let _ = (release.oddities("bookworm"), release.oddities("./"));
        for leniently in [false, true] {
            let _ = release.check(&Asked { suite: "bookworm", leniently }, ARCHIVE_TIME_S, leniently);
        }
        for component in ["main", "contrib", "..", ""] {
            for index in release.indexes(component, "amd64") {
                for file in index.plain.iter().chain([&index.fetched]) {
                    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
                    assert!(file.path.split('/').all(is_plain), "{}", file.path);
                }
            }
        }
    }
}

/// An index as it was fetched, compressed in one way or another.
pub(crate) fn index(bytes: &[u8]) {
    for form in [Form::Zstd, Form::Bzip2, Form::Gzip, Form::Xz] {
        let Ok(decoder) = index::decoder(form, bytes) else { continue };
        let mut reducer = Reducer::default();
        if let Ok(size_bytes) = io::copy(&mut decoder.take(PLAIN_BYTES), &mut reducer) {
            let text = reducer.finish();
            assert!(text.len() as u64 <= size_bytes + 2, "longer than before");
            let _ = Table::make(&text, "amd64").map(|table| table.count_left_out());
        }
    }
}

/// The host's own lists of archives, in both forms.
pub(crate) fn sources(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for words in sources::words_of(&text) {
        assert!(!words.contains(char::is_whitespace), "{words:?}");
    }
}

/// A keyring of archive keys.
pub(crate) fn keyring(bytes: &[u8]) {
    for certificate in keyring::parse(bytes).unwrap_or_default() {
        assert!(keyring::fingerprint(&certificate).len() >= 40);
    }
    if let Some(keyring) = Keyring::of(bytes) {
        let text = "a signed text\n";
        static SIGNED: LazyLock<String> =
            LazyLock::new(|| Key::new(1).sign("a signed text\n", ARCHIVE_TIME_S));
        if let Ok(signed) = keyring.verify(SIGNED.as_bytes(), ARCHIVE_TIME_S + 10) {
            assert_eq!(signed.text, text);
        }
    }
}

/// An index as the cache has kept it.
pub(crate) fn kept_index(bytes: &[u8]) {
    if let Some((text, table)) = kept_index::parts(bytes) {
        assert!(text.len() <= bytes.len());
        let _ = table.map(|table| (table.len(), table.left_out(text, "amd64").count()));
    }
}

/// A Release file as the cache has kept it: text that its keys have not signed is not trusted.
pub(crate) fn kept_release(bytes: &[u8]) {
    for (leniently, is_ours) in [(false, false), (false, true), (true, false), (true, true)] {
        let asked = Asked { suite: "bookworm", leniently };
        let file = KeptFile { bytes: bytes.to_vec(), is_ours };
        if let Some(dated) = VerifiedRelease::from_kept(&file, asked, &KEYRING, ARCHIVE_TIME_S + 10) {
            assert!(!dated.to_bytes(&KEYRING).is_empty());
            let verified = dated.message.verify(&KEYRING, ARCHIVE_TIME_S + 10);
            assert!(is_ours || verified.is_ok_and(|signed| signed.text == dated.signed.text));
        }
    }
}

/// Returns seeds for the cache's files: reader, name, bytes.
pub(crate) fn kept() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = b"Package: hello\nVersion: 1.0\nArchitecture: amd64\n\n";
    let table = Table::make(text, "amd64").ok();
    let index = kept_index::to_bytes(text, &Digest::of(text), table.as_ref(), Digest::of);
    let release = "Codename: bookworm\nSuite: stable\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n";
    let bytes = Key::new(1).sign(release, ARCHIVE_TIME_S).into_bytes();
    let message = Message { bytes, signature: None };
    let signed = message.verify(&KEYRING, ARCHIVE_TIME_S + 10).expect("is good");
    let asked = Asked { suite: "bookworm", leniently: false };
    let release = asked.parse(&signed).expect("is sound");
    let validators = Validators { url: "http://mirror/".into(), ..Validators::default() };
    let dated = VerifiedRelease {
        suite: "bookworm".into(),
        release,
        signed,
        message,
        validators,
        leniently: false,
        is_new: true,
    };
    vec![("kept_index", "one", index), ("kept_release", "one", dated.to_bytes(&KEYRING))]
}
