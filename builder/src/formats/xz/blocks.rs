//! Where the blocks of an `.xz` file lie, by its indexes, so that they can be read side by side.

use std::ops::Range;

use super::read_varint;

const HEADER_BYTES: usize = 12;
const LZMA2: u64 = 0x21;

/// A block of LZMA2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where its chunks lie in the file.
    pub chunks: Range<usize>,
    /// The dictionary that its header names.
    pub dictionary_bytes: u64,
    /// Where what it yields lies in the decompressed stream.
    pub plain: Range<u64>,
}

/// Returns the blocks of all streams of a file, in order; `None` if it is not `.xz`, or something else than
/// LZMA2 compresses it. Filters before that change no lengths.
pub fn blocks(file: &[u8]) -> Option<Vec<Place>> {
    let mut streams = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        if let Some(before) = rest.strip_suffix(&[0; 4]) {
            rest = before;
            continue;
        }
        let (start, stream) = last_stream(rest)?;
        streams.push(stream);
        rest = &rest[..start];
    }
    let mut places: Vec<Place> = streams.into_iter().rev().flatten().collect();
    let mut position = 0_u64;
    for place in &mut places {
        let end = position.checked_add(place.plain.end)?;
        place.plain = position..end;
        position = end;
    }
    Some(places)
}

/// Returns where the last stream of a file begins, and its blocks. What they yield begins at 0 for each.
fn last_stream(file: &[u8]) -> Option<(usize, Vec<Place>)> {
    let footer_at = file.len().checked_sub(HEADER_BYTES)?;
    let footer = &file[footer_at..];
    let index_bytes = (u32::from_le_bytes(footer[4..8].try_into().ok()?) as usize).checked_add(1)?;
    let index_at = footer_at.checked_sub(index_bytes.checked_mul(4)?)?;
    let records = records(&file[index_at..footer_at])?;
    let check_bytes = match footer[9] & 15 {
        0 => 0,
        kind => 4_usize << ((kind - 1) / 3),
    };
    let padded = |unpadded: &u64| usize::try_from(unpadded.checked_next_multiple_of(4)?).ok();
    let mut end = index_at;
    let mut places = Vec::new();
    for (unpadded, plain) in records.iter().rev() {
        let start = end.checked_sub(padded(unpadded)?)?;
        let block = file[start..end].get(..usize::try_from(*unpadded).ok()?)?;
        let (header, dictionary_bytes) = read_header(block)?;
        let chunks = start + header..start + block.len().checked_sub(check_bytes)?;
        if chunks.start > chunks.end {
            return None;
        }
        places.push(Place { chunks, dictionary_bytes, plain: 0..*plain });
        end = start;
    }
    places.reverse();
    Some((end.checked_sub(HEADER_BYTES)?, places))
}

/// Returns each block's size without padding, and what it yields.
fn records(index: &[u8]) -> Option<Vec<(u64, u64)>> {
    let mut rest = index.strip_prefix(&[0])?;
    let count = next(&mut rest)?;
    (0..count).map(|_| Some((next(&mut rest)?, next(&mut rest)?))).collect()
}

fn next(rest: &mut &[u8]) -> Option<u64> {
    let (value, used) = read_varint(rest)?;
    *rest = &rest[used..];
    Some(value)
}

/// Returns how long a block's header is, and its dictionary.
fn read_header(block: &[u8]) -> Option<(usize, u64)> {
    let length = (usize::from(*block.first()?) + 1) * 4;
    let flags = *block.get(1)?;
    let mut rest = block.get(2..length - 4)?;
    for size in [0x40, 0x80] {
        if flags & size != 0 {
            next(&mut rest)?;
        }
    }
    for at in 0..=flags & 3 {
        let id = next(&mut rest)?;
        let size = usize::try_from(next(&mut rest)?).ok()?;
        let (properties, after) = rest.split_at_checked(size)?;
        rest = after;
        if at == flags & 3 {
            let bits = *properties.last().filter(|bits| id == LZMA2 && **bits <= 40)?;
            let bytes = (2 | u64::from(bits & 1)) << (bits / 2 + 11);
            return Some((length, bytes.min(u64::from(u32::MAX))));
        }
    }
    None
}
