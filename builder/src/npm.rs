//! Packages of npm registries: `[[npm]]` of a recipe → files of its root.
//!
//! Comes in: the sets of a recipe, which pin each package by version and checksum. Goes out: a tree for each
//! set, its contents in the store, and these laid over the configured root, each file in the name of its
//! package. A tarball is verified before anything of it is read, and kept in the store; the unpacked tree of
//! a set is kept there too, and is all that later runs need. No script of a package is ever run, and npm is
//! not needed.
//!
//! As with `npm ci --ignore-scripts`, links in tarballs are left out, and a package replaces the files that
//! another one ships at its directory. Otherwise than there, nothing is laid in `node_modules/.bin`.

mod registry;
pub(crate) mod tarball;

pub use registry::{Sources, registry};
pub use tarball::TarballError;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
};

use crate::{
    assemble::Owners,
    digest::Digest,
    download::{DownloadError, Downloader, Length, Wanted, describe, url_below},
    error::{Hint, PathError},
    files,
    formats::{checksum::Checksum, package_lock::tarball_path},
    pool,
    progress::{Progress, Unit},
    recipe::{Npm, NpmPackage},
    store::{BundleWriter, Store, StoreError},
    sys::path::open_regular,
    tree::{Tree, TreePath},
};

/// The bundles that hold unpacked sets, by the digest of their sources.
const BUNDLE: &str = "npm";

/// The largest tarball; the largest of the registry's common packages have some 100 MB.
const TARBALL_BYTES: u64 = 256 << 20;

/// Packages that cannot be had or laid.
#[derive(Debug, thiserror::Error)]
pub enum NpmError {
    /// Nothing says where packages can be had.
    #[error("{missing} of {of} packages of `{lock}` are not in the cache, and no npm registry is configured")]
    NoRegistry {
        /// How many are lacking.
        missing: usize,
        /// How many the lock has.
        of: usize,
        /// The lock that names them.
        lock: String,
    },
    /// Tarballs that could not be had; as many others as possible were fetched.
    #[error("{}", describe(faults, *of, |_| String::new()))]
    Fetch {
        /// Each package and its fault, in the order of the root's paths.
        faults: Vec<(String, DownloadError)>,
        /// How many packages the lock has.
        of: usize,
    },
    /// A tarball of the store that cannot be read.
    #[error(transparent)]
    Read(#[from] PathError),
    /// A tarball of the store that was changed.
    #[error("{} does not have the locked digest; it was removed, so that the next run fetches it again\n  expected {expected}\n  found    {found}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The locked one.
        expected: Box<Checksum>,
        /// The one found.
        found: Box<Checksum>,
    },
    /// A damaged or hostile tarball.
    #[error("cannot unpack {what}")]
    Tarball {
        /// The package and its version.
        what: String,
        /// The fault.
        source: TarballError,
    },
    /// A file or link where a directory is needed, or something already there.
    #[error("cannot lay the packages of `{lock}` over the root: {reason} at /{path}")]
    Clash {
        /// The lock that names them.
        lock: String,
        /// Where.
        path: TreePath,
        /// The value found.
        reason: &'static str,
    },
    /// The store cannot take it.
    #[error("cannot keep packages in the store")]
    Store(#[from] StoreError),
}

impl Hint for NpmError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        let text = match self {
            NpmError::NoRegistry { .. } => {
                "name one with `registry` in [[npm]], --npm-registry URL, TINYROOT_NPM_REGISTRY, \
                 or as npm itself is told"
            }
            NpmError::Fetch { faults, .. } => {
                let offline =
                    |(_, error): &(String, DownloadError)| matches!(error, DownloadError::Offline { .. });
                match faults.iter().any(offline) {
                    true => "run the same once without --offline",
                    false => "the lock pins exactly these: try another registry with --npm-registry URL",
                }
            }
            NpmError::Store(error) => return error.hint(),
            NpmError::Read(error) => return error.hint(),
            NpmError::Changed { .. } | NpmError::Tarball { .. } | NpmError::Clash { .. } => return None,
        };
        Some(text.into())
    }
}

/// Returns the tree of a set by the paths of the root, parents left out, times 0; fetches the tarballs that
/// the store lacks.
///
/// # Errors
/// [`NpmError`]. Tarballs that were had stay in the store, and nothing else does.
pub fn unpack(
    set: &Npm,
    registry: Registry<'_>,
    store: &Store,
    downloader: &Downloader,
    progress: &Progress,
) -> Result<Tree, NpmError> {
    let key = key(set);
    if let Some((tree, _)) = store.load_bundle(BUNDLE, &key) {
        return Ok(tree);
    }
    let wait = || progress.wait_for_another("unpacks the same npm packages");
    let _turn = store.turn(BUNDLE, &key, wait);
    let load = || store.load_bundle(BUNDLE, &key);
    if let Some((tree, _)) = load().or_else(|| store.bring(BUNDLE, &key).then(load).flatten()) {
        return Ok(tree);
    }
    fetch(set, registry, store, downloader, progress)?;
    let task = progress.task("unpacking npm packages", set.packages.len() as u64, Unit::Items);
    let mut bundle = store.begin_bundle(BUNDLE, &key)?;
    let mut tree = Tree::new();
    for package in &set.packages {
        task.now(&package.locked.name);
        let own = unpack_one(package, store, &mut bundle)?;
        tree.remove_subtree(package.path.as_bytes());
        for (path, entry) in own {
            tree.insert(path, entry);
        }
        task.add(1);
    }
    let clash =
        |path: &TreePath, reason| NpmError::Clash { lock: set.lock.clone(), path: path.clone(), reason };
    check_parents(&tree, &tree).map_err(|path| clash(&path, "a package ships a file"))?;
    bundle.finish(&tree)?;
    Ok(tree)
}

/// Lays the tree of a set over a root, with the root's epoch as its time, and notes whose each path is.
///
/// # Errors
/// [`NpmError::Clash`] where something else lies already.
pub fn lay(
    set: &Npm,
    mut packages: Tree,
    root: &mut Tree,
    owners: &mut Owners,
    epoch_s: i64,
) -> Result<(), NpmError> {
    let clash =
        |path: &TreePath, reason| NpmError::Clash { lock: set.lock.clone(), path: path.clone(), reason };
    check_parents(&packages, root).map_err(|path| clash(&path, "the root has a file or link"))?;
    let directories: BTreeMap<&TreePath, &NpmPackage> = set.packages.iter().map(|p| (&p.path, p)).collect();
    let mut owned: BTreeMap<String, Vec<TreePath>> = BTreeMap::new();
    for (path, entry) in packages.iter_mut() {
        entry.mtime_s = epoch_s;
        let there = root.get(path.as_bytes());
        if there.is_some_and(|there| !there.kind.is_directory() || !entry.kind.is_directory()) {
            return Err(clash(path, "the root has something"));
        }
        let own = directories.get(path).copied();
        let package = own.or_else(|| path.ancestors().find_map(|above| directories.get(&above).copied()));
        let package = package.expect("each path of a set's tree lies in the directory of a package");
        owned.entry(package.owner()).or_default().push(path.clone());
    }
    for (path, entry) in packages {
        if root.get(path.as_bytes()).is_none() {
            root.insert(path, entry);
        }
    }
    root.add_parents(epoch_s);
    for (package, paths) in owned {
        owners.claim(&package, paths);
    }
    Ok(())
}

/// Returns a digest of all that the tree of a set depends on.
fn key(set: &Npm) -> String {
    let mut text = String::from("1\n");
    for NpmPackage { path, locked } in &set.packages {
        writeln!(text, "{path} {}", locked.checksum).expect("a string takes it");
    }
    Digest::of(text.as_bytes()).to_string()
}

/// Fetches the tarballs that the store lacks.
fn fetch(
    set: &Npm,
    registry: Registry<'_>,
    store: &Store,
    downloader: &Downloader,
    progress: &Progress,
) -> Result<(), NpmError> {
    let mut known = BTreeSet::new();
    // By digest, since only tarballs that are not unpacked yet get here.
    let lacking = |package: &&NpmPackage| {
        let path = store.tarball_path(&package.locked.checksum);
        let is_there = path.exists();
        let is_whole = is_there
            && open_regular(&path).is_ok_and(|file| package.locked.checksum.is_of(file).unwrap_or(false));
        if is_there && !is_whole {
            store.note_damaged(&path);
        }
        !is_whole
    };
    let missing: Vec<&NpmPackage> =
        set.packages.iter().filter(lacking).filter(|p| known.insert(p.locked.checksum)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if registry.of(set).is_empty() {
        return Err(NpmError::NoRegistry {
            missing: missing.len(),
            of: set.packages.len(),
            lock: set.lock.clone(),
        });
    }
    let task = progress.task("fetching npm packages", 0, Unit::Bytes);
    let place = |package: &NpmPackage| store.tarball_path(&package.locked.checksum);
    let files: Vec<(Wanted, PathBuf)> =
        missing.iter().map(|package| (wanted(package, &registry.of(set)), place(package))).collect();
    let errors = downloader.fetch_all(&files, &store.tmp(), &|bytes| task.add(bytes));
    if errors.is_empty() {
        return Ok(());
    }
    let faults = errors.into_iter().map(|(index, error)| (what(missing[index]), error)).collect();
    Err(NpmError::Fetch { faults, of: set.packages.len() })
}

/// Where tarballs may be had.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registry<'a> {
    /// The registry for sets that name none.
    pub url: Option<&'a str>,
    /// The pool that is looked in first, as a path.
    pub pool: Option<&'a str>,
}

impl Registry<'_> {
    /// Returns the base URLs for a set, best first.
    fn of(&self, set: &Npm) -> Vec<String> {
        let registry = set.registry.as_deref().or(self.url).map(|url| url.trim_end_matches('/').to_owned());
        self.pool.map(pool::npm_base).into_iter().chain(registry).collect()
    }
}

/// Returns a file for each package of a set that belongs in a pool. Those that the store has are taken from
/// there.
pub fn pool_items(set: &Npm, registry: Registry<'_>, store: &Store) -> Vec<pool::Item> {
    let item = |package: &NpmPackage| {
        let path = format!("npm/{}", tarball_path(&package.locked.name, &package.locked.version));
        let mut wanted = wanted(package, &registry.of(set));
        let kept = store.tarball_path(&package.locked.checksum);
        if kept.exists() {
            wanted.urls.insert(0, format!("file:{}", kept.display()));
        }
        pool::Item { path, wanted }
    };
    set.packages.iter().map(item).collect()
}

/// Returns the file to fetch for a package.
fn wanted(package: &NpmPackage, bases: &[String]) -> Wanted {
    let path = tarball_path(&package.locked.name, &package.locked.version);
    Wanted {
        what: what(package),
        urls: bases.iter().filter_map(|base| url_below(base, &path)).collect(),
        past: Vec::new(),
        length: Length::AtMost(TARBALL_BYTES),
        checksum: package.locked.checksum,
        mode: Wanted::OWN,
    }
}

fn what(package: &NpmPackage) -> String {
    format!("{} {}", package.owner(), package.locked.version)
}

/// Unpacks a package from the store into a bundle, at its path in the root.
fn unpack_one(package: &NpmPackage, store: &Store, bundle: &mut BundleWriter<'_>) -> Result<Tree, NpmError> {
    let path = store.tarball_path(&package.locked.checksum);
    let bytes = files::read(&path)?;
    let expected = &package.locked.checksum;
    let found = expected.of_same_kind(&bytes);
    if found != *expected {
        store.discard(&path);
        return Err(NpmError::Changed { path, expected: Box::new(*expected), found: Box::new(found) });
    }
    let own = tarball::read(&bytes, |contents| Ok(bundle.add(contents)?.0));
    own.and_then(|own| tarball::moved(own, &package.path))
        .map_err(|source| NpmError::Tarball { what: what(package), source })
}

/// Returns the first path above one of `tree` that is not a directory in `other`.
fn check_parents(tree: &Tree, other: &Tree) -> Result<(), TreePath> {
    let mut good: BTreeSet<TreePath> = BTreeSet::new();
    for (path, _) in tree.iter() {
        for above in path.ancestors() {
            if other.get(above.as_bytes()).is_some_and(|entry| !entry.kind.is_directory()) {
                return Err(above);
            }
            if !good.insert(above) {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
