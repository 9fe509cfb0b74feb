//! Where tinyroot's own things lie in the tree that a grain boots.
//!
//! A *stage path* is one of the configured root; an *image path* is one of the tree that a grain boots, where
//! the stage's `/var` lies at `/tinyroot/var` as a skeleton. A stage path is a [`TreePath`], an image path an
//! [`ImagePath`], so that the one cannot be taken for the other. Pure names: nothing here reads a tree.

use std::fmt;

use crate::tree::TreePath;

/// A grain's first process, by its path inside. It copies the skeleton of `/var`, whatever is in it.
pub const INIT: &str = "/tinyroot/init";

/// The skeleton of a grain's `/var`, as an image path.
pub const SKELETON: &[u8] = b"tinyroot/var";

/// The directories, with a slash, that a merged `/usr` made links of (Debian bug 978636).
pub const MERGED: [&str; 7] = ["bin/", "sbin/", "lib/", "lib32/", "lib64/", "libo32/", "libx32/"];

/// Subtrees of `/var` that only the package system and the host's own services use.
const LEFT_OUT: [&str; 16] = [
    "var/backups",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/lib/misc",
    "var/lib/pam",
    "var/lib/polkit-1",
    "var/lib/python",
    "var/lib/shells.state",
    "var/lib/systemd",
    "var/lib/ucf",
    "var/lock",
    "var/run",
    "var/tinyroot",
    "var/tmp",
];

/// A path of the tree that a grain boots.
///
/// What was pruned, and what a view records, is named by these; recipes, `used.list`, `prune.list` and
/// reports of misses have stage paths. Nothing turns one kind into the other but [`ImagePath::of_stage`] and
/// [`ImagePath::to_stage`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath(TreePath);

impl ImagePath {
    /// Returns where a stage path lies in the image: `var/x` at `tinyroot/var/x`, all else as it is.
    pub fn of_stage(path: &TreePath) -> Self {
        if !path.is_at_or_below(b"var") {
            return ImagePath(path.clone());
        }
        let below = TreePath::new(&[b"tinyroot/", path.as_bytes()].concat());
        ImagePath(below.unwrap_or_else(|_| path.clone()))
    }

    /// Takes a path as it stands in the tree of an image.
    pub fn in_image(path: TreePath) -> Self {
        ImagePath(path)
    }

    /// Returns the stage path: `tinyroot/var/x` is `var/x` there.
    pub fn to_stage(&self) -> TreePath {
        match self.0.as_bytes().strip_prefix(SKELETON) {
            Some(rest) if rest.is_empty() || rest.starts_with(b"/") => {
                TreePath::new(&[b"var", rest].concat()).unwrap_or_else(|_| self.0.clone())
            }
            _ => self.0.clone(),
        }
    }

    /// Returns whether it is part of the skeleton of `/var`.
    pub fn is_of_var(&self) -> bool {
        self.0.is_at_or_below(SKELETON)
    }

    /// Returns the path as it stands in the tree of the image.
    pub fn in_tree(&self) -> &TreePath {
        &self.0
    }

    /// Returns its bytes, without a slash at the beginning.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns whether a stage path lies where only the package system and the host's own services use `/var`: no
/// grain has it.
pub fn is_left_out(path: &TreePath) -> bool {
    LEFT_OUT.iter().any(|top| path.is_at_or_below(top.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn var_lies_elsewhere_in_the_image() {
        let path = |text: &str| TreePath::new(text.as_bytes()).expect("a good path");
        for (image, stage) in [
            ("tinyroot/var/lib/x", "var/lib/x"),
            ("tinyroot/var", "var"),
            ("tinyroot/various", "tinyroot/various"),
            ("various", "various"),
            ("usr/bin/x", "usr/bin/x"),
        ] {
            assert_eq!(ImagePath::in_image(path(image)).to_stage(), path(stage));
            assert_eq!(ImagePath::of_stage(&path(stage)).in_tree(), &path(image));
        }
    }
}
