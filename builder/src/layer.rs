//! The difference of two trees, as changes that turn one into the other.
//!
//! Comes in: two trees, before and after. Goes out: a [`Layer`] that makes the second of the
//! first, and can itself be kept as a tree. Pure.

use crate::tree::{Entry, Kind, Tree, TreePath};

/// The changes that make one tree of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Entries that are new or differ in anything.
    pub changed: Tree,
    /// Paths that are gone, each one of them, in path order.
    pub removed: Vec<TreePath>,
}

/// Returns the changes from `base` to `now`.
pub fn between(base: &Tree, now: &Tree) -> Layer {
    let differs = |(path, entry): &(&TreePath, &Entry)| base.get(path.as_bytes()) != Some(*entry);
    Layer {
        changed: now.iter().filter(differs).map(|(path, entry)| (path.clone(), entry.clone())).collect(),
        removed: base
            .iter()
            .filter(|(path, _)| now.get(path.as_bytes()).is_none())
            .map(|(path, _)| path.clone())
            .collect(),
    }
}

impl Layer {
    /// Returns `base` with the changes made. For the base that the layer was taken from, that is
    /// exactly the other tree.
    pub fn apply(&self, base: &Tree) -> Tree {
        let mut tree = base.clone();
        for path in &self.removed {
            tree.remove(path.as_bytes());
        }
        for (path, entry) in self.changed.iter() {
            tree.insert(path.clone(), entry.clone());
        }
        tree
    }

    /// Returns true if nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }

    /// Returns the layer as one tree, in which a removed path is a character device 0:0, as in
    /// overlayfs; a real root cannot hold such a device.
    pub fn to_tree(&self) -> Tree {
        let mut tree = self.changed.clone();
        for path in &self.removed {
            tree.insert(path.clone(), Entry::new(WHITEOUT, 0, 0));
        }
        tree
    }

    /// Returns the layer that [`Layer::to_tree`] made a tree of.
    pub fn from_tree(tree: Tree) -> Self {
        let mut layer = Layer::default();
        for (path, entry) in tree {
            if entry.kind == WHITEOUT {
                layer.removed.push(path);
            } else {
                layer.changed.insert(path, entry);
            }
        }
        layer
    }
}

const WHITEOUT: Kind = Kind::CharacterDevice { major: 0, minor: 0 };

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::from_text(text).expect("a good tree")
    }

    #[test]
    fn a_layer_makes_one_tree_of_the_other() {
        let base = tree(
            "/ dir 0755 0:0 1\n/a dir 0755 0:0 1\n/a/b link 0777 0:0 1 c\n/a-x fifo 0644 0:0 1\n/d dir 0755 0:0 1\n/d/e fifo 0600 0:0 1\n",
        );
        let now = tree("/ dir 0755 0:0 1\n/a link 0777 0:0 1 d\n/a-x fifo 0600 0:0 1\n/f dir 0755 0:0 1\n");
        let layer = between(&base, &now);
        let removed: Vec<String> = layer.removed.iter().map(ToString::to_string).collect();
        assert_eq!(removed, ["a/b", "d", "d/e"]);
        assert_eq!(
            layer.changed.to_text(),
            "/a link 0777 0:0 1 d\n/a-x fifo 0600 0:0 1\n/f dir 0755 0:0 1\n"
        );
        assert_eq!(layer.apply(&base), now);
        assert_eq!(Layer::from_tree(layer.to_tree()), layer);
        assert!(between(&now, &now).is_empty());
    }
}
