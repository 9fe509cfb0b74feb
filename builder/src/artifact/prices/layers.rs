//! Prices in tars, one or several, one over the other: layers of an image.
//!
//! A file takes what its bytes take in the last layer that has it. Headers and padding of the tars, and files that
//! upper layers hide or replace, are metadata.

use std::{
    collections::HashMap,
    io::{self, Read},
    ops::Range,
};

use super::{Tally, meter::Meter};
use crate::{
    artifact::{
        fault::{Budget, ImageFault},
        oci::{self, Decompressed},
    },
    digest::Digest,
    formats::{
        deflate,
        tar_in::{self, Limits},
        xz::{blocks::blocks, lzma2},
    },
    tree::{Kind, Tree},
};

/// A tar, which can be read again and again.
pub(super) struct Layer<'a> {
    /// Its name in faults.
    pub name: String,
    /// The length of its file.
    pub size_bytes: u64,
    /// Opens it, compressed as it is.
    pub open: Box<dyn Fn() -> Result<Box<dyn Read + 'a>, ImageFault> + 'a>,
}

/// The longest file of xz that is read: it is kept in memory.
const MAX_XZ_BYTES: u64 = 1 << 30;

/// Sums up what the files take; `None` if a layer is compressed in a way that is not read with accounting.
pub(super) fn measure(layers: &[Layer<'_>]) -> Result<Option<Tally>, ImageFault> {
    let mut tree = Tree::new();
    let mut spans = Vec::new();
    let mut left = Limits { entries: Budget::ENTRIES, total_bytes: Budget::BYTES, ..Limits::default() };
    for (index, layer) in layers.iter().enumerate() {
        let failed = |source| ImageFault::read(&layer.name[..], source);
        let plain = oci::decompressed((layer.open)()?).map_err(failed)?;
        let mut own: Vec<Range<u64>> = Vec::new();
        let read = tar_in::read_tree_with(plain, &left, |_, offset, size_bytes, contents| {
            io::copy(contents, &mut io::sink())?;
            own.push(offset..offset + size_bytes);
            Ok(mark(index, offset))
        });
        let (own_tree, _) = read.map_err(|source| ImageFault::Tar { part: layer.name.clone(), source })?;
        left.entries = left.entries.saturating_sub(own_tree.len() as u64);
        left.total_bytes = left.total_bytes.saturating_sub(own_tree.size_bytes());
        oci::lay(&mut tree, own_tree)?;
        spans.push(own);
    }
    tree.regroup_hard_links();
    let mut tally = Tally::default();
    let mut owners = HashMap::new();
    for (path, entry) in tree.iter() {
        if let Kind::File { digest, hard_link: None, .. } = entry.kind {
            owners.insert(digest, path);
        }
    }
    for (index, (layer, spans)) in layers.iter().zip(&spans).enumerate() {
        let mut meter = Meter::new(spans, 0);
        if !account(layer, &mut meter)? {
            return Ok(None);
        }
        tally.metadata += meter.besides;
        for (span, units) in spans[meter.first..].iter().zip(&meter.units) {
            match owners.get(&mark(index, span.start)) {
                Some(path) => *tally.files.entry((*path).clone()).or_default() += units,
                None => tally.metadata += units,
            }
        }
    }
    Ok(Some(tally))
}

/// Stands for the contents at a place of a layer where their digest would stand.
fn mark(layer: usize, offset: u64) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(layer as u64).to_le_bytes());
    bytes[8..16].copy_from_slice(&offset.to_le_bytes());
    Digest(bytes)
}

/// Reads a layer with accounting; false if its compression has none.
fn account(layer: &Layer<'_>, meter: &mut Meter<'_>) -> Result<bool, ImageFault> {
    let failed = |source| ImageFault::read(&layer.name[..], source);
    let damaged = |error: &dyn std::fmt::Display| failed(io::Error::other(error.to_string()));
    let mut reader = (layer.open)()?;
    let mut start = Vec::new();
    reader.by_ref().take(6).read_to_end(&mut start).map_err(failed)?;
    let kind = Decompressed::of(&start);
    let whole = io::Cursor::new(start).chain(reader);
    match kind {
        Decompressed::Plain => meter.stored(layer.size_bytes),
        Decompressed::Zstd => return Ok(false),
        Decompressed::Gzip => {
            let limit_bytes = 2 * Budget::BYTES;
            deflate::account_gzip(whole, limit_bytes, |count, price| meter.charge(count, price))
                .map_err(|error| damaged(&error))?;
        }
        Decompressed::Xz if layer.size_bytes > MAX_XZ_BYTES => return Ok(false),
        Decompressed::Xz => {
            let mut packed = Vec::new();
            whole.take(MAX_XZ_BYTES).read_to_end(&mut packed).map_err(failed)?;
            let Some(places) = blocks(&packed) else { return Ok(false) };
            for place in places {
                let plain_bytes = place.plain.end - place.plain.start;
                let charge = |bytes: &[u8], price| meter.charge(bytes.len() as u64, price);
                lzma2::account(&packed[place.chunks], place.dictionary_bytes, plain_bytes, charge)
                    .map_err(|error| damaged(&error))?;
            }
        }
    }
    Ok(true)
}
