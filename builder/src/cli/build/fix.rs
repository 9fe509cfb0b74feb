//! `build --fix`: what a pruned app asked for goes into its recipe.

use std::collections::BTreeSet;

use crate::{
    cli::{Context, Failure},
    prove::{Miss, Proof, ProveError},
    recipe::{self, Recipe},
};

/// Adds to a recipe what its app lacked, and reads it anew; returns false where there is nothing to mend or nothing
/// new to add.
pub(super) fn fix(
    recipe: &mut Recipe,
    outcome: &Result<Proof, ProveError>,
    context: &Context,
) -> Result<bool, Failure> {
    let misses = lacked(outcome);
    let globs: BTreeSet<String> = misses.iter().map(|miss| miss.keep_glob()).collect();
    let path = recipe.directory.join("recipe.toml");
    if globs.is_empty() || recipe::add_keep(&path, &globs)? == 0 {
        return Ok(false);
    }
    for miss in misses {
        context.progress.warn(&format!("{}: added {} ({miss})", path.display(), miss.keep_line()));
    }
    *recipe = recipe::read(&recipe.directory)?;
    Ok(true)
}

/// Returns what was asked for, or named, where it mattered.
fn lacked(outcome: &Result<Proof, ProveError>) -> Vec<&Miss> {
    let mut misses: Vec<&Miss> = match outcome {
        Ok(proof) => proof.differences.iter().flat_map(|difference| &difference.misses).collect(),
        Err(error) => error.misses().iter().collect(),
    };
    misses.retain(|miss| !miss.is_listing() && !miss.is_write());
    misses
}
