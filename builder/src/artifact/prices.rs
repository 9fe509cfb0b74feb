//! What each file takes in an artifact's file, compressed as it is there.
//!
//! The compressed stream is read with accounting ([`lzma2`]); what its bytes took is summed up by the spans of
//! the archive. What is in no file (signature, names, modes, the pointers of the archive) is *metadata*; what
//! yields nothing (headers, checks, the index, the last bits of the range coder) is the *container*. All
//! together are the size of the artifact, to the byte.
//!
//! A price is what bytes take where they stand: the second copy of a file takes almost nothing.

use std::{collections::BTreeMap, thread::available_parallelism};

use super::{Artifact, ArtifactError, Details, spk::Spk};
use crate::{
    digest::Digest,
    error::PathError,
    files,
    formats::{
        spk::{self, ItemKind},
        xz::{
            blocks::{Place, blocks},
            lzma2::{self, Damaged, UNITS_PER_BYTE},
        },
    },
    store::Store,
    threads,
    tree::TreePath,
};

/// The kind of the notes that keep what was found; its number grows with the method.
const NOTE: &str = "prices-1";

/// The compressed size of each file of an artifact, and of the rest, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Of each regular file.
    pub files: BTreeMap<TreePath, u64>,
    /// Of what describes files: names, modes, the signature.
    pub metadata_bytes: u64,
    /// Of what yields no byte: headers, checks, the index.
    pub container_bytes: u64,
}

/// Returns what each file takes; `None` for a format that is not read with accounting yet. It is kept in the
/// store, so the second call reads it from there.
///
/// # Errors
/// A file that cannot be read, or changed since it was opened.
pub fn prices(artifact: &Artifact, store: &Store) -> Result<Option<Prices>, ArtifactError> {
    let Details::Spk(spk) = &artifact.details else { return Ok(None) };
    let spans = spans(spk);
    let key = artifact.digest.to_string();
    let noted = store.noted(NOTE, &key).and_then(|note| read_note(&note));
    let noted = noted.filter(|sizes| sizes.len() == spans.len() + 2);
    let sizes = match noted.filter(|sizes| sizes.iter().sum::<u64>() == artifact.size_bytes) {
        Some(sizes) => sizes,
        None => {
            let sizes = measure(artifact, &spans)?;
            let note: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
            // Without a note it is measured again.
            let _ = store.note(NOTE, &key, &note);
            sizes
        }
    };
    let files = spans.iter().zip(&sizes).map(|(span, size)| (span.path.clone(), *size)).collect();
    let [metadata_bytes, container_bytes] = [sizes[spans.len()], sizes[spans.len() + 1]];
    Ok(Some(Prices { files, metadata_bytes, container_bytes }))
}

fn read_note(note: &[u8]) -> Option<Vec<u64>> {
    let (sizes, rest) = note.as_chunks::<8>();
    rest.is_empty().then(|| sizes.iter().map(|size| u64::from_le_bytes(*size)).collect())
}

/// A file's place in the decompressed stream.
struct FileSpan<'a> {
    path: &'a TreePath,
    start: u64,
    end: u64,
}

/// Returns the files by where they lie. Of files that share bytes, the first has them.
fn spans(spk: &Spk) -> Vec<FileSpan<'_>> {
    let file = |item: &'_ spk::Item| match item.kind {
        ItemKind::File { span, .. } => Some((span.offset, span.offset.saturating_add(span.size_bytes))),
        _ => None,
    };
    let files = spk.items.iter().filter_map(|item| Some((&item.path, file(item)?)));
    let mut spans: Vec<FileSpan> = files.map(|(path, (start, end))| FileSpan { path, start, end }).collect();
    spans.sort_by_key(|span| (span.start, span.end));
    let mut position = 0;
    for span in &mut spans {
        span.start = span.start.max(position);
        span.end = span.end.max(span.start);
        position = span.end;
    }
    spans
}

/// Returns the sizes of files, of the metadata and of the container.
fn measure(artifact: &Artifact, spans: &[FileSpan<'_>]) -> Result<Vec<u64>, ArtifactError> {
    let bytes = files::read(&artifact.path)?;
    let fault = |text: &'static str| PathError::new("read", &artifact.path, std::io::Error::other(text));
    if Digest::of(&bytes) != artifact.digest {
        return Err(fault("it changed while it was read").into());
    }
    let stream = bytes.get(spk::MAGIC.len()..).unwrap_or_default();
    let places = blocks(stream).ok_or_else(|| fault("its blocks are not where its index has them"))?;
    let threads = available_parallelism().map_or(1, usize::from);
    let tallies = threads::map(threads, &places, |place| measure_block(stream, place, spans));
    let mut units = vec![0; spans.len() + 1];
    for tally in tallies {
        let tally = tally.map_err(|_| fault("its compressed data is damaged"))?;
        for (sum, price) in units[tally.first..].iter_mut().zip(&tally.files) {
            *sum += price;
        }
        units[spans.len()] += tally.metadata;
    }
    Ok(settle(&units, artifact.size_bytes))
}

/// The prices of one block, in units.
struct Tally {
    /// The first file that has a part in it.
    first: usize,
    files: Vec<u64>,
    metadata: u64,
}

fn measure_block(stream: &[u8], place: &Place, spans: &[FileSpan<'_>]) -> Result<Tally, Damaged> {
    let mut position = place.plain.start;
    let first = spans.partition_point(|span| span.end <= position);
    let mut tally = Tally { first, files: Vec::new(), metadata: 0 };
    let mut current = first;
    let charge = |bytes: &[u8], mut price: u64| {
        let mut count = bytes.len() as u64;
        while count > 0 {
            while spans.get(current).is_some_and(|span| span.end <= position) {
                current += 1;
            }
            let (end, is_file) = match spans.get(current) {
                Some(span) if span.start <= position => (span.end, true),
                Some(span) => (span.start, false),
                None => (u64::MAX, false),
            };
            let here = count.min(end - position);
            let part = if here == count { price } else { price * here / count };
            if is_file {
                tally.files.resize(current - first + 1, 0);
                tally.files[current - first] += part;
            } else {
                tally.metadata += part;
            }
            (count, price, position) = (count - here, price - part, position + here);
        }
    };
    let plain_bytes = place.plain.end - place.plain.start;
    lzma2::account(&stream[place.chunks.clone()], place.dictionary_bytes, plain_bytes, charge)?;
    Ok(tally)
}

/// Rounds prices to bytes so that they and the container, which has the rest, are `size_bytes` together: those
/// with the largest fractions are rounded up.
fn settle(units: &[u64], size_bytes: u64) -> Vec<u64> {
    let all = u128::from(size_bytes) * u128::from(UNITS_PER_BYTE);
    let priced: u128 = units.iter().map(|unit| u128::from(*unit)).sum();
    // The range coder rounds, so in theory a stream can be a little shorter than its prices.
    let scale = |unit: &u64| match priced > all {
        true => u128::from(*unit) * all / priced,
        false => u128::from(*unit),
    };
    let mut exact: Vec<u128> = units.iter().map(scale).collect();
    exact.push(all - exact.iter().sum::<u128>());
    let unit = u128::from(UNITS_PER_BYTE);
    let mut bytes: Vec<u64> = exact.iter().map(|exact| (exact / unit) as u64).collect();
    let mut by_fraction: Vec<usize> = (0..exact.len()).collect();
    by_fraction.sort_by_key(|at| (std::cmp::Reverse(exact[*at] % unit), *at));
    let left = size_bytes - bytes.iter().sum::<u64>();
    by_fraction.iter().take(left as usize).for_each(|at| bytes[*at] += 1);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_prices_are_the_size_to_the_byte() {
        let third = UNITS_PER_BYTE / 3;
        assert_eq!(settle(&[third, third], 1), [0, 0, 1]);
        assert_eq!(settle(&[2 * third, third], 1), [1, 0, 0]);
        assert_eq!(settle(&[5 * UNITS_PER_BYTE, UNITS_PER_BYTE / 2], 9), [5, 1, 3]);
        // More than there is.
        assert_eq!(settle(&[30 * UNITS_PER_BYTE, 10 * UNITS_PER_BYTE], 4), [3, 1, 0]);
    }
}
