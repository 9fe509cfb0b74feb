//! `tinyroot run`: one grain of an artifact, in the foreground.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
};

use crate::{
    artifact,
    cli::{
        Context, Failure, NO_JSON, exit, grains::library, missed, output::say_for_app, print, say,
        signers::Signers, verify::signed_file,
    },
    evidence::unseen,
    grain::{
        GrainRoot,
        library::is_name,
        runner::{self, OnImpatience, RunError, RunOptions, RunnableApp},
    },
    progress::Progress,
    proxy::Guards,
    sys::signals::Stops,
};

/// Run an app as a grain and print its URL
///
/// The grain's data stay between runs, below ~/.local/share/tinyroot/grains. Ctrl-C asks the app to stop;
/// further ones change nothing while its services have time to end. Exits with the app's status. Pruned paths
/// that the app requests are named, and written to `misses` beside the grain's data: `tinyroot trace RECIPE
/// --merge=FILE` merges them into used.list.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A package that tinyroot made, in any format; - reads it from standard input, docker://HOST/NAME:TAG from
    /// a registry
    artifact: PathBuf,
    /// Which grain of the app: each name has data of its own
    #[arg(long, value_name = "NAME", default_value = "default")]
    grain: String,
    /// Port on 127.0.0.1 [default: the first free one from 8000]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Let every user of this machine and every web page use the app, and forward every connection to its
    /// port; else the app is for you alone, under 127.0.0.1 and localhost, and pages of other sites can only
    /// link to it
    #[arg(long)]
    expose: bool,
    /// Show pruned names where the app lists directories, so that a name that it picks from a listing is
    /// reported as missed; the app then sees names that it cannot open
    #[arg(long)]
    show_pruned: bool,
    #[command(flatten)]
    signers: Signers,
}

/// Returns a function that warns, once, that a further request to stop changes nothing.
pub(super) fn impatience(progress: Progress) -> OnImpatience {
    let said = AtomicBool::new(false);
    Box::new(move |left| {
        if !said.swap(true, Ordering::Relaxed) {
            let seconds = left.as_secs() + 1;
            progress.warn(&format!(
                "the app is stopping already, and is killed if it takes more than {seconds} s; Ctrl-\\ (SIGQUIT) kills it now"
            ));
        }
    })
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    context.refuse_json("run", NO_JSON)?;
    if !is_name(&args.grain) {
        return Err(Failure::new(format!(
            "cannot use `{}` as the name of a grain: it has other characters than such names may have",
            args.grain
        ))
        .hint("use letters, digits, `-`, `_` and `.`"));
    }
    // Before anything starts a thread: all of them are to leave Ctrl-C to us.
    let stops = Stops::block()?;
    let store = context.store()?;
    let artifact = signed_file(&args.artifact, &args.signers, context, artifact::open)?;
    let directory = library()?.directory_of(&artifact.app_id(), &args.grain);
    let path = directory.join("misses");
    let progress = context.progress.clone();
    let misses = missed::sink(Some(&path), &context.progress, move |miss| progress.warn(&miss.warning()));
    let options = RunOptions {
        directory,
        port: args.port,
        guards: if args.expose { Guards::Gone } else { Guards::Stand },
        on_line: Box::new(say_for_app),
        misses: misses.clone(),
        on_impatience: impatience(context.progress.clone()),
    };
    if args.expose {
        context.progress.warn(
            "with --expose every user of this machine can use the app, and every web page that a browser here shows",
        );
    }
    let mut unwritten = None;
    let on_ready = |url: Option<&str>, root: &GrainRoot| {
        if let Some(why) = root.why_no_view() {
            context.progress.warn(&unseen(why));
        }
        unwritten = print(&format!("{}\n", url.unwrap_or("running; it has no web port"))).err();
        unwritten.is_none()
    };
    let stop = Arc::new(AtomicI32::new(0));
    let first = stop.clone();
    let stopped = move || {
        let _ = first.compare_exchange(0, stops.wait(), Ordering::Relaxed, Ordering::Relaxed);
    };
    let app = artifact::app(artifact, &store)?;
    let app = RunnableApp { show_pruned: args.show_pruned, ..app };
    let exit = match runner::run(app, &store, stopped, options, on_ready) {
        // A start that was stopped is not the app's fault.
        Err(RunError::Grain(_)) if stop.load(Ordering::Relaxed) != 0 => {
            say("stopped");
            return Err(Failure::status(exit::of_signal(stop.load(Ordering::Relaxed))));
        }
        ended => ended?,
    };
    if let Some(failure) = unwritten {
        return Err(failure);
    }
    if misses.count() > 0 {
        let text = format!(
            "what the app missed is in {0}; `tinyroot trace RECIPE --merge={0}` merges it into used.list",
            path.display()
        );
        context.progress.warn(&text);
    }
    match u8::try_from(exit.code()) {
        Ok(0) => Ok(()),
        code => Err(Failure::status(code.unwrap_or(1))),
    }
}
