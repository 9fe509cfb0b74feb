//! Tries the possible reductions, and adds those that prove to the recipe.

use std::collections::VecDeque;

use super::{
    LineError, Session,
    error::Fault,
    image::Image,
    proof::{Proven, Tried, clause},
    root::Overlaid,
};
use crate::{
    atomic,
    error::At as _,
    evidence::UsedList,
    progress::size_text,
    recipe::{self, Recipe},
    reduce::{Change, Proposal},
};

/// Tries proposals one after the other on what is proven already; returns the last that is proven. Each that
/// proves is written into recipe.toml at once, and each that does not as well (`reduce.not`), so that no
/// build proposes it again. Of several libraries that do not prove together each is tried alone.
pub(super) fn try_all(
    overlaid: &mut Overlaid,
    mut best: Proven,
    proposals: Vec<Proposal>,
    used: &UsedList,
    session: &Session,
) -> Result<Proven, LineError> {
    let progress = &session.progress;
    let mut waiting: VecDeque<Proposal> = proposals.into();
    while let Some(proposal) = waiting.pop_front() {
        let line = proposal.change.line(&overlaid.sources.recipe);
        let path = overlaid.sources.recipe.directory.join("recipe.toml");
        let text = recipe::with_reduction(&overlaid.sources.recipe.text, &line);
        let changed = changed(&overlaid.sources.recipe, text)?;
        let before = std::mem::replace(&mut overlaid.sources.recipe, changed);
        match proven(overlaid, used, session)? {
            Ok(proven) => {
                write(&overlaid.sources.recipe)?;
                let saves = match &proposal.change {
                    Change::Stubs(names) if names.len() == 1 => String::new(),
                    _ => format!(", which saves {}", size_text(proposal.saves_bytes)),
                };
                progress.warn(&format!("{}: added [reduce] {line}{saves}", path.display()));
                best = proven;
            }
            Err(reason) => {
                overlaid.sources.recipe = before;
                if let Change::Stubs(names) = &proposal.change
                    && names.len() > 1
                {
                    let alone = |name: &String| Proposal {
                        change: Change::Stubs(vec![name.clone()]),
                        ..proposal.clone()
                    };
                    names.iter().rev().for_each(|name| waiting.push_front(alone(name)));
                    continue;
                }
                let names = proposal.change.names();
                let Recipe { text, reduce, .. } = &overlaid.sources.recipe;
                let text = recipe::without_reduction(text, &names, &reason, &reduce.not);
                overlaid.sources.recipe = self::changed(&overlaid.sources.recipe, text)?;
                write(&overlaid.sources.recipe)?;
                let noted = format!("{}: [reduce] not = [\"{}\"]", path.display(), names.join("\", \""));
                progress.warn(&format!("[reduce] {line} is not added, as {noted} says now: {reason}"));
                best.image = best.image.with_papers_anew(overlaid, used, session)?;
            }
        }
    }
    Ok(best)
}

fn changed(recipe: &Recipe, text: Option<String>) -> Result<Recipe, LineError> {
    let text = text.ok_or_else(|| Fault::NotEdited(recipe.directory.join("recipe.toml")))?;
    Ok(recipe::read_text(&recipe.directory, text)?)
}

fn write(recipe: &Recipe) -> Result<(), LineError> {
    let path = recipe.directory.join("recipe.toml");
    let written = atomic::replace(&path, recipe.text.as_bytes());
    Ok(written.at("write", path)?)
}

/// Prunes, reduces and proves once more; `Err` holds a clause that says why it does not do.
fn proven(
    overlaid: &Overlaid,
    used: &UsedList,
    session: &Session,
) -> Result<Result<Proven, String>, LineError> {
    match Image::of(overlaid, used, session) {
        Ok(image) => Ok(Tried::new(overlaid, image, session).without_fault()),
        Err(error) if matches!(error.fault(), Fault::Prune(_) | Fault::Reduce(_)) => Ok(Err(clause(&error))),
        Err(error) => Err(error),
    }
}
