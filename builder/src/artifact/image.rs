//! The formats other than `.spk`: the whole tree of the package, and in it the signature of its `.spk`.
//!
//! Such a file holds what the `.spk` holds, `sandstorm-manifest` and mount points included, and besides
//! `tinyroot/signature`: the signature message. It is one over the archive of an `.spk`; so reading lays that
//! archive out again and compares its SHA-512. Then the contents are those that the key signed, in whichever
//! format they come, and the `.spk` itself can be written again without the key.
//!
//! Reading takes from the file what an `.spk` can hold: whether a file is a program, and its time. Owners,
//! further modes and attributes are no part of the package.

mod read;
mod write;

pub(super) use read::{identity, open, open_any};
pub use write::ImageWriter;

use std::collections::BTreeMap;

use super::Format;
use crate::{
    formats::{manifest::Manifest, spk::Signature},
    tree::{Entry, Kind, Tree, TreePath},
};

/// Where the signature lies.
const SIGNATURE: &[u8] = b"tinyroot/signature";

/// The parts of such a file besides its tree.
#[derive(Debug)]
pub struct Image {
    /// Its format.
    pub format: Format,
    /// Its manifest.
    pub manifest: Manifest,
    /// The signature of its `.spk`.
    pub signature: Signature,
}

/// Leaves of a tree what an `.spk` holds of it; of its root it says nothing.
pub fn normalise(tree: &mut Tree) {
    tree.insert(TreePath::root(), Entry::directory(0));
    for (_, entry) in tree.iter_mut() {
        *entry = normalised(entry);
    }
}

fn normalised(entry: &Entry) -> Entry {
    let mode = match entry.kind {
        Kind::Directory => 0o755,
        Kind::Symlink { .. } => 0o777,
        _ if entry.mode & 0o100 == 0 => 0o644,
        _ => 0o755,
    };
    let mut kind = entry.kind.clone();
    if let Kind::File { hard_link, .. } = &mut kind {
        *hard_link = None;
    }
    Entry { kind, mode, uid: 0, gid: 0, mtime_s: entry.mtime_s.max(0), xattrs: BTreeMap::new() }
}

#[cfg(test)]
mod tests;
