//! The names and first bytes of files that tinyroot makes.
//!
//! A match does not show who made a file or whether it is complete. It keeps other files in a cache, or in a
//! directory that was taken for one, from being counted, removed or called damaged.

use std::{io::Read as _, path::Path};

use super::{LAYER, UNPACKED_DEB, sealed::SEALED};
use crate::{digest::Digest, formats::checksum::Checksum, sys::path::open_regular};

/// The kinds of bundles.
const BUNDLES: [&str; 5] = [UNPACKED_DEB, "npm", LAYER, "xz-block", "spk"];

/// The kinds of notes.
const NOTES: [&str; 3] = ["build", "compressed", "remote"];

/// The prefix of an index's text.
const INDEX: &[u8] = b"PACKAGES ";

/// Returns whether a file has the form of one that tinyroot makes at that place. `name` is its path below the
/// cache.
pub(super) fn is_ours(root: &Path, name: &Path) -> bool {
    let parts: Option<Vec<&str>> = name.iter().map(|part| part.to_str()).collect();
    let begins = |starts: &[&[u8]]| begins(&root.join(name), starts);
    match parts.as_deref() {
        Some(["debs", name]) => {
            name.strip_suffix(".deb").is_some_and(|stem| stem.parse::<Checksum>().is_ok())
        }
        Some(["npm", name]) => name.strip_suffix(".tgz").is_some_and(is_tarball),
        Some(["images", name]) => {
            name.strip_prefix("sha256-").is_some_and(|digest| digest.parse::<Digest>().is_ok())
        }
        Some(["packs", name]) => is_pack(name),
        Some(["bundles", kind, key]) => BUNDLES.contains(kind) && is_key(key) || begins(&[SEALED]),
        Some(["notes", kind, key]) => NOTES.contains(kind) && is_key(key) || begins(&[SEALED]),
        Some(["indexes", "texts", name]) => is_key(name) || begins(&[INDEX]),
        // Whatever has become of it; older versions did not seal it.
        Some(["indexes", keys, _] | ["indexes", keys, _, _]) => is_keyring(keys) || begins(&[SEALED]),
        _ => false,
    }
}

fn is_tarball(stem: &str) -> bool {
    stem.split_once('-').is_some_and(|(algorithm, hex)| {
        hex.parse().is_ok_and(|checksum: Checksum| checksum.algorithm() == algorithm)
    })
}

/// Returns whether a name is that of a pack: its bundle's kind and key, and a unique suffix.
fn is_pack(name: &str) -> bool {
    let of_kind = |kind: &&str| {
        let rest = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-'));
        rest.and_then(|rest| rest.rsplit_once('-')).is_some_and(|(key, unique)| {
            is_key(key) && unique.len() == 6 && unique.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    BUNDLES.iter().any(of_kind)
}

/// Returns whether a name is a digest, or begins with one and `-`.
fn is_key(name: &str) -> bool {
    name.split('-').next().is_some_and(|digest| digest.parse::<Digest>().is_ok())
}

/// Returns whether a name is that of a set of keys, or of an archive that is kept by one.
fn is_keyring(name: &str) -> bool {
    let digits = name.split('-').next().unwrap_or_default();
    digits.len() == 16 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn begins(path: &Path, starts: &[&[u8]]) -> bool {
    let mut found = Vec::new();
    let read = open_regular(path).and_then(|file| file.take(16).read_to_end(&mut found));
    read.is_ok() && starts.iter().any(|start| found.starts_with(start))
}

/// Returns whether a name in `tmp/` is that of the directory of a process.
pub(super) fn is_run(name: &std::ffi::OsStr) -> bool {
    let unique = name.to_str().and_then(|name| name.strip_prefix(super::tmp::RUN));
    unique.is_some_and(|unique| unique.len() == 6 && unique.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_the_names_that_tinyroot_gives() {
        let digest = Digest::of(b"tea");
        let names = [
            (format!("debs/{digest}.deb"), "debs/tea_1_amd64.deb"),
            (format!("npm/sha256-{digest}.tgz"), "npm/tea-1.0.0.tgz"),
            (format!("images/sha256-{digest}"), "images/tea"),
            (format!("packs/xz-block-{digest}-x86-or-none-1-a0B1c2"), "packs/deb-tea-a0B1c2"),
            (format!("bundles/deb/{digest}"), "bundles/deb/tea"),
            (format!("notes/build/{digest}"), "notes/build/tea"),
            (format!("indexes/texts/{digest}-amd64"), "indexes/texts/tea"),
            ("indexes/758bb75b241ac45a/trixie".into(), "indexes/tea/trixie"),
            ("indexes/758bb75b241ac45a-own/base/trixie".into(), "indexes/758bb75b241ac45a"),
        ];
        for (ours, other) in names {
            assert!(is_ours(Path::new("/nowhere"), Path::new(&ours)), "{ours}");
            assert!(!is_ours(Path::new("/nowhere"), Path::new(other)), "{other}");
        }
    }
}
