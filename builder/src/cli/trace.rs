//! `tinyroot trace`: run the app on its full root and write what it used.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{CommandFactory as _, error::ErrorKind};

use super::{Cli, Context, Failure, browser, finish_json, output::say, print, record};
use crate::{
    evidence::{self, Changes, UsedList, UsedListError, read_report},
    line::{Overlaid, Session, overlay},
    proxy::Tape,
    recipe,
    report::{ListReport, trace_text},
    trace::{self, Browsing, Driver, Inputs, Trace, TraceError, Urls, browse},
};

/// Run the app on its full root and write used.list
///
/// Starts the recipe's services in a sandbox without a network, on a root that tinyroot serves itself,
/// takes the recipe's exercise, and writes every path that was used: how, by which program first, and
/// from which Debian package.
///
/// With --interactive it is you who uses the app, in your browser, and the exercise is not run. Prints the
/// app's URL, and that of a page that shows, as you click, what is used beyond used.list. Ctrl-C stops the
/// app and adds that to used.list. Each line names the request that came last before the use, without values
/// of its query: `GET:/page?id=…`.
///
/// With --record, what you do there becomes the exercise, too: when you stop, the pages that you opened, the forms
/// and files that you sent, what scripts changed, and what they said over WebSockets and heard over event streams are
/// written to recipe.toml as steps, with captures for tokens and ids, and texts that you wrote as what later pages must
/// show. They take the place of a draft by `init`, else
/// they are added. Then they are replayed on two new grains; what does not hold is mended, or named by a TODO.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("browsing").args(["interactive", "record"]))]
#[command(after_help = "Examples:\n  \
    tinyroot trace recipes/dokuwiki                     write used.list by the exercise\n  \
    tinyroot trace recipes/dokuwiki --interactive       click through the app in your browser, Ctrl-C adds to it\n  \
    tinyroot trace recipes/dokuwiki --record            the same, and write what you do as the exercise\n  \
    tinyroot trace recipes/dokuwiki --merge=misses      add what a grain's app missed\n\n\
    Scripts request new.json?since=N below the page's URL, and continue with the `next` of its response.")]
pub struct Args {
    /// A recipe folder
    recipe: PathBuf,
    /// Merge into the present used.list instead of replacing it: the uses of this trace, or, without a trace,
    /// the misses in the report of a grain
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "REPORT")]
    merge: Option<Option<PathBuf>>,
    /// Let a person use the app in a browser instead, and add its new uses to used.list
    #[arg(long)]
    interactive: bool,
    /// As --interactive, and write what the person does to recipe.toml as its exercise
    #[arg(long, conflicts_with = "interactive")]
    record: bool,
    /// Write passwords into recipe.toml without asking; where nobody can be asked, others stand in their place
    #[arg(long, requires = "record")]
    record_passwords: bool,
    /// Print the URL without opening a browser
    #[arg(long, requires = "browsing")]
    no_browser: bool,
    /// Port of the app on 127.0.0.1 [default: the first free one from 8000]
    #[arg(long, value_name = "N", requires = "browsing")]
    port: Option<u16>,
}

impl Args {
    /// Returns whether a person uses the app.
    fn is_browsed(&self) -> bool {
        self.interactive || self.record
    }
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if let Some(Some(report)) = &args.merge {
        if args.is_browsed() {
            let name = if args.record { "--record" } else { "--interactive" };
            let text = format!("the argument '{name}' cannot be used with '--merge=REPORT'");
            return Err(Failure::usage(Cli::command().error(ErrorKind::ArgumentConflict, text)));
        }
        return merge_report(report, args, context);
    }
    let merge = args.merge.is_some() || args.is_browsed();
    let recipe = recipe::read(&args.recipe)?;
    if args.is_browsed() && recipe.web.is_none() {
        return Err(TraceError::NoWeb.into());
    }
    let path = recipe.used_path();
    // Before anybody clicks for an hour.
    let old = read_old(&path, merge, context)?;
    let session = context.session()?;
    let overlaid = overlay(recipe, &session)?;
    let tape = args.record.then(|| Arc::new(Tape::default()));
    let traced = trace_app(args, &overlaid, (&path, old.as_ref()), tape.clone(), &session, context)?;
    // Another process may have written to it in the meantime.
    let old = if args.is_browsed() { read_old(&path, merge, context).unwrap_or(old) } else { old };
    let mut list = old.clone().filter(|_| merge).unwrap_or_default();
    list.merge(traced.used.clone());
    context.unaffected()?;
    let (changes, is_same) = (old.as_ref().map(|old| list.changes_since(old)), old.as_ref() == Some(&list));
    if !is_same {
        list.write(&path)?;
    }
    let text = trace_text(&overlaid.sources.recipe.app.name, &traced, &list);
    show(&ListReport { path: &path, changes, is_same }, &text, args, context);
    if let Some(tape) = tape {
        record::write(&tape, args.record_passwords, &overlaid, &session, context)?;
    }
    conclude(&traced, context)
}

/// Traces the app by its exercise, or while a person uses it.
fn trace_app(
    args: &Args,
    overlaid: &Overlaid,
    (list, known): (&Path, Option<&UsedList>),
    tape: Option<Arc<Tape>>,
    session: &Session,
    context: &Context,
) -> Result<Trace, TraceError> {
    let owner = |at: &[u8]| overlaid.owner(at);
    let (tree, recipe, epoch_s) = (overlaid.tree(), &overlaid.sources.recipe, overlaid.epoch_s());
    let inputs = Inputs { tree, owner: &owner, recipe, epoch_s };
    if !args.is_browsed() {
        return trace::trace(&inputs, &session.store, &session.progress);
    }
    let on_ready = |urls: &Urls| {
        tell_urls(urls, list, args.record, context);
        if !args.no_browser && !context.global.json {
            browser::open(&urls.page);
            browser::open(&urls.app);
        }
    };
    let known = known.cloned().unwrap_or_default();
    browse(
        &inputs,
        Browsing { port: args.port, known, tape, on_ready: &on_ready },
        &session.store,
        &session.progress,
    )
}

/// Warns of what a person should look at. An app that exited by itself is a failure.
fn conclude(traced: &Trace, context: &Context) -> Result<(), Failure> {
    match &traced.driver {
        Driver::Exercise(transcript) => {
            transcript.warnings.iter().for_each(|warning| context.progress.warn(&warning.to_string()));
            Ok(())
        }
        Driver::Browser { ended: Some(exit), .. } => {
            let text = format!("the app exited with {exit} by itself");
            Err(Failure::new(text).hint("what it used until then is in used.list"))
        }
        Driver::Browser { ended: None, .. } => Ok(()),
    }
}

/// Reads the list that is there, if there is one; one that breaks a rule only matters if it is to be added
/// to.
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
fn tell_urls(urls: &Urls, list: &Path, record: bool, context: &Context) {
    let Urls { app, page } = urls;
    let text = match context.global.json {
        true => format!("{}\n", serde_json::json!({ "url": app, "new_url": page })),
        false => format!("{app}\nwhat it newly uses: {page}\n"),
    };
    // A reader that has gone away does not stop the app.
    let _ = print(&text);
    if !context.global.quiet {
        let also = if record { ", and writes what you did to recipe.toml" } else { "" };
        say(&format!("Ctrl-C stops the app and adds what it used to {}{also}", list.display()));
    }
}

/// Adds what a grain's app missed to used.list.
fn merge_report(report: &Path, args: &Args, context: &Context) -> Result<(), Failure> {
    let path = recipe::read(&args.recipe)?.used_path();
    let misses = read_report(report)?.into_iter().map(|reported| reported.miss);
    let changes = evidence::merge_misses(misses, &path)?;
    let is_same = changes == Changes::default();
    show(&ListReport { path: &path, changes: Some(changes), is_same }, "", args, context);
    Ok(())
}

/// Shows `text` and what becomes of the list, and single paths to those who ask for detail.
fn show(report: &ListReport<'_>, text: &str, args: &Args, context: &Context) {
    report.details().iter().for_each(|detail| context.progress.detail(detail));
    // Of --interactive and --record the addresses are the one document.
    if context.global.json && !args.is_browsed() {
        finish_json(&report.json());
    } else if !context.global.quiet {
        say(&format!("{text}{}", report.text()));
    }
}
