//! `tinyroot verify`: whether a package holds and can be installed.

use std::{fs::File, io, path::PathBuf};

use serde_json::json;

use crate::{
    artifact::{self, Opened},
    cli::{Context, Failure, size_text},
};

/// Check a package: signature, structure, all that an install needs
///
/// Covers what Sandstorm's own verify and unpack check between them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The package; - reads it from standard input
    #[arg(value_name = "ARTIFACT")]
    artifact: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let opened = with_file(&args.artifact, context, artifact::verify)?;
    if context.global.json {
        println!("{}", serde_json::to_string_pretty(&summary(&opened))?);
        return Ok(());
    }
    let manifest = &opened.manifest;
    println!("{} {} (version {})", manifest.title, manifest.marketing_version, manifest.app_version);
    println!("app id      {}", opened.app_id);
    println!("package id  {}", opened.package_id);
    println!("sha256      {}", opened.digest);
    let (packed, plain) = (size_text(opened.size_bytes), size_text(opened.archive_bytes));
    println!("size        {packed}, {plain} unpacked, {} files and directories", opened.items.len());
    if manifest.metadata.author_signed {
        context.progress.warn("the package carries a proof of authorship, which is not checked here");
    }
    if manifest.continue_command.is_none() {
        context.progress.warn("the manifest has no continue command, so no grain of it can be opened again");
    }
    Ok(())
}

/// Returns what tools show of a package, as JSON.
pub(super) fn summary(opened: &Opened) -> serde_json::Value {
    let manifest = &opened.manifest;
    json!({
        "app_id": opened.app_id,
        "package_id": opened.package_id,
        "sha256": opened.digest,
        "title": manifest.title,
        "version": manifest.app_version,
        "marketing_version": manifest.marketing_version,
        "size_bytes": opened.size_bytes,
        "archive_bytes": opened.archive_bytes,
        "entries": opened.items.len(),
        "actions": manifest.actions,
        "continue_command": manifest.continue_command,
        "metadata": manifest.metadata,
    })
}

/// Opens a package in the way that is given; `-` is standard input, kept until it is open.
pub(super) fn with_file<E>(
    path: &std::path::Path,
    context: &Context,
    open: impl Fn(&std::path::Path, &crate::store::Store, &crate::progress::Progress) -> Result<Opened, E>,
) -> Result<Opened, Failure>
where
    Failure: From<E>,
{
    let store = context.store()?;
    if path.as_os_str() != "-" {
        return Ok(open(path, &store, &context.progress)?);
    }
    let scratch = store.scratch("stdin-")?;
    let copy = scratch.path().join("standard-input.spk");
    let mut file = File::create(&copy)?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    Ok(open(&copy, &store, &context.progress)?)
}
