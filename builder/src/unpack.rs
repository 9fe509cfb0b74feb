//! .debs as trees: each decompressed once, ever, and kept uncompressed in the store.
//!
//! Comes in: fetched .debs. Goes out: for each its control file, the tree of its files, and
//! the path of the same .deb without compression, which the root's own dpkg unpacks in a fraction
//! of the time. An entry of the store under a .deb's digest was made from exactly these bytes, by us;
//! damaged or hostile packages leave nothing there. A .deb is digested when it is unpacked, whatever its
//! length. No script is run and no file is written outside the store.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    io::{self, BufReader, Read, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use crate::{
    digest::{Digest, Hashed},
    error::{At as _, Hint, PathError},
    fetch::{Fetched, FetchedDeb},
    files,
    formats::{
        checksum::Checksum,
        control::Control,
        deb::{self, Deb, DebError, Part},
        deb822::Fault,
        tar_in::{self, Dialect, TarError},
    },
    lock::LockedPackage,
    progress::{Progress, Task, Unit},
    store::{BundleWriter, Pack, PackedBlob, Store, StoreError, UNPACKED_DEB},
    threads,
    tree::{Kind, Tree, TreePath},
};

/// The bundles that hold unpacked packages, by the digest of the .deb.
const BUNDLE: &str = UNPACKED_DEB;

/// Where control files stand in a bundle's tree: `dpkg-deb --build` keeps this name for itself too.
const CONTROL: &[u8] = b"DEBIAN";

/// The limit of all control files together; the largest of Debian have some 10 MB of checksums.
const CONTROL_BYTES: u64 = 64 << 20;
/// The limit of the control file itself.
const STANZA_BYTES: u64 = 1 << 20;

/// A .deb that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[error("cannot unpack {name} {version}")]
pub struct UnpackError {
    /// The package.
    pub name: String,
    /// Its locked version.
    pub version: String,
    /// The fault.
    pub source: UnpackFault,
}

impl Hint for UnpackError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        self.source.hint()
    }
}

const AGAIN: &str = "; it was removed, so that the next run fetches it again";

/// A fault of a .deb.
#[derive(Debug, thiserror::Error)]
pub enum UnpackFault {
    /// The downloaded file cannot be read.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The downloaded file is not the one that the lock names.
    #[error("{} does not have the locked digest{}\n  expected sha256:{expected}\n  found    sha256:{found}", path.display(), if *removed { AGAIN } else { "" })]
    Digest {
        /// The file.
        path: PathBuf,
        /// The locked one.
        expected: Box<Digest>,
        /// The one found.
        found: Digest,
        /// Whether it was the store's own and is gone now.
        removed: bool,
    },
    /// The file is not a .deb.
    #[error("its .deb is damaged")]
    Deb(#[from] DebError),
    /// A tar in it is damaged or hostile.
    #[error("its {part} is refused")]
    Tar {
        /// Which one.
        part: Part,
        /// Why.
        source: TarError,
    },
    /// It has no control file, or too long a one.
    #[error("its control file is {0}")]
    NoControl(&'static str),
    /// Its control file cannot be read.
    #[error("its control file is damaged")]
    Control(#[source] Fault),
    /// Its control file names another package than the lock.
    #[error("its control file says {field} `{found}`, the lock `{locked}`")]
    Other {
        /// `Package`, `Version` or `Architecture`.
        field: &'static str,
        /// The value in the control file.
        found: String,
        /// The value in the lock.
        locked: String,
    },
    /// It ships files where control files are kept.
    #[error("it ships /DEBIAN, which is the place of control files")]
    ControlPlace,
    /// The disk cannot take it.
    #[error("cannot write it to the cache")]
    Write(#[source] io::Error),
    /// The store cannot take it.
    #[error("cannot keep it in the store")]
    Store(#[from] StoreError),
}

impl Hint for UnpackFault {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            UnpackFault::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// Packages, each with its tree.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// In the order of the lock, which is by name.
    pub packages: Vec<UnpackedPackage>,
}

/// One package.
#[derive(Clone, Debug)]
pub struct UnpackedPackage {
    /// Its entry in the lock.
    pub locked: LockedPackage,
    /// The control file.
    pub control: Control,
    /// The files that it ships, paths as shipped; parents may be missing.
    pub tree: Tree,
    /// The control files by name (`control`, `postinst`, `conffiles` …), without directories.
    pub control_files: BTreeMap<String, Digest>,
    /// Whether a maintainer script speaks of `dpkg-divert`.
    pub diverts: bool,
    /// The .deb, uncompressed.
    pub pack: Pack,
}

impl Unpacked {
    /// Returns a package by name.
    pub fn get(&self, name: &str) -> Option<&UnpackedPackage> {
        self.packages.iter().find(|package| package.locked.name == name)
    }

    /// Returns the digests of all contents that these packages bring along, control files
    /// included. Every store that unpacked the same packages has them.
    pub fn contents(&self) -> HashSet<Digest> {
        let files = self.packages.iter().flat_map(|package| package.tree.iter());
        let files = files.filter_map(|(_, entry)| Some(entry.kind.content()?.0));
        files.chain(self.packages.iter().flat_map(|p| p.control_files.values().copied())).collect()
    }
}

/// Unpacks packages into the store, on all cores, the largest first; those that are there already
/// are only looked up.
///
/// # Errors
/// The largest package that cannot be unpacked, whatever the number of cores.
pub fn unpack(fetched: &Fetched, store: &Store, progress: &Progress) -> Result<Unpacked, UnpackError> {
    let slots: Vec<Mutex<Option<UnpackedPackage>>> = fetched.debs.iter().map(|_| Mutex::new(None)).collect();
    let mut work: Vec<_> = fetched.debs.iter().zip(&slots).collect();
    work.sort_by_key(|(deb, _)| Reverse(deb.package.size_bytes));
    let total = work.iter().map(|(deb, _)| deb.package.size_bytes).sum();
    let task = progress.task("unpacking packages", total, Unit::Bytes);
    let unpacked = threads::try_for_each(&work, |(deb, slot)| {
        task.now(&deb.package.name);
        let package = unpack_one(deb, store, &task).map_err(|source| UnpackError {
            name: deb.package.name.clone(),
            version: deb.package.version.clone(),
            source,
        })?;
        *slot.lock().expect("no panic holds the lock") = Some(package);
        task.add(deb.package.size_bytes);
        Ok(())
    });
    if let Err(UnpackError { source: UnpackFault::Digest { removed: true, .. }, .. }) = &unpacked {
        remove_changed(fetched, store);
    }
    if let Err(UnpackError { source: UnpackFault::Io(error), .. }) = &unpacked
        && error.kind() == io::ErrorKind::NotFound
    {
        // It was not fetched, since it was unpacked, and that was damaged. All that is damaged is found at
        // once.
        let packs = fetched.debs.iter().filter_map(|deb| store.load_bundle(BUNDLE, &deb.digest.to_string()));
        packs.for_each(|(_, pack)| drop(pack.check()));
    }
    unpacked?;
    let unlocked = |slot: Mutex<Option<UnpackedPackage>>| slot.into_inner().expect("no panic holds the lock");
    let packages = slots.into_iter().filter_map(unlocked).collect();
    Ok(Unpacked { packages })
}

/// How often a package is unpacked again whose contents in the store were found changed.
const AGAIN_TIMES: usize = 3;

fn unpack_one(deb: &FetchedDeb, store: &Store, task: &Task) -> Result<UnpackedPackage, UnpackFault> {
    for _ in 0..AGAIN_TIMES {
        match unpack_with(deb, store, task) {
            // It is gone from the store.
            Err(UnpackFault::Store(StoreError::Io(PathError { source, .. })))
                if source.kind() == io::ErrorKind::InvalidData =>
            {
                store.take_refused();
            }
            result => return result,
        }
    }
    unpack_with(deb, store, task)
}

fn unpack_with(deb: &FetchedDeb, store: &Store, task: &Task) -> Result<UnpackedPackage, UnpackFault> {
    let key = deb.digest.to_string();
    let (tree, pack) = match store.load_bundle(BUNDLE, &key) {
        Some(bundle) => bundle,
        None => {
            let name = &deb.package.name;
            let _turn = store.turn(BUNDLE, &key, || {
                task.now(&format!("waiting for another tinyroot that unpacks {name}"))
            });
            match store.load_bundle(BUNDLE, &key) {
                Some(bundle) => bundle,
                None => decompress(&deb.path, &deb.digest, deb.package.size_bytes, Some(&deb.package), store)
                    .map_err(|fault| name_wrong_digest(deb, store, fault))?,
            }
        }
    };
    let (tree, control_files) = split(tree);
    let read = |name: &str| control_files.get(name).map(|digest| store.read(digest)).transpose();
    let control = read("control")?.ok_or(UnpackFault::NoControl("missing"))?;
    let control = Control::parse(&control).map_err(UnpackFault::Control)?;
    check_identity(&control, &deb.package)?;
    let mut diverts = false;
    for script in ["preinst", "postinst"] {
        let text = read(script)?.unwrap_or_default();
        diverts |= text.windows(b"dpkg-divert".len()).any(|window| window == b"dpkg-divert");
    }
    Ok(UnpackedPackage { locked: deb.package.clone(), control, tree, control_files, diverts, pack })
}

/// A .deb on its own, outside of any lock.
#[derive(Clone, Debug)]
pub struct SingleDeb {
    /// The control file.
    pub control: Control,
    /// The files that it ships, paths as shipped; parents may be missing.
    pub tree: Tree,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// The same .deb without compression.
    pack: Pack,
}

/// Unpacks a .deb in a file, whatever package it is. It goes where those of recipes go, so that one that was
/// built with is there already.
///
/// # Errors
/// [`UnpackFault`].
pub fn unpack_file(path: &Path, store: &Store) -> Result<SingleDeb, UnpackFault> {
    let (digest, size_bytes) = Digest::of_reader(files::open(path)?).at("read", path)?;
    let key = digest.to_string();
    let (tree, pack) = match store.load_bundle(BUNDLE, &key) {
        Some(found) => found,
        None => decompress(path, &digest, size_bytes, None, store)?,
    };
    let (tree, control_files) = split(tree);
    let control = control_files.get("control").ok_or(UnpackFault::NoControl("missing"))?;
    let control = Control::parse(&store.read(control)?).map_err(UnpackFault::Control)?;
    Ok(SingleDeb { control, tree, digest, size_bytes, pack })
}

impl SingleDeb {
    /// Returns a reader of its data.tar, decompressed.
    ///
    /// # Errors
    /// A cache that cannot be read.
    pub fn data(&self) -> io::Result<impl Read + use<>> {
        let mut pack = self.pack.whole().reader();
        let place = deb::data_place(&mut pack)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        pack.seek(SeekFrom::Start(place.start))?;
        Ok(BufReader::with_capacity(1 << 18, pack.take(place.end - place.start)))
    }
}

/// Most bytes of a changelog, compressed and decompressed: those of the kernel have a few MB.
const CHANGELOG_BYTES: u64 = 8 << 20;

/// Returns the Debian changelog of a package that was unpacked before; `None` if it was not, or has none of
/// its own. `other` finds the package in whose directory it lies, where its own is a link to that.
pub fn changelog<'l>(
    package: &'l LockedPackage,
    other: impl Fn(&str) -> Option<&'l LockedPackage>,
    store: &Store,
) -> Option<String> {
    let tree = |package: &LockedPackage| {
        let Checksum::Sha256(digest) = package.checksum else { return None };
        Some(store.load_bundle(BUNDLE, &digest.to_string())?.0)
    };
    let files = tree(package)?;
    match documents_of(&files, &package.name) {
        Some(owner) => {
            let owner = other(&owner)?;
            changelog_at(&tree(owner)?, &owner.name, store)
        }
        None => changelog_at(&files, &package.name, store),
    }
}

/// Returns the Debian changelog of a package that a tree has; `None` if it has none of it.
pub fn changelog_in(tree: &Tree, package: &str, store: &Store) -> Option<String> {
    let owner = documents_of(tree, package);
    changelog_at(tree, owner.as_deref().unwrap_or(package), store)
}

/// Returns the package whose documents a package has instead of its own.
fn documents_of(files: &Tree, package: &str) -> Option<String> {
    match &files.get(format!("usr/share/doc/{package}").as_bytes())?.kind {
        Kind::Symlink { target } => {
            let target = std::str::from_utf8(target).ok()?;
            Some(target.rsplit('/').next().unwrap_or(target).to_owned())
        }
        _ => None,
    }
}

/// Reads a changelog where a package has its own.
fn changelog_at(files: &Tree, name: &str, store: &Store) -> Option<String> {
    // A package of Debian's own has no other changelog than Debian's.
    let mut names = ["changelog.Debian.gz", "changelog.gz"].into_iter();
    let found = names.find_map(|file| files.get(format!("usr/share/doc/{name}/{file}").as_bytes()));
    let (digest, size_bytes) = found?.kind.content()?;
    if size_bytes > CHANGELOG_BYTES {
        return None;
    }
    let mut text = Vec::new();
    let compressed = store.read(&digest).ok()?;
    flate2::read::MultiGzDecoder::new(&compressed[..]).take(CHANGELOG_BYTES).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Splits a bundle's tree into the package's files and its control files.
fn split(mut tree: Tree) -> (Tree, BTreeMap<String, Digest>) {
    let mut control_files = BTreeMap::new();
    for (path, entry) in tree.subtree(CONTROL) {
        if let Some((digest, _)) = entry.kind.content() {
            let name = &path.as_bytes()[CONTROL.len() + 1..];
            control_files.insert(String::from_utf8_lossy(name).into_owned(), digest);
        }
    }
    tree.remove_subtree(CONTROL);
    (tree, control_files)
}

fn check_identity(control: &Control, locked: &LockedPackage) -> Result<(), UnpackFault> {
    let pairs = [
        ("Package", control.package(), &locked.name),
        ("Version", control.version(), &locked.version),
        ("Architecture", control.architecture(), &locked.architecture),
    ];
    for (field, found, locked) in pairs {
        if found != locked {
            return Err(UnpackFault::Other { field, found: found.into(), locked: locked.clone() });
        }
    }
    Ok(())
}

/// Writes the .deb without compression as a bundle's pack, and the tree with the position of each file in it.
fn decompress(
    path: &Path,
    digest: &Digest,
    size_bytes: u64,
    locked: Option<&LockedPackage>,
    store: &Store,
) -> Result<(Tree, Pack), UnpackFault> {
    let file = files::open(path)?;
    let mut source = Deb::open(Hashed::new(file))?;
    let mut bundle = store.begin_bundle(BUNDLE, &digest.to_string())?;
    let head = [&deb::MAGIC[..], &deb::header("debian-binary", 4), b"2.0\n"].concat();
    bundle.write_all(&head).map_err(UnpackFault::Write)?;

    let mut stanza = None;
    let limit = CONTROL_BYTES;
    let members = copy_part(&mut source, Part::Control, &mut bundle, limit, |path, bytes| {
        if path.as_bytes() == b"control" {
            stanza = Some(bytes.to_vec());
        }
    })?;
    let stanza = stanza.ok_or(UnpackFault::NoControl("missing or too long"))?;
    let control = Control::parse(&stanza).map_err(UnpackFault::Control)?;
    if let Some(locked) = locked {
        check_identity(&control, locked)?;
    }
    let limit = data_limit(&control, size_bytes);
    let mut tree = copy_part(&mut source, Part::Data, &mut bundle, limit, |_, _| {})?;

    let (found, _) = source.finish()?.finish();
    if found != *digest {
        return Err(UnpackFault::Digest {
            path: path.to_path_buf(),
            expected: Box::new(*digest),
            found,
            removed: false,
        });
    }
    if tree.subtree(CONTROL).next().is_some() {
        return Err(UnpackFault::ControlPlace);
    }
    let place = TreePath::new(CONTROL).expect("a sound path");
    for (path, mut entry) in members {
        if let Kind::File { hard_link, .. } = &mut entry.kind {
            *hard_link = None;
        }
        // A name that cannot lie one directory deeper cannot be a control file.
        if let Ok(path) = place.join(path.as_bytes()) {
            tree.insert(path, entry);
        }
    }
    let pack = bundle.finish(&tree)?;
    Ok((tree, pack))
}

/// A file that is not the locked one is reported as that first, whatever else is wrong with it. It was the
/// locked one when it came into the store, so the disk has changed it, and no run could get past it.
fn name_wrong_digest(deb: &FetchedDeb, store: &Store, fault: UnpackFault) -> UnpackFault {
    match files::open(&deb.path).map_err(io::Error::from).and_then(Digest::of_reader) {
        Ok((found, _)) if found != deb.digest => {
            let own = deb.path == store.deb_path(&deb.package.checksum);
            let removed = own && store.discard(&deb.path);
            if removed {
                store.note_damaged(&deb.path);
            }
            UnpackFault::Digest { path: deb.path.clone(), expected: Box::new(deb.digest), found, removed }
        }
        _ => fault,
    }
}

/// Removes the other changed .debs of the store, so that one run fetches them all again.
fn remove_changed(fetched: &Fetched, store: &Store) {
    for deb in &fetched.debs {
        let _ = name_wrong_digest(deb, store, UnpackFault::NoControl("missing"));
    }
}

/// Returns the limits of a data.tar. Installed-Size counts files in whole KiB and all else as one
/// KiB; a tar needs up to two headers, a name and padding for each. Packages that do not declare it get
/// the ratio of honest compression.
fn data_limit(control: &Control, size_bytes: u64) -> u64 {
    const SLACK: u64 = 64 << 20;
    let expected = match control.installed_size_kib() {
        Some(kib) => kib.saturating_mul(4 * 1024),
        None => size_bytes.saturating_mul(100),
    };
    expected.saturating_add(SLACK).min(deb::MEMBER_BYTES_MAX)
}

/// Copies one part into the pack, decompressed, and notes the contents in it. `small` is shown
/// the contents of files that could be a control file.
fn copy_part<R: Read>(
    source: &mut Deb<R>,
    part: Part,
    bundle: &mut BundleWriter<'_>,
    limit_bytes: u64,
    mut small: impl FnMut(&TreePath, &[u8]),
) -> Result<Tree, UnpackFault> {
    let header_at = bundle.position();
    // The size is known at the end.
    bundle.write_all(&deb::header(part.name(), 0)).map_err(UnpackFault::Write)?;
    let start = bundle.position();
    let mut blobs = Vec::new();
    let mut tee = Tee { inner: source.part(part)?, out: bundle, left: limit_bytes, limit_bytes, fault: None };
    let budget = &mut tar_in::deb_budget(limit_bytes);
    let read = tar_in::read_tree_with(&mut tee, Dialect::Dpkg, budget, |path, place, contents| {
        let size_bytes = place.end - place.start;
        let digest = if part == Part::Control && size_bytes <= STANZA_BYTES {
            let mut bytes = Vec::new();
            contents.read_to_end(&mut bytes)?;
            small(path, &bytes);
            Digest::of(&bytes)
        } else {
            Digest::of_reader(contents)?.0
        };
        blobs.push(PackedBlob { digest, offset: start + place.start, size_bytes });
        Ok(digest)
    });
    let read = read.and_then(|(tree, rest)| {
        io::copy(rest, &mut io::sink())?;
        Ok(tree)
    });
    if let Some(fault) = tee.fault.take() {
        return Err(UnpackFault::Write(fault));
    }
    drop(tee);
    let tree = read.map_err(|source| UnpackFault::Tar { part, source })?;
    let size_bytes = bundle.position() - start;
    if size_bytes % 2 == 1 {
        bundle.write_all(b"\n").map_err(UnpackFault::Write)?;
    }
    bundle.patch(header_at, &deb::header(part.name(), size_bytes)).map_err(UnpackFault::Write)?;
    for PackedBlob { digest, offset, size_bytes } in blobs {
        bundle.note(digest, offset, size_bytes);
    }
    Ok(tree)
}

/// Copies the bytes that it reads into the pack, up to a limit.
struct Tee<'a, 'b, R> {
    inner: R,
    out: &'a mut BundleWriter<'b>,
    left: u64,
    limit_bytes: u64,
    /// A fault of the pack, which must not be taken for one of the package.
    fault: Option<io::Error>,
}

impl<R: Read> Read for Tee<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or_else(|| {
            let text = format!(
                "it unpacks to more than {} bytes, which its size does not explain",
                self.limit_bytes
            );
            io::Error::new(io::ErrorKind::FileTooLarge, text)
        })?;
        if let Err(fault) = self.out.write_all(&buffer[..count]) {
            self.fault = Some(fault);
            return Err(io::Error::other("the pack cannot be written"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
