//! The keys that sign apps, on disk.
//!
//! Comes in: the path of a keyring ([`key_file`](crate::formats::key_file) has its format). Goes out: keys. A ring is only ever
//! appended to, under a lock, and every byte of it must be readable before anything is added. Beside it,
//! `KEYRING.apps` notes which recipe's app got which key (`NAME APPID` a line), for recipes that name no id.
//!
//! A key that is lost cannot be replaced: grains of its app can never be upgraded again. So nothing here deletes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::formats::{
    app_id::AppId,
    key_file::{self, Key, KeyFileError},
};

/// A fault with keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file that cannot be used.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A ring that is not whole.
    #[error("cannot read the keyring {}", path.display())]
    Keyring {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: KeyFileError,
    },
    /// A ring to import that is not whole.
    #[error("cannot import keys")]
    Import(#[source] KeyFileError),
    /// Nothing to import.
    #[error("there is no key to import")]
    NothingToImport,
    /// A key that the ring has not.
    #[error("the keyring {} has no key for {app_id}", path.display())]
    NoKey {
        /// Which ring.
        path: PathBuf,
        /// Whose key.
        app_id: AppId,
    },
    /// A line of `KEYRING.apps` that is no name and id.
    #[error("{}: line {line} is not a name and an app id", path.display())]
    Apps {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A ring that others than its owner can read or write.
    #[error("the keyring {} is open to others (mode {mode:04o}): they can sign as you; `chmod 600` it", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// No random numbers.
    #[error("cannot make a key: the kernel gives no random numbers: {0}")]
    Random(getrandom::Error),
}

fn at<T>(operation: &'static str, path: &Path, result: io::Result<T>) -> Result<T, KeysError> {
    result.map_err(|source| KeysError::Io { operation, path: path.to_path_buf(), source })
}

/// A keyring on disk; the file may not be there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    path: PathBuf,
}

/// The key of an app, and whether it was made just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppKey {
    /// The key.
    pub key: Key,
    /// True if the user should be told where it lies and to keep a copy.
    pub is_new: bool,
}

impl Keyring {
    /// Names a ring.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Keyring { path: path.into() }
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the keys, duplicates left out; none where there is no file.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged.
    pub fn list(&self) -> Result<Vec<Key>, KeysError> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => at("read", &self.path, opened)?,
        };
        self.refuse_open(&file)?;
        let mut bytes = Vec::new();
        at("read", &self.path, file.read_to_end(&mut bytes))?;
        self.parse(&bytes)
    }

    /// Refuses a ring as ssh refuses a key. A pipe, which a password manager may give, is nobody else's.
    fn refuse_open(&self, file: &File) -> Result<(), KeysError> {
        let found = at("read", &self.path, file.metadata())?;
        let mode = found.mode() & 0o7777;
        match found.is_file() && mode & 0o077 != 0 {
            true => Err(KeysError::Open { path: self.path.clone(), mode }),
            false => Ok(()),
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<Vec<Key>, KeysError> {
        key_file::read(bytes).map_err(|source| KeysError::Keyring { path: self.path.clone(), source })
    }

    /// Returns an app's key.
    ///
    /// # Errors
    /// As [`Keyring::list`], and [`KeysError::NoKey`].
    pub fn get(&self, app_id: &AppId) -> Result<Key, KeysError> {
        let found = self.list()?.into_iter().find(|key| key.app_id() == *app_id);
        found.ok_or_else(|| KeysError::NoKey { path: self.path.clone(), app_id: *app_id })
    }

    /// Makes a key and adds it.
    ///
    /// # Errors
    /// As [`Keyring::list`], and a ring that cannot be written.
    pub fn generate(&self) -> Result<Key, KeysError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(KeysError::Random)?;
        let key = Key::from_seed(seed);
        self.add(std::slice::from_ref(&key))?;
        Ok(key)
    }

    /// Returns keys as a ring of their own; all of them where none is named.
    ///
    /// # Errors
    /// As [`Keyring::get`].
    pub fn export(&self, app_ids: &[AppId]) -> Result<Vec<u8>, KeysError> {
        let keys = match app_ids {
            [] => self.list()?,
            ids => ids.iter().map(|id| self.get(id)).collect::<Result<_, _>>()?,
        };
        Ok(keys.iter().flat_map(Key::to_bytes).collect())
    }

    /// Adds the keys of another ring. Returns those that were not there before.
    ///
    /// # Errors
    /// Bytes that are no keyring, and as [`Keyring::generate`].
    pub fn import(&self, bytes: &[u8]) -> Result<Vec<AppId>, KeysError> {
        let keys = key_file::read(bytes).map_err(KeysError::Import)?;
        if keys.is_empty() {
            return Err(KeysError::NothingToImport);
        }
        self.add(&keys)
    }

    /// Returns the key of a recipe's app: the one that the recipe names, or the one that was made for this name before, or
    /// a new one.
    ///
    /// # Errors
    /// As [`Keyring::get`] and [`Keyring::generate`]; a key that is named or noted must be there.
    pub fn for_app(&self, name: &str, app_id: Option<&AppId>) -> Result<AppKey, KeysError> {
        if let Some(app_id) = app_id {
            return Ok(AppKey { key: self.get(app_id)?, is_new: false });
        }
        let path = self.apps_path();
        let mut apps = self.open_locked(&path)?;
        let mut text = String::new();
        at("read", &path, apps.read_to_string(&mut text))?;
        for (index, line) in text.lines().enumerate() {
            let fields = line.split_once(' ').and_then(|(name, id)| Some((name, id.parse().ok()?)));
            let (noted, id): (&str, AppId) =
                fields.ok_or_else(|| KeysError::Apps { path: path.clone(), line: index + 1 })?;
            if noted == name {
                return Ok(AppKey { key: self.get(&id)?, is_new: false });
            }
        }
        let key = self.generate()?;
        at("write", &path, apps.write_all(format!("{name} {}\n", key.app_id()).as_bytes()))?;
        at("write", &path, apps.sync_all())?;
        Ok(AppKey { key, is_new: true })
    }

    fn apps_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".apps");
        name.into()
    }

    /// Appends keys that are not there yet.
    fn add(&self, keys: &[Key]) -> Result<Vec<AppId>, KeysError> {
        let mut file = self.open_locked(&self.path)?;
        self.refuse_open(&file)?;
        let mut bytes = Vec::new();
        at("read", &self.path, file.read_to_end(&mut bytes))?;
        let present = self.parse(&bytes)?;
        let new: Vec<&Key> = keys.iter().filter(|key| !present.contains(key)).collect();
        let tail: Vec<u8> = new.iter().flat_map(|key| key.to_bytes()).collect();
        let written = file.write_all(&tail).and_then(|()| file.sync_all());
        if written.is_err() {
            // A full disk must not leave half a key at the end; what was there stays.
            let _ = file.set_len(bytes.len() as u64);
        }
        at("write", &self.path, written)?;
        Ok(new.iter().map(|key| key.app_id()).collect())
    }

    /// Opens a file for reading and appending, made with mode 0600 if it is not there, and waits for its lock.
    fn open_locked(&self, path: &Path) -> Result<File, KeysError> {
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            at("create", parent, fs::create_dir_all(parent))?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
        let file = at("open", path, file)?;
        at("lock", path, flock(&file, FlockOperation::LockExclusive).map_err(io::Error::from))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn ring() -> (tempfile::TempDir, Keyring) {
        let directory = tempfile::tempdir().expect("a directory");
        let ring = Keyring::new(directory.path().join("deep/keyring"));
        (directory, ring)
    }

    #[test]
    fn keys_are_made_listed_exported_and_imported() {
        let (_directory, ring) = ring();
        assert_eq!(ring.list().expect("no file is an empty ring"), []);
        let (one, two) = (ring.generate().expect("makes"), ring.generate().expect("makes"));
        assert_ne!(one, two);
        assert_eq!(ring.list().expect("lists"), [one.clone(), two.clone()]);
        let mode = fs::metadata(ring.path()).expect("is there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);

        let (_other_directory, other) = self::ring();
        let exported = ring.export(&[two.app_id()]).expect("exports");
        assert_eq!(exported.len(), 128);
        assert_eq!(other.import(&exported).expect("imports"), [two.app_id()]);
        assert_eq!(other.import(&ring.export(&[]).expect("all")).expect("imports"), [one.app_id()]);
        assert_eq!(other.import(&exported).expect("known already"), []);
        assert_eq!(other.list().expect("lists"), [two, one]);
        assert!(matches!(other.import(b""), Err(KeysError::NothingToImport)));
        assert!(matches!(other.import(b"garbage"), Err(KeysError::Import(_))));
    }

    #[test]
    fn a_ring_that_others_can_read_is_refused() {
        let (_directory, ring) = ring();
        ring.generate().expect("makes");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(ring.path(), fs::Permissions::from_mode(mode)).expect("opens it");
            let error = ring.list().expect_err("is open to others").to_string();
            assert!(
                error.ends_with(&format!("(mode {mode:04o}): they can sign as you; `chmod 600` it")),
                "{error}"
            );
            assert!(matches!(ring.generate(), Err(KeysError::Open { .. })));
        }
        fs::set_permissions(ring.path(), fs::Permissions::from_mode(0o400)).expect("closes it");
        assert_eq!(ring.list().expect("lists").len(), 1);
    }

    #[test]
    fn an_app_keeps_its_key() {
        let (_directory, ring) = ring();
        let made = ring.for_app("wiki", None).expect("makes");
        assert!(made.is_new);
        let again = ring.for_app("wiki", None).expect("finds");
        assert_eq!(again, AppKey { key: made.key.clone(), is_new: false });
        let other = ring.for_app("git", None).expect("makes");
        assert_ne!(other.key, made.key);
        let named = ring.for_app("other", Some(&made.key.app_id())).expect("finds");
        assert_eq!(named, again);
        let unknown = AppId([3; 32]);
        let error = ring.for_app("wiki", Some(&unknown)).expect_err("not there").to_string();
        assert_eq!(error, format!("the keyring {} has no key for {unknown}", ring.path().display()));
    }

    #[test]
    fn a_damaged_ring_is_neither_read_nor_added_to() {
        let (_directory, ring) = ring();
        ring.generate().expect("makes");
        let mut bytes = fs::read(ring.path()).expect("reads");
        bytes.extend([0; 7]);
        fs::write(ring.path(), &bytes).expect("writes");
        assert!(matches!(ring.list(), Err(KeysError::Keyring { .. })));
        assert!(matches!(ring.generate(), Err(KeysError::Keyring { .. })));
        assert_eq!(fs::read(ring.path()).expect("reads"), bytes);
        fs::write(ring.apps_path(), "wiki nonsense\n").expect("writes");
        assert!(matches!(ring.for_app("wiki", None), Err(KeysError::Apps { line: 1, .. })));
    }
}
