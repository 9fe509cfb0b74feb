//! Where tinyroot's own things lie in the tree that a grain boots.
//!
//! A *stage path* is one of the configured root; an *image path* is one of the tree that a grain boots, where the stage's `/var` lies
//! at `/tinyroot/var` as a skeleton. Pure names: nothing here reads a tree.

use std::borrow::Cow;

use crate::tree::TreePath;

/// A grain's first process, by its path inside. It copies the skeleton of `/var`, whatever is in it.
pub const INIT: &str = "/tinyroot/init";

/// The skeleton of a grain's `/var`, as an image path.
pub const SKELETON: &[u8] = b"tinyroot/var";

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

/// Returns the stage path of an image path: `tinyroot/var/x` is `var/x` there.
pub fn stage_path(path: &[u8]) -> Cow<'_, [u8]> {
    match path.strip_prefix(SKELETON) {
        Some(rest) if rest.is_empty() || rest.starts_with(b"/") => Cow::Owned([b"var", rest].concat()),
        _ => Cow::Borrowed(path),
    }
}

/// Returns the image path of a stage path: `var/x` lies at `tinyroot/var/x`.
pub fn furnished_path(path: &TreePath) -> TreePath {
    if !path.is_at_or_below(b"var") {
        return path.clone();
    }
    TreePath::new(&[b"tinyroot/", path.as_bytes()].concat()).unwrap_or_else(|_| path.clone())
}

/// Returns whether a stage path lies where only the package system and the host's own services use `/var`: no grain has it.
pub fn is_left_out(path: &TreePath) -> bool {
    LEFT_OUT.iter().any(|top| path.is_at_or_below(top.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_paths_of_the_skeleton() {
        for (furnished, stage) in [
            ("tinyroot/var/lib/x", "var/lib/x"),
            ("tinyroot/var", "var"),
            ("tinyroot/various", "tinyroot/various"),
            ("usr/bin/x", "usr/bin/x"),
        ] {
            assert_eq!(stage_path(furnished.as_bytes()), stage.as_bytes());
        }
    }
}
