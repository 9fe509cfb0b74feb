//! Feeds one of tinyroot's readers of foreign bytes (`testing::READERS`) to libFuzzer.
//!
//! `TINYROOT_READER=deb readers [libFuzzer's options] CORPUS…`. Without a name that is known, the names are
//! printed, each with the longest input that is worth while. With `TINYROOT_LONG=BYTES` the reader is given
//! inputs of that length instead, each of one kind (`testing::long_inputs`), which must be read within ten
//! seconds of a processor. `.ci/fuzz` builds and runs all of them.

#![no_main]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, for the terminal")]

use std::{env, process, sync::OnceLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use rustix::time::{ClockId, clock_gettime};
use tinyroot::testing::{READERS, Reader, find_reader, long_inputs};

/// How much of a processor a reader may take for one input. Time by the clock would be that of the machine's
/// other work, too.
const PATIENCE: Duration = Duration::from_secs(10);

fn read_long(reader: &Reader, size_bytes: usize) {
    for bytes in long_inputs(reader.name, size_bytes) {
        let before = processor_time();
        (reader.read)(&bytes);
        let took = processor_time().saturating_sub(before);
        let shown = bytes[..bytes.len().min(40)].escape_ascii();
        assert!(took < PATIENCE, "{took:?} for {size_bytes} bytes that begin with {shown}");
    }
}

/// Returns what this process has had of processors.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

static READER: OnceLock<&Reader> = OnceLock::new();

fuzz_target!(
    init: {
        let name = env::var("TINYROOT_READER").unwrap_or_default();
        let Some(reader) = find_reader(&name) else {
            READERS.iter().for_each(|reader| println!("{} {}", reader.name, reader.max_bytes));
            process::exit(if name.is_empty() { 0 } else { 2 });
        };
        if let Ok(bytes) = env::var("TINYROOT_LONG") {
            read_long(reader, bytes.parse().expect("a number"));
            process::exit(0);
        }
        READER.get_or_init(|| reader);
    },
    |bytes: &[u8]| {
        if let Some(reader) = READER.get() {
            (reader.read)(bytes);
        }
    }
);
