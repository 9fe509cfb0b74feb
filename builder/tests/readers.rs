//! Every reader of foreign bytes takes its seeds, and inputs by which it once broke: what libFuzzer begins
//! with (`.ci/fuzz`), as plain tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tinyroot::testing::{READERS, Seed, find_reader, long_inputs, seeds};

fn directory(reader: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds").join(reader)
}

#[test]
fn every_seed_is_taken_or_refused() {
    for reader in READERS {
        let files =
            fs::read_dir(directory(reader.name)).unwrap_or_else(|error| panic!("{}: {error}", reader.name));
        let mut count = 0;
        for file in files {
            let path = file.expect("lists").path();
            let bytes = fs::read(&path).expect("reads");
            assert!(bytes.len() <= reader.max_bytes, "{} is longer than its reader looks at", path.display());
            eprintln!("{}", path.display());
            (reader.read)(&bytes);
            count += 1;
        }
        assert!(count > 0, "{} has no seed", reader.name);
    }
}

#[test]
fn the_seeds_of_our_own_makers_are_those_that_they_give_now() {
    let is_other = |seed: &Seed| {
        let kept = fs::read(directory(seed.reader).join(&seed.name)).ok();
        kept.as_ref() != Some(&seed.bytes)
    };
    let others = seeds().into_iter().filter(is_other).map(|seed| format!("{}/{}", seed.reader, seed.name));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0], "`cargo run --example seeds` writes them");
}

#[test]
fn inputs_that_are_long_for_their_own_sake_are_taken_or_refused() {
    for reader in READERS {
        long_inputs(reader.name, 8_000).for_each(|bytes| (reader.read)(&bytes));
    }
}

#[test]
fn every_seed_that_is_cut_or_damaged_is_taken_or_refused() {
    for seed in seeds() {
        let reader = find_reader(seed.reader).expect("has a reader");
        let step = (seed.bytes.len() / 60).max(1);
        for at in (0..seed.bytes.len()).step_by(step) {
            let mut damaged = seed.bytes.clone();
            damaged[at] ^= 0x80 >> (at % 8);
            (reader.read)(&damaged);
            (reader.read)(&seed.bytes[..at]);
        }
    }
}
