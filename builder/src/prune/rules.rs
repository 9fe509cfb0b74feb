//! The policy: two lists of small functions, and what they may look at.
//!
//! [`RULES`] are called for each path, in order, until one rules. [`CONSEQUENCES`] are called
//! about each path that is kept: what else does it need? Both judge by what the tree, the
//! evidence and the recipe say, never by the name of an app.

mod companions;
mod direct;
mod environment;
mod imports;
mod java;
mod languages;
mod links;
mod loader;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod secrets;
mod sets;
mod surplus;
mod whole;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    rc::Rc,
};

use super::{Decision, Inputs, Policy, PruneError};
use companions::Companions;
use secrets::Secrets;
pub use surplus::languages_of;
use surplus::{Folders, Surplus};

use crate::{
    digest::Digest,
    error::PathError,
    evidence::{Evidence, Used},
    formats::elf::linkage::Linkage,
    store::{Blob, Store},
    tree::{Entry, Kind, Tree, TreePath},
};

/// The name of the rule for the recipe's own `keep` and `drop`.
pub(super) const RECIPE: &str = "recipe";

/// The name of the consequence that follows imports.
pub(super) const IMPORTS: &str = "imports";

/// The name of the consequence that keeps the parts of Perl's modules.
pub(super) const PERL: &str = "perl";

/// The rules whose drops prune.list names by directory.
pub(super) const IN_BULK: &[&str] = &["database", "surplus", INSIDE, "folder"];

/// The name of the rule for surplus inside packages that are kept whole.
pub(super) const INSIDE: &str = "inside";

/// The ruling of a rule about a path.
pub(super) enum Ruling {
    /// It stays, because …
    Keep(String),
    /// It goes, unless something kept needs it.
    Drop(String),
    /// It goes, whatever needs it.
    Forbid(String),
    /// The next rule is called.
    Pass,
}

type Rule = fn(&Candidate<'_>, &Facts<'_>) -> Ruling;

/// The verdict functions, in the order in which they are called.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("secret", secrets::secret),
    (RECIPE, direct::recipe),
    ("database", direct::database),
    ("laid", direct::laid),
    ("traced", direct::traced),
    ("basics", direct::basics),
    ("surplus", direct::documentation),
    ("minified", direct::minified),
    (INSIDE, whole::surplus),
    ("folder", whole::folder),
    ("app", whole::app),
    ("companion", companions::companion),
    ("var", direct::var),
];

type Consequence =
    fn(&Candidate<'_>, &Decision, &Facts<'_>, &mut State, &mut Needs) -> Result<(), PruneError>;

/// Further needs of a kept path; each function is called for every kept path.
pub(super) const CONSEQUENCES: &[(&str, Consequence)] = &[
    ("link", links::target),
    ("names", links::other_names),
    ("loader", loader::libraries),
    ("interpreter", loader::interpreter),
    ("threads", loader::threads),
    ("nss", loader::name_services),
    ("python", languages::python),
    (PERL, languages::perl),
    ("php", languages::php),
    ("ruby", languages::ruby),
    ("node", languages::node),
    (IMPORTS, imports::imports),
    ("java", java::java),
    ("listed", environment::listed),
    ("configuration", environment::configuration),
    ("set", sets::sets),
];

/// Applies [`RULES`] to a path.
pub(super) fn first_ruling(candidate: &Candidate<'_>, facts: &Facts<'_>) -> (&'static str, Ruling) {
    for (name, rule) in RULES {
        match rule(candidate, facts) {
            Ruling::Pass => {}
            ruling => return (name, ruling),
        }
    }
    ("unused", Ruling::Pass)
}

/// A path to be judged.
pub(super) struct Candidate<'a> {
    pub path: &'a TreePath,
    pub entry: &'a Entry,
    pub package: Option<&'a str>,
    pub used: Option<&'a Used>,
}

impl Candidate<'_> {
    pub fn bytes(&self) -> &[u8] {
        self.path.as_bytes()
    }

    pub fn is_file(&self) -> bool {
        matches!(self.entry.kind, Kind::File { .. })
    }

    /// Returns true if a trace saw the contents used.
    pub fn contents_used(&self) -> bool {
        self.used.is_some_and(Used::contents)
    }
}

/// The findings of consequences, in their order.
#[derive(Default)]
pub(super) struct Needs(Vec<(TreePath, String)>);

impl Needs {
    /// Wants a path of the tree.
    pub fn want(&mut self, path: &TreePath, reason: impl Into<String>) {
        self.0.push((path.clone(), reason.into()));
    }

    /// Wants the target of a path and every link on the way; returns false if it leads nowhere.
    pub fn follow(&mut self, path: &[u8], reason: &str, facts: &Facts<'_>) -> bool {
        let mut links = Vec::new();
        let Some(end) = facts.tree.resolve(path, |link| links.push(link.clone())) else { return false };
        links.push(end);
        for path in links {
            self.0.push((path, reason.to_owned()));
        }
        true
    }

    pub fn take(self) -> Vec<(TreePath, String)> {
        self.0
    }
}

/// The memory of consequences between paths.
#[derive(Default)]
pub(super) struct State {
    done: HashSet<(&'static str, Vec<u8>)>,
    /// `DT_RPATH` directories that a file inherits from what first needed it.
    pub inherited: HashMap<TreePath, Vec<Vec<u8>>>,
    /// The paths that imports have kept.
    pub account: imports::Account,
    /// Where languages look for modules.
    pub roots: imports::Roots,
}

impl State {
    /// Returns true the first time that it is called for a subject.
    pub fn once(&mut self, what: &'static str, subject: &[u8]) -> bool {
        self.done.insert((what, subject.to_vec()))
    }
}

/// The facts that rules may look at.
pub(super) struct Facts<'a> {
    pub tree: &'a Tree,
    pub evidence: &'a Evidence,
    pub policy: &'a Policy,
    /// Where the recipe's files lie, links on the way followed.
    pub overlay: BTreeSet<TreePath>,
    /// The programs that the recipe starts and the links that lead to them, with their starters.
    pub commands: BTreeMap<TreePath, &'a str>,
    /// The paths of each package, in path order.
    pub by_package: BTreeMap<&'a str, Vec<&'a TreePath>>,
    /// For a directory, the one package that all owned files below it are of.
    sole_owner: HashMap<&'a [u8], Option<&'a str>>,
    packages: HashMap<&'a [u8], &'a str>,
    /// The surplus inside packages that are kept whole.
    pub surplus: Surplus,
    /// Files that maintainer scripts made and that no artifact should hold.
    pub secrets: Secrets,
    /// The folders of the app, where it is kept by these.
    pub folders: Folders,
    /// Libraries in the app's language.
    pub companions: Companions<'a>,
    store: &'a Store,
    elves: RefCell<HashMap<Digest, Option<Rc<Linkage>>>>,
    notes: RefCell<BTreeSet<String>>,
}

impl<'a> Facts<'a> {
    /// Gathers them.
    ///
    /// # Errors
    /// [`PruneError::Contents`].
    pub fn new(inputs: &Inputs<'a>) -> Result<Self, PruneError> {
        let mut facts = Facts {
            tree: inputs.tree,
            evidence: inputs.evidence,
            policy: inputs.policy,
            overlay: BTreeSet::new(),
            commands: BTreeMap::new(),
            by_package: BTreeMap::new(),
            sole_owner: HashMap::new(),
            packages: HashMap::new(),
            surplus: Surplus::default(),
            secrets: Secrets::default(),
            folders: Folders::default(),
            companions: Companions::default(),
            store: inputs.store,
            elves: RefCell::default(),
            notes: RefCell::default(),
        };
        for path in &inputs.policy.overlay {
            let parent = path.parent().and_then(|parent| inputs.tree.resolve(parent.as_bytes(), |_| {}));
            let real = parent.and_then(|parent| parent.join(path.file_name()).ok());
            facts.overlay.insert(real.unwrap_or_else(|| path.clone()));
        }
        for (command, what) in &inputs.policy.commands {
            let commands = &mut facts.commands;
            let end = inputs.tree.resolve(command.as_bytes(), |link| {
                commands.insert(link.clone(), what);
            });
            commands.extend(end.map(|end| (end, &what[..])));
        }
        for (path, entry) in inputs.tree.iter() {
            let Some(package) = (inputs.owner)(path.as_bytes()) else { continue };
            facts.packages.insert(path.as_bytes(), package);
            facts.by_package.entry(package).or_default().push(path);
            if entry.kind.is_directory() {
                continue;
            }
            let mut above = path.parent_bytes();
            while let Some(directory) = above.filter(|d| !d.is_empty()) {
                let sole = facts.sole_owner.entry(directory).or_insert(Some(package));
                if *sole != Some(package) {
                    *sole = None;
                }
                above = parent(directory);
            }
        }
        facts.secrets = Secrets::of(&facts, inputs)?;
        facts.surplus = Surplus::of(&facts)?;
        facts.folders = Folders::of(&facts);
        facts.companions = Companions::of(&facts);
        Ok(facts)
    }

    /// Returns true if the package of a path, or the one that it was made for, is kept whole.
    pub fn is_whole(&self, path: &[u8]) -> bool {
        let package = self.package_or_maker(path);
        package.is_some_and(|package| {
            self.policy.app_packages.contains(package) || self.policy.keep_packages.contains(package)
        })
    }

    /// Returns true for the app's own paths: of a package that is kept whole, or laid over the root by the
    /// recipe.
    pub fn is_apps_own(&self, path: &[u8]) -> bool {
        self.is_whole(path) || TreePath::new(path).is_ok_and(|path| self.overlay.contains(&path))
    }

    /// Returns the package of a path; of a directory only if all below it is of one.
    pub fn sole_package(&self, candidate: &Candidate<'a>) -> Option<&'a str> {
        let below =
            self.sole_owner.get(candidate.path.as_bytes()).filter(|_| candidate.entry.kind.is_directory());
        below.copied().unwrap_or(candidate.package)
    }

    pub fn candidate(&self, path: &'a TreePath, entry: &'a Entry) -> Candidate<'a> {
        let package = self.packages.get(path.as_bytes()).copied();
        Candidate { path, entry, package, used: self.evidence.get(path.as_bytes()).filter(|used| used.any()) }
    }

    /// Returns the case of a path, if the tree has it; follows no links.
    pub fn lookup(&self, path: &[u8]) -> Option<Candidate<'a>> {
        let (found, entry) = self.tree.subtree(path).next()?;
        (found.as_bytes() == path).then(|| self.candidate(found, entry))
    }

    /// Returns the package that a path was surely made by or for: its owner, or, for what a
    /// maintainer script made, the one package that all else in the nearest owned directory is of.
    pub fn package_or_maker(&self, path: &[u8]) -> Option<&'a str> {
        if let Some(package) = self.packages.get(path) {
            return Some(package);
        }
        let mut above = parent(path);
        while let Some(directory) = above.filter(|d| !d.is_empty()) {
            if let Some(sole) = self.sole_owner.get(directory) {
                return *sole;
            }
            if let Some(package) = self.packages.get(directory) {
                return Some(package);
            }
            above = parent(directory);
        }
        None
    }

    /// Returns a file's contents, to be read in part.
    pub fn blob(&self, candidate: &Candidate<'_>) -> Result<Option<Blob>, PruneError> {
        let Some((digest, _)) = candidate.entry.kind.content() else { return Ok(None) };
        let blob = self.store.blob(&digest);
        blob.map(Some).map_err(|source| PruneError::Contents { path: candidate.path.clone(), source })
    }

    /// Returns a file's contents.
    pub fn contents(&self, candidate: &Candidate<'_>) -> Result<Vec<u8>, PruneError> {
        let Some((digest, _)) = candidate.entry.kind.content() else { return Ok(Vec::new()) };
        let contents = self.store.read(&digest);
        contents.map_err(|source| PruneError::Contents { path: candidate.path.clone(), source })
    }

    /// Returns the beginning of a file, at most `length` bytes.
    pub fn head(&self, candidate: &Candidate<'_>, length: usize) -> Result<Vec<u8>, PruneError> {
        let Some(blob) = self.blob(candidate)? else { return Ok(Vec::new()) };
        let mut head = vec![0; length];
        let got = blob.read_at(&mut head, 0).map_err(|source| PruneError::Contents {
            path: candidate.path.clone(),
            source: PathError::new("read", candidate.path.as_path(), source).into(),
        })?;
        head.truncate(got);
        Ok(head)
    }

    /// Returns the needs of an ELF file; each content is read once.
    pub fn elf(&self, candidate: &Candidate<'_>) -> Result<Option<Rc<Linkage>>, PruneError> {
        let Some((digest, size_bytes)) = candidate.entry.kind.content() else { return Ok(None) };
        if size_bytes < 64 {
            return Ok(None);
        }
        if let Some(known) = self.elves.borrow().get(&digest) {
            return Ok(known.clone());
        }
        let elf = self.blob(candidate)?.and_then(|blob| Linkage::read(blob.reader())).map(Rc::new);
        self.elves.borrow_mut().insert(digest, elf.clone());
        Ok(elf)
    }

    /// Keeps a note for the user.
    pub fn note(&self, text: String) {
        self.notes.borrow_mut().insert(text);
    }

    pub fn take_notes(&self) -> BTreeSet<String> {
        self.notes.take()
    }
}

/// Returns the directory above; `None` for the root.
pub(super) fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    Some(path.iter().rposition(|b| *b == b'/').map_or(&[], |slash| &path[..slash]))
}

/// Returns true if a path is one of the directories or lies below one.
pub(super) fn below(path: &[u8], directories: &[&str]) -> bool {
    directories.iter().any(|directory| {
        path.strip_prefix(directory.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    })
}
