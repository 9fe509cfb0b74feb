//! `tinyroot why`: why a path or package is in an artifact, or why it was pruned.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Context, Failure, finish_json, print, verify::with_file};
use crate::{
    artifact,
    formats::prune_list::parse_list,
    line::{overlay, prune, read_evidence},
    prune::write_list,
    recipe::{self, Recipe},
    report::Reasons,
};

/// Print the reason why a path or package was kept or pruned
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A package file, - for one on standard input, or a recipe folder: the package built from it, or,
    /// without a current one, its present evidence
    artifact: PathBuf,
    /// A path in it, such as /usr/bin/git, or a Debian package
    subject: String,
}

/// Prints the reason for a path, with all that led to it, or those of a package's paths.
///
/// # Errors
/// An artifact that cannot be opened or has no papers, and a subject that never was in its root.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let reasons = match source_of(&args.artifact)? {
        Source::Artifact(file) => {
            let artifact = with_file(&file, context, artifact::open)?;
            Reasons::read(artifact.tree, &*context.reading_store()?).ok_or_else(|| {
                let text = format!("{} does not say why its files are in", file.display());
                Failure::new(text).hint("only packages that tinyroot built have a prune.list")
            })?
        }
        Source::Recipe(recipe) => planned(*recipe, context)?,
    };
    let why = reasons.about(&args.subject)?;
    if context.global.json {
        finish_json(&why.json());
        return Ok(());
    }
    print(&why.text(context.global.verbose))
}

/// Where the reasons are from.
enum Source {
    /// A package file.
    Artifact(PathBuf),
    /// The evidence of a recipe as it is now: the package is missing, or older than the recipe.
    Recipe(Box<Recipe>),
}

/// Returns what an argument means: a package file, or a recipe folder, of which the package counts if it is
/// the newest.
fn source_of(given: &Path) -> Result<Source, Failure> {
    if given.as_os_str() == "-" || !given.is_dir() || artifact::is_layout(given) {
        return Ok(Source::Artifact(given.to_path_buf()));
    }
    let recipe = recipe::read(given)?;
    let file = given.join(format!("{}.spk", recipe.app.name));
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let made_from = recipe.text_paths().chain([recipe.lock_path(), recipe.used_path()]);
    let newest = made_from.filter_map(|path| time(&path)).max();
    match time(&file) {
        Some(built) if newest.is_none_or(|newest| newest <= built) => Ok(Source::Artifact(file)),
        _ => Ok(Source::Recipe(Box::new(recipe))),
    }
}

/// Decides as `build` does, without building: from the lock, the evidence, and the configured root that the
/// cache has.
fn planned(recipe: Recipe, context: &Context) -> Result<Reasons, Failure> {
    let session = context.session()?;
    let overlaid = overlay(recipe, &session)?;
    let reduced = prune(&overlaid, &read_evidence(&overlaid)?, &session)?;
    let texts = reduced.files.iter().map(|(path, reduction)| (path, &reduction.text[..]));
    let list = parse_list(&write_list(&reduced.pruned.plan, texts))
        .ok_or_else(|| Failure::new("internal error: the plan cannot be read back"))?;
    Ok(Reasons { tree: reduced.pruned.tree, list, lock: Some(overlaid.sources.lock) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_answers_itself_where_no_newer_package_is_built() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = "[app]\nname = \"wiki\"\npackages = [\"wiki\"]\n[debian]\nsuite = \"bookworm\"\n\
                    [web]\nport = 8000\n[[exercise]]\nget = \"/\"\n";
        let write = |name: &str, text: &str, minutes: u64| {
            let path = directory.path().join(name);
            fs::write(&path, text).expect("writes");
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 + 60 * minutes);
            let file = fs::File::options().write(true).open(&path).expect("opens");
            file.set_modified(time).expect("sets");
        };
        let is_recipe = || matches!(source_of(directory.path()), Ok(Source::Recipe(_)));
        write("recipe.toml", text, 1);
        assert!(is_recipe());
        write("wiki.spk", "", 2);
        assert!(!is_recipe());
        write("used.list", "", 3);
        assert!(is_recipe());
        let file = directory.path().join("wiki.spk");
        assert!(matches!(source_of(&file), Ok(Source::Artifact(found)) if found == file));
    }
}
