//! The archive message: a tree, its contents included.

use std::collections::BTreeSet;

use super::{EntryRule, MAX_ARCHIVE_BYTES, MAX_DIRECTORIES, MAX_FILE_BYTES, MAX_NAME_BYTES, SpkError};
use crate::{
    digest::Digest,
    formats::capnp::{CapnpError, Message, Source, Span, StructList, Value, Written, write},
    shown,
    tree::{Entry, Kind, Tree, TreePath},
};

const NS_PER_S: i64 = 1_000_000_000;
/// Link targets and paths beyond `PATH_MAX` cannot be made.
const MAX_PATH_BYTES: usize = 4095;

/// Most entries of an archive that is read or written: in memory each takes some 700 bytes, and in the archive it may be
/// 16. Real ones have some ten thousand, and apps with all that npm brings 60 000.
const MAX_ENTRIES: usize = 200_000;
/// Most bytes of all paths together: in the archive an entry has its name alone, and 16 bytes may be one with
/// a path of 4095.
const MAX_PATHS_BYTES: usize = 16 << 20;

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where.
    pub path: TreePath,
    /// The kind.
    pub kind: ItemKind,
    /// When it was last changed, in nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// The kinds of entries of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A regular file.
    File {
        /// Where its contents lie in the source.
        span: Span,
        /// Mode 0777 rather than 0666, less the umask.
        executable: bool,
    },
    /// A symbolic link with its target.
    Symlink(Vec<u8>),
    /// A directory.
    Directory,
}

/// A file whose place in the archive the packer may choose.
#[derive(Clone, Copy, Debug)]
pub struct LateContent<'a> {
    /// Where it lies in the tree.
    pub path: &'a TreePath,
    /// Its contents.
    pub digest: Digest,
    /// How much.
    pub size_bytes: u64,
}

/// An archive message, laid out. Its contents are numbered; their digests are here.
#[derive(Clone, Debug)]
pub struct WrittenArchive {
    /// The layout.
    pub message: Written,
    /// Digest of each [`Piece::Content`](crate::formats::capnp::Piece), by its id.
    pub contents: Vec<Digest>,
}

/// Lays out a tree as an archive message: names and contents in preorder, then the contents which `rank`
/// gives more than 0, by rank and in preorder.
///
/// The tree must have all parents ([`Tree::add_parents`]). Owners, mode bits but the owner's execute bit, and
/// extended attributes are not part of the format. Hard links become copies.
///
/// # Errors
/// [`SpkError`]: an entry that no installer takes is refused here, before the package is signed.
pub fn write_archive(tree: &Tree, rank: impl Fn(LateContent<'_>) -> u32) -> Result<WrittenArchive, SpkError> {
    let mut writer = Writer { tree, rank, contents: Vec::new(), entries: 0, paths_bytes: 0, size_bytes: 0 };
    let files = writer.directory(&TreePath::root(), 0)?;
    if writer.entries != tree.iter().filter(|(path, _)| !path.is_root()).count() {
        return Err(stray(tree));
    }
    let message = write(&Value::Struct { data: Vec::new(), pointers: vec![files] });
    if message.size_bytes > MAX_ARCHIVE_BYTES {
        return Err(SpkError::TooLarge { size_bytes: message.size_bytes });
    }
    Ok(WrittenArchive { message, contents: writer.contents })
}

/// Names an entry without a parent directory.
fn stray(tree: &Tree) -> SpkError {
    let lost = |path: &TreePath| {
        path.ancestors()
            .any(|a| !a.is_root() && !tree.get(a.as_bytes()).is_some_and(|e| e.kind.is_directory()))
    };
    let path = tree.iter().map(|(path, _)| path).find(|path| lost(path));
    fail(path.unwrap_or(&TreePath::root()), EntryRule::NotInDirectory)
}

fn fail(path: &TreePath, rule: EntryRule) -> SpkError {
    SpkError::Entry { path: path.shown(), rule }
}

struct Writer<'a, F> {
    tree: &'a Tree,
    rank: F,
    contents: Vec<Digest>,
    entries: usize,
    paths_bytes: usize,
    size_bytes: u64,
}

impl<F: Fn(LateContent<'_>) -> u32> Writer<'_, F> {
    fn directory(&mut self, path: &TreePath, depth: usize) -> Result<Value, SpkError> {
        let mut elements = Vec::new();
        let tree = self.tree;
        for (child, entry) in tree.children(path.as_bytes()) {
            if depth > MAX_DIRECTORIES {
                return Err(fail(child, EntryRule::Nesting));
            }
            self.paths_bytes += child.as_bytes().len();
            if self.entries >= MAX_ENTRIES || self.paths_bytes > MAX_PATHS_BYTES {
                return Err(SpkError::TooMany { entries: self.entries });
            }
            self.entries += 1;
            elements.push(self.element(child, entry, depth)?);
        }
        if elements.is_empty() {
            return Ok(Value::Null);
        }
        Ok(Value::StructList { data_words: 2, pointer_words: 2, elements })
    }

    fn element(
        &mut self,
        path: &TreePath,
        entry: &Entry,
        depth: usize,
    ) -> Result<(Vec<u64>, Vec<Value>), SpkError> {
        let (tag, content) = match &entry.kind {
            Kind::File { digest, size_bytes, .. } => {
                (u64::from(entry.mode & 0o100 != 0), self.file(path, *digest, *size_bytes)?)
            }
            Kind::Symlink { target } => {
                check_target(target).map_err(|rule| fail(path, rule))?;
                (2, Value::Text(target.clone()))
            }
            Kind::Directory => (3, self.directory(path, depth + 1)?),
            Kind::Fifo | Kind::CharacterDevice { .. } | Kind::BlockDevice { .. } => {
                return Err(fail(path, EntryRule::Special));
            }
        };
        let mtime_ns =
            entry.mtime_s.max(0).checked_mul(NS_PER_S).ok_or_else(|| fail(path, EntryRule::Time))?;
        let name = Value::Text(path.file_name().to_vec());
        Ok((vec![tag, mtime_ns as u64], vec![name, content]))
    }

    fn file(&mut self, path: &TreePath, digest: Digest, size_bytes: u64) -> Result<Value, SpkError> {
        if size_bytes > MAX_FILE_BYTES {
            return Err(fail(path, EntryRule::LargeFile));
        }
        self.size_bytes += size_bytes;
        if self.size_bytes > MAX_ARCHIVE_BYTES {
            return Err(SpkError::TooLarge { size_bytes: self.size_bytes });
        }
        let rank = (self.rank)(LateContent { path, digest, size_bytes });
        self.contents.push(digest);
        Ok(Value::Content { id: self.contents.len() - 1, size_bytes, rank })
    }
}

fn check_target(target: &[u8]) -> Result<(), EntryRule> {
    match target {
        [] => Err(EntryRule::NoTarget),
        _ if target.contains(&0) => Err(EntryRule::BadTarget),
        _ if target.len() > MAX_PATH_BYTES => Err(EntryRule::LongTarget),
        _ => Ok(()),
    }
}

fn check_name(name: &[u8]) -> Result<(), EntryRule> {
    match name {
        [] => Err(EntryRule::NoName),
        b"." | b".." => Err(EntryRule::DotName),
        _ if name.contains(&b'/') || name.contains(&0) => Err(EntryRule::BadName),
        _ if name.len() > MAX_NAME_BYTES => Err(EntryRule::LongName),
        _ => Ok(()),
    }
}

/// Reads an archive message that begins at an offset of a source and goes to its end. Returns the entries in
/// the order of the archive, each directory before its contents.
///
/// # Errors
/// [`SpkError`]: all that an installer would refuse.
pub fn read_archive(source: &dyn Source, offset: u64) -> Result<Vec<Item>, SpkError> {
    let size_bytes = source.size_bytes().saturating_sub(offset);
    if size_bytes > MAX_ARCHIVE_BYTES {
        return Err(SpkError::TooLarge { size_bytes });
    }
    let mut reader = Reader { items: Vec::new(), paths_bytes: 0 };
    let start = |source| SpkError::Message { after: String::new(), source };
    let message = Message::new(source, offset, Some(size_bytes / 8)).map_err(start)?;
    let files = message.root().and_then(|root| root.list(0)).map_err(start)?;
    reader.directory(&files, &TreePath::root(), 0)?;
    Ok(reader.items)
}

struct Reader {
    items: Vec<Item>,
    paths_bytes: usize,
}

impl Reader {
    fn broken(&self, source: CapnpError) -> SpkError {
        let after = self.items.last().map(|item| item.path.shown()).unwrap_or_default();
        SpkError::Message { after, source }
    }

    fn directory(
        &mut self,
        files: &StructList<'_>,
        directory: &TreePath,
        depth: usize,
    ) -> Result<(), SpkError> {
        let mut names = BTreeSet::new();
        for file in files.iter() {
            let name = file.text(0).map_err(|e| self.broken(e))?.unwrap_or_default();
            check_name(&name).map_err(|rule| SpkError::Entry { path: beside(directory, &name), rule })?;
            let path = directory.join(&name).map_err(|_| fail(directory, EntryRule::LongPath))?;
            if depth > MAX_DIRECTORIES {
                return Err(fail(&path, EntryRule::Nesting));
            }
            self.paths_bytes += path.as_bytes().len();
            if self.items.len() >= MAX_ENTRIES || self.paths_bytes > MAX_PATHS_BYTES {
                return Err(SpkError::TooMany { entries: self.items.len() });
            }
            if !names.insert(name) {
                return Err(fail(&path, EntryRule::Duplicate));
            }
            let mtime_ns = file.u64(8).map_err(|e| self.broken(e))? as i64;
            let tag = file.u16(0).map_err(|e| self.broken(e))?;
            let nowhere = Span { offset: 0, size_bytes: 0 };
            let mut below = None;
            let kind = match tag {
                0 | 1 => {
                    let span = file.data(1).map_err(|e| self.broken(e))?.unwrap_or(nowhere);
                    ItemKind::File { span, executable: tag == 1 }
                }
                2 => {
                    let target = file.text(1).map_err(|e| self.broken(e))?.unwrap_or_default();
                    check_target(&target).map_err(|rule| fail(&path, rule))?;
                    ItemKind::Symlink(target)
                }
                3 => {
                    below = Some(file.list(1).map_err(|e| self.broken(e))?);
                    ItemKind::Directory
                }
                _ => return Err(fail(&path, EntryRule::Kind(tag))),
            };
            self.items.push(Item { path: path.clone(), kind, mtime_ns });
            if let Some(files) = below {
                self.directory(&files, &path, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Names an entry whose name cannot be part of a path.
fn beside(directory: &TreePath, name: &[u8]) -> String {
    let name = name.escape_ascii();
    let path = if directory.is_root() { name.to_string() } else { format!("{directory}/{name}") };
    shown::path(&path).into_owned()
}
