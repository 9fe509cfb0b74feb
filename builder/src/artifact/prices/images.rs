//! Prices in images that are file systems: what stands in the file for itself is priced by where it lies, the ends
//! of files that share a compressed block by its decoder.

use std::{collections::BTreeMap, fs::File, ops::Range, os::unix::fs::FileExt as _};

use super::{Tally, meter::Meter};
use crate::{
    artifact::{
        erofs,
        fault::ImageFault,
        squashfs::{self, Codec, Fragment},
    },
    formats::{
        deflate,
        xz::{
            blocks::blocks,
            lzma2::{self, UNITS_PER_BYTE},
        },
    },
    tree::TreePath,
};

/// Sums up what the files of an EROFS image take: it is not compressed.
pub(super) fn erofs(file: &File) -> Result<Tally, ImageFault> {
    let files = stored(erofs::places(file)?);
    // All else are inodes, names and padding, but for the first block.
    let besides = length(file)?.saturating_sub(erofs::HEADER_BYTES) * UNITS_PER_BYTE;
    let metadata = besides.saturating_sub(files.values().sum());
    Ok(Tally { files, metadata })
}

fn length(file: &File) -> Result<u64, ImageFault> {
    Ok(file.metadata().map_err(|e| ImageFault::read("the image", e))?.len())
}

/// Sums up what the files of a squashfs image take; `None` if it is compressed by zstd, whose ends of files are not
/// read with accounting.
pub(super) fn squashfs(file: &File) -> Result<Option<Tally>, ImageFault> {
    let pieces = squashfs::pieces(file)?;
    let mut tally = Tally {
        files: stored(pieces.blocks),
        // A superblock can say anything; sums are brought to the file's length in the end.
        metadata: pieces.table_bytes.min(length(file)?) * UNITS_PER_BYTE,
    };
    for fragment in pieces.fragments {
        if !self::fragment(file, fragment, u64::from(pieces.block_bytes), &mut tally)? {
            return Ok(None);
        }
    }
    Ok(Some(tally))
}

/// Prices a block of the ends of files; false if its codec has no accounting.
fn fragment(
    file: &File,
    fragment: Fragment,
    block_bytes: u64,
    tally: &mut Tally,
) -> Result<bool, ImageFault> {
    let Fragment { start, size_bytes, packing, ends } = fragment;
    let ends = apart(ends);
    let spans: Vec<Range<u64>> = ends.iter().map(|(_, span)| span.clone()).collect();
    let mut meter = Meter::new(&spans, 0);
    // Its reader has bounded it.
    let mut packed = vec![0; size_bytes as usize];
    file.read_exact_at(&mut packed, start).map_err(|e| ImageFault::read("a fragment", e))?;
    let damaged = |_| ImageFault::rule("a fragment", "is damaged");
    match packing {
        None => meter.stored(size_bytes),
        Some(Codec::Zstd) => return Ok(false),
        Some(Codec::Gzip) => {
            deflate::account_zlib(&packed, block_bytes, |count, price| meter.charge(count, price))
                .map_err(|_| damaged(()))?;
        }
        Some(Codec::Xz) => {
            let Some(places) = blocks(&packed) else { return Ok(false) };
            if places.last().is_some_and(|last| last.plain.end > block_bytes) {
                return Err(ImageFault::rule("a fragment", "is longer than a block may be"));
            }
            for place in places {
                let plain_bytes = place.plain.end - place.plain.start;
                let charge = |bytes: &[u8], price| meter.charge(bytes.len() as u64, price);
                lzma2::account(
                    &packed[place.chunks],
                    place.dictionary_bytes.min(4 << 20),
                    plain_bytes,
                    charge,
                )
                .map_err(|_| damaged(()))?;
            }
        }
    }
    tally.metadata += meter.besides;
    for ((path, _), units) in ends[meter.first..].iter().zip(&meter.units) {
        *tally.files.entry(path.clone()).or_default() += units;
    }
    Ok(true)
}

/// Prices what stands in a file as it is.
fn stored(places: Vec<(TreePath, Range<u64>)>) -> BTreeMap<TreePath, u64> {
    let mut files = BTreeMap::new();
    for (path, place) in apart(places) {
        *files.entry(path).or_default() += (place.end - place.start) * UNITS_PER_BYTE;
    }
    files
}

/// Puts places in order, and takes from each what an earlier one has: of files that share bytes, the first by path
/// has them.
fn apart(mut places: Vec<(TreePath, Range<u64>)>) -> Vec<(TreePath, Range<u64>)> {
    places.sort_by(|(one, a), (two, b)| (a.start, a.end, one).cmp(&(b.start, b.end, two)));
    let mut position = 0;
    for (_, place) in &mut places {
        place.start = place.start.max(position);
        place.end = place.end.max(place.start);
        position = place.end;
    }
    places.retain(|(_, place)| place.start < place.end);
    places
}
