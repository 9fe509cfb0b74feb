//! Prices in tars, one or several, one over the other: layers of an image.
//!
//! A file takes what its bytes take in the last layer that has it. Headers and padding of the tars, and files that
//! upper layers hide or replace, are metadata.

use std::{
    collections::HashMap,
    io::{self, Read},
    ops::Range,
};

use super::{
    Tally,
    meter::{Meter, Packing},
};
use crate::{
    artifact::{
        fault::{Budget, ImageFault},
        oci,
    },
    digest::Digest,
    formats::{
        compression::{self, Compression},
        tar_in::{self, Dialect},
    },
    tree::{Kind, Tree},
};

/// A tar, which can be read again and again.
pub(super) struct Layer<'a> {
    /// Its name in faults.
    pub name: String,
    /// Opens it, compressed as it is.
    pub open: Box<dyn Fn() -> Result<Box<dyn Read + 'a>, ImageFault> + 'a>,
    /// The same decompressed, where it lies ready.
    pub plain: Option<Box<dyn Read + 'a>>,
}

/// Sums up what the files take.
pub(super) fn measure(mut layers: Vec<Layer<'_>>) -> Result<Tally, ImageFault> {
    let mut tree = Tree::new();
    let mut spans = Vec::new();
    let mut budget = Budget::new();
    for (index, layer) in layers.iter_mut().enumerate() {
        let failed = |source| ImageFault::read(&layer.name[..], source);
        let plain = match layer.plain.take() {
            Some(plain) => plain,
            None => compression::decompressed((layer.open)()?).map_err(failed)?,
        };
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
    for (index, (layer, spans)) in layers.iter().zip(spans).enumerate() {
        let paths: Vec<_> = spans.iter().map(|span| owners.get(&mark(index, span.start)).copied()).collect();
        let mut meter = Meter::new(spans);
        account(layer, &mut meter)?;
        tally.add(paths.into_iter(), &meter);
    }
    Ok(tally)
}

/// Stands for the contents at a place of a layer where their digest would stand.
fn mark(layer: usize, offset: u64) -> Digest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(layer as u64).to_le_bytes());
    bytes[8..16].copy_from_slice(&offset.to_le_bytes());
    Digest(bytes)
}

/// Reads a layer with accounting.
fn account(layer: &Layer<'_>, meter: &mut Meter) -> Result<(), ImageFault> {
    let failed = |source| ImageFault::read(&layer.name[..], source);
    let (kind, whole) = Compression::found((layer.open)()?).map_err(failed)?;
    let packing = match kind {
        None => Packing::Stored,
        Some(Compression::Gzip) => Packing::Gzip,
        Some(Compression::Xz) => Packing::Xz,
        Some(Compression::Zstd) => Packing::Zstd,
        Some(Compression::Bzip2) => Packing::Bzip2,
    };
    meter.read(packing, whole, 2 * Budget::BYTES).map_err(failed)
}
