//! For each chosen package, the first requirement that brought it.

use std::collections::VecDeque;

use crate::resolve::{
    ResolveError,
    facts::{AllFacts, Need},
    universe::Id,
};

/// A step from a package to one that it brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The package that needs it; `None`: it was requested.
    pub by: Option<Id>,
    /// Such as `Depends: libfoo (>= 1) of bar`, `requested` or `Essential`.
    pub text: String,
}

/// Returns for each chosen package the shortest way to it from the request;
/// of equally short ways that which is written first. What only `Recommends` or `Suggests` hold
/// comes last.
///
/// # Errors
/// A stanza whose relations cannot be read.
pub(super) fn origins(
    facts: &AllFacts<'_, '_>,
    asked: &[(Id, &'static str)],
    chosen: &[bool],
) -> Result<Vec<Option<Origin>>, ResolveError> {
    let mut out: Vec<Option<Origin>> = vec![None; chosen.len()];
    let mut queue = VecDeque::new();
    for (id, text) in asked {
        if out[id.index()].is_none() {
            out[id.index()] = Some(Origin { by: None, text: (*text).into() });
            queue.push_back(*id);
        }
    }
    let mut rest = Vec::new();
    loop {
        while let Some(id) = queue.pop_front() {
            let facts_of = facts.of(id)?;
            for need in &facts_of.needs {
                // The first chosen one is the one that the group brought.
                let first = need.options.iter().find(|option| chosen[option.index()]);
                reach(facts, &mut out, &mut queue, id, need, first.copied());
            }
            rest.push(id);
        }
        // Left-overs: other members of groups, and packages that are only recommended.
        for id in std::mem::take(&mut rest) {
            let facts_of = facts.of(id)?;
            for need in facts_of.needs.iter().chain(&facts_of.wishes) {
                for option in need.options.iter().filter(|option| chosen[option.index()]) {
                    reach(facts, &mut out, &mut queue, id, need, Some(*option));
                }
            }
        }
        if queue.is_empty() {
            return Ok(out);
        }
    }
}

fn reach(
    facts: &AllFacts<'_, '_>,
    out: &mut [Option<Origin>],
    queue: &mut VecDeque<Id>,
    by: Id,
    need: &Need<'_>,
    option: Option<Id>,
) {
    let Some(option) = option.filter(|option| out[option.index()].is_none()) else { return };
    let text = format!("{}: {} of {}", need.field, need.text, facts.universe.package(by).name);
    out[option.index()] = Some(Origin { by: Some(by), text });
    queue.push_back(option);
}
