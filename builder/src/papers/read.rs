//! Papers read back out of the tree of an artifact, which anybody may have made.
//!
//! Keeps one arrow to the builder: `lock`, and by it `resolve`. A lock is a resolution written down, and the
//! reports on an artifact compare locks by its values. To run a grain takes nothing of it: `artifact::app`
//! reads the recipe and prune.list alone.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use super::{DIRECTORY, FAST};
use crate::{
    error::{Hint, PathError},
    evidence::{Pruned, UsedList},
    files,
    formats::{
        prune_list::{PruneList, parse_list},
        size::parse_size,
        xz::Effort,
    },
    layout::ImagePath,
    lock::Lock,
    recipe::{self, Recipe, RecipeError},
    store::{Scratch, Store, StoreError},
    tree::{Tree, TreePath},
};

// The longest papers that are read. Those of WordPress with its MariaDB take 0.6 MB, 0.2 MB and 3 kB.
const LIST_LIMIT_BYTES: u64 = 32 << 20;
const PROVENANCE_LIMIT_BYTES: u64 = 4 << 20;
const LOCK_LIMIT_BYTES: u64 = 4 << 20;
/// Limit of a recipe's size in bytes.
const RECIPE_LIMIT_BYTES: u64 = 512 << 10;
/// Limit of the size of a used.list in bytes. That of WordPress with its MariaDB has 0.4 MB.
const USED_LIMIT_BYTES: u64 = 32 << 20;

/// Why the recipe that an artifact encloses cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnclosedError {
    /// An artifact that tinyroot did not make.
    #[error("the artifact does not hold the recipe that says how it runs")]
    NoRecipe,
    /// A recipe that does not hold any more.
    #[error("cannot read the recipe in the artifact")]
    Recipe(#[source] RecipeError),
    /// Contents that are not to be had.
    #[error("cannot read the artifact")]
    Contents(#[source] StoreError),
    /// A file of the recipe.
    #[error(transparent)]
    Io(#[from] PathError),
}

impl Hint for EnclosedError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            EnclosedError::NoRecipe => Some("artifacts of `tinyroot build` hold it".into()),
            EnclosedError::Recipe(error) => error.hint(),
            EnclosedError::Contents(error) => error.hint(),
            EnclosedError::Io(error) => error.hint(),
        }
    }
}

/// Returns the prune.list that a tree encloses; `None` if it has none that can be read.
pub fn prune_list(tree: &Tree, store: &Store) -> Option<PruneList> {
    parse_list(&String::from_utf8(enclosed(tree, store, "prune.list", LIST_LIMIT_BYTES)?).ok()?)
}

/// Returns a function that names the Debian package of a path of the full root, by the prune.list of a tree.
/// Its first call reads the list.
pub fn owner_of(tree: Arc<Tree>, store: Arc<Store>) -> impl Fn(&TreePath) -> Option<String> + Send + Sync {
    let list = OnceLock::new();
    move |path| {
        let list: &PruneList = list.get_or_init(|| prune_list(&tree, &store).unwrap_or_default());
        list.paths.get(path).and_then(|listed| Some(listed.package.as_deref()?.to_owned()))
    }
}

/// Returns the lock that a tree encloses; `None` if it has none that can be read.
pub fn lock(tree: &Tree, store: &Store) -> Option<Lock> {
    Lock::parse(&enclosed(tree, store, "recipe/recipe.lock", LOCK_LIMIT_BYTES)?).ok()
}

/// Returns the evidence of the trace that a tree encloses; `None` if it has none that can be read.
pub fn used_list(tree: &Tree, store: &Store) -> Option<UsedList> {
    let text = String::from_utf8(enclosed(tree, store, "recipe/used.list", USED_LIMIT_BYTES)?).ok()?;
    UsedList::parse(&text, Path::new("used.list")).ok()
}

/// Returns the name that the recipe in a tree has for its app; `None` if it has none that can be read.
pub fn enclosed_name(tree: &Tree, store: &Store) -> Option<String> {
    Some(recipe_table(tree, store)?.get("app")?.get("name")?.as_str()?.to_owned())
}

/// Returns the budget that the recipe in a tree has for its artifact, in bytes; `None` if it has none that
/// can be read.
pub fn budget_bytes(tree: &Tree, store: &Store) -> Option<u64> {
    parse_size(recipe_table(tree, store)?.get("budget")?.get("artifact")?.as_str()?).ok()
}

/// Returns the recipe.toml in a tree, unchecked; `None` if it has none that can be read.
pub fn recipe_table(tree: &Tree, store: &Store) -> Option<toml::Table> {
    let text = enclosed(tree, store, "recipe/recipe.toml", RECIPE_LIMIT_BYTES)?;
    String::from_utf8(text).ok()?.parse().ok()
}

/// Reads a paper, unless it is longer than any paper is: what is read takes many times the memory of its
/// text.
pub(super) fn enclosed(tree: &Tree, store: &Store, name: &str, limit_bytes: u64) -> Option<Vec<u8>> {
    let (digest, size_bytes) = tree.get(format!("{DIRECTORY}/{name}").as_bytes())?.kind.content()?;
    (size_bytes <= limit_bytes).then(|| store.read(&digest).ok())?
}

/// Returns the recipe that an artifact encloses, with its files read.
///
/// # Errors
/// [`EnclosedError`]; [`EnclosedError::NoRecipe`] where there is none.
pub fn enclosed_recipe(tree: &Tree, store: &Store) -> Result<Recipe, EnclosedError> {
    // The reader of recipes takes a folder, as every path in a recipe is relative to one.
    let folder = enclosed_folder(tree, store)?;
    recipe::read_enclosed(folder.path()).map_err(EnclosedError::Recipe)
}

/// Returns the recipe folder that an artifact encloses, with lock, evidence and files, as a directory that is
/// removed when it is dropped.
///
/// # Errors
/// As [`enclosed_recipe`]; the recipe itself is not read.
pub fn enclosed_folder(tree: &Tree, store: &Store) -> Result<Scratch, EnclosedError> {
    let top = format!("{DIRECTORY}/recipe");
    if tree.get(format!("{top}/recipe.toml").as_bytes()).is_none() {
        return Err(EnclosedError::NoRecipe);
    }
    let folder = store.scratch("recipe-").map_err(EnclosedError::Contents)?;
    for (path, entry) in tree.subtree(top.as_bytes()) {
        let below = TreePath::new(path.as_bytes().get(top.len()..).unwrap_or_default()).unwrap_or_default();
        let place = folder.path().join(below.as_path());
        if entry.kind.is_directory() {
            files::create_dir_all(&place)?;
        } else if let Some((digest, _)) = entry.kind.content() {
            files::write(&place, store.read(&digest).map_err(EnclosedError::Contents)?)?;
        }
    }
    Ok(folder)
}

/// How an artifact says it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The version of tinyroot.
    pub version: String,
    /// SHA-256 of the first process that this version put into it.
    pub init: Option<String>,
    /// How hard it is compressed.
    pub effort: Effort,
    /// All that it was made of, as the paper has it.
    pub materials: Vec<Value>,
}

/// Returns how hard the artifact of a tree is compressed, as its provenance says.
pub fn effort(tree: &Tree, store: &Store) -> Effort {
    provenance(tree, store).map_or(Effort::Best, |provenance| provenance.effort)
}

/// Returns the paper of the provenance that a tree encloses, and what it says; `None` if it has none that can be
/// read.
pub fn provenance_paper(tree: &Tree, store: &Store) -> Option<(Vec<u8>, Value)> {
    let bytes = enclosed(tree, store, "provenance.json", PROVENANCE_LIMIT_BYTES)?;
    let statement = serde_json::from_slice(&bytes).ok()?;
    Some((bytes, statement))
}

/// Returns the provenance that a tree encloses; `None` if it has none that can be read.
pub fn provenance(tree: &Tree, store: &Store) -> Option<Provenance> {
    let (_, statement) = provenance_paper(tree, store)?;
    let text = |pointer: &str| Some(statement.pointer(pointer)?.as_str()?.to_owned());
    let materials = statement.pointer("/predicate/buildDefinition/resolvedDependencies")?.as_array()?;
    Some(Provenance {
        version: text("/predicate/runDetails/builder/version/tinyroot")?,
        init: text("/predicate/buildDefinition/internalParameters/init/sha256"),
        effort: match statement.pointer("/predicate/buildDefinition/externalParameters/packing") {
            Some(packing) if packing == FAST => Effort::Fast,
            _ => Effort::Best,
        },
        materials: materials.clone(),
    })
}

/// Returns what was pruned from an artifact, by the paths of its image tree, so that asking for it is a
/// miss.
pub fn pruned_of(tree: &Tree, store: &Store) -> Pruned {
    let list = prune_list(tree, store).unwrap_or_default();
    let dropped = list.paths.into_iter().filter(|(_, listed)| !listed.kept);
    let mut pruned: Pruned = BTreeMap::new();
    for (path, listed) in dropped {
        let path = ImagePath::of_stage(&path);
        if tree.get(path.as_bytes()).is_none() {
            pruned.insert(path, listed.package.as_deref().map(str::to_owned));
        }
    }
    pruned
}
