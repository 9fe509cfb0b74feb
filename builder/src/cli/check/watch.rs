//! `tinyroot check --watch`: the pruned app for a person's browser, each miss reported as it happens.

use std::sync::{Arc, mpsc};

use super::{Args, image_of};
use crate::{
    artifact,
    cli::{
        Context, Failure, browser, missed,
        output::{say, say_for_app},
        print,
        verify::signed_file,
    },
    evidence::unseen,
    grain::{
        GrainRoot,
        runner::{self, RunOptions, RunnableApp},
    },
    papers::owner_of,
    proxy::Guards,
    shutdown::StopHandler,
    store::Store,
};

/// Runs the app until Ctrl-C, or until it ends by itself.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    let app = app(args, &store, context)?;
    let (sender, requests) = mpsc::channel();
    // Until here a request to stop ended the program, and so does the second one.
    let _instead = StopHandler::new(move || {
        // There is no receiver once the app has ended.
        let _ = sender.send(());
    });
    let stopped = move || {
        if requests.recv().is_err() {
            loop {
                std::thread::park();
            }
        }
    };
    let scratch = store.scratch("watch-")?;
    let misses = missed::sink(args.misses.as_deref(), &context.progress, |miss| {
        // A reader that has gone away does not stop the app.
        let _ = print(&match miss.is_write() {
            true => format!("{}\n", miss.with_remedy("  ")),
            false => format!("pruned: {miss}\n  to have it, add {}\n", miss.keep_line()),
        });
    });
    let quiet = context.global.quiet;
    let options = RunOptions {
        directory: scratch.path().join("grain"),
        port: args.port,
        guards: Guards::Stand,
        on_line: Box::new(move |line| {
            if !quiet {
                // As `run` does: the app's log is half of what a person looks for.
                say_for_app(line);
            }
        }),
        misses: misses.clone(),
        // The second request ends the program.
        on_impatience: Box::new(|_| {}),
    };
    let on_ready = |url: Option<&str>, root: &GrainRoot| {
        if let Some(why) = root.why_no_view() {
            context.progress.warn(&unseen(why));
        }
        let _ = print(&format!("{}\n", url.unwrap_or("running; it has no web port")));
        if let Some(url) = url.filter(|_| !args.no_browser) {
            browser::open(url);
        }
        true
    };
    let exit = runner::run(app, &store, stopped, options, on_ready)?;
    let count = misses.count();
    if !context.global.quiet {
        say(&format!("{count} pruned paths requested"));
        if let Some(path) = args.misses.as_ref().filter(|_| count > 0) {
            say(&format!("`tinyroot trace RECIPE --merge={}` merges them into used.list", path.display()));
        }
    }
    match exit.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("the app ended with {exit}"))),
    }
}

fn app(args: &Args, store: &Arc<Store>, context: &Context) -> Result<RunnableApp, Failure> {
    if !args.is_recipe() {
        let artifact = signed_file(&args.subject, &args.signers, context, artifact::open)?;
        let app = artifact::app(artifact, store)?;
        return Ok(RunnableApp { show_pruned: args.show_pruned, ..app });
    }
    let (overlaid, image) = image_of(args, &context.session()?)?;
    let (tree, pruned) = (image.tree().clone(), image.lacks().clone());
    let owner_of = Arc::new(owner_of(tree.clone(), store.clone()));
    Ok(RunnableApp { tree, recipe: overlaid.sources.recipe, pruned, owner_of, show_pruned: args.show_pruned })
}
