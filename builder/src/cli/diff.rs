//! `tinyroot diff`: what changed between two packages, in bytes.

use std::{
    collections::BTreeMap,
    env,
    fs::{Metadata, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    atomic,
    cli::{Context, Failure, finish_json, print, print_page, verify::with_any},
    diff::Bound,
    error::At as _,
    files,
    formats::image_name::ImageName,
    git::{CommittedFile, Folder},
    line::preview,
    operand::{self, Operand, Taken},
    recipe::{self, Recipe, base_folder},
    report::{Compared, SizeReport},
    shown, threads,
};

/// Compare any two of packages, images, tars, .debs, directories and recipes: sizes, versions, key, proof and budget
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot diff old.spk new.spk                               for reading\n  \
    tinyroot diff old.spk new.spk --format markdown             for a comment on a change\n  \
    tinyroot diff old.spk new.spk --format html > diff.html     treemaps in a browser\n  \
    tinyroot diff old.spk new.spk --fail-over 200k              exit with 3 if it grew by more\n  \
    tinyroot diff old.spk new.spk --fail-over libicu72=1%       the same of one Debian package\n  \
    tinyroot diff recipes/wiki@HEAD~1 recipes/wiki              a recipe before and after a change\n  \
    tinyroot diff tea_1.0_amd64.deb tea_1.1_amd64.deb           two versions of a Debian package\n  \
    tinyroot diff saved.tar docker://HOST/NAME:TAG              an image that docker saved, and one at a registry\n  \
    curl -fsS URL/old.spk | tinyroot diff - new.spk --json      the older one from standard input")]
pub struct Args {
    /// The older one: a package of any format, an OCI image (directory or tar), a tar of `docker save`, a tar of
    /// a root, a .deb, a directory, a recipe folder (what it would give now), or RECIPE@REVISION of git; - reads
    /// it from standard input, docker://HOST/NAME:TAG from a registry
    #[arg(value_name = "A")]
    before: PathBuf,
    /// The newer one, as A
    #[arg(value_name = "B")]
    after: PathBuf,
    /// How the result is written [default: text]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Exit with 3 if B is larger than A by more than this: bytes (200k, 1.5 MB, 200 KiB) or a percentage
    /// (5%); with PACKAGE= before it, if that Debian package takes so much more. Compressed bytes count where
    /// they are known of both. May be given several times
    #[arg(long, value_name = "[PACKAGE=]LIMIT")]
    fail_over: Vec<Bound>,
}

/// How the result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For reading
    Text,
    /// One document
    Json,
    /// For a comment on a change
    Markdown,
    /// One page for a browser, complete in itself, with treemaps
    Html,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if [&args.before, &args.after].iter().all(|path| path.as_os_str() == "-") {
        let text = "A and B cannot both come from standard input";
        return Err(Failure::wrong_value(text, "write one of them to a file"));
    }
    let form = context.form(args.format, [Format::Text, Format::Json])?;
    check(&args.fail_over)?;
    let [mut before, mut after] = open_both(&args.before, &args.after, context)?;
    operand::align([&mut before, &mut after]);
    let store = context.reading_store()?;
    let [before, after] = [before, after].map(|operand| Compared::of(operand, &store));
    let report = SizeReport::of(before, after, args.fail_over.clone(), &store);
    for name in report.unknown_packages() {
        context
            .progress
            .warn(&format!("neither A nor B has the package {}, which has a limit", shown::name(name)));
    }
    match form {
        Format::Json => finish_json(&report.json()),
        Format::Text => print(&report.text())?,
        Format::Markdown => print(&report.markdown())?,
        Format::Html => print_page(&report.page())?,
    }
    report.excess().map_or(Ok(()), |text| Err(Failure::exceeded(text)))
}

/// Refuses two limits for the same.
pub(super) fn check(bounds: &[Bound]) -> Result<(), Failure> {
    let twice =
        |(at, bound): &(usize, &Bound)| bounds[..*at].iter().any(|other| other.package == bound.package);
    match bounds.iter().enumerate().find(twice) {
        None => Ok(()),
        Some((_, bound)) => {
            let of = bound.package.as_ref().map_or_else(|| "B".to_owned(), |name| shown::name(name));
            let failure = Failure::new(format!("--fail-over gives two limits for {of}"));
            Err(failure.hint("leave one of them out"))
        }
    }
}

/// Opens both, side by side if both are files. The same file is opened once, and then found in the store.
fn open_both(before: &Path, after: &Path, context: &Context) -> Result<[Operand; 2], Failure> {
    let place = |path: &Path| {
        let found = path.metadata().ok().filter(Metadata::is_file)?;
        Some((found.dev(), found.ino()))
    };
    let (places, paths) = ([place(before), place(after)], [before, after]);
    if places.contains(&None) || places[0] == places[1] {
        return Ok([open(before, context)?, open(after, context)?]);
    }
    // Both are to have the same one.
    context.reading_store()?;
    let mut opened = threads::map(2, &paths, |path| open(path, context)).into_iter();
    let mut next =
        || opened.next().unwrap_or_else(|| Err(Failure::new("internal error: nothing was opened")));
    Ok([next()?, next()?])
}

/// Opens one of both.
pub(super) fn open(path: &Path, context: &Context) -> Result<Operand, Failure> {
    if path.join("recipe.toml").is_file() {
        return of_recipe(recipe::read(path)?, path, Taken::Recipe, context);
    }
    match revision(path) {
        Some((folder, revision)) => of_revision(path, folder, revision, context),
        None => Ok(with_any(path, context, operand::stream_limit_bytes, operand::open)??),
    }
}

/// Returns the folder and the revision in FOLDER@REVISION; `None` for a path that is there. Revisions may have
/// an @ too (`HEAD@{1}`), so the folder is as short as it can be.
fn revision(path: &Path) -> Option<(&Path, &str)> {
    let text = path.to_str().filter(|text| !ImageName::is_meant(text) && *text != "-" && !path.exists())?;
    let splits = || text.match_indices('@').map(|(at, _)| (Path::new(&text[..at]), &text[at + 1..]));
    splits().find(|(folder, _)| folder.is_dir()).or_else(|| splits().next())
}

/// Makes what a recipe would give now, as far as the store does not have it.
fn of_recipe(recipe: Recipe, name: &Path, taken: Taken, context: &Context) -> Result<Operand, Failure> {
    let session = context.session()?;
    let tree = preview(recipe, &session)?;
    Ok(Operand::of_recipe(taken, name.display().to_string(), tree, &session.store))
}

/// Makes what a recipe gave at a commit. Its folder and those of its bases are written, to a place for temporary
/// files.
fn of_revision(name: &Path, folder: &Path, revision: &str, context: &Context) -> Result<Operand, Failure> {
    let repository = Folder::open(folder)?;
    let commit = repository.commit(revision)?;
    let mut files = repository.files(&commit)?;
    if !files.contains_key("recipe.toml") {
        let failure = Failure::new(format!("cannot read {} as a revision of a recipe", name.display()));
        return Err(failure.hint(format!("no recipe.toml is in {} there", folder.display())));
    }
    let parent = env::temp_dir();
    let made =
        atomic::Directory::make(&parent, ".tinyroot-revision-").at("create a directory in", &parent)?;
    // Errors name what lies in it.
    let place = made.path().join(name.to_string_lossy().replace('/', "-"));
    let mut from = std::path::absolute(folder).at("find", folder)?;
    let mut to = place.clone();
    loop {
        write_folder(&to, &files)?;
        let text = files.get("recipe.toml").map_or(&[][..], |file| &file.bytes);
        let (Some(base), Some(beside)) = (base_folder(&from, text), base_folder(&to, text)) else { break };
        // What is not there, or would lie elsewhere, the reader of recipes refuses with its place.
        let is_new = beside.starts_with(made.path()) && !beside.exists();
        let found = is_new.then(|| Folder::open(&base).and_then(|base| base.files(&commit)).ok());
        let Some(found) = found.flatten() else { break };
        (from, to, files) = (base, beside, found);
    }
    of_recipe(recipe::read_below(&place, made.path())?, name, Taken::Revision, context)
}

/// Writes the files of a folder.
fn write_folder(place: &Path, files: &BTreeMap<String, CommittedFile>) -> Result<(), Failure> {
    for (path, file) in files {
        let path = place.join(path);
        path.parent().map_or(Ok(()), files::create_dir_all)?;
        files::write(&path, &file.bytes)?;
        let mode = if file.is_executable { 0o755 } else { 0o644 };
        files::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    Ok(())
}
