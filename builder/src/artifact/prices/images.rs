//! Prices in images that are file systems: what stands in the file for itself is priced by where it lies, the ends
//! of files that share a compressed block by its decoder.

use std::{collections::BTreeMap, fs::File, ops::Range};

use super::{
    Tally,
    meter::{Meter, Packing},
};
use crate::{
    artifact::{
        erofs,
        fault::ImageFault,
        source::SpanReader,
        squashfs::{self, Codec, Fragment},
    },
    formats::{capnp::Span, xz::lzma2::UNITS_PER_BYTE},
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

/// Sums up what the files of a squashfs image take.
pub(super) fn squashfs(file: &File) -> Result<Tally, ImageFault> {
    let pieces = squashfs::pieces(file)?;
    let mut tally = Tally {
        files: stored(pieces.blocks),
        // A superblock can say anything; sums are brought to the file's length in the end.
        metadata: pieces.table_bytes.min(length(file)?) * UNITS_PER_BYTE,
    };
    for fragment in pieces.fragments {
        self::fragment(file, fragment, u64::from(pieces.block_bytes), &mut tally)?;
    }
    Ok(tally)
}

/// Prices a block of the ends of files.
fn fragment(file: &File, fragment: Fragment, block_bytes: u64, tally: &mut Tally) -> Result<(), ImageFault> {
    let Fragment { start, size_bytes, packing, ends } = fragment;
    let (paths, spans): (Vec<TreePath>, _) = apart(ends).into_iter().unzip();
    let mut meter = Meter::new(spans);
    let packed = SpanReader { file, span: Span { offset: start, size_bytes } };
    let packing = match packing {
        None => Packing::Stored,
        Some(Codec::Gzip) => Packing::Zlib,
        Some(Codec::Xz) => Packing::Xz,
        Some(Codec::Zstd) => Packing::Zstd,
    };
    meter.read(packing, packed, block_bytes).map_err(|e| ImageFault::read("a fragment", e))?;
    tally.add(paths.iter().map(Some), &meter);
    Ok(())
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
