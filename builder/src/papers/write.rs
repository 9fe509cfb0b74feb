//! Papers written into the tree of an artifact, from all that it was made of.

mod licences;
mod provenance;
mod sbom;
mod status;

use std::{borrow::Cow, collections::BTreeMap};

use super::{DIRECTORY, ProofPaper, proof::NAME, purl::Distribution, share::shares};
use crate::{
    digest::Digest,
    error::Hint,
    formats::{deb822::Fault, prune_list::parse_list, xz::Effort},
    lock::Lock,
    prune::{Plan, write_list},
    recipe::{NPM_PREFIX, NpmPackage, Recipe, RecipeError},
    reduce::Reductions,
    store::{Store, StoreError},
    tree::{Entry, InvalidPath, Tree, TreePath},
    unpack::{Unpacked, UnpackedPackage},
};

/// A fault of writing papers.
#[derive(Debug, thiserror::Error)]
pub enum PapersError {
    /// The recipe folder cannot be read.
    #[error("cannot enclose the recipe")]
    Recipe {
        /// Why.
        #[source]
        source: RecipeError,
    },
    /// A file of the recipe folder whose name cannot stand in a root.
    #[error("cannot enclose a file of the recipe")]
    Name {
        /// Its name.
        #[source]
        source: InvalidPath,
    },
    /// Contents that are not to be had.
    #[error("cannot read {subject}")]
    Contents {
        /// The file that was to be read.
        subject: String,
        /// The store's error.
        source: StoreError,
    },
    /// A control file that cannot be parsed.
    #[error("cannot read the control file of {package}")]
    Control {
        /// The package.
        package: String,
        /// Its fault.
        source: Fault,
    },
}

impl Hint for PapersError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            PapersError::Recipe { source } => source.hint(),
            PapersError::Contents { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// The sources of papers.
pub struct Inputs<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// Its lock.
    pub lock: &'a Lock,
    /// The packages.
    pub unpacked: &'a Unpacked,
    /// The configured tree from which was pruned.
    pub stage: &'a Tree,
    /// The verdict and reason of each path.
    pub plan: &'a Plan,
    /// Files that have others than their packages' contents.
    pub reductions: &'a Reductions,
    /// Version of tinyroot.
    pub version: &'a str,
    /// SHA-256 of the first process.
    pub init: Digest,
    /// The time that all new entries get.
    pub epoch_s: i64,
    /// How hard the artifact will be compressed.
    pub effort: Effort,
    /// Where contents are and go.
    pub store: &'a Store,
}

/// An npm package of which a file is kept.
struct KeptNpm<'a> {
    package: &'a NpmPackage,
    files: u64,
    size_bytes: u64,
    pruned: u64,
}

impl<'a> Inputs<'a> {
    /// Returns the packages of which a file or link is kept, by name.
    fn packages(&self) -> Vec<&'a UnpackedPackage> {
        let kept = self.plan.packages_kept(self.stage);
        self.unpacked.packages.iter().filter(|package| kept.contains(&package.locked.name)).collect()
    }

    /// Returns the npm packages of which a file is kept, by path, each with how many are and are not.
    fn npm_packages(&self) -> Vec<KeptNpm<'a>> {
        let (recipe, plan, stage): (&'a Recipe, &Plan, &Tree) = (self.recipe, self.plan, self.stage);
        let mut kept: BTreeMap<&TreePath, KeptNpm<'a>> = BTreeMap::new();
        for package in recipe.npm_packages() {
            kept.insert(&package.path, KeptNpm { package, files: 0, size_bytes: 0, pruned: 0 });
        }
        let owned = plan.packages.iter().filter(|(_, owner)| owner.starts_with(NPM_PREFIX));
        for (path, _) in owned {
            let Some((_, size_bytes)) = stage.get(path.as_bytes()).and_then(|entry| entry.kind.content())
            else {
                continue;
            };
            let Some(above) = path.ancestors().find(|above| kept.contains_key(above)) else { continue };
            let Some(package) = kept.get_mut(&above) else { continue };
            match plan.keeps(path.as_bytes()) {
                true => {
                    (package.files, package.size_bytes) = (package.files + 1, package.size_bytes + size_bytes)
                }
                false => package.pruned += 1,
            }
        }
        kept.into_values().filter(|package| package.files > 0).collect()
    }

    /// Returns the distribution that the configured root says it is.
    fn distribution(&self) -> Result<Distribution, PapersError> {
        let Some(text) = self.read_at(b"etc/os-release")? else { return Ok(Distribution::default()) };
        Ok(Distribution::parse(&String::from_utf8_lossy(&text)).unwrap_or_default())
    }

    /// Returns a file of the configured root, links followed; `None` where there is none.
    fn read_at(&self, path: &[u8]) -> Result<Option<Vec<u8>>, PapersError> {
        let end = self.stage.resolve(path, |_| {});
        let content = end.and_then(|end| self.stage.get(end.as_bytes())?.kind.content());
        content.map(|(digest, _)| self.read(&digest, || path.escape_ascii().to_string())).transpose()
    }

    /// Returns contents, whole.
    fn read(&self, digest: &Digest, subject: impl FnOnce() -> String) -> Result<Vec<u8>, PapersError> {
        self.store.read(digest).map_err(|source| PapersError::Contents { subject: subject(), source })
    }

    /// Puts a file into the tree.
    fn write(&self, tree: &mut Tree, path: &str, bytes: Vec<u8>) -> Result<(), PapersError> {
        let path = TreePath::new(path.as_bytes()).map_err(|source| PapersError::Name { source })?;
        let size_bytes = bytes.len() as u64;
        let digest = self.store.put(bytes);
        tree.insert(path, Entry::file(digest, size_bytes, 0o644, self.epoch_s));
        Ok(())
    }
}

/// Adds the papers to a tree that is otherwise as it will be packed.
///
/// # Errors
/// [`PapersError`]; the tree is then unfinished.
pub fn add(tree: &mut Tree, inputs: &Inputs<'_>) -> Result<(), PapersError> {
    let packages = inputs.packages();
    let contents = Digest::of(tree.to_text().as_bytes());
    status::add(tree, inputs, &packages)?;
    licences::add(tree, inputs, &packages)?;
    let npm_packages = inputs.npm_packages();
    licences::add_npm(tree, inputs, &npm_packages);
    let reduced = inputs.reductions.iter().map(|(path, reduction)| (path, &reduction.text[..]));
    let list = write_list(inputs.plan, reduced);
    let shares = shares(&parse_list(&list).unwrap_or_default(), tree);
    inputs.write(tree, &format!("{DIRECTORY}/prune.list"), list.into_bytes())?;
    let folder = inputs.recipe.folder().map_err(|source| PapersError::Recipe { source })?;
    let distribution = inputs.distribution()?;
    let provenance = provenance::statement(inputs, &folder, contents, &distribution);
    let bill = sbom::Bill { inputs, distribution, shares };
    inputs.write(tree, &format!("{DIRECTORY}/bom.json"), bill.text(&packages, &npm_packages)?)?;
    inputs.write(tree, &format!("{DIRECTORY}/provenance.json"), provenance)?;
    for (name, bytes) in folder {
        inputs.write(tree, &format!("{DIRECTORY}/recipe/{name}"), bytes)?;
    }
    tree.add_parents(inputs.epoch_s);
    Ok(())
}

/// Adds what was proven to a tree that has all other papers. The same exercise gives the same paper on every
/// machine.
///
/// # Errors
/// As [`add`].
pub fn add_proof(
    tree: &mut Tree,
    paper: &ProofPaper,
    epoch_s: i64,
    store: &Store,
) -> Result<(), PapersError> {
    let path = TreePath::new(format!("{DIRECTORY}/{NAME}").as_bytes());
    let path = path.map_err(|source| PapersError::Name { source })?;
    let mut bytes = serde_json::to_vec_pretty(paper).expect("a paper is printable");
    bytes.push(b'\n');
    let size_bytes = bytes.len() as u64;
    tree.insert(path, Entry::file(store.put(bytes), size_bytes, 0o644, epoch_s));
    Ok(())
}
