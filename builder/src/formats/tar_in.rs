//! Reading tar streams as trees.
//!
//! A `data.tar` that dpkg accepts is accepted: ustar and GNU headers (`tar(5)`) with GNU long
//! names (`L`, `K`). PAX headers are read too, though dpkg refuses them, because other tars come
//! along: `path`, `linkpath`, `uid`, `gid`, `mtime`, `SCHILY.xattr.*`. Refused, because readers
//! disagree about them and one could be shown another tree than dpkg's: multi-volume members, a PAX
//! `size` that differs from the header's, global PAX records that set something for all entries, links
//! and directories with contents, a path below a link or file of the same stream; in a .deb also sparse
//! members, and a name twice.
//!
//! What others write and dpkg does not ([`Dialect::Any`]): empty numeric fields are 0, contiguous files
//! are files, labels of volumes say nothing, sparse files have zeros where nothing is stored
//! ([`sparse`]), of two files of one name the later one counts, as when tars are appended to.
//!
//! [`members`] cuts the stream; extensions are read in [`extension`].

mod extension;
mod members;
mod sparse;

use std::{
    collections::BTreeMap,
    io::{self, Read},
    ops::Range,
};

use tar::{EntryType, Header};

use super::budget::{Budget, Limits, TooMuch};
use crate::digest::Digest;
use crate::tree::{Entry, InvalidPath, Kind, Tree, TreePath};
use extension::Extension;
use members::{Members, number_or_zero};

/// Whose tars are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// dpkg's.
    #[default]
    Dpkg,
    /// npm's, which leaves owners empty (all then belongs to 0:0, whatever the fields hold), and of which
    /// some hold a file twice; as when npm unpacks it, the later one counts.
    Npm,
    /// Those of GNU tar, bsdtar, star and container engines.
    Any,
}

/// Returns the budget of a part of a .deb. The largest packages of Debian have some 100,000 entries.
pub fn deb_budget(content_bytes: u64) -> Budget {
    Budget::of(Limits { entries: 500_000, content_bytes, held_bytes: 64 << 20 })
}

/// A tar stream that is damaged, hostile, or of a kind that is not read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream breaks off, or is not a tar.
    #[error("cannot read the tar stream")]
    Stream(#[from] io::Error),
    /// A path that cannot lie in a root.
    #[error("the tar stream has an impossible entry")]
    Path(#[from] InvalidPath),
    /// An entry that is refused.
    #[error("tar entry /{} {reason}", path.shown())]
    Entry {
        /// The entry.
        path: TreePath,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// An extension header that is refused.
    #[error("a tar extension header {0}")]
    Extension(&'static str),
    /// More than the budget allows.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// Returns whether bytes begin as a tar does. 512 are enough.
pub fn begins(start: &[u8]) -> bool {
    members::begins(start)
}

/// Reads a tar stream as a tree; contents are digested and dropped.
///
/// # Errors
/// As [`read_tree_with`].
pub fn read_tree(reader: impl Read, dialect: Dialect, budget: &mut Budget) -> Result<Tree, TarError> {
    read_tree_with(reader, dialect, budget, |_, _, contents| Ok(Digest::of_reader(contents)?.0))
        .map(|(tree, _)| tree)
}

/// Reads a tar stream as a tree and gives the reader back, which stands behind the last member.
///
/// `contents` is given each regular file's path, the place of its contents in the stream (shorter than the file
/// for a sparse one), and a reader; it must read them to the end, and returns their digest. Parents that the
/// stream leaves out stay left out. All is charged to the budget, which may be that of several streams: members,
/// extension headers among them, contents, what the tree keeps, and the parents that it lacks.
///
/// # Errors
/// [`TarError`], as soon as a fault is seen; contents that were passed to `contents` before are then void.
pub fn read_tree_with<R: Read>(
    reader: R,
    dialect: Dialect,
    budget: &mut Budget,
    mut contents: impl FnMut(&TreePath, Range<u64>, &mut dyn Read) -> io::Result<Digest>,
) -> Result<(Tree, R), TarError> {
    let mut members = Members::new(reader);
    let mut state = State { tree: Tree::new(), dialect, budget, linked: BTreeMap::new() };
    let mut extension = Extension::default();
    while let Some(header) = members.next()? {
        state.budget.entry()?;
        if extension.read(&header, &mut members, dialect, state.budget)? {
            continue;
        }
        // The label of a volume (GNU tar).
        if header.entry_type().as_byte() == b'V' && dialect == Dialect::Any {
            continue;
        }
        state.add(&header, std::mem::take(&mut extension), &mut members, &mut contents)?;
    }
    if !extension.is_empty() {
        return Err(TarError::Extension("describes no entry"));
    }
    state.check_parents()?;
    state.share_metadata();
    let mut tree = state.tree;
    tree.regroup_hard_links();
    Ok((tree, members.into_inner()))
}

struct State<'b> {
    tree: Tree,
    dialect: Dialect,
    budget: &'b mut Budget,
    /// For each file that hard links name: the last of these.
    linked: BTreeMap<TreePath, TreePath>,
}

impl State<'_> {
    /// Gives all names of a file the owner, mode and time of the last one in the stream, which is
    /// as dpkg leaves it; honest streams have the same for all.
    fn share_metadata(&mut self) {
        let last: BTreeMap<&TreePath, Entry> = self
            .linked
            .iter()
            .filter_map(|(first, last)| Some((first, self.tree.get(last.as_bytes())?.clone())))
            .collect();
        for (path, entry) in self.tree.iter_mut() {
            let Kind::File { hard_link, .. } = &entry.kind else { continue };
            if let Some(last) = last.get(hard_link.as_ref().unwrap_or(path)) {
                *entry = Entry { kind: entry.kind.clone(), ..last.clone() };
            }
        }
    }

    fn add<R: Read>(
        &mut self,
        header: &Header,
        extension: Extension,
        members: &mut Members<R>,
        contents: &mut impl FnMut(&TreePath, Range<u64>, &mut dyn Read) -> io::Result<Digest>,
    ) -> Result<(), TarError> {
        let name = extension.path.clone().unwrap_or_else(|| header.path_bytes().into_owned());
        let path = TreePath::new(&name)?;
        self.budget.held(path.as_bytes().len())?;
        let refuse = |reason| TarError::Entry { path: path.clone(), reason };
        let size_bytes = members.body_bytes();
        if extension.size.is_some_and(|size| size != size_bytes) {
            return Err(refuse("has two sizes"));
        }
        let is_any = self.dialect == Dialect::Any;
        let kind = match header.entry_type() {
            EntryType::GNUSparse if is_any => {
                let map = sparse::of_header(header, members, self.budget)?;
                self.file(&path, Some(map), members, contents)?
            }
            // A name that ends in a slash is a directory's in tars older than types.
            EntryType::Regular if !name.ends_with(b"/") => {
                let map = extension.sparse.as_ref().map(|sparse| sparse.map(members, self.budget));
                self.file(&path, map.transpose()?, members, contents)?
            }
            EntryType::Continuous if is_any => self.file(&path, None, members, contents)?,
            _ if size_bytes != 0 => return Err(refuse("has contents but is not a file")),
            EntryType::Regular | EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink { target: extension.target(header, &path)? },
            EntryType::Link => {
                let target = TreePath::new(&extension.target(header, &path)?)?;
                // A file that was named twice, and has further names elsewhere (GNU tar).
                if target == path && is_any && self.tree.get(path.as_bytes()).is_some() {
                    return Ok(());
                }
                self.link(&path, &target)?
            }
            EntryType::Fifo => Kind::Fifo,
            kind @ (EntryType::Char | EntryType::Block) => {
                let device = |field, read: io::Result<Option<u32>>| {
                    number_or_zero(header, field, read.map(|number| number.unwrap_or(0).into()))
                };
                let major = device(members::MAJOR, header.device_major())? as u32;
                let minor = device(members::MINOR, header.device_minor())? as u32;
                match kind {
                    EntryType::Char => Kind::CharacterDevice { major, minor },
                    _ => Kind::BlockDevice { major, minor },
                }
            }
            _ => return Err(refuse("is of a kind that is not read")),
        };
        if path.as_bytes().iter().filter(|byte| **byte == b'/').count() > Budget::DIRECTORIES {
            return Err(refuse("lies below more than 256 directories"));
        }
        if path.is_root() && !kind.is_directory() {
            return Err(refuse("is not a directory"));
        }
        let entry = extension.metadata(header, kind, &path, self.dialect)?;
        for (name, value) in &entry.xattrs {
            self.budget.held(name.len() + value.len())?;
        }
        match &entry.kind {
            Kind::Symlink { target } => self.budget.held(target.len())?,
            Kind::File { hard_link: Some(first), .. } => self.budget.held(first.as_bytes().len())?,
            _ => {}
        }
        self.insert(path, entry)
    }

    /// Puts an entry in its place. What may be there already is a directory, or, but for dpkg, an earlier version of
    /// the file.
    fn insert(&mut self, path: TreePath, entry: Entry) -> Result<(), TarError> {
        let kinds = self.tree.get(path.as_bytes()).map(|before| (&before.kind, &entry.kind));
        let may_follow = match (kinds, self.dialect) {
            (None, _) => true,
            (Some((before, after)), _) if before.is_directory() && after.is_directory() => true,
            (Some(_), Dialect::Dpkg) => false,
            (Some((before, after)), Dialect::Npm) => before.content().is_some() && after.content().is_some(),
            // The other names of a file would keep its earlier contents.
            (Some((before, after)), Dialect::Any) => {
                let is_linked = matches!(before, Kind::File { hard_link: Some(_), .. });
                let is_linked = is_linked || self.linked.contains_key(&path);
                !before.is_directory() && !after.is_directory() && !is_linked
            }
        };
        if !may_follow {
            return Err(TarError::Entry { path, reason: "is there twice" });
        }
        self.tree.insert(path, entry);
        Ok(())
    }

    /// Reads the contents of a file.
    fn file<R: Read>(
        &mut self,
        path: &TreePath,
        sparse: Option<sparse::Map>,
        members: &mut Members<R>,
        contents: &mut impl FnMut(&TreePath, Range<u64>, &mut dyn Read) -> io::Result<Digest>,
    ) -> Result<Kind, TarError> {
        let stored_bytes = members.body_bytes();
        let offset = members.position();
        let size_bytes = sparse.as_ref().map_or(stored_bytes, |map| map.size_bytes);
        self.budget.bytes(size_bytes)?;
        let place = offset..offset + stored_bytes;
        let mut body = Counted { inner: members.body(), count: 0 };
        let (digest, count) = match sparse {
            None => (contents(path, place, &mut body)?, body.count),
            Some(map) => {
                if map.stored_bytes() != stored_bytes {
                    let reason = "is a sparse file whose map does not fit its contents";
                    return Err(TarError::Entry { path: path.clone(), reason });
                }
                let mut whole = Counted { inner: map.reader(body), count: 0 };
                (contents(path, place, &mut whole)?, whole.count)
            }
        };
        if count != size_bytes {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Kind::File { digest, size_bytes, hard_link: None })
    }

    /// Returns the kind of another name of an entry.
    fn link(&mut self, path: &TreePath, target: &TreePath) -> Result<Kind, TarError> {
        match self.tree.get(target.as_bytes()).map(|entry| &entry.kind) {
            Some(Kind::File { digest, size_bytes, hard_link }) => {
                let first = hard_link.as_ref().unwrap_or(target).clone();
                let kind =
                    Kind::File { digest: *digest, size_bytes: *size_bytes, hard_link: Some(first.clone()) };
                self.linked.insert(first, path.clone());
                Ok(kind)
            }
            // Of these a tree keeps each name by itself.
            Some(kind) if !kind.is_directory() => Ok(kind.clone()),
            _ => Err(TarError::Entry {
                path: path.clone(),
                reason: "is a hard link to nothing that is before it in the archive",
            }),
        }
    }

    /// Refuses entries below others that are no directories, and charges the parents that are left out: they are
    /// entries as soon as somebody adds them, and one path can have two thousand.
    fn check_parents(&mut self) -> Result<(), TarError> {
        let mut before: &[u8] = &[];
        for (path, _) in self.tree.iter() {
            let mut parent = path.as_bytes();
            while let Some(slash) = parent.iter().rposition(|byte| *byte == b'/') {
                parent = &parent[..slash];
                // Entries of one directory follow each other, so it was looked at with the one before.
                if before.starts_with(parent) && before.get(slash) == Some(&b'/') {
                    break;
                }
                match self.tree.get(parent) {
                    None => {
                        self.budget.entry()?;
                        self.budget.held(parent.len())?;
                    }
                    // Its own parents were looked at when its turn came.
                    Some(entry) if entry.kind.is_directory() => break,
                    Some(_) => {
                        let reason = "lies below another entry that is not a directory";
                        return Err(TarError::Entry { path: path.clone(), reason });
                    }
                }
            }
            before = path.as_bytes();
        }
        Ok(())
    }
}

struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
