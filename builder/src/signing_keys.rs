//! The keys that sign apps, on disk.
//!
//! Comes in: the path of a keyring ([`key_file`](crate::formats::key_file) has its format). Goes out: keys. A
//! ring is only ever appended to, under a lock, and every byte of it must be readable before anything is
//! added. Beside it, `KEYRING.apps` notes ([`notes`]) which app a key is of, for recipes that name no id.
//! Keys can also be handed over for one command ([`Handed`]).
//!
//! A key that is lost cannot be replaced: grains of its app can never be upgraded again. So nothing here
//! deletes.

mod handed;
mod notes;

pub use handed::Handed;

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    error::{At as _, Hint, PathError},
    files,
    formats::{
        app_id::AppId,
        key_file::{self, Key, KeyFileError},
    },
};
use notes::Notes;

/// A fault with keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file that cannot be used.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A ring that is not whole.
    #[error("cannot read the keyring {}", path.display())]
    Keyring {
        /// Which.
        path: PathBuf,
        /// The fault.
        source: KeyFileError,
    },
    /// A ring to import that is not whole.
    #[error("cannot import the keys of {from}")]
    Import {
        /// The file, or standard input.
        from: String,
        /// Its fault.
        source: KeyFileError,
    },
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
    /// A key that is noted for an app, and that the ring has not.
    #[error("the keyring {} has not the key {app_id}, which is noted for {name}", path.display())]
    Lost {
        /// Which ring.
        path: PathBuf,
        /// Whose key.
        app_id: AppId,
        /// Of which app.
        name: String,
    },
    /// Imported keys whose apps are not known, one of which may be the app's.
    #[error("{name} has no key yet, and {} holds imported keys of which no app is noted: {}", path.display(), listed(.app_ids))]
    Unassigned {
        /// Which ring.
        path: PathBuf,
        /// Which app.
        name: String,
        /// The keys.
        app_ids: Vec<AppId>,
    },
    /// Keys without a note of whose they are, where none is made.
    #[error("the keyring {} has {}, and nothing notes which is that of {name}", path.display(), counted(*.count))]
    Unnoted {
        /// Which ring.
        path: PathBuf,
        /// How many keys it has.
        count: usize,
        /// Which app.
        name: String,
    },
    /// An app without a key, where none may be made.
    #[error("{name} has no key in the keyring {}, and none is made {why}", path.display())]
    NotMade {
        /// Which ring.
        path: PathBuf,
        /// Which app.
        name: String,
        /// Why none may be made: "with --locked".
        why: &'static str,
    },
    /// An app without a key, where none can be made.
    #[error("cannot make a key for {name}, which has none yet")]
    CannotMake {
        /// Which app.
        name: String,
        /// Why not.
        source: Box<KeysError>,
    },
    /// A handed over text that is not a key; it may be secret.
    #[error("{from} is not the text of a key, as `tinyroot key export --text` writes it")]
    HandedDamaged {
        /// From where.
        from: &'static str,
    },
    /// Nothing that was handed over.
    #[error("there is no key in {from}")]
    HandedNone {
        /// From where.
        from: &'static str,
    },
    /// Keys that were handed over, none of which is the app's.
    #[error("there is no key for {app_id} in {from}")]
    HandedOthers {
        /// From where.
        from: &'static str,
        /// Whose key is wanted.
        app_id: AppId,
    },
    /// Several keys that were handed over, of which the recipe names none.
    #[error("there are {count} keys in {from}, and the recipe does not say which is that of {name}")]
    HandedSeveral {
        /// From where.
        from: &'static str,
        /// How many.
        count: usize,
        /// Which app.
        name: String,
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
    #[error("cannot make a key: the kernel gives no random numbers")]
    Random(#[source] io::Error),
}

impl Hint for KeysError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            KeysError::NoKey { .. } => {
                "`tinyroot key list` shows those that are there; `tinyroot key import FILE` adds others".into()
            }
            KeysError::Lost { .. } => {
                "import it from your copy: `tinyroot key import FILE`; or name another ring with --key-file FILE".into()
            }
            KeysError::Unassigned { .. } => "say whose one is: `tinyroot key import FILE --for RECIPE`, or `build --key APPID`; \
                                             or make a new one: `tinyroot key generate --for RECIPE`"
                .into(),
            KeysError::Unnoted { path, .. } => format!(
                "name one with --key APPID: `tinyroot key list --key-file {}` shows them",
                path.display()
            )
            .into(),
            KeysError::NotMade { .. } => HAND_OVER.into(),
            KeysError::Open { .. } => {
                "one that a CI service wrote so can be given on standard input: build --key - < FILE".into()
            }
            KeysError::Keyring { .. } => {
                "put your copy of it in its place; or name another with --key-file FILE".into()
            }
            KeysError::Io(PathError { source, .. }) if is_not_writable(source) => {
                "name another keyring with --key-file FILE".into()
            }
            KeysError::CannotMake { source, .. } => match &**source {
                KeysError::Io(PathError { source, .. }) if is_not_writable(source) => {
                    "name a keyring that can be written with --key-file FILE, or hand a key over by --key - (standard input) \
                     or in TINYROOT_KEY"
                        .into()
                }
                other => return other.hint(),
            },
            KeysError::HandedSeveral { from: "TINYROOT_KEY", .. } => {
                "name the app's with --key APPID; one that only signs the remote cache's entries is named by --remote-cache-sign KEYID".into()
            }
            KeysError::HandedOthers { .. } | KeysError::HandedSeveral { .. } => {
                "export the app's alone: `tinyroot key export APPID --text --output FILE`, or `--for RECIPE` in the place of APPID".into()
            }
            KeysError::HandedDamaged { .. } | KeysError::HandedNone { .. } => {
                "it should be what `tinyroot key export APPID --text --output FILE` writes".into()
            }
            _ => return None,
        })
    }
}

/// How a key comes to where none is made.
const HAND_OVER: &str = "make one on a machine of yours (`tinyroot key generate --for RECIPE`), keep a copy, and hand it over: what \
                         `tinyroot key export --for RECIPE --text --output FILE` writes, as the secret TINYROOT_KEY or on standard input \
                         (--key -), or the keyring itself by --key-file FILE";

fn is_not_writable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

fn counted(keys: usize) -> String {
    match keys {
        1 => "1 key".into(),
        more => format!("{more} keys"),
    }
}

fn listed(app_ids: &[AppId]) -> String {
    app_ids.iter().map(AppId::to_string).collect::<Vec<_>>().join(", ")
}

/// Reads keys to import: a keyring, or the text of one. `from` names the place in errors.
///
/// # Errors
/// [`KeysError::Import`].
pub fn read_ring(bytes: &[u8], from: &str) -> Result<Vec<Key>, KeysError> {
    key_file::read_any(bytes).map_err(|source| KeysError::Import { from: from.to_owned(), source })
}

/// A keyring on disk; the file may not be there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    path: PathBuf,
    /// Whether it was named for one command, so that the only key in it is the one that is meant.
    is_given: bool,
}

/// Whether a key may be made for an app that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// One is.
    Allowed,
    /// None is, for a reason: "with --locked".
    Forbidden(&'static str),
}

/// The key of an app, and whether it was made just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppKey {
    /// The key.
    pub key: Key,
    /// True if the user should hear where it lies and keep a copy.
    pub is_new: bool,
}

impl Keyring {
    /// Names a ring.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Keyring { path: path.into(), is_given: false }
    }

    /// Names a ring that was given for one command: if it holds one key and nothing is noted beside it, that
    /// key signs.
    pub fn given(path: impl Into<PathBuf>) -> Self {
        Keyring { path: path.into(), is_given: true }
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
        let mut file = match files::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        self.refuse_open(&file)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).at("read", &self.path)?;
        key_file::read_any(&bytes).map_err(|source| self.damaged(source))
    }

    /// Refuses a ring as ssh refuses a key. A pipe, which a password manager may give, has no other users.
    fn refuse_open(&self, file: &File) -> Result<(), KeysError> {
        let found = file.metadata().at("read", &self.path)?;
        let mode = found.mode() & 0o7777;
        match found.is_file() && mode & 0o077 != 0 {
            true => Err(KeysError::Open { path: self.path.clone(), mode }),
            false => Ok(()),
        }
    }

    fn damaged(&self, source: KeyFileError) -> KeysError {
        KeysError::Keyring { path: self.path.clone(), source }
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
        getrandom::fill(&mut seed).map_err(|error| KeysError::Random(io::Error::other(error.to_string())))?;
        let key = Key::from_seed(seed);
        self.add(std::slice::from_ref(&key))?;
        Ok(key)
    }

    /// Returns keys for a ring of their own; all of them where none is named.
    ///
    /// # Errors
    /// As [`Keyring::get`].
    pub fn export(&self, app_ids: &[AppId]) -> Result<Vec<Key>, KeysError> {
        match app_ids {
            [] => self.list(),
            ids => ids.iter().map(|id| self.get(id)).collect(),
        }
    }

    /// Adds the keys of another ring. Returns those that were not there before.
    ///
    /// # Errors
    /// No keys, and as [`Keyring::generate`].
    pub fn import(&self, keys: &[Key]) -> Result<Vec<AppId>, KeysError> {
        if keys.is_empty() {
            return Err(KeysError::NothingToImport);
        }
        self.add(keys)
    }

    /// Returns the key of a recipe's app: the one that the recipe names, or the one that is noted for this
    /// name, or the only one of a ring that was given without notes, or a new one.
    ///
    /// # Errors
    /// As [`Keyring::get`] and [`Keyring::generate`]; a key that is named or noted must be there.
    /// [`KeysError::NotMade`] where a key would have to be made and may not; [`KeysError::Unnoted`] and
    /// [`KeysError::Unassigned`] where one may be there under no name.
    pub fn for_app(&self, name: &str, app_id: Option<&AppId>, making: Making) -> Result<AppKey, KeysError> {
        let old = |key| AppKey { key, is_new: false };
        let notes = self.notes()?;
        if let Some(app_id) = app_id {
            let key = self.get(app_id)?;
            if notes.as_ref().is_some_and(|notes| notes.of_no_app().contains(app_id)) {
                // Now it is of an app; where that cannot be noted, it is so the next time.
                let _ = self.assign(name, app_id);
            }
            return Ok(old(key));
        }
        if let Some(found) = self.noted(notes.as_ref(), name)? {
            return Ok(old(found));
        }
        if notes.is_none() && (self.is_given || making != Making::Allowed) {
            match &self.list()?[..] {
                [] => {}
                [only] if self.is_given => return Ok(old(only.clone())),
                keys => {
                    let (path, count) = (self.path.clone(), keys.len());
                    return Err(KeysError::Unnoted { path, count, name: name.into() });
                }
            }
        }
        self.unassigned(notes.as_ref(), name)?;
        if let Making::Forbidden(why) = making {
            return Err(KeysError::NotMade { path: self.path.clone(), name: name.into(), why });
        }
        self.make_for(name)
            .map_err(|error| KeysError::CannotMake { name: name.into(), source: Box::new(error) })
    }

    /// Makes a key for an app, unless another process has done so meanwhile, and notes it.
    fn make_for(&self, name: &str) -> Result<AppKey, KeysError> {
        let path = self.apps_path();
        let mut file = self.open_locked(&path)?;
        let notes = Notes::read(&path, &mut file)?;
        if let Some(key) = self.noted(Some(&notes), name)? {
            return Ok(AppKey { key, is_new: false });
        }
        let key = self.generate()?;
        Notes::append(&mut file, name, &key.app_id()).at("write", &path)?;
        Ok(AppKey { key, is_new: true })
    }

    /// Returns the key that is noted for an app, if one is.
    fn noted(&self, notes: Option<&Notes>, name: &str) -> Result<Option<Key>, KeysError> {
        let Some(app_id) = notes.and_then(|notes| notes.find(name)) else { return Ok(None) };
        match self.get(&app_id) {
            Err(KeysError::NoKey { path, app_id }) => {
                Err(KeysError::Lost { path, app_id, name: name.into() })
            }
            found => found.map(Some),
        }
    }

    /// Refuses to make a key where an imported one waits for its app.
    fn unassigned(&self, notes: Option<&Notes>, name: &str) -> Result<(), KeysError> {
        let waiting = notes.map(Notes::of_no_app).unwrap_or_default();
        match waiting.is_empty() {
            true => Ok(()),
            false => {
                Err(KeysError::Unassigned { path: self.path.clone(), name: name.into(), app_ids: waiting })
            }
        }
    }

    /// Notes that a key is an app's from now on. Returns the one that was noted before, if it is another.
    ///
    /// # Errors
    /// Notes that cannot be read or written.
    pub fn assign(&self, name: &str, app_id: &AppId) -> Result<Option<AppId>, KeysError> {
        let path = self.apps_path();
        let mut file = self.open_locked(&path)?;
        let before = Notes::read(&path, &mut file)?.find(name);
        if before != Some(*app_id) {
            Notes::append(&mut file, name, app_id).at("write", &path)?;
        }
        Ok(before.filter(|before| before != app_id))
    }

    /// Notes of imported keys that their app is not known yet, unless it is.
    ///
    /// # Errors
    /// As [`Keyring::assign`].
    pub fn leave_unassigned(&self, app_ids: &[AppId]) -> Result<(), KeysError> {
        let path = self.apps_path();
        let mut file = self.open_locked(&path)?;
        let notes = Notes::read(&path, &mut file)?;
        for app_id in app_ids.iter().filter(|id| notes.app_of(id).is_none()) {
            Notes::append(&mut file, notes::OF_NO_APP, app_id).at("write", &path)?;
        }
        Ok(())
    }

    /// Returns the name of the app that a key is noted for.
    ///
    /// # Errors
    /// Notes that cannot be read.
    pub fn app_of(&self, app_id: &AppId) -> Result<Option<String>, KeysError> {
        Ok(self.notes()?.and_then(|notes| notes.app_of(app_id)))
    }

    /// Returns what is noted beside the ring; `None` where no notes are. Nothing is written for that.
    fn notes(&self) -> Result<Option<Notes>, KeysError> {
        let path = self.apps_path();
        match files::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => Notes::read(&path, &mut opened?).map(Some),
        }
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
        file.read_to_end(&mut bytes).at("read", &self.path)?;
        let present = key_file::read(&bytes).map_err(|source| self.damaged(source))?;
        let new: Vec<&Key> = keys.iter().filter(|key| !present.contains(key)).collect();
        let tail: Vec<u8> = new.iter().flat_map(|key| key.to_bytes()).collect();
        let written = file.write_all(&tail).and_then(|()| file.sync_all());
        if written.is_err() {
            // A full disk must not leave half a key at the end; what was there stays.
            let _ = file.set_len(bytes.len() as u64);
        }
        written.at("write", &self.path)?;
        Ok(new.iter().map(|key| key.app_id()).collect())
    }

    /// Opens a file for reading and appending, made with mode 0600 if it is not there, and waits for its
    /// lock.
    fn open_locked(&self, path: &Path) -> Result<File, KeysError> {
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            files::create_dir_all(parent)?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
        let file = file.at("open", path)?;
        flock(&file, FlockOperation::LockExclusive).map_err(io::Error::from).at("lock", path)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

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
        let bytes = exported.iter().flat_map(Key::to_bytes).collect::<Vec<u8>>();
        assert_eq!(bytes.len(), 128);
        let read = key_file::read_any(&bytes).expect("is a ring");
        assert_eq!(other.import(&read).expect("imports"), [two.app_id()]);
        assert_eq!(other.import(&ring.export(&[]).expect("all")).expect("imports"), [one.app_id()]);
        assert_eq!(other.import(&exported).expect("known already"), []);
        assert_eq!(other.list().expect("lists"), [two, one]);
        assert!(matches!(other.import(&[]), Err(KeysError::NothingToImport)));
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
        let made = ring.for_app("wiki", None, Making::Allowed).expect("makes");
        assert!(made.is_new);
        let again = ring.for_app("wiki", None, Making::Allowed).expect("finds");
        assert_eq!(again, AppKey { key: made.key.clone(), is_new: false });
        let other = ring.for_app("git", None, Making::Allowed).expect("makes");
        assert_ne!(other.key, made.key);
        let named = ring.for_app("other", Some(&made.key.app_id()), Making::Allowed).expect("finds");
        assert_eq!(named, again);
        let unknown = AppId([3; 32]);
        let error = ring.for_app("wiki", Some(&unknown), Making::Allowed).expect_err("not there").to_string();
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
        assert!(matches!(ring.for_app("wiki", None, Making::Allowed), Err(KeysError::Apps { line: 1, .. })));
    }

    #[test]
    fn a_key_is_not_made_where_that_is_forbidden() {
        let (_directory, ring) = ring();
        let locked = Making::Forbidden("with --locked");
        let error = ring.for_app("wiki", None, locked).expect_err("has none");
        let path = ring.path().display();
        let expected = format!("wiki has no key in the keyring {path}, and none is made with --locked");
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().is_some_and(|hint| hint.contains("key export") && hint.contains("--key -")));
        assert!(!ring.path().exists() && !ring.apps_path().exists());
        // A single key without notes was handed over.
        let key = ring.generate().expect("makes");
        assert!(matches!(ring.for_app("wiki", None, locked), Err(KeysError::Unnoted { count: 1, .. })));
        let given = Keyring::given(ring.path());
        for making in [locked, Making::Allowed] {
            let found = given.for_app("wiki", None, making).expect("is there");
            assert_eq!((&found.key, found.is_new), (&key, false));
        }
        assert!(!ring.apps_path().exists());
        // Of two, it is not known which is meant.
        ring.generate().expect("makes");
        for (ring, making) in [(&given, locked), (&given, Making::Allowed), (&ring, locked)] {
            let error = ring.for_app("wiki", None, making).expect_err("may be either");
            assert_eq!(
                error.to_string(),
                format!("the keyring {path} has 2 keys, and nothing notes which is that of wiki")
            );
            assert!(error.hint().is_some_and(|hint| hint.starts_with("name one with --key APPID")));
            assert_eq!(ring.for_app("wiki", Some(&key.app_id()), making).expect("is named").key, key);
        }
        assert_eq!(ring.list().expect("lists").len(), 2);
    }

    #[test]
    fn an_imported_key_is_its_apps() {
        let (_directory, ring) = ring();
        let wiki = ring.for_app("wiki", None, Making::Allowed).expect("makes").key;
        let of_tea = Key::from_seed([1; 32]);
        ring.import(std::slice::from_ref(&of_tea)).expect("imports");
        ring.leave_unassigned(&[of_tea.app_id(), wiki.app_id()]).expect("notes");
        let error = ring.for_app("tea", None, Making::Allowed).expect_err("would make another");
        assert!(matches!(&error, KeysError::Unassigned { app_ids, .. } if *app_ids == [of_tea.app_id()]));
        assert!(error.hint().is_some_and(|hint| hint.contains("--for RECIPE")));
        assert_eq!(ring.app_of(&of_tea.app_id()).expect("reads"), None);
        assert_eq!(ring.assign("tea", &of_tea.app_id()).expect("notes"), None);
        assert_eq!(ring.for_app("tea", None, Making::Allowed).expect("finds").key, of_tea);
        assert_eq!(ring.app_of(&of_tea.app_id()).expect("reads").as_deref(), Some("tea"));
        // From now on others are made again, and an app can be given another key.
        ring.for_app("git", None, Making::Allowed).expect("makes");
        assert_eq!(ring.assign("wiki", &of_tea.app_id()).expect("notes"), Some(wiki.app_id()));
        assert_eq!(ring.for_app("wiki", None, Making::Allowed).expect("finds").key, of_tea);
    }

    #[test]
    fn a_key_that_a_recipe_names_waits_for_no_app_any_more() {
        let (_directory, ring) = ring();
        let key = Key::from_seed([1; 32]);
        ring.import(std::slice::from_ref(&key)).expect("imports");
        ring.leave_unassigned(&[key.app_id()]).expect("notes");
        ring.for_app("tea", Some(&key.app_id()), Making::Allowed).expect("finds");
        assert!(ring.for_app("git", None, Making::Allowed).expect("makes").is_new);
        assert_eq!(ring.for_app("tea", None, Making::Allowed).expect("finds").key, key);
    }
}
