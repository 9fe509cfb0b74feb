//! The reader of maintainer scripts, as a function that takes anything
//! ([`testing::readers`](crate::testing::READERS)).

/// A maintainer script: which paths it gives to others.
pub(crate) fn scripts(bytes: &[u8]) {
    let script = String::from_utf8_lossy(bytes);
    for path in super::state::given(&script) {
        assert!(path.starts_with("/var/"), "{path}");
    }
}
