//! `tinyroot build`: from a recipe folder to one signed package, or from many to one each.

mod many;

use std::path::{Path, PathBuf};

use super::{
    Context, Failure, finish_json,
    key::KeyFile,
    print, registry,
    signing::{NAMED, Named, key_of},
    surroundings,
};
use crate::{
    artifact::{self, AnyWriter, Format, Pushed, spk::Signer},
    atomic,
    digest::Digest,
    error::At as _,
    files,
    formats::{image_name::ImageName, key_file::Key, recipe_summary, xz::Effort},
    line::{Care, Session, build, manifest_of, overlay, read_lock},
    recipe::{self, Recipe},
    report::{Contents, Summary},
    store::Store,
};

/// Reads a note of a build that is up to date, and shows it.
#[cfg(feature = "testing")]
pub(super) fn read_note(note: &[u8]) {
    if let Some(summary) = Summary::from_note(note) {
        let output = std::path::Path::new("x.spk");
        let _ = (summary.text(output), summary.json(output, true), summary.line(output));
    }
}

/// Build a recipe: fetch, assemble, configure, prune, prove, pack and sign
///
/// Needs what recipe.lock and used.list name, and .debs: nothing is resolved and nothing traced. The pruned
/// app goes through its exercise before it is packed; a package that cannot do what the full root does is not
/// written.
///
/// Several recipes are built side by side. One that fails does not stop the others, and a table at the end
/// says how each ended. Files, and folders whose names begin with _, are passed over.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot build recipes/dokuwiki                     write recipes/dokuwiki/dokuwiki.spk\n  \
    tinyroot build recipes/dokuwiki --output /tmp       write /tmp/dokuwiki.spk\n  \
    tinyroot build recipes/dokuwiki --format oci        write recipes/dokuwiki/dokuwiki.oci.tar, for podman load\n  \
    tinyroot build recipes/dokuwiki --fast              the same, larger and sooner, while one works on it\n  \
    tinyroot build recipes/dokuwiki --remote-cache https://cache.example.org/x --remote-cache-key KEYID\n  \
    \x20                                                  with what another machine made of the same packages\n  \
    tinyroot build recipes/dokuwiki --json              tell size, contents and times as JSON\n  \
    tinyroot build recipes/* --output packages/         all of them, and a table of how each ended\n\n\
    Exits with 3 if the .spk is larger than the recipe's budget; of several recipes with 1 if any failed.")]
pub struct Args {
    /// A recipe folder, or several
    #[arg(required = true, value_name = "RECIPE")]
    recipes: Vec<PathBuf>,
    /// How many recipes are built side by side [default: one for each core, fewer where memory is short].
    /// Configuring and packing take all cores: never more than two at once do
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    options: Options,
}

/// How a package is made, and where it goes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The file to write, or a directory for it, which is made if it ends with / [default: RECIPE/NAME.spk, or
    /// with the ending of its format]
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    /// The format of the package
    #[arg(long, value_name = "FORMAT", value_parser = super::formats(), default_value = "spk")]
    format: Format,
    /// Whose key signs; - reads the key from standard input [default: TINYROOT_KEY, the recipe's, or the one
    /// noted for this app]
    #[arg(long, value_name = "APPID|-", value_parser = NAMED)]
    key: Option<Named>,
    #[command(flatten)]
    ring: KeyFile,
    /// Write the package unproven, where apps cannot be run
    #[arg(long)]
    no_proof: bool,
    /// Where the pruned app differs from the full one, add the paths that it requested to `prune.keep` of the
    /// recipe, and shipped state that it was not allowed to write to `app.state`; repeat until nothing new is
    /// found
    #[arg(long, conflicts_with = "no_proof")]
    fix: bool,
    /// Try each reduction that a build proposes, one after the other, and add those to the recipe with which
    /// the app still behaves as on the full root
    #[arg(long, conflicts_with = "no_proof")]
    reduce: bool,
    /// Compress it little, for development: a tenth of the time, a third larger, and nothing is measured that
    /// could be smaller. Its papers say so, and the recipe's budget does not count
    #[arg(long)]
    fast: bool,
    /// Write the sizes to recipe.summary beside the lock, for `tinyroot log`
    #[arg(long)]
    record: bool,
    /// Push it to a registry, too, as an image, by the logins that podman and docker keep
    #[arg(long, value_name = "docker://HOST/NAME:TAG", value_parser = registry::image_name)]
    push: Option<ImageName>,
}

/// Kind of the notes that the store keeps about builds.
const NOTE: &str = "build";

impl Options {
    /// Returns where the package goes, and where it would go by itself.
    ///
    /// # Errors
    /// A place in a directory that is not there.
    pub(super) fn places(&self, recipe: &Recipe) -> Result<[PathBuf; 2], Failure> {
        let given = output_path(self.output.as_deref(), self.format, recipe)?;
        Ok([given, output_path(None, self.format, recipe)?])
    }
}

/// A package that was made.
pub(super) struct Made {
    /// The figures of its build.
    pub summary: Summary,
    /// Where it lies.
    pub output: PathBuf,
    /// The recipe that it is of: a build can change it.
    pub recipe: Recipe,
    /// Whether it was there already.
    pub up_to_date: bool,
    key: Key,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let [recipe] = &args.recipes[..] else { return many::run(args, context) };
    let recipe = recipe::read(recipe)?;
    let plan = Plan::of(&recipe, &args.options, context)?;
    let made = plan.there_or_made(recipe, context)?;
    conclude(&made, &args.options, context)
}

/// All that a package needs besides its recipe and packages.
pub(super) struct Plan<'a> {
    options: &'a Options,
    key: Key,
    /// Where it goes.
    pub output: PathBuf,
    program: Digest,
}

impl<'a> Plan<'a> {
    /// Sees to what would fail only after the long work: in CI, say, no key is made.
    ///
    /// # Errors
    /// A lock that is not the recipe's, no key, no place for the package.
    pub fn of(recipe: &Recipe, options: &'a Options, context: &Context) -> Result<Self, Failure> {
        manifest_of(recipe, &read_lock(recipe)?)?;
        let key = key_of(recipe, options.key, &options.ring, context)?;
        let output = output_path(options.output.as_deref(), options.format, recipe)?;
        Ok(Plan { options, key, output, program: surroundings::program_digest()? })
    }

    /// Returns the figures of the package if it is there already, made of the same.
    fn made(&self, recipe: &Recipe, store: &Store) -> Result<Option<Summary>, Failure> {
        let note = store.noted(NOTE, &self.inputs_digest(recipe)?.to_string());
        let summary = note.and_then(|note| Summary::from_note(&note));
        Ok(summary.filter(|summary| {
            artifact::is_at(&self.output, self.options.format, &summary.sha256)
                && !(self.options.reduce && summary.has_proposals())
        }))
    }

    /// Returns the package, made unless it is there already.
    fn there_or_made(self, recipe: Recipe, context: &Context) -> Result<Made, Failure> {
        match self.made(&recipe, &*context.store()?)? {
            Some(summary) => {
                Ok(Made { summary, output: self.output, recipe, up_to_date: true, key: self.key })
            }
            None => self.make(recipe, context),
        }
    }

    /// Makes the package.
    ///
    /// # Errors
    /// The first stage that fails.
    pub fn make(self, recipe: Recipe, context: &Context) -> Result<Made, Failure> {
        let Options { format, no_proof, fix, reduce, fast, .. } = *self.options;
        let manifest = manifest_of(&recipe, &read_lock(&recipe)?)?;
        let effort = if fast { Effort::Fast } else { Effort::Best };
        let session = Session { effort, ..context.session()? };
        let care = if no_proof { Care::NoProof } else { Care::Prove { fix, reduce } };
        let writer = AnyWriter { format, manifest: &manifest, signer: Signer::Key(&self.key) };
        let built = build(overlay(recipe, &session)?, &writer, &self.output, care, &session)?;
        let summary = Summary::of(&built);
        let recipe = built.overlaid.sources.recipe;
        // Of the recipe as it is now.
        let inputs = self.inputs_digest(&recipe)?.to_string();
        session.store.note(NOTE, &inputs, summary.to_note().as_bytes())?;
        Ok(Made { summary, output: self.output, recipe, up_to_date: false, key: self.key })
    }

    /// Returns a digest of all that a package's bytes and its summary depend on.
    fn inputs_digest(&self, recipe: &Recipe) -> Result<Digest, Failure> {
        let Options { no_proof, format, fast, .. } = *self.options;
        let (program, folder, key) = (&self.program, recipe.folder_digest()?, self.key.app_id());
        Ok(Digest::of(format!("{program} {folder} {key} {no_proof} {format} {fast}").as_bytes()))
    }
}

fn output_path(given: Option<&Path>, format: Format, recipe: &Recipe) -> Result<PathBuf, Failure> {
    let name = format!("{}{}", recipe.app.name, format.ending());
    let Some(path) = given else { return Ok(recipe.directory.join(name)) };
    let is_named_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    if is_named_directory {
        files::create_dir_all(path)?;
    }
    if path.is_dir() && !artifact::is_layout(path) {
        return Ok(path.join(name));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if parent.is_dir() {
        return Ok(path.to_path_buf());
    }
    Err(Failure::new(format!("cannot write {}: {} is not a directory", path.display(), parent.display()))
        .hint(format!("mkdir -p {}", parent.display())))
}

impl Made {
    /// Returns the failure of a package that is larger than its recipe allows, which is said of the `.spk`, packed
    /// in full.
    pub fn over_budget(&self, options: &Options) -> Option<Failure> {
        if options.format != Format::Spk || options.fast {
            return None;
        }
        let budget = self.recipe.budget.artifact_bytes.filter(|budget| self.summary.size_bytes > *budget)?;
        let (size, budget) = (super::size_text(self.summary.size_bytes), super::size_text(budget));
        let text = format!("{} is {size}, over its budget of {budget}", self.output.display());
        Some(
            Failure::exceeded(text)
                .hint("`tinyroot inspect` shows what is large, `tinyroot why` what needs it"),
        )
    }

    /// Writes its sizes beside the lock of its recipe, if that is asked for.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn record(&self, options: &Options, context: &Context) -> Result<(), Failure> {
        if !options.record {
            return Ok(());
        }
        let store = context.store()?;
        let (artifact, prices) = artifact::open_priced(&self.output, &store, &context.progress)?;
        let contents = Contents::of(&artifact, Some(prices), 1, &store);
        let folder = recipe::digest_of_folder(&self.recipe.own_folder()?);
        let summary = contents.recipe_summary(folder);
        let path = self.recipe.directory.join(recipe_summary::NAME);
        Ok(atomic::replace(&path, summary.to_text().as_bytes()).at("write", &path)?)
    }

    /// Pushes it to a registry, if that is asked for.
    ///
    /// # Errors
    /// A registry that cannot be reached or refuses it.
    pub fn push(&self, options: &Options, context: &Context) -> Result<Option<Pushed>, Failure> {
        let Some(image) = &options.push else { return Ok(None) };
        let artifact = artifact::open(&self.output, &*context.store()?, &context.progress)?;
        registry::push(&artifact, image, Some(&self.key), context).map(Some)
    }
}

/// Holds the package against its budget, pushes it if it is within, and prints the summary.
fn conclude(made: &Made, options: &Options, context: &Context) -> Result<(), Failure> {
    let Made { summary, output, up_to_date, .. } = made;
    made.record(options, context)?;
    let over = made.over_budget(options);
    let pushed = if over.is_none() { made.push(options, context)? } else { None };
    if context.global.json {
        let mut document = summary.json(output, *up_to_date);
        if let Some(pushed) = &pushed {
            document["pushed"] = registry::pushed_json(pushed);
        }
        finish_json(&document);
    } else if !context.global.quiet {
        let text = if *up_to_date { summary.line(output) } else { summary.text(output) };
        print(&(text + &pushed.as_ref().map(registry::pushed_text).unwrap_or_default()))?;
    }
    summary.warnings.iter().for_each(|warning| context.progress.warn(warning));
    over.map_or(Ok(()), Err)
}
