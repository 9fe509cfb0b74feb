//! From the full root of a recipe to its package, in one go.

use std::path::Path;

use super::{
    LineError, Session, fix,
    image::{Image, read_evidence},
    pack::{Finished, pack},
    proof::{Tried, Unproven},
    reductions,
    root::Overlaid,
};
use crate::{
    artifact::{Packed, Writer},
    formats::xz::Effort,
    progress::Unit,
    reduce::{Proposal, propose},
};

/// The options of a build besides packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Nothing is run: the package is unproven.
    NoProof,
    /// The image is proven.
    Prove {
        /// Whether what the app lacked goes into its recipe, and the image is made again, until nothing new
        /// is learnt.
        fix: bool,
        /// Whether proposals to reduce the image are tried, and go into the recipe if they prove.
        reduce: bool,
    },
}

/// A package, and all that it was made of.
pub struct Built {
    /// The full root; its recipe as it is now.
    pub overlaid: Overlaid,
    /// The packed artifact.
    pub finished: Finished,
    /// The package.
    pub packed: Packed,
    /// The further possible reductions.
    pub proposals: Vec<Proposal>,
}

/// Prunes, proves and packs.
///
/// # Errors
/// The first stage that fails; then there is no package.
pub fn build(
    mut overlaid: Overlaid,
    writer: &dyn Writer,
    output: &Path,
    care: Care,
    session: &Session,
) -> Result<Built, LineError> {
    let progress = &session.progress;
    let mut times = std::mem::take(&mut overlaid.sources.times);
    let used = read_evidence(&overlaid)?;
    let mut finished = loop {
        let image = times.measure("prune", || Image::of(&overlaid, &used, session))?;
        image.warnings().for_each(|warning| progress.warn(warning));
        let Care::Prove { fix, .. } = care else { break Finished::Unproven(Unproven::new(image)) };
        let tried = times.measure("prove", || Tried::new(&overlaid, image, session));
        if fix && fix::fix(&mut overlaid.sources.recipe, &tried.outcome, progress)? {
            continue;
        }
        break Finished::Proven(tried.proven(&overlaid.sources.recipe.directory, progress)?);
    };
    // Measuring takes longer than packing with little effort; who tries things out has no use for it yet.
    let is_wanted = session.effort != Effort::Fast || matches!(care, Care::Prove { reduce: true, .. });
    let mut proposals = times.measure("propose", || {
        if !is_wanted {
            return Vec::new();
        }
        let _task = progress.task("measuring what could be smaller", 0, Unit::Items);
        propose(finished.image().pruned(), &overlaid.sources.recipe, &used, &session.store)
    });
    finished = match (finished, care) {
        (Finished::Proven(proven), Care::Prove { reduce: true, .. }) => {
            let tried =
                || reductions::try_all(&mut overlaid, proven, std::mem::take(&mut proposals), &used, session);
            Finished::Proven(times.measure("reduce", tried)?)
        }
        (finished, _) => finished,
    };
    let _turn = session.turn("pack");
    let packed = times.measure("pack", || pack(&finished, &overlaid, writer, output, session))?;
    overlaid.sources.times = times;
    Ok(Built { overlaid, finished, packed, proposals })
}
