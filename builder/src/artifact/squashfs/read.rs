//! A tree from an image.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
};

use super::{
    NO_FRAGMENT,
    tables::{Cursor, Image},
};
use crate::{
    artifact::fault::{Fields, ImageFault, Part},
    digest::Digest,
    store::BundleWriter,
    tree::{Entry, Kind, Tree, TreePath},
};

/// How deep directories may lie, as in packages.
const MAX_DEPTH: usize = 62;

/// Most bytes of a link's target.
const MAX_TARGET_BYTES: u32 = 4095;

/// Reads an image; contents go to the bundle.
///
/// # Errors
/// [`ImageFault`]. A directory that is reached twice is one; so loops end.
pub fn read(file: &File, bundle: &mut BundleWriter<'_>) -> Result<Tree, ImageFault> {
    let mut image = Image::open(file)?;
    let found = Found::read(&mut image)?;
    contents(&mut image, found, bundle)
}

/// What was found in the tables of an image.
pub(super) struct Found {
    /// Each file has its [`mark`] where the digest of its contents would be.
    pub tree: Tree,
    /// By their marks.
    pub files: Vec<FilePlace>,
    /// Directories, by their inodes, and listings that have entries, by their places.
    seen: (BTreeSet<u64>, BTreeSet<(u32, u16)>),
}

/// Where a file's contents lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilePlace {
    /// Which fragment has its end, and where in it.
    pub fragment: Option<(u32, u32)>,
    /// Where its first block lies.
    pub start: u64,
    pub size_bytes: u64,
    /// The sizes of its blocks, which lie one behind the other.
    pub blocks: Vec<u32>,
}

/// Stands for the contents of a file where their digest will be: a path more for each would be most of what is
/// held.
fn mark(file: usize) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(file as u64).to_le_bytes());
    Digest(bytes)
}

/// Returns the file that a mark stands for.
pub(super) fn marked(entry: &Entry) -> Option<usize> {
    let (Digest(bytes), _) = entry.kind.content()?;
    let number = bytes.first_chunk().map(|number| u64::from_le_bytes(*number))?;
    usize::try_from(number).ok()
}

impl Found {
    /// Reads all entries of an image.
    pub fn read(image: &mut Image<'_>) -> Result<Self, ImageFault> {
        let mut found = Found { tree: Tree::new(), files: Vec::new(), seen: Default::default() };
        found.visit(image, image.superblock.root, &TreePath::root(), 0)?;
        Ok(found)
    }

    /// Reads an inode and all below it.
    fn visit(
        &mut self,
        image: &mut Image<'_>,
        inode: u64,
        path: &TreePath,
        depth: usize,
    ) -> Result<(), ImageFault> {
        let part = Part::Inode(path);
        let damaged = || ImageFault::rule(part, "is damaged");
        let mut cursor = image.cursor(image.superblock.inode_table, inode >> 16, inode as u16, part)?;
        let head = image.take(&mut cursor, 16, part)?;
        let mut head = Fields(&head);
        let (kind, mode) = (head.u16().ok_or_else(damaged)?, head.u16().ok_or_else(damaged)?);
        let mut id = || {
            let index = head.u16().ok_or_else(damaged)?;
            let id = image.ids.get(usize::from(index)).copied();
            id.ok_or_else(|| ImageFault::rule(part, "has an owner that is not in the table of ids"))
        };
        let (uid, gid) = (id()?, id()?);
        let mtime_s = i64::from(head.u32().ok_or_else(damaged)?);
        let mut listing = None;
        let entry_kind = match kind {
            1 | 8 => {
                listing = Some(directory(image, kind == 8, &mut cursor, part)?);
                Kind::Directory
            }
            2 | 9 => {
                let place = file_place(image, kind == 9, &mut cursor, path)?;
                let (digest, size_bytes) = (mark(self.files.len()), place.size_bytes);
                self.files.push(place);
                Kind::File { digest, size_bytes, hard_link: None }
            }
            3 | 10 => {
                let bytes = image.take(&mut cursor, 8, part)?;
                let mut fields = Fields(&bytes[4..]);
                let length = fields.u32().filter(|length| (1..=MAX_TARGET_BYTES).contains(length));
                let length = length.ok_or_else(|| ImageFault::rule(part, "has an impossible link target"))?;
                let target = image.take(&mut cursor, length as usize, part)?;
                if target.contains(&0) {
                    return Err(ImageFault::rule(part, "has an impossible link target"));
                }
                image.allowance.target(path, &target)?;
                Kind::Symlink { target }
            }
            4 | 5 | 11 | 12 => {
                let bytes = image.take(&mut cursor, 8, part)?;
                let device = Fields(&bytes[4..]).u32().ok_or_else(damaged)?;
                // As the kernel's `new_decode_dev` does.
                let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
                match kind {
                    4 | 11 => Kind::BlockDevice { major, minor },
                    _ => Kind::CharacterDevice { major, minor },
                }
            }
            6 | 13 => Kind::Fifo,
            7 | 14 => return Err(ImageFault::rule(part, "is that of a socket, which no root holds")),
            _ => return Err(ImageFault::rule(part, "is of an unknown kind")),
        };
        if path.is_root() && listing.is_none() {
            return Err(ImageFault::rule(part, "is not that of a directory"));
        }
        let mode = if kind == 3 || kind == 10 { 0o777 } else { u32::from(mode) & 0o7777 };
        let entry = Entry { kind: entry_kind, mode, uid, gid, mtime_s, xattrs: BTreeMap::new() };
        if self.tree.insert(path.clone(), entry).is_some() {
            return Err(ImageFault::entry(path, "is there twice"));
        }
        let Some(listing) = listing else { return Ok(()) };
        let (block, offset, size) = listing;
        if !self.seen.0.insert(inode) || size > 0 && !self.seen.1.insert((block, offset)) {
            return Err(ImageFault::entry(path, "is a directory that lies in two places"));
        }
        if depth > MAX_DEPTH {
            return Err(ImageFault::entry(path, "lies below more than 62 directories"));
        }
        self.entries(image, listing, path, depth)
    }

    /// Reads the entries of a directory, and all below them.
    fn entries(
        &mut self,
        image: &mut Image<'_>,
        (block, offset, size): (u32, u16, u32),
        path: &TreePath,
        depth: usize,
    ) -> Result<(), ImageFault> {
        let part = Part::Listing(path);
        let damaged = || ImageFault::rule(part, "is damaged");
        if size == 0 {
            return Ok(());
        }
        let table = image.superblock.directory_table;
        let mut cursor = image.cursor(table, u64::from(block), offset, part)?;
        let mut left = size as usize;
        let mut take = |image: &mut Image<'_>, count: usize| {
            left = left.checked_sub(count).ok_or_else(damaged)?;
            Ok::<_, ImageFault>((image.take(&mut cursor, count, part)?, left))
        };
        let mut rest = 1;
        while rest > 0 {
            let (head, _) = take(image, 12)?;
            let mut head = Fields(&head);
            let (count, block) = (head.u32().ok_or_else(damaged)?, head.u32().ok_or_else(damaged)?);
            if count > 255 {
                return Err(ImageFault::rule(part, "has a header for more than 256 entries"));
            }
            for _ in 0..=count {
                let (entry, _) = take(image, 8)?;
                let mut entry = Fields(&entry);
                let offset = entry.u16().ok_or_else(damaged)?;
                let (_delta, _kind) = (entry.u16(), entry.u16());
                let length = usize::from(entry.u16().ok_or_else(damaged)?) + 1;
                let name;
                (name, rest) = take(image, length)?;
                let path = path.join(&name)?;
                image.allowance.entry(&path)?;
                self.visit(image, u64::from(block) << 16 | u64::from(offset), &path, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Reads the rest of a directory's inode: where its listing is, and how long.
fn directory(
    image: &mut Image<'_>,
    extended: bool,
    cursor: &mut Cursor,
    part: Part<'_>,
) -> Result<(u32, u16, u32), ImageFault> {
    let bytes = image.take(cursor, if extended { 24 } else { 16 }, part)?;
    let mut fields = Fields(&bytes);
    let read = match extended {
        false => (|| {
            let (block, _links, size, offset) = (fields.u32()?, fields.u32()?, fields.u16()?, fields.u16()?);
            Some((block, offset, u32::from(size)))
        })(),
        true => (|| {
            let (_links, size, block, _parent) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
            let (_indexes, offset) = (fields.u16()?, fields.u16()?);
            Some((block, offset, size))
        })(),
    };
    let (block, offset, size) = read.ok_or_else(|| ImageFault::rule(part, "is damaged"))?;
    Ok((block, offset, size.saturating_sub(3)))
}

/// Reads the rest of a file's inode.
fn file_place(
    image: &mut Image<'_>,
    extended: bool,
    cursor: &mut Cursor,
    path: &TreePath,
) -> Result<FilePlace, ImageFault> {
    let part = Part::Inode(path);
    let bytes = image.take(cursor, if extended { 40 } else { 16 }, part)?;
    let mut fields = Fields(&bytes);
    let read = match extended {
        false => (|| {
            let (start, fragment, offset) = (fields.u32()?, fields.u32()?, fields.u32()?);
            Some((u64::from(start), fragment, offset, u64::from(fields.u32()?)))
        })(),
        true => (|| {
            let (start, size, _sparse, _links) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u32()?);
            Some((start, fields.u32()?, fields.u32()?, size))
        })(),
    };
    let (start, fragment, offset, size_bytes) = read.ok_or_else(|| ImageFault::rule(part, "is damaged"))?;
    image.allowance.contents(path, size_bytes)?;
    let fragment = (fragment != NO_FRAGMENT).then_some((fragment, offset));
    let block_bytes = u64::from(image.superblock.block_bytes);
    let count = match fragment {
        Some(_) => size_bytes / block_bytes,
        None => size_bytes.div_ceil(block_bytes),
    };
    // The budget of bytes bounds it.
    let bytes = image.take(cursor, count as usize * 4, part)?;
    let mut fields = Fields(&bytes);
    let blocks = std::iter::from_fn(|| fields.u32()).collect();
    Ok(FilePlace { fragment, start, size_bytes, blocks })
}

/// Decompresses the contents of all files, those that share a fragment one after the other.
fn contents(image: &mut Image<'_>, found: Found, bundle: &mut BundleWriter<'_>) -> Result<Tree, ImageFault> {
    let Found { mut tree, files, .. } = found;
    let root = TreePath::root();
    let mut paths = vec![&root; files.len()];
    for (path, entry) in tree.iter() {
        if let Some(file) = marked(entry) {
            paths[file] = path;
        }
    }
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by(|one, two| (&files[*one], one).cmp(&(&files[*two], two)));
    let mut digests = vec![Digest([0; 32]); files.len()];
    let mut last: Option<usize> = None;
    let mut fragment = (NO_FRAGMENT, Vec::new());
    for file in order {
        digests[file] = match last {
            Some(last) if files[last] == files[file] => digests[last],
            _ => copy(image, paths[file], &files[file], &mut fragment, bundle)?,
        };
        last = Some(file);
    }
    for (_, entry) in tree.iter_mut() {
        let Some(file) = marked(entry) else { continue };
        if let Kind::File { digest, .. } = &mut entry.kind {
            *digest = digests[file];
        }
    }
    Ok(tree)
}

/// Appends the contents of a file to the bundle.
fn copy(
    image: &mut Image<'_>,
    path: &TreePath,
    place: &FilePlace,
    fragment: &mut (u32, Vec<u8>),
    bundle: &mut BundleWriter<'_>,
) -> Result<Digest, ImageFault> {
    let part = Part::Entry(path);
    let failed = |source| ImageFault::read(part, source);
    let block_bytes = u64::from(image.superblock.block_bytes);
    let mut at = place.start;
    let mut left = place.size_bytes;
    let mut adding = bundle.adding();
    for size in &place.blocks {
        let expected = left.min(block_bytes) as usize;
        let bytes = image.data(at, *size, expected, part)?;
        if bytes.len() != expected {
            return Err(ImageFault::entry(path, "has a block of another length than its own"));
        }
        adding.append(&bytes).map_err(failed)?;
        at = at.saturating_add(image.packed_bytes(*size, part)?);
        left -= expected as u64;
    }
    if left > 0 {
        let missing = || ImageFault::entry(path, "lies in a fragment that is not there");
        let (index, offset) = place.fragment.ok_or_else(missing)?;
        if fragment.0 != index {
            let (start, size) = image.fragment(index)?.ok_or_else(missing)?;
            *fragment = (index, image.data(start, size, block_bytes as usize, part)?);
        }
        let end = (offset as usize).checked_add(left as usize);
        let bytes = end.and_then(|end| fragment.1.get(offset as usize..end)).ok_or_else(missing)?;
        adding.append(bytes).map_err(failed)?;
    }
    Ok(adding.finish())
}
