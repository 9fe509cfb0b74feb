//! `build --reduce`: what could be reduced is tried, and what proves goes into the recipe.

use std::{collections::VecDeque, error::Error as _, sync::Arc};

use crate::{
    beside,
    cli::{Context, Failure, size_text},
    evidence::UsedList,
    line::{
        image::{Round, finished_tree},
        proof::{prove_staged, prune_staged},
        root::Staged,
    },
    progress::Unit,
    prove::{Proof, ProveError},
    recipe::{self, Recipe},
    reduce::{Change, Proposal},
    store::Store,
};

/// Tries proposals one after the other on what is proven already; returns the last that is proven. Each that proves is written
/// into recipe.toml at once, and each that does not as well (`reduce.not`), so that no build proposes it again. Of several
/// libraries that do not prove together each is tried alone.
pub(crate) fn try_all(
    staged: &mut Staged,
    mut best: Round,
    proposals: &mut Vec<Proposal>,
    used: &UsedList,
    store: &Arc<Store>,
    context: &Context,
) -> Result<Round, Failure> {
    let mut waiting: VecDeque<Proposal> = proposals.drain(..).collect();
    while let Some(proposal) = waiting.pop_front() {
        let line = proposal.change.line(&staged.recipe);
        let path = staged.recipe.directory.join("recipe.toml");
        let text = recipe::with_reduction(&staged.recipe.text, &line);
        let changed = changed(&staged.recipe, text)?;
        let before = std::mem::replace(&mut staged.recipe, changed);
        match round(staged, used, store, context)? {
            Ok(proven) => {
                write(&staged.recipe)?;
                let saves = match &proposal.change {
                    Change::Stubs(names) if names.len() == 1 => String::new(),
                    _ => format!(", which saves {}", size_text(proposal.saves_bytes)),
                };
                context.progress.warn(&format!("{}: added [reduce] {line}{saves}", path.display()));
                best = proven;
            }
            Err(reason) => {
                staged.recipe = before;
                if let Change::Stubs(names) = &proposal.change
                    && names.len() > 1
                {
                    let alone = |name: &String| Proposal {
                        change: Change::Stubs(vec![name.clone()]),
                        ..proposal.clone()
                    };
                    names.iter().rev().for_each(|name| waiting.push_front(alone(name)));
                    continue;
                }
                let names = proposal.change.names();
                let text = recipe::without_reduction(&staged.recipe.text, &names, &reason);
                staged.recipe = self::changed(&staged.recipe, text)?;
                write(&staged.recipe)?;
                let noted = format!("{}: [reduce] not = [\"{}\"]", path.display(), names.join("\", \""));
                context
                    .progress
                    .warn(&format!("[reduce] {line} is not added, as {noted} says now: {reason}"));
                // The recipe is one of the papers.
                best.tree = finished_tree(staged, &best.reduced, used, store)?;
            }
        }
    }
    Ok(best)
}

fn changed(recipe: &Recipe, text: Option<String>) -> Result<Recipe, Failure> {
    let path = recipe.directory.join("recipe.toml");
    let text = text.ok_or_else(|| Failure::new(format!("cannot change [reduce] in {}", path.display())))?;
    Ok(recipe::read_text(&recipe.directory, text)?)
}

fn write(recipe: &Recipe) -> Result<(), Failure> {
    let path = recipe.directory.join("recipe.toml");
    beside::replace(&path, recipe.text.as_bytes())
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
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
            Err(error) => Err(clause(&error)),
        },
        Err,
    ))
}

/// Returns what is wrong with a reduced app, as a clause.
fn fault_of(outcome: &Result<Proof, ProveError>) -> Option<String> {
    match outcome {
        Err(error) => Some(clause(error)),
        Ok(proof) => {
            let difference = proof.differences.first().map(|difference| format!("differs: {difference}"));
            difference.or_else(|| proof.left_out.first().map(ToString::to_string))
        }
    }
}

/// Returns an error, its reason and what that names first on one line.
fn clause(error: &ProveError) -> String {
    let (text, reason) = (error.to_string(), error.source().map(ToString::to_string).unwrap_or_default());
    let reason = reason.lines().map(str::trim).filter(|line| !line.is_empty()).take(3);
    let parts: Vec<&str> =
        text.lines().take(1).chain(reason).map(|part| part.trim_end_matches(':')).collect();
    parts.join(": ")
}
