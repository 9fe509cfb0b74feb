//! An artifact's description of itself: licences, package lists for scanners, bill of materials,
//! provenance, the recipe, and why each path is in.
//!
//! Comes in: the pruned image tree, and all that it was made of. Goes out: the same tree
//! with its papers. The bytes depend on nothing else: no clock, no user, no order of a directory;
//! times are the epoch that is given.
//!
//! ```text
//! /usr/share/doc/PACKAGE/copyright       licence text of each package of which anything is kept; npm's lie where
//!                                        they were unpacked
//! /usr/share/common-licenses/NAME        those that these texts refer to
//! /var/lib/dpkg/{status,info/*}          what scanners read; a grain's own /var hides it
//! /tinyroot/papers/bom.json              CycloneDX; not named *.cdx.json, lest a scanner take it
//!                                        for the package list of another root
//! /tinyroot/papers/provenance.json       an in-toto statement
//! /tinyroot/papers/prune.list            a reason for each path
//! /tinyroot/papers/proof.json            the steps of the proof
//! /tinyroot/papers/recipe/…              the recipe folder with lock and evidence
//! ```
//!
//! In two parts: [`write`] knows the stages whose work the papers tell of, [`read`] a tree and the store
//! alone, so that to run a grain takes none of the builder's stages. [`bill`] makes what is not enclosed out of the
//! same: bills of materials in full.

pub mod bill;
mod proof;
mod purl;
pub mod read;
mod share;
mod stock;
pub mod write;

pub use proof::{ProofPaper, Standing, digest_of, is_proof, proof, standing};
pub use read::{
    EnclosedError, Provenance, budget_bytes, effort, enclosed_folder, enclosed_recipe, lock, owner_of,
    provenance, provenance_paper, prune_list, pruned_of, recipe_table, used_list,
};
pub use share::{Extent, Share, shares};
pub(crate) use stock::stanzas;
pub use stock::{Stock, Stocked, stock};
pub use write::{Inputs, PapersError, add, add_proof};

/// Where the papers lie.
pub const DIRECTORY: &str = "tinyroot/papers";

/// What provenance.json says of how an artifact of `--fast` is packed.
const FAST: &str = "fast";

#[cfg(test)]
mod tests;
