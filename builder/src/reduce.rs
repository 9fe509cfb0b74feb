//! Makes files smaller that are large and mostly unused, where the recipe says so.
//!
//! Comes in: the pruned tree, the `[reduce]` keys of a recipe, and the store. Goes out: [`Reduced`], the same tree in
//! which some files have other contents of the same length, and for each of them what was taken out. The same comes
//! out each time. A reduced file is no longer its package's, so papers name it; and it is proven as all else is,
//! against the whole root, where nothing was reduced. Nothing here decides what an app needs.

mod icu;

pub use icu::Fault as IcuFault;

use std::collections::BTreeMap;

use crate::{
    formats::digest::Digest,
    prune::Pruned,
    recipe::Recipe,
    store::{Store, StoreError},
    tree::{Kind, TreePath},
};

/// The files that were reduced, by path.
pub type Reductions = BTreeMap<TreePath, Reduction>;

/// What was done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// What is left of it, as a clause.
    pub text: String,
    /// The contents as the package ships them.
    pub before: Digest,
    /// The contents now.
    pub after: Digest,
}

/// A pruned tree with smaller files in it.
#[derive(Clone, Debug)]
pub struct Reduced {
    /// What pruning left, with the new contents.
    pub pruned: Pruned,
    /// The files that have others than their packages gave them.
    pub files: Reductions,
    /// What the recipe asks for in vain, as clauses.
    pub warnings: Vec<String>,
}

/// A file that cannot be reduced.
#[derive(Debug, thiserror::Error)]
pub enum ReduceError {
    /// Contents that are not to be had.
    #[error("cannot read /{path}")]
    Contents {
        /// The file.
        path: TreePath,
        /// What the store says.
        source: StoreError,
    },
    /// A library that holds no data of ICU as we know them.
    #[error("cannot reduce /{path}")]
    Icu {
        /// The library.
        path: TreePath,
        /// What is wrong with it.
        source: IcuFault,
    },
}

/// Reduces what the recipe names.
///
/// # Errors
/// [`ReduceError`]; a file that is not as expected is never passed on as it is.
pub fn reduce(mut pruned: Pruned, recipe: &Recipe, store: &Store) -> Result<Reduced, ReduceError> {
    let mut files = Reductions::new();
    let mut warnings = Vec::new();
    if let Some(keys) = &recipe.reduce.icu {
        let mut found = false;
        for (path, entry) in pruned.tree.iter_mut().filter(|(path, _)| icu::is_library(path.file_name())) {
            let Kind::File { digest, .. } = &mut entry.kind else { continue };
            found = true;
            let bytes = store.read(digest);
            let mut bytes = bytes.map_err(|source| ReduceError::Contents { path: path.clone(), source })?;
            let text = icu::reduce(&mut bytes, keys)
                .map_err(|source| ReduceError::Icu { path: path.clone(), source })?;
            let (before, after) = (*digest, store.put(bytes));
            *digest = after;
            files.insert(path.clone(), Reduction { text, before, after });
        }
        if !found {
            warnings.push("reduce.icu: the pruned root has no libicudata".to_owned());
        }
    }
    Ok(Reduced { pruned, files, warnings })
}

#[cfg(test)]
mod tests;
