//! The file of an entry: a bundle, compressed.
//!
//! ```text
//! zstd of   tinyroot entry 1 TEXT_BYTES PACK_BYTES\n
//!           the text of the bundle (`store::elsewhere`)
//!           its pack
//! ```

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Seek as _, Write},
};

use crate::{
    digest::Hasher,
    formats::capnp::ReadAt as _,
    store::{ImportError, Pack, Store},
};

use super::statement::Statement;

/// How the file begins, once it is decompressed.
const HEAD: &str = "tinyroot entry 1 ";

/// The longest first line.
const MAX_HEAD_BYTES: u64 = 64;

/// The longest text: that of TeX Live with all its languages takes 30 MB.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// As fast as a disk; a level more takes twice the time for 2 %.
const LEVEL: i32 = 3;

/// Why the file of an entry is not taken.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Another form, or other lengths than were stated.
    #[error("it is not an entry of the stated length")]
    Form,
    /// Damage inside of what was signed.
    #[error("it cannot be decompressed: {0}")]
    Compression(io::Error),
    /// A bundle that is not whole.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl EntryError {
    /// Returns whether this machine is at fault, and not the entry.
    pub fn is_of_store(&self) -> bool {
        matches!(self, EntryError::Import(ImportError::Store(_)))
    }
}

/// Writes a bundle as the file of an entry, and returns what can be stated of it.
///
/// # Errors
/// A full disk, and a pack that was changed.
pub fn write(text: &str, pack: &Pack, out: &mut File) -> io::Result<Statement> {
    let head = format!("{HEAD}{} {}\n", text.len(), pack.size_bytes());
    let mut encoder = zstd::Encoder::new(Hasher::new(out), LEVEL)?;
    encoder.write_all(head.as_bytes())?;
    encoder.write_all(text.as_bytes())?;
    let mut buffer = vec![0; 1 << 18];
    let mut offset = 0;
    while offset < pack.size_bytes() {
        let count = buffer.len().min(usize::try_from(pack.size_bytes() - offset).unwrap_or(usize::MAX));
        pack.fill_at(&mut buffer[..count], offset)?;
        encoder.write_all(&buffer[..count])?;
        offset += count as u64;
    }
    let (digest, size_bytes, _) = encoder.finish()?.finish();
    let plain_bytes = (head.len() + text.len()) as u64 + pack.size_bytes();
    Ok(Statement { digest, size_bytes, plain_bytes })
}

/// Takes the file of an entry, which has the stated digest, into the store. No more of it is decompressed than
/// was stated.
///
/// # Errors
/// [`EntryError`]; the store has nothing of it then.
pub fn read(
    mut file: File,
    statement: &Statement,
    (kind, key): (&str, &str),
    by: &str,
    store: &Store,
) -> Result<(), EntryError> {
    let compression = EntryError::Compression;
    file.rewind().map_err(compression)?;
    let plain = zstd::Decoder::new(file).map_err(compression)?;
    let mut plain = BufReader::with_capacity(1 << 17, plain.take(statement.plain_bytes));
    let mut head = Vec::new();
    plain.by_ref().take(MAX_HEAD_BYTES).read_until(b'\n', &mut head).map_err(compression)?;
    let (text_bytes, pack_bytes) = lengths(&head).ok_or(EntryError::Form)?;
    let whole = (head.len() as u64).checked_add(text_bytes).and_then(|sum| sum.checked_add(pack_bytes));
    if whole != Some(statement.plain_bytes) || text_bytes > MAX_TEXT_BYTES {
        return Err(EntryError::Form);
    }
    let mut text = Vec::new();
    plain.by_ref().take(text_bytes).read_to_end(&mut text).map_err(compression)?;
    let text = String::from_utf8(text).ok().filter(|text| text.len() as u64 == text_bytes);
    let text = text.ok_or(EntryError::Form)?;
    Ok(store.import_bundle((kind, key), &text, pack_bytes, plain, by)?)
}

/// Reads the first line: the lengths of text and pack.
pub(super) fn lengths(head: &[u8]) -> Option<(u64, u64)> {
    let line = std::str::from_utf8(head).ok()?.strip_prefix(HEAD)?.strip_suffix('\n')?;
    let (text, pack) = line.split_once(' ')?;
    Some((text.parse().ok()?, pack.parse().ok()?))
}
