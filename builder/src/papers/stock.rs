//! Which Debian packages an artifact was made of, as it says itself.

use std::collections::BTreeMap;

use super::{
    purl::Distribution,
    read::{lock, prune_list},
    share::{Extent, Share, shares},
};
use crate::{
    formats::{control::Control, deb822::Fault, suite::is_exact},
    lock::Lock,
    store::Store,
    tree::Tree,
};

/// Where dpkg's database lies in an artifact: as such, or below the skeleton of `/var`.
const DATABASES: [&str; 2] = ["var/lib/dpkg", "tinyroot/var/lib/dpkg"];

/// The longest text that is read of a foreign artifact: a status file.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// The Debian packages of an artifact, and where they are from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// The suite that they are from, such as `bookworm`, if the artifact says it.
    pub suite: Option<String>,
    /// The architecture that they are for.
    pub architecture: Option<String>,
    /// The components that they were chosen from.
    pub components: Vec<String>,
    /// Those of the distribution's own archive, by name.
    pub packages: Vec<Stocked>,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stocked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How much of it is in the artifact; `None` where nothing says it.
    pub extent: Option<Extent>,
}

/// Returns the packages of an artifact: all that its lock has, where it encloses one, else those that its dpkg
/// has. Packages of archives beside the distribution's are left out.
///
/// # Errors
/// A status of dpkg that cannot be parsed.
pub fn stock(tree: &Tree, store: &Store) -> Result<Stock, Fault> {
    let shares = prune_list(tree, store).map(|list| shares(&list, tree));
    if let Some(lock) = lock(tree, store) {
        return Ok(of_lock(&lock, shares.as_ref()));
    }
    let distribution = text_at(tree, store, b"etc/os-release").and_then(|text| Distribution::parse(&text));
    let stanzas = stanzas(tree, store)?;
    let architecture = stanzas.iter().map(Control::architecture).find(|name| *name != "all");
    let packages = stanzas.iter().map(|control| Stocked {
        name: control.package().to_owned(),
        version: control.version().to_owned(),
        extent: None,
    });
    Ok(Stock {
        suite: distribution.and_then(|distribution| distribution.codename),
        architecture: architecture.map(str::to_owned),
        components: vec!["main".to_owned()],
        packages: packages.collect(),
    })
}

fn of_lock(lock: &Lock, shares: Option<&BTreeMap<String, Share>>) -> Stock {
    let own = |suite: &str| suite.starts_with(&lock.suite);
    let mut components: Vec<String> =
        lock.indexes.iter().filter(|index| own(&index.suite)).map(|index| index.component.clone()).collect();
    components.sort();
    components.dedup();
    let packages = lock.packages.iter().filter(|package| own(&package.suite)).map(|package| Stocked {
        name: package.name.clone(),
        version: package.version.clone(),
        extent: shares.map(|shares| shares.get(&package.name).map_or(Extent::Absent, Share::extent)),
    });
    Stock {
        suite: (!is_exact(&lock.suite)).then(|| lock.suite.clone()),
        architecture: Some(lock.architecture.clone()),
        components,
        packages: packages.collect(),
    }
}

/// Returns the installed packages of dpkg's status, and of the parts of one that images without dpkg have.
pub(crate) fn stanzas(tree: &Tree, store: &Store) -> Result<Vec<Control>, Fault> {
    let mut out: Vec<Control> = Vec::new();
    for database in DATABASES {
        let mut paths = vec![format!("{database}/status").into_bytes()];
        let directory = format!("{database}/status.d");
        let parts = tree.children(directory.as_bytes()).map(|(path, _)| path.as_bytes().to_vec());
        paths.extend(parts.filter(|path| !path.ends_with(b".md5sums")));
        for path in paths {
            let Some(text) = text_at(tree, store, &path) else { continue };
            let found = Control::stanzas(&text)?;
            out.extend(found.into_iter().filter(is_installed));
        }
    }
    out.sort_by(|a, b| (a.package(), a.architecture()).cmp(&(b.package(), b.architecture())));
    out.dedup_by(|a, b| (a.package(), a.architecture()) == (b.package(), b.architecture()));
    Ok(out)
}

/// Returns whether a stanza is of a package that is there: parts of a status have no field for it.
fn is_installed(control: &Control) -> bool {
    control.get("Status").is_none_or(|status| status.split_ascii_whitespace().last() == Some("installed"))
}

/// Returns a text of the tree, links followed; `None` if there is none of a sane length.
pub(super) fn text_at(tree: &Tree, store: &Store, path: &[u8]) -> Option<String> {
    let end = tree.resolve(path, |_| {})?;
    let (digest, size_bytes) = tree.get(end.as_bytes())?.kind.content()?;
    let bytes = (size_bytes <= MAX_TEXT_BYTES).then(|| store.read(&digest).ok())??;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
