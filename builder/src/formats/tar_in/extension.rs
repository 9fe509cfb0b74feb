//! Extension headers: values for the entry that follows them. They are read here, as the `tar` crate has no bounds
//! for them and splits binary PAX values at line ends.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use tar::Header;

use super::{
    Dialect, TarError,
    members::{self, Members},
    sparse,
};
use crate::{
    formats::budget::Budget,
    tree::{Entry, Kind, TreePath},
};

/// Names have at most 4095 bytes, the attributes of a file 64 KiB (`xattr(7)`).
const EXTENSION_BYTES: u64 = 1 << 20;

/// The year 2446, where ext4's times end; tmpfs and others reach further.
const LATEST_MTIME_S: u64 = 15_032_385_535;

/// The values of extension headers for the entry that follows them.
#[derive(Default)]
pub(super) struct Extension {
    pub path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pub size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime_s: Option<i64>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub sparse: Option<sparse::Pax>,
    seen: bool,
}

impl Extension {
    pub fn is_empty(&self) -> bool {
        !self.seen
    }

    /// Reads a member if it is an extension header.
    pub fn read<R: Read>(
        &mut self,
        header: &Header,
        members: &mut Members<R>,
        dialect: Dialect,
        budget: &mut Budget,
    ) -> Result<bool, TarError> {
        let kind = header.entry_type().as_byte();
        // Solaris has its own letter for `x`.
        let is_local = kind == b'x' || kind == b'X' && dialect == Dialect::Any;
        if !is_local && !matches!(kind, b'L' | b'K' | b'g') {
            return Ok(false);
        }
        if members.body_bytes() > EXTENSION_BYTES {
            return Err(TarError::Extension("is too long"));
        }
        budget.bytes(members.body_bytes())?;
        let body = members.read_body()?;
        if kind == b'g' {
            for_each_record(&body, |key, _| match is_of_entries(key) || dialect != Dialect::Any {
                true if key != b"comment" => Err(TarError::Extension("sets values for all entries")),
                _ => Ok(()),
            })?;
            return Ok(true);
        }
        self.seen = true;
        if is_local {
            for_each_record(&body, |key, value| self.set(key, value, dialect))?;
        } else {
            let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
            let place = if kind == b'L' { &mut self.path } else { &mut self.link };
            if place.replace(body[..end].to_vec()).is_some() {
                return Err(TarError::Extension("is there twice"));
            }
        }
        Ok(true)
    }

    fn set(&mut self, key: &[u8], value: &[u8], dialect: Dialect) -> Result<(), TarError> {
        match key {
            // An empty value takes back what was said before (POSIX, pax, "pax Extended Header").
            b"path" => self.path = some(value),
            b"linkpath" => self.link = some(value),
            b"size" => self.size = some_number(value)?,
            b"uid" => self.uid = some_number(value)?,
            b"gid" => self.gid = some_number(value)?,
            b"mtime" if value.is_empty() => self.mtime_s = None,
            b"mtime" => self.mtime_s = Some(seconds(value)?),
            b"GNU.sparse.name" if dialect == Dialect::Any => self.path = some(value),
            _ if key.starts_with(b"GNU.sparse.") && dialect == Dialect::Any => {
                self.sparse.get_or_insert_default().set(key, value)?;
            }
            _ if key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize" => {
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

    pub fn target(&self, header: &Header, path: &TreePath) -> Result<Vec<u8>, TarError> {
        let target = self.link.clone().or_else(|| header.link_name_bytes().map(|t| t.into_owned()));
        let target = target.unwrap_or_default();
        if target.is_empty() || target.len() > 4095 || target.contains(&0) {
            return Err(TarError::Entry { path: path.clone(), reason: "has an impossible link target" });
        }
        Ok(target)
    }

    pub fn metadata(
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
        let mtime_s = self.mtime_s.map_or_else(|| members::mtime(header).map(u64::cast_signed), Ok)?;
        if mtime_s.unsigned_abs() > LATEST_MTIME_S {
            return Err(refuse("has an impossible time"));
        }
        let mode = match kind {
            // The mode of a link has no meaning, and tars differ in it.
            Kind::Symlink { .. } => 0o777,
            _ => members::mode(header)? & 0o7777,
        };
        let (uid, gid) = (id(self.uid, members::uid(header))?, id(self.gid, members::gid(header))?);
        Ok(Entry { kind, mode, uid, gid, mtime_s, xattrs: self.xattrs })
    }
}

/// Returns whether a record says something of entries. Others are of the archive: what wrote it, and when.
fn is_of_entries(key: &[u8]) -> bool {
    const KEYS: [&[u8]; 6] = [b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"];
    KEYS.contains(&key)
        || [&b"GNU.sparse."[..], b"SCHILY.xattr.", b"SCHILY.realsize"]
            .iter()
            .any(|start| key.starts_with(start))
}

fn some(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

fn some_number<T: std::str::FromStr>(value: &[u8]) -> Result<Option<T>, TarError> {
    if value.is_empty() { Ok(None) } else { number(value).map(Some) }
}

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

pub(super) fn number<T: std::str::FromStr>(text: &[u8]) -> Result<T, TarError> {
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
