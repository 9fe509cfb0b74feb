//! Packages indexes in the store: the text with its table, as one file.
//!
//! ```text
//! PACKAGES 3 TEXT-BYTES TABLE-BYTES SHA256 SUM SUM SUM SUM SEAL
//! (the text)(the table)
//! ```
//!
//! The digest is that of the whole text as the archive has it, before the fields went that are not read.
//! Whether the text is what the archive signed was seen to when it was fetched. The sums (BLAKE3), each of a
//! quarter of what follows the first line, and the store's seal on the words before it, show that the file is
//! what we wrote then. It is read into memory, not mapped: a mapped file that is cut short ends the process,
//! and one that changes does so under checked text.

use std::{
    fmt,
    fs::File,
    io,
    ops::Deref,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use memmap2::MmapMut;

use crate::{
    digest::Digest,
    files,
    formats::packages::table::Table,
    store::Store,
    sys::{memory, path::open_regular},
    threads,
};

/// The stanzas of one index, and where each is.
#[derive(Clone, Default)]
pub struct Text {
    /// None: there is no stanza.
    kept: Option<Arc<Kept>>,
}

struct Kept {
    /// Text and table, at its start.
    body: MmapMut,
    text_bytes: usize,
    digest: Digest,
    table: Option<Table>,
}

impl Text {
    /// Returns the SHA-256 of the whole index, before it was reduced.
    pub fn digest(&self) -> Digest {
        self.kept.as_ref().map_or_else(|| Digest::of(b""), |kept| kept.digest)
    }

    /// Returns the text's table for the architecture that it was requested with; `None` where it is too long.
    pub fn table(&self) -> Option<&Table> {
        self.kept.as_ref()?.table.as_ref()
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.kept.as_ref().map_or(&[], |kept| &kept.body[..kept.text_bytes])
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self))
    }
}

/// In how many pieces a file is read and checked, side by side.
const PIECES: usize = 4;

/// Returns the bytes of the file; `seal` seals the words of the first line.
pub(super) fn to_bytes(
    text: &[u8],
    digest: &Digest,
    table: Option<&Table>,
    seal: impl FnOnce(&[u8]) -> Digest,
) -> Vec<u8> {
    let table = table.map(Table::to_bytes).unwrap_or_default();
    let body = [text, &table].concat();
    let pieces: Vec<&[u8]> = pieces(body.len()).map(|piece| &body[piece]).collect();
    let sums = threads::map(PIECES, &pieces, |piece| sum(piece));
    let sums: String = sums.iter().map(|sum| format!(" {sum}")).collect();
    let words = format!("PACKAGES 3 {} {} {digest}{sums}", text.len(), table.len());
    let seal = seal(words.as_bytes());
    [format!("{words} {seal}\n").as_bytes(), &body].concat()
}

/// Reads a kept index; `None` if it was changed.
pub(super) fn read(store: &Store, path: &Path) -> io::Result<Option<Text>> {
    let path = &store.existing(path.to_path_buf());
    let file = open_regular(path)?;
    let mut start = vec![0; 1024];
    let got = file.read_at(&mut start, 0)?;
    let Some((head, words, seal)) = Head::parse(&start[..got]) else { return Ok(None) };
    let found = file.metadata()?;
    let size_bytes = found.len();
    if !store.is_sealed(path, words, &seal) {
        return Ok(None);
    }
    let damaged = || {
        if files::remove_file(path).is_ok() {
            store.note_damaged(path);
        }
    };
    let body_bytes =
        head.body_bytes().filter(|bytes| (head.end as u64).checked_add(*bytes) == Some(size_bytes));
    let Some(body_bytes) = body_bytes else {
        damaged();
        return Ok(None);
    };
    let length = usize::try_from(body_bytes).map_err(io::Error::other)?;
    let mut body = memory::zeroes(length)?;
    let Some(()) = fill(&file, head.end as u64, &mut body[..length], &head.sums)? else {
        damaged();
        return Ok(None);
    };
    store.used(path, &found);
    let Some(table) = head.table(&body[..length]) else { return Ok(None) };
    let Head { text_bytes, digest, .. } = head;
    Ok(Some(Text { kept: Some(Arc::new(Kept { body, text_bytes, digest, table })) }))
}

/// Returns whether a file of a store is an index that was kept there, and whole. One that is damaged is
/// removed.
pub fn is_kept_index(store: &Store, path: &Path) -> bool {
    matches!(read(store, path), Ok(Some(_)))
}

/// Returns the parts of a file as [`read`] takes them, whatever its sums and its seal.
#[cfg(feature = "testing")]
pub(super) fn parts(file: &[u8]) -> Option<(&[u8], Option<Table>)> {
    let (head, ..) = Head::parse(file)?;
    let body = &file[head.end..];
    if head.body_bytes()? != body.len() as u64 {
        return None;
    }
    Some((&body[..head.text_bytes], head.table(body)?))
}

/// Reads all pieces side by side, each checked as soon as it is there; `None` if one was changed.
fn fill(file: &File, start: u64, body: &mut [u8], sums: &[Digest]) -> io::Result<Option<()>> {
    let ranges: Vec<_> = pieces(body.len()).collect();
    let mut parts = Vec::new();
    let mut rest = body;
    for (range, expected) in ranges.iter().zip(sums) {
        let (piece, later) = rest.split_at_mut(range.len());
        parts.push((start + range.start as u64, Mutex::new(piece), expected));
        rest = later;
    }
    let read = threads::map(PIECES, &parts, |(offset, piece, expected)| {
        let mut piece = piece.lock().unwrap_or_else(PoisonError::into_inner);
        file.read_exact_at(&mut piece, *offset)?;
        Ok(sum(&piece) == **expected)
    });
    let read: io::Result<Vec<bool>> = read.into_iter().collect();
    match read {
        Ok(good) => Ok(good.iter().all(|good| *good).then_some(())),
        // It was cut off meanwhile.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first line.
struct Head {
    text_bytes: usize,
    table_bytes: usize,
    digest: Digest,
    sums: Vec<Digest>,
    /// Where it ends.
    end: usize,
}

impl Head {
    /// Reads a first line; returns also its words that are sealed, and the seal.
    fn parse(file: &[u8]) -> Option<(Head, &[u8], Digest)> {
        let end = memchr::memchr(b'\n', file)?;
        let line = std::str::from_utf8(&file[..end]).ok()?;
        let (sealed, seal) = line.rsplit_once(' ')?;
        let mut words = sealed.strip_prefix("PACKAGES 3 ")?.split(' ');
        let (text_bytes, table_bytes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let digest = words.next()?.parse().ok()?;
        let sums: Vec<Digest> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let head = Head { text_bytes, table_bytes, digest, sums, end: end + 1 };
        (head.sums.len() == PIECES).then_some((head, sealed.as_bytes(), seal.parse().ok()?))
    }

    fn body_bytes(&self) -> Option<u64> {
        (self.text_bytes as u64).checked_add(self.table_bytes as u64)
    }

    /// Returns the table of a body, if it has one; `None` for one that cannot be its text's.
    fn table(&self, body: &[u8]) -> Option<Option<Table>> {
        let (text, table) = body.split_at_checked(self.text_bytes)?;
        match table.is_empty() {
            true => Some(None),
            false => Table::from_bytes(table, text).map(Some),
        }
    }
}

/// Returns where each piece of a body is; the last are empty where there is next to nothing.
fn pieces(length: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let size = length.div_ceil(PIECES);
    (0..PIECES).map(move |n| (n * size).min(length)..((n + 1) * size).min(length))
}

fn sum(piece: &[u8]) -> Digest {
    Digest(blake3::hash(piece).into())
}
