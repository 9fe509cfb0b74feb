//! `tinyroot update`: moves a recipe's lock, builds, proves, and prints the text of a merge request.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    Context, Failure,
    build::{Made, Options, Plan},
    diff::{check, open},
    finish_json,
    output::say,
    print,
};
use crate::{
    diff::Bound,
    formats::prune_list::PruneList,
    line::{Moved, moved, news},
    papers::{Extent, shares},
    recipe::{self, Recipe},
    report::{Compared, SizeReport, UpdateReport},
    tree::Tree,
};

/// Move a recipe's lock to the present state of the archive, build, prove, and print a merge request's text
///
/// The text is Markdown: what moved, which of it fixes vulnerabilities, what that does to the size, and the
/// proof; its first line does for the title. Sizes are compared with the package of the lock before: the one
/// that a build has left, or the one that --before names. If the build or the proof fails, recipe.lock is as
/// it was, and the error says which of the moved packages may be why. With nothing to do a line on standard
/// error says so, and nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot update recipes/dokuwiki --dry-run           show what would move; write nothing\n  \
    tinyroot update recipes/dokuwiki > update.md         move it, build, prove\n  \
    tinyroot update recipes/dokuwiki --before old.spk --fail-over 1%    exit 3 if the package grew by more\n\n\
    Exits with 3 if the package is larger than --fail-over or the recipe's budget allows; the new lock stays.")]
pub struct Args {
    /// A recipe folder
    recipe: PathBuf,
    /// Resolve and show what would move; build and write nothing
    #[arg(long, conflicts_with = "fail_over")]
    dry_run: bool,
    /// The package of the lock before; - reads it from standard input, docker://HOST/NAME:TAG from a registry
    #[arg(long, value_name = "ARTIFACT")]
    before: Option<PathBuf>,
    /// Exit with 3 if the package is larger than the one before by more than this, as with `tinyroot diff`:
    /// bytes (200k, 1.5 MB, 200 KiB) or a percentage (5%); with PACKAGE= before it, if that Debian package
    /// takes so much more. May be given several times
    #[arg(long, value_name = "[PACKAGE=]LIMIT")]
    fail_over: Vec<Bound>,
    #[command(flatten)]
    options: Options,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    check(&args.fail_over)?;
    let recipe = recipe::read(&args.recipe)?;
    let moved = moved(&recipe, &context.session()?)?;
    if moved.beyond_apt {
        context.progress.warn("apt's own way leads into a contradiction here, so a solver chose");
    }
    let name = recipe.app.name.clone();
    let report = |moved| UpdateReport {
        name: &name,
        moved,
        news: BTreeMap::new(),
        built: None,
        sizes: None,
        shipped: None,
    };
    if moved.changes.is_empty() {
        return nothing_to_do(&recipe, &report(&moved), context);
    }
    if args.dry_run || context.global.locked {
        show(&report(&moved), false, context)?;
        return if context.global.locked { Err(drifted(&recipe, &moved)) } else { Ok(()) };
    }
    let before = before(args, &recipe, &moved, context)?;
    let made = match attempt(&moved, recipe, &args.options, context) {
        Ok(made) => made,
        Err(failure) => {
            let folder = args.recipe.display().to_string();
            let suspects = suspects(&failure, &folder, &moved, before.as_ref());
            if context.global.json {
                let mut document = report(&moved).json(false);
                document["suspects"] = suspects.clone().into();
                finish_json(&document);
            }
            return Err(with_suspects(failure, &folder, &suspects));
        }
    };
    let store = context.store()?;
    let after = compared(&made.output, context)?;
    let shipped = after.list.as_ref().map(|list| with_files(list, &after.tree));
    let sizes = before.map(|before| SizeReport::of(before, after, args.fail_over.clone(), &store));
    let excess = sizes.as_ref().and_then(SizeReport::excess);
    let report = UpdateReport {
        name: &name,
        moved: &moved,
        news: news(&moved, &store),
        built: Some((&made.summary, &made.output)),
        sizes,
        shipped,
    };
    show(&report, true, context)?;
    made.record(&args.options, context)?;
    made.summary.warnings.iter().for_each(|warning| context.progress.warn(warning));
    if let Some(failure) = excess.map(Failure::exceeded).or_else(|| made.over_budget(&args.options)) {
        return Err(failure);
    }
    made.push(&args.options, context).map(drop)
}

/// Builds by the new lock, which stays if that succeeds.
fn attempt(moved: &Moved, recipe: Recipe, options: &Options, context: &Context) -> Result<Made, Failure> {
    let restored = moved.attempt(&recipe)?;
    match Plan::of(&recipe, options, context).and_then(|plan| plan.make(recipe, context)) {
        Ok(made) => {
            restored.keep();
            Ok(made)
        }
        Err(failure) => {
            if let Err(error) = restored.restore() {
                context.progress.warn(&format!("cannot put the lock back as it was: {error}"));
            }
            Err(failure)
        }
    }
}

fn nothing_to_do(recipe: &Recipe, report: &UpdateReport<'_>, context: &Context) -> Result<(), Failure> {
    if context.global.json {
        finish_json(&report.json(false));
    }
    if !context.global.quiet {
        let count = report.moved.new.packages.len();
        say(&format!("{} is up to date: {count} packages", recipe.lock_path().display()));
    }
    Ok(())
}

fn show(report: &UpdateReport<'_>, written: bool, context: &Context) -> Result<(), Failure> {
    match context.global.json {
        true => finish_json(&report.json(written)),
        false => print(&report.markdown())?,
    }
    Ok(())
}

fn drifted(recipe: &Recipe, moved: &Moved) -> Failure {
    let text = format!("{} would change: {}", recipe.lock_path().display(), moved.changes.summary());
    Failure::drifted(text).hint("if the change is wanted, run it without --locked")
}

/// Returns the package of the lock before: the one that is named, else the one that a build has left.
fn before(
    args: &Args,
    recipe: &Recipe,
    moved: &Moved,
    context: &Context,
) -> Result<Option<Compared>, Failure> {
    if let Some(path) = &args.before {
        return compared(path, context).map(Some);
    }
    for place in args.options.places(recipe)?.iter().filter(|place| place.exists()) {
        // What is no package of the old lock is none to compare with, damaged or not.
        let of_old = |package: &Compared| package.lock.as_ref() == Some(&moved.old);
        if let Some(package) = compared(place, context).ok().filter(of_old) {
            return Ok(Some(package));
        }
    }
    match args.fail_over.is_empty() {
        true => Ok(None),
        false => {
            Err(Failure::new("there is no package of the lock before, so --fail-over cannot be judged").hint(
                format!("name one with --before, or make it first: tinyroot build {}", args.recipe.display()),
            ))
        }
    }
}

/// Opens a package, to compare it.
fn compared(path: &Path, context: &Context) -> Result<Compared, Failure> {
    Ok(Compared::of(open(path, context)?, &*context.reading_store()?))
}

/// How many suspects are named.
const SUSPECTS: usize = 10;

/// Returns the moved packages that may be why a build failed.
fn suspects(failure: &Failure, folder: &str, moved: &Moved, before: Option<&Compared>) -> Vec<String> {
    let text = failure.to_string();
    // The recipe's name is no package's name.
    let text = text.split("\nhint: ").next().unwrap_or_default().replace(folder, "");
    let list = before.and_then(|before| Some((before.list.as_ref()?, &before.tree)));
    moved.suspects(&text, &list.map(|(list, tree)| with_files(list, tree)).unwrap_or_default())
}

/// Returns the packages that have files in a package.
fn with_files(list: &PruneList, tree: &Tree) -> BTreeSet<String> {
    let there = shares(list, tree).into_iter().filter(|(_, share)| share.extent() != Extent::Absent);
    there.map(|(name, _)| name).collect()
}

/// Adds to a failure that the lock is as it was, and which moved packages may be why.
fn with_suspects(failure: Failure, folder: &str, suspects: &[String]) -> Failure {
    let mut named = suspects.iter().take(SUSPECTS).cloned().collect::<Vec<_>>().join(", ");
    if suspects.len() > SUSPECTS {
        named += &format!(" and {} more", suspects.len() - SUSPECTS);
    }
    let mut told = format!("{} is as it was", Path::new(folder).join("recipe.lock").display());
    if !suspects.is_empty() {
        told += &format!(
            "; of what moved, this may be why: {named}; `tinyroot lock {folder} --update PACKAGE` moves one alone"
        );
    }
    failure.map_hint(|hint| Some(hint.map_or(told.clone(), |hint| format!("{hint}\n{told}"))))
}
