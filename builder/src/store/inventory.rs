//! The contents of a cache: listed, trimmed, checked.
//!
//! The unit is an entry: a download, an index, a note, or a bundle with its pack. When an entry was last used
//! is the time of its file, which [`Store::used`] moves forward: access times are off on many machines, and a
//! cache that was restored has none. A file without a form of ours ([`form`]) is not an entry and stays.
//! Entries are removed one by one, the bundle before its pack, so a kill leaves the cache whole.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::{AtFlags, CWD, FlockOperation, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, flock};

use super::{
    DIRECTORIES, Store, StoreError, Turn, UNPACKED_DEB, bundle, form,
    pack::{self, Pack},
    sealed::SEALED,
};
use crate::{error::At as _, formats::checksum::Checksum, sys::path::open_regular};

/// How exactly it is known when an entry was last used. It spares a system call for most uses.
const STAMP: Duration = Duration::from_secs(3600);

/// The kinds of entries, in the order of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Indexes and Release files of archives.
    Indexes,
    /// .debs.
    Downloads,
    /// Tarballs of npm packages.
    NpmDownloads,
    /// Manifests and blobs of images at registries.
    ImageDownloads,
    /// Unpacked .debs.
    UnpackedPackages,
    /// Unpacked npm packages.
    NpmPackages,
    /// Layers of maintainer scripts.
    ConfiguredRoots,
    /// Compressed parts of artifacts.
    CompressedBlocks,
    /// Artifacts that were opened.
    OpenedArtifacts,
    /// The outcome of work: proofs and builds that need not be done again.
    Notes,
    /// Entries of a later version of tinyroot.
    Other,
    /// Contents that no entry names, such as a killed process leaves.
    Remains,
}

impl Kind {
    fn of_bundle(name: &str) -> Self {
        match name {
            UNPACKED_DEB => Kind::UnpackedPackages,
            "npm" => Kind::NpmPackages,
            "layer" => Kind::ConfiguredRoots,
            "xz-block" => Kind::CompressedBlocks,
            "spk" => Kind::OpenedArtifacts,
            _ => Kind::Other,
        }
    }

    /// Returns the name of this kind.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Indexes => "package indexes",
            Kind::Downloads => "downloaded packages",
            Kind::NpmDownloads => "downloaded npm packages",
            Kind::ImageDownloads => "downloaded images",
            Kind::UnpackedPackages => "unpacked packages",
            Kind::NpmPackages => "unpacked npm packages",
            Kind::ConfiguredRoots => "configured roots",
            Kind::CompressedBlocks => "compressed blocks",
            Kind::OpenedArtifacts => "opened artifacts",
            Kind::Notes => "notes of builds and proofs",
            Kind::Other => "other entries",
            Kind::Remains => "remains",
        }
    }
}

/// One entry of the cache.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Its file; of a bundle the one that names the pack.
    pub path: PathBuf,
    /// A bundle's pack.
    pack: Option<PathBuf>,
    /// The length of its files.
    pub size_bytes: u64,
    /// When it was last used or made, to the hour, in seconds since 1970.
    pub used_s: i64,
}

/// How much of something there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Amount {
    /// How many entries.
    pub count: usize,
    /// Their length.
    pub size_bytes: u64,
    /// When one of them was last used, in seconds since 1970.
    pub last_used_s: i64,
}

impl Amount {
    fn add(&mut self, entry: &Entry) {
        self.count += 1;
        self.size_bytes += entry.size_bytes;
        self.last_used_s = self.last_used_s.max(entry.used_s);
    }
}

/// Returns how much there is of each kind.
pub fn by_kind<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> BTreeMap<Kind, Amount> {
    let mut out: BTreeMap<Kind, Amount> = BTreeMap::new();
    for entry in entries {
        out.entry(entry.kind).or_default().add(entry);
    }
    out
}

/// The result of [`Store::trim`].
#[derive(Clone, Debug, Default)]
pub struct Trimmed {
    /// The removed entries.
    pub removed: Vec<Entry>,
    /// The length of the entries that stayed.
    pub kept_bytes: u64,
    /// The length of entries that were not removed since they are in use.
    pub in_use_bytes: u64,
}

/// The result of [`Store::check`].
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// How many entries were looked at.
    pub count: usize,
    /// Files that changed since they were written or fetched.
    pub damaged: Vec<PathBuf>,
    /// Files with another seal: of another user or machine, or changed since.
    pub foreign: Vec<PathBuf>,
    /// Files that are not tinyroot's, and stay.
    pub others: Vec<PathBuf>,
}

impl Store {
    /// Notes that a file of the cache is used.
    pub(crate) fn used(&self, path: &Path, found: &Metadata) {
        let now = SystemTime::now();
        let age = found.modified().map(|then| now.duration_since(then));
        // One from the future would never be trimmed.
        if matches!(age, Ok(Ok(age)) if age < STAMP) {
            return;
        }
        let time = |nanoseconds| Timespec { tv_sec: 0, tv_nsec: nanoseconds };
        let times = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
        // A cache that cannot be written to is not trimmed either.
        let _ = rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
    }

    /// Fails if there is a cache of which not all can be listed.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn check_listable(&self) -> Result<(), StoreError> {
        let root = self.cache_root();
        for path in DIRECTORIES.iter().map(|name| root.join(name)).chain([root.to_path_buf()]) {
            match fs::read_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                listed => drop(listed.at("list", &path)?),
            }
        }
        Ok(())
    }

    /// Returns all entries, by kind and path. Entries that vanish meanwhile are left out.
    pub fn entries(&self) -> Vec<Entry> {
        self.all().0
    }

    /// Returns all entries, and other files that tinyroot did not make.
    fn all(&self) -> (Vec<Entry>, Vec<PathBuf>) {
        let (root, mut out, mut others) = (self.cache_root(), Vec::new(), Vec::new());
        let is_ours = |path: &Path, found: &Metadata| {
            found.is_file() && path.strip_prefix(root).is_ok_and(|name| form::is_ours(root, name))
        };
        for (directory, kind) in [
            ("indexes", Kind::Indexes),
            ("debs", Kind::Downloads),
            ("npm", Kind::NpmDownloads),
            ("images", Kind::ImageDownloads),
            ("notes", Kind::Notes),
        ] {
            files(&root.join(directory), &mut |path, found| match is_ours(&path, &found) {
                true => out.push(entry(kind, path, found)),
                false => others.push(path),
            });
        }
        let mut packs = HashMap::new();
        files(&root.join("packs"), &mut |path, found| {
            packs.insert(path, found);
        });
        let mut named = HashSet::new();
        files(&root.join("bundles"), &mut |path, found| {
            if !is_ours(&path, &found) {
                return others.push(path);
            }
            let kind = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            let mut bundle = entry(Kind::of_bundle(kind.unwrap_or_default()), path, found);
            let pack = pack_of(&bundle.path).map(|name| root.join("packs").join(name));
            if let Some((pack, found)) = pack.and_then(|pack| packs.get_key_value(&pack)) {
                bundle.size_bytes += found.len();
                bundle.pack = Some(pack.clone());
                named.insert(pack.clone());
            }
            out.push(bundle);
        });
        for (path, found) in packs.into_iter().filter(|(path, _)| !named.contains(path)) {
            match is_ours(&path, &found) {
                true => out.push(entry(Kind::Remains, path, found)),
                false => others.push(path),
            }
        }
        out.sort_by(|a, b| (a.kind, &a.path).cmp(&(b.kind, &b.path)));
        others.sort();
        (out, others)
    }

    /// Removes remains, and then what was not used for the longest time, until the rest has at most so many
    /// bytes. What other processes use stays; for those that rely on downloads it waits, and `on_wait` is
    /// called.
    pub fn trim<W>(&self, keep_bytes: u64, on_wait: impl FnOnce() -> W) -> Trimmed {
        let _alone: Turn = self.may_remove_downloads(on_wait);
        let mut entries = self.entries();
        entries.sort_by(|a, b| {
            let key = |entry: &Entry| (entry.kind != Kind::Remains, entry.used_s);
            key(a).cmp(&key(b)).then_with(|| a.path.cmp(&b.path))
        });
        let total: u64 = entries.iter().map(|entry| entry.size_bytes).sum();
        let mut out = Trimmed { kept_bytes: total, ..Trimmed::default() };
        for entry in entries {
            if entry.kind != Kind::Remains && out.kept_bytes <= keep_bytes {
                break;
            }
            if remove(&entry) {
                out.kept_bytes -= entry.size_bytes;
                out.removed.push(entry);
            } else {
                out.in_use_bytes += entry.size_bytes;
            }
        }
        out
    }

    /// Reads everything and compares it with its digest or seal. Damaged entries are removed, as everywhere.
    /// `is_whole` looks at an index; `on_entry` is called after each entry.
    pub fn check(&self, is_whole: impl Fn(&Path) -> bool, on_entry: impl Fn(&Entry)) -> Checked {
        let mut out = Checked::default();
        self.take_damaged();
        let (entries, others) = self.all();
        out.others = others;
        for entry in entries {
            match entry.kind {
                Kind::Downloads | Kind::NpmDownloads | Kind::ImageDownloads => {
                    self.check_download(&entry.path)
                }
                Kind::Indexes if is_whole(&entry.path) => {}
                Kind::Remains => {}
                _ if self.is_own(&entry.path) => self.check_pack(&entry.path),
                _ if entry.path.exists() => out.foreign.push(entry.path.clone()),
                _ => {}
            }
            out.count += 1;
            on_entry(&entry);
        }
        out.damaged = self.take_damaged();
        // The caller reports them.
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).clear();
        out
    }

    fn check_download(&self, path: &Path) {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let checksum: Option<Checksum> = stem.rsplit('-').next().and_then(|hex| hex.parse().ok());
        let is_whole = checksum.zip(open_regular(path).ok()).map(|(checksum, file)| checksum.is_of(file));
        if !matches!(is_whole, Some(Ok(true))) && fs::remove_file(path).is_ok() {
            self.note_damaged(path);
        }
    }

    /// Checks the pack of a bundle, if it is one; the pack reports its faults.
    fn check_pack(&self, path: &Path) {
        if !path.starts_with(self.root.join("bundles")) {
            return;
        }
        let pack = || {
            let bytes = self.read_sealed(path)?;
            let text = bundle::Text::parse(std::str::from_utf8(&bytes).ok()?)?;
            let place = self.root.join("packs").join(text.name);
            let file = open_regular(&place).ok()?;
            Pack::new((place, path.into()), file, text.size_bytes, text.chunks()?, self.damages())
        };
        match pack() {
            Some(pack) => drop(pack.check()),
            None if self.remove_foreign(path).is_ok() => self.note_damaged(path),
            None => {}
        }
    }

    /// Removes an entry that [`Store::check`] named; of a bundle the pack, too, unless it is in use.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn remove_foreign(&self, path: &Path) -> Result<(), StoreError> {
        let pack = pack_of(path).map(|name| self.root.join("packs").join(name));
        fs::remove_file(path).at("remove", path)?;
        if let Some((pack, file)) = pack.and_then(|pack| open_regular(&pack).ok().map(|file| (pack, file))) {
            pack::remove_if_unused(&pack, &file);
        }
        Ok(())
    }

    fn is_own(&self, path: &Path) -> bool {
        self.read_kept(path).is_ok_and(|kept| kept.is_ours)
    }
}

/// Calls a function for each file below a directory.
fn files(directory: &Path, visit: &mut dyn FnMut(PathBuf, Metadata)) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => files(&path, visit),
            Ok(found) => visit(path, found),
            Err(_) => {}
        }
    }
}

fn entry(kind: Kind, path: PathBuf, found: Metadata) -> Entry {
    Entry { kind, path, pack: None, size_bytes: found.len(), used_s: found.mtime() }
}

/// Returns the name of the pack that a bundle names, under any seal. It is one that this very bundle can
/// have.
fn pack_of(path: &Path) -> Option<String> {
    let mut start = Vec::new();
    open_regular(path).ok()?.take(1024).read_to_end(&mut start).ok()?;
    let text = start.strip_prefix(SEALED)?.get(65..)?.strip_prefix(b"pack ")?;
    let name = text.split(|byte| *byte == b' ').next()?;
    let name = std::str::from_utf8(name).ok().filter(|name| bundle::is_pack_name(name))?;
    let [key, kind] = [path.file_name(), path.parent()?.file_name()].map(|part| part?.to_str());
    name.starts_with(&format!("{}-{}-", kind?, key?)).then(|| name.to_owned())
}

/// Removes an entry; returns false if it is in use.
fn remove(entry: &Entry) -> bool {
    let Some(pack) = entry.pack.as_deref().or((entry.kind == Kind::Remains).then_some(&entry.path)) else {
        return fs::remove_file(&entry.path).is_ok();
    };
    // Held until both are gone.
    let held: io::Result<File> = open_regular(pack);
    if let Ok(file) = &held
        && flock(file, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::AGAIN)
    {
        return false;
    }
    let is_gone = |path: &Path| match fs::remove_file(path) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(()) => true,
    };
    is_gone(&entry.path) && is_gone(pack)
}

/// Returns how long ago something was, in seconds.
pub fn age_s(used_s: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    now.saturating_sub(u64::try_from(used_s).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::FileExt as _};

    use super::*;
    use crate::{digest::Digest, tree::Tree};

    /// Makes an entry that was last used so many hours ago; returns its file.
    fn made(store: &Store, key: &str, hours: u64) -> PathBuf {
        let mut bundle = store.begin_bundle("deb", key).expect("begins");
        bundle.write_all(&[7; 100_000]).expect("writes");
        drop(bundle.finish(&Tree::new()).expect("finishes"));
        let path = store.root().join("bundles/deb").join(key);
        age(&path, hours);
        path
    }

    fn age(path: &Path, hours: u64) {
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        File::options().write(true).open(path).expect("opens").set_modified(then).expect("sets");
    }

    fn download(store: &Store, bytes: &[u8], hours: u64) -> PathBuf {
        let path = store.deb_path(&Checksum::Sha256(Digest::of(bytes)));
        store.write_file(&path, bytes).expect("writes");
        age(&path, hours);
        path
    }

    fn total(store: &Store) -> u64 {
        store.entries().iter().map(|entry| entry.size_bytes).sum()
    }

    #[test]
    fn what_was_used_last_stays_the_longest() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let old = made(&store, "old", 50);
        let deb = download(&store, &[1; 50_000], 40);
        let used = made(&store, "used", 60);
        let new = made(&store, "new", 30);
        store.load_bundle("deb", "used").expect("is there");
        let all = total(&store);
        assert_eq!(store.trim(all, || ()).removed.len(), 0);
        let trimmed = store.trim(all - 1, || ());
        assert_eq!(trimmed.removed.iter().map(|entry| &entry.path).collect::<Vec<_>>(), [&old]);
        assert_eq!(trimmed.kept_bytes, total(&store));
        store.trim(201_000, || ());
        assert!(!deb.exists() && new.exists() && used.exists());
        store.trim(150_000, || ());
        assert!(!new.exists() && used.exists());
        store.trim(0, || ());
        assert_eq!((total(&store), fs::read_dir(store.root().join("packs")).expect("lists").count()), (0, 0));
    }

    #[test]
    fn what_is_in_use_stays_and_what_no_entry_names_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let [store, other] = [0, 1].map(|_| Store::open(directory.path()).expect("opens"));
        made(&store, "k", 9);
        let (_, pack) = store.load_bundle("deb", "k").expect("is there");
        // As a kill between a pack and its bundle leaves it, and one between a bundle and its pack.
        let key = Digest::of(b"l");
        let remains = [0, 1].map(|number| store.root().join(format!("packs/deb-{key}-0abcd{number}")));
        remains.iter().for_each(|path| fs::write(path, "left").expect("writes"));
        let unfinished = store.begin_bundle("deb", "m").expect("begins");
        let kinds = by_kind(&other.entries());
        assert_eq!((kinds[&Kind::Remains].count, kinds[&Kind::UnpackedPackages].count), (2, 1));
        let trimmed = other.trim(u64::MAX, || ());
        assert!(remains.iter().all(|path| !path.exists()) && trimmed.removed.len() == 2);
        let trimmed = other.trim(0, || ());
        assert!(trimmed.removed.is_empty() && trimmed.in_use_bytes > 100_000);
        assert_eq!(trimmed.in_use_bytes, trimmed.kept_bytes);
        pack.check().expect("is whole");
        unfinished.finish(&Tree::new()).expect("is not disturbed");
        assert!(other.load_bundle("deb", "m").is_some() && other.load_bundle("deb", "k").is_some());
    }

    #[test]
    fn trimming_waits_for_those_who_rely_on_downloads() {
        let directory = tempfile::tempdir().expect("a directory");
        let [store, other] = [0, 1].map(|_| Store::open(directory.path()).expect("opens"));
        let deb = download(&store, b"tea", 1);
        let relying = store.rely_on_downloads(|| ());
        let (sender, waits) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| other.trim(0, || sender.send(()).expect("is heard")));
            waits.recv().expect("it waits");
            assert!(deb.exists());
            drop(relying);
        });
        assert!(!deb.exists());
    }

    #[test]
    fn what_is_damaged_is_found_wherever_it_is_and_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let check = |store: &Store| store.check(|_| false, |_| ());
        let flip = |path: &Path, at| {
            let file = File::options().write(true).open(path).expect("opens");
            file.write_all_at(b"X", at).expect("writes");
        };
        let deb = download(&store, b"tea", 1);
        let bundle = made(&store, "k", 1);
        store.note("build", "k", b"done").expect("notes");
        let checked = check(&store);
        assert_eq!((checked.count, checked.damaged.len(), checked.foreign.len()), (3, 0, 0));
        flip(&deb, 1);
        let pack = fs::read_dir(store.root().join("packs")).expect("lists").next().expect("is there");
        let pack = pack.expect("lists").path();
        flip(&pack, 70_000);
        assert_eq!(check(&store).damaged, [deb.clone(), pack.clone()]);
        assert!(!deb.exists() && !pack.exists() && !bundle.exists());
        // A seal that does not hold says nothing of who is to blame.
        let note = store.root().join("notes/build/k");
        flip(&note, 90);
        let checked = check(&store);
        assert_eq!((checked.damaged, &checked.foreign[..]), (vec![], std::slice::from_ref(&note)));
        store.remove_foreign(&note).expect("removes");
        assert_eq!(check(&store).count, 0);
    }

    #[test]
    fn what_is_not_of_tinyroot_is_told_and_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let others = [
            "bundles/deb/mine",
            "debs/tea_1_amd64.deb",
            "debs/sub/mine",
            "indexes/mine",
            "notes/build/todo",
            "notes/todo",
            "npm/tea-1.0.0.tgz",
            "packs/deb-tea-notes",
            "packs/tea.pack",
        ];
        let others = others.map(|name| directory.path().join(name));
        for path in &others {
            fs::create_dir_all(path.parent().expect("has one")).expect("makes");
            fs::write(path, "mine").expect("writes");
        }
        let deb = download(&store, &[1; 50_000], 40);
        made(&store, "k", 9);
        let mut found = store.check(|_| false, |_| ());
        found.others.sort_by_key(|path| others.iter().position(|other| other == path));
        assert_eq!((found.count, found.damaged.len(), found.foreign.len()), (2, 0, 0));
        assert_eq!(found.others, others);
        let trimmed = store.trim(0, || ());
        assert_eq!((trimmed.removed.len(), trimmed.kept_bytes), (2, 0));
        assert!(
            !deb.exists() && others.iter().all(|path| fs::read(path).is_ok_and(|bytes| bytes == b"mine"))
        );
    }

    #[test]
    fn an_entry_of_another_seal_goes_with_its_pack() {
        let directory = tempfile::tempdir().expect("a directory");
        let [store, other] = ["a", "b"].map(|letter| {
            let seal = crate::seal::Seal::of_text(&letter.repeat(40)).expect("is long");
            Store::open_sealed(directory.path(), seal).expect("opens")
        });
        made(&store, "k", 9);
        let found = other.check(|_| false, |_| ());
        assert_eq!(found.foreign.len(), 1);
        found.foreign.iter().for_each(|path| other.remove_foreign(path).expect("removes"));
        assert_eq!(other.entries().len(), 0);
        assert_eq!(fs::read_dir(directory.path().join("packs")).expect("lists").count(), 0);
    }

    #[test]
    fn a_use_is_noted_once_an_hour_and_one_from_the_future_is_put_right() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        store.note("build", "k", b"done").expect("notes");
        let path = store.root().join("notes/build/k");
        let age = || age_s(fs::metadata(&path).expect("is there").mtime());
        self::age(&path, 5);
        store.noted("build", "k").expect("is there");
        assert!(age() < 60);
        let then = SystemTime::now() - Duration::from_secs(1800);
        let set = |then| {
            File::options().write(true).open(&path).expect("opens").set_modified(then).expect("sets");
        };
        set(then);
        store.noted("build", "k").expect("is there");
        assert!(age() >= 1800);
        set(SystemTime::now() + Duration::from_secs(1 << 20));
        store.noted("build", "k").expect("is there");
        assert!(fs::metadata(&path).expect("is there").modified().expect("is known") <= SystemTime::now());
    }
}
