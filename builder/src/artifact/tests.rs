//! A bar: what was damaged anywhere is refused by one who names the key.

use std::{fs, path::Path};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{Artifact, Format, deviation, readers::made, verify};
use crate::{formats::key_file::Key, progress::Progress, store::Store};

/// As many single faults are tried on each format.
const FAULTS: u64 = 2000;

/// What `verify --signed-by` does, for the key that [`made`] signs with; else why a file is refused.
fn accepted(file: &Path, store: &Store, scratch: &Path) -> Result<Artifact, String> {
    let silent = Progress::silent();
    let artifact = verify(file, store, &silent).map_err(|error| format!("{error:?}"))?;
    if artifact.app_id() != Key::from_seed([7; 32]).app_id() {
        return Err("another key".into());
    }
    let directory = tempfile::tempdir_in(scratch).expect("a directory");
    match deviation(&artifact, directory.path(), store, &silent).map_err(|error| format!("{error:?}"))? {
        None => Ok(artifact),
        Some(deviation) => Err(format!("{deviation:?}")),
    }
}

/// Damages bytes in one place; returns how.
fn damage(bytes: &mut Vec<u8>, random: &mut StdRng) -> String {
    let before = bytes.clone();
    loop {
        let at = random.gen_range(0..bytes.len());
        let length = random.gen_range(1..=bytes.len().min(600) / 2);
        let end = (at + length).min(bytes.len());
        let how = match random.gen_range(0..9) {
            0 | 1 => {
                bytes[at] ^= 1 << random.gen_range(0..8);
                "a bit"
            }
            2 => {
                bytes[at] = random.r#gen();
                "a byte"
            }
            3 => {
                bytes.truncate(at);
                "cut"
            }
            4 => {
                let more = vec![random.gen_range(0..2); length];
                bytes.extend(more);
                "extended"
            }
            5 => {
                let other = random.gen_range(0..=bytes.len() - length);
                let (low, high) = (at.min(other), at.max(other));
                if low + length <= high && high + length <= bytes.len() {
                    let (head, tail) = bytes.split_at_mut(high);
                    head[low..low + length].swap_with_slice(&mut tail[..length]);
                }
                "swapped blocks"
            }
            6 => {
                bytes[at..end].fill(0);
                "zeros"
            }
            7 => {
                bytes.insert(at, random.gen_range(0..2));
                "a byte more"
            }
            _ => {
                bytes.drain(at..end);
                "bytes less"
            }
        };
        if *bytes != before {
            return format!("{how} at {at}, length {length}");
        }
    }
}

fn bar(format: Format) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("cache")).expect("opens");
    let (file, whole) = (directory.path().join("package"), made(format));
    fs::write(&file, &whole).expect("writes");
    accepted(&file, &store, directory.path()).expect("the whole one is accepted");
    let mut random = StdRng::seed_from_u64(17);
    for round in 0..FAULTS {
        let mut bytes = whole.clone();
        let how = damage(&mut bytes, &mut random);
        fs::write(&file, &bytes).expect("writes");
        let found = accepted(&file, &store, directory.path());
        assert!(found.is_err(), "{format}: accepted in round {round}: {how} of {}", whole.len());
    }
}

#[test]
fn every_damaged_spk_is_refused() {
    bar(Format::Spk);
}

#[test]
fn every_damaged_layout_is_refused() {
    bar(Format::Oci);
}

#[test]
fn every_damaged_squashfs_is_refused() {
    bar(Format::Squashfs);
}

#[test]
fn every_damaged_erofs_is_refused() {
    bar(Format::Erofs);
}

#[test]
fn every_damaged_tar_is_refused() {
    bar(Format::Tar);
}
