//! `tinyroot verify`: whether a package holds and can be installed.

use std::{
    fs::File,
    io::{self, Read, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    artifact::{self, ArtifactError, Fault, Opened},
    cli::{Context, Failure, finish_json, print, size_text},
    error::PathError,
    formats::spk,
    papers::{self, ProofPaper, Standing},
    progress::Progress,
    shown,
    store::{self, Store},
};

/// Check a package: signature, structure, everything that an install needs
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
        finish_json(&document);
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
    let file = kept(&mut io::stdin().lock(), spk::MAX_PACKAGE_BYTES)?;
    let opened = open(&path_of(&file), &store, &context.progress);
    Ok(opened.map_err(|error| error.naming(STANDARD_INPUT))?)
}

const STANDARD_INPUT: &str = "standard input";

/// Keeps a package that comes as a stream in a file without a name. What does not begin as one, or does not end, is not
/// waited for.
fn kept(input: &mut impl Read, limit_bytes: u64) -> Result<File, Failure> {
    let refused = |source| ArtifactError::Refused { path: STANDARD_INPUT.into(), source };
    let unread = |source| ArtifactError::from(PathError::new("read", STANDARD_INPUT, source));
    let full = |source| {
        let path = std::env::temp_dir();
        let error = ArtifactError::from(PathError::new("keep standard input in", path, source));
        Failure::from(error).hint("name a directory with more room in TMPDIR")
    };
    let mut magic = Vec::new();
    input.by_ref().take(spk::MAGIC.len() as u64).read_to_end(&mut magic).map_err(unread)?;
    if magic != spk::MAGIC {
        return Err(refused(Fault::Magic).into());
    }
    let mut file = store::unnamed().map_err(full)?;
    file.write_all(&magic).map_err(full)?;
    let (mut size_bytes, mut buffer) = (magic.len() as u64, vec![0; 1 << 16]);
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return Ok(file),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unread(error).into()),
        };
        size_bytes += count as u64;
        if size_bytes > limit_bytes {
            return Err(refused(Fault::TooLong { limit_bytes }).into());
        }
        file.write_all(&buffer[..count]).map_err(full)?;
    }
}

/// Returns a path by which this process opens a file that has no name.
fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_kept_only_if_it_begins_as_a_package_and_ends() {
        let error = kept(&mut io::repeat(0), u64::MAX).expect_err("is no package");
        let text = "error: standard input is refused\n  cause: it does not begin as a Sandstorm package does";
        assert_eq!(error.to_string(), text);
        let mut endless = spk::MAGIC.chain(io::repeat(0));
        let error = kept(&mut endless, 1 << 20).expect_err("has no end").to_string();
        assert!(error.ends_with("it is longer than a package can be: 1048576 bytes"), "{error}");
        kept(&mut spk::MAGIC.chain(&[0; 8][..]), 15).expect_err("is longer");
        let file = kept(&mut spk::MAGIC.chain(&[0; 8][..]), 16).expect("fits");
        assert_eq!(file.metadata().expect("is there").len(), 16);
    }
}
