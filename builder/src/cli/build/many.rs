//! Several recipes, built side by side.
//!
//! Each goes its own way to its end, well or not. What they share: the store, the progress, and turns at the
//! stages that take all cores.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{Args, Made, Options, Plan};
use crate::{
    cli::{
        Context, Failure, exit, finish_json,
        output::{finish_text, say},
        signing::Named,
    },
    progress::Unit,
    recipe::{self, Recipe},
    report::{Builds, BuiltRecipe},
    threads::{self, Turns},
};

/// How many recipes may be at once at a stage that takes all cores.
const HEAVY: usize = 2;

/// Memory that a recipe is given: what an app takes on its full root and on its pruned one.
const MEMORY_EACH_BYTES: u64 = 1 << 30;

/// A recipe that is to be built.
struct Job<'a> {
    name: String,
    folder: &'a Path,
    context: Context,
    /// What is to be done, once; or why nothing can be.
    begun: Mutex<Option<Result<(Recipe, Plan<'a>), Failure>>>,
}

/// Runs the command.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    refuse(&args.options)?;
    // What they share is there before they part, and what is wrong with it is said once.
    context.session()?;
    let jobs = begin(args, context);
    apart(&jobs)?;
    let task = context.progress.task("building recipes", jobs.len() as u64, Unit::Items);
    let ended = threads::map(workers(args.jobs), &jobs, |job| {
        let ended = job.run(&args.options);
        task.add(1);
        ended
    });
    drop(task);
    let (builds, failures): (Vec<BuiltRecipe>, Vec<Option<Failure>>) = ended.into_iter().unzip();
    let builds = Builds(builds);
    if context.global.json {
        finish_json(&builds.json());
    } else if !context.global.quiet {
        finish_text(builds.text());
    }
    outcome(&jobs, &failures)
}

/// Refuses what only one recipe can have.
fn refuse(options: &Options) -> Result<(), Failure> {
    if options.push.is_some() {
        return Err(Failure::conflict("--push names one image, and cannot be used with several recipes"));
    }
    if matches!(options.key, Some(Named::Input)) {
        return Err(Failure::conflict("--key - reads one key, and cannot be used with several recipes"));
    }
    match &options.output {
        Some(path) if !path.as_os_str().as_encoded_bytes().ends_with(b"/") && !path.is_dir() => {
            let path = path.display();
            let text = format!("--output {path} is not a directory, which several recipes need");
            Err(Failure::wrong_value(&text, &format!("`--output {path}/` makes one")))
        }
        _ => Ok(()),
    }
}

/// Returns how many recipes are built side by side.
fn workers(jobs: Option<u16>) -> usize {
    jobs.map_or_else(
        || {
            let room = threads::available_bytes().map_or(1, |bytes| bytes / MEMORY_EACH_BYTES);
            threads::cores().min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
        },
        usize::from,
    )
}

/// Reads the recipes, and sees to all that would fail only after the long work: one after the other, since
/// keys may be made.
fn begin<'a>(args: &'a Args, context: &Context) -> Vec<Job<'a>> {
    let folders = args.recipes.iter().map(PathBuf::as_path).filter(|path| is_recipe(path));
    let folders: Vec<&Path> = folders.collect();
    let heavy = Turns::of(HEAVY);
    let job = |folder: &'a Path| {
        let last = last_name(folder);
        let is_alone = folders.iter().filter(|other| last_name(other) == last).count() == 1;
        let name = if is_alone { last } else { folder.display().to_string() };
        let context = context.named(&name, heavy.clone());
        let begun = recipe::read(folder).map_err(Failure::from).and_then(|recipe| {
            let plan = Plan::of(&recipe, &args.options, &context)?;
            Ok((recipe, plan))
        });
        Job { name, folder, context, begun: Mutex::new(Some(begun)) }
    };
    folders.iter().map(|folder| job(folder)).collect()
}

/// Returns whether a path may be a recipe, where a shell has named all that is in a directory; says so if not.
fn is_recipe(path: &Path) -> bool {
    let why = match () {
        () if path.is_file() => "it is a file",
        () if last_name(path).starts_with('_') => "its name begins with _",
        () => return true,
    };
    say(&format!("{} is passed over: {why}", path.display()));
    false
}

fn last_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Refuses recipes whose packages would overwrite each other.
fn apart(jobs: &[Job<'_>]) -> Result<(), Failure> {
    let mut known: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    for job in jobs {
        let begun = job.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Ok((_, plan))) = &*begun else { continue };
        let parent = plan.output.parent().and_then(|parent| parent.canonicalize().ok());
        let place = match (parent, plan.output.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => plan.output.clone(),
        };
        if let Some(other) = known.insert(place, job.folder) {
            let [one, other, output] = [other, job.folder, &plan.output].map(Path::display);
            return Err(Failure::conflict(&format!("{one} and {other} would both be written to {output}")));
        }
    }
    Ok(())
}

impl Job<'_> {
    /// Builds the recipe. What goes wrong is said at once.
    fn run(&self, options: &Options) -> (BuiltRecipe, Option<Failure>) {
        let began = Instant::now();
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (made, failure) = match begun.expect("each is run once").and_then(|begun| self.build(begun)) {
            Ok(made) => {
                let recorded = made.record(options, &self.context);
                let failure = recorded.err().or_else(|| made.over_budget(options));
                (Some(made), failure)
            }
            Err(failure) => (None, Some(failure)),
        };
        if let Some(failure) = &failure {
            // "error: cannot …" → "error: tea: cannot …"
            let text = failure.to_string().replacen(": ", &format!(": {}: ", self.name), 1);
            self.context.progress.tell(&text);
        }
        let built = BuiltRecipe {
            name: self.name.clone(),
            folder: self.folder.to_path_buf(),
            seconds: began.elapsed().as_secs_f64(),
            package: made.map(|made| (made.summary, made.output, made.up_to_date)),
            fault: failure.as_ref().map(|failure| (result(failure), failure.document())),
        };
        (built, failure)
    }

    fn build(&self, (recipe, plan): (Recipe, Plan<'_>)) -> Result<Made, Failure> {
        let made = plan.there_or_made(recipe, &self.context)?;
        made.summary.warnings.iter().for_each(|warning| self.context.progress.warn(warning));
        Ok(made)
    }
}

/// Returns the result of a recipe that did not end well, for the table.
fn result(failure: &Failure) -> String {
    match failure.is_exceeded() {
        true => "over budget".to_owned(),
        false => format!("failed: {}", failure.clause()),
    }
}

/// Returns how the command ends: with 1 if any recipe failed, else with 3 if a lock has drifted or a package is
/// over its budget.
fn outcome(jobs: &[Job<'_>], failures: &[Option<Failure>]) -> Result<(), Failure> {
    let of = |exceeded: bool| -> Vec<(&str, &Failure)> {
        let all = jobs.iter().zip(failures);
        let all = all.filter_map(|(job, failure)| Some((&*job.name, failure.as_ref()?)));
        all.filter(|(_, failure)| failure.is_exceeded() == exceeded).collect()
    };
    let text = |these: &[(&str, &Failure)], how: &str| {
        let names = these.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        format!("{} of {} recipes {how}: {names}", these.len(), jobs.len())
    };
    let (failed, over) = (of(false), of(true));
    let over_text = (!over.is_empty()).then(|| text(&over, "made a package over its budget"));
    let failed_text = (!failed.is_empty()).then(|| text(&failed, "failed"));
    match (failed_text, over_text) {
        (None, None) => Ok(()),
        (None, Some(over)) => Err(Failure::exceeded(over)),
        (Some(said), over) => {
            let said = over.into_iter().fold(said, |said, over| format!("{said}; {over}"));
            match failed.iter().all(|(_, failure)| failure.exit_status() == exit::BEYOND) {
                true => Err(Failure::drifted(said)),
                false => Err(Failure::new(said)),
            }
        }
    }
}
