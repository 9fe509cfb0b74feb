//! From an image to a proven one: it goes through its exercise, and is compared with the full root.
//!
//! Comes in: [`Image`]. Goes out: [`Proven`], or by the caller's choice [`Unproven`]. Only these can be
//! packed.

use std::{borrow::Cow, path::Path, sync::Arc};

use super::{
    LineError, Session,
    error::Fault,
    image::{Image, baseline},
    root::Overlaid,
};
use crate::{
    error::Hint as _,
    evidence,
    exercise::Authority,
    progress::Progress,
    prove::{self, Baseline, Inputs, Proof},
};

/// An image that did in its exercise what the full root does.
pub struct Proven {
    /// The image.
    pub(super) image: Image,
    /// The proof.
    pub(super) proof: Box<Proof>,
}

/// An image that was not run.
pub struct Unproven(pub(super) Image);

impl Unproven {
    /// Takes an image as it is, where apps cannot be run.
    pub fn new(image: Image) -> Self {
        Unproven(image)
    }
}

/// An image that was run, and what came of it.
pub(super) struct Tried {
    image: Image,
    /// The outcome.
    pub outcome: Result<Proof, LineError>,
}

impl Tried {
    /// Takes an image through the recipe's exercise.
    pub fn new(overlaid: &Overlaid, image: Image, session: &Session) -> Self {
        let outcome = prove(overlaid, &image, session);
        Tried { image, outcome }
    }

    /// Returns the image with its proof.
    ///
    /// # Errors
    /// An app that does not run, or does not respond as the full root does; each difference is a warning.
    pub fn proven(self, subject: &Path, progress: &Progress) -> Result<Proven, LineError> {
        let Tried { image, outcome } = self;
        let proof = outcome?;
        warn_of(&proof, progress);
        for difference in &proof.differences {
            progress.warn(&format!("differs: {difference}"));
        }
        match proof.differences.len() {
            0 => Ok(Proven { image, proof: Box::new(proof) }),
            _ => Err(differs(&proof, subject)),
        }
    }

    /// Returns the image with its proof if nothing at all speaks against it, not even what was left out of a
    /// file; else a clause that says what does.
    pub fn without_fault(self) -> Result<Proven, String> {
        let Tried { image, outcome } = self;
        let proof = outcome.map_err(|error| clause(&error))?;
        let difference = proof.differences.first().map(|difference| format!("differs: {difference}"));
        match difference.or_else(|| proof.left_out.first().map(ToString::to_string)) {
            Some(fault) => Err(fault),
            None => Ok(Proven { image, proof: Box::new(proof) }),
        }
    }
}

/// Takes an image through the recipe's exercise and compares its responses with the full root's. Differences
/// are part of the proof.
///
/// # Errors
/// An app that does not run, or an expectation of the exercise that does not hold.
pub fn prove(overlaid: &Overlaid, image: &Image, session: &Session) -> Result<Proof, LineError> {
    let recipe = &overlaid.sources.recipe;
    let owner = |path: &[u8]| overlaid.owner(path);
    let inputs = Inputs {
        tree: image.tree().clone(),
        recipe,
        authorities: Authority::all(recipe),
        pruned: image.lacks().clone(),
        owner: &owner,
        baseline: Some(Baseline {
            tree: Arc::new(baseline(overlaid, session)),
            reductions: image.reductions().clone(),
            known: None,
        }),
    };
    let proven = prove::prove(&inputs, &session.store, &session.progress);
    proven.map_err(|error| unproven(error.into(), &recipe.directory))
}

/// Returns the error of an app that could not be proven, with where to look further; `subject` is the recipe
/// folder or artifact.
pub fn unproven(error: LineError, subject: &Path) -> LineError {
    let lacks = error.misses().iter().any(|miss| !miss.is_write());
    let hint = error.hint().map(Cow::into_owned);
    let hint = hint.map(|hint| if lacks { format!("{hint}; {}", ask_why(subject)) } else { hint });
    error.with_hint(hint)
}

/// Returns the error of a pruned app that does not respond as the full root does; `subject` is the recipe
/// folder or artifact.
pub fn differs(proof: &Proof, subject: &Path) -> LineError {
    let remedies = "trace again, keep what is named above, or fold what changes by itself (`fold` of a step)";
    let hint = format!("{remedies}; {}", ask_why(subject));
    LineError::from(Fault::Differs(proof.differences.len())).with_hint(Some(hint))
}

fn ask_why(subject: &Path) -> String {
    format!("`tinyroot why {} PATH` says why a path was pruned", subject.display())
}

/// Warns of what the proof could not see, and of what it saw that no comparison shows.
pub fn warn_of(proof: &Proof, progress: &Progress) {
    proof.left_out.iter().for_each(|lost| progress.warn(&lost.to_string()));
    if let Some(why) = &proof.unseen {
        progress.warn(&evidence::unseen(why));
    }
}

/// Returns an error, its reason and what that names first on one line.
pub(super) fn clause(error: &dyn std::error::Error) -> String {
    let (text, reason) = (error.to_string(), error.source().map(ToString::to_string).unwrap_or_default());
    let reason = reason.lines().map(str::trim).filter(|line| !line.is_empty()).take(3);
    let parts: Vec<&str> =
        text.lines().take(1).chain(reason).map(|part| part.trim_end_matches(':')).collect();
    parts.join(": ")
}
