//! Which paths of the stage root an app needs: a verdict with a reason for each, then the pruned tree.
//!
//! Comes in: the configured tree, the owners of paths, the evidence of a trace, the recipe's policy, and
//! the store, from which headers of programs, scripts and links' neighbours are read. Goes out: a
//! [`Plan`], which is the same whatever order things came in, and from it the [`Pruned`] tree.
//! Nothing here runs a program, uses the network, or looks at the host.
//!
//! The policy is two short lists in [`rules`]: the first is called once a path, in order, until a
//! rule says keep or drop; the second says which further paths a kept one needs, and is called
//! until nothing new comes up. Paths without a use are dropped.

mod list;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod rules;

pub use list::write_list;
pub use rules::languages_of;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use crate::{
    assemble::Owners,
    digest::Digest,
    error::Hint,
    evidence::{Evidence, UsedList, evidence_of},
    formats::relation,
    recipe::{AppPrune, Recipe},
    store::{Store, StoreError},
    tree::{Globs, InvalidGlob, Tree, TreePath},
    unpack::{Unpacked, UnpackedPackage},
};
use rules::{Candidate, Facts, Needs, Ruling};

/// A fault of planning.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// A glob of the recipe that cannot be read.
    #[error("cannot read a glob of the recipe")]
    Glob {
        /// The fault.
        #[source]
        source: InvalidGlob,
    },
    /// A file of the root whose contents are not to be had.
    #[error("cannot look into /{path}")]
    Contents {
        /// Its path.
        path: TreePath,
        /// The store's error.
        source: StoreError,
    },
}

impl Hint for PruneError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            PruneError::Contents { source, .. } => source.hint(),
            PruneError::Glob { .. } => None,
        }
    }
}

/// The treatment of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// A directory stays for its own sake, whatever of its contents does.
    KeepEmpty,
    /// It goes.
    Drop,
}

/// A verdict and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The treatment.
    pub verdict: Verdict,
    /// The rule that decided: one word.
    pub rule: &'static str,
    /// Why, as a clause without the path; where [`Decision::because`] is set, that path ends it.
    pub reason: String,
    /// The kept path that needs this one; its own decision goes on with the chain.
    pub because: Option<TreePath>,
}

impl Decision {
    /// Returns the whole reason as a clause.
    pub fn text(&self) -> String {
        match &self.because {
            Some(path) => format!("{} /{path}", self.reason),
            None => self.reason.clone(),
        }
    }
}

/// The recipe's rules for pruning.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Packages that are the app: kept whole.
    pub app_packages: BTreeSet<String>,
    /// Other packages that the recipe keeps whole.
    pub keep_packages: BTreeSet<String>,
    /// Paths kept though nothing used them.
    pub keep: Globs,
    /// Paths dropped though something did.
    pub drop: Globs,
    /// Files below `/var` that each grain has copies of.
    pub state: Globs,
    /// Locales whose translations stay ("de", "pt_BR").
    pub locales: Vec<String>,
    /// Whether scripts and styles go that have a minified form beside them.
    pub minified: bool,
    /// How much may stay since kept code imports it; 0: such names are not followed.
    pub imports_bytes: u64,
    /// Whether the recipe itself says so.
    pub imports_set: bool,
    /// Whether the app's packages are kept by folders, as far as something of a folder was used.
    pub folders: bool,
    /// The dependencies of each package, by the names of packages that are there. Libraries in the app's
    /// language that it depends on stay: the app loads them by name when it comes to it.
    pub depends: BTreeMap<String, BTreeSet<String>>,
    /// The most bytes of such libraries' code.
    pub companion_bytes: u64,
    /// Paths that the recipe lays over the root.
    pub overlay: BTreeSet<TreePath>,
    /// Programs that the recipe starts, with their starters.
    pub commands: BTreeMap<TreePath, String>,
}

/// The inputs of [`plan`].
pub struct Inputs<'a> {
    /// The configured tree, with the recipe's files laid over it.
    pub tree: &'a Tree,
    /// The Debian package that a path belongs to.
    pub owner: &'a dyn Fn(&[u8]) -> Option<&'a str>,
    /// The contents that a package ships at a path whose present contents no package ships anywhere.
    pub changed_from: &'a dyn Fn(&TreePath, &Digest) -> Option<Digest>,
    /// The uses that the trace saw.
    pub evidence: &'a Evidence,
    /// The recipe's rules.
    pub policy: &'a Policy,
    /// Where contents are.
    pub store: &'a Store,
}

/// A decision for each path of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The decisions; every path of the tree has one.
    pub decisions: BTreeMap<TreePath, Decision>,
    /// The package of each path that has one.
    pub packages: BTreeMap<TreePath, String>,
    /// How many libraries in the app's language stay for its sake, and how many bytes of code they have.
    pub companions: (usize, u64),
    /// The paths that stay since kept code imports them.
    pub imports: Imports,
    /// Notes for the user: globs that match nothing, needs that a drop took away. Sorted.
    pub warnings: Vec<String>,
}

/// Files that stay since kept code imports them, byte code with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imports {
    /// How many they are.
    pub files: usize,
    /// Their sizes before compression.
    pub bytes: u64,
    /// The largest of them.
    pub largest: Option<(TreePath, u64)>,
    /// Further imports of kept code that are beyond the bound, with sizes. Their own imports are not known.
    pub left_out: BTreeMap<TreePath, u64>,
}

impl Imports {
    /// Returns a warning where a default bound leaves something out.
    fn warning(&self, policy: &Policy) -> Option<String> {
        let (first, _) = self.left_out.first_key_value().filter(|_| !policy.imports_set)?;
        let (files, bytes) = (self.left_out.len(), self.left_out.values().sum::<u64>());
        let (bound, needed) =
            (policy.imports_bytes.div_ceil(1_000_000), (policy.imports_bytes + bytes).div_ceil(1_000_000));
        Some(format!(
            "prune.imports: what code imports is more than {} kB: {files} files with {} kB are left out, /{first} among them; \
             to keep them: [prune] imports = \"{needed} MB\"; to accept that: [prune] imports = \"{bound} MB\"",
            policy.imports_bytes / 1000,
            bytes.div_ceil(1000),
        ))
    }
}

impl Policy {
    /// Returns the recipe's rules, and the dependencies of its app's packages.
    ///
    /// # Errors
    /// [`PruneError::Glob`].
    pub fn of(recipe: &Recipe, unpacked: &Unpacked) -> Result<Self, PruneError> {
        let globs = |list: &[String]| Globs::new(list).map_err(|source| PruneError::Glob { source });
        let mut commands = BTreeMap::new();
        let mut starts = |command: &[String], what: String| {
            if let Some(path) = command.first().and_then(|c| TreePath::new(c.as_bytes()).ok()) {
                commands.entry(path).or_insert(what);
            }
        };
        for service in &recipe.services {
            starts(&service.command, format!("the program of service \"{}\"", service.name));
        }
        if let Some(setup) = &recipe.setup {
            starts(&setup.command, "the program of setup".to_owned());
        }
        Ok(Policy {
            app_packages: recipe.app.packages.iter().cloned().collect(),
            keep_packages: recipe.prune.keep_package.iter().cloned().collect(),
            keep: globs(&recipe.prune.keep)?,
            drop: globs(&recipe.prune.drop)?,
            state: globs(&recipe.app.state)?,
            locales: recipe.prune.locales.clone(),
            minified: recipe.prune.minified,
            imports_bytes: recipe.prune.imports_bytes,
            imports_set: recipe.prune.imports_set,
            folders: recipe.app.prune == AppPrune::Folders,
            depends: depends(recipe, unpacked),
            companion_bytes: recipe.prune.companion_bytes,
            overlay: recipe.files.iter().map(|file| file.path.clone()).collect(),
            commands,
        })
    }
}

/// Returns which installed packages each installed package names in Depends.
fn depends(recipe: &Recipe, unpacked: &Unpacked) -> BTreeMap<String, BTreeSet<String>> {
    let of = |package: &UnpackedPackage| {
        let depends = package.control.get("Depends").unwrap_or_default();
        let groups = relation::parse(depends, &recipe.debian.architecture).unwrap_or_default();
        let names = groups.iter().flat_map(|group| &group.alternatives).map(|relation| relation.name);
        names.filter(|name| unpacked.get(name).is_some()).map(str::to_owned).collect()
    };
    unpacked.packages.iter().map(|package| (package.locked.name.clone(), of(package))).collect()
}

impl Plan {
    /// Returns the package of each kept path that has one.
    pub fn kept_packages(&self) -> impl Iterator<Item = (&TreePath, &str)> {
        let is_kept = |path: &TreePath| {
            self.decisions.get(path).is_some_and(|decision| decision.verdict != Verdict::Drop)
        };
        self.packages
            .iter()
            .filter(move |(path, _)| is_kept(path))
            .map(|(path, package)| (path, &package[..]))
    }

    /// Returns true if the path stays.
    pub fn keeps(&self, path: &[u8]) -> bool {
        self.decisions.get(path).is_some_and(|d| d.verdict != Verdict::Drop)
    }

    /// Returns the decision for a path and those that led to it, one step each.
    pub fn chain(&self, path: &TreePath) -> Vec<(TreePath, &Decision)> {
        let mut out: Vec<(TreePath, &Decision)> = Vec::new();
        let mut at = Some(path);
        while let Some((path, decision)) = at.and_then(|p| self.decisions.get_key_value(p)) {
            if out.iter().any(|(seen, _)| seen == path) {
                break;
            }
            out.push((path.clone(), decision));
            at = decision.because.as_ref();
        }
        out
    }

    /// Returns the surplus of packages that are kept whole, in bytes before compression, by the reason.
    pub fn surplus(&self, tree: &Tree) -> BTreeMap<&str, u64> {
        let mut out = BTreeMap::new();
        for (path, decision) in &self.decisions {
            if decision.verdict == Verdict::Drop && decision.rule == rules::INSIDE {
                let content = tree.get(path.as_bytes()).and_then(|entry| entry.kind.content());
                *out.entry(&decision.reason[..]).or_default() +=
                    content.map_or(0, |(_, size_bytes)| size_bytes);
            }
        }
        out
    }

    /// Sums up what imports keep in a tree.
    fn imports_in(&self, tree: &Tree) -> Imports {
        let by_imports = |decision: &Decision| decision.rule == rules::IMPORTS;
        let mut imports = Imports::default();
        for (path, decision) in &self.decisions {
            // The byte code of an imported source is kept for the source, and so are the compiled parts of a
            // module.
            let source = decision.because.as_ref().and_then(|source| self.decisions.get(source));
            let is_part = path.as_bytes().ends_with(b".pyc") || decision.rule == rules::PERL;
            let is_byte_code = is_part && source.is_some_and(by_imports);
            let content = tree.get(path.as_bytes()).and_then(|entry| entry.kind.content());
            let Some((_, bytes)) = content.filter(|_| by_imports(decision) || is_byte_code) else { continue };
            imports.files += 1;
            imports.bytes += bytes;
            if imports.largest.as_ref().is_none_or(|(_, most)| bytes > *most) {
                imports.largest = Some((path.clone(), bytes));
            }
        }
        imports
    }

    /// Returns the packages of which a file or link stays, sorted.
    pub fn packages_kept(&self, tree: &Tree) -> BTreeSet<String> {
        let files = self.packages.iter().filter(|(path, _)| {
            self.keeps(path.as_bytes()) && tree.get(path.as_bytes()).is_some_and(|e| !e.kind.is_directory())
        });
        files.map(|(_, package)| package.clone()).collect()
    }
}

/// A tree after pruning, with the reason for each path.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// The paths that stayed.
    pub tree: Tree,
    /// Why.
    pub plan: Plan,
}

/// Decides about every path of a tree.
///
/// # Errors
/// [`PruneError::Contents`] where a file that must be looked into is not in the store.
pub fn plan(inputs: &Inputs<'_>) -> Result<Plan, PruneError> {
    let facts = Facts::new(inputs)?;
    let mut planner =
        Planner { plan: Plan::default(), final_drops: BTreeSet::new(), warnings: BTreeSet::new() };
    for (path, entry) in inputs.tree.iter() {
        let candidate = facts.candidate(path, entry);
        planner.first_ruling(&candidate, &facts);
        if let Some(package) = facts.sole_package(&candidate) {
            planner.plan.packages.insert(path.clone(), package.to_owned());
        }
    }
    let left_out = planner.follow_needs(&facts)?;
    planner.keep_parents(inputs.tree);
    for glob in inputs.policy.keep.unmatched(inputs.tree) {
        planner.warnings.insert(format!("prune.keep: `{glob}` matches nothing"));
    }
    for glob in inputs.policy.drop.unmatched(inputs.tree) {
        planner.warnings.insert(format!("prune.drop: `{glob}` matches nothing"));
    }
    for glob in inputs.policy.state.unmatched(inputs.tree) {
        planner.warnings.insert(format!("app.state: `{glob}` matches nothing"));
    }
    for package in inputs.policy.app_packages.iter().chain(&inputs.policy.keep_packages) {
        if !facts.by_package.contains_key(&package[..]) {
            planner.warnings.insert(format!("package {package} is to be kept whole but owns nothing here"));
        }
    }
    planner.plan.companions = (facts.companions.count(), facts.companions.kept_bytes);
    for (package, bytes) in &facts.companions.left_out {
        planner.warnings.insert(format!(
            "{package} is a library in the app's language and is over the budget of prune.companions with its {bytes} \
             bytes; to have it whole: [prune] keep_package = [\"{package}\"]"
        ));
    }
    planner.warnings.extend(facts.take_notes());
    let stays = |path: &TreePath| planner.plan.keeps(path.as_bytes());
    planner.warnings.extend(facts.secrets.warnings(&facts, stays));
    planner.plan.imports = planner.plan.imports_in(inputs.tree);
    planner.plan.imports.left_out =
        left_out.into_iter().filter(|(path, _)| !planner.plan.keeps(path.as_bytes())).collect();
    planner.warnings.extend(planner.plan.imports.warning(inputs.policy));
    planner.plan.warnings = planner.warnings.into_iter().collect();
    Ok(planner.plan)
}

/// A plan in the making.
struct Planner {
    plan: Plan,
    /// Drops that no need overrules.
    final_drops: BTreeSet<TreePath>,
    warnings: BTreeSet<String>,
}

impl Planner {
    /// Applies the rules to one path.
    fn first_ruling(&mut self, candidate: &Candidate<'_>, facts: &Facts<'_>) {
        let (rule, ruling) = rules::first_ruling(candidate, facts);
        let kept = if candidate.entry.kind.is_directory() { Verdict::KeepEmpty } else { Verdict::Keep };
        let (verdict, reason) = match ruling {
            Ruling::Keep(reason) => (kept, reason),
            Ruling::Drop(reason) => (Verdict::Drop, reason),
            Ruling::Forbid(reason) => {
                self.final_drops.insert(candidate.path.clone());
                (Verdict::Drop, reason)
            }
            Ruling::Pass => (Verdict::Drop, "nothing asked for it".to_owned()),
        };
        self.plan.decisions.insert(candidate.path.clone(), Decision { verdict, rule, reason, because: None });
    }

    /// Finds what else is needed, round by round, until nothing new comes up. Rounds make the
    /// chains short, and path order within a round makes them the same each time. Returns the imports that
    /// had no room.
    fn follow_needs(&mut self, facts: &Facts<'_>) -> Result<BTreeMap<TreePath, u64>, PruneError> {
        let kept = self.plan.decisions.iter().filter(|(_, d)| d.verdict != Verdict::Drop);
        let mut frontier: BTreeSet<TreePath> = kept.map(|(path, _)| path.clone()).collect();
        let mut state = rules::State::default();
        while !frontier.is_empty() {
            let mut next = BTreeSet::new();
            for path in &frontier {
                let Some(entry) = facts.tree.get(path.as_bytes()) else { continue };
                let candidate = facts.candidate(path, entry);
                let decision = self.plan.decisions[path].clone();
                for (rule, consequence) in rules::CONSEQUENCES {
                    let mut needs = Needs::default();
                    consequence(&candidate, &decision, facts, &mut state, &mut needs)?;
                    for (needed, reason) in needs.take() {
                        if self.need(&needed, rule, reason, path, facts) {
                            next.insert(needed);
                        }
                    }
                }
            }
            frontier = next;
        }
        Ok(state.account.left_out)
    }

    /// Keeps what a kept path needs; returns true if that is new.
    fn need(
        &mut self,
        needed: &TreePath,
        rule: &'static str,
        reason: String,
        because: &TreePath,
        facts: &Facts<'_>,
    ) -> bool {
        let Some(decision) = self.plan.decisions.get_mut(needed) else { return false };
        if decision.verdict != Verdict::Drop {
            return false;
        }
        if self.final_drops.contains(needed) {
            if decision.rule == rules::RECIPE {
                self.warnings.insert(format!("prune.drop takes away /{needed}: {reason} /{because}"));
            }
            return false;
        }
        let directory = facts.tree.get(needed.as_bytes()).is_some_and(|e| e.kind.is_directory());
        let verdict = if directory { Verdict::KeepEmpty } else { Verdict::Keep };
        *decision = Decision { verdict, rule, reason, because: Some(because.clone()) };
        true
    }

    /// Keeps the directories above kept paths.
    fn keep_parents(&mut self, tree: &Tree) {
        let mut parents = BTreeMap::new();
        for (path, decision) in &self.plan.decisions {
            if decision.verdict != Verdict::Drop {
                for parent in path.ancestors() {
                    parents.entry(parent).or_insert_with(|| path.clone());
                }
            }
        }
        for (parent, child) in parents {
            let Some(decision) = self.plan.decisions.get_mut(&parent) else { continue };
            let directory = tree.get(parent.as_bytes()).is_some_and(|e| e.kind.is_directory());
            if directory && decision.verdict == Verdict::Drop {
                let (reason, because) = ("holds".to_owned(), Some(child));
                *decision = Decision { verdict: Verdict::Keep, rule: "parent", reason, because };
            }
        }
    }
}

/// Prunes a stage root by a recipe and its used.list: [`plan`], then [`apply`].
///
/// `stage` is the configured tree with the recipe's files laid over it, not yet an image.
///
/// # Errors
/// As [`Policy::of`] and [`plan`].
pub fn prune(
    stage: &Tree,
    owners: &Owners,
    used: &UsedList,
    recipe: &Recipe,
    unpacked: &Unpacked,
    store: &Store,
) -> Result<Pruned, PruneError> {
    let owner = |path: &[u8]| owners.owner(path);
    let files = unpacked.packages.iter().flat_map(|package| package.tree.iter());
    let contents: HashMap<&TreePath, Digest> =
        files.filter_map(|(path, entry)| Some((path, entry.kind.content()?.0))).collect();
    let shipped = unpacked.contents();
    let changed_from =
        |path: &TreePath, now: &Digest| contents.get(path).copied().filter(|_| !shipped.contains(now));
    let inputs = Inputs {
        tree: stage,
        owner: &owner,
        changed_from: &changed_from,
        evidence: &evidence_of(used),
        policy: &Policy::of(recipe, unpacked)?,
        store,
    };
    Ok(apply(stage, plan(&inputs)?))
}

/// Returns the tree that a plan leaves.
pub fn apply(tree: &Tree, plan: Plan) -> Pruned {
    let kept = tree.iter().filter(|(path, _)| plan.keeps(path.as_bytes()));
    let mut tree: Tree = kept.map(|(path, entry)| (path.clone(), entry.clone())).collect();
    tree.regroup_hard_links();
    Pruned { tree, plan }
}

#[cfg(test)]
mod tests;
