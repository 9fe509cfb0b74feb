//! File contents by digest, and the trees that name them, kept on disk between runs.
//!
//! ```text
//! CACHE/debs/SHA256.deb        downloaded packages, checked
//! CACHE/npm/ALGORITHM-HEX.tgz  the same of npm registries
//! CACHE/bundles/KIND/KEY       one tree as text, preceded by where its contents lie
//! CACHE/packs/NAME             contents of one bundle, end to end (for a .deb: itself, uncompressed)
//! CACHE/indexes/…              what `archive` keeps
//! CACHE/notes/KIND/KEY         a few lines about work that need not be done again
//! CACHE/tmp/run-…/             unfinished writes of one process
//! ```
//!
//! Everything is written below `tmp/` and renamed, and nothing is ever changed in place, so a
//! kill leaves at worst a stray directory in `tmp/`, and processes share entries without locks. A
//! bundle names its pack; packs have names of their own, so two writers of one bundle never mix.
//! Each process holds a lock on its directory in `tmp/`; the next one removes those without.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    deep,
    formats::{
        checksum::Checksum,
        digest::{Digest, Hasher},
    },
    interrupt::Unfinished,
    sandbox,
    tree::Tree,
};

/// A fault of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the cache cannot be used.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Contents that no loaded tree brought along.
    #[error("contents sha256:{0} are not in the store")]
    Missing(Digest),
}

/// Adds operation and path to an error.
fn at<T>(operation: &'static str, path: &Path, result: io::Result<T>) -> Result<T, StoreError> {
    result.map_err(|source| StoreError::Io { operation, path: path.to_path_buf(), source })
}

/// Where contents lie.
#[derive(Clone, Debug)]
enum Place {
    Pack { file: Arc<File>, offset: u64, size_bytes: u64 },
    Memory(Arc<[u8]>),
}

/// Contents that can be read at any offset, without a position of their own.
#[derive(Clone, Debug)]
pub struct Blob(Place);

impl Blob {
    /// Returns the length.
    pub fn size_bytes(&self) -> u64 {
        match &self.0 {
            Place::Pack { size_bytes, .. } => *size_bytes,
            Place::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Reads at an offset; a short count means the end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.size_bytes().saturating_sub(offset);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..wanted];
        match &self.0 {
            Place::Pack { file, offset: start, .. } => file.read_exact_at(buffer, start + offset)?,
            Place::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                buffer.copy_from_slice(&bytes[start..start + wanted]);
            }
        }
        Ok(wanted)
    }

    /// Returns all of it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut out = vec![0; usize::try_from(self.size_bytes()).map_err(io::Error::other)?];
        let got = self.read_at(&mut out, 0)?;
        out.truncate(got);
        Ok(out)
    }

    /// Writes all of it to a file, from the file's start; inside the kernel where that is possible.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn copy_to(&self, target: &File) -> io::Result<()> {
        let mut done = 0;
        if let Place::Pack { file, offset, size_bytes } = &self.0
            && *size_bytes >= IN_KERNEL_BYTES
        {
            let (mut from, mut to) = (*offset, 0);
            while done < *size_bytes {
                let left = usize::try_from(size_bytes - done).unwrap_or(usize::MAX).min(1 << 30);
                // Fails across file systems and on some network ones; reading and writing always works.
                match rustix::fs::copy_file_range(file, Some(&mut from), target, Some(&mut to), left) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => done += count as u64,
                }
            }
        }
        let mut buffer =
            vec![0; usize::try_from(self.size_bytes() - done).unwrap_or(usize::MAX).min(1 << 17)];
        while done < self.size_bytes() {
            let got = self.read_at(&mut buffer, done)?;
            target.write_all_at(&buffer[..got], done)?;
            done += got as u64;
        }
        Ok(())
    }

    /// Returns a reader from the start.
    pub fn reader(&self) -> BlobReader {
        BlobReader { blob: self.clone(), offset: 0 }
    }
}

/// From this size on copying inside the kernel beats one read and one write.
const IN_KERNEL_BYTES: u64 = 1 << 16;

/// Reads a [`Blob`] from front to back.
#[derive(Debug)]
pub struct BlobReader {
    blob: Blob,
    offset: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.blob.read_at(buffer, self.offset)?;
        self.offset += got as u64;
        Ok(got)
    }
}

/// The store: a directory on disk, and the index of what the trees loaded so far brought along.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    index: RwLock<HashMap<Digest, Place>>,
    tmp: Tmp,
}

/// A directory below [`Store::tmp`], removed when dropped, whatever was put into it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What others of our ids own stays until the next process sweeps.
        let _ = deep::remove(&self.0);
    }
}

/// The directory of this process below `tmp/`, removed when dropped.
#[derive(Debug)]
struct Tmp {
    directory: tempfile::TempDir,
    /// Held for as long as the directory is in use.
    _lock: File,
    _unfinished: Unfinished,
}

impl Tmp {
    /// Makes a directory of our own, after removing those that killed processes left.
    fn new(parent: &Path) -> io::Result<Self> {
        // Without this nobody could tell a directory that is not locked yet from one that no longer is.
        let turn = File::open(parent)?;
        flock(&turn, FlockOperation::LockExclusive)?;
        sweep(parent)?;
        let directory = tempfile::Builder::new().prefix("run-").tempdir_in(parent)?;
        let lock = File::open(directory.path())?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let unfinished = Unfinished::new(directory.path());
        Ok(Tmp { directory, _lock: lock, _unfinished: unfinished })
    }
}

/// Removes what nobody holds a lock on. What cannot be removed stays: it is in nobody's way.
fn sweep(tmp: &Path) -> io::Result<()> {
    for entry in fs::read_dir(tmp)? {
        let path = entry?.path();
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = sandbox::remove_tree(&path);
        }
    }
    Ok(())
}

impl Store {
    /// Opens the store in a directory, which is made if needed.
    ///
    /// # Errors
    /// A directory that cannot be made or written to.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        for name in ["debs", "bundles", "npm", "packs", "indexes", "tmp"] {
            let path = root.join(name);
            at("create", &path, fs::create_dir_all(&path))?;
        }
        let root = at("open", root, fs::canonicalize(root))?;
        let tmp = root.join("tmp");
        let tmp = at("create a directory in", &tmp, Tmp::new(&tmp))?;
        Ok(Store { root, index: RwLock::default(), tmp })
    }

    /// Returns the directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory for unfinished writes; on the same file system as all else here.
    pub fn tmp(&self) -> PathBuf {
        self.tmp.directory.path().to_path_buf()
    }

    /// Makes a fresh directory below [`Store::tmp`], removed when the value is dropped.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn scratch(&self, prefix: &str) -> Result<Scratch, StoreError> {
        let tmp = self.tmp();
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(&tmp);
        at("create a directory in", &tmp, made).map(|made| Scratch(made.keep()))
    }

    /// Returns the place of a downloaded .deb, which may not be there yet.
    pub fn deb_path(&self, checksum: &Checksum) -> PathBuf {
        self.root.join("debs").join(format!("{}.deb", checksum.hex()))
    }

    /// Returns the place of a downloaded tarball of an npm package, which may not be there yet.
    pub fn tarball_path(&self, checksum: &Checksum) -> PathBuf {
        self.root.join("npm").join(format!("{}-{}.tgz", checksum.algorithm(), checksum.hex()))
    }

    /// Remembers contents for the life of this value and returns their digest.
    pub fn put(&self, bytes: impl Into<Vec<u8>>) -> Digest {
        let bytes: Arc<[u8]> = bytes.into().into();
        let digest = Digest::of(&bytes);
        self.index.write().expect("no panic holds the lock").entry(digest).or_insert(Place::Memory(bytes));
        digest
    }

    /// Makes parts of a file known as contents. The file must not change while this value lives.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn adopt(&self, path: &Path, blobs: &[PackedBlob]) -> Result<(), StoreError> {
        let file = Arc::new(at("open", path, File::open(path))?);
        self.index_blobs(&file, blobs);
        Ok(())
    }

    fn index_blobs(&self, file: &Arc<File>, blobs: &[PackedBlob]) {
        let mut index = self.index.write().expect("no panic holds the lock");
        for blob in blobs {
            let (offset, size_bytes) = (blob.offset, blob.size_bytes);
            index.entry(blob.digest).or_insert_with(|| Place::Pack {
                file: file.clone(),
                offset,
                size_bytes,
            });
        }
    }

    /// Returns contents by digest.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where no loaded bundle or [`Store::put`] brought them.
    pub fn blob(&self, digest: &Digest) -> Result<Blob, StoreError> {
        let index = self.index.read().expect("no panic holds the lock");
        index.get(digest).cloned().map(Blob).ok_or(StoreError::Missing(*digest))
    }

    /// Returns true if contents are known, so that [`Store::blob`] would give them.
    pub fn knows(&self, digest: &Digest) -> bool {
        self.index.read().expect("no panic holds the lock").contains_key(digest)
    }

    /// Returns contents by digest, whole.
    ///
    /// # Errors
    /// As [`Store::blob`], and failing reads.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        at("read contents in", &self.root, self.blob(digest)?.read())
    }

    /// Starts a bundle: contents and the tree that names them.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn begin_bundle(&self, kind: &str, key: &str) -> Result<BundleWriter<'_>, StoreError> {
        let tmp = self.tmp();
        let pack = tempfile::Builder::new().prefix("pack-").tempfile_in(&tmp);
        let pack = BufWriter::with_capacity(1 << 18, at("create a file in", &tmp, pack)?);
        Ok(BundleWriter {
            store: self,
            kind: kind.into(),
            key: key.into(),
            pack,
            position: 0,
            blobs: Vec::new(),
        })
    }

    /// Returns a bundle's tree and the path of its pack, and makes its contents known; `None` if
    /// the bundle is not there or not whole.
    pub fn load_bundle(&self, kind: &str, key: &str) -> Option<(Tree, PathBuf)> {
        let text = fs::read_to_string(self.bundle_path(kind, key)).ok()?;
        let (head, tree) = text.split_once("tree\n")?;
        let mut lines = head.lines();
        let (name, length) = lines.next()?.strip_prefix("pack ")?.split_once(' ')?;
        let path = self.root.join("packs").join(name);
        let file = File::open(&path).ok()?;
        if file.metadata().ok()?.len() != length.parse::<u64>().ok()? {
            return None;
        }
        let blobs: Option<Vec<PackedBlob>> = lines.map(PackedBlob::from_line).collect();
        let tree = Tree::from_text(tree).ok()?;
        self.index_blobs(&Arc::new(file), &blobs?);
        Some((tree, path))
    }

    fn bundle_path(&self, kind: &str, key: &str) -> PathBuf {
        self.root.join("bundles").join(kind).join(key)
    }

    /// Notes the outcome of work under a digest of all that it depends on.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn note(&self, kind: &str, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_file(&self.root.join("notes").join(kind).join(key), bytes)
    }

    /// Returns what was noted; `None` if nothing was.
    pub fn noted(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        fs::read(self.root.join("notes").join(kind).join(key)).ok()
    }

    /// Writes a file of the cache in one step.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let parent = path.parent().unwrap_or(&self.root);
        at("create", parent, fs::create_dir_all(parent))?;
        let mut file = at("create a file in", &self.tmp(), tempfile::NamedTempFile::new_in(self.tmp()))?;
        at("write", path, file.write_all(bytes))?;
        at("write", path, file.persist(path).map(drop).map_err(|e| e.error))
    }
}

/// Contents inside a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedBlob {
    /// SHA-256 of the contents.
    pub digest: Digest,
    /// Where they begin in the pack.
    pub offset: u64,
    /// Their length.
    pub size_bytes: u64,
}

impl PackedBlob {
    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let digest = words.next()?.parse().ok()?;
        let offset = words.next()?.parse().ok()?;
        Some(PackedBlob { digest, offset, size_bytes: words.next()?.parse().ok()? })
    }
}

/// Writes one bundle. Dropped without [`BundleWriter::finish`], it leaves nothing.
///
/// As a [`Write`] it appends to the pack as it is; [`BundleWriter::note`] then says which parts are contents.
#[derive(Debug)]
pub struct BundleWriter<'a> {
    store: &'a Store,
    kind: String,
    key: String,
    pack: BufWriter<tempfile::NamedTempFile>,
    position: u64,
    blobs: Vec<PackedBlob>,
}

impl BundleWriter<'_> {
    /// Returns the length of the pack so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Notes that a part of the pack is contents of that digest.
    pub fn note(&mut self, digest: Digest, offset: u64, size_bytes: u64) {
        self.blobs.push(PackedBlob { digest, offset, size_bytes });
    }

    /// Writes over bytes of the pack that were written before, such as a header whose numbers
    /// are known only now.
    ///
    /// # Errors
    /// A full disk; a range that does not lie inside what was written.
    pub fn patch(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.position) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "outside what was written"));
        }
        self.pack.flush()?;
        self.pack.get_ref().as_file().write_all_at(bytes, offset)
    }

    /// Returns a second handle on what the pack holds so far, to read what was appended.
    ///
    /// # Errors
    /// A full disk.
    pub fn reader(&mut self) -> io::Result<File> {
        self.pack.flush()?;
        self.pack.get_ref().as_file().try_clone()
    }

    /// Appends contents and returns their digest and length.
    ///
    /// # Errors
    /// What the reader says, and a full disk.
    pub fn add(&mut self, mut reader: impl Read) -> io::Result<(Digest, u64)> {
        let offset = self.position;
        let mut hasher = Hasher::new(&mut *self);
        io::copy(&mut reader, &mut hasher)?;
        let (digest, size_bytes, _) = hasher.finish();
        self.note(digest, offset, size_bytes);
        Ok((digest, size_bytes))
    }

    /// Makes the bundle visible under its key and its contents known. Returns the pack's path.
    ///
    /// # Errors
    /// A full disk.
    pub fn finish(self, tree: &Tree) -> Result<PathBuf, StoreError> {
        let BundleWriter { store, kind, key, pack, position, blobs } = self;
        let tmp = store.tmp();
        let pack = at("write a pack in", &tmp, pack.into_inner().map_err(io::IntoInnerError::into_error))?;
        let unique = pack.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = format!("{kind}-{key}-{}", unique.trim_start_matches("pack-"));
        let path = store.root.join("packs").join(&name);
        let file = at("write", &path, pack.persist(&path).map_err(|e| e.error))?;
        let mut text = format!("pack {name} {position}\n");
        for blob in &blobs {
            text += &format!("{} {} {}\n", blob.digest, blob.offset, blob.size_bytes);
        }
        text += "tree\n";
        text += &tree.to_text();
        store.write_file(&store.bundle_path(&kind, &key), text.as_bytes())?;
        store.index_blobs(&Arc::new(file), &blobs);
        Ok(path)
    }
}

impl Write for BundleWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.pack.write(bytes)?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pack.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Entry, TreePath};

    #[test]
    fn a_bundle_comes_back_in_another_process() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let mut bundle = store.begin_bundle("layer", "k").expect("begins");
        let (digest, size) = bundle.add(&b"hello"[..]).expect("adds");
        let mut tree = Tree::new();
        tree.insert(TreePath::new(b"a").expect("good"), Entry::file(digest, size, 0o644, 1));
        bundle.finish(&tree).expect("finishes");

        let other = Store::open(directory.path()).expect("opens");
        assert!(matches!(other.read(&digest), Err(StoreError::Missing(_))));
        assert_eq!(other.load_bundle("layer", "k").expect("is there").0, tree);
        assert_eq!(other.read(&digest).expect("is known"), b"hello");
        assert!(other.load_bundle("layer", "other").is_none());
        assert_eq!(fs::read_dir(other.tmp()).expect("lists").count(), 0);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_a_live_one_has_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let live = Store::open(directory.path()).expect("opens");
        fs::write(live.tmp().join("half"), "written").expect("writes");
        let dead = directory.path().join("tmp/run-dead");
        fs::create_dir_all(dead.join("root")).expect("makes");
        fs::write(dead.join("root/half"), "written").expect("writes");
        let other = Store::open(directory.path()).expect("opens");
        assert!(!dead.exists());
        assert!(live.tmp().join("half").exists());
        let (one, two) = (live.tmp(), other.tmp());
        drop((live, other));
        assert!(!one.exists() && !two.exists());
    }

    #[test]
    fn a_pack_can_be_patched_and_copied_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let mut bundle = store.begin_bundle("deb", "k").expect("begins");
        bundle.write_all(b"head----").expect("writes");
        let big: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let (digest, _) = bundle.add(&big[..]).expect("adds");
        bundle.patch(4, b"1234").expect("patches");
        assert!(bundle.patch(300_005, b"1234").is_err());
        bundle.write_all(b"end").expect("writes on");
        assert!(!store.knows(&digest));
        let path = bundle.finish(&Tree::new()).expect("finishes");
        assert!(store.knows(&digest));
        let pack = fs::read(path).expect("reads");
        assert_eq!((&pack[..8], &pack[300_008..]), (&b"head1234"[..], &b"end"[..]));
        let target = tempfile::tempfile().expect("a file");
        store.blob(&digest).expect("known").copy_to(&target).expect("copies");
        let mut copy = vec![0; big.len()];
        target.read_exact_at(&mut copy, 0).expect("reads");
        assert_eq!((copy, target.metadata().expect("is there").len()), (big, 300_000));
    }

    #[test]
    fn an_unfinished_bundle_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let mut bundle = store.begin_bundle("layer", "k").expect("begins");
        bundle.add(&b"hello"[..]).expect("adds");
        drop(bundle);
        assert!(store.load_bundle("layer", "k").is_none());
        assert_eq!(fs::read_dir(store.tmp()).expect("lists").count(), 0);
    }
}
