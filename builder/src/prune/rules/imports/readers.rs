//! The readers of sources, one a language.

use super::{node, perl, php, python, ruby};

/// A source of Python.
pub(crate) fn python(bytes: &[u8]) {
    for import in python::source::imports(bytes) {
        // The name of an encoding becomes that of its module.
        assert!(import.module.len() <= bytes.len() + "encodings.".len());
    }
}

/// A source of Perl.
pub(crate) fn perl(bytes: &[u8]) {
    let _ = perl::source::names(bytes);
}

/// A source of Ruby.
pub(crate) fn ruby(bytes: &[u8]) {
    let _ = ruby::source::names(bytes);
}

/// A source of JavaScript.
pub(crate) fn node(bytes: &[u8]) {
    for named in node::source::names(bytes) {
        assert!(named.name.len() <= bytes.len());
    }
    if let Ok(manifest) = serde_json::from_slice::<serde_json::Value>(bytes) {
        for inside in ["", "x", "x/y.js"] {
            let _ = node::package::export(&manifest, inside, true);
        }
    }
}

/// A source of PHP, and the maps of an autoloader in it.
pub(crate) fn php(bytes: &[u8]) {
    let _ = (php::source::names(bytes), php::source::map(bytes));
}
