//! Packages indexes in the store: the text with its table, as one file that is mapped, not read.
//!
//! ```text
//! PACKAGES 2 TEXT-BYTES TABLE-BYTES SHA256 CRC CRC CRC CRC
//! (the text)(the table)
//! ```
//!
//! The digest is that of the whole text as the archive has it, before the fields went that are not read. Whether the text is what the archive signed was seen to when it was fetched; the sums, each of a quarter of what
//! follows the first line, tell a file that a disk has damaged since.

use std::{fmt, fs::File, io, ops::Deref, path::Path, sync::Arc};

use crate::{
    formats::{digest::Digest, packages::table::Table},
    sys::map,
    threads,
};

/// The stanzas of one index, and where each is.
#[derive(Clone, Default)]
pub struct Text {
    /// None: there is no stanza.
    kept: Option<Arc<Kept>>,
}

struct Kept {
    file: map::Mapped,
    text: std::ops::Range<usize>,
    digest: Digest,
    table: Option<Table>,
}

impl Text {
    /// Returns the SHA-256 of the whole index, before it was reduced.
    pub fn digest(&self) -> Digest {
        self.kept.as_ref().map_or_else(|| Digest::of(b""), |kept| kept.digest)
    }

    /// Returns the text's table for the architecture that it was asked for with; `None` where it is too long.
    pub fn table(&self) -> Option<&Table> {
        self.kept.as_ref()?.table.as_ref()
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.kept.as_ref().map_or(&[], |kept| &kept.file[kept.text.clone()])
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

/// In how many pieces a file is checked, side by side.
const PIECES: usize = 4;

/// Returns the bytes of the file.
pub(super) fn to_bytes(text: &[u8], digest: &Digest, table: Option<&Table>) -> Vec<u8> {
    let table = table.map(Table::to_bytes).unwrap_or_default();
    let head = |sums: &[u32]| {
        let sums: String = sums.iter().map(|sum| format!(" {sum:08x}")).collect();
        format!("PACKAGES 2 {} {} {digest}{sums}\n", text.len(), table.len()).into_bytes()
    };
    let start = head(&[0; PIECES]).len();
    let mut out = Vec::with_capacity(start + text.len() + table.len());
    out.resize(start, 0);
    out.extend_from_slice(text);
    out.extend_from_slice(&table);
    let sums = sums(&out[start..]);
    out[..start].copy_from_slice(&head(&sums));
    out
}

/// Maps a kept index; `None` if it is not what was written.
pub(super) fn read(path: &Path) -> io::Result<Option<Text>> {
    let file = map::map(&File::open(path)?)?;
    let Some(Layout { text, table, digest }) = layout(&file) else { return Ok(None) };
    let (table_bytes, text_bytes) = (&file[table], &file[text.clone()]);
    let table = match table_bytes.is_empty() {
        true => None,
        false => match Table::from_bytes(table_bytes, text_bytes) {
            Some(table) => Some(table),
            None => return Ok(None),
        },
    };
    Ok(Some(Text { kept: Some(Arc::new(Kept { file, text, digest, table })) }))
}

/// Returns the parts of a file as [`read`] takes them.
#[cfg(feature = "testing")]
pub(super) fn parts(file: &[u8]) -> Option<(&[u8], Option<Table>)> {
    let Layout { text, table, .. } = layout(file)?;
    let (table, text) = (&file[table], &file[text]);
    if table.is_empty() {
        Some((text, None))
    } else {
        Table::from_bytes(table, text).map(|table| (text, Some(table)))
    }
}

/// Where text and table are in a file.
struct Layout {
    text: std::ops::Range<usize>,
    table: std::ops::Range<usize>,
    digest: Digest,
}

/// Returns where text and table are in a file that is whole.
fn layout(file: &[u8]) -> Option<Layout> {
    let start = memchr::memchr(b'\n', file)? + 1;
    let head = std::str::from_utf8(&file[..start - 1]).ok()?;
    let mut words = head.strip_prefix("PACKAGES 2 ")?.split(' ');
    let mut length = || words.next()?.parse::<usize>().ok();
    let (text, table) = (length()?, length()?);
    let digest = words.next()?.parse().ok()?;
    let body = &file[start..];
    if text.checked_add(table)? != body.len() {
        return None;
    }
    let kept: Vec<u32> = words.map(|word| u32::from_str_radix(word, 16).ok()).collect::<Option<_>>()?;
    let layout = Layout { text: start..start + text, table: start + text..file.len(), digest };
    (kept == sums(body)).then_some(layout)
}

/// Returns the sum of each quarter, of which the last are empty where there is next to nothing.
fn sums(body: &[u8]) -> [u32; PIECES] {
    let size = body.len().div_ceil(PIECES);
    let piece = |n: usize| &body[(n * size).min(body.len())..((n + 1) * size).min(body.len())];
    let pieces: [&[u8]; PIECES] = std::array::from_fn(piece);
    let sums = threads::map(PIECES, &pieces, |piece| sum(piece));
    std::array::from_fn(|n| sums.get(n).copied().unwrap_or_default())
}

fn sum(piece: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(piece);
    sum.sum()
}
