//! Runs the app on its full root, served as a view, and gathers the uses of each path. The exercise drives
//! the app, or a person in a browser.
//!
//! Input: the full root, which is the configured tree with the recipe's files. Output: a [`Trace`] with the
//! [`UsedList`]. The grain is the one that proof and `run` start: same sandbox, same first process, no
//! network but its own loopback. All of `/var` is copied for it, so that writes there show. A trace whose
//! exercise fails, or whose view reported errors, gives no list.

mod browse;
mod gather;
mod news;
mod page;

pub use browse::{Browsing, Urls, browse};

use std::{
    borrow::Cow,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    error::{At as _, Hint, PathError},
    evidence::{Kinds, UsedList, shows_reads, used_copies},
    exercise::{self, Authority, ExerciseError, Transcript, Visit},
    grain::{Grain, GrainError, GrainRoot, GrainSpec, GrainTarget, Log, RootOptions, views},
    image::{self, VarPolicy},
    layout::SKELETON,
    progress::{Progress, Unit},
    proxy::ListenError,
    recipe::Recipe,
    render::{RenderError, RenderOptions, render},
    sandbox::{Exit, Unavailable, grain_host_id, is_full_root},
    store::{Scratch, Store, StoreError},
    sys::cpu::OneCpu,
    tree::Tree,
    view::View,
};

/// The input of a trace.
pub struct Inputs<'a> {
    /// The configured tree, with the recipe's files laid over it.
    pub tree: &'a Tree,
    /// The Debian package that a path of it belongs to.
    pub owner: &'a dyn Fn(&[u8]) -> Option<String>,
    /// Its services and its exercise.
    pub recipe: &'a Recipe,
    /// The time that no file is younger than.
    pub epoch_s: i64,
}

/// The result of a trace.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The uses of each path.
    pub used: UsedList,
    /// The driver of the app.
    pub driver: Driver,
    /// How many names were looked for that the root does not have.
    pub absent: usize,
    /// From the start of the grain until all its services were ready.
    pub ready_after: Duration,
    /// How long it was driven.
    pub driven_for: Duration,
}

/// The driver of a traced app.
#[derive(Clone, Debug)]
pub enum Driver {
    /// The exercise: its requests and responses.
    Exercise(Transcript),
    /// A person's browser.
    Browser {
        /// How many requests it made.
        requests: usize,
        /// How the app ended, if it ended by itself.
        ended: Option<Exit>,
    },
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// This host does not let us serve a file system.
    #[error("cannot trace on this host: {}", .0.reason)]
    NoView(Unavailable),
    /// No place for the grain's `/var`.
    #[error("cannot make a directory for the grain in the cache")]
    Scratch(#[source] StoreError),
    /// Its first `/var` cannot be made.
    #[error("cannot fill the grain's /var")]
    Fill(#[source] RenderError),
    /// The host does not allow what every app needs.
    #[error("this host does not let the app run")]
    Host(#[source] GrainError),
    /// The grain did not start, or did not end well.
    #[error("the app does not run on its full root")]
    Grain(#[source] GrainError),
    /// The exercise failed.
    #[error("the exercise fails on the full root{}", tail_text(.tail))]
    Exercise {
        /// At which step, and how.
        source: ExerciseError,
        /// The last lines that the services printed.
        tail: Vec<String>,
    },
    /// The grain's `/var` cannot be looked through.
    #[error(transparent)]
    Var(PathError),
    /// An app that no browser can reach.
    #[error("the recipe has no [web] port: there is nothing to open in a browser")]
    NoWeb,
    /// No port on the host.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The app or the page cannot be offered to a browser.
    #[error("cannot serve the app and its page at 127.0.0.1")]
    Serve(#[source] io::Error),
}

impl TraceError {
    /// Returns the error of a grain: the host's fault or the app's.
    fn of(error: GrainError) -> Self {
        if error.is_of_host() { TraceError::Host(error) } else { TraceError::Grain(error) }
    }
}

impl Hint for TraceError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            TraceError::NoView(why) => Some((&why.remedy).into()),
            TraceError::Host(error) | TraceError::Grain(error) => error.hint(),
            TraceError::Listen(error) => error.hint(),
            TraceError::Scratch(error) => error.hint(),
            TraceError::Fill(error) => error.hint(),
            _ => None,
        }
    }
}

fn tail_text(tail: &[String]) -> String {
    let lines: String = tail.iter().map(|line| format!("\n  | {line}")).collect();
    if lines.is_empty() { lines } else { format!("; the services said last{lines}") }
}

/// An app that is ready on its traced root.
struct Started {
    grain: Grain,
    view: Arc<View>,
    image_tree: Arc<Tree>,
    log: Arc<Log>,
    ready_after: Duration,
    var: PathBuf,
    /// Whether the access times of its `/var` show reads.
    shows_reads: bool,
    /// Keeps a request of the app and the response of the view on one processor: waking another one takes
    /// longer than all else. Since the app sees one processor, its evidence is the same on every host.
    _cpu: Option<OneCpu>,
    _scratch: Scratch,
}

impl Started {
    fn new(inputs: &Inputs<'_>, store: &Arc<Store>, progress: &Progress) -> Result<Self, TraceError> {
        let Inputs { tree, recipe, epoch_s, .. } = *inputs;
        views().map_err(TraceError::NoView)?;
        let scratch = store.scratch("trace-").map_err(TraceError::Scratch)?;
        let var = scratch.path().join("var");
        let mut image_tree = image::build(tree.clone(), recipe, &VarPolicy::CopyAll, store, epoch_s);
        image::apply_modes(&mut image_tree, store);
        let image_tree = Arc::new(image_tree);
        let root = GrainRoot::new(image_tree.clone(), store, RootOptions::default().with_uses());
        let root = Arc::new(root.map_err(TraceError::of)?);
        let view = root.view().expect("this host has views").clone();

        let began = Instant::now();
        // Not by the first process, whose reads through the view would count as uses.
        let filled = image::filled_var(&image_tree, store, grain_host_id());
        let owned = RenderOptions { owners: is_full_root(), ..RenderOptions::default() };
        render(&filled, store, &var, owned).map_err(TraceError::Fill)?;
        let shows_reads = shows_reads(&var);
        let cpu = OneCpu::stay();
        let starting = progress.task("starting the app on the traced root", 0, Unit::Items);
        let spec = GrainSpec::of(recipe, &var);
        let log = spec.log.clone();
        let grain = Grain::start(root, spec).map_err(TraceError::of)?;
        view.settle();
        drop(starting);
        let ready_after = began.elapsed();
        Ok(Started {
            grain,
            view,
            image_tree,
            log,
            ready_after,
            var,
            shows_reads,
            _cpu: cpu,
            _scratch: scratch,
        })
    }

    /// Returns all uses so far.
    fn used(&self, names: &gather::Names<'_>) -> Result<UsedList, TraceError> {
        let changed = used_copies(self.image_tree.subtree(SKELETON), &self.var, self.shows_reads)
            .at("look through the grain's /var at", &self.var)
            .map_err(TraceError::Var)?;
        Ok(gather::list(self.view.uses(), changed, names))
    }

    /// Stops the app and returns all its uses.
    fn finish(
        mut self,
        names: &gather::Names<'_>,
        driver: Driver,
        driven_for: Duration,
    ) -> Result<Trace, TraceError> {
        self.grain.stop().map_err(TraceError::of)?;
        let absent = self.view.uses().iter().filter(|used| used.kinds == Kinds::ABSENT).count();
        Ok(Trace { used: self.used(names)?, driver, absent, ready_after: self.ready_after, driven_for })
    }
}

/// Traces an app while it goes through its exercise.
///
/// # Errors
/// [`TraceError`].
pub fn trace(inputs: &Inputs<'_>, store: &Arc<Store>, progress: &Progress) -> Result<Trace, TraceError> {
    let mut started = Started::new(inputs, store, progress)?;
    let exercise = &inputs.recipe.exercise;
    let began = Instant::now();
    let task = progress.task("tracing the exercise", exercise.len() as u64, Unit::Items);
    let authority = Authority::of_run(inputs.recipe);
    let visit = Visit::of(inputs.recipe, &authority);
    let outcome = exercise::run(&visit, &mut GrainTarget::new(&mut started.grain, Some(&task)));
    let tail = || started.log.tail();
    let transcript = outcome.map_err(|source| TraceError::Exercise { source, tail: tail() })?;
    let driven_for = began.elapsed();
    drop(task);
    let names = gather::Names::new(inputs.recipe, inputs.tree, store, inputs.owner);
    started.finish(&names, Driver::Exercise(transcript), driven_for)
}
