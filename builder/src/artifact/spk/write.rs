//! An `.spk`: the archive message laid out, signed, compressed in blocks side by side.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Write},
    path::Path,
};

use super::{
    alike::{self, Samples, alike},
    blocks::{Contents, Encoded, encode},
    plan::{Class, PlannedBlock, class_of, cut, ranks},
};
use crate::{
    artifact::write::{BlockSize, PackError, Packable, Packed, Writer},
    atomic,
    digest::{Digest, Hasher},
    error::At as _,
    formats::{
        app_id::AppId,
        capnp::Piece,
        key_file::Key,
        manifest::{self, Manifest},
        spk::{self, LateContent, Signature, WrittenArchive},
        xz,
    },
    papers,
    progress::{Progress, Unit},
    store::Store,
    threads,
    tree::{Entry, Kind, Tree, TreePath},
};

/// Writes signed packages.
///
/// Added are what every package has: `sandstorm-manifest`, and the places that a grain mounts over (`dev`,
/// `tmp`, `var`, `proc/cpuinfo`).
#[derive(Clone, Copy)]
pub struct SpkWriter<'a> {
    /// The manifest of the package.
    pub manifest: &'a Manifest,
    /// The signer of the package.
    pub signer: Signer<'a>,
}

/// The source of a package's signature.
#[derive(Clone, Copy)]
pub enum Signer<'a> {
    /// A key, which signs.
    Key(&'a Key),
    /// The signature of another package. It holds for the very same archive only; any other is refused.
    Carried(&'a Signature),
}

impl Signer<'_> {
    /// Returns whose signature it is.
    pub fn app_id(&self) -> AppId {
        match self {
            Signer::Key(key) => key.app_id(),
            Signer::Carried(signature) => signature.app_id,
        }
    }

    /// Returns the signature of an archive message of that SHA-512.
    fn sign(&self, archive_sha512: &[u8; 64]) -> Result<Signature, PackError> {
        match self {
            Signer::Key(key) => Ok(Signature {
                app_id: key.app_id(),
                archive_sha512: *archive_sha512,
                message: spk::sign(key, archive_sha512),
            }),
            Signer::Carried(signature) if signature.archive_sha512 == *archive_sha512 => {
                Ok((*signature).clone())
            }
            Signer::Carried(_) => Err(PackError::OtherArchive),
        }
    }
}

impl SpkWriter<'_> {
    /// Returns the tree of a package as its readers will see it: with what every package has, and without
    /// what the format does not hold.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn tree(&self, image: &Packable, store: &Store, progress: &Progress) -> Result<Tree, PackError> {
        let complete = complete(image.tree(), store, self.manifest, progress)?;
        let seen = complete.iter().map(|(path, entry)| {
            let time_s = entry.mtime_s.max(0);
            let seen = match &entry.kind {
                Kind::File { digest, size_bytes, .. } => {
                    let mode = if entry.mode & 0o100 == 0 { 0o644 } else { 0o755 };
                    Entry::file(*digest, *size_bytes, mode, time_s)
                }
                Kind::Symlink { target } => Entry::symlink(target.clone(), time_s),
                // The root itself is not in the archive, so it has no time.
                _ if path.is_root() => Entry::directory(0),
                _ => Entry::directory(time_s),
            };
            (path.clone(), seen)
        });
        Ok(seen.collect())
    }
}

impl Writer for SpkWriter<'_> {
    fn app_id(&self) -> Option<AppId> {
        Some(self.signer.app_id())
    }

    fn write(
        &self,
        image: Packable,
        out: &Path,
        store: &Store,
        progress: &Progress,
    ) -> Result<Packed, PackError> {
        let SpkWriter { manifest, signer } = *self;
        let SignedTree { signature, mut archive, .. } =
            sign(image.tree(), manifest, &signer, store, progress)?;
        archive.message.pieces.insert(0, Piece::Bytes(signature.message));
        let planned = cut(&archive.message);
        let total = planned.iter().map(|block| block.plain_bytes).sum();
        let task = progress.task("packing", total, Unit::Bytes);
        let contents = Contents { store, archive: &archive };
        let effort = papers::effort(image.tree(), store);
        let blocks = encode(&contents, &planned, effort, threads::cores(), &task)?;
        write(&blocks, &planned, image, signer.app_id(), out)
    }
}

/// A tree as it is in a package, with the signature of its archive.
pub struct SignedTree {
    /// The tree, with what the format adds.
    pub tree: Tree,
    /// Its manifest.
    pub manifest: Manifest,
    /// The signature.
    pub signature: Signature,
    archive: WrittenArchive,
}

/// Lays out a tree as the archive of a package, and signs that.
///
/// # Errors
/// [`PackError`]: what no installer takes is refused before it is signed.
pub(in crate::artifact) fn sign(
    tree: &Tree,
    manifest: &Manifest,
    signer: &Signer<'_>,
    store: &Store,
    progress: &Progress,
) -> Result<SignedTree, PackError> {
    let tree = complete(tree, store, manifest, progress)?;
    let archive = lay_out(&tree, store)?;
    let sha512 = Contents { store, archive: &archive }.sha512()?;
    let signature = signer.sign(&sha512)?;
    Ok(SignedTree { tree, manifest: manifest.clone(), signature, archive })
}

/// Returns the SHA-512 of the archive of a package that has this tree.
///
/// # Errors
/// As [`sign`].
pub(in crate::artifact) fn archive_sha512(tree: &Tree, store: &Store) -> Result<[u8; 64], PackError> {
    let archive = lay_out(tree, store)?;
    Contents { store, archive: &archive }.sha512()
}

/// Returns the tree as it goes into the package.
///
/// # Errors
/// A manifest that lacks something.
pub fn complete(
    tree: &Tree,
    store: &Store,
    manifest: &Manifest,
    progress: &Progress,
) -> Result<Tree, PackError> {
    if manifest.title.is_empty() {
        return Err(PackError::Manifest("title"));
    }
    if manifest.marketing_version.is_empty() {
        return Err(PackError::Manifest("marketing version"));
    }
    let mut tree = tree.clone();
    tree.retain(|path, entry| {
        let special = !matches!(entry.kind, Kind::Directory | Kind::File { .. } | Kind::Symlink { .. });
        if special {
            progress.warn(&format!("{path} is left out: a package holds no devices or named pipes"));
        }
        !special
    });
    let path = |name: &str| TreePath::new(name.as_bytes()).expect("a good path");
    let bytes = manifest.to_bytes();
    let size_bytes = bytes.len() as u64;
    tree.insert(path(manifest::FILE_NAME), Entry::file(store.put(bytes), size_bytes, 0o644, 0));
    for name in ["dev", "tmp", "var"] {
        if tree.get(name.as_bytes()).is_none() {
            tree.insert(path(name), Entry::directory(0));
        }
    }
    if tree.get(b"proc/cpuinfo").is_none() {
        tree.insert(path("proc/cpuinfo"), Entry::file(store.put(Vec::new()), 0, 0o644, 0));
    }
    tree.add_parents(0);
    Ok(tree)
}

/// Ranks contents and lays the archive out.
fn lay_out(tree: &Tree, store: &Store) -> Result<WrittenArchive, PackError> {
    let classes = classes(tree, store)?;
    let content = |(path, entry): (_, &Entry)| {
        let (digest, size_bytes) = entry.kind.content()?;
        Some((classes[&digest], LateContent { path, digest, size_bytes }))
    };
    let ranks = ranks(&tree.iter().filter_map(content).collect::<Vec<_>>());
    Ok(spk::write_archive(tree, |content| ranks[content.path])?)
}

/// Returns the class of each of the tree's contents; by the first place of those that are in several.
fn classes(tree: &Tree, store: &Store) -> Result<HashMap<Digest, Class>, PackError> {
    let mut classes = HashMap::new();
    let (mut programs, mut several) = (Vec::new(), HashSet::new());
    for (path, entry) in tree.iter() {
        let Some((digest, size_bytes)) = entry.kind.content() else { continue };
        if classes.contains_key(&digest) {
            several.insert(digest);
            continue;
        }
        let failed = |source| PackError::Contents { what: path.to_string(), source };
        let blob = store.blob(&digest).map_err(|e| failed(io::Error::other(e)))?;
        if blob.size_bytes() != size_bytes {
            return Err(failed(io::Error::other("their length is not that of the tree")));
        }
        let class = class_of(&LateContent { path, digest, size_bytes }, &blob).map_err(failed)?;
        if class == Class::X86 {
            programs.push((size_bytes, digest));
        }
        classes.insert(digest, class);
    }
    alike::choose(&mut programs);
    let samples = programs.iter().map(|(_, digest)| {
        let failed = |source| PackError::Contents { what: "a program".into(), source };
        Samples::of(store.blob(digest)?.reader()).map_err(failed)
    });
    let alike = alike(&samples.collect::<Result<Vec<_>, _>>()?);
    for ((_, digest), alike) in programs.into_iter().zip(alike) {
        if alike || several.contains(&digest) {
            classes.insert(digest, Class::Alike);
        }
    }
    Ok(classes)
}

/// Puts the blocks together in a file beside its place, and that in its place.
fn write(
    blocks: &[Encoded],
    planned: &[PlannedBlock],
    image: Packable,
    app_id: AppId,
    out: &Path,
) -> Result<Packed, PackError> {
    let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (file, _cleanup) = atomic::file(parent, ".tinyroot-pack-").at("create", out)?;
    let mut hasher = Hasher::new(file);
    let records: Vec<_> = blocks.iter().map(|(block, _)| block.record()).collect();
    let written = (|| {
        hasher.write_all(&spk::MAGIC)?;
        hasher.write_all(&xz::stream_header())?;
        blocks.iter().try_for_each(|(block, _)| hasher.write_all(&block.bytes))?;
        hasher.write_all(&xz::stream_end(&records))
    })();
    written.at("write", out)?;
    let (digest, size_bytes, file) = hasher.finish();
    file.as_file().sync_all().at("write", out)?;
    let _: File = file.persist(out).map_err(|e| e.error).at("create", out)?;
    let size = |((block, kept), plan): (&Encoded, &PlannedBlock)| BlockSize {
        kind: plan.class.name(),
        plain_bytes: block.plain_bytes,
        packed_bytes: block.bytes.len() as u64,
        kept: *kept,
    };
    Ok(Packed {
        path: out.to_path_buf(),
        size_bytes,
        digest,
        package_id: digest.into(),
        app_id,
        tree: image.0,
        blocks: blocks.iter().zip(planned).map(size).collect(),
    })
}

#[cfg(test)]
mod tests;
