//! `tinyroot serve`: a page of apps and their grains.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{Context, Failure, exit, grains::library, print, signers::Signers, verify::signed_file};
use crate::{
    artifact,
    error::At as _,
    evidence::unseen,
    progress::Progress,
    recipe,
    sandbox::fuse,
    serve::{ServeOptions, ServedApp, Server, serve},
    shutdown,
    sys::signals::Stops,
};

/// Serve apps and their grains on a page
///
/// Prints the page's URL. It lists the apps and their grains; a click makes one, opens it in the browser at
/// an origin of its own, and stops it. Pruned paths that a grain requests are named
/// there; with the app's --recipe, a click adds it to used.list. The page is for this machine and needs its
/// URL. Ctrl-C stops all grains; further ones change nothing while they end.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot serve dokuwiki.spk cgit.spk\n  \
    tinyroot serve cgit.spk --recipe recipes/cgit       a click takes what is missed into its used.list\n\n\
    Scripts that have the page's cookie request /state.json.")]
pub struct Args {
    /// Packages that tinyroot made, in any format; docker://HOST/NAME:TAG is one at a registry
    #[arg(required = true)]
    artifact: Vec<PathBuf>,
    /// Port on 127.0.0.1 [default: the first free one from 6080]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Recipe folder of one of the apps; may be repeated
    #[arg(long, value_name = "FOLDER")]
    recipe: Vec<PathBuf>,
    /// Stop a grain after this time without a request
    #[arg(long, value_name = "MINUTES", default_value = "30", value_parser = minutes)]
    idle: Duration,
    /// Show pruned names where apps list directories, so that a name that they pick from a listing is
    /// reported as missed; the apps then see names that they cannot open
    #[arg(long)]
    show_pruned: bool,
    #[command(flatten)]
    signers: Signers,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number of minutes".to_owned())?;
    match Duration::try_from_secs_f64(minutes * 60.0) {
        Ok(idle) if !idle.is_zero() => Ok(idle),
        _ => Err("must be more than 0, and end some day".to_owned()),
    }
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    // Before anything starts a thread: all of them are to leave Ctrl-C to us.
    let stops = Stops::block()?;
    let apps = apps(args, context)?;
    let store = context.store()?;
    let missing = fuse().err();
    if let Some(why) = &missing {
        context.progress.warn(&unseen(why));
    }
    let options = ServeOptions { port: args.port, idle: args.idle, grains: library()?, unseen: missing };
    let server = serve(apps, &store, options)?;
    let url = server.url();
    print(&match context.global.json {
        true => format!("{}\n", serde_json::json!({ "url": url })),
        false => format!("{url}\n"),
    })?;
    stops.wait();
    close(&server, stops, &context.progress);
    shutdown::tidy_up();
    exit::done()
}

/// Stops all grains, each of which ends within a bound. Further requests to stop change nothing: the same one
/// often comes twice.
fn close(server: &Server, stops: Stops, progress: &Progress) {
    let progress = progress.clone();
    // Where no thread is to be had, nothing is said of it.
    let _ = std::thread::Builder::new().spawn(move || {
        stops.wait();
        progress.warn("the grains are stopping already; Ctrl-\\ (SIGQUIT) kills them now");
    });
    server.close();
}

/// Opens the artifacts, and finds whose the recipes are.
fn apps(args: &Args, context: &Context) -> Result<Vec<ServedApp>, Failure> {
    let store = context.store()?;
    let mut apps: Vec<ServedApp> = Vec::new();
    let mut seen = BTreeMap::new();
    for path in &args.artifact {
        let artifact = signed_file(path, &args.signers, context, artifact::open)?;
        if let Some(other) = seen.insert(artifact.app_id(), path) {
            let text = format!("{} and {} are the same app", other.display(), path.display());
            return Err(Failure::new(text).hint("its grains run on one of them: leave one out"));
        }
        let mut app = ServedApp::new(artifact, &store)?;
        app.app.show_pruned = args.show_pruned;
        if app.app.recipe.web.is_none() {
            let text = format!("{} has no web port, so no page can lead to it", path.display());
            return Err(Failure::new(text).hint("`tinyroot run` runs it"));
        }
        apps.push(app);
    }
    for folder in &args.recipe {
        let recipe = recipe::read(folder)?;
        let is_its = |app: &&mut ServedApp| {
            let id = recipe.app.id.as_ref().and_then(|id| id.parse().ok());
            app.app.recipe.app.name == recipe.app.name && id.is_none_or(|id| app.app_id == id)
        };
        let Some(app) = apps.iter_mut().find(is_its) else {
            let text = format!("{} is the recipe of no app that is served", folder.display());
            return Err(Failure::new(text).hint(format!("give an artifact of the app {}", recipe.app.name)));
        };
        app.recipe = Some(std::path::absolute(folder).at("find", folder)?);
    }
    Ok(apps)
}
