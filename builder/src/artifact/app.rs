//! An artifact as an app that can run.

use std::sync::Arc;

use super::Artifact;
use crate::{
    grain::runner::RunnableApp,
    papers::{EnclosedError, enclosed_recipe, owner_of, pruned_of},
    store::Store,
};

/// Returns the app of an artifact, by the recipe and the list of pruned paths that it encloses.
///
/// # Errors
/// [`EnclosedError`]: it encloses no recipe, or one that cannot be read.
pub fn app(artifact: Artifact, store: &Arc<Store>) -> Result<RunnableApp, EnclosedError> {
    let recipe = enclosed_recipe(&artifact.tree, store)?;
    let pruned = Arc::new(pruned_of(&artifact.tree, store));
    let tree = Arc::new(artifact.tree);
    let owner_of = Arc::new(owner_of(tree.clone(), store.clone()));
    Ok(RunnableApp { tree, recipe, pruned, owner_of, show_pruned: false })
}
