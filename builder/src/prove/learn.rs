//! The files that a failed run lacked beyond those that it opened.
//!
//! Two ways: the app's output names it, or a second run shows pruned names in listings, so that a program
//! that picks names from a listing asks for them. The second one changes what the app sees, so nothing is
//! compared with it; it is made only after a failure or a difference, and where a directory was listed that
//! lacks names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Inputs, Proof, ProveError, Run, misses_of};
use crate::{
    evidence::{Cause, Miss, Pruned, named, step},
    exercise::{Authority, Outcome, Transcript},
    grain::{GrainRoot, RootOptions},
    recipe::Step,
    tree::{Tree, TreePath},
};

/// How much of a response is searched: a message stands near its beginning, or the response is one.
const BODY_BYTES: usize = 1 << 20;

/// Names asked for in one directory from which on the question is whether a program walks through it.
const WALKED_NAMES: usize = 8;

/// Returns what the app's responses and log name, each path once. What a response names has its step.
pub(super) fn said(
    steps: &[Step],
    transcript: Option<&Transcript>,
    printed: &[Vec<u8>],
    pruned: &Pruned,
    tree: &Tree,
) -> Vec<Miss> {
    let mut out = Vec::new();
    for record in transcript.iter().flat_map(|transcript| &transcript.steps) {
        let bytes = match &record.outcome {
            Outcome::Responded(response) => &response.body[..],
            Outcome::Ran(ran) => &ran.output,
            Outcome::Streamed(text) => text,
            Outcome::Done => continue,
        };
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(BODY_BYTES)]);
        let step = record.step.checked_sub(1).and_then(|index| steps.get(index));
        let step = step.map(step::mark).unwrap_or_default();
        out.extend(named(&text, pruned, tree).into_iter().map(|miss| Miss { step: step.clone(), ..miss }));
    }
    let lines: Vec<_> = printed.iter().map(|line| String::from_utf8_lossy(line)).collect();
    out.extend(named(&lines.join("\n"), pruned, tree));
    let mut known = BTreeSet::new();
    out.retain(|miss| known.insert(miss.path.clone()));
    out
}

/// Adds to the error of a run what a run with pruned names in listings asks for.
pub(super) fn after_failure(
    mut error: ProveError,
    what: &Run<'_>,
    authority: &Authority,
    inputs: &Inputs<'_>,
) -> ProveError {
    if let ProveError::Grain { misses, .. } | ProveError::Exercise { misses, .. } = &mut error {
        let (listed, mut known): (Vec<Miss>, Vec<Miss>) = misses.iter().cloned().partition(Miss::is_listing);
        known.extend(where_shown(&known, &listed, what, authority, inputs));
        known.extend(listed);
        *misses = known;
    }
    error
}

/// Adds to a proof that shows a difference what a run with pruned names in listings asks for.
pub(super) fn after_difference(proof: &mut Proof, what: &Run<'_>, inputs: &Inputs<'_>) {
    let Some(authority) = inputs.authorities.first() else { return };
    let more = where_shown(&proof.misses, &proof.listed, what, authority, inputs);
    proof.misses.extend(more);
}

/// Runs the exercise where listings show what was pruned from them, and returns what is asked for there only.
fn where_shown(
    known: &[Miss],
    listed: &[Miss],
    what: &Run<'_>,
    authority: &Authority,
    inputs: &Inputs<'_>,
) -> Vec<Miss> {
    if listed.is_empty() {
        return Vec::new();
    }
    let root = RootOptions::default().with_pruned(inputs.pruned.clone()).show_pruned(true);
    // A directory that cannot be made now shows nothing about the app; the first run's error stands.
    let Ok(root) = GrainRoot::new(inputs.tree.clone(), what.store, root) else {
        return Vec::new();
    };
    let root = Arc::new(root);
    // How the exercise ends does not matter: at a name that fails an app may stop anywhere.
    let _ = what.exercise(&root, authority);
    let known: BTreeSet<&TreePath> = known.iter().map(|miss| &miss.path).collect();
    let asked = misses_of(&root)
        .into_iter()
        .filter(|miss| !miss.is_listing() && !miss.is_write() && !known.contains(&miss.path));
    not_walked(asked.map(|miss| Miss { cause: Cause::Shown, ..miss }).collect(), listed)
}

/// Leaves out what was asked for since a program looks at all that a directory lists: that says nothing of a
/// single name.
fn not_walked(asked: Vec<Miss>, listed: &[Miss]) -> Vec<Miss> {
    let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let parent = |miss: &Miss| miss.path.parent_bytes().unwrap_or_default().to_vec();
    for miss in &asked {
        *counts.entry(parent(miss)).or_default() += 1;
    }
    let pruned_names = |directory: &[u8]| {
        let listing = listed.iter().find(|miss| miss.path.as_bytes() == directory);
        match listing.map(|miss| &miss.cause) {
            Some(Cause::Listed(names)) => *names,
            _ => 0,
        }
    };
    let is_walked = |miss: &Miss| {
        let directory = parent(miss);
        let count = counts.get(&directory).copied().unwrap_or_default();
        count > WALKED_NAMES && count * 2 > pruned_names(&directory)
    };
    asked.iter().filter(|miss| !is_walked(miss)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::ImagePath;

    fn miss(at: &str, cause: Cause) -> Miss {
        Miss {
            cause,
            ..Miss::at(&ImagePath::in_image(TreePath::new(at.as_bytes()).expect("a good path")), None)
        }
    }

    #[test]
    fn a_directory_that_is_walked_through_says_nothing_of_its_names() {
        let asked = |directory: &str, count: usize| -> Vec<Miss> {
            (0..count).map(|index| miss(&format!("{directory}/{index}"), Cause::Shown)).collect()
        };
        let listed = [miss("walked", Cause::Listed(12)), miss("searched", Cause::Listed(400))];
        let all = [asked("walked", 10), asked("searched", 10), asked("few", 3)].concat();
        let left: BTreeSet<Vec<u8>> = not_walked(all, &listed)
            .iter()
            .map(|miss| miss.path.parent_bytes().unwrap_or_default().to_vec())
            .collect();
        assert_eq!(left, BTreeSet::from([b"few".to_vec(), b"searched".to_vec()]));
    }
}
