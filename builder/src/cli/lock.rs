//! `tinyroot lock`: resolve a recipe and pin every .deb.

mod minimize;
mod siblings;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    cli::{Context, Failure, finish_json, output::say, print, size_text},
    line::{choose, lock, request, universe},
    lock::{Change, Changes, Lock, LockError},
    recipe,
    resolve::Resolution,
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
    /// Reports the differences from the set that apt would choose: another web server or mail agent may do the
    /// work then. Nothing is written with --check.
    #[arg(long, value_name = "WHAT", value_enum)]
    minimize: Option<minimize::Measure>,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut recipe = recipe::read(&args.recipe)?;
    let path = recipe.lock_path();
    let old = match Lock::read(&path) {
        Ok(lock) => Some(lock),
        Err(LockError::Missing { .. }) => None,
        // A damaged lock is what this command mends; but not silently.
        Err(error @ LockError::Invalid { .. }) => {
            context.progress.warn(&error.to_string());
            None
        }
        Err(error) => return Err(error.into()),
    };
    let archive = context.session()?.open_of(&recipe.debian)?;
    let universe = universe(&archive, &recipe.debian.pins)?;
    if let Some(minimize::Measure::Size) = args.minimize {
        let keep = args.check || context.global.locked;
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
        let Some(old) = &old else {
            return Err(Failure::new(format!(
                "cannot update one package: {} does not exist",
                path.display()
            ))
            .hint("lock all of them without --update"));
        };
        new = new.moving_only(name, old, &universe)?;
    }
    let changes = match &old {
        Some(old) => Changes::between(old, &new),
        None => Changes { packages: Vec::new(), other: true },
    };
    let is_new = old.is_none();
    let written = !changes.is_empty() && !args.check && !context.global.locked;
    if context.global.json {
        finish_json(&document(&path, &new, &changes, written));
    }
    if changes.is_empty() {
        tell(context, &format!("{} is up to date: {} packages", path.display(), new.packages.len()));
        return Ok(());
    }
    if !context.global.json {
        print(&changes.packages.iter().map(|change| format!("{change}\n")).collect::<String>())?;
    }
    let summary = if is_new { totals(&resolution) } else { changes.summary() };
    if !written {
        let option = if args.check { "--check" } else { "--locked" };
        let failure = Failure::drifted(format!("{} would change: {summary}", path.display()));
        return Err(
            failure.hint(format!("if the change is wanted, run it without {option} and read the diff"))
        );
    }
    new.write(&path)?;
    tell(context, &format!("wrote {}: {summary}", path.display()));
    Ok(())
}

fn tell(context: &Context, text: &str) {
    if !context.global.quiet {
        say(text);
    }
}

/// Returns what moves, as JSON.
fn document(path: &Path, lock: &Lock, changes: &Changes, written: bool) -> serde_json::Value {
    let change = |change: &Change| {
        json!({
            "name": change.name, "kind": change.kind(), "old": change.old, "new": change.new,
            "security": change.security,
        })
    };
    json!({
        "path": path, "up_to_date": changes.is_empty(), "written": written, "packages": lock.packages.len(),
        "changes": changes.packages.iter().map(change).collect::<Vec<_>>(),
    })
}

fn totals(resolution: &Resolution) -> String {
    let bytes = resolution.packages.iter().map(|package| package.size_bytes).sum();
    format!("{} packages, {}", resolution.packages.len(), size_text(bytes))
}
