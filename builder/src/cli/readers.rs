//! The reader of what builds note in the cache, as a function that takes anything
//! ([`testing::readers`](crate::testing::READERS)).

/// The summary of a build that is up to date.
pub(crate) fn notes(bytes: &[u8]) {
    super::build::read_note(bytes);
}
