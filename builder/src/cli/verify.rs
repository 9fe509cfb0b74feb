//! `tinyroot verify`: whether a package holds and can be installed.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    artifact::{self, ArtifactError, Opened},
    cli::{Context, Failure, finish_with, print, size_text},
    papers::{self, ProofPaper, Standing},
    progress::Progress,
    shown,
    store::{self, Store},
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
    let proof = proof_of(&opened, &*context.reading_store()?);
    if context.global.json {
        let mut document = summary(&opened);
        document["proof"] = json!(proof.as_ref().map(Proof::document));
        finish_with(format!("{document:#}\n"));
        return Ok(());
    }
    let manifest = &opened.manifest;
    let (title, version) = (shown::name(&manifest.title), shown::name(&manifest.marketing_version));
    let (packed, plain) = (size_text(opened.size_bytes), size_text(opened.archive_bytes));
    let proven = proof.as_ref().map_or_else(|| "unknown".to_owned(), Proof::text);
    print(&format!(
        "{title} {version} (version {})\n\
         app id      {}\n\
         package id  {}\n\
         sha256      {}\n\
         size        {packed}, {plain} unpacked, {} files and directories\n\
         proof       {}\n",
        manifest.app_version,
        opened.app_id,
        opened.package_id,
        opened.digest,
        opened.items.len(),
        shown::line(&proven),
    ))?;
    if let Some(text) = proof.as_ref().and_then(Proof::fault) {
        context.progress.warn(&format!("what the package says of its proof is not of it: {text}"));
    }
    if !opened.is_one_stream {
        context.progress.warn(
            "padding or further streams are around what is signed: other bytes would be the same package, with another package id",
        );
    }
    if manifest.metadata.author_signed {
        context.progress.warn("the package carries a proof of authorship, which is not checked here");
    }
    if manifest.continue_command.is_none() {
        context.progress.warn("the manifest has no continue command, so no grain of it can be opened again");
    }
    Ok(())
}

/// What a package says of its proof, and whether that is its own.
pub(super) struct Proof {
    paper: ProofPaper,
    standing: Standing,
}

/// Reads what a package says of its proof; `None` if it says nothing.
pub(super) fn proof_of(opened: &Opened, store: &Store) -> Option<Proof> {
    let paper = papers::proof(&opened.tree, store)?;
    let standing = papers::standing(&paper, &opened.tree, &opened.app_id);
    Some(Proof { paper, standing })
}

impl Proof {
    /// Returns why the proof is not one of the package; `None` if it is, or if there was no exercise.
    fn fault(&self) -> Option<String> {
        self.standing.text().filter(|_| self.paper.exercised)
    }

    /// Returns what was proven of the package. What was proven of other contents is not repeated.
    pub fn text(&self) -> String {
        if !self.paper.exercised {
            return "none".to_owned();
        }
        let steps = self.paper.steps.len();
        let proven = match self.paper.compared {
            true => format!("{steps} steps answered as by the whole root"),
            false => format!("{steps} steps answered as the recipe expects"),
        };
        match self.standing.text() {
            None => proven,
            Some(fault) if self.standing.is_of_tree() => format!("{proven}, {fault}"),
            Some(fault) => format!("none of this package; {fault}"),
        }
    }

    /// Returns the paper as JSON, with `standing`: `own`, `other_key`, `other_tree`, `other_tree_and_key` or `unknown`.
    pub fn document(&self) -> serde_json::Value {
        let mut document = json!(self.paper);
        document["standing"] = self.standing.word().into();
        document
    }
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

/// Opens a package in the way that is given; `-` is standard input, kept in a file without a name until it is open.
pub(super) fn with_file(
    path: &Path,
    context: &Context,
    open: impl Fn(&Path, &Store, &Progress) -> Result<Opened, ArtifactError>,
) -> Result<Opened, Failure> {
    let store = context.reading_store()?;
    if path.as_os_str() != "-" {
        return Ok(open(path, &store, &context.progress)?);
    }
    let mut file = store::unnamed()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    let opened = open(&path_of(&file), &store, &context.progress);
    Ok(opened.map_err(|error| error.naming("standard input"))?)
}

/// Returns a path by which this process opens a file that has no name.
fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
