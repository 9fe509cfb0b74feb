//! Feeds one of tinyroot's readers of foreign bytes (`testing::READERS`) to libFuzzer.
//!
//! `TINYROOT_READER=deb readers [libFuzzer's options] CORPUS…`. Without a name that is known, the names are printed, each with the
//! longest input that is worth while. `.ci/fuzz` builds and runs all of them.

#![no_main]

use std::{env, process, sync::OnceLock};

use libfuzzer_sys::fuzz_target;
use tinyroot::testing::{READERS, Reader, find_reader};

static READER: OnceLock<&Reader> = OnceLock::new();

fuzz_target!(
    init: {
        let name = env::var("TINYROOT_READER").unwrap_or_default();
        let Some(reader) = find_reader(&name) else {
            READERS.iter().for_each(|reader| println!("{} {}", reader.name, reader.max_bytes));
            process::exit(if name.is_empty() { 0 } else { 2 });
        };
        READER.get_or_init(|| reader);
    },
    |bytes: &[u8]| {
        if let Some(reader) = READER.get() {
            (reader.read)(bytes);
        }
    }
);
