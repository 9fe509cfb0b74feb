//! Reading tar streams as trees.
//!
//! A `data.tar` that dpkg accepts is accepted: ustar and GNU headers (`tar(5)`) with GNU long
//! names (`L`, `K`). PAX headers are read too, though dpkg refuses them, because other tars come
//! along: `path`, `linkpath`, `uid`, `gid`, `mtime`, `SCHILY.xattr.*`. Refused, because readers
//! disagree about them and one could be shown another tree than dpkg's: sparse and multi-volume
//! members, a PAX `size` that differs from the header's, global PAX records but comments, links
//! and directories with contents, a name twice, a path below a link or file of the same stream.
//!
//! The `tar` crate cuts the stream into members and checks their sums; extensions are read here,
//! with bounds, as the crate has none and splits binary PAX values at line ends.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use tar::{Archive, EntryType, Header};

use crate::digest::Digest;
use crate::tree::{Entry, InvalidPath, Kind, Tree, TreePath};

/// The limits of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Members. The largest packages of Debian have some 100,000.
    pub entries: u64,
    /// Contents of all files together, in bytes.
    pub total_bytes: u64,
    /// Whose habits the stream may have.
    pub dialect: Dialect,
}

/// Whose tars are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// dpkg's.
    #[default]
    Dpkg,
    /// npm's, which leaves owners empty (all then belongs to 0:0, whatever the fields hold), and of which
    /// some hold a file twice; as when npm unpacks it, the later one counts.
    Npm,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { entries: 2_000_000, total_bytes: 1 << 40, dialect: Dialect::Dpkg }
    }
}

/// Names have at most 4095 bytes, the attributes of a file 64 KiB (`xattr(7)`).
const EXTENSION_BYTES: u64 = 1 << 20;

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
    #[error("tar entry /{path} {reason}")]
    Entry {
        /// The entry.
        path: TreePath,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// An extension header that is refused.
    #[error("a tar extension header {0}")]
    Extension(&'static str),
    /// More entries or bytes than the limits allow.
    #[error("the tar stream has {0} than allowed")]
    TooMuch(&'static str),
}

/// Reads a tar stream as a tree; contents are digested and dropped.
///
/// # Errors
/// As [`read_tree_with`].
pub fn read_tree(reader: impl Read, limits: &Limits) -> Result<Tree, TarError> {
    read_tree_with(reader, limits, |_, _, _, contents| Ok(Digest::of_reader(contents)?.0))
        .map(|(tree, _)| tree)
}

/// Reads a tar stream as a tree and gives the reader back, which stands behind the last member.
///
/// `contents` is given each regular file's path, the offset of its contents in the stream, their
/// size and a reader; it must read them to the end, and returns their digest. Parents that the
/// stream leaves out stay left out.
///
/// # Errors
/// [`TarError`], as soon as a fault is seen; contents that were passed to `contents` before are then void.
pub fn read_tree_with<R: Read>(
    reader: R,
    limits: &Limits,
    mut contents: impl FnMut(&TreePath, u64, u64, &mut dyn Read) -> io::Result<Digest>,
) -> Result<(Tree, R), TarError> {
    let mut archive = Archive::new(reader);
    let mut state =
        State { tree: Tree::new(), extension: Extension::default(), left: *limits, linked: BTreeMap::new() };
    for member in archive.entries()?.raw(true) {
        let mut member = member?;
        state.left.entries = state.left.entries.checked_sub(1).ok_or(TarError::TooMuch("more entries"))?;
        if state.extension.read(&mut member)? {
            continue;
        }
        state.add(&mut member, &mut contents)?;
    }
    if !state.extension.is_empty() {
        return Err(TarError::Extension("describes no entry"));
    }
    check_parents(&state.tree)?;
    state.share_metadata();
    let mut tree = state.tree;
    tree.regroup_hard_links();
    Ok((tree, archive.into_inner()))
}

struct State {
    tree: Tree,
    extension: Extension,
    left: Limits,
    /// For each file that hard links name: the last of these.
    linked: BTreeMap<TreePath, TreePath>,
}

impl State {
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
        member: &mut tar::Entry<'_, R>,
        contents: &mut impl FnMut(&TreePath, u64, u64, &mut dyn Read) -> io::Result<Digest>,
    ) -> Result<(), TarError> {
        let extension = std::mem::take(&mut self.extension);
        let header = member.header().clone();
        let name = extension.path.clone().unwrap_or_else(|| header.path_bytes().into_owned());
        let path = TreePath::new(&name)?;
        let refuse = |reason| TarError::Entry { path: path.clone(), reason };
        let size_bytes = header.entry_size()?;
        if extension.size.is_some_and(|size| size != size_bytes) {
            return Err(refuse("has two sizes"));
        }
        let kind = match header.entry_type() {
            // A name that ends in a slash is a directory's in tars older than types.
            EntryType::Regular if !name.ends_with(b"/") => {
                let left = self.left.total_bytes.checked_sub(size_bytes);
                self.left.total_bytes = left.ok_or(TarError::TooMuch("more bytes"))?;
                let offset = member.raw_file_position();
                let mut counted = Counted { inner: member, count: 0 };
                let digest = contents(&path, offset, size_bytes, &mut counted)?;
                if counted.count != size_bytes {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                Kind::File { digest, size_bytes, hard_link: None }
            }
            _ if size_bytes != 0 => return Err(refuse("has contents but is not a file")),
            EntryType::Regular | EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink { target: extension.target(&header, &path)? },
            EntryType::Link => {
                let target = TreePath::new(&extension.target(&header, &path)?)?;
                let Some(Kind::File { digest, size_bytes, hard_link }) =
                    self.tree.get(target.as_bytes()).map(|entry| entry.kind.clone())
                else {
                    return Err(refuse("is a hard link to no file before it"));
                };
                let first = hard_link.unwrap_or(target);
                self.linked.insert(first.clone(), path.clone());
                Kind::File { digest, size_bytes, hard_link: Some(first) }
            }
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char => {
                let (major, minor) = device(&header)?;
                Kind::CharacterDevice { major, minor }
            }
            EntryType::Block => {
                let (major, minor) = device(&header)?;
                Kind::BlockDevice { major, minor }
            }
            _ => return Err(refuse("is of a kind that is not read")),
        };
        if path.is_root() && !kind.is_directory() {
            return Err(refuse("is not a directory"));
        }
        let entry = extension.metadata(&header, kind, &path, self.left.dialect)?;
        let directory = entry.kind.is_directory();
        let file = entry.kind.content().is_some() && self.left.dialect == Dialect::Npm;
        let before = self.tree.insert(path.clone(), entry).map(|before| before.kind);
        let alike = |before: &Kind| directory && before.is_directory() || file && before.content().is_some();
        if before.is_some_and(|before| !alike(&before)) {
            return Err(refuse("is there twice"));
        }
        Ok(())
    }
}

fn device(header: &Header) -> io::Result<(u32, u32)> {
    Ok((header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0)))
}

fn check_parents(tree: &Tree) -> Result<(), TarError> {
    for (path, _) in tree.iter() {
        // A parent's own parents are looked at when its turn comes, unless it is left out.
        for parent in path.ancestors() {
            match tree.get(parent.as_bytes()) {
                None => continue,
                Some(entry) if entry.kind.is_directory() => break,
                Some(_) => {
                    let reason = "lies below another entry that is not a directory";
                    return Err(TarError::Entry { path: path.clone(), reason });
                }
            }
        }
    }
    Ok(())
}

/// The values of extension headers for the entry that follows them.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime_s: Option<i64>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    seen: bool,
}

impl Extension {
    fn is_empty(&self) -> bool {
        !self.seen
    }

    /// Reads a member if it is an extension header.
    fn read<R: Read>(&mut self, member: &mut tar::Entry<'_, R>) -> Result<bool, TarError> {
        let kind = member.header().entry_type();
        let known = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if !known {
            return Ok(false);
        }
        let size_bytes = member.header().entry_size()?;
        if size_bytes > EXTENSION_BYTES {
            return Err(TarError::Extension("is too long"));
        }
        let mut body = Vec::new();
        member.read_to_end(&mut body)?;
        if body.len() as u64 != size_bytes {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if kind.is_pax_global_extensions() {
            for_each_record(&body, |key, _| match key {
                b"comment" => Ok(()),
                _ => Err(TarError::Extension("sets values for all entries")),
            })?;
            return Ok(true);
        }
        self.seen = true;
        if kind.is_pax_local_extensions() {
            for_each_record(&body, |key, value| self.set(key, value))?;
        } else {
            let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
            let place = if kind.is_gnu_longname() { &mut self.path } else { &mut self.link };
            if place.replace(body[..end].to_vec()).is_some() {
                return Err(TarError::Extension("is there twice"));
            }
        }
        Ok(true)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.mtime_s = Some(seconds(value)?),
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err(TarError::Extension("describes a sparse file"));
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    if name.is_empty() || name.contains(&0) || name.len() > 255 {
                        return Err(TarError::Extension("names an impossible attribute"));
                    }
                    self.xattrs.insert(name.to_vec(), value.to_vec());
                }
            }
        }
        Ok(())
    }

    fn target(&self, header: &Header, path: &TreePath) -> Result<Vec<u8>, TarError> {
        let target = self.link.clone().or_else(|| header.link_name_bytes().map(|t| t.into_owned()));
        let target = target.unwrap_or_default();
        if target.is_empty() || target.len() > 4095 || target.contains(&0) {
            return Err(TarError::Entry { path: path.clone(), reason: "has an impossible link target" });
        }
        Ok(target)
    }

    fn metadata(
        self,
        header: &Header,
        kind: Kind,
        path: &TreePath,
        dialect: Dialect,
    ) -> Result<Entry, TarError> {
        let refuse = |reason| TarError::Entry { path: path.clone(), reason };
        let id = |own: Option<u32>, field: io::Result<u64>| match own {
            _ if dialect == Dialect::Npm => Ok(0),
            Some(id) => Ok(id),
            None => u32::try_from(field?).map_err(|_| refuse("has an impossible owner")),
        };
        // Base-256 fields hold negative numbers as two's complement.
        let mtime_s = self.mtime_s.map_or_else(|| header.mtime().map(u64::cast_signed), Ok)?;
        if mtime_s.unsigned_abs() > LATEST_MTIME_S {
            return Err(refuse("has an impossible time"));
        }
        let mode = match kind {
            // The mode of a link has no meaning, and tars differ in it.
            Kind::Symlink { .. } => 0o777,
            _ => header.mode()? & 0o7777,
        };
        let (uid, gid) = (id(self.uid, header.uid())?, id(self.gid, header.gid())?);
        Ok(Entry { kind, mode, uid, gid, mtime_s, xattrs: self.xattrs })
    }
}

/// The year 2446, where ext4's times end; tmpfs and others reach further.
const LATEST_MTIME_S: u64 = 15_032_385_535;

/// Reads `LENGTH KEY=VALUE\n` records, LENGTH being that of the whole record.
fn for_each_record(
    mut body: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), TarError>,
) -> Result<(), TarError> {
    let damaged = || TarError::Extension("is damaged");
    while !body.is_empty() {
        let space = body.iter().take(9).position(|byte| *byte == b' ').ok_or_else(damaged)?;
        let length: usize = number(&body[..space])?;
        let record = body.get(space + 1..length).ok_or_else(damaged)?;
        let record = record.strip_suffix(b"\n").ok_or_else(damaged)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(damaged)?;
        each(&record[..equals], &record[equals + 1..])?;
        body = &body[length..];
    }
    Ok(())
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Result<T, TarError> {
    let digits = std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or(TarError::Extension("holds a bad number"))
}

/// Reads seconds with an optional fraction, rounded down.
fn seconds(text: &[u8]) -> Result<i64, TarError> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let dot = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let whole: u32 = number(&text[..dot])?;
    let fraction = text[dot..].iter().any(|byte| matches!(byte, b'1'..=b'9'));
    let whole = i64::from(whole);
    Ok(if negative { -whole - i64::from(fraction) } else { whole })
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
