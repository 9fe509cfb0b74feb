//! The grains on disk: list, create, name, remove.
//!
//! ```text
//! DIRECTORY/APP ID/NAME/var         the grain's data
//!                       log, log.1  the output of its services
//!                       lock        held while it runs
//!                       misses      the report of its misses
//!                       grain.json  its title and host
//! ```
//!
//! `tinyroot run` makes grains without `grain.json`; their title is their name. Nothing here starts a grain.

mod lock;

pub use lock::{LockError, lock};

use std::{
    borrow::Cow,
    fs::{self, DirBuilder, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{
    atomic, closed, deep,
    error::{At as _, Hint, PathError},
    files,
    formats::app_id::AppId,
};

/// The time limit for the size of a grain's data on a page.
const GLANCE: Duration = Duration::from_millis(200);

/// Longest title; a longer one is cut.
const TITLE_LIMIT: usize = 200;

/// The contents of `grain.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrainMeta {
    /// Its title, which a person chose.
    pub title: String,
    /// The title of its app.
    pub app: String,
    /// The name of its own host below `localhost`, so that a browser separates it from other grains: `g-` and
    /// 32 hex digits.
    pub host: String,
    /// The time of its creation, in RFC 3339; `None` for a grain of `tinyroot run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
}

/// A grain on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGrain {
    /// Its app.
    pub app_id: AppId,
    /// The name of its directory.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// The contents of its `grain.json`, if it has one.
    pub meta: Option<GrainMeta>,
}

/// Why a grain cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The kernel gives no random bytes.
    #[error("cannot make a random name")]
    Random(#[source] io::Error),
    /// The grain runs, or its directory cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl Hint for LibraryError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            LibraryError::Io(error) => error.hint(),
            LibraryError::Lock(error) => error.hint(),
            LibraryError::Random(_) => None,
        }
    }
}

/// The directory of all grains of a user.
#[derive(Clone, Debug)]
pub struct GrainLibrary {
    directory: PathBuf,
}

impl GrainLibrary {
    /// Returns the library in a directory.
    pub fn new(directory: PathBuf) -> Self {
        GrainLibrary { directory }
    }

    /// Returns the directory of a grain, which may not exist.
    pub fn directory_of(&self, app_id: &AppId, name: &str) -> PathBuf {
        self.directory.join(app_id.to_string()).join(name)
    }

    /// Lists all grains, by app id and name.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn list(&self) -> Result<Vec<StoredGrain>, LibraryError> {
        let apps = names(&self.directory)?.into_iter().filter_map(|name| {
            let id: AppId = name.parse().ok()?;
            (id.to_string() == name).then_some(id)
        });
        apps.map(|id| self.of_app(&id)).collect::<Result<Vec<_>, _>>().map(|lists| lists.concat())
    }

    /// Lists the grains of an app, by name.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn of_app(&self, app_id: &AppId) -> Result<Vec<StoredGrain>, LibraryError> {
        let names = names(&self.directory.join(app_id.to_string()))?;
        let there = names.into_iter().filter(|name| is_name(name)).map(|name| {
            let directory = self.directory_of(app_id, &name);
            let meta = read_meta(&directory);
            StoredGrain { app_id: *app_id, name, directory, meta }
        });
        Ok(there.filter(|stored| stored.meta.is_some() || stored.directory.join("var").is_dir()).collect())
    }

    /// Creates a grain without data. An empty title becomes the noun with a number.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn create(
        &self,
        app_id: &AppId,
        app: &str,
        noun: &str,
        title: &str,
    ) -> Result<StoredGrain, LibraryError> {
        let parent = self.directory.join(app_id.to_string());
        make_closed(&parent).at("make", &parent)?;
        let stem: String =
            noun.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).take(30).collect();
        let stem = if stem.is_empty() { "grain" } else { &stem };
        for number in 1_u64.. {
            let name = format!("{stem}-{number}");
            let directory = parent.join(&name);
            match DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => {
                    let title =
                        if title.trim().is_empty() { format!("{noun} {number}") } else { title.to_owned() };
                    let created = Some(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
                    let meta =
                        GrainMeta { title: cut(&title), app: app.to_owned(), host: random_host()?, created };
                    let mut stored = StoredGrain { app_id: *app_id, name, directory, meta: None };
                    stored.write(meta)?;
                    return Ok(stored);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(PathError::new("make", &directory, error).into()),
            }
        }
        unreachable!("numbers do not end before directories do")
    }
}

impl StoredGrain {
    /// Returns its title; its name if it has none.
    pub fn title(&self) -> &str {
        self.meta.as_ref().map_or(&self.name, |meta| &meta.title)
    }

    /// Returns the name of its host. A grain without one gets one now.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn host(&mut self, app: &str) -> Result<String, LibraryError> {
        if let Some(meta) = &self.meta {
            return Ok(meta.host.clone());
        }
        let host = random_host()?;
        let meta =
            GrainMeta { title: self.name.clone(), app: app.to_owned(), host: host.clone(), created: None };
        self.write(meta)?;
        Ok(host)
    }

    /// Gives it another title.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn rename(&mut self, title: &str) -> Result<(), LibraryError> {
        match self.meta.clone() {
            Some(meta) if !title.trim().is_empty() => self.write(GrainMeta { title: cut(title), ..meta }),
            _ => Ok(()),
        }
    }

    /// Replaces `grain.json` atomically.
    fn write(&mut self, meta: GrainMeta) -> Result<(), LibraryError> {
        let path = self.directory.join("grain.json");
        let text = serde_json::to_string_pretty(&meta).expect("texts become JSON") + "\n";
        let (mut file, _cleanup) = atomic::file(&self.directory, ".grain.json-").at("write", &path)?;
        file.as_file().set_permissions(Permissions::from_mode(0o600)).at("write", &path)?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).at("write", &path)?;
        file.persist(&path).map_err(|error| error.error).at("write", &path)?;
        self.meta = Some(meta);
        Ok(())
    }

    /// Returns whether a process runs it.
    pub fn is_running(&self) -> bool {
        let lock = files::open(self.directory.join("lock"));
        lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// Returns how much its data take on disk.
    pub fn size(&self) -> deep::Size {
        deep::size(&self.directory.join("var"))
    }

    /// Returns how much its data take on disk, as far as a short look shows, for a page that is refreshed
    /// often.
    pub fn size_at_a_glance(&self) -> deep::Size {
        deep::size_within(&self.directory.join("var"), GLANCE)
    }

    /// Removes it with its data.
    ///
    /// # Errors
    /// [`LibraryError::Lock`] while it runs.
    pub fn remove(self) -> Result<(), LibraryError> {
        let _lock = lock(&self.directory)?;
        // The new name is not the name of a grain, so the remains after a kill are not listed.
        let aside = self.directory.with_file_name(format!(".removed-{}", self.name));
        if aside.exists() {
            deep::remove_tree(&aside).at("remove", &aside)?;
        }
        files::rename(&self.directory, &aside)?;
        Ok(deep::remove_tree(&aside).at("remove", &aside)?)
    }
}

/// Makes the directory of all grains, of an app's grains or of one grain, with its parents: mode 0700
/// whatever the umask, since a grain may make files in it that every user could run or write. An existing
/// directory of this user is closed too, and so are its parents that belong to the library.
///
/// # Errors
/// The error of the kernel.
pub(crate) fn make_closed(directory: &Path) -> io::Result<()> {
    closed::make(directory)?;
    let is_app = |path: &&Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.parse::<AppId>().is_ok())
    };
    let app = directory.ancestors().take(2).find(is_app);
    [Some(directory), app, app.and_then(Path::parent)].into_iter().flatten().try_for_each(closed::close)
}

/// Closes the files beside a grain's data to other users: older versions made them by the umask. Does so only
/// in a closed directory ([`make_closed`]), so that no other user can put a link there meanwhile.
pub(crate) fn close_files(directory: &Path) {
    let is_closed = fs::symlink_metadata(directory).is_ok_and(|found| {
        found.is_dir() && found.mode() & 0o077 == 0 && found.uid() == rustix::process::geteuid().as_raw()
    });
    if !is_closed {
        return;
    }
    for name in ["lock", "log", "log.1", "misses", "grain.json"] {
        let path = directory.join(name);
        let open = |found: &fs::Metadata| found.is_file() && found.mode() & 0o077 != 0;
        if let Some(found) = fs::symlink_metadata(&path).ok().filter(open) {
            // A file of another user stays as it is.
            let _ = files::set_permissions(&path, Permissions::from_mode(found.mode() & 0o700));
        }
    }
}

/// Returns whether a text can be the name of a grain: letters, digits, `-`, `_` and `.`, and no `.` at the
/// beginning.
pub fn is_name(name: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= 200 && !name.starts_with('.') && name.bytes().all(is_good)
}

/// Returns 32 random hex digits, which are a secret.
///
/// # Errors
/// The error of the kernel.
pub fn random_text() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random_host() -> Result<String, LibraryError> {
    random_text().map(|text| format!("g-{text}")).map_err(LibraryError::Random)
}

fn cut(title: &str) -> String {
    let printable = title.trim().chars().filter(|letter| !letter.is_control());
    printable.take(TITLE_LIMIT).collect()
}

/// Reads `grain.json`. Returns `None` if it is missing or damaged: the grain then looks like one of `tinyroot
/// run`.
fn read_meta(directory: &Path) -> Option<GrainMeta> {
    let meta: GrainMeta = serde_json::from_slice(&files::read(directory.join("grain.json")).ok()?).ok()?;
    let digits = meta.host.strip_prefix("g-")?;
    (digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        .then_some(meta)
}

/// Lists the names in a directory, sorted; none if it does not exist.
fn names(directory: &Path) -> Result<Vec<String>, LibraryError> {
    let entries = match files::list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let names = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(grains: &GrainLibrary) -> Vec<(String, String)> {
        let list = grains.list().expect("lists");
        list.iter().map(|stored| (stored.name.clone(), stored.title().to_owned())).collect()
    }

    fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
        rows.iter().map(|(name, title)| ((*name).to_owned(), (*title).to_owned())).collect()
    }

    #[test]
    fn grains_are_closed_to_others_and_older_ones_are_closed() {
        let place = tempfile::tempdir().expect("a directory");
        let (grains, id) = (GrainLibrary::new(place.path().join("grains")), AppId([7; 32]));
        let one = grains.create(&id, "tea", "note", "").expect("makes");
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o7777;
        let around = mode(place.path());
        let places = [place.path().join("grains"), one.directory.join(".."), one.directory.clone()];
        assert_eq!(places.each_ref().map(|place| mode(place)), [0o700; 3]);
        assert_eq!(mode(&one.directory.join("grain.json")), 0o600);
        for place in &places {
            fs::set_permissions(place, Permissions::from_mode(0o755)).expect("opens it");
        }
        drop(lock(&one.directory).expect("locks"));
        assert_eq!(places.each_ref().map(|place| mode(place)), [0o700; 3]);
        let files = ["lock", "log", "log.1", "misses", "grain.json"].map(|name| one.directory.join(name));
        assert_eq!(mode(&files[0]), 0o600);
        for file in &files {
            fs::write(file, "").expect("writes");
            fs::set_permissions(file, Permissions::from_mode(0o644)).expect("opens it");
        }
        let (data, link) = (one.directory.join("var"), place.path().join("elsewhere"));
        fs::create_dir(&data).expect("makes");
        fs::set_permissions(&data, Permissions::from_mode(0o755)).expect("opens it");
        fs::rename(&files[1], &link).expect("moves");
        std::os::unix::fs::symlink(&link, &files[1]).expect("links");
        drop(lock(&one.directory).expect("locks"));
        assert_eq!([0, 2, 3, 4].map(|at| mode(&files[at])), [0o600; 4]);
        assert_eq!(
            [mode(&link), mode(&data)],
            [0o644, 0o755],
            "neither what is linked nor what is the grain's"
        );
        assert_eq!(mode(place.path()), around, "what is not of grains stays as it is");
        let shared = place.path().join("tmp");
        fs::create_dir(&shared).expect("makes");
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).expect("opens it");
        drop(lock(&shared).expect("locks"));
        assert_eq!(mode(&shared), 0o1777);
    }

    #[test]
    fn grains_are_made_named_and_removed() {
        let place = tempfile::tempdir().expect("a directory");
        let grains = GrainLibrary::new(place.path().join("grains"));
        assert_eq!(titles(&grains), []);
        let id = AppId([7; 32]);
        let one = grains.create(&id, "Tea", "pot", "").expect("makes");
        let mut two = grains.create(&id, "Tea", "pot", " Green\n <b> ").expect("makes");
        fs::create_dir_all(grains.directory_of(&id, "default/var")).expect("makes");
        fs::create_dir_all(grains.directory_of(&id, ".hidden/var")).expect("makes");
        fs::create_dir_all(grains.directory_of(&id, "nothing")).expect("makes");
        fs::create_dir_all(place.path().join("grains/no app")).expect("makes");
        let all = [("default", "default"), ("pot-1", "pot 1"), ("pot-2", "Green <b>")];
        assert_eq!(titles(&grains), pairs(&all));
        let hosts = [&one, &two].map(|stored| stored.meta.clone().expect("is written").host);
        assert_ne!(hosts[0], hosts[1]);
        two.rename("Black").expect("writes");
        two.rename(" ").expect("does nothing");
        let lock = lock(&one.directory).expect("locks");
        assert!(one.is_running() && !two.is_running());
        let error = one.clone().remove().expect_err("runs");
        assert!(error.to_string().ends_with("is running already"), "{error}");
        drop(lock);
        one.remove().expect("removes");
        assert_eq!(titles(&grains), pairs(&[("default", "default"), ("pot-2", "Black")]));
        let mut default = grains.of_app(&id).expect("lists").remove(0);
        let host = default.host("Tea").expect("is given");
        assert_eq!(default.host("Tea").expect("stays"), host);
        assert_eq!(grains.of_app(&id).expect("lists")[0].meta, default.meta);
    }

    #[test]
    fn a_description_that_cannot_be_used_is_none() {
        let place = tempfile::tempdir().expect("a directory");
        let host = "g-0123456789abcdef0123456789abcdef";
        for (text, is_good) in [
            (format!(r#"{{"title":"a","app":"b","host":"{host}"}}"#), true),
            (r#"{"title":"a","app":"b","host":"evil.example"}"#.into(), false),
            (format!(r#"{{"title":"a","host":"{host}"#), false),
        ] {
            fs::write(place.path().join("grain.json"), &text).expect("writes");
            assert_eq!(read_meta(place.path()).is_some(), is_good, "{text}");
        }
    }

    #[test]
    fn names_stay_in_their_directory() {
        for (name, is_good) in
            [("a", true), ("A-1_b.c", true), ("", false), (".", false), ("..", false), ("a/b", false)]
        {
            assert_eq!(is_name(name), is_good, "{name}");
        }
    }
}
