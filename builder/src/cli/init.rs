//! `tinyroot init`: the beginnings of a recipe.

use std::{fs, path::PathBuf};

use super::{Context, Failure, output::say};
use crate::{
    archive::Selection,
    error::{At as _, PathError},
    files,
    line::{choose, universe},
    recipe::{Wanted, draft},
    resolve::Request,
};

/// Start a recipe from Debian packages
///
/// Resolves the packages, guesses from what would be installed which services there are, and writes a recipe
/// folder to be edited: recipe.toml with comments, and files/. The first package is the app.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot init radicale                               write recipes/radicale\n  \
    tinyroot init dokuwiki nginx php8.2-fpm --output d   write d")]
pub struct Args {
    /// Debian packages, the app first, then those that it needs
    #[arg(required = true)]
    packages: Vec<String>,
    /// The suite, by codename
    #[arg(long, value_name = "SUITE", default_value = "bookworm")]
    suite: String,
    /// The folder to write, which must not exist yet [default: recipes/PACKAGE]
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let default = || PathBuf::from("recipes").join(&args.packages[0]);
    let output = args.output.clone().unwrap_or_else(default);
    if fs::symlink_metadata(&output).is_ok() {
        let failure = Failure::new(format!("{} already exists", output.display()));
        return Err(failure.hint("name another folder with --output DIR"));
    }
    let archive = context.session()?.open(&Selection::new(&args.suite, "amd64"))?;
    let universe = universe(&archive, &[])?;
    let request = Request {
        packages: args.packages.clone(),
        essential: true,
        prefer: vec![Request::MERGED_USR.into()],
        ..Request::default()
    };
    let resolution = choose(&universe, &request)?;
    let mut installed: Vec<&str> = resolution.packages.iter().map(|package| package.name.as_str()).collect();
    installed.sort_unstable();
    let files = draft(&Wanted { packages: &args.packages, suite: &args.suite, installed: &installed });
    write(&output, &files)?;
    if !context.global.quiet {
        let shown = output.display();
        say(&format!(
            "wrote {shown}: {} packages would be installed\nnext:\n  \
             edit {shown}/recipe.toml     services, setup, exercise\n  \
             tinyroot lock {shown}        pin every .deb\n  \
             tinyroot trace {shown}       run it and see what it uses\n  \
             tinyroot build {shown}       prune, prove, pack and sign",
            installed.len()
        ));
    }
    Ok(())
}

/// Writes the folder beside its place and moves it there, so that there is never half a recipe.
fn write(output: &std::path::Path, files: &[(String, String)]) -> Result<(), PathError> {
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(std::path::Path::new("."));
    files::create_dir_all(parent)?;
    let made =
        tempfile::Builder::new().prefix(".init-").tempdir_in(parent).at("create a directory in", parent)?;
    let folder = made.path().join("recipe");
    files::create_dir_all(folder.join("files"))?;
    for (path, text) in files {
        files::write(folder.join(path), text)?;
    }
    files::rename(folder, output)
}
