//! `tinyroot stage`: the full configured root, to look at and to compare.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    Context, Failure, finish_json,
    output::{must_be_open, say},
    shell,
};
use crate::{
    atomic,
    configure::{ConfigureError, OnScriptFailure},
    error::At as _,
    files,
    line::configure,
    progress::Unit,
    recipe,
    render::{Devices, RenderOptions, TarOptions, render, write_tar},
    sandbox::{Running, is_full_root},
    store::Store,
    tree::Tree,
};

/// Write the full configured Debian root of a recipe, as a directory or a tar
///
/// It is what dpkg leaves after all maintainer scripts have run: before the recipe's own files are laid over
/// it and before anything is pruned.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot stage recipes/cgit --output root        a directory, which must not be there yet\n  \
    tinyroot stage recipes/cgit --output root.tar    a tar with owners, the same bytes for every user\n  \
    tinyroot stage recipes/cgit --output - | tar t   the tar to standard output\n  \
    tinyroot stage recipes/cgit --output root --shell-on-failure\n  \
    \x20                                                see why a maintainer script fails")]
pub struct Args {
    /// A recipe folder
    recipe: PathBuf,
    /// A directory that does not exist yet, a file that ends in .tar, or - for a tar to standard output
    #[arg(long, short, value_name = "DIR|FILE.tar")]
    output: PathBuf,
    /// If a package cannot be configured, open a shell in the root as its script left it
    #[arg(long)]
    shell_on_failure: bool,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let output = &args.output;
    if output.as_os_str() == "-" {
        context.refuse_json("a tar on standard output", "name a file with --output FILE.tar")?;
        must_be_open()?;
    }
    let is_tar = output.extension().is_some_and(|ending| ending == "tar");
    if output.as_os_str() != "-" && !is_tar && fs::symlink_metadata(output).is_ok() {
        let failure = Failure::new(format!("{} already exists", output.display()));
        return Err(failure.hint("name a directory that is not there, or remove it"));
    }
    let visit = |running: &Running, program, error: &ConfigureError| {
        shell::show(running, program, error, output.as_os_str() == "-", &context.progress);
    };
    let visit = args.shell_on_failure.then_some(&visit as &OnScriptFailure<'_>);
    let recipe = recipe::read(&args.recipe)?;
    let session = context.session()?;
    let configured = configure(recipe, true, visit, &session)?;
    let store = &session.store;
    let tree = configured.tree();
    let task = context.progress.task("writing the root", 0, Unit::Items);
    if output.as_os_str() == "-" {
        write_tar(tree, store, io::stdout().lock(), TarOptions::default())?;
    } else if is_tar {
        tar_file(tree, store, output)?;
    } else {
        directory(tree, store, output, context)?;
    }
    drop(task);
    if output.as_os_str() == "-" {
        return Ok(());
    }
    let (paths, packages) = (tree.iter().count(), configured.sources.lock.packages.len());
    if context.global.json {
        let size_bytes =
            is_tar.then(|| fs::metadata(output).at("look at", output)).transpose()?.map(|found| found.len());
        let document =
            json!({"output": output, "packages": packages, "paths": paths, "size_bytes": size_bytes});
        finish_json(&document);
    }
    if !context.global.quiet {
        say(&format!("wrote {}: {packages} packages, {paths} paths", output.display()));
    }
    Ok(())
}

/// The directory that a path lies in.
fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn tar_file(tree: &Tree, store: &Store, output: &Path) -> Result<(), Failure> {
    let (mut file, _cleanup) = atomic::file(parent_of(output), ".tinyroot-stage-").at("write", output)?;
    write_tar(tree, store, &mut file, TarOptions::default())?;
    file.flush().at("write", output)?;
    file.persist(output).map_err(|error| error.error).at("write", output)?;
    Ok(())
}

/// Renders into a directory beside its place, so that a half-written root never has its name.
fn directory(tree: &Tree, store: &Store, output: &Path, context: &Context) -> Result<(), Failure> {
    let scratch = atomic::Directory::make(parent_of(output), ".tinyroot-stage-").at("write", output)?;
    let place = scratch.path().join("root");
    // Root of a container with a single id can give nothing away.
    let is_root = is_full_root();
    let devices = if is_root { Devices::Make } else { Devices::Skip };
    render(tree, store, &place, RenderOptions { owners: is_root, devices })?;
    files::rename(&place, output)?;
    if !is_root {
        context
            .progress
            .warn("only root can give files away: all of them are yours here; a .tar shows their owners");
    }
    Ok(())
}
