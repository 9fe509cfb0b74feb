//! The papers of an artifact about the Debian packages in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    diff::own_bytes,
    formats::prune_list::parse_list,
    layout::{ImagePath, MERGED},
    store::Store,
    tree::{Tree, TreePath},
};

/// The reasons why each path is in, which name its package too.
const PRUNE_LIST: &[u8] = b"tinyroot/papers/prune.list";

/// The first process of artifacts that tinyroot makes.
const INIT: &[u8] = b"tinyroot/init";

/// Where dpkg's database lies in an artifact: as such, or below the skeleton of `/var`.
const DATABASES: [&str; 2] = ["var/lib/dpkg", "tinyroot/var/lib/dpkg"];

/// Where images without dpkg have its stanzas, a file for each package, with the list of its files beside it
/// (as Bazel's rules for Debian packages and "distroless" images do).
const STANZAS: &str = "var/lib/dpkg/status.d";

/// Most paths whose package is noted. In memory each takes some 150 bytes, and in a file list it may be two.
const MAX_OWNED: usize = 300_000;

/// The longest file of dpkg's that is read.
const MAX_DATABASE_BYTES: u64 = 16 << 20;

/// Finds the path in a line of a file list.
type OwnedPath = fn(&[u8]) -> Option<&[u8]>;

/// Where the copyright files of packages lie.
const DOCUMENTS: &[u8] = b"usr/share/doc";

/// Which package each path belongs to, as far as the artifact shows; empty where it has no list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Papers {
    owners: BTreeMap<Vec<u8>, Arc<str>>,
    versions: BTreeMap<String, String>,
    /// For each package that others depend on, these.
    dependents: BTreeMap<String, BTreeSet<String>>,
    reduced: BTreeMap<TreePath, String>,
    /// Our first process is in it: what lies beside it is ours.
    is_ours: bool,
    /// Nothing is known of packages, so that headings are top directories.
    by_directory: bool,
}

impl Papers {
    /// Reads the prune list and dpkg's file lists and status out of a tree. What cannot be read is left out.
    pub fn read(tree: &Tree, store: &Store) -> Self {
        let mut papers = Papers { is_ours: tree.get(INIT).is_some(), ..Papers::default() };
        let read = |path: &[u8]| {
            let (digest, size_bytes) = tree.get(path)?.kind.content()?;
            (size_bytes <= MAX_DATABASE_BYTES).then(|| store.read(&digest).ok())?
        };
        papers.read_prune_list(&String::from_utf8_lossy(&read(PRUNE_LIST).unwrap_or_default()));
        for database in DATABASES {
            papers.read_lists(tree, &format!("{database}/info"), &read);
            let status = read(format!("{database}/status").as_bytes()).unwrap_or_default();
            papers.read_status(&String::from_utf8_lossy(&status));
        }
        papers.read_lists(tree, STANZAS, &read);
        for (path, _) in tree.children(STANZAS.as_bytes()) {
            if !path.file_name().ends_with(b".md5sums") {
                papers.read_status(&String::from_utf8_lossy(&read(path.as_bytes()).unwrap_or_default()));
            }
        }
        papers.own_copyright_files(tree);
        papers
    }

    /// Reads what somebody else made. Where nothing is known of packages, headings are top directories.
    pub fn read_foreign(tree: &Tree, store: &Store) -> Self {
        let papers = Papers::read(tree, store);
        let by_directory = papers.owners.is_empty() && !papers.is_ours;
        Papers { by_directory, ..papers }
    }

    /// Takes the owners of paths from another root that is compared with this one, if nothing is known here.
    pub fn adopt_owners(&mut self, other: &Papers) {
        if self.by_directory && !other.by_directory {
            self.owners.clone_from(&other.owners);
            self.by_directory = false;
        }
    }

    /// Gives all paths of a tree to one package.
    pub fn of_package(name: &str, version: &str, tree: &Tree) -> Self {
        let name: Arc<str> = name.into();
        let owners = tree.iter().map(|(path, _)| (path.as_bytes().to_vec(), name.clone())).collect();
        let versions = [(name.to_string(), version.to_owned())].into();
        Papers { owners, versions, ..Papers::default() }
    }

    /// Reads the file lists in a directory.
    fn read_lists(&mut self, tree: &Tree, directory: &str, read: &dyn Fn(&[u8]) -> Option<Vec<u8>>) {
        for (path, _) in tree.children(directory.as_bytes()) {
            let name = String::from_utf8_lossy(path.file_name()).into_owned();
            let (stem, lines): (_, OwnedPath) = match name.rsplit_once('.') {
                Some((stem, "list")) => (stem, |line| line.strip_prefix(b"/")),
                Some((stem, "md5sums")) => (stem, |line| line.get(34..)),
                _ => continue,
            };
            let package = stem.split(':').next().unwrap_or(stem);
            if !is_word(package) {
                continue;
            }
            let package: Arc<str> = package.into();
            for line in read(path.as_bytes()).unwrap_or_default().split(|b| *b == b'\n') {
                let owned = lines(line).filter(|owned| !owned.is_empty() && *owned != b".");
                if let Some(owned) = owned.filter(|_| self.owners.len() < MAX_OWNED) {
                    self.owners.entry(owned.to_vec()).or_insert_with(|| package.clone());
                }
            }
        }
    }

    /// Takes the package of each kept stage path, for an image of which the line still has the plan. Nothing
    /// is read.
    pub fn of_kept<'p>(tree: &Tree, kept: impl Iterator<Item = (&'p TreePath, &'p str)>) -> Self {
        let mut papers = Papers { is_ours: tree.get(INIT).is_some(), ..Papers::default() };
        for (path, package) in kept.filter(|(_, package)| is_word(package)) {
            papers.own(path, package.into());
        }
        papers.own_copyright_files(tree);
        papers
    }

    /// Gives the copyright files that papers brought, which no list of files has, to the packages that they
    /// are of.
    fn own_copyright_files(&mut self, tree: &Tree) {
        for (directory, _) in tree.children(DOCUMENTS).filter(|_| self.is_ours) {
            let path = [directory.as_bytes(), b"/copyright"].concat();
            let name = String::from_utf8_lossy(directory.file_name());
            if tree.get(&path).is_some() && is_word(&name) && self.owners.len() < MAX_OWNED {
                self.owners.entry(path).or_insert_with(|| (&*name).into());
            }
        }
    }

    /// Notes whose a stage path is; below `/var` it lies in the skeleton.
    fn own(&mut self, path: &TreePath, package: Arc<str>) {
        if path.is_at_or_below(b"var") {
            self.owners.insert(ImagePath::of_stage(path).as_bytes().to_vec(), package.clone());
        }
        self.owners.insert(path.as_bytes().to_vec(), package);
    }

    /// Takes the packages of kept paths; below `/var` they lie in the skeleton.
    fn read_prune_list(&mut self, text: &str) {
        let Some(list) = parse_list(text) else { return };
        self.reduced = list.reduced;
        for (path, listed) in list.paths {
            let Some(package) = listed.package.filter(|name| listed.kept && is_word(name)) else { continue };
            self.own(&path, package);
        }
    }

    fn read_status(&mut self, text: &str) {
        let mut package = None;
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("Package", name)) => package = Some(name.trim().to_owned()),
                Some(("Version", version)) if is_word(version.trim()) => {
                    if let Some(name) = &package {
                        self.versions.insert(name.clone(), version.trim().to_owned());
                    }
                }
                Some(("Depends" | "Pre-Depends", relations)) => {
                    for name in relations.split([',', '|']).filter_map(|one| one.split_whitespace().next()) {
                        let name = name.split(':').next().unwrap_or(name);
                        if let Some(package) = &package
                            && is_word(name)
                            && self.dependents.len() < MAX_OWNED
                        {
                            self.dependents.entry(name.to_owned()).or_default().insert(package.clone());
                        }
                    }
                }
                _ if line.is_empty() => package = None,
                _ => {}
            }
        }
    }

    /// Returns the packages that depend on one, by dpkg's status; by name.
    pub fn dependents(&self, package: &str) -> impl Iterator<Item = &str> {
        self.dependents.get(package).into_iter().flatten().map(String::as_str)
    }

    /// Returns the package that a path belongs to. `usr/bin/x` is looked for as `bin/x` too, and the other
    /// way.
    pub fn owner(&self, path: &[u8]) -> Option<&str> {
        let direct = || self.owners.get(path);
        let without = || self.owners.get(path.strip_prefix(b"usr/")?);
        let with = || {
            let merged = MERGED.iter().any(|directory| path.starts_with(directory.as_bytes()));
            merged.then(|| self.owners.get(&[b"usr/", path].concat()))?
        };
        direct().or_else(without).or_else(with).map(|package| &**package)
    }

    /// Returns the version of a package.
    pub fn version(&self, package: &str) -> Option<&str> {
        self.versions.get(package).map(String::as_str)
    }

    /// Returns the packages whose versions are known, with these, by name.
    pub fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.versions.iter().map(|(package, version)| (&package[..], &version[..]))
    }

    /// Returns the files that have not their package's contents any more, each with what is left of it.
    pub fn reduced(&self) -> impl Iterator<Item = (&TreePath, &str)> {
        self.reduced.iter().map(|(path, left)| (path, &left[..]))
    }

    /// Returns under which heading a path is shown: its package, or what it is else.
    pub fn heading(&self, path: &TreePath) -> String {
        if let Some(owner) = self.owner(path.as_bytes()) {
            return owner.to_owned();
        }
        if self.by_directory {
            let path = path.to_string();
            return format!("/{}", path.split_once('/').map_or("", |(top, _)| top));
        }
        let is_below = path.is_at_or_below(b"tinyroot") || path.as_bytes() == b"sandstorm-manifest";
        let place = if self.is_ours && is_below { "(tinyroot)" } else { "(no package)" };
        place.to_owned()
    }
}

/// Returns whether a text can be a package's name or version: of Debian's, or of npm's.
fn is_word(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Sums the sizes of files under the heading that each belongs to, contents of hard links once, and counts the
/// files.
pub fn sizes_by<K: Ord>(tree: &Tree, heading: impl Fn(&TreePath) -> K) -> BTreeMap<K, (u64, u64)> {
    let mut sums = BTreeMap::new();
    for (path, entry) in tree.iter().filter(|(_, entry)| entry.kind.counts_as_file()) {
        let sum: &mut (u64, u64) = sums.entry(heading(path)).or_default();
        *sum = (sum.0 + own_bytes(entry), sum.1 + 1);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        prune::{Decision, Plan, Verdict, write_list},
        tree::Entry,
    };

    #[test]
    fn a_plan_names_the_same_owners_as_its_list_in_the_image() {
        let path = |text: &str| TreePath::new(text.as_bytes()).expect("a good path");
        let mut plan = Plan::default();
        for (at, package, verdict) in [
            ("usr/bin/tea", "tea", Verdict::Keep),
            ("var/lib/tea", "tea", Verdict::KeepEmpty),
            ("var/lib/tea/leaf", "leaves", Verdict::Keep),
            ("usr/bin/perl", "perl-base", Verdict::Drop),
        ] {
            let decision = Decision { verdict, rule: "traced", reason: "opened".into(), because: None };
            plan.decisions.insert(path(at), decision);
            plan.packages.insert(path(at), package.to_owned());
        }
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("cache")).expect("opens");
        let list = write_list(&plan, std::iter::empty());
        let mut tree = Tree::new();
        let size_bytes = list.len() as u64;
        tree.insert(path("tinyroot/papers/prune.list"), Entry::file(store.put(list), size_bytes, 0o644, 0));
        // The papers bring the texts of licences, also of packages of which no document is kept.
        for name in ["usr/share/doc/leaves/copyright", "usr/share/doc/milk/copyright"] {
            tree.insert(path(name), Entry::file(store.put("-"), 1, 0o644, 0));
        }
        tree.insert(path("tinyroot/init"), Entry::file(store.put("-"), 1, 0o755, 0));
        tree.add_parents(0);
        let papers = Papers::of_kept(&tree, plan.kept_packages());
        assert_eq!(papers, Papers::read(&tree, &store));
        assert_eq!(papers.owner(b"tinyroot/var/lib/tea/leaf"), Some("leaves"));
        assert_eq!(papers.owner(b"usr/bin/perl"), None);
        assert_eq!(papers.heading(&path("usr/share/doc/leaves/copyright")), "leaves");
        assert_eq!(papers.heading(&path("usr/share/doc/milk/copyright")), "milk");
        let sums = sizes_by(&tree, |path| papers.heading(path));
        assert_eq!(sums["leaves"], (1, 1));
    }
}
