//! The seal of a cache: it shows that a file of it was written by this user's tinyroot, and not changed
//! since.
//!
//! A cache holds what work made of checked files: trees, digests of contents, the outcome of checks. None of
//! that can be checked against anything outside, so it is sealed: a keyed digest (BLAKE3's keyed mode) of its
//! name and bytes, with a key that lies elsewhere. An entry with another seal, be it changed or brought from
//! another machine, is as good as none, and is made again.
//!
//! The key is 64 hex digits in a file of mode 0600. Losing it costs the work that was kept, and nothing else.

use std::{
    fmt, fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::{
    closed,
    digest::Digest,
    error::{At as _, Hint, PathError},
    sys::path::open_regular,
};

/// Why the key cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file that cannot be used.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file that others know or could have made.
    #[error("{} belongs to user {uid} and has mode {mode:04o}, so others may know it: remove it", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
        /// Its mode.
        mode: u32,
    },
    /// The place of the file belongs to another user, as a home does under sudo.
    #[error("{} belongs to user {uid}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// No place for the file.
    #[error("HOME is not set to an absolute path")]
    NoHome,
    /// A kernel without random numbers.
    #[error("cannot make random bytes")]
    Random(#[source] io::Error),
    /// A given key that is not UTF-8 text.
    #[error("TINYROOT_CACHE_KEY is not UTF-8 text")]
    NotText,
    /// A given key that is too easily found.
    #[error("TINYROOT_CACHE_KEY has {length} characters (must have 32 or more)")]
    Short {
        /// How many it has.
        length: usize,
    },
}

impl Hint for SealError {}

/// The key that seals files of the cache.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal([u8; 32]);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// Returns one that this process alone has: it believes nothing that another one left.
    ///
    /// # Errors
    /// A kernel without random numbers.
    pub fn of_process() -> io::Result<Self> {
        static SEAL: OnceLock<[u8; 32]> = OnceLock::new();
        if let Some(key) = SEAL.get() {
            return Ok(Seal(*key));
        }
        let fresh = random()?;
        Ok(Seal(*SEAL.get_or_init(|| fresh)))
    }

    /// Returns the one that all have who know a text, such as the machines of a fleet.
    ///
    /// # Errors
    /// [`SealError::Short`].
    pub fn of_text(text: &str) -> Result<Self, SealError> {
        let length = text.trim().chars().count();
        match length < 32 {
            true => Err(SealError::Short { length }),
            false => Ok(Seal(blake3::derive_key("tinyroot 2026 seal of a cache", text.trim().as_bytes()))),
        }
    }

    /// Returns the one whose key lies in a file, which is made if it is not there or is damaged.
    ///
    /// # Errors
    /// [`SealError`]: the key must be known to and made by our own user alone.
    pub fn read_or_make(path: &Path) -> Result<Self, SealError> {
        if let Some(seal) = read(path)? {
            return Ok(seal);
        }
        let parent = path.parent().unwrap_or(Path::new("."));
        let there = parent.ancestors().find_map(|above| Some((above, fs::metadata(above).ok()?)));
        if let Some((above, found)) = there
            && found.uid() != closed::our_uid()
        {
            return Err(SealError::Foreign { path: above.to_path_buf(), uid: found.uid() });
        }
        closed::make(parent).at("create the directory of", path)?;
        let key = random().at("make random bytes for", path)?;
        let mut file = tempfile::NamedTempFile::new_in(parent).at("create", path)?;
        writeln!(file, "{}", Digest(key)).at("write", path)?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(Seal(key)),
            // Another process was first, or the file is damaged.
            Err(failed) => match read(path)? {
                Some(seal) => Ok(seal),
                None => failed
                    .file
                    .persist(path)
                    .map(|_| Seal(key))
                    .map_err(|e| PathError::new("write", path, e.error).into()),
            },
        }
    }

    /// Returns the seal of bytes under a name; the same bytes under another name have another one.
    pub fn of(&self, name: &str, bytes: &[u8]) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(bytes);
        Digest(hasher.finalize().into())
    }

    /// Returns whether bytes have this seal under a name.
    pub fn holds(&self, name: &str, bytes: &[u8], seal: &Digest) -> bool {
        // Compared in constant time.
        blake3::Hash::from(self.of(name, bytes).0) == blake3::Hash::from(seal.0)
    }
}

/// Reads a key; `None` if there is none or it is damaged.
fn read(path: &Path) -> Result<Option<Seal>, SealError> {
    let file = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.at("open", path)?,
    };
    let found = file.metadata().at("read", path)?;
    let (uid, mode) = (found.uid(), found.mode() & 0o7777);
    if uid != closed::our_uid() || mode & 0o077 != 0 {
        return Err(SealError::Open { path: path.to_path_buf(), uid, mode });
    }
    let mut text = String::new();
    let read = file.take(100).read_to_string(&mut text);
    match read {
        Err(error) if error.kind() != io::ErrorKind::InvalidData => {
            Err(PathError::new("read", path, error).into())
        }
        _ => Ok(text.trim_end().parse::<Digest>().ok().map(|key| Seal(key.0))),
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_seal_is_of_a_name_and_bytes_and_a_key() {
        let seal = Seal([1; 32]);
        let of_tea = seal.of("notes/a", b"tea");
        assert!(seal.holds("notes/a", b"tea", &of_tea));
        for (name, bytes) in [("notes/b", "tea"), ("notes/a", "tee"), ("notes/at", "ea"), ("", "")] {
            assert!(!seal.holds(name, bytes.as_bytes(), &of_tea), "{name} {bytes}");
        }
        assert!(!Seal([2; 32]).holds("notes/a", b"tea", &of_tea));
        assert_eq!(Seal::of_process().expect("is made"), Seal::of_process().expect("is there"));
        let text = "correct horse battery staple, and more";
        assert_eq!(
            Seal::of_text(text).expect("is long"),
            Seal::of_text(&format!("{text}\n")).expect("is long")
        );
        assert!(matches!(Seal::of_text("secret"), Err(SealError::Short { length: 6 })));
    }

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("state/cache.key");
        let seal = Seal::read_or_make(&path).expect("is made");
        assert_eq!(fs::metadata(&path).expect("is there").mode() & 0o7777, 0o600);
        assert_eq!(Seal::read_or_make(&path).expect("is there"), seal);
        // A damaged file is made again: it only costs time.
        fs::write(&path, "0123").expect("writes");
        let other = Seal::read_or_make(&path).expect("is made");
        assert_ne!(other, seal);
        assert_eq!(Seal::read_or_make(&path).expect("is there"), other);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("opens it");
        let error = Seal::read_or_make(&path).expect_err("others know it").to_string();
        assert!(error.contains("has mode 0644"), "{error}");
        fs::remove_file(&path).expect("removes");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("links");
        assert!(Seal::read_or_make(&path).is_err());
    }
}
