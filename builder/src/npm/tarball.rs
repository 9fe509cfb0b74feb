//! The tarball of an npm package: a gzipped tar of one directory, whose name means nothing.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use crate::{
    digest::Digest,
    formats::{
        budget::{Budget, Limits},
        tar_in::{self, Dialect, TarError},
    },
    tree::{Entry, InvalidPath, Kind, Tree, TreePath},
};

/// Entries that a tarball may have; large ones have some 30 000.
const ENTRIES: u64 = 200_000;
/// Bytes that their paths may have together.
const HELD_BYTES: u64 = 32 << 20;

/// The limit of an unpacked tarball: the ratio of honest compression, and room for small ones.
const RATIO: u64 = 100;
const SLACK: u64 = 16 << 20;

/// A tarball that is damaged or hostile.
#[derive(Debug, thiserror::Error)]
pub enum TarballError {
    /// The fault of the tar in it.
    #[error("its tarball is refused")]
    Tar(#[from] TarError),
    /// An entry that no package needs.
    #[error("tar entry /{} {reason}", path.shown())]
    Entry {
        /// The entry.
        path: TreePath,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A path too long for a root.
    #[error("its tarball has an impossible path")]
    Path(#[from] InvalidPath),
}

/// Reads a tarball: its files and directories without the first part of their paths, with modes 0644 and
/// 0755, times 0 and owner 0. `add` is called with the contents of each file, and returns their digest.
pub(crate) fn read(
    bytes: &[u8],
    mut add: impl FnMut(&mut dyn Read) -> io::Result<Digest>,
) -> Result<Tree, TarballError> {
    let limit = (bytes.len() as u64).saturating_mul(RATIO).saturating_add(SLACK);
    let stream = Bounded { inner: MultiGzDecoder::new(bytes), left: limit };
    let limits = Limits { entries: ENTRIES, content_bytes: limit, held_bytes: HELD_BYTES };
    let budget = &mut Budget::of(limits);
    let (tree, _) = tar_in::read_tree_with(stream, Dialect::Npm, budget, |_, _, contents| add(contents))?;
    let mut out = Tree::new();
    for (path, entry) in tree {
        let Some(inner) = inner(&path)? else { continue };
        let refuse = |reason| TarballError::Entry { path: path.clone(), reason };
        let kept = match entry.kind {
            Kind::Directory => Entry::directory(0),
            Kind::File { digest, size_bytes, hard_link: None } => {
                Entry::file(digest, size_bytes, if entry.mode & 0o111 == 0 { 0o644 } else { 0o755 }, 0)
            }
            // npm lays no links.
            Kind::File { .. } => continue,
            Kind::Symlink { target } if stays_inside(&inner, &target) => continue,
            Kind::Symlink { .. } => return Err(refuse("is a link that leads out of the package")),
            Kind::Fifo | Kind::CharacterDevice { .. } | Kind::BlockDevice { .. } => {
                return Err(refuse("is neither file nor directory"));
            }
        };
        // Two first directories may have the same below them.
        if out
            .get(inner.as_bytes())
            .is_some_and(|there| !(there.kind.is_directory() && kept.kind.is_directory()))
        {
            return Err(refuse("is there twice"));
        }
        out.insert(inner, kept);
    }
    Ok(out)
}

/// Returns the tree of a package with the paths that it has in a root.
pub(super) fn moved(tree: Tree, directory: &TreePath) -> Result<Tree, TarballError> {
    let moved = tree.into_iter().map(|(path, entry)| Ok((directory.join(path.as_bytes())?, entry)));
    moved.collect()
}

/// Returns a path without its first part; `None` if it has no other.
fn inner(path: &TreePath) -> Result<Option<TreePath>, InvalidPath> {
    let slash = path.as_bytes().iter().position(|b| *b == b'/');
    slash.map(|slash| TreePath::new(&path.as_bytes()[slash..])).transpose()
}

fn stays_inside(link: &TreePath, target: &[u8]) -> bool {
    let mut depth = link.as_bytes().iter().filter(|b| **b == b'/').count();
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return false,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    !target.starts_with(b"/")
}

/// Ends with a fault where honest packages would have ended before.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let too_long =
            || io::Error::new(io::ErrorKind::FileTooLarge, "it unpacks to more than its size explains");
        self.left = self.left.checked_sub(count as u64).ok_or_else(too_long)?;
        Ok(count)
    }
}
