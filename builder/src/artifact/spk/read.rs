//! Reads an `.spk`: checked as it is decompressed, or found in the store.

mod priced;

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
};

use sha2::{Digest as _, Sha512};

use super::Spk;
use crate::{
    artifact::{
        Artifact, ArtifactError, Details,
        prices::{Meter, places_of},
        source::{Source, SpanReader},
    },
    digest::{Digest, Hasher},
    error::PathError,
    formats::{
        capnp::{FileSource, ReadAt, Span},
        manifest::{self, Manifest, ManifestError},
        spk::{self, Item, ItemKind, Signature, SignatureError, SpkError},
        xz,
    },
    progress::{Progress, Unit},
    store::{BundleWriter, Pack, Store},
    tree::{Entry, Tree, TreePath},
};

const BUNDLE: &str = "spk";

/// Why a package is refused, in the order of the checks.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A compressed stream that is damaged or cut off.
    #[error("it cannot be decompressed")]
    Compression(#[source] io::Error),
    /// A compressed stream that is whole, with what is none after it.
    #[error("{}", followed(*.0))]
    Followed(u64),
    /// The stream ends before the signature does.
    #[error("it ends before its signature does")]
    NoSignature,
    /// One of ours that is not as we write it.
    #[error(
        "something that no signature covers was added to its compressed stream: padding, or a further stream"
    )]
    Encoding,
    /// The signature does not hold.
    #[error("its signature does not hold")]
    Signature(#[source] SignatureError),
    /// The archive is not the signed one.
    #[error("its contents are not those that were signed")]
    Contents,
    /// The archive could not be installed.
    #[error("its archive cannot be installed")]
    Archive(#[source] SpkError),
    /// No manifest.
    #[error("it has no manifest")]
    NoManifest,
    /// A manifest that is a link, directory or program.
    #[error("its manifest is not a regular file")]
    ManifestKind,
    /// A manifest that cannot be read.
    #[error("its manifest cannot be used")]
    Manifest(#[source] ManifestError),
}

fn followed(bytes: u64) -> String {
    let bytes = if bytes == 1 { "1 byte follows".to_owned() } else { format!("{bytes} bytes follow") };
    format!("{bytes} the end of its compressed stream")
}

/// Reads a package, from the store where that has it.
pub fn open(file: &Source<'_>, store: &Store, progress: &Progress) -> Result<Artifact, ArtifactError> {
    let (digest, _) = file.io("read", Digest::of_reader(file.reader()))?;
    match stored(file, digest, store)? {
        Some(artifact) => Ok(artifact),
        None => Ok(unpack(file, digest, Way::Plain, store, progress)?.0),
    }
}

/// Reads a package as [`open`] does, and what its files take in it, where that comes with its contents.
pub fn open_priced(
    file: &Source<'_>,
    store: &Store,
    progress: &Progress,
) -> Result<(Artifact, Option<Meter>), ArtifactError> {
    let (digest, _) = file.io("read", Digest::of_reader(file.reader()))?;
    match stored(file, digest, store)? {
        Some(artifact) => Ok((artifact, None)),
        None => unpack(file, digest, Way::Priced, store, progress),
    }
}

/// Decompresses and checks a package, whatever the store knows of it.
pub fn verify(file: &Source<'_>, store: &Store, progress: &Progress) -> Result<Artifact, ArtifactError> {
    let (digest, _) = file.io("read", Digest::of_reader(file.reader()))?;
    Ok(unpack(file, digest, Way::Plain, store, progress)?.0)
}

/// Returns a package that the store has.
fn stored(file: &Source<'_>, digest: Digest, store: &Store) -> Result<Option<Artifact>, ArtifactError> {
    if let Some((tree, pack)) = store.load_bundle(BUNDLE, &digest.to_string())
        && let Ok((signature, offset)) = read_stored_signature(&pack)
        && let Ok((_, spk)) = file.examine(&pack, offset, &signature, digest)
    {
        return file.artifact(digest, tree, spk).map(Some);
    }
    Ok(None)
}

/// How a package is decompressed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By liblzma.
    Plain,
    /// With accounting.
    Priced,
}

/// Decompresses and checks a package of that digest.
fn unpack(
    file: &Source<'_>,
    digest: Digest,
    way: Way,
    store: &Store,
    progress: &Progress,
) -> Result<(Artifact, Option<Meter>), ArtifactError> {
    let mut way = way;
    loop {
        match unpack_and_check(file, digest, way, store, progress) {
            Err(error) if error.is_of_space() && store.moves_on() => {}
            // Of all that is not taken here, liblzma says why, or takes it.
            Err(_) if way == Way::Priced => way = Way::Plain,
            result => return result,
        }
    }
}

fn unpack_and_check(
    file: &Source<'_>,
    key: Digest,
    way: Way,
    store: &Store,
    progress: &Progress,
) -> Result<(Artifact, Option<Meter>), ArtifactError> {
    // The key of the bundle is the digest of the very bytes that are decompressed; it is known only at the
    // end.
    let size_bytes = file.io("read", file.file.metadata())?.len();
    let task = progress.task("verifying the package", size_bytes, Unit::Bytes);
    let mut bundle = store.begin_bundle(BUNDLE, &key.to_string())?;
    let mut input = Hasher::new(io::sink());
    let tee = Tee { source: file.reader(), hasher: &mut input, read: |count| task.add(count) };
    let mut receiver = Receiver::new(&mut bundle);
    let meter = match way {
        Way::Plain => receiver.receive(BufReader::with_capacity(1 << 16, tee)).map(|()| None),
        Way::Priced => priced::receive(file, tee, &mut receiver).map(Some),
    };
    let meter = meter.map_err(|ending| file.ending(ending, size_bytes, store))?;
    let (signature, offset) = receiver.finish().map_err(|fault| file.refuse(fault))?;
    let (digest, _, _) = input.finish();
    if digest != key {
        let changed = io::Error::other("it changed while it was read");
        return file.io("read", Err(changed));
    }
    let pack = file.io("read back", bundle.reader())?;
    let (mut tree, spk) = file.examine(&pack, offset, &signature, digest)?;
    for (path, span) in files(&spk.items) {
        let digest = file.io("read back", digest_of(&pack, span))?;
        bundle.note(digest, span.offset, span.size_bytes);
        tree.insert(path.clone(), with_digest(&tree, path, digest));
    }
    bundle.finish(&tree)?;
    // What was charged before all files were known is not believed if others came.
    let meter = meter.filter(|meter| meter.is_of(&places_of(&spk.items)));
    Ok((file.artifact(digest, tree, spk)?, meter))
}

/// Yields the regular files of an archive.
fn files(items: &[Item]) -> impl Iterator<Item = (&TreePath, Span)> {
    items.iter().filter_map(|item| match item.kind {
        ItemKind::File { span, .. } => Some((&item.path, span)),
        _ => None,
    })
}

fn with_digest(tree: &Tree, path: &TreePath, found: Digest) -> Entry {
    let mut entry = tree.get(path.as_bytes()).expect("the tree has every item").clone();
    if let crate::tree::Kind::File { digest, .. } = &mut entry.kind {
        *digest = found;
    }
    entry
}

fn digest_of(pack: &File, span: Span) -> io::Result<Digest> {
    let mut hasher = Hasher::new(io::sink());
    io::copy(&mut SpanReader { file: pack, span }, &mut hasher)?;
    Ok(hasher.finish().0)
}

impl Source<'_> {
    fn ending(&self, ending: Ending, size_bytes: u64, store: &Store) -> ArtifactError {
        match ending {
            Ending::Fault(Fault::Compression(error)) => {
                self.refuse(match self.bytes_after_stream(size_bytes) {
                    0 => Fault::Compression(error),
                    bytes => Fault::Followed(bytes),
                })
            }
            Ending::Fault(fault) => self.refuse(fault),
            Ending::Write(source) => PathError::new("write to the cache", store.root(), source).into(),
        }
    }

    /// Returns how many bytes follow the first stream, if that is whole.
    fn bytes_after_stream(&self, size_bytes: u64) -> u64 {
        let magic_bytes = spk::MAGIC.len() as u64;
        let span = Span { offset: magic_bytes, size_bytes: size_bytes.saturating_sub(magic_bytes) };
        let stream = BufReader::with_capacity(1 << 16, SpanReader { file: &self.file, span });
        xz::first_stream_bytes(stream).map_or(0, |bytes| span.size_bytes.saturating_sub(bytes))
    }

    /// Returns whether all after the magic is one stream without padding.
    fn is_one_stream(&self) -> Result<bool, ArtifactError> {
        let mut file = self.io("read", self.file.try_clone())?;
        let size_bytes = self.io("read", file.metadata())?.len();
        let last = self.io("read", xz::last_stream_bytes(&mut file))?;
        Ok(last == size_bytes.checked_sub(spk::MAGIC.len() as u64))
    }

    /// Reads archive and manifest out of the decompressed stream. Digests of contents are left zero.
    fn examine(
        &self,
        pack: &dyn ReadAt,
        offset: u64,
        signature: &Signature,
        digest: Digest,
    ) -> Result<(Tree, Spk), ArtifactError> {
        let stream = self.io("read back", FileSource::new(pack))?;
        let items = spk::read_archive(&stream, offset).map_err(|e| self.refuse(Fault::Archive(e)))?;
        let named = |item: &&Item| item.path.as_bytes() == manifest::FILE_NAME.as_bytes();
        let manifest = match items.iter().find(named).map(|item| &item.kind) {
            Some(ItemKind::File { span, executable: false }) => {
                // The archive was read, so the span lies inside.
                let mut bytes = vec![0; usize::try_from(span.size_bytes).unwrap_or_default()];
                self.io("read back", pack.fill_at(&mut bytes, span.offset))?;
                Manifest::read(&bytes).map_err(|e| self.refuse(Fault::Manifest(e)))?
            }
            Some(_) => return Err(self.refuse(Fault::ManifestKind)),
            None => return Err(self.refuse(Fault::NoManifest)),
        };
        let is_one_stream = self.is_one_stream()?;
        let is_ours = items.iter().any(|item| item.path.as_bytes() == crate::papers::DIRECTORY.as_bytes());
        if is_ours && !is_one_stream {
            return Err(self.refuse(Fault::Encoding));
        }
        let mut tree: Tree = items.iter().map(|item| (item.path.clone(), entry(item))).collect();
        tree.add_parents(0);
        let spk = Spk {
            package_id: digest.into(),
            app_id: signature.app_id,
            signature: signature.clone(),
            manifest,
            items,
            archive_bytes: self.io("read back", pack.length())? - offset,
            is_one_stream,
        };
        Ok((tree, spk))
    }

    fn artifact(&self, digest: Digest, tree: Tree, spk: Spk) -> Result<Artifact, ArtifactError> {
        let size_bytes = self.io("read", self.file.metadata())?.len();
        let path = self.path.to_path_buf();
        Ok(Artifact { path, size_bytes, digest, tree, details: Details::Spk(spk) })
    }
}

fn entry(item: &Item) -> Entry {
    let mtime_s = item.mtime_ns.div_euclid(1_000_000_000);
    match &item.kind {
        ItemKind::File { span, executable } => {
            Entry::file(Digest([0; 32]), span.size_bytes, if *executable { 0o755 } else { 0o644 }, mtime_s)
        }
        ItemKind::Symlink(target) => Entry::symlink(target.clone(), mtime_s),
        ItemKind::Directory => Entry::directory(mtime_s),
    }
}

/// Reads the signature at the start of a stream that the store has. It held when it came in.
fn read_stored_signature(pack: &Pack) -> Result<(Signature, u64), Fault> {
    let mut start = vec![0; pack.size_bytes().min(1 << 16) as usize];
    pack.read_exact_at(&mut start, 0).map_err(Fault::Compression)?;
    let length = spk::signature_length(&start).map_err(Fault::Signature)?.unwrap_or(usize::MAX);
    let bytes = start.get(..length).ok_or(Fault::NoSignature)?;
    let signature = spk::read_signature(bytes).map_err(Fault::Signature)?;
    Ok((signature, length as u64))
}

/// How receiving ends early.
enum Ending {
    Fault(Fault),
    Write(io::Error),
}

/// Passes bytes on, digested and counted.
struct Tee<'a, R, F> {
    source: R,
    hasher: &'a mut Hasher<io::Sink>,
    read: F,
}

impl<R: Read, F: Fn(u64)> Read for Tee<'_, R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read(buffer)?;
        self.hasher.write_all(&buffer[..got])?;
        (self.read)(got as u64);
        Ok(got)
    }
}

/// Takes the decompressed stream: checks the signature as soon as it is there, and writes all to a pack.
struct Receiver<'a, 'b> {
    bundle: &'a mut BundleWriter<'b>,
    start: Vec<u8>,
    signature: Option<(Signature, u64)>,
    archive: Sha512,
    archive_bytes: u64,
}

impl<'a, 'b> Receiver<'a, 'b> {
    fn new(bundle: &'a mut BundleWriter<'b>) -> Self {
        let archive = Sha512::new();
        Receiver { bundle, start: Vec::new(), signature: None, archive, archive_bytes: 0 }
    }

    fn receive(&mut self, mut file: impl io::BufRead) -> Result<(), Ending> {
        let compression = |e| Ending::Fault(Fault::Compression(e));
        // The magic, which was looked at before.
        file.read_exact(&mut [0; spk::MAGIC.len()]).map_err(compression)?;
        let mut stream = xz::decode(file).map_err(compression)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let got = stream.read(&mut buffer).map_err(compression)?;
            if got == 0 {
                return Ok(());
            }
            self.take(&buffer[..got])?;
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        self.bundle.write_all(bytes).map_err(Ending::Write)?;
        if self.signature.is_some() {
            return self.take_archive(bytes);
        }
        self.start.extend_from_slice(bytes);
        let signature = |e| Ending::Fault(Fault::Signature(e));
        match spk::signature_length(&self.start).map_err(signature)? {
            Some(length) if self.start.len() >= length => {
                let start = std::mem::take(&mut self.start);
                let read = spk::read_signature(&start[..length]).map_err(signature)?;
                self.signature = Some((read, length as u64));
                self.take_archive(&start[length..])
            }
            _ => Ok(()),
        }
    }

    fn take_archive(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        self.archive_bytes += bytes.len() as u64;
        if self.archive_bytes > spk::MAX_ARCHIVE_BYTES {
            let size_bytes = self.archive_bytes;
            return Err(Ending::Fault(Fault::Archive(SpkError::TooLarge { size_bytes })));
        }
        self.archive.update(bytes);
        Ok(())
    }

    fn finish(self) -> Result<(Signature, u64), Fault> {
        let (signature, offset) = self.signature.ok_or(Fault::NoSignature)?;
        if self.archive.finalize()[..] != signature.archive_sha512[..] {
            return Err(Fault::Contents);
        }
        Ok((signature, offset))
    }
}

#[cfg(test)]
mod tests;
