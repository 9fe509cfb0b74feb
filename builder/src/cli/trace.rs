//! `tinyroot trace`: run the app on its full root and write what it used.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{CommandFactory as _, error::ErrorKind};

use super::{Cli, Context, Failure, browser, output::say, print};
use crate::{
    evidence::{self, Changes, Kinds, UsedList, UsedListError, read_report},
    line::overlay,
    recipe,
    trace::{self, Browsing, Inputs, Talk, Trace, TraceError, Urls, browse},
};

/// Run the app on its full root and write used.list
///
/// Starts the recipe's services in a sandbox without a network, on a root that tinyroot serves itself,
/// takes the recipe's exercise, and writes every path that was used: how, by which program first, and
/// from which Debian package.
///
/// With --interactive it is you who uses the app, in your browser, and the exercise is not run. Prints the app's URL, and
/// that of a page that shows, as you click, what is used beyond used.list. Ctrl-C stops the app and adds
/// that to used.list. Each line names the request that came last before the use, without values of its query: `GET:/page?id=…`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot trace recipes/dokuwiki                     write used.list by the exercise\n  \
    tinyroot trace recipes/dokuwiki --interactive       click through the app in your browser, Ctrl-C adds to it\n  \
    tinyroot trace recipes/dokuwiki --merge=misses      add what a grain's app missed\n\n\
    Scripts request new.json?since=N below the page's URL, and continue with the `next` of its response.")]
pub struct Args {
    /// A recipe folder
    recipe: PathBuf,
    /// Merge into the present used.list instead of replacing it: the uses of this trace, or, without a trace, the misses in the report
    /// of a grain
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "REPORT")]
    merge: Option<Option<PathBuf>>,
    /// Let a person use the app in a browser instead, and add its new uses to used.list
    #[arg(long)]
    interactive: bool,
    /// Print the URL without opening a browser
    #[arg(long, requires = "interactive")]
    no_browser: bool,
    /// Port of the app on 127.0.0.1 [default: the first free one from 8000]
    #[arg(long, value_name = "N", requires = "interactive")]
    port: Option<u16>,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if let Some(Some(report)) = &args.merge {
        if args.interactive {
            let text = "the argument '--interactive' cannot be used with '--merge=REPORT'";
            return Err(Failure::usage(Cli::command().error(ErrorKind::ArgumentConflict, text)));
        }
        return merge_report(report, args, context);
    }
    let merge = args.merge.is_some() || args.interactive;
    let recipe = recipe::read(&args.recipe)?;
    if args.interactive && recipe.web.is_none() {
        return Err(TraceError::NoWeb.into());
    }
    let path = recipe.used_path();
    // Before anybody clicks for an hour.
    let old = read_old(&path, merge, context)?;
    let session = context.session()?;
    let overlaid = overlay(recipe, &session)?;
    let owner = |at: &[u8]| overlaid.owner(at);
    let inputs = Inputs {
        tree: overlaid.tree(),
        owner: &owner,
        recipe: &overlaid.recipe,
        epoch_s: overlaid.epoch_s(),
    };
    let store = &session.store;
    let traced = match args.interactive {
        true => {
            let on_ready = |urls: &Urls| {
                tell_urls(urls, &path, context);
                if !args.no_browser && !context.global.json {
                    browser::open(&urls.page);
                    browser::open(&urls.app);
                }
            };
            let known = old.clone().unwrap_or_default();
            let browsing = Browsing { port: args.port, known, on_ready: &on_ready };
            browse(&inputs, browsing, store, &context.progress)
        }
        false => trace::trace(&inputs, store, &context.progress),
    };
    let traced = traced?;
    // Another process may have written to it in the meantime.
    let old = if args.interactive { read_old(&path, merge, context).unwrap_or(old) } else { old };
    let list = match &old {
        Some(old) if merge => {
            let mut all = old.clone();
            all.merge(traced.used.clone());
            all
        }
        _ => traced.used.clone(),
    };
    context.unaffected()?;
    let changes = old.as_ref().map(|old| list.changes_since(old));
    if old.as_ref() != Some(&list) {
        list.write(&path)?;
    }
    if let Some(changes) = &changes {
        tell_changes(changes, context);
    }
    if !context.global.quiet {
        let outcome = outcome(&path.display().to_string(), changes.as_ref(), old.as_ref() == Some(&list));
        say(&(summary(&overlaid.recipe.app.name, &traced, &list) + &outcome));
    }
    if let Talk::Exercise(transcript) = &traced.talk {
        transcript.warnings.iter().for_each(|warning| context.progress.warn(&warning.to_string()));
    }
    match traced.talk {
        Talk::Browser { ended: Some(exit), .. } => {
            let text = format!("the app exited with {exit} by itself");
            Err(Failure::new(text).hint("what it used until then is in used.list"))
        }
        _ => Ok(()),
    }
}

/// Reads the list that is there, if there is one; one that breaks a rule only matters if it is to be added to.
fn read_old(path: &Path, merge: bool, context: &Context) -> Result<Option<UsedList>, UsedListError> {
    match UsedList::read(path) {
        Ok(list) => Ok(Some(list)),
        Err(_) if !path.exists() => Ok(None),
        Err(error) if merge => Err(error),
        Err(error) => {
            context.progress.warn(&format!("{error}: written anew"));
            Ok(None)
        }
    }
}

/// Says where a browser finds the app, and what is new.
fn tell_urls(urls: &Urls, list: &Path, context: &Context) {
    let Urls { app, page } = urls;
    let text = match context.global.json {
        true => format!("{}\n", serde_json::json!({ "url": app, "new_url": page })),
        false => format!("{app}\nwhat it newly uses: {page}\n"),
    };
    // A reader that has gone away does not stop the app.
    let _ = print(&text);
    if !context.global.quiet {
        say(&format!("Ctrl-C stops the app and adds what it used to {}", list.display()));
    }
}

/// Adds what a grain's app missed to used.list.
fn merge_report(report: &Path, args: &Args, context: &Context) -> Result<(), Failure> {
    let path = recipe::read(&args.recipe)?.used_path();
    let misses = read_report(report)?.into_iter().map(|reported| reported.miss);
    let changes = evidence::merge_misses(misses, &path)?;
    tell_changes(&changes, context);
    if !context.global.quiet {
        let same = changes == Changes::default();
        say(&outcome(&path.display().to_string(), Some(&changes), same));
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
    let (count, what) = match &traced.talk {
        Talk::Exercise(transcript) => (transcript.steps.len(), "steps"),
        Talk::Browser { requests, .. } => (*requests, "requests"),
    };
    format!(
        "traced {app}: ready after {:.1} s, {count} {what} in {:.1} s\n\
         used: {} paths ({})\n\
         from {} packages: {}\n\
         looked for in vain: {} names\n",
        traced.ready_after.as_secs_f64(),
        traced.talked_for.as_secs_f64(),
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
        let mut traced = Trace {
            used: used.clone(),
            talk: Talk::Exercise(Transcript::default()),
            absent: 7,
            ready_after: Duration::from_millis(1234),
            talked_for: Duration::from_millis(250),
        };
        assert_eq!(
            summary("tea", &traced, &used),
            "traced tea: ready after 1.2 s, 0 steps in 0.2 s\n\
             used: 5 paths (2 executed, 1 opened, 1 read-link, 1 stat)\n\
             from 2 packages: b 2, a 1\n\
             looked for in vain: 7 names\n"
        );
        traced.talk = Talk::Browser { requests: 12, ended: None };
        assert!(
            summary("tea", &traced, &used)
                .starts_with("traced tea: ready after 1.2 s, 12 requests in 0.2 s\n")
        );
        let changes = used.changes_since(&UsedList::new());
        let outcome = |changes, same| super::outcome("r/used.list", changes, same);
        assert_eq!(outcome(None, false), "wrote r/used.list");
        assert_eq!(outcome(Some(&changes), false), "wrote r/used.list: 5 added, 0 gone, 0 used otherwise");
        assert_eq!(outcome(Some(&Changes::default()), true), "r/used.list is up to date");
    }
}
