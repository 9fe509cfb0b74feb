//! Adds the paths that a pruned app lacked to its recipe.

use std::collections::BTreeSet;

use super::LineError;
use crate::{
    evidence::Miss,
    progress::Progress,
    prove::Proof,
    recipe::{self, GlobList, Recipe},
    tree::TreePath,
};

/// Adds to a recipe what its app lacked, and reads it anew; returns false where there is nothing to mend or
/// nothing new to add.
pub(super) fn fix(
    recipe: &mut Recipe,
    outcome: &Result<Proof, LineError>,
    progress: &Progress,
) -> Result<bool, LineError> {
    let (written, pruned): (Vec<&Miss>, Vec<&Miss>) =
        lacked(outcome).into_iter().partition(|miss| miss.is_write());
    let path = recipe.directory.join("recipe.toml");
    let mut count = 0;
    for (list, misses) in [(GlobList::Keep, pruned), (GlobList::State, written)] {
        let globs: BTreeSet<String> = misses.iter().map(|miss| miss.keep_glob()).collect();
        let inherited = match list {
            GlobList::Keep => &recipe.prune.keep,
            GlobList::State => &recipe.app.state,
        };
        if globs.is_empty() || recipe::add_globs(&path, list, &globs, inherited)? == 0 {
            continue;
        }
        count += globs.len();
        for miss in misses {
            progress.warn(&format!("{}: added {} ({miss})", path.display(), miss.remedy()));
        }
    }
    if count > 0 {
        *recipe = recipe::read(&recipe.directory)?;
    }
    Ok(count > 0)
}

/// Returns what was asked for, or named, where it mattered, and all shipped state that was to be written: a
/// write that is refused may be lost though no response shows it.
fn lacked(outcome: &Result<Proof, LineError>) -> Vec<&Miss> {
    let mut misses: Vec<&Miss> = match outcome {
        Ok(proof) => {
            let differing = proof.differences.iter().flat_map(|difference| &difference.misses);
            differing.filter(|miss| !miss.is_write()).chain(&proof.written).collect()
        }
        Err(error) => error.misses().iter().collect(),
    };
    misses.retain(|miss| !miss.is_listing());
    // The kernel asks for a pruned directory and no further; where something in it is known as well, the
    // directory comes with it, and need not be kept whole.
    let paths: BTreeSet<TreePath> = misses.iter().map(|miss| miss.path.clone()).collect();
    let holds = |path: &TreePath| {
        let below = [path.as_bytes(), b"/"].concat();
        paths.iter().any(|other| other.as_bytes().starts_with(&below))
    };
    misses.retain(|miss| !holds(&miss.path));
    misses
}
