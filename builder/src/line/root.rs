//! From a recipe folder to its configured root with the recipe's files on it: where several commands begin.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    app,
    assemble::{Assembled, assemble},
    cli::{Context, Failure, hinted},
    configure::{Configured, Visit, Wanted, configure},
    fetch::{FetchError, fetch},
    line::{lock::request, sources},
    lock::{Lock, LockedPackage},
    npm::{self, NpmError, Registry},
    recipe::{self, Recipe},
    tree::Tree,
    unpack::{Unpacked, unpack},
};

/// How long each stage took, in the order of the line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(pub Vec<(&'static str, Duration)>);

impl Times {
    /// Does the work of a stage and notes how long it took.
    pub fn measure<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let outcome = work();
        self.0.push((stage, began.elapsed()));
        outcome
    }
}

/// A recipe's root, and what it was made from.
pub(crate) struct Staged {
    /// The recipe.
    pub recipe: Recipe,
    /// Its lock.
    pub lock: Lock,
    /// Its packages.
    pub unpacked: Unpacked,
    /// Its packages as one tree, before any script ran.
    pub assembled: Assembled,
    /// Its root; [`stage`] lays the recipe's npm packages and files over it.
    pub configured: Configured,
    /// How long it took to get here.
    pub times: Times,
}

/// Makes the root of a recipe, from the store where that has it, and lays the recipe's npm packages and files over it.
pub(crate) fn stage(folder: &Path, context: &Context) -> Result<Staged, Failure> {
    stage_recipe(recipe::read(folder)?, context)
}

/// As [`stage`], of a recipe that was read already.
pub(crate) fn stage_recipe(recipe: Recipe, context: &Context) -> Result<Staged, Failure> {
    let (packages, took) = npm_packages(&recipe, context)?;
    let mut staged = plain_root(recipe, context, false, None)?;
    let Staged { recipe, configured, times, .. } = &mut staged;
    for (set, packages) in recipe.npm.iter().zip(packages) {
        npm::lay(set, packages, &mut configured.tree, &mut configured.owners, configured.epoch_s)?;
    }
    times.0.splice(0..0, took.0);
    let Configured { tree, epoch_s, .. } = &mut staged.configured;
    app::lay_files(tree, &staged.recipe, &*context.store()?, *epoch_s)?;
    Ok(staged)
}

/// What is waited for before downloads are relied on.
const TRIMS: &str = "trims the cache";

/// Returns the tree of each of a recipe's npm sets, before anything is configured: nothing needs a network then.
fn npm_packages(recipe: &Recipe, context: &Context) -> Result<(Vec<Tree>, Times), Failure> {
    let mut times = Times::default();
    if recipe.npm.is_empty() {
        return Ok((Vec::new(), times));
    }
    read_lock(recipe)?;
    let (registry, downloader) = (sources::npm_registry(context), sources::registry_downloader(context));
    let store = context.store()?;
    let wait = || context.progress.wait_for_another(TRIMS);
    let _relying = store.rely_on_downloads(wait);
    let pool = sources::pool(context)?;
    let registry = Registry { url: registry.as_deref(), pool: pool.as_deref() };
    let unpack = |set| npm::unpack(set, registry, &store, &downloader, &context.progress);
    let trees: Result<_, NpmError> = times.measure("npm", || recipe.npm.iter().map(unpack).collect());
    let trees = trees.map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        hinted(error, hint)
    })?;
    Ok((trees, times))
}

/// Makes the root of a recipe as Debian alone has it, with the owners of its files if they matter (`owners`). `visit` is shown it if
/// its packages cannot be configured.
pub(crate) fn plain_root(
    recipe: Recipe,
    context: &Context,
    owners: bool,
    visit: Option<&Visit<'_>>,
) -> Result<Staged, Failure> {
    let lock = read_lock(&recipe)?;
    let mut times = Times::default();
    let store = context.store()?;
    let progress = &context.progress;
    let mut mirrors = sources::mirrors(context, &recipe.debian, &lock)?;
    if let Some(pool) = sources::pool(context)? {
        mirrors.add_pool(&pool);
    }
    let downloader = sources::downloader(context);
    let wait = || progress.wait_for_another(TRIMS);
    let relying = store.rely_on_downloads(wait);
    let fetched = times.measure("fetch", || fetch(&lock, &mirrors, &store, &downloader, progress));
    let fetched = fetched.map_err(|error| not_fetched(&recipe, context, error))?;
    let unpacked = times.measure("unpack", || unpack(&fetched, &store, progress))?;
    let assembled = times.measure("assemble", || assemble(&unpacked))?;
    drop(relying);
    let wanted = Wanted { answers: &recipe.debian.debconf, owners };
    let configured = times
        .measure("configure", || configure(&unpacked, &assembled, &lock, wanted, &store, progress, visit));
    let configured = configured.map_err(|error| {
        let look = (error.is_of_script() && visit.is_none()).then(|| {
            let recipe = recipe.directory.display();
            format!("look inside with `tinyroot stage {recipe} --output DIR --shell-on-failure`")
        });
        let hint = error.hint().map(str::to_owned).or(look);
        hinted(error, hint)
    })?;
    Ok(Staged { recipe, lock, unpacked, assembled, configured, times })
}

/// How many packages are named that have moved on.
const MOST_MOVED: usize = 6;

/// Makes the failure for packages that could not be fetched. Where a whole suite is missing, it says so, as `resolve` does.
fn not_fetched(recipe: &Recipe, context: &Context, error: FetchError) -> Failure {
    let gone = error.gone();
    let suites: BTreeSet<&str> = gone.iter().map(|package| package.suite.as_str()).collect();
    if let Some(failure) = sources::missing_suite(context, &recipe.debian, &suites) {
        return failure;
    }
    let moved = moved(recipe, context, &gone);
    let folder = recipe.directory.display().to_string();
    let hint = error.hint().map(|hint| moved + &hint.replace("lock RECIPE", &format!("lock {folder}")));
    hinted(error, hint)
}

/// Says of locked packages that have left the archive what it has in their place, as far as that can be
/// found out.
fn moved(recipe: &Recipe, context: &Context, gone: &[&LockedPackage]) -> String {
    if gone.is_empty() {
        return String::new();
    }
    let Ok(archive) = sources::open_of(context, &recipe.debian) else { return String::new() };
    let Ok(universe) = sources::universe(&archive, &recipe.debian.pins) else { return String::new() };
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

/// Reads the lock of a recipe, which must be one for what the recipe asks for now.
pub(crate) fn read_lock(recipe: &Recipe) -> Result<Lock, Failure> {
    let path = recipe.lock_path();
    let lock = Lock::read(&path).map_err(|error| {
        let hint = error.hint();
        hinted(error, hint)
    })?;
    if !lock.matches(&recipe.debian.suite, &recipe.debian.architecture, &request(recipe)) {
        let text = format!("{} was made for other packages than the recipe now asks for", path.display());
        let hint = format!("make it anew with `tinyroot lock {}`", recipe.directory.display());
        return Err(Failure::drifted(text).hint(hint));
    }
    Ok(lock)
}
