//! Faults of a recipe, and the nearest word for a misspelt one.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::{
    error::{At as _, Hint, PathError},
    files,
};

/// A recipe that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// A file that cannot be read or written.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A recipe.toml that is not UTF-8.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A recipe.toml that is longer than any is.
    #[error("{} is longer than {limit_bytes} bytes", path.display())]
    Long {
        /// The file.
        path: PathBuf,
        /// The most bytes of one.
        limit_bytes: u64,
    },
    /// A key or value that breaks a rule.
    #[error("{}:{line}:{column}: {rule}", path.display())]
    Rule {
        /// recipe.toml.
        path: PathBuf,
        /// Line from 1.
        line: usize,
        /// Column from 1, in characters.
        column: usize,
        /// The key and the rule that was broken.
        rule: String,
    },
}

impl Hint for RecipeError {}

/// Reads a file, with its name in the error.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, RecipeError> {
    Ok(files::read(path)?)
}

/// As [`read`], for a file that may be no longer than this.
pub(super) fn read_bounded(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, RecipeError> {
    let mut bytes = Vec::new();
    files::open(path)?.take(limit_bytes + 1).read_to_end(&mut bytes).at("read", path)?;
    match bytes.len() as u64 > limit_bytes {
        true => Err(RecipeError::Long { path: path.to_path_buf(), limit_bytes }),
        false => Ok(bytes),
    }
}

/// Returns line and column, from 1, of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
}

/// Shortens serde's list of expected fields to the nearest one.
pub(super) fn reword(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    let Some(rest) = message.strip_prefix("unknown field `") else { return message };
    let mut quoted = rest.split('`');
    let unknown = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.skip(1).step_by(2).filter(|word| !word.is_empty()).collect();
    match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("key `{unknown}` is unknown; did you mean `{near}`?"),
        None => format!("key `{unknown}` is unknown; known here: {}", known.join(", ")),
    }
}

/// Returns the candidate with the fewest edits from `word`, if that is less than half of the word.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance * 2 <= word.chars().count().max(2))
        .min()
        .map(|(_, candidate)| candidate)
}
