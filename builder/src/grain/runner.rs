//! Runs an app as a grain on this machine: in the foreground ([`run`]), or behind a front end that routes
//! requests to it ([`start`]).
//!
//! Input: a [`RunnableApp`] and the directory of one grain. Output: the app's exit status, after a request to
//! stop or the end of a service. Until then a port of the host's loopback is forwarded to the grain's web
//! port. The lock of its directory makes sure that a grain runs once at a time. Nothing here reaches another
//! machine, and nothing here reads an artifact: `artifact::app` makes the [`RunnableApp`].

use std::{
    borrow::Cow,
    fs::File,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Grain, GrainError, GrainRoot, GrainSpec, Log, OnLine, RootOptions,
    library::{LockError, lock},
};
use crate::{
    error::{At as _, Hint, PathError},
    evidence::{Miss, MissSink, Pruned, Reader},
    image::services,
    proxy::{self, Front, Guards, ListenError},
    recipe::Recipe,
    sandbox::{Exit, Running},
    store::Store,
    tree::{Tree, TreePath},
    view,
};

/// How a grain runs in the foreground.
pub struct RunOptions {
    /// The directory of this grain: `var`, `log`, `lock`. Made if needed.
    pub directory: PathBuf,
    /// The port on the host's loopback; by default the first free one from 8000.
    pub port: Option<u16>,
    /// Who is let through to the app.
    pub guards: Guards,
    /// Called with each line that the services print.
    pub on_line: OnLine,
    /// Takes each miss: a pruned path that the app accesses or names in its output, a directory that it lists
    /// without its pruned names, a write to shipped state.
    pub misses: Arc<MissSink>,
    /// Called with each further request to stop while services still have time to end.
    pub on_impatience: OnImpatience,
}

/// Called with the time that services still have to end.
pub type OnImpatience = Box<dyn Fn(Duration) + Send>;

/// Why an app does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file of the grain.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The grain's directory cannot be locked: it may be running already.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No port on the host.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The host does not allow what every app needs.
    #[error("this host does not let the app run")]
    Host(#[source] GrainError),
    /// The app does not start.
    #[error("the app does not start")]
    Grain(#[source] GrainError),
    /// Its view reported errors.
    #[error("the FUSE view of the root reported errors while the app ran")]
    Served(#[source] GrainError),
}

impl RunError {
    /// Returns the error of a grain: the host's fault or the app's.
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
            RunError::Io(error) => error.hint(),
        }
    }
}

/// Returns the Debian package of a path of the full root, `None` if none has it.
pub type OwnerOf = Arc<dyn Fn(&TreePath) -> Option<String> + Send + Sync>;

/// An app that can run: the tree of an artifact, or one that could become an artifact, and its recipe.
pub struct RunnableApp {
    /// An image tree.
    pub tree: Arc<Tree>,
    /// The recipe of its services.
    pub recipe: Recipe,
    /// The paths that it lacks of the full root, as image paths.
    pub pruned: Arc<Pruned>,
    /// Names the package of shipped state that the app tries to change.
    pub owner_of: OwnerOf,
    /// Whether listings show pruned names ([`view::Options::show_pruned`]), so that programs which look for
    /// names in listings miss them. It changes what the app sees.
    pub show_pruned: bool,
}

/// How one grain is started.
pub struct StartOptions {
    /// The directory of this grain.
    pub directory: PathBuf,
    /// Called with each line that the services print.
    pub on_line: OnLine,
    /// Takes each miss: a pruned path that the app accesses or names in its output, a directory that it lists
    /// without its pruned names, a write to shipped state.
    pub misses: Arc<MissSink>,
}

/// A grain that runs, and holds the lock of its directory until it is dropped.
pub struct Instance {
    /// The grain; its services were ready when it started.
    pub grain: Grain,
    _lock: File,
}

/// Starts an app as a grain and waits until its services are ready. Calls `on_start` with its processes
/// before that, so that another thread can end the start.
///
/// # Errors
/// [`RunError`].
pub fn start(
    app: &RunnableApp,
    store: &Arc<Store>,
    options: StartOptions,
    on_start: impl FnOnce(Arc<Running>) -> io::Result<()>,
) -> Result<Instance, RunError> {
    let lock = lock(&options.directory)?;
    start_locked(app, store, options, lock, on_start)
}

fn start_locked(
    app: &RunnableApp,
    store: &Arc<Store>,
    options: StartOptions,
    lock: File,
    on_start: impl FnOnce(Arc<Running>) -> io::Result<()>,
) -> Result<Instance, RunError> {
    let StartOptions { directory, on_line, misses } = options;
    let root = RootOptions::default()
        .with_pruned(app.pruned.clone())
        .with_on_miss(adding(app.owner_of.clone(), misses.clone()))
        .show_pruned(app.show_pruned);
    let root = GrainRoot::new(app.tree.clone(), store, root).map_err(RunError::of)?;
    let log_path = directory.join("log");
    let log = Log::to_file(&log_path).at("open", &log_path)?;
    let log = log.with_on_line(reading(app, on_line, misses));
    let spec = GrainSpec::of(&app.recipe, &directory.join("var")).with_log(log);
    let grain = Grain::start_with(Arc::new(root), spec, on_start).map_err(RunError::of)?;
    Ok(Instance { grain, _lock: lock })
}

/// Returns a function that adds the misses of a view to a sink; one of a write names the package of the path.
fn adding(owner_of: OwnerOf, sink: Arc<MissSink>) -> view::OnMiss {
    Box::new(move |miss| {
        let mut miss = Miss::of(miss);
        if miss.is_write() {
            miss.package = owner_of(&miss.path);
        }
        sink.add(&miss);
    })
}

/// Returns a function that passes each line on, and adds a miss for each pruned name in it.
fn reading(app: &RunnableApp, on_line: OnLine, sink: Arc<MissSink>) -> OnLine {
    let reader = Mutex::new(Reader::new(app.pruned.clone(), app.tree.clone()));
    Box::new(move |line| {
        on_line(line);
        sink.read_line(line);
        let misses = reader.lock().unwrap_or_else(PoisonError::into_inner).read(line);
        misses.iter().for_each(|miss| sink.add(miss));
    })
}

/// Runs an app until it ends by itself or on request. `stopped` waits for the next request to stop. The first
/// one stops the app; further ones change nothing while its services have time to end
/// ([`services::stop_limit_s`]); one after that kills it. Calls `on_ready` with the app's URL and its root; if
/// that returns false, the app is stopped.
///
/// # Errors
/// [`RunError`].
pub fn run(
    app: RunnableApp,
    store: &Arc<Store>,
    stopped: impl Fn() + Send + 'static,
    options: RunOptions,
    on_ready: impl FnOnce(Option<&str>, &GrainRoot) -> bool,
) -> Result<Exit, RunError> {
    let RunOptions { directory, port, guards, on_line, misses, on_impatience } = options;
    let limit = Duration::from_secs(services::stop_limit_s(&app.recipe));
    let lock = lock(&directory)?;
    let listener = match &app.recipe.web {
        Some(_) => Some(proxy::listen(port, proxy::PORTS)?),
        None => None,
    };
    let options = StartOptions { directory, on_line, misses };
    let Instance { mut grain, _lock } = start_locked(&app, store, options, lock, |running| {
        stop_on_signal(stopped, running, limit, on_impatience)
    })?;
    let url = listener.as_ref().and_then(|listener| proxy::url(listener).ok());
    if let (Some(listener), Some(web), Some(running)) = (listener, app.recipe.web, grain.running()) {
        let forwarding =
            proxy::forward(listener, running, Front { web, guards, on_request: None, tape: None });
        forwarding.map_err(|source| RunError::of(GrainError::Thread(source)))?;
    }
    if !on_ready(url.as_deref(), grain.root()) {
        return grain.stop().map_err(RunError::Served);
    }
    let exit = grain.wait();
    grain.stop().map_err(RunError::Served)?;
    Ok(exit)
}

/// Starts a thread that stops the grain on the first request. The first process then ends within the limit,
/// so a further request, such as one that a terminal and a parent process both pass on, does nothing; one
/// after the limit kills the grain.
fn stop_on_signal(
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
