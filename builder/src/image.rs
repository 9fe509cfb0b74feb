//! Stage or pruned tree → the tree that a grain boots.
//!
//! Comes in: a tree in stage paths, the recipe, and what is to be done with the stage's `/var`.
//! Goes out: the same tree with our first process and its configuration below `/tinyroot`, with the stage's
//! `/var` as a skeleton at `/tinyroot/var`, and with empty mount points. Everything belongs to 0:0 with mode
//! 0755 or 0644, as artifact formats keep no more than that; nothing is younger than the epoch. Pure: no
//! clock, no files.
//!
//! ```text
//! /tinyroot/init       first process, static
//! /tinyroot/services   what it starts (format: [`services`])
//! /tinyroot/var/**     skeleton of a grain's first /var
//! /tinyroot/copied     which files of the skeleton are copied ([`State`]); all others become links into it
//! /tinyroot/modes      which files keep others out (format: `modes`); only where there are some
//! /tinyroot/papers/**  not ours: `papers`
//! ```

mod linked;
mod modes;
#[cfg(feature = "testing")]
pub(crate) mod readers;
pub mod services;
mod skeleton;
mod state;

pub use linked::Linked;
pub use modes::{apply_modes, give_to_grain};
pub use skeleton::{VarPolicy, filled_var};
pub use state::{Fate, State};

use std::collections::BTreeMap;

use crate::{
    recipe::Recipe,
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

/// The first process of a grain, as it lies in artifacts: `builder/init`, compiled by `build.rs`.
pub const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tinyroot-init"));

/// The one uid and gid inside a grain.
pub const GRAIN_ID: u32 = 1000;

/// Directories that a grain has mounts on, or that mean nothing in it: what the stage has there is left out.
const EMPTIED: [&str; 10] = ["boot", "dev", "home", "media", "mnt", "proc", "root", "run", "sys", "tmp"];

/// Mount points of a grain; they exist, empty, in every artifact.
const MOUNT_POINTS: [&str; 5] = ["dev", "proc", "run", "tmp", "var"];

/// Returns the tree that a grain boots.
///
/// `tree` is in stage paths, the full root or what pruning left of it, with the recipe's files already on it
/// ([`overlay`](crate::overlay)).
pub fn build(mut tree: Tree, recipe: &Recipe, policy: &VarPolicy<'_>, store: &Store, epoch_s: i64) -> Tree {
    let copied = skeleton::move_var(&mut tree, policy, epoch_s);
    for top in EMPTIED {
        empty(&mut tree, recipe, top);
    }
    for top in MOUNT_POINTS {
        tree.insert(path(top), Entry::directory(epoch_s));
    }
    tree.retain(|_, entry| matches!(entry.kind, Kind::Directory | Kind::File { .. } | Kind::Symlink { .. }));
    let mut lay = |at: &str, bytes: &[u8], mode: u32| {
        let digest = store.put(bytes);
        tree.insert(path(at), Entry::file(digest, bytes.len() as u64, mode, epoch_s));
    };
    lay("tinyroot/init", INIT, 0o755);
    lay("tinyroot/services", services::encode(recipe).as_bytes(), 0o644);
    lay("tinyroot/copied", &copied, 0o644);
    lay("proc/cpuinfo", b"", 0o644);
    lay_names(&mut tree, store, epoch_s);
    if let Some(modes) = modes::list(&tree) {
        let digest = store.put(modes.as_bytes());
        tree.insert(path(modes::PLACE), Entry::file(digest, modes.len() as u64, 0o644, epoch_s));
    }
    tree.add_parents(epoch_s);
    for (_, entry) in tree.iter_mut() {
        normalise(entry, epoch_s);
    }
    tree
}

/// Empties a top directory, but for what the recipe itself laid there.
fn empty(tree: &mut Tree, recipe: &Recipe, top: &str) {
    let laid = |path: &TreePath| recipe.files.iter().any(|file| file.path.is_at_or_below(path.as_bytes()));
    let doomed: Vec<TreePath> = tree.subtree(top.as_bytes()).map(|(p, _)| p.clone()).skip(1).collect();
    for path in doomed.iter().filter(|path| !laid(path)) {
        tree.leave_hard_link_group(path);
        tree.remove(path.as_bytes());
    }
}

/// Sets what an artifact can hold: owner 0:0, 0755 or 0644, no attributes, no time after the epoch.
fn normalise(entry: &mut Entry, epoch_s: i64) {
    entry.mode = match entry.kind {
        Kind::Symlink { .. } => 0o777,
        Kind::File { .. } if entry.mode & 0o100 == 0 => 0o644,
        _ => 0o755,
    };
    entry.uid = 0;
    entry.gid = 0;
    entry.xattrs = BTreeMap::new();
    entry.mtime_s = entry.mtime_s.clamp(0, epoch_s.max(0));
}

/// Lays the files that name the grain's user and host, where the root lacks them.
fn lay_names(tree: &mut Tree, store: &Store, epoch_s: i64) {
    let lacking = [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        (
            "etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
        ),
        ("etc/resolv.conf", "# a grain has no network\n"),
    ];
    for (at, text) in lacking {
        if tree.get(at.as_bytes()).is_none() {
            let digest = store.put(text);
            tree.insert(path(at), Entry::file(digest, text.len() as u64, 0o644, epoch_s));
        }
    }
    name_localhost(tree, store);
    add_line(tree, store, "etc/passwd", &format!("app:x:{GRAIN_ID}:{GRAIN_ID}:app:/var:/bin/sh\n"));
    add_line(tree, store, "etc/group", &format!("app:x:{GRAIN_ID}:\n"));
}

/// Appends the grain's own host name to a list of hosts that a script or the recipe made without it.
fn name_localhost(tree: &mut Tree, store: &Store) {
    let Some(entry) = tree.get_mut(b"etc/hosts") else { return };
    let Some(mut bytes) = entry.kind.content().and_then(|(digest, _)| store.read(&digest).ok()) else {
        return;
    };
    let names = |line: &[u8]| {
        let line = line.split(|b| *b == b'#').next().unwrap_or_default();
        line.split(|b| b.is_ascii_whitespace()).skip(1).any(|name| name == b"localhost")
    };
    if bytes.split(|b| *b == b'\n').any(names) {
        return;
    }
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"127.0.0.1 localhost\n");
    let size_bytes = bytes.len() as u64;
    entry.kind = Kind::File { digest: store.put(bytes), size_bytes, hard_link: None };
}

/// Appends the grain's line to a file of passwd's kind unless its id is there already.
fn add_line(tree: &mut Tree, store: &Store, at: &str, line: &str) {
    let Some(entry) = tree.get_mut(at.as_bytes()) else { return };
    let Some(mut bytes) = entry.kind.content().and_then(|(digest, _)| store.read(&digest).ok()) else {
        return;
    };
    let id = GRAIN_ID.to_string();
    let has_id = |line: &[u8]| line.split(|b| *b == b':').nth(2) == Some(id.as_bytes());
    if bytes.split(|b| *b == b'\n').any(has_id) {
        return;
    }
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(line.as_bytes());
    let size_bytes = bytes.len() as u64;
    entry.kind = Kind::File { digest: store.put(bytes), size_bytes, hard_link: None };
}

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a path written here is good")
}

#[cfg(test)]
mod tests;
