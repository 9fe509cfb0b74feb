//! `tinyroot check`: the pruned app through its exercise.

mod record;
mod times;
mod watch;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Context, Failure, finish_json, print, signers::Signers, verify::signed_file};
use crate::{
    artifact,
    coverage::{Coverage, OwnFiles},
    evidence::Pruned,
    exercise::Authority,
    formats::prune_list::PruneList,
    line::{self, Image, LineError, Overlaid, Session, differs, overlay, read_evidence, unproven, warn_of},
    papers::{self, digest_of, enclosed_recipe, pruned_of},
    progress::Progress,
    prove::{Bounds, Explored, Inputs, Proof, explore, prove, survey},
    recipe::{self, Recipe},
    report::{Place, ProofRecord, ProofReport},
    store::Store,
    tree::Tree,
};

/// Run the pruned app through its exercise; name every pruned path that it requests
///
/// A recipe is pruned by its used.list, and its answers are compared with those of the full root. An
/// artifact is run as it is, by the recipe that it encloses. With --explore, pages that the app links to are
/// asked for with GET as well, those that come first in each kind first; a page that differs is reported with
/// the pruned paths that it requested.
///
/// With --coverage, the app goes through its exercise once more while what it uses is recorded, and then through
/// the pages that it links to; nothing is compared there. A package will do.
///
/// With --watch there is no exercise: the app runs on data of its own that are thrown away, its URL is
/// printed, and so is each pruned path that it asks for while you click.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("beyond").multiple(true))]
#[command(after_help = "Examples:\n  \
    tinyroot check recipes/dokuwiki                   prove that the pruned app answers as the whole one\n  \
    tinyroot check recipes/dokuwiki --explore         ask for pages past the exercise as well\n  \
    tinyroot check recipes/dokuwiki --coverage        see what the proof does not say\n  \
    tinyroot check recipes/dokuwiki --times 20        see whether the proof is the same each time\n  \
    tinyroot check recipes/dokuwiki --junit proof.xml --sarif misses.sarif    for the pages of a CI service\n  \
    tinyroot check dokuwiki.spk --watch               use the app, and see what it misses")]
pub struct Args {
    /// A package that tinyroot made (docker://HOST/NAME:TAG is one at a registry), or a recipe folder
    #[arg(value_name = "ARTIFACT|RECIPE")]
    subject: PathBuf,
    /// Go past the exercise: request the pages that its pages link to, from the full root as well, and
    /// compare
    #[arg(long, group = "beyond")]
    explore: bool,
    /// Say how much of the app the exercise reaches: its files by language and directory, links and forms, services,
    /// translations; and the largest parts that it does not reach, each with a step that would
    #[arg(long, group = "beyond")]
    coverage: bool,
    /// Request this page as well; with --explore or --coverage [repeatable]
    #[arg(long, value_name = "PATH", requires = "beyond")]
    page: Vec<String>,
    /// How many pages to explore at most
    #[arg(long, value_name = "N", default_value_t = 100, requires = "beyond")]
    pages: usize,
    /// Let a person use the pruned app in a browser instead, and name each pruned path as the app requests
    /// it; Ctrl-C ends it
    #[arg(long, conflicts_with = "beyond")]
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
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["beyond", "watch"])]
    times: Option<u32>,
    /// How long to look for pages
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "beyond")]
    time: u64,
    #[command(flatten)]
    record: record::Files,
    #[command(flatten)]
    signers: Signers,
}

impl Args {
    fn bounds(&self) -> Bounds {
        Bounds { pages: self.pages, time: Duration::from_secs(self.time) }
    }

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
    let subject = recorded(Subject::of(args, context), args, record)?;
    let (explored, proven);
    let (proof, pages) = if args.explore {
        explored = subject.explored(args, record)?;
        record.add(&subject.recipe, Ok(&explored.proof), true);
        (&explored.proof, Some(&explored))
    } else {
        proven = subject.prove(record)?;
        (&proven, None)
    };
    let coverage = args.coverage.then(|| subject.coverage(args)).transpose()?;
    let report = ProofReport { proof, explored: pages, coverage: coverage.as_ref() };
    conclude(&report, args, context)
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
fn conclude(report: &ProofReport<'_>, args: &Args, context: &Context) -> Result<(), Failure> {
    let proof = report.proof;
    warn_of(proof, &context.progress);
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

/// Makes the image of the recipe that is named.
fn image_of(args: &Args, session: &Session) -> Result<(Overlaid, Image), Failure> {
    let overlaid = overlay(recipe::read(&args.subject)?, session)?;
    let image = Image::of(&overlaid, &read_evidence(&overlaid)?, session)?;
    Ok((overlaid, image))
}

/// The app that is named. It can be proven again and again.
struct Subject<'a> {
    recipe: Recipe,
    /// Its image, and what that lacks.
    tree: Arc<Tree>,
    pruned: Arc<Pruned>,
    source: Source,
    path: &'a Path,
    store: Arc<Store>,
    progress: &'a Progress,
}

/// Where an app is from.
enum Source {
    /// A recipe: its full root is there.
    Recipe(Box<(Overlaid, Image, Session)>),
    /// A package: what is known of its full root.
    Package(PruneList),
}

impl<'a> Subject<'a> {
    fn of(args: &'a Args, context: &'a Context) -> Result<Self, Failure> {
        let (path, progress) = (&*args.subject, &context.progress);
        if args.is_recipe() {
            let session = context.session()?;
            let (overlaid, image) = image_of(args, &session)?;
            let (tree, pruned, store) = (image.tree().clone(), image.lacks().clone(), session.store.clone());
            let recipe = overlaid.sources.recipe.clone();
            let source = Source::Recipe(Box::new((overlaid, image, session)));
            return Ok(Subject { recipe, tree, pruned, source, path, store, progress });
        }
        let store = context.store()?;
        let artifact = signed_file(&args.subject, &args.signers, context, artifact::open)?;
        let recipe = enclosed_recipe(&artifact.tree, &store)?;
        let pruned = Arc::new(pruned_of(&artifact.tree, &store));
        let source = Source::Package(papers::prune_list(&artifact.tree, &store).unwrap_or_default());
        Ok(Subject { recipe, tree: Arc::new(artifact.tree), pruned, source, path, store, progress })
    }

    /// Returns the Debian package of a path of the full root.
    fn owner(&self, path: &[u8]) -> Option<String> {
        match &self.source {
            Source::Recipe(made) => made.0.owner(path),
            Source::Package(list) => Some(list.paths.get(path)?.package.as_deref()?.to_owned()),
        }
    }

    fn prove(&self, record: &mut ProofRecord) -> Result<Proof, LineError> {
        let outcome = match &self.source {
            Source::Recipe(made) => line::prove(&made.0, &made.1, &made.2),
            Source::Package(_) => {
                let owner = |path: &[u8]| self.owner(path);
                let inputs = self.inputs(&owner, Authority::all(&self.recipe));
                let proof = prove(&inputs, &self.store, self.progress);
                proof.map_err(|error| unproven(error.into(), self.path))
            }
        };
        record.add(&self.recipe, outcome.as_ref(), false);
        outcome
    }

    /// Returns what runs of the pruned root alone take.
    fn inputs<'i>(
        &'i self,
        owner: &'i dyn Fn(&[u8]) -> Option<String>,
        authorities: Vec<Authority>,
    ) -> Inputs<'i> {
        let (tree, recipe, pruned) = (self.tree.clone(), &self.recipe, self.pruned.clone());
        Inputs { tree, recipe, authorities, pruned, owner, baseline: None }
    }

    fn explored(&self, args: &Args, record: &mut ProofRecord) -> Result<Explored, Failure> {
        let Source::Recipe(made) = &self.source else {
            return Err(Failure::new("only a recipe has a full root to compare with"));
        };
        let trees = [Arc::new(line::baseline(&made.0, &made.2)), self.tree.clone()];
        let (lacks, bounds) = (self.pruned.clone(), args.bounds());
        let explored = explore(&self.recipe, trees, lacks, &args.page, bounds, &self.store, self.progress);
        let explored = explored.map_err(|error| unproven(error.into(), self.path));
        Ok(explored.inspect_err(|error| record.add(&self.recipe, Err(error), true))?)
    }

    /// Returns how much of the app its exercise reaches.
    fn coverage(&self, args: &Args) -> Result<Coverage, Failure> {
        let owner = |path: &[u8]| self.owner(path);
        let own = OwnFiles::of(&self.tree, &self.recipe, &owner, &self.pruned, &self.store);
        let inputs = self.inputs(&owner, Vec::new());
        let survey = survey(&inputs, &own.tracked(), &args.page, args.bounds(), &self.store, self.progress);
        let survey = survey.map_err(|error| unproven(error.into(), self.path))?;
        Ok(Coverage::of(&own, &survey, &self.recipe, digest_of(&self.tree)))
    }
}
