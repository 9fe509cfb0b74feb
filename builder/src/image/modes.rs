//! Which files and directories of an image keep others out: `/tinyroot/modes`.
//!
//! `.spk` holds no modes but whether a file is a program, and programs refuse secrets and places for them
//! that all may read. So the list travels in the artifact: the root of a grain shows these modes, and the
//! first process gives them to its copies in `/var`.
//!
//! ```text
//! tinyroot-modes 1
//! etc/tea/secrets 0640          path, escaped as in `services`, and mode; sorted by the escaped path
//! ```
//!
//! The file is there only if it has a line.

use std::{collections::BTreeMap, os::unix::fs::chown, path::Path};

use super::services;
use crate::{
    store::Store,
    tree::{Kind, Tree, TreePath},
};

/// Where the list lies in an image tree.
pub(super) const PLACE: &str = "tinyroot/modes";
const HEAD: &str = "tinyroot-modes 1\n";

/// Larger lists than this no root has.
const MOST_BYTES: u64 = 1 << 20;

/// Returns the list for an image tree that has its modes still; `None` if it would be empty.
pub(super) fn list(tree: &Tree) -> Option<String> {
    let mut lines = BTreeMap::new();
    for (path, entry) in tree.iter() {
        let others = match entry.kind {
            Kind::File { .. } => 0o004,
            // Who may pass through a directory is not kept out of it.
            Kind::Directory => 0o005,
            _ => continue,
        };
        if entry.mode & others == 0 {
            let mut escaped = String::new();
            services::escape(&mut escaped, path.as_bytes());
            lines.insert(escaped, entry.mode & 0o777);
        }
    }
    let text =
        lines.iter().fold(HEAD.to_owned(), |text, (path, mode)| text + &format!("{path} {mode:04o}\n"));
    (!lines.is_empty()).then_some(text)
}

/// Gives the files and directories of an image tree the modes of its list, and returns their paths. A list
/// that cannot be read gives none: a grain then shows what its artifact holds.
pub fn apply_modes(tree: &mut Tree, store: &Store) -> Vec<TreePath> {
    let content = tree.get(PLACE.as_bytes()).and_then(|entry| entry.kind.content());
    let bytes =
        content.filter(|(_, size)| *size <= MOST_BYTES).and_then(|(digest, _)| store.read(&digest).ok());
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let lines = text.as_deref().and_then(|text| text.strip_prefix(HEAD)).unwrap_or_default();
    let mut wanted = BTreeMap::new();
    for line in lines.lines() {
        if let Some((path, mode)) = line.split_once(' ')
            && let Ok(mode) = u32::from_str_radix(mode, 8)
        {
            wanted.insert(path, mode & 0o770);
        }
    }
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut changed = Vec::new();
    for (path, entry) in tree.iter_mut() {
        let mut escaped = String::new();
        services::escape(&mut escaped, path.as_bytes());
        let mode = wanted.get(&*escaped).map(|mode| match &entry.kind {
            // The grain is the only user, and root would get in whatever the mode.
            Kind::Directory => mode | 0o700,
            _ => *mode,
        });
        if let (Some(mode), Kind::File { .. } | Kind::Directory) = (mode, &entry.kind) {
            entry.mode = mode;
            changed.push(path.clone());
        }
    }
    changed
}

/// Gives files and directories of a rendered root to the grain's user, who could not read them otherwise.
///
/// # Errors
/// As `lchown(2)`.
pub fn give_to_grain(root: &Path, paths: &[TreePath], owner: (u32, u32)) -> std::io::Result<()> {
    // Each is what was just rendered there, and no link lies on the way to it. What lies deeper goes first:
    // the way to it may be closed for us once it is given away.
    paths.iter().rev().try_for_each(|path| chown(root.join(path.as_path()), Some(owner.0), Some(owner.1)))
}
