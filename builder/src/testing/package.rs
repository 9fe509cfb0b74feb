//! Packages of any tree, which the line would not pack.

use std::path::Path;

use crate::{
    artifact::{
        Packable, Packed, Writer as _,
        spk::{Signer, SpkWriter},
    },
    formats::{key_file::Key, manifest::Manifest},
    progress::Progress,
    store::Store,
    tree::Tree,
};

/// Writes a tree as a signed package.
pub fn pack(tree: &Tree, store: &Store, manifest: &Manifest, key: &Key, out: &Path) -> Packed {
    let writer = SpkWriter { manifest, signer: Signer::Key(key) };
    writer.write(Packable(tree.clone()), out, store, &Progress::silent()).expect("packs")
}
