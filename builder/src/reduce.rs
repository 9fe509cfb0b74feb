//! Shortens large files that are mostly unused, where the recipe says so.
//!
//! Comes in: the pruned tree, the `[reduce]` keys of a recipe, its evidence, and the store. Goes out:
//! [`Reduced`], the same tree in which some files have other contents of the same length, and for each of
//! them the removed part. The same comes out each time. A reduced file differs from its package's, so papers
//! name it; and it is proven as all else is, against the full root, where nothing was reduced. Nothing here
//! decides what an app needs.

mod bytecode;
pub(crate) mod icu;
mod java;
mod propose;
mod stubs;
mod symbol_uses;
mod symbols;

pub use crate::formats::elf::Fault as ImageFault;
pub use icu::Fault as IcuFault;
pub use java::Fault as JavaFault;
pub use propose::{Change, Proposal, propose};

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    digest::Digest,
    error::Hint,
    evidence::UsedList,
    layout::ImagePath,
    prune::Pruned,
    recipe::Recipe,
    store::{Store, StoreError},
    tree::{Kind, TreePath},
};

/// The files that were reduced, by path.
pub type Reductions = BTreeMap<TreePath, Reduction>;

/// The change of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// The part that is left, as a clause.
    pub text: String,
    /// The contents as the package ships them.
    pub before: Digest,
    /// The contents now.
    pub after: Digest,
}

/// A pruned tree with smaller files in it.
#[derive(Clone, Debug)]
pub struct Reduced {
    /// The pruned tree, with the new contents.
    pub pruned: Pruned,
    /// The files that have others than their packages gave them.
    pub files: Reductions,
    /// The keys of the recipe that had no effect, as clauses.
    pub warnings: Vec<String>,
}

/// Parts of a file that were taken out of it, and that a program read where they were not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The file.
    pub path: TreePath,
    /// The parts, by their own names.
    pub parts: Vec<String>,
    /// The reason that keeps them, as a clause.
    pub remedy: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftOut { path, parts, remedy } = self;
        let parts = first_few(parts, ", ");
        write!(f, "/{path} was reduced by what the whole app reads: {parts}; to have it, {remedy}")
    }
}

/// How many of a list are named; a program may look through all languages.
const NAMED: usize = 5;

/// Returns the first few of a list, and how many more there are.
fn first_few(list: &[String], between: &str) -> String {
    let named = list.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(between);
    match list.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A file that cannot be reduced.
#[derive(Debug, thiserror::Error)]
pub enum ReduceError {
    /// Contents that are not to be had.
    #[error("cannot read /{path}")]
    Contents {
        /// The file.
        path: TreePath,
        /// The store's error.
        source: StoreError,
    },
    /// A library that holds no data of ICU as we know them.
    #[error("cannot reduce /{path}")]
    Icu {
        /// The library.
        path: TreePath,
        /// The fault.
        source: IcuFault,
    },
    /// A file that holds no modules of Java as we know them, or not those that the recipe names.
    #[error("cannot reduce /{path}")]
    Java {
        /// The file.
        path: TreePath,
        /// The fault.
        source: JavaFault,
    },
    /// An ELF file whose symbols cannot be read, so that its uses of other files are unknown.
    #[error("cannot tell the symbols of /{path}, which reduce.symbols and reduce.stubs need")]
    Names {
        /// The file.
        path: TreePath,
        /// The fault.
        source: ImageFault,
    },
    /// A file that cannot lose symbols.
    #[error("cannot take symbols out of /{path}")]
    Symbols {
        /// The file.
        path: TreePath,
        /// The fault.
        source: ImageFault,
    },
    /// A library of which no stub can be made.
    #[error("reduce.stubs: cannot make a stub of /{path}")]
    Stub {
        /// The library.
        path: TreePath,
        /// Why not.
        source: StubFault,
    },
}

impl Hint for ReduceError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            ReduceError::Contents { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// Why a library cannot be a stub.
#[derive(Debug, thiserror::Error)]
pub enum StubFault {
    /// It can be started.
    #[error("it is a program")]
    Program,
    /// Others read from it, which no signal would show.
    #[error("others use its data, `{0}`")]
    Data(String),
    /// It is not as a loader wants it.
    #[error(transparent)]
    Image(#[from] ImageFault),
}

/// Applies the recipe's reductions.
///
/// # Errors
/// [`ReduceError`]; a file that is not as expected is never passed on as it is.
pub fn reduce(
    pruned: Pruned,
    recipe: &Recipe,
    used: &UsedList,
    store: &Store,
) -> Result<Reduced, ReduceError> {
    let mut reduced = Reduced { pruned, files: Reductions::new(), warnings: Vec::new() };
    if let Some(keys) = &recipe.reduce.icu {
        let found = reduced.each(
            store,
            |path| icu::is_library(path.file_name()),
            |bytes, path| {
                icu::reduce(bytes, keys).map_err(|source| ReduceError::Icu { path: path.clone(), source })
            },
        )?;
        if !found {
            reduced.warnings.push("reduce.icu: the pruned root has no libicudata".to_owned());
        }
    }
    if let Some(keys) = &recipe.reduce.java {
        let found = reduced.each(store, java::is_modules, |bytes, path| {
            java::reduce(bytes, keys).map_err(|source| ReduceError::Java { path: path.clone(), source })
        })?;
        if !found {
            reduced.warnings.push("reduce.java: the pruned root has no modules of Java".to_owned());
        }
    }
    let Reduced { pruned, files, warnings } = &mut reduced;
    // Stubs use no symbols any more, so they come before the used symbols are counted.
    if !recipe.reduce.stubs.is_empty() {
        let missing = stubs::reduce(pruned, &recipe.reduce.stubs, store, files)?;
        let text = |name| format!("reduce.stubs: the pruned root has no library {name}");
        warnings.extend(missing.into_iter().map(text));
    }
    if recipe.reduce.bytecode {
        bytecode::reduce(pruned, used, store, files)?;
    }
    match recipe.reduce.symbols {
        Some(true) => symbols::reduce(pruned, store, files)?,
        None if !symbols::may_be_linked_to(&pruned.tree) => {
            let mut smaller = (pruned.clone(), files.clone());
            match symbols::reduce(&mut smaller.0, store, &mut smaller.1) {
                Ok(()) => (*pruned, *files) = smaller,
                Err(error @ (ReduceError::Names { .. } | ReduceError::Symbols { .. })) => {
                    let text = format!("all symbols stay: {}", with_sources(&error));
                    warnings.push(text);
                }
                Err(error) => return Err(error),
            }
        }
        _ => {}
    }
    Ok(reduced)
}

impl Reduced {
    /// Reduces the files at such paths; returns true if there was one.
    fn each(
        &mut self,
        store: &Store,
        is_one: impl Fn(&TreePath) -> bool,
        reduce: impl Fn(&mut [u8], &TreePath) -> Result<String, ReduceError>,
    ) -> Result<bool, ReduceError> {
        let mut found = false;
        for (path, entry) in self.pruned.tree.iter_mut().filter(|(path, _)| is_one(path)) {
            let Kind::File { digest, .. } = &mut entry.kind else { continue };
            found = true;
            let bytes = store.read(digest);
            let mut bytes = bytes.map_err(|source| ReduceError::Contents { path: path.clone(), source })?;
            let text = reduce(&mut bytes, path)?;
            let (before, after) = (*digest, store.put(bytes));
            *digest = after;
            self.files.insert(path.clone(), Reduction { text, before, after });
        }
        Ok(found)
    }
}

/// Returns true for a file of which [`left_out`] knows anything.
pub fn can_tell(path: &TreePath) -> bool {
    icu::is_library(path.file_name())
}

/// Returns the parts that [`reduce`] removed and that were read on the full root, where `pages` (by image
/// path, of [`PAGE_BYTES`](crate::evidence::PAGE_BYTES) each) were read of them. A page that holds something
/// else as well shows nothing.
///
/// # Errors
/// [`ReduceError`], as when the files were reduced.
pub fn left_out(
    files: &Reductions,
    pages: &BTreeMap<ImagePath, BTreeSet<u64>>,
    recipe: &Recipe,
    store: &Store,
) -> Result<Vec<LeftOut>, ReduceError> {
    let mut found = Vec::new();
    for (path, reduction) in files {
        let Some((read, keys)) = pages.get(&ImagePath::of_stage(path)).zip(recipe.reduce.icu.as_ref()) else {
            continue;
        };
        if !can_tell(path) {
            continue;
        }
        let whole = store.read(&reduction.before);
        let whole = whole.map_err(|source| ReduceError::Contents { path: path.clone(), source })?;
        let lost = icu::read_and_left_out(&whole, keys, read);
        let (parts, remedy) = lost.map_err(|source| ReduceError::Icu { path: path.clone(), source })?;
        if !parts.is_empty() {
            found.push(LeftOut { path: path.clone(), parts, remedy });
        }
    }
    Ok(found)
}

/// Returns an error and its sources, as one clause.
fn with_sources(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", with_sources(source)),
        None => error.to_string(),
    }
}

/// Notes a change of a file, after earlier ones.
fn note(files: &mut Reductions, path: &TreePath, text: String, before: Digest, after: Digest) {
    files
        .entry(path.clone())
        .and_modify(|earlier| {
            earlier.text = format!("{}; {text}", earlier.text);
            earlier.after = after;
        })
        .or_insert(Reduction { text, before, after });
}

#[cfg(test)]
mod tests;
