//! Files of the cache with a seal, and notes; how files get there in one step.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    sync::PoisonError,
};

use super::{Store, StoreError};
use crate::{closed, digest::Digest, error::At as _, sys::path::open_regular};

/// The prefix of a sealed file; its seal follows.
pub(super) const SEALED: &[u8] = b"sealed 1 ";

/// A file of the cache.
pub(crate) struct KeptFile {
    /// Its contents, without its seal.
    pub bytes: Vec<u8>,
    /// Whether we wrote it, and just so.
    pub is_ours: bool,
}

impl Store {
    /// Notes the outcome of work under a digest of all that it depends on.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn note(&self, kind: &str, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_sealed(&self.root.join("notes").join(kind).join(key), bytes)
    }

    /// Returns a note; `None` if it does not exist, or is not ours.
    pub fn noted(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        self.read_sealed(&self.root.join("notes").join(kind).join(key))
    }

    /// Returns the seal of bytes that a file of the cache holds or begins with.
    pub(crate) fn seal(&self, path: &Path, bytes: &[u8]) -> Digest {
        self.seal.of(&self.name_of(path), bytes)
    }

    /// Returns whether a file of the cache has this seal; one that has not is noted.
    pub(crate) fn is_sealed(&self, path: &Path, bytes: &[u8], seal: &Digest) -> bool {
        let name = self.name_of(path);
        let holds = self.seal.holds(&name, bytes, seal);
        if !holds {
            self.foreign.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        }
        holds
    }

    /// Returns the name of a file of the cache by which it is sealed, so that none can stand in for another.
    pub(super) fn name_of(&self, path: &Path) -> String {
        self.relative(path).to_string_lossy().into_owned()
    }

    /// Writes a file of the cache with its seal, in one step.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub(crate) fn write_sealed(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let seal = format!("{}\n", self.seal(path, bytes));
        self.write_file(path, &[SEALED, seal.as_bytes(), bytes].concat())
    }

    /// Returns a sealed text; `None` if it does not exist, or was not written by us in this form.
    pub(crate) fn read_sealed(&self, path: &Path) -> Option<Vec<u8>> {
        self.read_kept(path).ok().filter(|kept| kept.is_ours).map(|kept| kept.bytes)
    }

    /// Reads a file that may be sealed.
    ///
    /// # Errors
    /// The kernel's error.
    pub(crate) fn read_kept(&self, path: &Path) -> io::Result<KeptFile> {
        let mut bytes = Vec::new();
        let mut file = open_regular(&self.existing(path.to_path_buf()))?;
        file.read_to_end(&mut bytes)?;
        let seal = bytes.strip_prefix(SEALED).and_then(|rest| rest.split_first_chunk::<65>());
        let Some((seal, rest)) = seal else { return Ok(KeptFile { bytes, is_ours: false }) };
        let seal = std::str::from_utf8(seal).ok().and_then(|line| line.strip_suffix('\n')?.parse().ok());
        let is_ours = seal.is_some_and(|seal| self.is_sealed(path, rest, &seal));
        if is_ours && let Ok(found) = file.metadata() {
            self.used(path, &found);
        }
        bytes.drain(..SEALED.len() + 65);
        Ok(KeptFile { bytes, is_ours })
    }

    /// Writes a file of the cache in one step.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let parent = path.parent().unwrap_or(&self.root);
        let tmp = self.writable()?;
        self.make_directories(parent)?;
        let mut file = tempfile::NamedTempFile::new_in(&tmp).at("create a file in", &tmp)?;
        file.write_all(bytes).at("write", path)?;
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
            // Not of ours: only files lie there.
            fs::remove_dir_all(path).at("remove", path)?;
        }
        Ok(file.persist(path).map(drop).map_err(|e| e.error).at("write", path)?)
    }

    /// Makes the directories of the cache down to one. Anything else there, such as a link out of the cache
    /// that came with a copied cache, is removed.
    pub(super) fn make_directories(&self, directory: &Path) -> Result<(), StoreError> {
        let below = directory.strip_prefix(&self.root).unwrap_or(directory);
        let mut path = self.root.clone();
        for part in below.components() {
            path.push(part);
            if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_dir()) {
                fs::remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(closed::make(directory).at("create", directory)?)
    }
}
