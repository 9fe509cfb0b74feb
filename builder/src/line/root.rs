//! From a recipe to its root: configured as Debian has it, then with the recipe's own files and npm packages
//! laid over it.
//!
//! Comes in: a recipe, with its lock beside it, and a session. Goes out: [`Configured`], and from that
//! [`Overlaid`], which trace and image take. After fetching nothing here needs a network.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{LineError, Session, lock::read_lock, sources::universe};
use crate::{
    assemble::{Assembled, Owners, assemble},
    configure::{self, OnScriptFailure, Wanted},
    error::Hint,
    fetch::{FetchError, fetch},
    lock::{Lock, LockedPackage},
    npm::{self, NpmError},
    overlay,
    recipe::Recipe,
    tree::Tree,
    unpack::{Unpacked, unpack},
};

/// How long each stage took, in the order of the line.
#[derive(Clone, Debug, Default)]
pub struct Times(pub Vec<(&'static str, Duration)>);

impl Times {
    /// Does the work of a stage and notes how long it took.
    pub fn measure<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let outcome = work();
        self.0.push((stage, began.elapsed()));
        outcome
    }
}

/// The sources of a root.
pub struct Sources {
    /// The recipe. What it says of pruning, reducing and the exercise may change after the root is made.
    pub recipe: Recipe,
    /// Its lock.
    pub lock: Lock,
    /// Its packages.
    pub unpacked: Unpacked,
    /// Its packages as one tree, before any script ran.
    pub assembled: Assembled,
    /// How long it took to get here.
    pub times: Times,
}

/// The root of a recipe as Debian alone has it: all maintainer scripts have run.
pub struct Configured {
    /// Its sources.
    pub sources: Sources,
    root: configure::Configured,
}

impl Configured {
    /// Returns the root.
    pub fn tree(&self) -> &Tree {
        &self.root.tree
    }

    /// Lays the recipe's npm packages and files over the root.
    fn overlay(self, packages: Vec<Tree>, session: &Session) -> Result<Overlaid, LineError> {
        let Configured { sources, mut root } = self;
        let recipe = &sources.recipe;
        for (set, packages) in recipe.npm.iter().zip(packages) {
            npm::lay(set, packages, &mut root.tree, &mut root.owners, root.epoch_s)?;
        }
        overlay::apply(&mut root.tree, recipe, &session.store, root.epoch_s)?;
        Ok(Overlaid { sources, root })
    }
}

/// The full root of a recipe, with its npm packages and files: nothing is pruned yet.
pub struct Overlaid {
    /// Its sources.
    pub sources: Sources,
    root: configure::Configured,
}

impl Overlaid {
    /// Returns the root, in stage paths.
    pub fn tree(&self) -> &Tree {
        &self.root.tree
    }

    /// Returns which package each path belongs to.
    pub fn owners(&self) -> &Owners {
        &self.root.owners
    }

    /// Returns the package of a path of the root.
    pub fn owner(&self, path: &[u8]) -> Option<String> {
        self.root.owners.owner(path).map(str::to_owned)
    }

    /// Returns the time that nothing in the root is newer than.
    pub fn epoch_s(&self) -> i64 {
        self.root.epoch_s
    }
}

/// Makes the full root of a recipe, from the store where that has it.
///
/// # Errors
/// The first stage that fails.
pub fn overlay(recipe: Recipe, session: &Session) -> Result<Overlaid, LineError> {
    let (packages, mut times) = npm_packages(&recipe, session)?;
    let mut configured = configure(recipe, false, None, session)?;
    times.0.append(&mut configured.sources.times.0);
    configured.sources.times = times;
    configured.overlay(packages, session)
}

/// The name of the work that is waited for before downloads are relied on.
pub(super) const TRIMS: &str = "trims the cache";

/// Returns the tree of each of a recipe's npm sets, before anything is configured: nothing needs a network
/// then.
fn npm_packages(recipe: &Recipe, session: &Session) -> Result<(Vec<Tree>, Times), LineError> {
    let mut times = Times::default();
    if recipe.npm.is_empty() {
        return Ok((Vec::new(), times));
    }
    read_lock(recipe)?;
    let Session { store, progress, .. } = session;
    let downloader = session.registry_downloader();
    let _relying = store.rely_on_downloads(|| progress.wait_for_another(TRIMS));
    let unpack = |set| npm::unpack(set, session.registry(), store, &downloader, progress);
    let trees: Result<_, NpmError> = times.measure("npm", || recipe.npm.iter().map(unpack).collect());
    Ok((trees?, times))
}

/// Makes the root of a recipe as Debian alone has it, with the owners of its files if they matter (`owners`).
/// `visit` is shown it if its packages cannot be configured.
///
/// # Errors
/// The first stage that fails.
pub fn configure(
    recipe: Recipe,
    owners: bool,
    visit: Option<&OnScriptFailure<'_>>,
    session: &Session,
) -> Result<Configured, LineError> {
    let Session { store, progress, .. } = session;
    let lock = read_lock(&recipe)?;
    let mut times = Times::default();
    let mirrors = session.mirrors_of(&recipe.debian, &lock)?;
    let downloader = session.downloader();
    let relying = store.rely_on_downloads(|| progress.wait_for_another(TRIMS));
    let fetched = times.measure("fetch", || fetch(&lock, &mirrors, store, &downloader, progress));
    let fetched = fetched.map_err(|error| not_fetched(&recipe, session, error))?;
    let unpacked = times.measure("unpack", || unpack(&fetched, store, progress))?;
    let assembled = times.measure("assemble", || assemble(&unpacked))?;
    drop(relying);
    let wanted = Wanted { answers: &recipe.debian.debconf, owners };
    let turn = session.turn("configure");
    let root = times.measure("configure", || {
        configure::configure(&unpacked, &assembled, &lock, wanted, store, progress, visit)
    });
    drop(turn);
    let root = root.map_err(|error| {
        let look = (error.is_of_script() && visit.is_none()).then(|| {
            let recipe = recipe.directory.display();
            format!("look inside with `tinyroot stage {recipe} --output DIR --shell-on-failure`")
        });
        let error = LineError::from(error);
        let hint = error.hint().map(Cow::into_owned).or(look);
        error.with_hint(hint)
    })?;
    Ok(Configured { sources: Sources { recipe, lock, unpacked, assembled, times }, root })
}

/// How many packages are named that have moved on.
const MOST_MOVED: usize = 6;

/// Makes the error for packages that could not be fetched. Where a whole suite is missing, it says so, as
/// `resolve` does.
fn not_fetched(recipe: &Recipe, session: &Session, error: FetchError) -> LineError {
    let gone = error.gone();
    let suites: BTreeSet<&str> = gone.iter().map(|package| package.suite.as_str()).collect();
    if let Some(missing) = session.missing_suite(&recipe.debian, &suites) {
        return missing;
    }
    let moved = moved(recipe, session, &gone);
    let folder = recipe.directory.display().to_string();
    let hint = error.hint().map(|hint| moved + &hint.replace("lock RECIPE", &format!("lock {folder}")));
    LineError::from(error).with_hint(hint)
}

/// Says of locked packages that have left the archive what it has in their place, as far as that can be
/// found out.
fn moved(recipe: &Recipe, session: &Session, gone: &[&LockedPackage]) -> String {
    if gone.is_empty() {
        return String::new();
    }
    let Ok(archive) = session.open_of(&recipe.debian) else { return String::new() };
    let Ok(universe) = universe(&archive, &recipe.debian.pins) else { return String::new() };
    let now = |name: &str| universe.find(name).map(|id| universe.package(id).version);
    let lines = gone.iter().filter_map(|package| match now(&package.name) {
        Some(version) if version == package.version => None,
        Some(version) => {
            Some(format!("{} is at {version} now; {} was locked\n", package.name, package.version))
        }
        None => Some(format!(
            "{} {} was locked and is not in the archive any more\n",
            package.name, package.version
        )),
    });
    let lines: Vec<String> = lines.collect();
    let more = match lines.len().saturating_sub(MOST_MOVED) {
        0 => String::new(),
        more => format!("and {more} more moved on\n"),
    };
    lines.into_iter().take(MOST_MOVED).collect::<String>() + &more
}
