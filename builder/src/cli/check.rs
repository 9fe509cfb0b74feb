//! `tinyroot check`: the pruned app through its exercise.

mod times;
mod watch;

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{Context, Failure, finish_json, print};
use crate::{
    artifact,
    exercise::Authority,
    line::{self, Image, LineError, Overlaid, Session, differs, overlay, read_evidence, unproven, warn_of},
    papers::{self, enclosed_recipe, pruned_of},
    prove::{Bounds, Explored, Inputs, Proof, explore, prove},
    recipe,
    report::ProofReport,
    store::Store,
};

/// Run the pruned app through its exercise; name every pruned path that it requests
///
/// A recipe is pruned by its used.list, and its answers are compared with those of the full root. An
/// artifact is run as it is, by the recipe that it encloses. With --explore, pages that the app links to are
/// asked for with GET as well, those that come first in each kind first; a page that differs is reported with
/// the pruned paths that it requested.
///
/// With --watch there is no exercise: the app runs on data of its own that are thrown away, its URL is
/// printed, and so is each pruned path that it asks for while you click.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot check recipes/dokuwiki                   prove that the pruned app answers as the whole one\n  \
    tinyroot check recipes/dokuwiki --explore         ask for pages past the exercise as well\n  \
    tinyroot check recipes/dokuwiki --times 20        see whether the proof is the same each time\n  \
    tinyroot check dokuwiki.spk --watch               use the app, and see what it misses")]
pub struct Args {
    /// A package that tinyroot made, or a recipe folder
    #[arg(value_name = "ARTIFACT|RECIPE")]
    subject: PathBuf,
    /// Go past the exercise: request the pages that its pages link to, from the full root as well, and
    /// compare
    #[arg(long)]
    explore: bool,
    /// Request this page as well; with --explore [repeatable]
    #[arg(long, value_name = "PATH", requires = "explore")]
    page: Vec<String>,
    /// How many pages to explore at most
    #[arg(long, value_name = "N", default_value_t = 100, requires = "explore")]
    pages: usize,
    /// Let a person use the pruned app in a browser instead, and name each pruned path as the app requests
    /// it; Ctrl-C ends it
    #[arg(long, conflicts_with = "explore")]
    watch: bool,
    /// Write the missed paths to this file, for `tinyroot trace RECIPE --merge=FILE`
    #[arg(long, value_name = "FILE", requires = "watch")]
    misses: Option<PathBuf>,
    /// Show pruned names where the app lists directories, so that a name that it picks from a listing is
    /// reported as missed; the app then sees names that it cannot open
    #[arg(long, requires = "watch")]
    show_pruned: bool,
    /// Print the URL without opening a browser
    #[arg(long, requires = "watch")]
    no_browser: bool,
    /// Port of the app on 127.0.0.1 [default: the first free one from 8000]
    #[arg(long, value_name = "N", requires = "watch")]
    port: Option<u16>,
    /// Repeat the proof N times, and report how many passed; fails if one did not
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["explore", "watch"])]
    times: Option<u32>,
    /// How long to look for pages
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "explore")]
    time: u64,
}

impl Args {
    fn is_recipe(&self) -> bool {
        self.subject.is_dir() && !artifact::is_layout(&self.subject) || self.subject.ends_with("recipe.toml")
    }
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.watch {
        return watch::run(args, context);
    }
    let store = context.store()?;
    refuse_pages(args)?;
    if let Some(times) = args.times {
        return times::run(args, times, &store, context);
    }
    if args.explore {
        let explored = explored(args, context)?;
        return conclude(&explored.proof, Some(&explored), args, context);
    }
    let proof = prover(args, &store, context)?()?;
    conclude(&proof, None, args, context)
}

/// Refuses pages that cannot be compared.
fn refuse_pages(args: &Args) -> Result<(), Failure> {
    if !args.is_recipe() && args.explore {
        return Err(Failure::new("only a recipe has a full root to compare with").hint("name its folder"));
    }
    match args.page.iter().find(|page| !page.starts_with('/')) {
        None => Ok(()),
        Some(page) => {
            let text = format!("cannot compare the page `{page}`: it does not begin with /");
            Err(Failure::new(text).hint("name it as a browser would request it, such as /feed.php?type=atom"))
        }
    }
}

/// Shows a proof. A difference is a failure.
fn conclude(
    proof: &Proof,
    explored: Option<&Explored>,
    args: &Args,
    context: &Context,
) -> Result<(), Failure> {
    warn_of(proof, &context.progress);
    let report = ProofReport { proof, explored };
    match context.global.json {
        true => finish_json(&report.json()),
        false => print(&report.text())?,
    }
    proof.to_look_at().iter().for_each(|warning| context.progress.warn(warning));
    match proof.differences.len() {
        0 => Ok(()),
        _ => Err(differs(proof, &args.subject).into()),
    }
}

/// Proves the same app each time that it is called.
type Prover<'a> = Box<dyn Fn() -> Result<Proof, LineError> + 'a>;

/// Makes the image of the recipe that is named.
fn image_of(args: &Args, session: &Session) -> Result<(Overlaid, Image), Failure> {
    let overlaid = overlay(recipe::read(&args.subject)?, session)?;
    let image = Image::of(&overlaid, &read_evidence(&overlaid)?, session)?;
    Ok((overlaid, image))
}

fn prover<'a>(args: &'a Args, store: &'a Arc<Store>, context: &'a Context) -> Result<Prover<'a>, Failure> {
    if args.is_recipe() {
        let session = context.session()?;
        let (overlaid, image) = image_of(args, &session)?;
        return Ok(Box::new(move || line::prove(&overlaid, &image, &session)));
    }
    let artifact = artifact::open(&args.subject, store, &context.progress)?;
    let recipe = enclosed_recipe(&artifact.tree, store)?;
    let pruned = Arc::new(pruned_of(&artifact.tree, store));
    let list = papers::prune_list(&artifact.tree, store).unwrap_or_default();
    let tree = Arc::new(artifact.tree);
    Ok(Box::new(move || {
        let owner =
            |path: &[u8]| list.paths.get(path).and_then(|listed| Some(listed.package.as_deref()?.to_owned()));
        let (tree, pruned, authorities) = (tree.clone(), pruned.clone(), Authority::all(&recipe));
        let inputs = Inputs { tree, recipe: &recipe, authorities, pruned, owner: &owner, baseline: None };
        let proof = prove(&inputs, store, &context.progress);
        proof.map_err(|error| unproven(error.into(), &args.subject))
    }))
}

fn explored(args: &Args, context: &Context) -> Result<Explored, Failure> {
    let session = context.session()?;
    let (overlaid, image) = image_of(args, &session)?;
    let trees = [Arc::new(line::baseline(&overlaid, &session)), image.tree().clone()];
    let bounds = Bounds { pages: args.pages, time: Duration::from_secs(args.time) };
    let (recipe, lacks) = (&overlaid.sources.recipe, image.lacks().clone());
    let explored = explore(recipe, trees, lacks, &args.page, bounds, &session.store, &session.progress);
    Ok(explored.map_err(|error| unproven(error.into(), &args.subject))?)
}
