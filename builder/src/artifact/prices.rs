//! What each file takes in an artifact's file, compressed as it is there.
//!
//! The compressed stream is read with accounting ([`accounted`](crate::formats::xz::accounted),
//! [`deflate`](crate::formats::deflate), [`blocks`](crate::formats::blocks)); what its bytes took is summed up by the spans of the archive. What
//! stands uncompressed takes its bytes. What is in no file (signature, names, modes, the pointers of the archive)
//! is *metadata*; what yields nothing (headers, checks, the index, the last bits of the range coder) is the
//! *container*. All together are the size of the artifact, to the byte.
//!
//! An `.spk` that is new to the store is decompressed once: its prices come with its contents ([`open`]).
//!
//! A price is what bytes take where they stand: the second copy of a file takes almost nothing.

mod images;
mod layers;
mod meter;

use std::{collections::BTreeMap, ops::Range, path::Path};

use super::{
    Artifact, ArtifactError, Details, Foreign, Format, ImageFault, Root, image,
    image::identity,
    oci,
    source::{Source, SpanReader},
    spk::{self, Spk},
};
use crate::{
    digest::Digest,
    error::{At as _, PathError},
    files,
    formats::{
        capnp::Span,
        spk::{Item, ItemKind, MAGIC},
        xz::lzma2::UNITS_PER_BYTE,
    },
    progress::Progress,
    store::Store,
    tree::{Tree, TreePath},
};
use layers::Layer;
pub(super) use meter::Meter;
use meter::Packing;

/// The kind of the notes that keep what was found; its number grows with the method.
const NOTE: &str = "prices-2";
const IMAGE_NOTE: &str = "image-prices-2";

/// The compressed size of each file of an artifact, and of the rest, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Of each regular file.
    pub files: BTreeMap<TreePath, u64>,
    /// Of what describes files: names, modes, the signature; in layers also of files that upper ones hide.
    pub metadata_bytes: u64,
    /// Of what yields no byte: headers, checks, the index.
    pub container_bytes: u64,
}

/// What files take together, in units.
#[derive(Debug, Default)]
struct Tally {
    files: BTreeMap<TreePath, u64>,
    metadata: u64,
}

impl Tally {
    /// Adds what the spans of a stream took; those without a path are metadata.
    fn add<'p>(&mut self, paths: impl Iterator<Item = Option<&'p TreePath>>, meter: &Meter) {
        self.metadata += meter.besides;
        for (path, units) in paths.zip(&meter.units) {
            match path {
                Some(path) => *self.files.entry(path.clone()).or_default() += units,
                None => self.metadata += units,
            }
        }
    }
}

/// Reads an artifact as [`artifact::open`](super::open) does, and what each file of it takes. Both are kept in the
/// store: what it has is not decompressed again, and what it does not have only once if it is an `.spk`.
///
/// # Errors
/// As [`artifact::open`](super::open).
pub fn open(path: &Path, store: &Store, progress: &Progress) -> Result<(Artifact, Prices), ArtifactError> {
    let (source, format) = Source::open(path)?;
    if format == Format::Spk {
        return open_spk(&source, store, progress);
    }
    let artifact = image::open(&source, format, false, store, progress)?;
    let prices = prices(&artifact, store)?;
    Ok((artifact, prices))
}

/// Reads a root in a file as [`artifact::open_any`](super::open_any) does, and what each file of it takes, as
/// [`open`].
///
/// # Errors
/// As [`artifact::open_any`](super::open_any).
pub fn open_any(path: &Path, store: &Store, progress: &Progress) -> Result<(Root, Prices), ArtifactError> {
    let (source, format) = Source::open(path)?;
    if format == Format::Spk {
        let (artifact, prices) = open_spk(&source, store, progress)?;
        return Ok((Root::Package(Box::new(artifact)), prices));
    }
    let root = image::open_any(&source, format, store, progress)?;
    let prices = match &root {
        Root::Package(artifact) => prices(artifact, store)?,
        Root::Foreign(Foreign { path, format, size_bytes, digest, tree }) => {
            of_image(path, *format, digest, *size_bytes, tree, store)?
        }
    };
    Ok((root, prices))
}

fn open_spk(
    source: &Source<'_>,
    store: &Store,
    progress: &Progress,
) -> Result<(Artifact, Prices), ArtifactError> {
    let (artifact, meter) = spk::open_priced(source, store, progress)?;
    let prices = of_artifact(&artifact, meter, store)?;
    Ok((artifact, prices))
}

/// Returns what each file of an artifact takes, as [`open`].
///
/// # Errors
/// A file that cannot be read, or changed since it was opened.
pub fn prices(artifact: &Artifact, store: &Store) -> Result<Prices, ArtifactError> {
    of_artifact(artifact, None, store)
}

/// Returns what the files of an artifact take; `meter` has it where that is known.
fn of_artifact(artifact: &Artifact, meter: Option<Meter>, store: &Store) -> Result<Prices, ArtifactError> {
    match &artifact.details {
        Details::Spk(spk) => of_spk(artifact, spk, meter, store),
        Details::Image(image) => {
            let Artifact { path, size_bytes, digest, tree, .. } = artifact;
            of_image(path, image.format, digest, *size_bytes, tree, store)
        }
    }
}

/// Returns what the files of an `.spk` take; `meter` has it where that is known.
fn of_spk(
    artifact: &Artifact,
    spk: &Spk,
    meter: Option<Meter>,
    store: &Store,
) -> Result<Prices, ArtifactError> {
    let files = files_by_place(&spk.items);
    let count = files.len();
    let key = artifact.digest.to_string();
    let sizes = noted(NOTE, &key, count + 2, artifact.size_bytes, store, || {
        let spans = places(files.iter().map(|(_, span)| span));
        let Meter { mut units, besides, .. } = match meter {
            Some(meter) => meter,
            None => measure(artifact, spans)?,
        };
        units.push(besides);
        Ok(settle(&units, artifact.size_bytes))
    })?;
    Ok(Prices {
        files: files.iter().zip(&sizes).map(|((path, _), size)| ((*path).clone(), *size)).collect(),
        metadata_bytes: sizes[count],
        container_bytes: sizes[count + 1],
    })
}

/// Returns what the files of a tree take in a file that has a tar of them, compressed or not, at a place of it: a
/// .deb, or the tar alone. What is in no tar is the container. `plain` is the tar decompressed, as it lies ready.
///
/// # Errors
/// As [`prices`].
pub fn tar_prices(
    path: &Path,
    place: &Range<u64>,
    plain: impl std::io::Read,
    digest: &Digest,
    size_bytes: u64,
    tree: &Tree,
    store: &Store,
) -> Result<Prices, ArtifactError> {
    of_tree(digest, size_bytes, tree, store, || {
        let file = files::open(path)?;
        let span = Span { offset: place.start, size_bytes: place.end.saturating_sub(place.start) };
        let open = || -> Result<Box<dyn std::io::Read + '_>, ImageFault> {
            Ok(Box::new(SpanReader { file: &file, span }))
        };
        let name = "the archive".to_owned();
        let refuse = |fault: ImageFault| ArtifactError::Refused { path: path.into(), source: fault.into() };
        let layer = Layer { name, open: Box::new(open), plain: Some(Box::new(plain)) };
        let tally = layers::measure(vec![layer]).map_err(refuse)?;
        let found = Digest::of_reader(files::open(path)?).at("read", path)?.0;
        if found != *digest { Err(changed(path)) } else { Ok(tally) }
    })
}

fn changed(path: &Path) -> ArtifactError {
    PathError::new("read", path, std::io::Error::other("it changed while it was read")).into()
}

/// Returns what the files of a tree take in a file of another format than `.spk`.
fn of_image(
    path: &Path,
    format: Format,
    digest: &Digest,
    size_bytes: u64,
    tree: &Tree,
    store: &Store,
) -> Result<Prices, ArtifactError> {
    of_tree(digest, size_bytes, tree, store, || {
        let (source, found) = Source::open(path)?;
        if found != format {
            return Err(changed(path));
        }
        let tally = tally(&source, format).map_err(|fault| source.refuse(fault))?;
        match identity(&source, format)?.0 != *digest {
            true => Err(changed(path)),
            false => Ok(tally),
        }
    })
}

/// Brings what was measured of a tree's files to the length of their file.
fn of_tree(
    digest: &Digest,
    size_bytes: u64,
    tree: &Tree,
    store: &Store,
    measure: impl FnOnce() -> Result<Tally, ArtifactError>,
) -> Result<Prices, ArtifactError> {
    let files: Vec<&TreePath> =
        tree.iter().filter(|(_, entry)| entry.kind.content().is_some()).map(|(path, _)| path).collect();
    let count = files.len();
    let sizes = noted(IMAGE_NOTE, &digest.to_string(), count + 2, size_bytes, store, || {
        let tally = measure()?;
        let mut units: Vec<u64> =
            files.iter().map(|path| tally.files.get(*path).copied().unwrap_or_default()).collect();
        // What is not of the package's own tree: its signature.
        let all: u64 = tally.files.values().sum();
        units.push(tally.metadata + all - units.iter().sum::<u64>());
        Ok(settle(&units, size_bytes))
    })?;
    Ok(Prices {
        files: files.iter().zip(&sizes).map(|(path, size)| ((*path).clone(), *size)).collect(),
        metadata_bytes: sizes[count],
        container_bytes: sizes[count + 1],
    })
}

/// Sums up what the files in a file of another format than `.spk` take.
fn tally(source: &Source<'_>, format: Format) -> Result<Tally, ImageFault> {
    match format {
        Format::Spk => Err(ImageFault::rule("the file", "is not an image")),
        Format::Squashfs => images::squashfs(&source.file),
        Format::Erofs => images::erofs(&source.file),
        Format::Tar => {
            let name = "the archive".to_owned();
            let open = Box::new(|| -> Result<Box<dyn std::io::Read + '_>, ImageFault> {
                Ok(Box::new(source.reader()))
            });
            layers::measure(vec![Layer { name, open, plain: None }])
        }
        Format::Oci | Format::OciDirectory => {
            let layout = &oci::Layout::open(&source.file)?;
            let layers = oci::layers(layout)?
                .into_iter()
                .map(|(name, _, place)| {
                    let open = move || Ok(layout.file(&place)?.0);
                    Layer { name, open: Box::new(open), plain: None }
                })
                .collect();
            layers::measure(layers)
        }
    }
}

/// Prices a file, whatever it is ([`testing::readers`](crate::testing::READERS)).
#[cfg(feature = "testing")]
pub(super) fn account_anything(file: std::fs::File, format: Format) {
    let size_bytes = file.metadata().expect("is there").len();
    let source = Source { path: Path::new("image"), file };
    if let Ok(tally) = tally(&source, format) {
        let units: Vec<u64> = tally.files.into_values().chain([tally.metadata]).collect();
        assert_eq!(settle(&units, size_bytes).iter().sum::<u64>(), size_bytes);
    }
}

/// Returns sizes out of a note, or measures and notes them. There are `count`, and together they are `size_bytes`.
fn noted(
    kind: &str,
    key: &str,
    count: usize,
    size_bytes: u64,
    store: &Store,
    measure: impl FnOnce() -> Result<Vec<u64>, ArtifactError>,
) -> Result<Vec<u64>, ArtifactError> {
    let noted = store.noted(kind, key).and_then(|note| read_note(&note));
    let sum = |sizes: &[u64]| sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size));
    if let Some(sizes) = noted.filter(|sizes| sizes.len() == count && sum(sizes) == size_bytes) {
        return Ok(sizes);
    }
    let sizes = measure()?;
    let note: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
    // Without a note it is measured again.
    let _ = store.note(kind, key, &note);
    Ok(sizes)
}

fn read_note(note: &[u8]) -> Option<Vec<u64>> {
    let (sizes, rest) = note.as_chunks::<8>();
    rest.is_empty().then(|| sizes.iter().map(|size| u64::from_le_bytes(*size)).collect())
}

/// Returns the files of an archive by where they lie.
fn files_by_place(items: &[Item]) -> Vec<(&TreePath, Span)> {
    let file = |item: &'_ Item| match item.kind {
        ItemKind::File { span, .. } => Some(span),
        _ => None,
    };
    let mut files: Vec<_> = items.iter().filter_map(|item| Some((&item.path, file(item)?))).collect();
    files.sort_by_key(|(_, span)| (span.offset, span.offset.saturating_add(span.size_bytes)));
    files
}

/// Returns the places of the files of an archive in its decompressed stream, in order. Of files that share bytes,
/// the first has them.
pub(super) fn places_of(items: &[Item]) -> Vec<Range<u64>> {
    places(files_by_place(items).iter().map(|(_, span)| span))
}

fn places<'s>(spans: impl Iterator<Item = &'s Span>) -> Vec<Range<u64>> {
    let mut position = 0;
    let place = |span: &Span| {
        let start = span.offset.max(position);
        position = span.offset.saturating_add(span.size_bytes).max(start);
        start..position
    };
    spans.map(place).collect()
}

/// Reads an `.spk` with accounting.
fn measure(artifact: &Artifact, places: Vec<Range<u64>>) -> Result<Meter, ArtifactError> {
    let path = &artifact.path;
    let file = files::open(path)?;
    if Digest::of_reader(&file).at("read", path)?.0 != artifact.digest {
        return Err(changed(path));
    }
    let span = Span { offset: MAGIC.len() as u64, size_bytes: u64::MAX };
    let mut meter = Meter::new(places);
    meter.read(Packing::Xz, SpanReader { file: &file, span }, u64::MAX).at("read", path)?;
    Ok(meter)
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
