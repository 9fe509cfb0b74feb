//! From a configured root to the pruned tree that grains boot, and its proof: what `build` and `check` share.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use crate::{
    app::{State, VarPolicy, furnish, furnish_artifact},
    cli::{Context, Failure, hinted},
    evidence::{self, UsedList},
    exercise::Authority,
    line::root::Staged,
    prove::{Inputs, Proof, ProveError, prove, pruned_between, whole},
    prune::{Pruned, prune},
    reduce::{Reduced, can_tell, left_out, reduce},
    store::Store,
    tree::{Tree, TreePath},
};

/// Reads the evidence of a recipe.
pub(crate) fn read_used(staged: &Staged) -> Result<UsedList, Failure> {
    let path = staged.recipe.used_path();
    UsedList::read(&path).map_err(|error| {
        let again = format!("`tinyroot trace {}`", staged.recipe.directory.display());
        let hint = if path.exists() {
            format!("mend it, or trace again: {again}")
        } else {
            format!("make it with {again}")
        };
        Failure::from(error).hint(hint)
    })
}

/// Prunes the root of a recipe by its evidence, and reduces what the recipe names.
pub(crate) fn prune_staged(staged: &Staged, used: &UsedList, store: &Store) -> Result<Reduced, Failure> {
    let Staged { recipe, unpacked, configured, .. } = staged;
    let pruned = prune(&configured.tree, &configured.owners, used, recipe, unpacked, store)?;
    Ok(reduce(pruned, recipe, used, store)?)
}

/// Makes the tree that a grain boots of what pruning left.
pub(crate) fn furnish_staged(staged: &Staged, tree: &Tree, used: &UsedList, store: &Store) -> Tree {
    let Staged { recipe, unpacked, assembled, configured, .. } = staged;
    let state = State::new(recipe, &configured.tree, &assembled.tree, unpacked, used, store);
    furnish_artifact(tree.clone(), recipe, &state, store, configured.epoch_s)
}

/// Makes the tree of the whole root that a pruned one is compared with. There every file of `/var` is a copy, so that a write
/// that a link to the read-only root would stop shows as a difference.
pub(crate) fn furnish_whole(staged: &Staged, store: &Store) -> Tree {
    let Staged { recipe, configured, .. } = staged;
    furnish(configured.tree.clone(), recipe, &VarPolicy::CopyAll, store, configured.epoch_s)
}

/// Returns what a pruned tree lacks, by the paths of furnished ones.
pub(crate) fn lacking(staged: &Staged, pruned: &Pruned) -> Arc<evidence::Pruned> {
    let owner = |path: &[u8]| staged.configured.owners.owner(path).map(str::to_owned);
    Arc::new(pruned_between(&staged.configured.tree, &pruned.tree, &owner))
}

/// Takes a furnished tree through the recipe's exercise and compares its answers with the whole root's.
pub(crate) fn prove_staged(
    staged: &Staged,
    tree: Tree,
    reduced: &Reduced,
    store: &Arc<Store>,
    context: &Context,
) -> Result<Proof, ProveError> {
    let Staged { recipe, .. } = staged;
    let lacking = lacking(staged, &reduced.pruned);
    let whole_root = Arc::new(furnish_whole(staged, store));
    let pages: RefCell<BTreeMap<TreePath, BTreeSet<u64>>> = RefCell::default();
    let whole = |authority: &Authority| {
        let closely = reduced.files.keys().filter(|path| can_tell(path)).cloned().collect();
        let whole = whole(whole_root.clone(), closely, recipe, authority, store, &context.progress)?;
        for (path, read) in whole.pages {
            pages.borrow_mut().entry(path).or_default().extend(read);
        }
        Ok(whole.transcript)
    };
    let authorities = Authority::all(recipe);
    let owner = |path: &[u8]| staged.configured.owners.owner(path).map(str::to_owned);
    let inputs = Inputs {
        tree: Arc::new(tree),
        recipe,
        authorities,
        pruned: lacking,
        owner: &owner,
        whole: Some(&whole),
    };
    let mut proof = prove(&inputs, store, &context.progress)?;
    proof.left_out = left_out(&reduced.files, &pages.borrow(), recipe, store).map_err(ProveError::Reduced)?;
    Ok(proof)
}

/// Returns the failure of an app that could not be proven; `subject` is the recipe folder or artifact.
pub(crate) fn unproven(error: ProveError, subject: &Path) -> Failure {
    let lacks = error.misses().iter().any(|miss| !miss.is_write());
    let hint = error.hint().map(str::to_owned);
    let hint = hint.map(|hint| if lacks { format!("{hint}; {}", ask_why(subject)) } else { hint });
    hinted(error, hint)
}

fn ask_why(subject: &Path) -> String {
    format!("`tinyroot why {} PATH` says why a path was pruned", subject.display())
}

/// Tells what the proof could not see, and what it saw that no comparison shows.
pub(crate) fn warn_of(proof: &Proof, context: &Context) {
    proof.left_out.iter().for_each(|lost| context.progress.warn(&lost.to_string()));
    if let Some(why) = &proof.unseen {
        context.progress.warn(&evidence::unseen(why));
    }
}

/// Tells what a person should look at: last, so that it is not lost above a summary.
pub(crate) fn warn_at_end(warnings: &[String], context: &Context) {
    warnings.iter().for_each(|warning| context.progress.warn(warning));
}

/// Returns the failure of a pruned app that answers otherwise than the whole root; `subject` is the recipe folder or artifact.
pub(crate) fn differs(proof: &Proof, subject: &Path) -> Failure {
    let text = format!("{} steps are answered otherwise than by the whole root", proof.differences.len());
    let remedies = "trace again, keep what is named above, or fold what changes by itself (`fold` of a step)";
    Failure::new(text).hint(format!("{remedies}; {}", ask_why(subject)))
}
