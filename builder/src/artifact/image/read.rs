//! Reads such a file: its tree, and the signature over it.

use std::io::Read as _;

use super::{Image, SIGNATURE, normalise};
use crate::{
    artifact::{
        Artifact, ArtifactError, Details, Fault, Foreign, Format, Root, erofs,
        fault::{Budget, ImageFault},
        oci,
        source::Source,
        spk::{self, archive_sha512},
        squashfs,
    },
    digest::Digest,
    error::PathError,
    formats::{
        manifest::{self, Manifest},
        spk::{Signature, read_signature},
        tar_in::{self, Dialect},
    },
    progress::{Progress, Unit},
    store::{BundleWriter, ReadyBundle, Store},
    tree::Tree,
};

/// The longest signature and manifest that are read.
const MAX_SIGNATURE_BYTES: u64 = 1 << 16;
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// Kind of the bundles that hold the contents of a file.
const BUNDLE: &str = "image";

/// Kind of the notes that say that a file's contents are the signed ones.
const NOTE: &str = "image-signed";

/// Reads a file. If `anew`, it is checked whatever the store knows of it.
pub fn open(
    file: &Source<'_>,
    format: Format,
    anew: bool,
    store: &Store,
    progress: &Progress,
) -> Result<Artifact, ArtifactError> {
    let (found, fresh) = tree(file, format, anew, store, progress)?;
    let artifact = signed(file, found, anew, store)?;
    keep(fresh)?;
    Ok(artifact)
}

/// Reads a file that may be somebody else's: then it has no signature, and is taken as it is.
pub fn open_any(
    file: &Source<'_>,
    format: Format,
    store: &Store,
    progress: &Progress,
) -> Result<Root, ArtifactError> {
    let (found, fresh) = tree(file, format, false, store, progress)?;
    let root = match found.tree.get(SIGNATURE) {
        Some(_) => Root::Package(Box::new(signed(file, found, false, store)?)),
        None => Root::Foreign(found),
    };
    keep(fresh)?;
    Ok(root)
}

/// Keeps contents that the store had not. Of what was refused before, it has nothing.
fn keep(fresh: Option<ReadyBundle<'_>>) -> Result<(), ArtifactError> {
    fresh.map(ReadyBundle::keep).transpose()?;
    Ok(())
}

/// Reads the tree of a file, whatever it holds. If its contents are new to the store, they are to be kept once the
/// file is accepted.
fn tree<'s>(
    file: &Source<'_>,
    format: Format,
    anew: bool,
    store: &'s Store,
    progress: &Progress,
) -> Result<(Foreign, Option<ReadyBundle<'s>>), ArtifactError> {
    let (digest, size_bytes) = identity(file, format)?;
    let key = digest.to_string();
    let known = if anew { None } else { store.load_bundle(BUNDLE, &key) };
    let (tree, fresh) = match known {
        Some((tree, _)) => (tree, None),
        None => {
            let (tree, fresh) = contents(file, format, &key, size_bytes, store, progress)?;
            (tree, Some(fresh))
        }
    };
    Ok((Foreign { path: file.path.to_path_buf(), format, size_bytes, digest, tree }, fresh))
}

/// Checks what a file holds by its signature.
fn signed(file: &Source<'_>, found: Foreign, anew: bool, store: &Store) -> Result<Artifact, ArtifactError> {
    let Foreign { format, size_bytes, digest, tree, .. } = found;
    let key = digest.to_string();
    let (tree, signature, manifest) = parts(tree, store).map_err(|fault| file.refuse(fault))?;
    if anew || store.noted(NOTE, &key).is_none() {
        let found =
            archive_sha512(&tree, store).map_err(|error| file.refuse(Fault::Tree(Box::new(error))))?;
        if found != signature.archive_sha512 {
            return Err(file.refuse(spk::Fault::Contents));
        }
        store.note(NOTE, &key, b"")?;
    }
    let details = Details::Image(Image { format, manifest, signature });
    Ok(Artifact { path: file.path.to_path_buf(), size_bytes, digest, tree, details })
}

/// Reads the contents of a file into the store.
fn contents<'s>(
    file: &Source<'_>,
    format: Format,
    key: &str,
    size_bytes: u64,
    store: &'s Store,
    progress: &Progress,
) -> Result<(Tree, ReadyBundle<'s>), ArtifactError> {
    let _task = progress.task("reading the package", size_bytes, Unit::Bytes);
    let mut bundle = store.begin_bundle(BUNDLE, key)?;
    let read = match format {
        Format::Spk => Err(ImageFault::rule("the package", "is not an image")),
        Format::Tar => read_tar(file, &mut bundle),
        Format::Squashfs => squashfs::read(&file.file, &mut bundle),
        Format::Erofs => erofs::read(&file.file, &mut bundle),
        Format::Oci | Format::OciDirectory => {
            oci::Layout::open(&file.file).and_then(|layout| oci::read(&layout, &mut bundle))
        }
    };
    let mut tree = read.map_err(|fault| file.refuse(fault))?;
    tree.add_parents(0);
    // A file that changes while it is read is not kept under the digest that it had.
    if identity(file, format)?.0.to_string() != key {
        let changed = std::io::Error::other("it changed while it was read");
        return Err(PathError::new("read", file.path, changed).into());
    }
    let fresh = bundle.ready(&tree)?;
    Ok((tree, fresh))
}

fn read_tar(file: &Source<'_>, bundle: &mut BundleWriter<'_>) -> Result<Tree, ImageFault> {
    let reader = std::io::BufReader::with_capacity(1 << 18, file.reader());
    let budget = &mut Budget::new();
    let read =
        tar_in::read_tree_with(reader, Dialect::Any, budget, |_, _, contents| Ok(bundle.add(contents)?.0));
    let (tree, rest) = read.map_err(|source| ImageFault::Tar { part: "the archive".into(), source })?;
    // Behind the last member stand zeros, which compress to nothing.
    let mut rest = rest.take(budget.bytes_left().saturating_add(1));
    let count = std::io::copy(&mut rest, &mut std::io::sink());
    budget.bytes(count.map_err(|source| ImageFault::read("the archive", source))?)?;
    Ok(tree)
}

/// Takes a tree apart: the package's own, its signature, and its manifest.
fn parts(mut tree: Tree, store: &Store) -> Result<(Tree, Signature, Manifest), Fault> {
    let read = |tree: &Tree, path: &[u8], limit_bytes: u64| {
        let (digest, size_bytes) = tree.get(path)?.kind.content()?;
        (size_bytes <= limit_bytes).then(|| store.read(&digest).ok())?
    };
    let message = read(&tree, SIGNATURE, MAX_SIGNATURE_BYTES).ok_or(Fault::Unsigned)?;
    let signature = read_signature(&message).map_err(spk::Fault::Signature)?;
    tree.remove(SIGNATURE);
    normalise(&mut tree);
    let bytes =
        read(&tree, manifest::FILE_NAME.as_bytes(), MAX_MANIFEST_BYTES).ok_or(spk::Fault::NoManifest)?;
    let manifest = Manifest::read(&bytes).map_err(spk::Fault::Manifest)?;
    Ok((tree, signature, manifest))
}

/// Returns the digest by which a file is known, and its length: of an OCI directory that of its image.
pub fn identity(file: &Source<'_>, format: Format) -> Result<(Digest, u64), ArtifactError> {
    match format {
        Format::OciDirectory => {
            let layout = oci::Layout::open(&file.file).map_err(|fault| file.refuse(fault))?;
            let image = oci::image_of(&layout).map_err(|fault| file.refuse(fault))?;
            Ok((image.digest, image.size_bytes))
        }
        _ => file.io("read", Digest::of_reader(file.reader())),
    }
}
