//! From an image to one signed package, with the paper of its proof.

use std::path::Path;

use super::{
    LineError, Session,
    error::Fault,
    image::{Image, read_evidence},
    proof::{Proven, Unproven},
    root::{Overlaid, overlay},
};
use crate::{
    artifact::{Packable, Packed, Writer, spk::complete},
    evidence::step,
    formats::{app_id::AppId, manifest::Manifest},
    lock::Lock,
    papers::{self, ProofPaper},
    prove::Proof,
    recipe::{Recipe, Version},
    tree::Tree,
};

/// An image that can be packed.
pub enum Finished {
    /// It did in its exercise what the full root does.
    Proven(Proven),
    /// It was not run.
    Unproven(Unproven),
}

impl Finished {
    /// Returns the image.
    pub fn image(&self) -> &Image {
        match self {
            Finished::Proven(proven) => &proven.image,
            Finished::Unproven(unproven) => &unproven.0,
        }
    }

    /// Returns the proof, if there is one.
    pub fn proof(&self) -> Option<&Proof> {
        match self {
            Finished::Proven(proven) => Some(&proven.proof),
            Finished::Unproven(_) => None,
        }
    }
}

/// Packs an image as a file of the writer's format. It appears under its name whole or not at all.
///
/// # Errors
/// Contents of the cache that were changed meanwhile, and a package that cannot be written.
pub fn pack(
    finished: &Finished,
    overlaid: &Overlaid,
    writer: &dyn Writer,
    output: &Path,
    session: &Session,
) -> Result<Packed, LineError> {
    let packable = packable(finished.image(), said(finished, overlaid), overlaid, writer.app_id(), session)?;
    Ok(writer.write(packable, output, &session.store, &session.progress)?)
}

/// Returns the tree of the package that a recipe gives now, without running, signing or packing it: its proof
/// says that there is none. What the store has is not made again.
///
/// # Errors
/// The first stage that fails.
pub fn preview(recipe: Recipe, session: &Session) -> Result<Tree, LineError> {
    let overlaid = overlay(recipe, session)?;
    let used = read_evidence(&overlaid)?;
    let manifest = manifest_of(&overlaid.sources.recipe, &overlaid.sources.lock)?;
    let finished = Finished::Unproven(Unproven::new(Image::of(&overlaid, &used, session)?));
    let packable = packable(finished.image(), said(&finished, &overlaid), &overlaid, None, session)?;
    Ok(complete(packable.tree(), &session.store, &manifest, &session.progress)?)
}

/// What the paper says of an image's proof.
pub(super) struct Said {
    /// Whether it was run.
    pub exercised: bool,
    /// The steps, in words.
    pub steps: Vec<String>,
    /// Whether its responses were compared with the full root's.
    pub compared: bool,
}

/// Returns what is to be said of a finished image.
pub(super) fn said(finished: &Finished, overlaid: &Overlaid) -> Said {
    let proof = finished.proof();
    let steps = proof.iter().flat_map(|_| overlaid.sources.recipe.exercise.iter().map(step::words));
    Said {
        exercised: proof.is_some(),
        steps: steps.collect(),
        compared: proof.is_some_and(|proof| proof.compared),
    }
}

/// Returns an image with the paper of its proof.
///
/// # Errors
/// Contents of the cache that were changed meanwhile.
pub(super) fn packable(
    image: &Image,
    said: Said,
    overlaid: &Overlaid,
    app_id: Option<AppId>,
    session: &Session,
) -> Result<Packable, LineError> {
    if session.store.has_refused() {
        return Err(Fault::Refused.into());
    }
    let mut tree = Tree::clone(image.tree());
    let Said { exercised, steps, compared } = said;
    let paper = ProofPaper { exercised, steps, compared, tree: papers::digest_of(&tree), app_id };
    papers::add_proof(&mut tree, &paper, overlaid.epoch_s(), &session.store)?;
    Ok(Packable(tree))
}

/// Returns the manifest of a recipe's package.
///
/// # Errors
/// A version that is that of a package which the lock does not have.
pub fn manifest_of(recipe: &Recipe, lock: &Lock) -> Result<Manifest, LineError> {
    let app = &recipe.app;
    let version = match &app.version {
        Version::Literal(version) => version.clone(),
        Version::Npm(name) => recipe.version_of_npm(name).unwrap_or_default().to_owned(),
        Version::Deb(package) => match lock.get(package) {
            Some(locked) => locked.version.clone(),
            None => return Err(Fault::NoVersion(package.clone()).into()),
        },
    };
    Ok(Manifest::for_init(&app.title, &version, app.release, &app.noun))
}
