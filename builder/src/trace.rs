//! Runs the app's exercise on its whole root, served as a view, and gathers what was used.
//!
//! Comes in: the stage's tree with the recipe's files on it. Goes out: a [`Trace`] with the
//! [`UsedList`]. The grain is the one that proof and `run` use: same sandbox, same first process,
//! no network but its own loopback. All of `/var` is copied for it, so that what is written there
//! shows. A trace whose exercise was not answered as expected, or whose view had a fault, gives no list.

mod gather;
mod used_list;
mod var;

pub use used_list::{Changes, UsedLine, UsedList, UsedListError};

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    app::{self, GRAIN_ID, VarPolicy},
    exercise::{self, ExerciseError, Transcript},
    grain::{Base, Exercised, Grain, GrainError, GrainOptions},
    progress::{Progress, Unit},
    recipe::Recipe,
    sandbox::{Ability, host},
    store::{Store, StoreError},
    tree::Tree,
    view::{Options, View},
};

/// What is traced.
pub struct Inputs<'a> {
    /// The configured tree, with the recipe's files laid over it.
    pub tree: &'a Tree,
    /// The Debian package that a path of it belongs to.
    pub owner: &'a dyn Fn(&[u8]) -> Option<String>,
    /// What is started, and how it is exercised.
    pub recipe: &'a Recipe,
    /// The time that no file is younger than.
    pub epoch_s: i64,
}

/// What a trace found.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What was used.
    pub used: UsedList,
    /// What was asked and answered.
    pub transcript: Transcript,
    /// How many names were looked for that the root does not have.
    pub absent: usize,
    /// From the start of the grain until all its services were ready.
    pub ready_after: Duration,
    /// How long the exercise took.
    pub exercised_for: Duration,
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// This host lets us serve no file system.
    #[error("cannot trace on this host: {reason}")]
    NoView {
        /// What is missing.
        reason: String,
        /// What would give it.
        remedy: String,
    },
    /// No place for the grain's `/var`.
    #[error("cannot make a place for the grain")]
    Scratch(#[source] StoreError),
    /// The grain did not start, or did not end well.
    #[error("the app does not run on its whole root")]
    Grain(#[source] GrainError),
    /// The exercise failed.
    #[error("the exercise fails on the whole root{}", tail_text(.tail))]
    Exercise {
        /// At which step, and how.
        source: ExerciseError,
        /// The last lines that the services printed.
        tail: Vec<String>,
    },
    /// The grain's `/var` cannot be looked through.
    #[error("cannot look through the grain's /var")]
    Var(#[source] std::io::Error),
}

impl TraceError {
    /// Returns what one can do about it, if anything.
    pub fn hint(&self) -> Option<&str> {
        match self {
            TraceError::NoView { remedy, .. } => Some(remedy),
            TraceError::Grain(error) => error.hint(),
            _ => None,
        }
    }
}

fn tail_text(tail: &[String]) -> String {
    let lines: String = tail.iter().map(|line| format!("\n  | {line}")).collect();
    if lines.is_empty() { lines } else { format!("; the services said last{lines}") }
}

/// Traces an app.
///
/// # Errors
/// [`TraceError`]; [`TraceError::hint`] says what would help.
pub fn trace(inputs: &Inputs<'_>, store: &Arc<Store>, progress: &Progress) -> Result<Trace, TraceError> {
    let Inputs { tree, owner, recipe, epoch_s } = *inputs;
    if let Ability::Missing { reason, remedy } = host().fuse {
        return Err(TraceError::NoView { reason, remedy });
    }
    let scratch = store.scratch("trace-").map_err(TraceError::Scratch)?;
    let var = scratch.path().join("var");
    let furnished = Arc::new(app::furnish(tree.clone(), recipe, &VarPolicy::CopyAll, store, epoch_s));
    let options = Options { owner: (GRAIN_ID, GRAIN_ID), ..Options::default() };
    let view = Arc::new(View::new(furnished.clone(), store.clone(), options));
    let base = Arc::new(Base::of_view(view.clone()));

    let began = Instant::now();
    let starting = progress.task("starting the app on the traced root", 0, Unit::Items);
    let options = GrainOptions::of(recipe, &var);
    let log = options.log.clone();
    let mut grain = Grain::start(base, options).map_err(TraceError::Grain)?;
    drop(starting);
    let ready_after = began.elapsed();

    let began = Instant::now();
    let task = progress.task("tracing the exercise", recipe.exercise.len() as u64, Unit::Items);
    let outcome = exercise::run(&recipe.exercise, &mut Exercised::new(&mut grain, Some(&task)));
    let transcript = outcome.map_err(|source| TraceError::Exercise { source, tail: log.tail() })?;
    drop(task);
    let exercised_for = began.elapsed();
    grain.stop().map_err(TraceError::Grain)?;

    let changed =
        var::evidence(&furnished, &var).map_err(|errno| TraceError::Var(std::io::Error::from(errno)))?;
    let uses = view.uses();
    let absent = uses.iter().filter(|used| used.kinds == crate::view::Kinds::ABSENT).count();
    let names = gather::Names::new(recipe, tree, store, owner);
    let used = gather::list(uses, changed, &names);
    Ok(Trace { used, transcript, absent, ready_after, exercised_for })
}
