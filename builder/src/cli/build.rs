//! `tinyroot build`: from a recipe folder to one signed package.

use std::path::{Path, PathBuf};

use super::{
    Context, Failure, finish_json,
    key::KeyFile,
    print, registry,
    signing::{NAMED, Named, key_of},
    surroundings,
};
use crate::{
    artifact::{self, AnyWriter, Format, spk::Signer},
    atomic,
    digest::Digest,
    error::At as _,
    files,
    formats::{image_name::ImageName, key_file::Key, recipe_summary, xz::Effort},
    line::{Care, Session, build, manifest_of, overlay, read_lock},
    recipe::{self, Recipe},
    report::{Contents, Summary},
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
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot build recipes/dokuwiki                     write recipes/dokuwiki/dokuwiki.spk\n  \
    tinyroot build recipes/dokuwiki --output /tmp       write /tmp/dokuwiki.spk\n  \
    tinyroot build recipes/dokuwiki --format oci        write recipes/dokuwiki/dokuwiki.oci.tar, for podman load\n  \
    tinyroot build recipes/dokuwiki --fast              the same, larger and sooner, while one works on it\n  \
    tinyroot build recipes/dokuwiki --json              tell size, contents and times as JSON\n\n\
    Exits with 3 if the package is larger than the recipe's budget.")]
pub struct Args {
    /// A recipe folder
    recipe: PathBuf,
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
    /// Compress it little, for development: a tenth of the time, a third larger. Its papers say so
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

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let recipe = recipe::read(&args.recipe)?;
    let lock = read_lock(&recipe)?;
    let manifest = manifest_of(&recipe, &lock)?;
    // Before the long work: in CI none is made.
    let key = key_of(&recipe, args.key, &args.ring, context)?;
    let store = context.store()?;
    let output = output_path(args.output.as_deref(), args.format, &recipe)?;
    let program = surroundings::program_digest()?;
    let inputs = inputs_digest(&program, &recipe, &key, args)?.to_string();
    if let Some(summary) = store.noted(NOTE, &inputs).and_then(|note| Summary::from_note(&note))
        && artifact::is_at(&output, args.format, &summary.sha256)
        && !(args.reduce && summary.has_proposals())
    {
        return conclude(&summary, &output, true, &recipe, args, context);
    }
    let effort = if args.fast { Effort::Fast } else { Effort::Best };
    let session = Session { effort, ..context.session()? };
    let care = match args.no_proof {
        true => Care::NoProof,
        false => Care::Prove { fix: args.fix, reduce: args.reduce },
    };
    let writer = AnyWriter { format: args.format, manifest: &manifest, signer: Signer::Key(&key) };
    let built = build(overlay(recipe, &session)?, &writer, &output, care, &session)?;
    let summary = Summary::of(&built);
    // Mending changes the recipe.
    let inputs = inputs_digest(&program, &built.overlaid.sources.recipe, &key, args)?.to_string();
    store.note(NOTE, &inputs, summary.to_note().as_bytes())?;
    conclude(&summary, &output, false, &built.overlaid.sources.recipe, args, context)
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

/// Returns a digest of all that a package's bytes and its summary depend on.
fn inputs_digest(program: &Digest, recipe: &Recipe, key: &Key, args: &Args) -> Result<Digest, Failure> {
    let folder = recipe.folder_digest()?;
    let (key, Args { no_proof, format, fast, .. }) = (key.app_id(), args);
    Ok(Digest::of(format!("{program} {folder} {key} {no_proof} {format} {fast}").as_bytes()))
}

/// Writes the sizes of a package beside the lock of its recipe.
fn record(output: &Path, recipe: &Recipe, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    let artifact = artifact::open(output, &store, &context.progress)?;
    let prices = artifact::prices(&artifact, &store)?;
    let summary = Contents::of(&artifact, prices, 1, &store).recipe_summary(recipe.folder_digest()?);
    let path = recipe.directory.join(recipe_summary::NAME);
    Ok(atomic::replace(&path, summary.to_text().as_bytes()).at("write", &path)?)
}

/// Holds the package against its budget, pushes it if it is within, and prints the summary.
fn conclude(
    summary: &Summary,
    output: &Path,
    up_to_date: bool,
    recipe: &Recipe,
    args: &Args,
    context: &Context,
) -> Result<(), Failure> {
    if args.record {
        record(output, recipe, context)?;
    }
    let over = recipe.budget.artifact_bytes.filter(|budget| summary.size_bytes > *budget);
    let pushed = match &args.push {
        Some(image) if over.is_none() => {
            let artifact = artifact::open(output, &*context.store()?, &context.progress)?;
            Some(registry::push(&artifact, image, context)?)
        }
        _ => None,
    };
    if context.global.json {
        let mut document = summary.json(output, up_to_date);
        if let Some(pushed) = &pushed {
            document["pushed"] = registry::pushed_json(pushed);
        }
        finish_json(&document);
    } else if !context.global.quiet {
        let text = if up_to_date { summary.line(output) } else { summary.text(output) };
        print(&(text + &pushed.as_ref().map(registry::pushed_text).unwrap_or_default()))?;
    }
    summary.warnings.iter().for_each(|warning| context.progress.warn(warning));
    match over {
        Some(budget) => {
            let size = super::size_text(summary.size_bytes);
            let text =
                format!("{} is {size}, over its budget of {}", output.display(), super::size_text(budget));
            Err(Failure::exceeded(text)
                .hint("`tinyroot inspect` shows what is large, `tinyroot why` what needs it"))
        }
        None => Ok(()),
    }
}
