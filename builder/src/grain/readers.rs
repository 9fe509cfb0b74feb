//! The reader of what a grain prints, as a function that takes anything
//! ([`testing::readers`](crate::testing::READERS)).

use super::log::Log;

/// All that a grain prints in one life.
pub(crate) fn log(bytes: &[u8]) {
    let log = Log::in_memory();
    log.begin();
    log.drain(bytes);
    assert!(log.tail().len() <= 20);
}
