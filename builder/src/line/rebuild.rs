//! A package made again from what it encloses, and compared with itself.
//!
//! Comes in: a package that holds, and a session whose store is empty. Recipe, lock, evidence, files and the
//! tool's version come out of the package; the .debs from where the session finds them, each with the digest
//! in the lock. Goes out: [`Rebuilt`], which says whether the same bytes came out, and else where the first
//! difference is. The key is not needed: the signature holds for the same archive, and is carried over.

use std::{borrow::Cow, fs::File, io};

use super::{
    Finished, LineError, Session, Unproven,
    image::{Image, read_evidence},
    lock::read_lock,
    pack::{Said, manifest_of, packable, said},
    proof::Tried,
    root::overlay,
};
use crate::{
    artifact::{
        self, AnyWriter, Artifact, ArtifactError, BlockSize, Details, Format, PackError, Packable, Packed,
        Writer as _,
        spk::{Signer, Spk, SpkWriter},
    },
    difference::{self, Difference, DifferenceError, Side},
    digest::Digest,
    error::{At as _, Hint, PathError},
    files,
    formats::{key_file::Key, manifest::Manifest, spk, xz},
    image,
    lock::Lock,
    papers::{self, EnclosedError, Provenance},
    progress::Unit,
    recipe::{self, Recipe, RecipeError},
    store::{Store, StoreError},
};

/// The version of the program that runs.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A package that is to be made again.
#[derive(Clone, Copy)]
pub struct Original<'a> {
    /// The package.
    pub artifact: &'a Artifact,
    /// The store that has its contents, and maybe .debs that were fetched before. Nothing else of it is
    /// used.
    pub store: &'a Store,
}

/// What is done about a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofWanted {
    /// What was proven is proven again.
    Repeat,
    /// The paper is taken as it stands; nothing is run but maintainer scripts.
    Carry,
}

/// A package that was made again.
#[derive(Debug)]
pub struct Rebuilt {
    /// Whether it is the same.
    pub outcome: Outcome,
    /// Whether the proof of it was repeated; `None` if it has none.
    pub is_proven_again: Option<bool>,
    /// All that it was made of, as its paper has it.
    pub provenance: Provenance,
}

/// How a package and its rebuild compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Each byte is the same.
    Same,
    /// They have other contents: the paths that differ, the rebuild being the second.
    Contents(Vec<Difference>),
    /// The contents are the same, and lie in the archive otherwise.
    Layout(String),
    /// The archive is the same, and is compressed otherwise.
    Compression {
        /// The first byte of the file that differs.
        offset: u64,
        /// The part of the file that it is in.
        part: String,
    },
}

/// A package that cannot be made again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// No provenance in it.
    #[error("{} does not say by which version it was made", .0.display())]
    NoProvenance(std::path::PathBuf),
    /// Made by another version.
    #[error("{} was made by tinyroot {made}, and this is tinyroot {VERSION}", path.display())]
    Version {
        /// The package.
        path: std::path::PathBuf,
        /// The version that made it.
        made: String,
    },
    /// No recipe in it.
    #[error(transparent)]
    Enclosed(#[from] EnclosedError),
    /// A recipe that does not hold.
    #[error("cannot read the recipe in the package")]
    Recipe(#[source] RecipeError),
    /// A stage that fails.
    #[error("cannot make the package again")]
    Line(#[source] LineError),
    /// It cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file that cannot be used.
    #[error(transparent)]
    Io(#[from] PathError),
    /// Contents that cannot be compared.
    #[error(transparent)]
    Difference(#[from] DifferenceError),
    /// What was written cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

impl From<LineError> for RebuildError {
    fn from(error: LineError) -> Self {
        RebuildError::Line(error)
    }
}

impl Hint for RebuildError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            RebuildError::NoProvenance(_) => Some("packages of `tinyroot build` say it".into()),
            RebuildError::Version { made, .. } => Some(
                format!("run tinyroot {}, or try this one with --any-version", crate::shown::name(made))
                    .into(),
            ),
            RebuildError::Enclosed(error) => error.hint(),
            RebuildError::Recipe(error) => error.hint(),
            RebuildError::Line(error) => error.hint(),
            RebuildError::Pack(error) => error.hint(),
            RebuildError::Store(error) => error.hint(),
            RebuildError::Io(error) => error.hint(),
            RebuildError::Difference(error) => error.hint(),
            RebuildError::Artifact(error) => error.hint(),
        }
    }
}

/// Returns how a package says it was made, if this program may make it again.
///
/// # Errors
/// [`RebuildError::NoProvenance`]; [`RebuildError::Version`] unless any version will do.
pub fn provenance_of(original: Original<'_>, any_version: bool) -> Result<Provenance, RebuildError> {
    let path = || original.artifact.path.clone();
    let found = papers::provenance(&original.artifact.tree, original.store);
    let found = found.ok_or_else(|| RebuildError::NoProvenance(path()))?;
    match found.version == VERSION || any_version {
        true => Ok(found),
        false => Err(RebuildError::Version { path: path(), made: found.version }),
    }
}

/// Makes a package again and compares it. The session's store is one of its own, so that no result of an
/// earlier build comes in.
///
/// # Errors
/// [`RebuildError`]: there is no result, so nothing is known of the package.
pub fn rebuild(
    original: Original<'_>,
    proof: ProofWanted,
    any_version: bool,
    session: Session,
) -> Result<Rebuilt, RebuildError> {
    let provenance = provenance_of(original, any_version)?;
    let session = &Session { effort: provenance.effort, ..session };
    let progress = &session.progress;
    if provenance.version != VERSION {
        let made = crate::shown::name(&provenance.version);
        progress.warn(&format!("the package was made by tinyroot {made}, and this is tinyroot {VERSION}"));
    }
    let init = Digest::of(image::INIT).to_string();
    if provenance.init.as_ref().is_some_and(|made| *made != init) {
        progress
            .warn("this tinyroot has another first process for grains than the one that made the package");
    }
    let folder = papers::enclosed_folder(&original.artifact.tree, original.store)?;
    let recipe = recipe::read_enclosed(folder.path()).map_err(RebuildError::Recipe)?;
    let lock = read_lock(&recipe)?;
    let manifest = manifest_of(&recipe, &lock)?;
    share_downloads(&recipe, &lock, original.store, &session.store);
    let overlaid = overlay(recipe, session)?;
    share_downloads(&overlaid.sources.recipe, &lock, &session.store, original.store);
    let image = Image::of(&overlaid, &read_evidence(&overlaid)?, session)?;
    let paper = papers::proof(&original.artifact.tree, original.store).filter(|paper| paper.exercised);
    let (finished, is_proven_again) = match (&paper, proof) {
        (Some(_), ProofWanted::Repeat) => {
            let tried = Tried::new(&overlaid, image, session);
            (Finished::Proven(tried.proven(&original.artifact.path, progress)?), Some(true))
        }
        (paper, _) => (Finished::Unproven(Unproven::new(image)), paper.as_ref().map(|_| false)),
    };
    let said = match (&finished, paper) {
        (Finished::Unproven(_), Some(paper)) => {
            Said { exercised: paper.exercised, steps: paper.steps, compared: paper.compared }
        }
        _ => said(&finished, &overlaid),
    };
    let packable = packable(finished.image(), said, &overlaid, Some(original.artifact.app_id()), session)?;
    let outcome = compare(original, packable, &manifest, session)?;
    Ok(Rebuilt { outcome, is_proven_again, provenance })
}

/// Gives one store the downloads that another has. They are checked by their digests when they are unpacked;
/// one that cannot be had so is fetched.
fn share_downloads(recipe: &Recipe, lock: &Lock, from: &Store, to: &Store) {
    let debs = lock.packages.iter().map(|package| &package.checksum);
    let debs = debs.map(|checksum| (from.deb_path(checksum), to.deb_path(checksum)));
    let tarballs = recipe.npm_packages().map(|package| &package.locked.checksum);
    let tarballs = tarballs.map(|checksum| (from.tarball_path(checksum), to.tarball_path(checksum)));
    for (source, place) in debs.chain(tarballs) {
        if source.exists() && !place.exists() {
            let _ = files::hard_link(&source, &place).or_else(|_| files::copy(&source, &place).map(drop));
        }
    }
}

/// Compares an image with a package: its contents first, then the file that it becomes.
fn compare(
    original: Original<'_>,
    packable: Packable,
    manifest: &Manifest,
    session: &Session,
) -> Result<Outcome, RebuildError> {
    let Session { store, progress, .. } = session;
    let signer = Signer::Carried(original.artifact.signature());
    let tree = SpkWriter { manifest, signer }.tree(&packable, store, progress)?;
    let task = progress.task("comparing", 0, Unit::Items);
    let first = Side { tree: &original.artifact.tree, store: original.store };
    let differences = difference::between(first, Side { tree: &tree, store })?;
    drop(task);
    if !differences.is_empty() {
        return Ok(Outcome::Contents(differences));
    }
    let scratch = store.scratch("rebuilt-")?;
    let format = original.artifact.format();
    let out = scratch.path().join("rebuilt");
    match (AnyWriter { format, manifest, signer }).write(packable.clone(), &out, store, progress) {
        Ok(packed) if packed.digest == original.artifact.digest => Ok(Outcome::Same),
        Ok(packed) => compression(original.artifact, &packed),
        Err(PackError::OtherArchive) => {
            // Any key will do, to see how the archive is laid out.
            let writer = SpkWriter { manifest, signer: Signer::Key(&Key::from_seed([0; 32])) };
            writer.write(packable, &out, store, progress)?;
            let again = artifact::open(&out, store, progress)?;
            Ok(Outcome::Layout(match (&original.artifact.details, &again.details) {
                (Details::Spk(first), Details::Spk(second)) => layout(first, second),
                _ => "the signature is one of another archive with the same entries".to_owned(),
            }))
        }
        Err(error) => Err(error.into()),
    }
}

/// Says where two archives of the same contents differ first.
fn layout(first: &Spk, second: &Spk) -> String {
    let described = |spk: &Spk, index: usize| {
        let Some(item) = spk.items.get(index) else { return "nothing".to_owned() };
        let place = match item.kind {
            spk::ItemKind::File { span, .. } => {
                format!(
                    ", contents at byte {}",
                    span.offset.saturating_sub(spk.signature.message.len() as u64)
                )
            }
            _ => String::new(),
        };
        format!("`{}`, time {} ns{place}", item.path, item.mtime_ns)
    };
    let count = first.items.len().max(second.items.len());
    let differing = (0..count).find(|index| described(first, *index) != described(second, *index));
    match differing {
        Some(index) => {
            let (one, two) = (described(first, index), described(second, index));
            format!("entry {} of the archive is {one}; in the rebuild it is {two}", index + 1)
        }
        None => "the entries are the same, and the bytes around them are not".to_owned(),
    }
}

/// Says where two files of the same archive differ first.
fn compression(original: &Artifact, packed: &Packed) -> Result<Outcome, RebuildError> {
    if original.format() == Format::OciDirectory {
        return Ok(Outcome::Layout("the layer or the configuration of the image is another one".to_owned()));
    }
    let (one, two) = (files::open(&original.path)?, files::open(&packed.path)?);
    let offset = first_difference(one, two).at("read", &original.path)?;
    let part = match original.format() {
        Format::Spk => part_of(offset, &packed.blocks),
        format => format!("the {format} file"),
    };
    Ok(Outcome::Compression { offset, part })
}

fn first_difference(one: File, two: File) -> io::Result<u64> {
    use std::io::Read as _;
    let (mut one, mut two) = (io::BufReader::new(one).bytes(), io::BufReader::new(two).bytes());
    let mut offset = 0;
    loop {
        match (one.next().transpose()?, two.next().transpose()?) {
            (Some(a), Some(b)) if a == b => offset += 1,
            _ => return Ok(offset),
        }
    }
}

/// Names the part of a rebuilt file that a byte is in.
fn part_of(offset: u64, blocks: &[BlockSize]) -> String {
    let mut start = (spk::MAGIC.len() + xz::stream_header().len()) as u64;
    if offset < start {
        return "the header".to_owned();
    }
    for (index, block) in blocks.iter().enumerate() {
        if offset < start + block.packed_bytes {
            let (number, count) = (index + 1, blocks.len());
            return format!("byte {} of block {number} of {count} ({})", offset - start, block.kind);
        }
        start += block.packed_bytes;
    }
    "the index after the last block".to_owned()
}
