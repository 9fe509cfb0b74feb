//! The paths of an image that an app reaches by links in a grain's `/var`.
//!
//! Such a link looks as if it were the grain's own, so that a write to what it leads to is worth a word; a
//! write elsewhere in the root never succeeded on any machine's read-only `/usr` either.

use std::collections::BTreeMap;

use crate::{
    layout::{ImagePath, SKELETON},
    tree::{Kind, Tree, TreePath},
};

/// The places in the root that links of the skeleton lead to, with those links.
pub struct Linked(BTreeMap<ImagePath, ImagePath>);

impl Linked {
    /// Looks through an image tree.
    pub fn of(tree: &Tree) -> Self {
        let links = tree.subtree(SKELETON).filter_map(|(path, entry)| {
            let Kind::Symlink { target } = &entry.kind else { return None };
            let link = ImagePath::in_image(path.clone());
            Some((ImagePath::in_image(target_in(tree, &link.to_stage(), target)?), link))
        });
        Linked(links.collect())
    }

    /// Returns the path below `/var` by which an app comes to a path: the file or directory of the skeleton
    /// itself, or the link that leads to it or above it.
    pub fn find(&self, path: &ImagePath) -> Option<ImagePath> {
        if path.is_of_var() {
            return Some(path.clone());
        }
        let above = std::iter::once(path.clone()).chain(path.in_tree().ancestors().map(ImagePath::in_image));
        above.filter_map(|at| self.0.get(&at)).next().cloned()
    }
}

/// Returns where in the root a link leads, whose stage path lies below `/var`; `None` if to `/var` itself,
/// another mount of a grain, or nowhere.
pub(super) fn target_in(tree: &Tree, link: &TreePath, target: &[u8]) -> Option<TreePath> {
    let mut parts: Vec<&[u8]> = match target.starts_with(b"/") {
        true => Vec::new(),
        false => link.parent_bytes().unwrap_or_default().split(|b| *b == b'/').collect(),
    };
    // Below /var there are directories only on the way to a link, so that `..` is the name before it.
    for part in target.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        match part {
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = tree.resolve(&parts.join(&b"/"[..]), |_| {})?;
    let mounts = ["dev", "proc", "run", "sys", "tmp", "var"];
    let is_own = end.as_bytes().is_empty() || mounts.iter().any(|top| end.is_at_or_below(top.as_bytes()));
    (!is_own).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::Digest, tree::Entry};

    #[test]
    fn paths_behind_links_of_var_are_found() {
        let path = |text: &str| TreePath::new(text.as_bytes()).expect("a good path");
        let mut tree = Tree::new();
        for at in ["tinyroot/var/lib/tea/count", "usr/share/tea/data/x", "usr/share/tea/one", "usr/lib/y"] {
            tree.insert(path(at), Entry::file(Digest::of(b"x"), 1, 0o644, 0));
        }
        for (at, target) in [
            ("tinyroot/var/lib/tea/data", "/share/tea/data"),
            ("tinyroot/var/lib/tea/one", "../../../usr/share/tea/./one"),
            ("tinyroot/var/lib/tea/own", "/var/lib/tea"),
            ("tinyroot/var/lib/tea/away", "/nowhere"),
            ("share", "usr/share"),
        ] {
            tree.insert(path(at), Entry::symlink(target, 0));
        }
        tree.add_parents(0);
        tree.insert(path("var"), Entry::directory(0));
        let linked = Linked::of(&tree);
        for (at, expected) in [
            ("tinyroot/var/lib/tea/count", Some("var/lib/tea/count")),
            ("tinyroot/var/lib/tea", Some("var/lib/tea")),
            ("usr/share/tea/data", Some("var/lib/tea/data")),
            ("usr/share/tea/data/x", Some("var/lib/tea/data")),
            ("usr/share/tea/one", Some("var/lib/tea/one")),
            ("usr/share/tea", None),
            ("usr/lib/y", None),
            ("tinyroot/init", None),
        ] {
            let found = linked.find(&ImagePath::in_image(path(at)));
            assert_eq!(found, expected.map(|stage| ImagePath::of_stage(&path(stage))), "{at}");
        }
    }
}
