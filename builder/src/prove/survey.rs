//! What an exercise reaches of an app, and what pages beyond it would reach.
//!
//! The app runs on its pruned root, as users have it, and its uses are recorded. Pages that it links to are found
//! as [`explore`](super::explore) does, and asked for after the exercise; nothing is compared.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{
    Bounds, Inputs, ProveError, Run, Shipped,
    again::twice,
    explore::{Search, search},
    leads::Web,
};
use crate::{
    evidence::{Kinds, Services, Use, shows_reads, step, used_copies},
    exercise::{Authority, Outcome},
    grain::{GrainRoot, RootOptions, views},
    layout::{INIT, ImagePath},
    progress::Progress,
    store::Store,
    sys::cpu::OneCpu,
    tree::{Entry, Tree, TreePath},
    view::View,
};

/// The findings. Paths are those of the stage.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Files whose contents the exercise used.
    pub reached: BTreeSet<TreePath>,
    /// Files whose contents only pages beyond the exercise used, with the place of the first such page in
    /// `pages`, where that is known.
    pub beyond: BTreeMap<TreePath, Option<usize>>,
    /// The numbers of the pages, of [`PAGE_BYTES`](crate::evidence::PAGE_BYTES) each, that the exercise read of the
    /// tracked files.
    pub read: BTreeMap<TreePath, BTreeSet<u64>>,
    /// The same of the exercise and the pages beyond it.
    pub read_beyond: BTreeMap<TreePath, BTreeSet<u64>>,
    /// Files of which a grain has copies in its `/var`, if this host does not show who reads these.
    pub unseen: BTreeSet<TreePath>,
    /// How many files the exercise used first in each service, or in a program that is none.
    pub services: BTreeMap<String, ServiceUse>,
    /// The pages beyond the exercise, in their order.
    pub pages: Vec<ExploredPage>,
    /// Pages that were found and not asked for, as the bounds were reached.
    pub left: usize,
    /// The links and forms of all pages.
    pub web: Web,
}

/// How many files were used first in a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceUse {
    /// When the app started.
    pub at_start: usize,
    /// In steps of the exercise.
    pub in_steps: usize,
}

/// A page beyond the exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExploredPage {
    /// Path and query, with names for captured values.
    pub path: String,
    /// The status of its response.
    pub status: u16,
}

/// Takes an app through its exercise and through the pages that it leads to, after those that are named. `tracked`
/// are the files of which each page that is read counts.
///
/// # Errors
/// As [`prove`](super::prove()), and [`ProveError::NoView`].
pub fn survey(
    inputs: &Inputs<'_>,
    tracked: &BTreeSet<ImagePath>,
    named: &[String],
    bounds: Bounds,
    store: &Arc<Store>,
    progress: &Progress,
) -> Result<Survey, ProveError> {
    views().map_err(ProveError::NoView)?;
    // As in a trace: with one processor the app's evidence is the same on every host.
    let _cpu = OneCpu::stay();
    let authority = Authority::of_run(inputs.recipe);
    let exercise_steps = inputs.recipe.exercise.len();
    let mut recorded = Recorded::default();
    let Search { longer, transcript, pages, left } =
        search(inputs.recipe, named, bounds, &authority, |recipe| {
            twice(progress, || {
                let shipped =
                    |path: &ImagePath| inputs.tree.get(path.as_bytes()).map_or(Shipped::No, Shipped::Yes);
                let options = RootOptions::default().with_uses().with_page_tracking(tracked.clone());
                let root = GrainRoot::new(inputs.tree.clone(), store, options).map(Arc::new);
                let recording = RefCell::new(Recorded::default());
                let view = root.as_ref().ok().and_then(|root| root.view().cloned());
                let on_step = |step: usize, var: &Path| {
                    if let Some(view) = view.as_ref().filter(|_| step > exercise_steps) {
                        let is_end = step > recipe.exercise.len();
                        let beyond = step - exercise_steps - 1;
                        recording.borrow_mut().look(view, &inputs.tree, var, beyond, is_end);
                    }
                };
                let what = Run {
                    root: "pruned",
                    recipe,
                    shipped: &shipped,
                    lost: None,
                    owner: inputs.owner,
                    on_step: Some(&on_step),
                    store,
                    progress,
                };
                let taken = what.exercise(&root.map_err(|source| what.fault(source, &[]))?, &authority)?;
                recorded = recording.take();
                Ok(taken.transcript)
            })
        })?;
    let services = Services::of(inputs.recipe, &inputs.tree, store);
    let mut survey = recorded.survey(&pages, &services);
    survey.web = Web::of(inputs.recipe, &transcript, &authority);
    survey.left = left;
    let beyond = longer.exercise.len() - exercise_steps;
    let status = |index: usize| match transcript.steps.get(exercise_steps + index).map(|step| &step.outcome) {
        Some(Outcome::Responded(response)) => response.status,
        _ => 0,
    };
    debug_assert_eq!(beyond, pages.len());
    survey.pages = pages
        .into_iter()
        .enumerate()
        .map(|(index, path)| ExploredPage { path, status: status(index) })
        .collect();
    Ok(survey)
}

/// What was seen of one run.
#[derive(Default)]
struct Recorded {
    exercise: Seen,
    end: Seen,
    /// The files of which the grain has copies, and where these were used: `None` until they are, in the exercise
    /// (0), or at a page (its place, from 1).
    copies: BTreeMap<ImagePath, Option<usize>>,
    shows_reads: bool,
}

/// What was seen up to a step.
#[derive(Default)]
struct Seen {
    uses: Vec<Use>,
    pages: BTreeMap<ImagePath, BTreeSet<u64>>,
}

impl Seen {
    fn of(view: &View) -> Self {
        Seen { uses: view.uses(), pages: view.pages() }
    }

    /// Returns the uses of contents, but for those by which the first process copies the first `/var`.
    fn contents(&self) -> impl Iterator<Item = &Use> {
        self.uses.iter().filter(|used| is_of_contents(used.kinds) && !is_copied(used))
    }
}

fn is_of_contents(kinds: Kinds) -> bool {
    kinds.intersects(Kinds::EXECUTED.union(Kinds::OPENED).union(Kinds::WRITTEN))
}

/// Returns true for the use by which the first process copies a file into a grain's `/var`: the app sees the copy alone.
fn is_copied(used: &Use) -> bool {
    used.path.is_of_var() && *used.program == *INIT && is_of_contents(used.kinds)
}

impl Recorded {
    /// Looks at what was used up to the end of the exercise, or of the page that was asked for as the `beyond`th.
    fn look(&mut self, view: &View, tree: &Tree, var: &Path, beyond: usize, is_end: bool) {
        if beyond == 0 {
            self.exercise = Seen::of(view);
            let copied = self.exercise.uses.iter().filter(|used| is_copied(used));
            self.copies = copied.map(|used| (used.path.clone(), None)).collect();
            self.shows_reads = shows_reads(var);
        }
        if is_end {
            self.end = Seen::of(view);
        }
        let unused: Vec<(TreePath, &Entry)> = self
            .copies
            .iter()
            .filter(|(_, at)| at.is_none())
            .filter_map(|(path, _)| Some((path.in_tree().clone(), tree.get(path.as_bytes())?)))
            .collect();
        let unused = unused.iter().map(|(path, entry)| (path, *entry));
        // The directory is ours and there: without it the app would not run.
        for (path, _) in used_copies(unused, var, self.shows_reads).unwrap_or_default() {
            self.copies.insert(ImagePath::of_stage(&path), Some(beyond));
        }
    }

    fn survey(self, pages: &[String], services: &Services) -> Survey {
        let stage = |(path, read): (ImagePath, BTreeSet<u64>)| (path.to_stage(), read);
        let mut survey = Survey::default();
        for used in self.exercise.contents() {
            survey.reached.insert(used.path.to_stage());
            if !used.service.is_empty() {
                let uses = survey.services.entry(services.name(&used.service)).or_default();
                match &*used.step == step::START {
                    true => uses.at_start += 1,
                    false => uses.in_steps += 1,
                }
            }
        }
        let places: BTreeMap<String, usize> =
            pages.iter().enumerate().map(|(at, page)| (step::mark_of(&format!("GET {page}")), at)).collect();
        for used in self.end.contents() {
            let path = used.path.to_stage();
            if !survey.reached.contains(&path) {
                survey.beyond.insert(path, places.get(&*used.step).copied());
            }
        }
        for (path, at) in self.copies {
            match at {
                _ if !self.shows_reads => drop(survey.unseen.insert(path.to_stage())),
                None => {}
                Some(0) => drop(survey.reached.insert(path.to_stage())),
                Some(page) => drop(survey.beyond.insert(path.to_stage(), Some(page - 1))),
            }
        }
        survey.read = self.exercise.pages.into_iter().map(stage).collect();
        survey.read_beyond = self.end.pages.into_iter().map(stage).collect();
        survey
    }
}
