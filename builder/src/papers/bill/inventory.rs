//! What is in an artifact, by package, as the artifact itself says it.

use std::collections::BTreeMap;

use sha1::{Digest as _, Sha1};

use super::{BillError, Subject};
use crate::{
    digest::Digest,
    formats::{
        checksum::Checksum,
        control::Control,
        copyright::{self, Licences},
        prune_list::PruneList,
    },
    layout::ImagePath,
    lock::{Lock, LockedPackage},
    papers::{
        purl::{DebianPackage, Distribution, npm_purl},
        read::{enclosed_name, enclosed_recipe, lock, prune_list},
        share::{Extent, Share, shares},
        stock::{stanzas, text_at},
    },
    recipe::NPM_PREFIX,
    tree::TreePath,
};

/// The contents of an artifact.
pub(super) struct Inventory {
    /// The app's name.
    pub(super) name: String,
    /// The time of the artifact, in seconds since 1970.
    pub(super) time_s: i64,
    /// Its distribution, if it says one.
    pub(super) distribution: Option<Distribution>,
    /// Packages of which something is there: Debian's by name, then npm's by path.
    pub(super) packages: Vec<Package>,
    /// Package URLs of those that were locked and of which nothing is there.
    pub(super) absent: Vec<String>,
    /// Files by path; of hard links each.
    pub(super) files: Vec<File>,
}

/// A package.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) purl: String,
    /// Its stanza of dpkg's status; npm's have none.
    pub(super) control: Option<Control>,
    /// Where it lies, if it is npm's.
    pub(super) place: Option<TreePath>,
    /// The checksum of the .deb or tarball, if a lock has it.
    pub(super) checksum: Option<Checksum>,
    pub(super) licences: Option<Licences>,
    /// What is there of it; `None` where the artifact has no prune.list to say it.
    pub(super) share: Option<Share>,
}

/// A file.
pub(super) struct File {
    pub(super) path: TreePath,
    pub(super) sha256: Digest,
    /// In lower-case hex.
    pub(super) sha1: String,
    pub(super) size_bytes: u64,
    /// The index of its package.
    pub(super) package: Option<usize>,
    /// What is left of it, if it was reduced.
    pub(super) left: Option<String>,
}

impl Package {
    /// Returns how much of it is there, if that is known.
    pub(super) fn extent(&self) -> Option<Extent> {
        self.share.as_ref().map(Share::extent)
    }
}

impl Inventory {
    /// Reads what an artifact says of itself, and the digests of its files.
    pub(super) fn of(subject: &Subject<'_>) -> Result<Self, BillError> {
        let (tree, store) = (subject.tree, subject.store);
        let distribution =
            text_at(tree, store, b"etc/os-release").and_then(|text| Distribution::parse(&text));
        let list = prune_list(tree, store);
        let mut known = list.as_ref().map(|list| shares(list, tree));
        let lock = lock(tree, store);
        let mut packages = Vec::new();
        let context = Context { subject, distribution: &distribution, lock: lock.as_ref() };
        for control in stanzas(tree, store).map_err(BillError::Status)? {
            let share = known.as_mut().map(|known| known.remove(control.package()).unwrap_or_default());
            packages.push(context.debian(control, share));
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let absent = context.absent(&packages);
        packages.extend(context.npm(list.as_ref()));
        let reduced = list.map(|list| list.reduced).unwrap_or_default();
        let files = files(subject, &packages, &reduced)?;
        let times = tree.iter().map(|(_, entry)| entry.mtime_s);
        let papers = tree.get(b"tinyroot/papers").map(|entry| entry.mtime_s);
        Ok(Inventory {
            name: enclosed_name(tree, store).unwrap_or_else(|| subject.title.to_owned()),
            time_s: papers.or(times.max()).unwrap_or_default(),
            distribution,
            packages,
            absent,
            files,
        })
    }
}

/// What is known of an artifact before its packages are.
struct Context<'a> {
    subject: &'a Subject<'a>,
    distribution: &'a Option<Distribution>,
    lock: Option<&'a Lock>,
}

impl Context<'_> {
    fn suite(&self) -> &str {
        self.lock.map_or("", |lock| &lock.suite)
    }

    fn distribution(&self) -> Distribution {
        self.distribution.clone().unwrap_or_default()
    }

    fn debian(&self, control: Control, share: Option<Share>) -> Package {
        let (tree, store) = (self.subject.tree, self.subject.store);
        let (name, version) = (control.package().to_owned(), control.version().to_owned());
        let locked = self.lock.and_then(|lock| lock.get(&name)).filter(|locked| locked.version == version);
        let named = DebianPackage {
            name: &name,
            version: &version,
            architecture: control.architecture(),
            suite: locked.map_or("", |locked| &locked.suite),
            source: Some(control.source()),
        };
        let purl = named.purl(&self.distribution(), self.suite());
        let copyright = text_at(tree, store, format!("usr/share/doc/{name}/copyright").as_bytes());
        let licences = copyright.and_then(|text| copyright::licences(text.as_bytes()));
        let checksum = locked.map(|locked| locked.checksum);
        Package { name, version, purl, control: Some(control), place: None, checksum, licences, share }
    }

    /// Returns the URLs of locked packages that are not among those there.
    fn absent(&self, there: &[Package]) -> Vec<String> {
        let locked = self.lock.map_or(&[][..], |lock| &lock.packages);
        let absent = locked.iter().filter(|locked| {
            there.binary_search_by(|package| package.name.as_str().cmp(&locked.name)).is_err()
        });
        let purl = |locked: &LockedPackage| {
            let named = DebianPackage {
                name: &locked.name,
                version: &locked.version,
                architecture: &locked.architecture,
                suite: &locked.suite,
                source: None,
            };
            named.purl(&self.distribution(), self.suite())
        };
        absent.map(purl).collect()
    }

    /// Returns npm's packages by path, those of which nothing is there as well.
    fn npm(&self, list: Option<&PruneList>) -> Vec<Package> {
        let Some(list) = list else { return Vec::new() };
        if !list.paths.values().any(|listed| listed.package.as_deref().is_some_and(is_npm)) {
            return Vec::new();
        }
        let Ok(recipe) = enclosed_recipe(self.subject.tree, self.subject.store) else { return Vec::new() };
        let mut out: BTreeMap<TreePath, Package> = BTreeMap::new();
        for package in recipe.npm_packages() {
            let locked = &package.locked;
            let licence = locked.licence.as_deref().filter(|text| is_expression(text));
            let made = Package {
                name: locked.name.clone(),
                version: locked.version.clone(),
                purl: npm_purl(&locked.name, &locked.version),
                control: None,
                place: Some(package.path.clone()),
                checksum: Some(locked.checksum),
                licences: licence.map(|text| Licences { expression: text.to_owned(), ..Licences::default() }),
                share: Some(Share::default()),
            };
            out.insert(package.path.clone(), made);
        }
        for (path, listed) in list.paths.iter().filter(|(_, l)| l.package.as_deref().is_some_and(is_npm)) {
            let place = path.ancestors().find(|above| out.contains_key(above));
            let Some(share) = place.and_then(|place| out.get_mut(&place)?.share.as_mut()) else { continue };
            share.count(path, listed, list.reduced.get(path), self.subject.tree);
        }
        out.into_values()
            .filter(|package| package.share.as_ref().is_some_and(|share| share.kept > 0))
            .collect()
    }
}

/// Returns whether prune.list's name of a package is one of npm's.
fn is_npm(name: &str) -> bool {
    name.starts_with(NPM_PREFIX)
}

/// Returns whether a text is an expression of SPDX's list, as npm asks for.
fn is_expression(text: &str) -> bool {
    text.len() <= 1000 && ::spdx::Expression::parse(text).is_ok()
}

/// Returns all files with their digests and packages.
fn files(
    subject: &Subject<'_>,
    packages: &[Package],
    reduced: &BTreeMap<TreePath, String>,
) -> Result<Vec<File>, BillError> {
    let of_debian: BTreeMap<&str, usize> = packages
        .iter()
        .enumerate()
        .filter(|(_, package)| package.place.is_none())
        .map(|(at, package)| (&package.name[..], at))
        .collect();
    let of_npm: BTreeMap<&TreePath, usize> =
        packages.iter().enumerate().filter_map(|(at, package)| Some((package.place.as_ref()?, at))).collect();
    let mut sums: BTreeMap<Digest, String> = BTreeMap::new();
    let mut out = Vec::new();
    for (path, entry) in subject.tree.iter() {
        let Some((sha256, size_bytes)) = entry.kind.content() else { continue };
        let sha1 = match sums.get(&sha256) {
            Some(sum) => sum.clone(),
            None => {
                let contents = |source| BillError::Contents { path: path.to_string(), source };
                let bytes = subject.store.read(&sha256).map_err(contents)?;
                let sum = hex(&Sha1::digest(&bytes));
                sums.insert(sha256, sum.clone());
                sum
            }
        };
        let owner = (subject.owner)(path.as_bytes());
        let package = owner.and_then(|owner| match is_npm(&owner) {
            true => path.ancestors().find_map(|above| of_npm.get(&above).copied()),
            false => of_debian.get(&owner[..]).copied(),
        });
        let stage = ImagePath::in_image(path.clone()).to_stage();
        let left = reduced.get(&stage).cloned();
        out.push(File { path: path.clone(), sha256, sha1, size_bytes, package, left });
    }
    Ok(out)
}

/// Returns bytes in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
