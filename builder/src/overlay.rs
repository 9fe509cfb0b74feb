//! The recipe's own files over the configured root.
//!
//! Comes in: a root in stage paths, and a recipe with the contents of its files. Goes out: the same root with
//! them. Only the store's memory is written to: no clock, no files.

use crate::{
    error::Hint,
    recipe::{LaidContent, Recipe},
    store::Store,
    tree::{Entry, InvalidPath, Kind, Tree, TreePath},
};

/// Why a recipe's files cannot be laid over a root.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OverlayError {
    /// A `[[file]]` below something that is no directory.
    #[error("cannot lay /{path} over the root: /{parent} is not a directory")]
    NotADirectory {
        /// Where the file should go.
        path: TreePath,
        /// The path in the way.
        parent: TreePath,
    },
    /// A `[[file]]` where the root has a directory, or the other way round.
    #[error("cannot lay /{0} over the root: there is a directory")]
    IsADirectory(TreePath),
    /// Something is to be moved where the root has files.
    #[error("cannot move /{path} to /{place}: there are files")]
    IsThere {
        /// What.
        path: TreePath,
        /// Where to.
        place: TreePath,
    },
    /// A `[[file]]` whose place, links on the way followed, has too long a path.
    #[error("cannot lay /{path} over the root where links lead")]
    TooLong {
        /// Where the file should go.
        path: TreePath,
        /// The fault of the place.
        source: InvalidPath,
    },
    /// A `[[file]]` where a grain has a mount.
    #[error("cannot lay /{0} over the root: a grain's own mount hides it")]
    Hidden(TreePath),
}

impl Hint for OverlayError {}

/// Lays the recipe's `[[file]]`s over a tree, in the recipe's order; links on the way to them are followed.
///
/// # Errors
/// A path whose parent is no directory, a file in a directory's place, or one that a mount would hide.
pub fn apply(tree: &mut Tree, recipe: &Recipe, store: &Store, epoch_s: i64) -> Result<(), OverlayError> {
    for file in &recipe.files {
        if file.is_made_at_start() {
            continue;
        }
        let hidden = ["dev", "proc", "run", "sys", "tmp", "tinyroot"];
        if hidden.iter().any(|top| file.path.is_at_or_below(top.as_bytes())) {
            return Err(OverlayError::Hidden(file.path.clone()));
        }
        let path = real_place(tree, &file.path)?;
        let entry = match &file.content {
            LaidContent::File { mode, bytes } => {
                let digest = store.put(bytes.clone());
                Entry::file(digest, bytes.len() as u64, *mode, epoch_s)
            }
            LaidContent::Link(target) => Entry::symlink(target.as_bytes(), epoch_s),
            LaidContent::Moved(to) => {
                let to = real_place(tree, to)?;
                move_to(tree, &path, &to, epoch_s)?;
                Entry::symlink(format!("/{to}"), epoch_s)
            }
            LaidContent::Directory => Entry::directory(epoch_s),
        };
        let present = tree.get(path.as_bytes()).is_some_and(|e| e.kind.is_directory());
        match (present, entry.kind.is_directory()) {
            (true, true) => continue,
            (true, false) => return Err(OverlayError::IsADirectory(path)),
            (false, _) => {}
        }
        tree.leave_hard_link_group(&path);
        tree.insert(path, entry);
    }
    tree.add_parents(epoch_s);
    Ok(())
}

/// Moves what lies at a path, and below it, to another place, which must be free; an empty directory where there is
/// nothing.
fn move_to(tree: &mut Tree, from: &TreePath, to: &TreePath, epoch_s: i64) -> Result<(), OverlayError> {
    if tree.subtree(to.as_bytes()).any(|(_, entry)| !entry.kind.is_directory()) {
        return Err(OverlayError::IsThere { path: from.clone(), place: to.clone() });
    }
    let all: Vec<(TreePath, Entry)> =
        tree.subtree(from.as_bytes()).map(|(path, entry)| (path.clone(), entry.clone())).collect();
    if all.is_empty() {
        tree.insert(to.clone(), Entry::directory(epoch_s));
    }
    for (path, entry) in all {
        tree.leave_hard_link_group(&path);
        let entry = tree.remove(path.as_bytes()).unwrap_or(entry);
        let rest = &path.as_bytes()[from.as_bytes().len()..];
        let too_long = |source| OverlayError::TooLong { path: from.clone(), source };
        let place = TreePath::new(&[to.as_bytes(), rest].concat()).map_err(too_long)?;
        tree.insert(place, entry);
    }
    Ok(())
}

/// Returns where a path lies once the links among its parents are followed, making missing parents.
fn real_place(tree: &Tree, path: &TreePath) -> Result<TreePath, OverlayError> {
    let mut place = TreePath::root();
    let mut components = path.as_bytes().split(|b| *b == b'/').peekable();
    while let Some(name) = components.next() {
        let next = place.join(name).map_err(|source| OverlayError::TooLong { path: path.clone(), source })?;
        if components.peek().is_none() {
            return Ok(next);
        }
        place = match tree.get(next.as_bytes()).map(|e| &e.kind) {
            None | Some(Kind::Directory) => next,
            Some(Kind::Symlink { .. }) => tree
                .resolve(next.as_bytes(), |_| {})
                .filter(|end| tree.get(end.as_bytes()).is_some_and(|e| e.kind.is_directory()))
                .ok_or_else(|| OverlayError::NotADirectory { path: path.clone(), parent: next.clone() })?,
            Some(_) => return Err(OverlayError::NotADirectory { path: path.clone(), parent: next }),
        };
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::recipe;

    const RECIPE: &str = r#"
[app]
name = "tea"
version = "1"
packages = ["tea"]
[debian]
suite = "bookworm"
[[file]]
path = "/lib/tea/tea.conf"
content = "milk = no\n"
[[file]]
path = "/var/lib/tea/pot"
content = "brown"
[[file]]
path = "/run/tea"
directory = true
"#;

    fn recipe() -> Recipe {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("recipe.toml"), RECIPE).expect("writes");
        recipe::read(directory.path()).expect("a good recipe")
    }

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        (directory, store)
    }

    fn path(text: &str) -> TreePath {
        TreePath::new(text.as_bytes()).expect("a good path")
    }

    /// A tree from words: `path` is a file, `path -> target` a link.
    fn tree(lines: &[&str], store: &Store) -> Tree {
        let mut tree = Tree::new();
        for line in lines {
            let (name, entry) = match line.split_once(" -> ") {
                Some((name, target)) => (name, Entry::symlink(target, 9)),
                None => (*line, Entry::file(store.put(line.as_bytes()), line.len() as u64, 0o644, 9)),
            };
            tree.insert(path(name), entry);
        }
        tree.add_parents(0);
        tree
    }

    fn text_of(tree: &Tree, store: &Store, at: &str) -> String {
        let (digest, _) = tree.get(at.as_bytes()).and_then(|e| e.kind.content()).expect("a file");
        String::from_utf8(store.read(&digest).expect("is known")).expect("text")
    }

    #[test]
    fn what_is_moved_leaves_a_link() {
        let (_directory, store) = store();
        let mut root = tree(&["etc/tea/a", "etc/tea/b/c", "etc/teapot", "var/lib/x"], &store);
        let mut recipe = recipe();
        let moved = |from: &str, to: &str| crate::recipe::OverlayFile {
            path: path(from),
            content: LaidContent::Moved(path(to)),
        };
        recipe.files = vec![moved("etc/tea", "var/lib/tea/etc"), moved("srv/none", "var/lib/none")];
        apply(&mut root, &recipe, &store, 0).expect("has a place");
        let all: Vec<String> = root.iter().map(|(path, _)| path.to_string()).collect();
        for wanted in
            ["etc/tea", "etc/teapot", "srv/none", "var/lib/none", "var/lib/tea/etc/a", "var/lib/tea/etc/b/c"]
        {
            assert!(all.iter().any(|path| path == wanted), "{wanted}: {all:?}");
        }
        assert_eq!(
            root.get(b"etc/tea").map(|entry| &entry.kind),
            Some(&Kind::Symlink { target: b"/var/lib/tea/etc".to_vec() })
        );
        recipe.files = vec![moved("etc/teapot", "var/lib/x")];
        let fault = apply(&mut root, &recipe, &store, 0).expect_err("is there");
        assert_eq!(fault.to_string(), "cannot move /etc/teapot to /var/lib/x: there are files");
    }

    #[test]
    fn files_are_laid_through_links() {
        let (_cache, store) = store();
        let mut stage = tree(&["lib -> usr/lib", "usr/lib/tea/tea.conf"], &store);
        apply(&mut stage, &recipe(), &store, 5).expect("lays");
        assert_eq!(text_of(&stage, &store, "usr/lib/tea/tea.conf"), "milk = no\n");
        assert_eq!(text_of(&stage, &store, "var/lib/tea/pot"), "brown");
        assert!(stage.get(b"run/tea").is_none());
        let mut stage = tree(&["lib"], &store);
        let error = apply(&mut stage, &recipe(), &store, 5).expect_err("is refused");
        assert_eq!(error.to_string(), "cannot lay /lib/tea/tea.conf over the root: /lib is not a directory");
    }

    #[test]
    fn hard_links_survive_the_loss_of_their_first_name() {
        let (_cache, store) = store();
        let mut stage = tree(&["lib/tea/tea.conf"], &store);
        let first = stage.get(b"lib/tea/tea.conf").cloned().expect("is there");
        for name in ["lib/tea/b", "usr/c"] {
            let mut other = first.clone();
            if let Kind::File { hard_link, .. } = &mut other.kind {
                *hard_link = Some(path("lib/tea/tea.conf"));
            }
            stage.insert(path(name), other);
        }
        apply(&mut stage, &recipe(), &store, 5).expect("lays");
        let link_of = |at: &str| match stage.get(at.as_bytes()).map(|e| &e.kind) {
            Some(Kind::File { hard_link, .. }) => hard_link.clone(),
            _ => None,
        };
        assert_eq!(link_of("lib/tea/b"), None);
        assert_eq!(link_of("usr/c"), Some(path("lib/tea/b")));
        assert_eq!(link_of("lib/tea/tea.conf"), None);
    }
}
