//! Manifests and blobs of images at registries, by their digests: what was fetched once is not fetched again.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use super::{Store, StoreError};
use crate::{
    digest::{Digest, Hasher},
    error::At as _,
    sys::path::open_regular,
};

impl Store {
    fn image_blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("images").join(format!("sha256-{digest}"))
    }

    /// Copies a blob of that length to a new file, if it is here. Returns whether it did; if not, there is no
    /// file. A blob of another digest than its name's is removed.
    pub fn copy_image_blob(&self, digest: &Digest, size_bytes: u64, to: &Path) -> bool {
        let Ok(out) = File::create_new(to) else { return false };
        let is_copied = self.write_image_blob(digest, size_bytes..=size_bytes, out);
        if !is_copied {
            let _ = fs::remove_file(to);
        }
        is_copied
    }

    /// Returns a blob that is not longer than that, if it is here.
    pub fn image_blob(&self, digest: &Digest, most_bytes: u64) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.write_image_blob(digest, 0..=most_bytes, &mut out).then_some(out)
    }

    fn write_image_blob(&self, digest: &Digest, length: RangeInclusive<u64>, out: impl Write) -> bool {
        let path = self.existing(self.image_blob_path(digest));
        let Ok(file) = open_regular(&path) else { return false };
        let Ok(found) = file.metadata() else { return false };
        if !length.contains(&found.len()) {
            return false;
        }
        let mut hasher = Hasher::new(out);
        if io::copy(&mut file.take(found.len()), &mut hasher).is_err() || hasher.flush().is_err() {
            return false;
        }
        if hasher.finish().0 != *digest {
            self.discard(&path);
            self.note_damaged(&path);
            return false;
        }
        self.used(&path, &found);
        true
    }

    /// Keeps a blob, whose digest was checked.
    ///
    /// # Errors
    /// A full or read-only disk; [`StoreError::NoPlace`].
    pub fn keep_image_blob(&self, digest: &Digest, mut blob: impl Read) -> Result<(), StoreError> {
        let path = self.image_blob_path(digest);
        let tmp = self.writable()?;
        let mut file = tempfile::NamedTempFile::new_in(&tmp).at("create a file in", &tmp)?;
        io::copy(&mut blob, &mut file).at("write", &path)?;
        Ok(file.persist(&path).map(drop).map_err(|error| error.error).at("write", &path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_comes_back_by_its_digest_or_not_at_all() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let digest = Digest::of(b"tea");
        let copy = directory.path().join("tmp/copy");
        let copied = |store: &Store, size_bytes| {
            assert_eq!(store.copy_image_blob(&digest, size_bytes, &copy), copy.exists());
            let read = fs::read(&copy).ok();
            let _ = fs::remove_file(&copy);
            read
        };
        assert_eq!((copied(&store, 3), store.image_blob(&digest, 9)), (None, None));
        store.keep_image_blob(&digest, &b"tea"[..]).expect("keeps");
        store.keep_image_blob(&digest, &b"tea"[..]).expect("writes it again");
        let other = Store::open(directory.path()).expect("opens");
        for found in [copied(&other, 3), other.image_blob(&digest, 3)] {
            assert_eq!(found.as_deref(), Some(&b"tea"[..]));
        }
        assert_eq!((copied(&other, 2), copied(&other, 4), other.image_blob(&digest, 2)), (None, None, None));
        let path = other.image_blob_path(&digest);
        for read in [&(|store: &Store| copied(store, 3)) as &dyn Fn(&Store) -> Option<Vec<u8>>, &|store| {
            store.image_blob(&digest, 3)
        }] {
            fs::write(&path, "Tea").expect("writes");
            assert_eq!(read(&other), None);
            assert_eq!((other.take_damaged(), path.exists()), (vec![path.clone()], false));
        }
        assert_eq!(fs::read_dir(other.tmp()).expect("lists").count(), 0);
    }
}
