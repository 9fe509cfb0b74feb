//! A root as a value: the entry at each path, with owner, mode, time and content digest.
//!
//! Comes in: entries, one by one, from .debs, directories, layers or the text form. Goes out: a
//! [`Tree`], in path order. A tree never holds file contents; a [`Digest`] names them and the
//! [`Store`](crate::store::Store) has them. Nothing here touches a file system.

mod escape;
mod globs;
mod links;
mod path;
mod text;

pub(crate) use escape::{escape, unescape};
pub use globs::{Globs, InvalidGlob};
pub use path::{InvalidPath, TreePath};
pub use text::{ParseError, parse_line, write_line};

use std::collections::{BTreeMap, btree_map};

use crate::digest::Digest;

/// The entry at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory. Its entries are separate entries of the tree.
    Directory,
    /// A regular file.
    File {
        /// SHA-256 of the contents.
        digest: Digest,
        /// Length of the contents.
        size_bytes: u64,
        /// The first path, in path order, of the hard-link group that this file belongs to;
        /// `None` for that first path itself and for a file with one name.
        hard_link: Option<TreePath>,
    },
    /// A symbolic link with its target, verbatim.
    Symlink {
        /// The target: any bytes but NUL, never empty.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A character device.
    CharacterDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

impl Kind {
    /// Returns true for a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self, Kind::Directory)
    }

    /// Returns whether it counts as a file, wherever files are counted: all but directories do, so links too, and
    /// each name of a file with several.
    pub fn counts_as_file(&self) -> bool {
        !self.is_directory()
    }

    /// Returns the digest and size of a regular file.
    pub fn content(&self) -> Option<(Digest, u64)> {
        match self {
            Kind::File { digest, size_bytes, .. } => Some((*digest, *size_bytes)),
            _ => None,
        }
    }
}

/// One path's kind and metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky (`07777`); no type bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in whole seconds since 1970.
    pub mtime_s: i64,
    /// Extended attributes by name, sorted.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Entry {
    /// Returns an entry that belongs to 0:0 and has no extended attributes.
    pub fn new(kind: Kind, mode: u32, mtime_s: i64) -> Self {
        Entry { kind, mode, uid: 0, gid: 0, mtime_s, xattrs: BTreeMap::new() }
    }

    /// Returns a directory of mode 0755.
    pub fn directory(mtime_s: i64) -> Self {
        Entry::new(Kind::Directory, 0o755, mtime_s)
    }

    /// Returns a symbolic link.
    pub fn symlink(target: impl Into<Vec<u8>>, mtime_s: i64) -> Self {
        Entry::new(Kind::Symlink { target: target.into() }, 0o777, mtime_s)
    }

    /// Returns a regular file.
    pub fn file(digest: Digest, size_bytes: u64, mode: u32, mtime_s: i64) -> Self {
        Entry::new(Kind::File { digest, size_bytes, hard_link: None }, mode, mtime_s)
    }
}

/// The entries of a root by path.
///
/// The root directory itself is the entry with the empty path. Paths sort by their bytes, so a
/// directory comes before its entries. A tree may lack parents; [`Tree::add_parents`] makes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<TreePath, Entry>,
}

impl Tree {
    /// Returns a tree without entries.
    pub fn new() -> Self {
        Tree::default()
    }

    /// Returns the entry at a path, following no links.
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Returns the entry at a path for change.
    pub fn get_mut(&mut self, path: &[u8]) -> Option<&mut Entry> {
        self.entries.get_mut(path)
    }

    /// Puts an entry at a path and returns the one that lay there.
    pub fn insert(&mut self, path: TreePath, entry: Entry) -> Option<Entry> {
        self.entries.insert(path, entry)
    }

    /// Takes one entry away; entries below a directory stay.
    pub fn remove(&mut self, path: &[u8]) -> Option<Entry> {
        self.entries.remove(path)
    }

    /// Takes a path and all below it away.
    pub fn remove_subtree(&mut self, path: &[u8]) {
        let doomed: Vec<TreePath> = self.subtree(path).map(|(p, _)| p.clone()).collect();
        for path in doomed {
            self.entries.remove(&path);
        }
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the entries in path order.
    pub fn iter(&self) -> btree_map::Iter<'_, TreePath, Entry> {
        self.entries.iter()
    }

    /// Returns the entries in path order, for change.
    pub fn iter_mut(&mut self) -> btree_map::IterMut<'_, TreePath, Entry> {
        self.entries.iter_mut()
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&TreePath, &Entry) -> bool) {
        self.entries.retain(|path, entry| keep(path, entry));
    }

    /// Returns a path's entry and all below it, in path order.
    pub fn subtree<'a>(&'a self, path: &[u8]) -> impl Iterator<Item = (&'a TreePath, &'a Entry)> {
        // Between a directory and what is in it may stand thousands of its neighbours: `a`, `a-b`, `a/b`.
        let own = self.entries.get_key_value(path).filter(|_| !path.is_empty());
        let below = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
        let start = std::ops::Bound::Included(&below[..]);
        let rest = self.entries.range::<[u8], _>((start, std::ops::Bound::Unbounded));
        own.into_iter().chain(rest.take_while(move |(p, _)| p.as_bytes().starts_with(&below)))
    }

    /// Returns the entries directly in a directory, in path order.
    pub fn children<'a>(&'a self, directory: &[u8]) -> impl Iterator<Item = (&'a TreePath, &'a Entry)> {
        let own = directory.to_vec();
        self.subtree(directory).filter(move |(p, _)| !p.is_root() && p.parent_bytes() == Some(&own[..]))
    }

    /// Adds directories of mode 0755 wherever an entry's parent is missing, the root included.
    pub fn add_parents(&mut self, mtime_s: i64) {
        let mut missing = Vec::new();
        let root = TreePath::root();
        let mut before = &root;
        for path in self.entries.keys() {
            for parent in path.ancestors() {
                // Entries of one directory follow each other, so it was looked at with the one before, and one that is
                // there had its own turn.
                let is_known = before.is_at_or_below(parent.as_bytes()) && *before != parent;
                if is_known || self.entries.contains_key(parent.as_bytes()) {
                    break;
                }
                missing.push(parent);
            }
            before = path;
        }
        for path in missing {
            self.entries.entry(path).or_insert_with(|| Entry::directory(mtime_s));
        }
    }

    /// Returns the target of `path` when every symbolic link on the way, and the last
    /// one, is followed inside this tree; absolute targets start again at the root, `..` stops
    /// there. `None` if a component is missing, is not a directory, or 40 links do not suffice
    /// (`path_resolution(7)`).
    ///
    /// `on_link` is called with each link on the way.
    pub fn resolve(&self, path: &[u8], mut on_link: impl FnMut(&TreePath)) -> Option<TreePath> {
        let mut pending: Vec<Vec<u8>> = path::components(path).rev().map(<[u8]>::to_vec).collect();
        let mut at = TreePath::root();
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == b".." {
                at = at.parent().unwrap_or_else(TreePath::root);
                continue;
            }
            if name == b"." {
                continue;
            }
            let next = at.join(&name).ok()?;
            match &self.entries.get(&next)?.kind {
                Kind::Symlink { target } => {
                    links += 1;
                    if links > 40 {
                        return None;
                    }
                    on_link(&next);
                    if target.first() == Some(&b'/') {
                        at = TreePath::root();
                    }
                    pending.extend(path::components(target).rev().map(<[u8]>::to_vec));
                }
                Kind::Directory => at = next,
                _ if pending.is_empty() => at = next,
                _ => return None,
            }
        }
        Some(at)
    }

    /// Returns the sum of the sizes of regular files, hard links counted once.
    pub fn size_bytes(&self) -> u64 {
        self.entries
            .values()
            .filter_map(|e| match &e.kind {
                Kind::File { size_bytes, hard_link: None, .. } => Some(*size_bytes),
                _ => None,
            })
            .sum()
    }

    /// Returns the text form: one line a path, sorted ([`write_line`]).
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for (path, entry) in &self.entries {
            write_line(&mut out, path, entry);
        }
        out
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`ParseError`] names the line.
    pub fn from_text(text: &str) -> Result<Self, ParseError> {
        let mut tree = Tree::new();
        for (index, line) in text.lines().enumerate() {
            let (path, entry) = parse_line(line).map_err(|error| error.at_line(index + 1))?;
            tree.insert(path, entry);
        }
        Ok(tree)
    }
}

impl FromIterator<(TreePath, Entry)> for Tree {
    fn from_iter<I: IntoIterator<Item = (TreePath, Entry)>>(items: I) -> Self {
        Tree { entries: items.into_iter().collect() }
    }
}

impl IntoIterator for Tree {
    type Item = (TreePath, Entry);
    type IntoIter = btree_map::IntoIter<TreePath, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text.as_bytes()).expect("a good path")
    }

    #[test]
    fn resolves_links_inside_the_tree() {
        let mut tree = Tree::new();
        tree.insert(path("bin"), Entry::symlink("usr/bin", 0));
        tree.insert(path("usr/bin/sh"), Entry::symlink("/../bin/dash", 0));
        tree.insert(path("usr/bin/dash"), Entry::file(Digest::of(b""), 0, 0o755, 0));
        tree.insert(path("loop"), Entry::symlink("loop", 0));
        tree.add_parents(0);
        let mut links = Vec::new();
        let end = tree.resolve(b"bin/sh", |p| links.push(p.to_string()));
        assert_eq!(end, Some(path("usr/bin/dash")));
        assert_eq!(links, ["bin", "usr/bin/sh", "bin"]);
        assert_eq!(tree.resolve(b"loop", |_| {}), None);
        assert_eq!(tree.resolve(b"bin/none", |_| {}), None);
        assert_eq!(tree.resolve(b"bin/dash/x", |_| {}), None);
    }

    #[test]
    fn children_and_subtrees_do_not_take_neighbours() {
        let mut tree = Tree::new();
        for name in ["a/b", "a/b/c", "a-b", "ab"] {
            tree.insert(path(name), Entry::directory(0));
        }
        tree.add_parents(0);
        let below: Vec<String> = tree.subtree(b"a").map(|(p, _)| p.to_string()).collect();
        assert_eq!(below, ["a", "a/b", "a/b/c"]);
        let top: Vec<String> = tree.children(b"").map(|(p, _)| p.to_string()).collect();
        assert_eq!(top, ["a", "a-b", "ab"]);
    }

    #[test]
    fn each_missing_parent_is_added_once_wherever_it_is() {
        let mut tree = Tree::new();
        for name in ["a-b/c", "a/b/c/d", "a/b/e", "a/b/c", "x/y/z"] {
            tree.insert(path(name), Entry::directory(0));
        }
        tree.add_parents(5);
        let added: Vec<String> =
            tree.iter().filter(|(_, entry)| entry.mtime_s == 5).map(|(p, _)| p.to_string()).collect();
        assert_eq!(added, ["", "a", "a-b", "a/b", "x", "x/y"]);
        // As many as a tar may have below a directory that it leaves out, with as long a path as there can be.
        let deep = "d/".repeat(2000);
        let mut tree: Tree =
            (0..5000).map(|index| (path(&format!("{deep}{index}")), Entry::directory(0))).collect();
        tree.add_parents(0);
        assert_eq!(tree.len(), 7001);
    }

    #[test]
    fn text_form_round_trips() {
        let mut tree = Tree::new();
        let mut odd = Entry::file(Digest::of(b"hi\n"), 3, 0o4755, 1_700_000_000);
        odd.uid = 33;
        odd.xattrs.insert(b"security.capability".to_vec(), vec![1, 0, 255]);
        tree.insert(TreePath::new(b"a b\\\xff\n").expect("good"), odd);
        tree.insert(path("l"), Entry::symlink("x y", -1));
        tree.insert(path("n"), Entry::new(Kind::CharacterDevice { major: 1, minor: 3 }, 0o666, 0));
        tree.add_parents(5);
        let text = tree.to_text();
        assert_eq!(Tree::from_text(&text), Ok(tree));
    }
}
