//! A tree from an image.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt as _,
};

use super::{
    BLOCK_BYTES, BLOCK_LOG, ENTRY_BYTES, EXTENDED, FLAT_INLINE, FLAT_PLAIN, INODE_BYTES, MAGIC, S_IFDIR,
    S_IFLNK, S_IFMT, S_IFREG, SLOT_BYTES, SUPERBLOCK_AT,
};
use crate::{
    artifact::fault::{Allowance, Fields, ImageFault, Part},
    digest::Digest,
    store::BundleWriter,
    tree::{Entry, Kind, Tree, TreePath},
};

const SUPERBLOCK: Part<'_> = Part::Only("the superblock");

/// How deep directories may lie, as in packages.
const MAX_DEPTH: usize = 62;

/// The longest listings, from the root to a directory: all of them are in memory together.
const MAX_LISTINGS_BYTES: u64 = 32 << 20;

/// Most bytes of a link's target.
const MAX_TARGET_BYTES: u64 = 4095;

/// Reads an image; contents go to the bundle.
///
/// # Errors
/// [`ImageFault`]. A directory that is reached twice is one; so loops end.
pub fn read(file: &File, bundle: &mut BundleWriter<'_>) -> Result<Tree, ImageFault> {
    Ok(walk(file, Some(bundle))?.tree)
}

/// Returns where the contents of each file lie in an image, whose tree this does not read.
///
/// # Errors
/// As [`read`].
pub fn places(file: &File) -> Result<Vec<(TreePath, Range<u64>)>, ImageFault> {
    Ok(walk(file, None)?.places)
}

fn walk<'a, 'b, 's>(
    file: &'a File,
    bundle: Option<&'b mut BundleWriter<'s>>,
) -> Result<Reader<'a, 'b, 's>, ImageFault> {
    let mut start = [0; 128];
    file.read_exact_at(&mut start, SUPERBLOCK_AT).map_err(|e| ImageFault::read(SUPERBLOCK, e))?;
    let rule = |rule| ImageFault::rule(SUPERBLOCK, rule);
    let mut fields = Fields(&start);
    let word = |at: usize| Fields(start.get(at..).unwrap_or_default()).u32().unwrap_or_default();
    if fields.take(4) != Some(&MAGIC) {
        return Err(rule("is not one of EROFS"));
    }
    if start[12] != BLOCK_LOG {
        return Err(rule("has blocks of another size than 4096 bytes, which are not read"));
    }
    // Features that a reader must know: compression in several forms, chunks, further devices.
    if word(80) != 0 {
        return Err(rule("asks for features that are not read, such as compression"));
    }
    let root = u16::from_le_bytes([start[14], start[15]]);
    let meta_at = u64::from(word(40)) * BLOCK_BYTES as u64;
    let file_bytes = file.metadata().map_err(|e| ImageFault::read(SUPERBLOCK, e))?.len();
    let (seen, allowance) = (Default::default(), Allowance::of(file_bytes));
    let (tree, places) = (Tree::new(), Vec::new());
    let mut reader = Reader { file, meta_at, bundle, tree, places, seen, listings_bytes: 0, allowance };
    reader.visit(u64::from(root), &TreePath::root(), 0)?;
    Ok(reader)
}

struct Reader<'a, 'b, 's> {
    file: &'a File,
    meta_at: u64,
    /// Where contents go; without one they are not read.
    bundle: Option<&'b mut BundleWriter<'s>>,
    tree: Tree,
    /// Where contents lie, if they are not read.
    places: Vec<(TreePath, Range<u64>)>,
    /// Directories by their numbers, and listings by where they begin.
    seen: (BTreeSet<u64>, BTreeSet<u64>),
    /// How long the listings from the root to the present directory are.
    listings_bytes: u64,
    allowance: Allowance,
}

/// An inode's contents.
#[derive(Clone, Copy, Debug)]
struct Contents {
    size_bytes: u64,
    start: u64,
    /// Where its end lies, if not in a block.
    end: Option<u64>,
}

impl Contents {
    /// Returns the place of the whole blocks, and that of the end if it lies elsewhere.
    fn parts(self) -> [Range<u64>; 2] {
        let Contents { size_bytes, start, end } = self;
        let block = BLOCK_BYTES as u64;
        let at = start * block;
        match end {
            Some(end) => {
                let whole = size_bytes / block * block;
                [at..at.saturating_add(whole), end..end.saturating_add(size_bytes - whole)]
            }
            None => [at..at.saturating_add(size_bytes), 0..0],
        }
    }
}

impl Reader<'_, '_, '_> {
    fn visit(&mut self, number: u64, path: &TreePath, depth: usize) -> Result<(), ImageFault> {
        let part = Part::Inode(path);
        let rule = |rule| ImageFault::rule(part, rule);
        let at = number.checked_mul(SLOT_BYTES as u64).and_then(|at| at.checked_add(self.meta_at));
        let at = at.ok_or_else(|| rule("lies outside of the image"))?;
        let mut bytes = [0; INODE_BYTES];
        self.file.read_exact_at(&mut bytes, at).map_err(|e| ImageFault::read(part, e))?;
        let mut fields = Fields(&bytes);
        let damaged = || rule("is damaged");
        let (format, xattrs, mode) = (
            fields.u16().ok_or_else(damaged)?,
            fields.u16().ok_or_else(damaged)?,
            fields.u16().ok_or_else(damaged)?,
        );
        if format & EXTENDED == 0 {
            return Err(rule("is a short one, without a time, which is not read"));
        }
        let _ = fields.u16();
        let size_bytes = fields.u64().ok_or_else(damaged)?;
        let (start, _number) = (fields.u32().ok_or_else(damaged)?, fields.u32());
        let (uid, gid) = (fields.u32().ok_or_else(damaged)?, fields.u32().ok_or_else(damaged)?);
        let mtime_s = fields.u64().ok_or_else(damaged)?.cast_signed();
        // Attributes stand behind the inode: 12 bytes, and 4 for each unit.
        let xattr_bytes = if xattrs == 0 { 0 } else { 12 + 4 * (u64::from(xattrs) - 1) };
        let end = at + INODE_BYTES as u64 + xattr_bytes;
        let end = match format >> 1 & 7 {
            FLAT_PLAIN => None,
            FLAT_INLINE => Some(end),
            _ => return Err(rule("has compressed or scattered contents, which are not read")),
        };
        let contents = Contents { size_bytes, start: u64::from(start), end };
        let kind = match mode & S_IFMT {
            S_IFDIR => Kind::Directory,
            S_IFREG => {
                self.allowance.contents(path, size_bytes)?;
                Kind::File { digest: self.copy(path, contents)?, size_bytes, hard_link: None }
            }
            S_IFLNK if (1..=MAX_TARGET_BYTES).contains(&size_bytes) => {
                let target = self.bytes(contents).map_err(|e| ImageFault::read(part, e))?;
                if target.contains(&0) {
                    return Err(rule("has an impossible link target"));
                }
                self.allowance.target(path, &target)?;
                Kind::Symlink { target }
            }
            S_IFLNK => return Err(rule("has an impossible link target")),
            _ => return Err(rule("is that of a device, pipe or socket, which no package holds")),
        };
        let is_directory = kind.is_directory();
        if path.is_root() && !is_directory {
            return Err(rule("is not that of a directory"));
        }
        let mode = if matches!(kind, Kind::Symlink { .. }) { 0o777 } else { u32::from(mode) & 0o7777 };
        let entry = Entry { kind, mode, uid, gid, mtime_s, xattrs: BTreeMap::new() };
        if self.tree.insert(path.clone(), entry).is_some() {
            return Err(ImageFault::entry(path, "is there twice"));
        }
        if !is_directory {
            return Ok(());
        }
        let [blocks, end] = contents.parts();
        let listing = if blocks.is_empty() { end } else { blocks };
        let is_new = self.seen.0.insert(number) && (listing.is_empty() || self.seen.1.insert(listing.start));
        if !is_new {
            return Err(ImageFault::entry(path, "is a directory that lies in two places"));
        }
        if depth > MAX_DEPTH {
            return Err(ImageFault::entry(path, "lies below more than 62 directories"));
        }
        self.directory(path, contents, depth)
    }

    fn directory(&mut self, path: &TreePath, contents: Contents, depth: usize) -> Result<(), ImageFault> {
        let part = Part::Listing(path);
        let rule = |rule| ImageFault::rule(part, rule);
        self.allowance.table(part, contents.size_bytes)?;
        self.listings_bytes += contents.size_bytes;
        if self.listings_bytes > MAX_LISTINGS_BYTES {
            return Err(rule("takes more than 32 MiB together with those above it"));
        }
        let listing = self.bytes(contents).map_err(|e| ImageFault::read(part, e))?;
        for block in listing.chunks(BLOCK_BYTES) {
            for (name, inode) in names(block).ok_or_else(|| rule("is damaged"))? {
                if name == b"." || name == b".." {
                    continue;
                }
                let path = path.join(name)?;
                self.allowance.entry(&path)?;
                self.visit(inode, &path, depth + 1)?;
            }
        }
        self.listings_bytes -= contents.size_bytes;
        Ok(())
    }

    /// Appends a file's contents to the bundle.
    fn copy(&mut self, path: &TreePath, contents: Contents) -> Result<Digest, ImageFault> {
        let Some(bundle) = &mut self.bundle else {
            let parts = contents.parts().into_iter().filter(|part| !part.is_empty());
            self.places.extend(parts.map(|part| (path.clone(), part)));
            return Ok(Digest([0; 32]));
        };
        let mut reader = ContentsReader { file: self.file, contents, done: 0 };
        let (digest, size_bytes) =
            bundle.add(&mut reader).map_err(|e| ImageFault::read(Part::Entry(path), e))?;
        match size_bytes == contents.size_bytes {
            true => Ok(digest),
            false => Err(ImageFault::entry(path, "ends behind the image")),
        }
    }

    fn bytes(&self, contents: Contents) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        ContentsReader { file: self.file, contents, done: 0 }.read_to_end(&mut out)?;
        match out.len() as u64 == contents.size_bytes {
            true => Ok(out),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Returns the names in a block of a listing, each with its inode; `None` if it is damaged.
fn names(block: &[u8]) -> Option<Vec<(&[u8], u64)>> {
    let first = u16::from_le_bytes(block.get(8..10)?.try_into().ok()?);
    let count = usize::from(first) / ENTRY_BYTES;
    let mut out = Vec::new();
    for index in 0..count {
        let mut entry = Fields(block.get(index * ENTRY_BYTES..)?);
        let (inode, start) = (entry.u64()?, usize::from(entry.u16()?));
        let next = block.get((index + 1) * ENTRY_BYTES..).filter(|_| index + 1 < count);
        let name = match next {
            Some(next) => {
                block.get(start..usize::from(u16::from_le_bytes(next.get(8..10)?.try_into().ok()?)))?
            }
            None => {
                let rest = block.get(start..)?;
                &rest[..rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len())]
            }
        };
        out.push((name, inode));
    }
    Some(out)
}

/// Reads contents: whole blocks, and the end.
struct ContentsReader<'a> {
    file: &'a File,
    contents: Contents,
    done: u64,
}

impl Read for ContentsReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Contents { size_bytes, start, end } = self.contents;
        let block = BLOCK_BYTES as u64;
        let whole = if end.is_some() { size_bytes / block * block } else { size_bytes };
        let (at, left) = match end {
            Some(end) if self.done >= whole => (end + self.done - whole, size_bytes - self.done),
            _ => ((start * block).saturating_add(self.done), whole - self.done),
        };
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = self.file.read_at(&mut buffer[..wanted], at)?;
        self.done += got as u64;
        Ok(got)
    }
}
