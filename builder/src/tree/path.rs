//! Paths inside a root.

use std::{borrow::Borrow, ffi::OsStr, fmt, os::unix::ffi::OsStrExt, path::Path};

use crate::shown;

/// A path inside a root: relative, normal, in bytes.
///
/// Never has a leading, trailing or double slash, a `.` or `..` component, or a NUL; the empty
/// path is the root itself. It prints with `\` and bytes that are not printable ASCII or UTF-8
/// text escaped as `\xHH`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath(Vec<u8>);

/// A path that cannot name an entry of a root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path `{}` {reason}", shown::path(&path.escape_ascii().to_string()))]
pub struct InvalidPath {
    /// The path as it came.
    pub path: Vec<u8>,
    /// The rule that it breaks.
    pub reason: &'static str,
}

/// Returns the components of a path or link target, empty ones left out.
pub(super) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|c| !c.is_empty())
}

impl TreePath {
    /// Returns the root's own path.
    pub fn root() -> Self {
        TreePath(Vec::new())
    }

    /// Reads a path from outside: leading `/` or `./`, trailing and double slashes and `.`
    /// components are dropped.
    ///
    /// # Errors
    /// `..` components, NULs, names over 255 and paths over 4095 bytes (`path_resolution(7)`) are refused.
    pub fn new(path: &[u8]) -> Result<Self, InvalidPath> {
        let fail = |reason| InvalidPath { path: path.to_vec(), reason };
        let mut out = Vec::with_capacity(path.len());
        for component in components(path) {
            match component {
                b"." => continue,
                b".." => return Err(fail("has a `..` component")),
                _ if component.contains(&0) => return Err(fail("has a NUL byte")),
                _ if component.len() > 255 => return Err(fail("has a name longer than 255 bytes")),
                _ => {}
            }
            if !out.is_empty() {
                out.push(b'/');
            }
            out.extend_from_slice(component);
        }
        if out.len() > 4095 {
            return Err(fail("is longer than 4095 bytes"));
        }
        Ok(TreePath(out))
    }

    /// Returns the path of `name` in this directory.
    ///
    /// # Errors
    /// As [`TreePath::new`].
    pub fn join(&self, name: &[u8]) -> Result<Self, InvalidPath> {
        let mut joined = self.0.clone();
        joined.push(b'/');
        joined.extend_from_slice(name);
        TreePath::new(&joined)
    }

    /// Returns the bytes, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the path as a relative host path.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Returns the path as an error shows it: of a long one start and end.
    pub fn shown(&self) -> String {
        shown::path(&self.to_string()).into_owned()
    }

    /// Returns true for the root's own path.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the directory that this path lies in; `None` for the root.
    pub fn parent(&self) -> Option<TreePath> {
        self.parent_bytes().map(|bytes| TreePath(bytes.to_vec()))
    }

    /// Returns the bytes of the directory that this path lies in; `None` for the root.
    pub fn parent_bytes(&self) -> Option<&[u8]> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => &self.0[..slash],
            None => &[],
        })
    }

    /// Returns the last component; empty for the root.
    pub fn file_name(&self) -> &[u8] {
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => &self.0[slash + 1..],
            None => &self.0,
        }
    }

    /// Returns the directories above, nearest first, the root last.
    pub fn ancestors(&self) -> impl Iterator<Item = TreePath> {
        std::iter::successors(self.parent(), TreePath::parent)
    }

    /// Returns true if this path is `directory` or lies below it.
    pub fn is_at_or_below(&self, directory: &[u8]) -> bool {
        directory.is_empty()
            || (self.0.starts_with(directory) && matches!(self.0.get(directory.len()), None | Some(b'/')))
    }
}

impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::escape(&self.0))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
