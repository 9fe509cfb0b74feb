//! `tinyroot lock`: resolve a recipe and pin every .deb.

mod minimize;
mod siblings;

use std::path::{Path, PathBuf};

use crate::{
    cli::{Context, Failure, finish_json, output::say, print},
    line::{choose, lock, request, universe},
    lock::{Lock, LockError},
    recipe,
    report::LockReport,
};

/// Resolve a recipe's packages and pin every .deb in recipe.lock
///
/// Takes the present state of the archive. Prints what moved, old and new.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A recipe folder
    recipe: PathBuf,
    /// Write nothing; exit 3 if the lock would change, as with --locked
    #[arg(long)]
    check: bool,
    /// Move only this package and what must move with it; without a name, all
    #[arg(long, value_name = "PACKAGE", num_args = 0..=1, default_missing_value = "")]
    update: Option<String>,
    /// Find the smallest set of packages, and exclude the others in recipe.toml
    ///
    /// Reports the differences from the set that apt would choose: another web server or mail agent may do
    /// the work then. Nothing is written with --check.
    #[arg(long, value_name = "WHAT", value_enum)]
    minimize: Option<minimize::Measure>,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut recipe = recipe::read(&args.recipe)?;
    let path = recipe.lock_path();
    let old = read_old(&path, context)?;
    let keep = args.check || context.global.locked;
    let archive = context.session()?.open_of(&recipe.debian)?;
    let universe = universe(&archive, &recipe.debian.pins)?;
    if let Some(minimize::Measure::Size) = args.minimize {
        recipe = minimize::minimize(recipe, &universe, keep, context)?;
    }
    let request = request(&recipe);
    let resolution = choose(&universe, &request)?;
    if resolution.beyond_apt {
        context.progress.warn("apt's own way leads into a contradiction here, so a solver chose");
    }
    if let Some(warning) = siblings::warning(&recipe, &universe, &resolution) {
        context.progress.warn(&warning);
    }
    let mut new = lock(&recipe, &archive, &request, &resolution);
    if let Some(name) = args.update.as_deref().filter(|name| !name.is_empty()) {
        let old = old.as_ref().ok_or_else(|| nothing_to_update(&path))?;
        new = new.moving_only(name, old, &universe)?;
    }
    let report = LockReport::of(&path, old.as_ref(), &new, &resolution);
    show(&report, !keep, context)?;
    match (report.is_up_to_date(), keep) {
        (true, _) => {}
        (false, true) => return Err(drifted(&report, if args.check { "--check" } else { "--locked" })),
        (false, false) => {
            new.write(&path)?;
            tell(context, &format!("wrote {}", report.summary()));
        }
    }
    Ok(())
}

/// Reads the lock that is there, if there is one.
fn read_old(path: &Path, context: &Context) -> Result<Option<Lock>, LockError> {
    match Lock::read(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Missing { .. }) => Ok(None),
        // A damaged lock is what this command mends; but not silently.
        Err(error @ LockError::Invalid { .. }) => {
            context.progress.warn(&error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Prints what moves; `writes` says whether it will be written.
fn show(report: &LockReport<'_>, writes: bool, context: &Context) -> Result<(), Failure> {
    if context.global.json {
        finish_json(&report.json(writes && !report.is_up_to_date()));
    }
    if report.is_up_to_date() {
        tell(context, &report.summary());
    } else if !context.global.json {
        print(&report.text())?;
    }
    Ok(())
}

fn nothing_to_update(path: &Path) -> Failure {
    let text = format!("cannot update one package: {} does not exist", path.display());
    Failure::new(text).hint("lock all of them without --update")
}

fn drifted(report: &LockReport<'_>, option: &str) -> Failure {
    let hint = format!("if the change is wanted, run it without {option} and read the diff");
    Failure::drifted(report.drift()).hint(hint)
}

fn tell(context: &Context, text: &str) {
    if !context.global.quiet {
        say(text);
    }
}
