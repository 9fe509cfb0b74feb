//! From the full root to the image that a grain boots: pruned, reduced, with our first process and the
//! artifact's papers.
//!
//! Comes in: [`Overlaid`] and the evidence of a trace. Goes out: [`Image`]. Nothing here runs the app.

use std::sync::Arc;

use super::{
    LineError, Session,
    root::{Overlaid, Sources},
};
use crate::{
    digest::Digest,
    evidence::{self, UsedList},
    image::{self, State, VarPolicy},
    papers::{self, Inputs},
    progress::Unit,
    prove::pruned_between,
    prune::{Plan, Pruned},
    reduce::{Reduced, Reductions},
    tree::Tree,
};

/// The tree that a grain boots, with its papers but that of its proof.
#[derive(Clone)]
pub struct Image {
    reduced: Reduced,
    tree: Arc<Tree>,
    lacks: Arc<evidence::Pruned>,
}

impl Image {
    /// Makes the image of a recipe by its evidence.
    ///
    /// # Errors
    /// A root that cannot be pruned or reduced, and papers that cannot be written.
    pub fn of(overlaid: &Overlaid, used: &UsedList, session: &Session) -> Result<Self, LineError> {
        let _task = session.progress.task("pruning", 0, Unit::Items);
        let reduced = prune(overlaid, used, session)?;
        let tree = Arc::new(tree_of(overlaid, &reduced, used, session)?);
        let owner = |path: &[u8]| overlaid.owner(path);
        let lacks = Arc::new(pruned_between(overlaid.tree(), &reduced.pruned.tree, &owner));
        Ok(Image { reduced, tree, lacks })
    }

    /// Writes the papers again: the recipe is one of them.
    pub(super) fn with_papers_anew(
        self,
        overlaid: &Overlaid,
        used: &UsedList,
        session: &Session,
    ) -> Result<Self, LineError> {
        let tree = Arc::new(tree_of(overlaid, &self.reduced, used, session)?);
        Ok(Image { tree, ..self })
    }

    /// Returns the tree, in image paths.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Returns what the image lacks of the full root, by image paths.
    pub fn lacks(&self) -> &Arc<evidence::Pruned> {
        &self.lacks
    }

    /// Returns what pruning and reducing left of the full root, in stage paths, with the reason for each
    /// path.
    pub fn pruned(&self) -> &Pruned {
        &self.reduced.pruned
    }

    /// Returns the reason for each path.
    pub fn plan(&self) -> &Plan {
        &self.reduced.pruned.plan
    }

    /// Returns the files that have other contents than their packages ship.
    pub fn reductions(&self) -> &Reductions {
        &self.reduced.files
    }

    /// Returns what a person should look at in the recipe.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.plan().warnings.iter().chain(&self.reduced.warnings).map(String::as_str)
    }
}

/// Reads the evidence of a recipe.
///
/// # Errors
/// A used.list that is missing or breaks a rule.
pub fn read_evidence(overlaid: &Overlaid) -> Result<UsedList, LineError> {
    let path = overlaid.sources.recipe.used_path();
    UsedList::read(&path).map_err(|error| {
        let again = format!("`tinyroot trace {}`", overlaid.sources.recipe.directory.display());
        let hint = match path.exists() {
            true => format!("mend it, or trace again: {again}"),
            false => format!("make it with {again}"),
        };
        LineError::from(error).with_hint(Some(hint))
    })
}

/// Prunes the full root of a recipe by its evidence, and reduces what the recipe names.
///
/// # Errors
/// A root that cannot be pruned or reduced.
pub fn prune(overlaid: &Overlaid, used: &UsedList, session: &Session) -> Result<Reduced, LineError> {
    let Sources { recipe, unpacked, .. } = &overlaid.sources;
    let store = &session.store;
    let pruned = crate::prune::prune(overlaid.tree(), overlaid.owners(), used, recipe, unpacked, store)?;
    Ok(crate::reduce::reduce(pruned, recipe, used, store)?)
}

/// Returns the image tree of the full root, which proofs compare with. There every file of `/var` is a copy,
/// so that a write that a link to the read-only root would stop shows as a difference.
pub fn baseline(overlaid: &Overlaid, session: &Session) -> Tree {
    let (tree, recipe) = (overlaid.tree().clone(), &overlaid.sources.recipe);
    image::build(tree, recipe, &VarPolicy::CopyAll, &session.store, overlaid.epoch_s())
}

/// Makes the image tree of what pruning left, with its papers.
fn tree_of(
    overlaid: &Overlaid,
    reduced: &Reduced,
    used: &UsedList,
    session: &Session,
) -> Result<Tree, LineError> {
    let Sources { recipe, lock, unpacked, assembled, .. } = &overlaid.sources;
    let (stage, epoch_s, store) = (overlaid.tree(), overlaid.epoch_s(), &*session.store);
    let state = State::new(recipe, stage, &assembled.tree, unpacked, used, store);
    let policy = VarPolicy::ByFate(&|path| state.fate(path));
    let mut tree = image::build(reduced.pruned.tree.clone(), recipe, &policy, store, epoch_s);
    let inputs = Inputs {
        recipe,
        lock,
        unpacked,
        stage,
        plan: &reduced.pruned.plan,
        reductions: &reduced.files,
        version: env!("CARGO_PKG_VERSION"),
        init: Digest::of(image::INIT),
        epoch_s,
        effort: session.effort,
        store,
    };
    papers::add(&mut tree, &inputs)?;
    Ok(tree)
}
