//! `tinyroot trace`: run the app on its whole root and write what it used.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Context, Failure,
    staged::{hinted, stage},
};
use crate::{
    prove::{Miss, read_report},
    recipe,
    trace::{Changes, Inputs, Trace, UsedLine, UsedList, trace},
    view::Kinds,
};

/// Run the app on its whole root and write used.list
///
/// Starts the recipe's services in a sandbox without a network, on a root that tinyroot serves itself,
/// takes the recipe's exercise, and writes every path that was used: how, by which program first, and
/// from which Debian package.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A recipe folder
    recipe: PathBuf,
    /// Add to the present used.list instead of replacing it: what this trace finds, or, tracing nothing, what the report of a grain
    /// says that its app missed
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "REPORT")]
    merge: Option<Option<PathBuf>>,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if let Some(Some(report)) = &args.merge {
        return take_in(report, args, context);
    }
    let merge = args.merge.is_some();
    let staged = stage(&args.recipe, context)?;
    let path = staged.recipe.used_path();
    let old = match UsedList::read(&path) {
        Ok(list) => Some(list),
        Err(_) if !path.exists() => None,
        Err(error) if merge => return Err(error.into()),
        Err(error) => {
            context.progress.warn(&format!("{error}: written anew"));
            None
        }
    };
    let owner = |at: &[u8]| staged.configured.owners.owner(at).map(str::to_owned);
    let inputs = Inputs {
        tree: &staged.configured.tree,
        owner: &owner,
        recipe: &staged.recipe,
        epoch_s: staged.configured.epoch_s,
    };
    let traced = trace(&inputs, &context.store()?, &context.progress).map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        hinted(error, hint)
    })?;
    let list = match &old {
        Some(old) if merge => {
            let mut all = old.clone();
            all.merge(traced.used.clone());
            all
        }
        _ => traced.used.clone(),
    };
    let changes = old.as_ref().map(|old| list.changes_since(old));
    if old.as_ref() != Some(&list) {
        list.write(&path)?;
    }
    if let Some(changes) = &changes {
        tell_changes(changes, context);
    }
    if !context.global.quiet {
        eprint!("{}", summary(&staged.recipe.app.name, &traced, &list));
        eprintln!("{}", outcome(&path.display().to_string(), changes.as_ref(), old.as_ref() == Some(&list)));
    }
    Ok(())
}

/// Adds what a grain's app missed to used.list: found by stat, as more is not known of what is not there.
fn take_in(report: &Path, args: &Args, context: &Context) -> Result<(), Failure> {
    let path = recipe::read(&args.recipe)?.used_path();
    let old = UsedList::read(&path)?;
    let mut list = old.clone();
    for Miss { path, package, program, .. } in read_report(report)? {
        let (package, service) = (package.unwrap_or_default(), String::new());
        list.insert(path, UsedLine { kinds: Kinds::STAT, program, package, service, step: "run".to_owned() });
    }
    if old != list {
        list.write(&path)?;
    }
    let changes = list.changes_since(&old);
    tell_changes(&changes, context);
    if !context.global.quiet {
        eprintln!("{}", outcome(&path.display().to_string(), Some(&changes), old == list));
    }
    Ok(())
}

/// Shows single paths to those who ask for detail.
fn tell_changes(changes: &Changes, context: &Context) {
    let Changes { added, gone, otherwise } = changes;
    for (word, paths) in [("added", added), ("gone", gone), ("used otherwise", otherwise)] {
        paths.iter().for_each(|path| context.progress.detail(&format!("{word}: /{path}")));
    }
}

/// Packages that a summary names; the others are counted.
const PACKAGES_SHOWN: usize = 5;

fn summary(app: &str, traced: &Trace, list: &UsedList) -> String {
    let mut kinds: BTreeMap<Kinds, (usize, &str)> = BTreeMap::new();
    let mut packages: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, line) in list.iter() {
        // Each path is counted once, by its strongest use.
        if let Some((kind, name)) = line.kinds.iter().next() {
            kinds.entry(kind).or_insert((0, name)).0 += 1;
        }
        if !line.package.is_empty() && line.package != "recipe" {
            *packages.entry(&line.package).or_default() += 1;
        }
    }
    let kinds: Vec<String> = kinds.values().map(|(count, name)| format!("{count} {name}")).collect();
    let mut packages: Vec<(&str, usize)> = packages.into_iter().collect();
    packages.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let mut most: Vec<String> =
        packages.iter().take(PACKAGES_SHOWN).map(|(name, count)| format!("{name} {count}")).collect();
    if packages.len() > PACKAGES_SHOWN {
        most.push("…".into());
    }
    format!(
        "traced {app}: ready after {:.1} s, {} steps in {:.1} s\n\
         used: {} paths ({})\n\
         from {} packages: {}\n\
         looked for in vain: {} names\n",
        traced.ready_after.as_secs_f64(),
        traced.transcript.steps.len(),
        traced.exercised_for.as_secs_f64(),
        list.len(),
        kinds.join(", "),
        packages.len(),
        most.join(", "),
        traced.absent,
    )
}

fn outcome(path: &str, changes: Option<&Changes>, same: bool) -> String {
    match changes {
        _ if same => format!("{path} is up to date"),
        None => format!("wrote {path}"),
        Some(Changes { added, gone, otherwise }) => {
            let counts = (added.len(), gone.len(), otherwise.len());
            format!("wrote {path}: {} added, {} gone, {} used otherwise", counts.0, counts.1, counts.2)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exercise::Transcript;

    #[test]
    fn sums_a_trace_up() {
        let text = "/usr/bin/a executed,opened - a - start\n/usr/bin/b executed - b - start\n\
                    /usr/lib/x stat - b - -\n/app/y opened - recipe - -\n/lib read-link - - - -\n";
        let used = UsedList::parse(text, Path::new("used.list")).expect("a good list");
        let traced = Trace {
            used: used.clone(),
            transcript: Transcript::default(),
            absent: 7,
            ready_after: Duration::from_millis(1234),
            exercised_for: Duration::from_millis(250),
        };
        assert_eq!(
            summary("tea", &traced, &used),
            "traced tea: ready after 1.2 s, 0 steps in 0.2 s\n\
             used: 5 paths (2 executed, 1 opened, 1 read-link, 1 stat)\n\
             from 2 packages: b 2, a 1\n\
             looked for in vain: 7 names\n"
        );
        let changes = used.changes_since(&UsedList::new());
        let outcome = |changes, same| super::outcome("r/used.list", changes, same);
        assert_eq!(outcome(None, false), "wrote r/used.list");
        assert_eq!(outcome(Some(&changes), false), "wrote r/used.list: 5 added, 0 gone, 0 used otherwise");
        assert_eq!(outcome(Some(&Changes::default()), true), "r/used.list is up to date");
    }
}
