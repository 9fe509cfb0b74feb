//! The statements of a package about itself and its proof.

use serde_json::{Value, json};

use crate::{
    artifact::{Artifact, Details, Format},
    formats::xz::Effort,
    papers::{self, ProofPaper, Standing},
    progress::size_text,
    shown,
    store::Store,
};

/// A package that was verified.
pub struct Verified<'a> {
    artifact: &'a Artifact,
    proof: Option<Statement>,
    effort: Effort,
    /// Whether the file was compared with the one that tinyroot writes, and is the same.
    is_compared: bool,
}

impl<'a> Verified<'a> {
    /// Reads what a verified package says of itself.
    pub fn of(artifact: &'a Artifact, is_compared: bool, store: &Store) -> Self {
        let effort = papers::effort(&artifact.tree, store);
        Verified { artifact, proof: Statement::read(artifact, store), effort, is_compared }
    }

    /// Returns whether each byte of the file is accounted for; `None` where that was not looked at.
    fn is_exact(&self) -> Option<bool> {
        match &self.artifact.details {
            Details::Spk(spk) => Some(spk.is_one_stream),
            Details::Image(_) => self.is_compared.then_some(true),
        }
    }

    /// Returns one JSON document.
    pub fn json(&self) -> Value {
        let mut document = summary(self.artifact);
        document["signed_by"] = json!(self.artifact.signature().app_id);
        document["is_exact"] = self.is_exact().into();
        document["proof"] = json!(self.proof.as_ref().map(Statement::document));
        document["is_fast"] = (self.effort == Effort::Fast).into();
        document
    }

    /// Returns the report for reading.
    pub fn text(&self) -> String {
        let artifact = self.artifact;
        let (title, version) = (shown::name(artifact.title()), shown::name(artifact.version()));
        let (packed, plain) = (size_text(artifact.size_bytes), size_text(plain_bytes(artifact)));
        let bytes = match (self.is_exact(), artifact.format()) {
            (Some(true), Format::Spk) => "the signature covers all of the file",
            (Some(true), _) => "the very file that tinyroot writes of what is signed",
            (Some(false), _) => "not all of the file is signed",
            (None, _) => "what is signed holds; the rest of the file is compared with --signed-by only",
        };
        let proven = self.proof.as_ref().map_or_else(|| "unknown".to_owned(), Statement::text);
        format!(
            "{title} {version} (version {})\n\
             app id      {}\n\
             signed by   {}\n\
             bytes       {bytes}\n\
             package id  {}\n\
             sha256      {}\n\
             format      {}\n\
             size        {packed}, {plain} unpacked, {} files and directories\n\
             proof       {}\n",
            artifact.release(),
            artifact.app_id(),
            artifact.signature().app_id,
            artifact.package_id(),
            artifact.digest,
            artifact.format(),
            entries(artifact),
            shown::line(&proven),
        )
    }

    /// Returns what a person should know before the package is installed.
    pub fn warnings(&self) -> Vec<String> {
        let manifest = self.artifact.manifest();
        let mut out = Vec::new();
        if self.effort == Effort::Fast {
            out.push("it was packed with --fast, for development: without, it is smaller".to_owned());
        }
        if let Some(text) = self.proof.as_ref().and_then(Statement::fault) {
            out.push(format!("what the package says of its proof is not of it: {text}"));
        }
        if matches!(&self.artifact.details, Details::Spk(spk) if !spk.is_one_stream) {
            out.push("padding or further streams are around what is signed: other bytes would be the same package, with another package id".to_owned());
        }
        if manifest.metadata.author_signed {
            out.push("the package carries a proof of authorship, which is not checked here".to_owned());
        }
        if manifest.continue_command.is_none() {
            out.push(
                "the manifest has no continue command, so no grain of it can be opened again".to_owned(),
            );
        }
        out
    }
}

/// The statement of a package about its proof, and whether it is about this package.
pub struct Statement {
    paper: ProofPaper,
    standing: Standing,
}

impl Statement {
    /// Reads what a package says of its proof; `None` if it says nothing.
    pub fn read(artifact: &Artifact, store: &Store) -> Option<Self> {
        let paper = papers::proof(&artifact.tree, store)?;
        let standing = papers::standing(&paper, &artifact.tree, &artifact.app_id());
        Some(Statement { paper, standing })
    }

    /// Returns why the proof is not one of the package; `None` if it is, or if there was no exercise.
    fn fault(&self) -> Option<String> {
        self.standing.text().filter(|_| self.paper.exercised)
    }

    /// Returns how many steps were proven of this package; `None` without a proof of it.
    pub fn steps(&self) -> Option<u64> {
        (self.paper.exercised && self.fault().is_none()).then_some(self.paper.steps.len() as u64)
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

    /// Returns the paper as JSON, with `standing`: `own`, `other_key`, `other_tree`, `other_tree_and_key` or
    /// `unknown`.
    pub fn document(&self) -> Value {
        let mut document = json!(self.paper);
        document["standing"] = self.standing.word().into();
        document
    }
}

/// Returns how much a package is unpacked: of an `.spk` its archive, else the contents of its files.
fn plain_bytes(artifact: &Artifact) -> u64 {
    match &artifact.details {
        Details::Spk(spk) => spk.archive_bytes,
        Details::Image(_) => artifact.tree.size_bytes(),
    }
}

fn entries(artifact: &Artifact) -> usize {
    match &artifact.details {
        Details::Spk(spk) => spk.items.len(),
        Details::Image(_) => artifact.tree.len().saturating_sub(1),
    }
}

/// Returns what tools show of a package, as JSON.
pub fn summary(artifact: &Artifact) -> Value {
    let manifest = artifact.manifest();
    json!({
        "format": artifact.format().name(),
        "app_id": artifact.app_id(),
        "package_id": artifact.package_id(),
        "sha256": artifact.digest,
        "title": manifest.title,
        "version": manifest.app_version,
        "marketing_version": manifest.marketing_version,
        "size_bytes": artifact.size_bytes,
        "archive_bytes": plain_bytes(artifact),
        "entries": entries(artifact),
        "actions": manifest.actions,
        "continue_command": manifest.continue_command,
        "metadata": manifest.metadata,
    })
}
