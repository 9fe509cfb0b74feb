//! `build --reduce`: what could be reduced is tried, and what proves goes into the recipe.

use std::sync::Arc;

use super::{Round, finished_tree};
use crate::{
    beside,
    cli::{
        Context, Failure,
        proven::{prove_staged, prune_staged},
        size_text,
        staged::Staged,
    },
    progress::Unit,
    prove::{Proof, ProveError},
    recipe::{self, Recipe},
    reduce::Proposal,
    store::Store,
    used_list::UsedList,
};

/// Tries proposals one after the other on what is proven already; returns the last that is proven, and leaves in
/// the list what was not. Each that proves is written into recipe.toml at once.
pub(super) fn try_all(
    staged: &mut Staged,
    mut best: Round,
    proposals: &mut Vec<Proposal>,
    used: &UsedList,
    store: &Arc<Store>,
    context: &Context,
) -> Result<Round, Failure> {
    let path = staged.recipe.directory.join("recipe.toml");
    let mut left = Vec::new();
    for proposal in proposals.drain(..) {
        let line = proposal.change.line(&staged.recipe);
        let changed = with_line(&staged.recipe, &line)?;
        let before = std::mem::replace(&mut staged.recipe, changed);
        match round(staged, used, store, context)? {
            Ok(proven) => {
                beside::replace(&path, staged.recipe.text.as_bytes())
                    .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
                let saves = size_text(proposal.saves_bytes);
                context
                    .progress
                    .warn(&format!("{}: added [reduce] {line}, which saves {saves}", path.display()));
                best = proven;
            }
            Err(reason) => {
                staged.recipe = before;
                context.progress.warn(&format!("[reduce] {line} is not added: {reason}"));
                left.push(proposal);
            }
        }
    }
    *proposals = left;
    Ok(best)
}

fn with_line(recipe: &Recipe, line: &str) -> Result<Recipe, Failure> {
    let text = recipe::with_reduction(&recipe.text, line);
    let text = text.ok_or_else(|| {
        Failure::new(format!(
            "cannot add [reduce] {line} to {}",
            recipe.directory.join("recipe.toml").display()
        ))
    })?;
    Ok(recipe::read_text(&recipe.directory, text)?)
}

/// Prunes, reduces and proves once more; `Err` holds why it does not do.
fn round(
    staged: &Staged,
    used: &UsedList,
    store: &Arc<Store>,
    context: &Context,
) -> Result<Result<Round, String>, Failure> {
    let task = context.progress.task("pruning", 0, Unit::Items);
    let reduced = match prune_staged(staged, used, store) {
        Ok(reduced) => reduced,
        Err(failure) => return Ok(Err(failure.to_string())),
    };
    let tree = finished_tree(staged, &reduced, used, store)?;
    drop(task);
    let outcome = prove_staged(staged, tree.clone(), &reduced, store, context);
    Ok(fault_of(&outcome).map_or_else(
        || match outcome {
            Ok(proof) => Ok(Round { reduced, tree, proof: Some(proof) }),
            Err(error) => Err(error.to_string()),
        },
        Err,
    ))
}

/// Returns what is wrong with a reduced app, as a clause.
fn fault_of(outcome: &Result<Proof, ProveError>) -> Option<String> {
    match outcome {
        Err(error) => Some(error.to_string()),
        Ok(proof) => {
            let difference = proof.differences.first().map(|difference| format!("differs: {difference}"));
            difference.or_else(|| proof.left_out.first().map(ToString::to_string))
        }
    }
}
