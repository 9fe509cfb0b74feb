//! `tinyroot verify`: whether a package holds and can be installed.

use std::{
    fs::File,
    io::{self, Read, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    artifact::{self, Artifact, ArtifactError, Details, Fault, Format},
    cli::{Context, Failure, finish_json, print, size_text},
    error::PathError,
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
    let artifact = with_file(&args.artifact, context, artifact::verify)?;
    let Details::Spk(spk) = &artifact.details;
    let proof = proof_of(&artifact, &*context.reading_store()?);
    if context.global.json {
        let mut document = summary(&artifact);
        document["proof"] = json!(proof.as_ref().map(Proof::document));
        finish_json(&document);
        return Ok(());
    }
    let manifest = &spk.manifest;
    let (title, version) = (shown::name(&manifest.title), shown::name(&manifest.marketing_version));
    let (packed, plain) = (size_text(artifact.size_bytes), size_text(spk.archive_bytes));
    let proven = proof.as_ref().map_or_else(|| "unknown".to_owned(), Proof::text);
    print(&format!(
        "{title} {version} (version {})\n\
         app id      {}\n\
         package id  {}\n\
         sha256      {}\n\
         size        {packed}, {plain} unpacked, {} files and directories\n\
         proof       {}\n",
        manifest.app_version,
        spk.app_id,
        spk.package_id,
        artifact.digest,
        spk.items.len(),
        shown::line(&proven),
    ))?;
    if let Some(text) = proof.as_ref().and_then(Proof::fault) {
        context.progress.warn(&format!("what the package says of its proof is not of it: {text}"));
    }
    if !spk.is_one_stream {
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
pub(super) fn proof_of(artifact: &Artifact, store: &Store) -> Option<Proof> {
    let paper = papers::proof(&artifact.tree, store)?;
    let standing = papers::standing(&paper, &artifact.tree, &artifact.app_id());
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
            true => format!("{steps} steps respond as on the full root"),
            false => format!("{steps} steps respond as the recipe expects"),
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
pub(super) fn summary(artifact: &Artifact) -> serde_json::Value {
    let Details::Spk(spk) = &artifact.details;
    let manifest = &spk.manifest;
    json!({
        "app_id": spk.app_id,
        "package_id": spk.package_id,
        "sha256": artifact.digest,
        "title": manifest.title,
        "version": manifest.app_version,
        "marketing_version": manifest.marketing_version,
        "size_bytes": artifact.size_bytes,
        "archive_bytes": spk.archive_bytes,
        "entries": spk.items.len(),
        "actions": manifest.actions,
        "continue_command": manifest.continue_command,
        "metadata": manifest.metadata,
    })
}

/// Opens a package in the way that is given; `-` is standard input, kept in a file without a name until it is open.
pub(super) fn with_file(
    path: &Path,
    context: &Context,
    open: impl Fn(&Path, &Store, &Progress) -> Result<Artifact, ArtifactError>,
) -> Result<Artifact, Failure> {
    let store = context.reading_store()?;
    if path.as_os_str() != "-" {
        return Ok(open(path, &store, &context.progress)?);
    }
    let file = kept(&mut io::stdin().lock(), None)?;
    let opened = open(&path_of(&file), &store, &context.progress);
    Ok(opened.map_err(|error| error.naming(STANDARD_INPUT))?)
}

const STANDARD_INPUT: &str = "standard input";

/// Keeps a package that comes as a stream in a file without a name. What does not begin as one, or does not end, is not
/// waited for. `limit_bytes` stands for the limit of its format.
fn kept(input: &mut impl Read, limit_bytes: Option<u64>) -> Result<File, Failure> {
    let refused = |source| ArtifactError::Refused { path: STANDARD_INPUT.into(), source };
    let unread = |source| ArtifactError::from(PathError::new("read", STANDARD_INPUT, source));
    let full = |source| {
        let path = std::env::temp_dir();
        let error = ArtifactError::from(PathError::new("keep standard input in", path, source));
        Failure::from(error).hint("name a directory with more room in TMPDIR")
    };
    let mut start = Vec::new();
    input.by_ref().take(Format::MAGIC_BYTES as u64).read_to_end(&mut start).map_err(unread)?;
    let Some(format) = Format::of(&start) else { return Err(refused(Fault::Magic).into()) };
    let limit_bytes = limit_bytes.unwrap_or(format.limit_bytes());
    let mut file = store::unnamed().map_err(full)?;
    file.write_all(&start).map_err(full)?;
    let (mut size_bytes, mut buffer) = (start.len() as u64, vec![0; 1 << 16]);
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
    use crate::formats::spk;

    #[test]
    fn a_stream_is_kept_only_if_it_begins_as_a_package_and_ends() {
        let error = kept(&mut io::repeat(0), Some(u64::MAX)).expect_err("is no package");
        let text = "error: standard input is refused\n  cause: it does not begin as a Sandstorm package does";
        assert_eq!(error.to_string(), text);
        let mut endless = spk::MAGIC.chain(io::repeat(0));
        let error = kept(&mut endless, Some(1 << 20)).expect_err("has no end").to_string();
        assert!(error.ends_with("it is longer than a package can be: 1048576 bytes"), "{error}");
        kept(&mut spk::MAGIC.chain(&[0; 8][..]), Some(15)).expect_err("is longer");
        let file = kept(&mut spk::MAGIC.chain(&[0; 8][..]), Some(16)).expect("fits");
        assert_eq!(file.metadata().expect("is there").len(), 16);
    }
}
