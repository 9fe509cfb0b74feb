//! The stage's `/var` as the skeleton of a grain's first `/var`.
//!
//! `/tinyroot/copied` says which files of the skeleton the first process copies; it makes all
//! others links into the skeleton, so that code shipped below `/var` stays read-only.
//!
//! ```text
//! tinyroot-copied 2 DIGEST      over the skeleton and the lines: another one is an upgrade of a grain
//! *                             every file is copied; or, one a line, sorted, each path escaped as in `services`:
//! lib/app/count SHA256          a file that is copied, by its path below /var; an upgrade merges it as dpkg does conffiles
//! lib/app/config.db -           a file that is copied once, and that an upgrade leaves alone
//! ```
//!
//! A grain remembers these lines, so that an upgrade can distinguish changes of the grain from changes of the
//! package (`builder/init`, `upgrade`). Version 1 had paths alone.

use std::collections::BTreeSet;

use crate::{
    digest::Digest,
    layout::{SKELETON, is_left_out},
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

use super::{Fate, linked::target_in, services};

/// The treatment of files below the stage's `/var`.
pub enum VarPolicy<'a> {
    /// Every file is copied into the grain's `/var`: the trace, which is to see what is written, and the full
    /// root that a proof compares with.
    CopyAll,
    /// Each by itself, by its path in the stage.
    ByFate(&'a dyn Fn(&TreePath) -> Fate),
}

/// Directories of `/var` that are kept without the files in them.
const WITHOUT_FILES: [&str; 2] = ["var/cache", "var/log"];

fn has_no_place(path: &TreePath, entry: &Entry) -> bool {
    let below = |list: &[&str]| list.iter().any(|top| path.is_at_or_below(top.as_bytes()));
    is_left_out(path)
        || (below(&WITHOUT_FILES) && !entry.kind.is_directory())
        || !matches!(entry.kind, Kind::Directory | Kind::File { .. } | Kind::Symlink { .. })
}

/// Moves `/var` to `/tinyroot/var` and returns the text of `/tinyroot/copied`.
///
/// A tree that has its skeleton already in place keeps it.
pub(super) fn move_var(tree: &mut Tree, policy: &VarPolicy<'_>, epoch_s: i64) -> Vec<u8> {
    let moved: Vec<(TreePath, Entry)> = tree
        .subtree(b"var")
        .filter(|(path, entry)| !has_no_place(path, entry))
        .flat_map(|(path, entry)| with_linked(tree, path, entry, policy))
        .collect();
    let before: BTreeSet<TreePath> = tree.subtree(b"var").map(|(path, _)| path.clone()).collect();
    for path in &before {
        tree.leave_hard_link_group(path);
        tree.remove(path.as_bytes());
    }
    let mut list: Vec<String> = Vec::new();
    for (path, mut entry) in moved {
        // A copy has no use for a hard link, and a link into the skeleton neither.
        if let Kind::File { hard_link, .. } = &mut entry.kind {
            *hard_link = None;
        }
        if let (VarPolicy::ByFate(fate), Some((digest, _))) = (policy, entry.kind.content()) {
            // A file that came from behind a link is state, as the link is.
            let is_linked = !before.contains(&path);
            let fate = if is_linked { Fate::State } else { fate(&path) };
            list.extend(line(&path, fate, &digest));
        }
        let place = [b"tinyroot/".as_slice(), path.as_bytes()].concat();
        // Longer than a path may be: no program could have opened the copy.
        if let Ok(place) = TreePath::new(&place) {
            tree.insert(place, entry);
        }
    }
    let place = TreePath::new(SKELETON).expect("a path written here is good");
    if tree.get(place.as_bytes()).is_none() {
        tree.insert(place, Entry::directory(epoch_s));
    }
    if matches!(policy, VarPolicy::CopyAll) {
        list = vec![String::from("*")];
    }
    // The first process looks for escaped paths by halves. No byte of one sorts before the space after it.
    list.sort_unstable();
    let lines: String = list.into_iter().map(|line| line + "\n").collect();
    format!("tinyroot-copied 2 {}\n{lines}", digest(tree, &lines)).into_bytes()
}

/// Returns what takes a path's place in the skeleton: itself, or, of a link that is state, a copy of what it
/// leads to in the root.
fn with_linked(
    tree: &Tree,
    path: &TreePath,
    entry: &Entry,
    policy: &VarPolicy<'_>,
) -> Vec<(TreePath, Entry)> {
    let itself = || vec![(path.clone(), entry.clone())];
    let (Kind::Symlink { target }, VarPolicy::ByFate(fate)) = (&entry.kind, policy) else { return itself() };
    if fate(path) != Fate::State {
        return itself();
    }
    let Some(end) = target_in(tree, path, target) else { return itself() };
    let inside = |at: &TreePath| {
        let below = at.as_bytes().get(end.as_bytes().len()..).unwrap_or_default();
        TreePath::new(&[path.as_bytes(), below].concat()).ok()
    };
    tree.subtree(end.as_bytes()).filter_map(|(at, entry)| Some((inside(at)?, entry.clone()))).collect()
}

/// Returns the line of a file; `None` for code.
fn line(path: &TreePath, fate: Fate, digest: &Digest) -> Option<String> {
    let below = path.as_bytes().strip_prefix(b"var/")?;
    let mut line = String::new();
    services::escape(&mut line, below);
    match fate {
        Fate::Link => None,
        Fate::Made => Some(line + " -"),
        Fate::State => Some(format!("{line} {digest}")),
    }
}

/// Returns a grain's first `/var` as a tree of its own: what the first process would make of an image tree
/// whose skeleton is copied whole ([`VarPolicy::CopyAll`]), with a mark for that (`builder/init`, `fill`).
/// All of it belongs to `owner`, a uid and a gid.
pub fn filled_var(image_tree: &Tree, store: &Store, owner: (u32, u32)) -> Tree {
    let mut var = Tree::new();
    for (path, entry) in image_tree.subtree(SKELETON) {
        let below = path.as_bytes().strip_prefix(b"tinyroot/var/").unwrap_or_default();
        if let Ok(below) = TreePath::new(below) {
            var.insert(below, entry.clone());
        }
    }
    let mark = format!("filled {}\n", digest(image_tree, "*\n"));
    let size_bytes = mark.len() as u64;
    let place = TreePath::new(b".tinyroot").expect("a path written here is good");
    var.insert(place, Entry::file(store.put(mark), size_bytes, 0o600, 0));
    for (_, entry) in var.iter_mut() {
        (entry.uid, entry.gid) = owner;
    }
    var
}

/// Returns a digest over the skeleton's paths, contents and link targets, and over the lines about them.
fn digest(tree: &Tree, lines: &str) -> Digest {
    let mut text = lines.as_bytes().to_vec();
    for (path, entry) in tree.subtree(SKELETON) {
        text.extend_from_slice(path.as_bytes());
        match &entry.kind {
            Kind::File { digest, .. } => text.extend_from_slice(format!("\0file {digest}").as_bytes()),
            Kind::Symlink { target } => {
                text.extend_from_slice(b"\0link ");
                text.extend_from_slice(target);
            }
            _ => text.extend_from_slice(b"\0directory"),
        }
        text.push(0);
    }
    Digest::of(&text)
}
