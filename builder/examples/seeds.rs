//! Writes the seeds of `tests/fuzz/seeds` that our own makers give. What was found by fuzzing lies beside
//! them, and stays.

use std::{error::Error, fs, path::Path};

use tinyroot::testing;

fn main() -> Result<(), Box<dyn Error>> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds");
    for seed in testing::seeds() {
        let directory = seeds.join(seed.reader);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(seed.name), seed.bytes)?;
    }
    Ok(())
}
