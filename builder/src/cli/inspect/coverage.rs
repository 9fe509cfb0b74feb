//! `tinyroot inspect --coverage FILE`: what `check --coverage` found of the same package.

use std::{io::Read as _, path::Path};

use serde::Deserialize;

use crate::{artifact::Artifact, cli::Failure, coverage::Coverage, error::At as _, files, papers::digest_of};

/// The longest document that is read. That of WordPress has 40 kB.
const LIMIT_BYTES: u64 = 16 << 20;

#[derive(Deserialize)]
struct Document {
    coverage: Option<Coverage>,
}

/// Reads what `check --coverage --json` printed of a package.
///
/// # Errors
/// A file that is no such document, or one of another package.
pub(super) fn read(path: &Path, artifact: &Artifact) -> Result<Coverage, Failure> {
    let shown = path.display();
    let mut bytes = Vec::new();
    files::open(path)?.take(LIMIT_BYTES + 1).read_to_end(&mut bytes).at("read", path)?;
    let how = "make it with `tinyroot check ARTIFACT --coverage --json > FILE`";
    if bytes.len() as u64 > LIMIT_BYTES {
        return Err(Failure::new(format!("{shown} is too long for a document of check")).hint(how));
    }
    let document: Document = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(format!("{shown} is no document of check: {error}")).hint(how))?;
    let coverage =
        document.coverage.ok_or_else(|| Failure::new(format!("{shown} has no coverage")).hint(how))?;
    if coverage.tree != digest_of(&artifact.tree) {
        let text = format!("{shown} is of another package: their contents differ");
        return Err(Failure::new(text).hint(how));
    }
    Ok(coverage)
}
