//! A tree as a tar stream whose bytes follow from the tree alone.
//!
//! POSIX ustar headers (`tar(5)`), names as `./usr/bin/x`, in path order, owners as numbers. What
//! a ustar header cannot hold stands in a PAX header before it: long paths and targets, sizes
//! from 8 GiB, large ids, times before 1970, extended attributes (`SCHILY.xattr.NAME`).

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::RenderError;
use crate::{
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

/// How a tree is written as tar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TarOptions {
    /// Later times are written as this one (`SOURCE_DATE_EPOCH`).
    pub latest_mtime_s: Option<i64>,
}

/// Writes a tree as tar. The same tree gives the same bytes, everywhere.
///
/// # Errors
/// Contents that are missing; errors of the writer.
pub fn write_tar(
    tree: &Tree,
    store: &Store,
    out: impl Write,
    options: TarOptions,
) -> Result<(), RenderError> {
    let mut out = io::BufWriter::with_capacity(1 << 18, out);
    for (path, entry) in tree.iter() {
        let member = Member::new(path, entry, options);
        let contents = |source| RenderError::Contents { path: path.clone(), source };
        match &entry.kind {
            Kind::File { digest, hard_link: None, .. } => {
                let blob = store.blob(digest).map_err(contents)?;
                member.write(&mut out, &mut blob.reader(), blob.size_bytes())
            }
            _ => member.write(&mut out, &mut io::empty(), 0),
        }
        .map_err(RenderError::Tar)?;
    }
    // Two empty blocks end an archive.
    out.write_all(&[0; 1024]).and_then(|()| out.flush()).map_err(RenderError::Tar)
}

/// A ustar field of this many octal digits holds less than this.
const fn octal_limit(digits: u32) -> u64 {
    1 << (3 * digits)
}

struct Member {
    header: Header,
    /// PAX records in the order in which they are written.
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Member {
    fn new(path: &TreePath, entry: &Entry, options: TarOptions) -> Self {
        let mut member = Member { header: Header::new_ustar(), records: Vec::new() };
        let mut name = b"./".to_vec();
        name.extend_from_slice(path.as_bytes());
        if entry.kind.is_directory() && !path.is_root() {
            name.push(b'/');
        }
        member.set_name(&name);
        let (kind, link, device) = match &entry.kind {
            Kind::Directory => (EntryType::Directory, None, None),
            Kind::File { hard_link: None, .. } => (EntryType::Regular, None, None),
            Kind::File { hard_link: Some(first), .. } => {
                (EntryType::Link, Some([b"./", first.as_bytes()].concat()), None)
            }
            Kind::Symlink { target } => (EntryType::Symlink, Some(target.clone()), None),
            Kind::Fifo => (EntryType::Fifo, None, None),
            Kind::CharacterDevice { major, minor } => (EntryType::Char, None, Some((*major, *minor))),
            Kind::BlockDevice { major, minor } => (EntryType::Block, None, Some((*major, *minor))),
        };
        member.header.set_entry_type(kind);
        if let Some(target) = link {
            member.set_link(&target);
        }
        let (major, minor) = device.unwrap_or_default();
        let ustar = member.header.as_ustar_mut().expect("made as ustar");
        ustar.set_device_major(major);
        ustar.set_device_minor(minor);
        member.header.set_mode(entry.mode);
        let uid = member.number("uid", i64::from(entry.uid), octal_limit(7));
        member.header.set_uid(uid);
        let gid = member.number("gid", i64::from(entry.gid), octal_limit(7));
        member.header.set_gid(gid);
        let mtime_s = options.latest_mtime_s.map_or(entry.mtime_s, |latest| entry.mtime_s.min(latest));
        let mtime = member.number("mtime", mtime_s, octal_limit(11));
        member.header.set_mtime(mtime);
        for (name, value) in &entry.xattrs {
            member.records.push(([b"SCHILY.xattr.", &name[..]].concat(), value.clone()));
        }
        member
    }

    fn set_name(&mut self, name: &[u8]) {
        let field = &mut self.header.as_old_mut().name;
        if name.len() <= field.len() {
            field[..name.len()].copy_from_slice(name);
        } else {
            let length = field.len();
            field.copy_from_slice(&name[..length]);
            self.records.push((b"path".to_vec(), name.to_vec()));
        }
    }

    fn set_link(&mut self, target: &[u8]) {
        let field = &mut self.header.as_old_mut().linkname;
        let length = field.len().min(target.len());
        field[..length].copy_from_slice(&target[..length]);
        if length < target.len() {
            self.records.push((b"linkpath".to_vec(), target.to_vec()));
        }
    }

    /// Returns the number if the header can hold it; else 0, and a record has it.
    fn number(&mut self, key: &str, value: i64, limit: u64) -> u64 {
        match u64::try_from(value) {
            Ok(small) if small < limit => small,
            _ => {
                self.records.push((key.into(), value.to_string().into_bytes()));
                0
            }
        }
    }

    fn write(mut self, out: &mut impl Write, contents: &mut dyn Read, size_bytes: u64) -> io::Result<()> {
        let size = self.number("size", i64::try_from(size_bytes).map_err(io::Error::other)?, octal_limit(11));
        self.header.set_size(size);
        if !self.records.is_empty() {
            let mut body = Vec::new();
            for (key, value) in &self.records {
                write_record(&mut body, key, value);
            }
            let mut header = Header::new_ustar();
            header.as_old_mut().name[..11].copy_from_slice(b"./PaxHeader");
            header.set_entry_type(EntryType::XHeader);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(body.len() as u64);
            header.set_cksum();
            out.write_all(header.as_bytes())?;
            out.write_all(&body)?;
            pad(out, body.len() as u64)?;
        }
        self.header.set_cksum();
        out.write_all(self.header.as_bytes())?;
        let written = io::copy(contents, out)?;
        if written != size_bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "contents ended early"));
        }
        pad(out, written)
    }
}

/// Writes `LENGTH KEY=VALUE\n`, where LENGTH counts itself.
fn write_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn pad(out: &mut impl Write, size_bytes: u64) -> io::Result<()> {
    let rest = (size_bytes % 512) as usize;
    if rest == 0 { Ok(()) } else { out.write_all(&[0; 512][rest..]) }
}
