//! Proof that a pruned app still does what its recipe's exercise asks of it.
//!
//! Comes in: the image tree of an artifact, its recipe, what was pruned, and the full root. Goes
//! out: a [`Proof`] with the transcript, every difference from the full root, and every pruned path that was
//! asked for. The app runs in the sandbox that `run` uses, on an empty `/var`. Nothing here decides what to
//! prune.

mod again;
mod compare;
mod explore;
mod leads;
mod learn;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod side_effects;
mod survey;

pub use compare::{Difference, compare};
pub use explore::{Bounds, Explored, explore};
pub use leads::{Form, Web};
pub use survey::{ExploredPage, ServiceUse, Survey, survey};

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use again::{Sides, hold, twice};
use side_effects::Shipped;

use crate::{
    error::Hint,
    evidence::{Miss, Pruned, most_pruned, step},
    exercise::{self, Authority, ExerciseError, Transcript, Visit, Warning},
    grain::{Grain, GrainError, GrainRoot, GrainSpec, GrainTarget, Log, RootOptions},
    layout::ImagePath,
    progress::{Progress, Unit},
    recipe::{Recipe, Step},
    reduce::{LeftOut, ReduceError, Reductions, can_tell, left_out},
    sandbox::Unavailable,
    store::{Store, StoreError},
    tree::{Tree, TreePath},
};

/// The app to prove.
pub struct Inputs<'a> {
    /// The tree of the artifact: the image.
    pub tree: Arc<Tree>,
    /// The recipe: the services and the exercise.
    pub recipe: &'a Recipe,
    /// Under which authorities it is exercised, one after the other; at least one.
    pub authorities: Vec<Authority>,
    /// The pruned paths, by image paths ([`pruned_between`]).
    pub pruned: Arc<Pruned>,
    /// Returns the Debian package of a path of the stage, for what was to be written.
    pub owner: &'a dyn Fn(&[u8]) -> Option<String>,
    /// The full root; where that is not at hand, nothing is compared. Runs under all authorities show what
    /// differs from run to run by itself; if the pruned root differs, both are run again.
    pub baseline: Option<Baseline>,
}

/// The root that a pruned one is compared with.
pub struct Baseline {
    /// The image of the root that nothing was pruned from.
    pub tree: Arc<Tree>,
    /// The reduced files of the pruned one: what the app reads of them here may be missing there.
    pub reductions: Reductions,
    /// Its transcript under the first authority, if that was taken already.
    pub known: Option<Transcript>,
}

/// The result.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The requests to the pruned app, and its responses, under the first authority.
    pub transcript: Transcript,
    /// Where its responses differ from those of the full root.
    pub differences: Vec<Difference>,
    /// Pruned paths that were asked for, or that the app's output names; the app may do without them.
    pub misses: Vec<Miss>,
    /// What a person should look at though all is as expected, of the full root and of the pruned one, each
    /// once.
    pub warnings: Vec<Warning>,
    /// What is shipped below `/var` and was to be written, but is a link into the read-only root.
    pub written: Vec<Miss>,
    /// Directories that were listed without their pruned names: a name that is not listed may never have been
    /// asked for.
    pub listed: Vec<Miss>,
    /// Whether there was a transcript to compare with.
    pub compared: bool,
    /// Parts of reduced files that the app reads on the full root.
    pub left_out: Vec<LeftOut>,
    /// Why no misses could be seen, if so.
    pub unseen: Option<Unavailable>,
}

impl Proof {
    /// Returns what a person should look at though all is as expected: writes to what is shipped read-only,
    /// then the warnings.
    pub fn to_look_at(&self) -> Vec<String> {
        let written = self.written.iter().map(Miss::warning);
        written.chain(self.warnings.iter().map(ToString::to_string)).collect()
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// This host does not let us serve a file system, so nothing is known of what the app uses.
    #[error("cannot see on this host what the app uses: {}", .0.reason)]
    NoView(Unavailable),
    /// No place for the grain's `/var`.
    #[error("cannot make a directory for the grain in the cache")]
    Scratch(#[source] StoreError),
    /// The host refuses what running any app takes.
    #[error("this host does not let the app run")]
    Host(#[source] GrainError),
    /// The app does not start or stop.
    #[error("the app does not run on its {root} root{}", misses_text(.misses))]
    Grain {
        /// `pruned` or `full`.
        root: &'static str,
        /// How it fails.
        source: GrainError,
        /// Pruned paths that were asked for.
        misses: Vec<Miss>,
    },
    /// A reduced file that cannot be looked at again.
    #[error("cannot find the removed parts of reduced files that the app reads")]
    LeftOut(#[source] ReduceError),
    /// The files that the app wrote cannot be read.
    #[error("cannot read the /var that the app left on its {root} root")]
    Left {
        /// `pruned` or `full`.
        root: &'static str,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The exercise fails.
    #[error("the exercise fails on the {root} root at {authority}{}", misses_text(.misses))]
    Exercise {
        /// `pruned` or `full`.
        root: &'static str,
        /// Where the user found the app.
        authority: Authority,
        /// At which steps, and how.
        source: Box<ExerciseError>,
        /// Pruned paths that were asked for.
        misses: Vec<Miss>,
        /// The last lines that the services printed.
        tail: Vec<String>,
    },
}

fn misses_text(misses: &[Miss]) -> String {
    let (listed, asked): (Vec<&Miss>, Vec<&Miss>) = misses.iter().partition(|miss| miss.is_listing());
    let mut text = String::new();
    if !asked.is_empty() {
        text += "; pruned paths that the app requested:";
        asked.iter().for_each(|miss| text += &format!("\n  {}", miss.with_remedy("    ")));
    }
    let (shown, more) = most_pruned(listed);
    if !shown.is_empty() {
        text += "; it also listed directories without their pruned names, which may be why:";
        shown.iter().for_each(|miss| text += &format!("\n  {miss}"));
        if more > 0 {
            text += &format!("\n  and {more} more");
        }
    }
    text
}

impl ProveError {
    /// Returns the pruned paths that were asked for.
    pub fn misses(&self) -> &[Miss] {
        match self {
            ProveError::Grain { misses, .. } | ProveError::Exercise { misses, .. } => misses,
            ProveError::NoView(_)
            | ProveError::Scratch(_)
            | ProveError::Host(_)
            | ProveError::Left { .. }
            | ProveError::LeftOut(_) => &[],
        }
    }
}

impl Hint for ProveError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            ProveError::Grain { misses, .. } | ProveError::Exercise { misses, .. }
                if misses.iter().any(|miss| !miss.is_listing()) =>
            {
                Some("add the lines to the recipe ([prune], [app]), or trace again".into())
            }
            ProveError::Host(source) | ProveError::Grain { source, .. } => source.hint(),
            ProveError::NoView(why) => Some((&why.remedy).into()),
            ProveError::Scratch(error) => error.hint(),
            ProveError::LeftOut(error) => error.hint(),
            ProveError::Exercise { .. } | ProveError::Left { .. } => None,
        }
    }
}

/// Returns what a pruned tree lacks, by image paths; both trees are in stage paths.
pub fn pruned_between(stage: &Tree, pruned: &Tree, owner: &dyn Fn(&[u8]) -> Option<String>) -> Pruned {
    let gone = stage.iter().filter(|(path, _)| pruned.get(path.as_bytes()).is_none());
    gone.map(|(path, _)| (ImagePath::of_stage(path), owner(path.as_bytes()))).collect()
}

/// Runs the exercise on a pruned root, and compares.
///
/// # Errors
/// [`ProveError`] where the app does not start or an expectation of the exercise does not hold;
/// differences from the full root are part of the proof.
pub fn prove(inputs: &Inputs<'_>, store: &Arc<Store>, progress: &Progress) -> Result<Proof, ProveError> {
    // What the full root ships is none of what the pruned app wrote either.
    let shipped = |path: &ImagePath| match inputs.tree.get(path.as_bytes()) {
        Some(entry) => Shipped::Yes(entry),
        None if inputs.pruned.contains_key(path) => Shipped::Pruned,
        None => Shipped::No,
    };
    let lost = Some((inputs.pruned.clone(), inputs.tree.clone()));
    let what = Run {
        root: "pruned",
        recipe: inputs.recipe,
        shipped: &shipped,
        lost,
        owner: inputs.owner,
        on_step: None,
        store,
        progress,
    };
    let root = RootOptions::default().with_pruned(inputs.pruned.clone());
    let root = GrainRoot::new(inputs.tree.clone(), store, root);
    let root = Arc::new(root.map_err(|source| what.fault(source, &[]))?);
    let mut misses = Vec::new();
    let mut sides = Sides::default();
    for authority in &inputs.authorities {
        let taken = twice(progress, || what.exercise(&root, authority));
        let Taken { transcript, misses: more } =
            taken.map_err(|error| learn::after_failure(error, &what, authority, inputs))?;
        sides.runs.push(transcript);
        misses.extend(more);
    }
    let (listed, misses): (Vec<_>, Vec<_>) = once_each(misses).into_iter().partition(Miss::is_listing);
    let (written, misses) = misses.into_iter().partition(Miss::is_write);
    let unseen = root.why_no_view().cloned();
    let compared = inputs.baseline.is_some();
    let mut proof = Proof {
        transcript: sides.runs.first().cloned().unwrap_or_default(),
        differences: Vec::new(),
        misses,
        written,
        listed,
        warnings: Vec::new(),
        compared,
        left_out: Vec::new(),
        unseen,
    };
    if let Some(baseline) = &inputs.baseline {
        let is_pruned = |name: &str| {
            let path = TreePath::new(name.as_bytes());
            path.is_ok_and(|path| inputs.pruned.contains_key(&ImagePath::of_stage(&path)))
        };
        let (mut known, mut pages) = (baseline.known.clone(), BTreeMap::new());
        let mut whole = |authority: &Authority| {
            let mut transcript = match known.take() {
                Some(transcript) => transcript,
                None => {
                    let BaselineRun { transcript, pages: read } =
                        baseline.run(inputs.recipe, authority, store, progress)?;
                    for (path, read) in read {
                        pages.entry(path).or_insert_with(BTreeSet::new).extend(read);
                    }
                    transcript
                }
            };
            side_effects::leave_out_pruned(&mut transcript.left, &is_pruned);
            Ok::<_, ProveError>(transcript)
        };
        let steps = &inputs.recipe.exercise;
        for authority in &inputs.authorities {
            sides.wholes.push(twice(progress, || whole(authority))?);
        }
        proof.differences = hold(steps, &mut sides, |authority, sides| {
            sides.runs.push(twice(progress, || what.exercise(&root, authority))?.transcript);
            sides.wholes.push(twice(progress, || whole(authority))?);
            Ok(())
        })?;
        let (reductions, recipe) = (&baseline.reductions, inputs.recipe);
        proof.left_out = left_out(reductions, &pages, recipe, store).map_err(ProveError::LeftOut)?;
        if !proof.differences.is_empty() {
            learn::after_difference(&mut proof, &what, inputs);
        }
        for difference in &mut proof.differences {
            let lacked = [&proof.written[..], &proof.misses].concat();
            difference.misses = match difference.step {
                0 => lacked,
                step => misses_at(&lacked, steps, step),
            };
            if difference.misses.is_empty() {
                difference.misses = proof.listed.clone();
            }
        }
    }
    proof.warnings = warnings(sides.wholes.iter().chain(&sides.runs));
    Ok(proof)
}

/// Returns the warnings of all runs, by step; of each step the first.
fn warnings<'a>(runs: impl Iterator<Item = &'a Transcript>) -> Vec<Warning> {
    let mut out: BTreeMap<usize, Warning> = BTreeMap::new();
    for warning in runs.flat_map(|run| &run.warnings) {
        out.entry(warning.step).or_insert_with(|| warning.clone());
    }
    out.into_values().collect()
}

/// Returns the misses of a step, or, as what is asked for is not asked for again, all up to it.
fn misses_at(misses: &[Miss], steps: &[Step], number: usize) -> Vec<Miss> {
    let marks: Vec<String> = steps.iter().take(number).map(step::mark).collect();
    let at: Vec<Miss> = misses.iter().filter(|miss| marks.last() == Some(&miss.step)).cloned().collect();
    if !at.is_empty() {
        return at;
    }
    let later = steps.iter().skip(number).map(step::mark);
    let later: BTreeSet<String> = later.filter(|mark| !marks.contains(mark)).collect();
    misses.iter().filter(|miss| !later.contains(&miss.step)).cloned().collect()
}

/// The result of a full root.
#[derive(Clone, Debug)]
pub(crate) struct BaselineRun {
    /// The requests and responses.
    pub transcript: Transcript,
    /// The pages read of the tracked files ([`view::View::pages`]).
    pub pages: BTreeMap<ImagePath, BTreeSet<u64>>,
}

impl Baseline {
    /// Runs the exercise on the full root.
    pub(crate) fn run(
        &self,
        recipe: &Recipe,
        authority: &Authority,
        store: &Arc<Store>,
        progress: &Progress,
    ) -> Result<BaselineRun, ProveError> {
        let tree = &self.tree;
        let shipped = |path: &ImagePath| tree.get(path.as_bytes()).map_or(Shipped::No, Shipped::Yes);
        let what = Run {
            root: "full",
            recipe,
            shipped: &shipped,
            lost: None,
            owner: &|_| None,
            on_step: None,
            store,
            progress,
        };
        let tracked = self.reductions.keys().filter(|path| can_tell(path)).map(ImagePath::of_stage);
        let root = RootOptions::default().with_page_tracking(tracked.collect());
        let root = GrainRoot::new(tree.clone(), store, root);
        let root = Arc::new(root.map_err(|source| what.fault(source, &[]))?);
        let transcript = what.exercise(&root, authority)?.transcript;
        Ok(BaselineRun { transcript, pages: root.view().map(|view| view.pages()).unwrap_or_default() })
    }
}

/// Lines of a log that are looked at.
const MAX_LINES: usize = 100_000;

/// Called with the number of each step before it is taken, with that after the last one before the app is
/// stopped, and with the grain's `/var`.
type OnStep<'a> = dyn Fn(usize, &Path) + 'a;

/// One run of an exercise.
struct Run<'a> {
    root: &'static str,
    recipe: &'a Recipe,
    /// The entry of the root at a path.
    shipped: &'a dyn Fn(&ImagePath) -> Shipped<'a>,
    /// The pruned paths, and their tree: the app's output is searched for them.
    lost: Option<(Arc<Pruned>, Arc<Tree>)>,
    /// The package of a path of the stage.
    owner: &'a dyn Fn(&[u8]) -> Option<String>,
    on_step: Option<&'a OnStep<'a>>,
    store: &'a Arc<Store>,
    progress: &'a Progress,
}

/// The result of a run.
struct Taken {
    transcript: Transcript,
    /// The paths that it lacked: see [`Run::lacked`].
    misses: Vec<Miss>,
}

impl Run<'_> {
    fn fault(&self, source: GrainError, misses: &[Miss]) -> ProveError {
        if source.is_of_host() {
            return ProveError::Host(source);
        }
        ProveError::Grain { root: self.root, source, misses: misses.to_vec() }
    }

    /// Returns what the app asked for so far and what its output names.
    fn lacked(&self, root: &GrainRoot, transcript: Option<&Transcript>, printed: &[Vec<u8>]) -> Vec<Miss> {
        let mut misses = misses_of(root);
        for miss in misses.iter_mut().filter(|miss| miss.is_write()) {
            miss.package = (self.owner)(miss.path.as_bytes());
        }
        if let Some((pruned, tree)) = &self.lost {
            misses.extend(learn::said(&self.recipe.exercise, transcript, printed, pruned, tree));
        }
        once_each(misses)
    }

    fn exercise(&self, root: &Arc<GrainRoot>, authority: &Authority) -> Result<Taken, ProveError> {
        let scratch = self.store.scratch("prove-").map_err(ProveError::Scratch)?;
        let words = format!("exercising the {} app at {authority}", self.root);
        let task = self.progress.task(&words, self.recipe.exercise.len() as u64, Unit::Items);
        let var = scratch.path().join("var");
        let printed: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let heard = printed.clone();
        let log = Log::in_memory().with_on_line(Box::new(move |line| {
            let mut lines = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < MAX_LINES {
                lines.push(line.to_vec());
            }
        }));
        let spec = GrainSpec::of(self.recipe, &var).with_log(log);
        let log = spec.log.clone();
        let grain = Grain::start(root.clone(), spec);
        let lines = || printed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut grain = grain.map_err(|source| self.fault(source, &self.lacked(root, None, &lines())))?;
        let on_step = |step| self.on_step.iter().for_each(|on_step| on_step(step, &var));
        let mut target = GrainTarget::new(&mut grain, Some(&task)).with_on_step(&on_step);
        let outcome = exercise::run(&Visit::of(self.recipe, authority), &mut target);
        on_step(self.recipe.exercise.len() + 1);
        let tail = log.tail();
        let stopped = grain.stop();
        let mut transcript = outcome.map_err(|source| {
            let transcript = match &source {
                ExerciseError::Missed { transcript, .. } => Some(&**transcript),
                _ => None,
            };
            let misses = self.lacked(root, transcript, &lines());
            ProveError::Exercise {
                root: self.root,
                authority: authority.clone(),
                source: Box::new(source),
                misses,
                tail,
            }
        })?;
        stopped.map_err(|source| self.fault(source, &[]))?;
        drop(grain);
        let shipped = |name: &str| {
            let path = TreePath::new(name.as_bytes());
            path.map_or(Shipped::No, |path| (self.shipped)(&ImagePath::of_stage(&path)))
        };
        let printed = lines();
        transcript.left = side_effects::records(&var, &shipped, &printed)
            .map_err(|source| ProveError::Left { root: self.root, source })?;
        let misses = self.lacked(root, Some(&transcript), &printed);
        Ok(Taken { transcript, misses })
    }
}

/// Returns misses, each path once; listings come last.
fn once_each(mut misses: Vec<Miss>) -> Vec<Miss> {
    misses.sort_by_key(Miss::is_listing);
    let mut known = BTreeSet::new();
    misses.retain(|miss| known.insert((miss.path.clone(), miss.is_write())));
    misses
}

/// Returns the misses of a view so far, each path once, in path order.
fn misses_of(root: &GrainRoot) -> Vec<Miss> {
    let Some(view) = root.view() else { return Vec::new() };
    let misses = view.misses(0);
    let misses = misses.iter().map(Miss::of).map(|miss| ((miss.path.clone(), miss.is_write()), miss));
    misses.collect::<BTreeMap<_, _>>().into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Cause;

    #[test]
    fn a_difference_is_told_with_the_misses_of_its_step_or_of_all_before_it() {
        let step = |path: &str| Step::Run {
            command: vec![path.to_owned()],
            contains: Vec::new(),
            capture: BTreeMap::new(),
        };
        let steps = ["/a", "/b", "/c"].map(step);
        let miss = |path: &str, step: &str| Miss {
            path: TreePath::new(path.as_bytes()).expect("a good path"),
            package: None,
            program: "/usr/bin/x".to_owned(),
            step: step.to_owned(),
            cause: Cause::Asked,
        };
        let misses = [miss("early", "start"), miss("a", "run:/a"), miss("b", "run:/b"), miss("c", "run:/c")];
        let at = |number, misses: &[Miss]| -> Vec<String> {
            misses_at(misses, &steps, number).iter().map(|miss| miss.path.to_string()).collect()
        };
        assert_eq!(at(2, &misses), ["b"]);
        assert_eq!(at(2, &[misses[0].clone(), misses[1].clone(), misses[3].clone()]), ["early", "a"]);
        assert_eq!(at(1, &[]), [""; 0]);
    }
}
