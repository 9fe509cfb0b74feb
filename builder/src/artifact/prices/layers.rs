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
        oci,
    },
    digest::Digest,
    formats::{
        compression::{self, Compression},
        deflate,
        tar_in::{self, Dialect},
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
    let mut budget = Budget::new();
    for (index, layer) in layers.iter().enumerate() {
        let failed = |source| ImageFault::read(&layer.name[..], source);
        let plain = compression::decompressed((layer.open)()?).map_err(failed)?;
        let mut own: Vec<Range<u64>> = Vec::new();
        let read = tar_in::read_tree_with(plain, Dialect::Any, &mut budget, |_, place, contents| {
            io::copy(contents, &mut io::sink())?;
            own.push(place.clone());
            Ok(mark(index, place.start))
        });
        let (own_tree, _) = read.map_err(|source| ImageFault::Tar { part: layer.name.clone(), source })?;
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
    let (kind, whole) = Compression::found((layer.open)()?).map_err(failed)?;
    match kind {
        None => meter.stored(layer.size_bytes),
        Some(Compression::Zstd | Compression::Bzip2) => return Ok(false),
        Some(Compression::Gzip) => {
            let limit_bytes = 2 * Budget::BYTES;
            deflate::account_gzip(whole, limit_bytes, |count, price| meter.charge(count, price))
                .map_err(|error| damaged(&error))?;
        }
        Some(Compression::Xz) if layer.size_bytes > MAX_XZ_BYTES => return Ok(false),
        Some(Compression::Xz) => {
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
