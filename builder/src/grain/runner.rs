//! Runs an app as a grain on this machine: in the foreground ([`run`]), or behind a front end that routes requests to it ([`start`]).
//!
//! Comes in: an artifact's tree, or one that could become an artifact, and the directory of one grain. Goes out: the app's exit, after
//! a request to stop or the end of a service. Until then, a port of the host's loopback is forwarded to the grain's web port. One grain runs once at a time. Nothing here reaches another machine.

use std::{
    borrow::Cow,
    fs::File,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Base, Grain, GrainError, GrainOptions, Log, OnLine,
    library::{LockError, lock},
};
use crate::{
    artifact::Artifact,
    error::{At as _, Hint, PathError},
    evidence::{Miss, MissSink, Pruned, Reader},
    formats::prune_list::PruneList,
    image::services,
    papers::{self, EnclosedError, enclosed_recipe, pruned_of},
    proxy::{self, Front, Guards, ListenError},
    recipe::Recipe,
    sandbox::{Exit, Running},
    store::Store,
    tree::Tree,
    view,
};

/// Which grain of which artifact is run, and how it is heard of.
pub struct RunOptions {
    /// The directory of this grain: `var`, `log`, `lock`. Made if needed.
    pub directory: PathBuf,
    /// The port on the host's loopback; by default the first free one from 8000.
    pub port: Option<u16>,
    /// Who is let through to the app.
    pub guards: Guards,
    /// Called with each line that the services print.
    pub on_line: OnLine,
    /// Takes each pruned path that the app asks for or names in its output, and each directory that it lists without its pruned
    /// names.
    pub misses: Arc<MissSink>,
    /// Called with each further request to stop while services still have time to end, with the rest of that time.
    pub on_impatience: OnImpatience,
}

/// Called with the time that services still have to end.
pub type OnImpatience = Box<dyn Fn(Duration) + Send>;

/// Why an artifact does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The recipe that the artifact encloses.
    #[error(transparent)]
    Enclosed(#[from] EnclosedError),
    /// A file of the grain.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The grain's directory cannot be locked: it may be running already.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No port on the host.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The host refuses what running any app takes.
    #[error("this host does not let the app run")]
    Host(#[source] GrainError),
    /// The app does not start.
    #[error("the app does not start")]
    Grain(#[source] GrainError),
    /// Its root was not served well.
    #[error("the FUSE view of the root reported errors while the app ran")]
    Served(#[source] GrainError),
}

impl RunError {
    /// Returns the error of a grain, by who is at fault.
    fn of(error: GrainError) -> Self {
        if error.is_of_host() { RunError::Host(error) } else { RunError::Grain(error) }
    }
}

impl Hint for RunError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            RunError::Host(error) | RunError::Grain(error) | RunError::Served(error) => error.hint(),
            RunError::Lock(error) => error.hint(),
            RunError::Listen(error) => error.hint(),
            RunError::Enclosed(error) => error.hint(),
            RunError::Io(error) => error.hint(),
        }
    }
}

/// What is run.
pub struct App {
    /// A furnished tree.
    pub tree: Arc<Tree>,
    /// What is started on it.
    pub recipe: Recipe,
    /// What it lacks of the full root, by furnished paths.
    pub pruned: Arc<Pruned>,
    /// Whether listings show pruned names ([`view::Options::show_pruned`]), so that programs which look for names in listings
    /// miss them. It changes what the app sees.
    pub show_pruned: bool,
}

impl App {
    /// Returns what an artifact holds.
    ///
    /// # Errors
    /// [`RunError::Enclosed`].
    pub fn of_artifact(artifact: Artifact, store: &Store) -> Result<Self, RunError> {
        let recipe = enclosed_recipe(&artifact.tree, store)?;
        let pruned = Arc::new(pruned_of(&artifact.tree, store));
        Ok(App { tree: Arc::new(artifact.tree), recipe, pruned, show_pruned: false })
    }
}

/// How one grain is started.
pub struct StartOptions {
    /// The directory of this grain.
    pub directory: PathBuf,
    /// Called with each line that the services print.
    pub on_line: OnLine,
    /// Takes each pruned path that the app asks for or names in its output, and each directory that it lists without its pruned
    /// names.
    pub misses: Arc<MissSink>,
}

/// A grain that runs, and holds the lock of its directory until it is dropped.
pub struct Instance {
    /// The grain; its services were ready when it started.
    pub grain: Grain,
    _lock: File,
}

/// Starts an app as a grain and waits until its services are ready. `on_start` is given its processes before that, so that a
/// start can be ended.
///
/// # Errors
/// [`RunError`]; [`RunError::hint`] says what would help.
pub fn start(
    app: &App,
    store: &Arc<Store>,
    options: StartOptions,
    on_start: impl FnOnce(Arc<Running>) -> io::Result<()>,
) -> Result<Instance, RunError> {
    let lock = lock(&options.directory)?;
    start_locked(app, store, options, lock, on_start)
}

fn start_locked(
    app: &App,
    store: &Arc<Store>,
    options: StartOptions,
    lock: File,
    on_start: impl FnOnce(Arc<Running>) -> io::Result<()>,
) -> Result<Instance, RunError> {
    let StartOptions { directory, on_line, misses } = options;
    let asked = misses.clone();
    let (of_tree, of_store, list) = (app.tree.clone(), store.clone(), OnceLock::new());
    let asked: view::OnMiss = Box::new(move |miss| {
        let mut miss = Miss::of(miss);
        if miss.is_write() {
            let list: &PruneList =
                list.get_or_init(|| papers::prune_list(&of_tree, &of_store).unwrap_or_default());
            miss.package =
                list.paths.get(&miss.path).and_then(|listed| Some(listed.package.as_deref()?.to_owned()));
        }
        asked.add(&miss);
    });
    let (tree, pruned) = (app.tree.clone(), app.pruned.clone());
    let base = match app.show_pruned {
        true => Base::showing(tree, store, pruned, Some(asked)),
        false => Base::new(tree, store, false, Some(pruned), Some(asked)),
    };
    let base = base.map_err(RunError::of)?;
    let log_path = directory.join("log");
    let log = Log::to_file(&log_path);
    let log = log.at("open", &log_path)?;
    let mut grain_options = GrainOptions::of(&app.recipe, &directory.join("var"));
    grain_options.log = Arc::new(log.telling(reading(app, on_line, misses)));
    let grain = Grain::start_with(Arc::new(base), grain_options, on_start).map_err(RunError::of)?;
    Ok(Instance { grain, _lock: lock })
}

/// Returns what passes each line on, and reads it for names of what was pruned.
fn reading(app: &App, on_line: OnLine, sink: Arc<MissSink>) -> OnLine {
    let reader = Mutex::new(Reader::new(app.pruned.clone(), app.tree.clone()));
    Box::new(move |line| {
        on_line(line);
        sink.read_line(line);
        let misses = reader.lock().unwrap_or_else(PoisonError::into_inner).read(line);
        misses.iter().for_each(|miss| sink.add(miss));
    })
}

/// Runs an app until it ends or `stopped`, which waits for the next request to stop, returns: then it is asked to stop. Further
/// requests change nothing while its services have time to end ([`services::stop_limit_s`]); one after that kills it. `on_ready` is
/// given its URL.
///
/// # Errors
/// [`RunError`]; [`RunError::hint`] says what would help.
pub fn run(
    app: App,
    store: &Arc<Store>,
    stopped: impl Fn() + Send + 'static,
    options: RunOptions,
    on_ready: impl FnOnce(Option<&str>, &Base),
) -> Result<Exit, RunError> {
    let RunOptions { directory, port, guards, on_line, misses, on_impatience } = options;
    let limit = Duration::from_secs(services::stop_limit_s(&app.recipe));
    let lock = lock(&directory)?;
    let listener = match &app.recipe.web {
        Some(_) => Some(proxy::listen(port, proxy::PORTS)?),
        None => None,
    };
    let options = StartOptions { directory, on_line, misses };
    let Instance { mut grain, _lock } =
        start_locked(&app, store, options, lock, |running| heed(stopped, running, limit, on_impatience))?;
    let url = listener.as_ref().and_then(|listener| proxy::url(listener).ok());
    if let (Some(listener), Some(web), Some(running)) = (listener, app.recipe.web, grain.running()) {
        let forwarding = proxy::forward(listener, running, Front { web, guards, on_request: None });
        forwarding.map_err(|source| RunError::of(GrainError::Thread(source)))?;
    }
    on_ready(url.as_deref(), grain.base());
    let exit = grain.wait();
    grain.stop().map_err(RunError::Served)?;
    Ok(exit)
}

/// From now on the first request asks the grain to stop. Its first process then ends within the limit, so a further request, such as
/// the second of two that a terminal and a parent process both pass on, needs to do nothing; one after the limit kills the grain.
fn heed(
    stopped: impl Fn() + Send + 'static,
    running: Arc<Running>,
    limit: Duration,
    on_impatience: OnImpatience,
) -> io::Result<()> {
    let watch = std::thread::Builder::new().name("signals".into());
    watch.spawn(move || {
        stopped();
        let _ = running.signal(libc::SIGTERM);
        let end = Instant::now() + limit;
        loop {
            stopped();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return running.kill();
            }
            on_impatience(left);
        }
    })?;
    Ok(())
}
