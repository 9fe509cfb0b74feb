//! `tinyroot check`: the pruned app through its exercise.

mod record;
mod times;
mod watch;

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{Context, Failure, finish_json, print, signers::Signers, verify::signed_file};
use crate::{
    artifact,
    exercise::Authority,
    line::{self, Image, LineError, Overlaid, Session, differs, overlay, read_evidence, unproven, warn_of},
    papers::{self, enclosed_recipe, pruned_of},
    prove::{Bounds, Explored, Inputs, Proof, explore, prove},
    recipe::{self, Recipe},
    report::{Place, ProofRecord, ProofReport},
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
    tinyroot check recipes/dokuwiki --junit proof.xml --sarif misses.sarif    for the pages of a CI service\n  \
    tinyroot check dokuwiki.spk --watch               use the app, and see what it misses")]
pub struct Args {
    /// A package that tinyroot made (docker://HOST/NAME:TAG is one at a registry), or a recipe folder
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
    #[command(flatten)]
    record: record::Files,
    #[command(flatten)]
    signers: Signers,
}

impl Args {
    fn is_recipe(&self) -> bool {
        self.subject.is_dir() && !artifact::is_layout(&self.subject) || self.subject.ends_with("recipe.toml")
    }

    /// Returns the recipe.toml, if it is a recipe that is named.
    fn recipe_file(&self) -> Option<PathBuf> {
        let folder = self.subject.is_dir().then(|| self.subject.join("recipe.toml"));
        self.is_recipe().then(|| folder.unwrap_or_else(|| self.subject.clone()))
    }
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.watch {
        return watch::run(args, context);
    }
    refuse_pages(args)?;
    args.record.check()?;
    let mut record = ProofRecord::default();
    let result = match args.times {
        Some(times) => times::run(args, times, &mut record, context),
        None => once(args, &mut record, context),
    };
    let recipe = args.recipe_file();
    let place = recipe.as_deref().map_or(Place::Package(&args.subject), Place::Recipe);
    args.record.write(&record, place, result, context)
}

/// Proves the app once, and records the proof.
fn once(args: &Args, record: &mut ProofRecord, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    if args.explore {
        let (recipe, explored) = explored(args, record, context)?;
        record.add(&recipe, Ok(&explored.proof), true);
        return conclude(&explored.proof, Some(&explored), args, context);
    }
    let prover = recorded(prover(args, &store, context), args, record)?;
    let proof = prover.prove(record)?;
    conclude(&proof, None, args, context)
}

/// Records that there is no app to prove.
fn recorded<T>(made: Result<T, Failure>, args: &Args, record: &mut ProofRecord) -> Result<T, Failure> {
    made.inspect_err(|failure| record.fail(&record::name_of(&args.subject), &failure.to_string()))
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
struct Prover<'a> {
    recipe: Recipe,
    prove: Box<dyn Fn() -> Result<Proof, LineError> + 'a>,
}

impl Prover<'_> {
    fn prove(&self, record: &mut ProofRecord) -> Result<Proof, LineError> {
        let outcome = (self.prove)();
        record.add(&self.recipe, outcome.as_ref(), false);
        outcome
    }
}

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
        let recipe = overlaid.sources.recipe.clone();
        return Ok(Prover { recipe, prove: Box::new(move || line::prove(&overlaid, &image, &session)) });
    }
    let artifact = signed_file(&args.subject, &args.signers, context, artifact::open)?;
    let enclosed = enclosed_recipe(&artifact.tree, store)?;
    let pruned = Arc::new(pruned_of(&artifact.tree, store));
    let list = papers::prune_list(&artifact.tree, store).unwrap_or_default();
    let tree = Arc::new(artifact.tree);
    let recipe = enclosed.clone();
    let prove = move || {
        let owner =
            |path: &[u8]| list.paths.get(path).and_then(|listed| Some(listed.package.as_deref()?.to_owned()));
        let (tree, pruned, authorities) = (tree.clone(), pruned.clone(), Authority::all(&recipe));
        let inputs = Inputs { tree, recipe: &recipe, authorities, pruned, owner: &owner, baseline: None };
        let proof = prove(&inputs, store, &context.progress);
        proof.map_err(|error| unproven(error.into(), &args.subject))
    };
    Ok(Prover { recipe: enclosed, prove: Box::new(prove) })
}

fn explored(args: &Args, record: &mut ProofRecord, context: &Context) -> Result<(Recipe, Explored), Failure> {
    let session = context.session()?;
    let (overlaid, image) = recorded(image_of(args, &session), args, record)?;
    let trees = [Arc::new(line::baseline(&overlaid, &session)), image.tree().clone()];
    let bounds = Bounds { pages: args.pages, time: Duration::from_secs(args.time) };
    let (recipe, lacks) = (overlaid.sources.recipe, image.lacks().clone());
    let explored = explore(&recipe, trees, lacks, &args.page, bounds, &session.store, &session.progress);
    let explored = explored.map_err(|error| unproven(error.into(), &args.subject));
    let explored = explored.inspect_err(|error| record.add(&recipe, Err(error), true))?;
    Ok((recipe, explored))
}
