//! The readers of sources, jars and settings.

pub(crate) use super::imports::readers::{node, perl, php, python, ruby};
use super::{java, secrets};

/// A jar, of which the manifest is read.
pub(crate) fn jar(bytes: &[u8]) {
    for address in java::class_path(bytes) {
        if let Some(path) = java::beside(b"usr/share/java", &address) {
            assert!(path.split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b"..")));
        }
    }
}

/// A file that may hold a secret.
pub(crate) fn secrets(bytes: &[u8]) {
    secrets::readers::look(bytes);
}
