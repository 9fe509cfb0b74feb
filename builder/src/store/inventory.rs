//! The contents of a cache: listed, trimmed, checked.
//!
//! The unit is an entry: a download, an index, a note, or a bundle with its pack. When an entry was last used
//! is the time of its file, which [`Store::used`] moves forward: access times are off on many machines, and a
//! cache that was restored has none. A file without a form of ours ([`form`]) is not an entry and stays.
//! Entries are removed one by one, the bundle before its pack, so a kill leaves the cache whole.

mod check;
mod trim;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

pub use check::Checked;
pub use trim::Trimmed;

use super::{DIRECTORIES, Store, StoreError, UNPACKED_DEB, bundle, form, sealed::SEALED};
use crate::{error::At as _, sys::path::open_regular};

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

/// Returns how long ago something was, in seconds.
pub fn age_s(used_s: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    now.saturating_sub(u64::try_from(used_s).unwrap_or(0))
}

#[cfg(test)]
mod tests;
