//! What kept code imports by name: modules that no run has loaded so far.
//!
//! A run shows what its own pages load. Code that is kept names more, in functions and branches that no step reached, and
//! interpreters that list directories never ask for what is gone. So names in kept code are followed, at full depth, as long
//! as a bound allows; nearest first, since rounds of consequences go out from what is kept.

mod python;

pub(in crate::prune) use python::Roots as PythonRoots;

use std::collections::HashSet;

use super::{Answer, Case, Decision, Facts, Needs, State, first_answer};
use crate::{prune::PruneError, tree::TreePath};

/// Whether code goes on without what it imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// It stops at once.
    Sure,
    /// It stops when a function of it is called.
    Late,
    /// It does something else instead.
    Optional,
}

/// A file that is imported.
struct Imported {
    path: TreePath,
    need: Need,
}

/// What imports have kept so far.
#[derive(Default)]
pub(in crate::prune) struct Account {
    paths: HashSet<TreePath>,
    bytes: u64,
    is_full: bool,
}

/// Modules that kept code imports.
pub(super) fn imports(
    case: &Case<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    if facts.policy.imports_bytes == 0 || !case.is_file() {
        return Ok(());
    }
    let mut found = python::imported(case, facts, state)?;
    found.sort_by_key(|imported| imported.need);
    for Imported { path, need } in found {
        if !afford(&path, facts, &mut state.account) {
            continue;
        }
        let reason = match need {
            Need::Sure => "imported by",
            Need::Late => "imported in a function of",
            Need::Optional => "imported where it is there by",
        };
        needs.follow(path.as_bytes(), reason, facts);
    }
    Ok(())
}

/// Returns true if the bound has room for a file; what stays anyway takes none.
fn afford(path: &TreePath, facts: &Facts<'_>, account: &mut Account) -> bool {
    let Some(case) = facts.lookup(path.as_bytes()) else { return false };
    match first_answer(&case, facts) {
        (_, Answer::Keep(_)) => return true,
        (_, Answer::Forbid(_)) => return false,
        _ if account.paths.contains(path) => return true,
        _ => {}
    }
    let size_bytes = case.entry.kind.content().map_or(0, |(_, size_bytes)| size_bytes);
    if account.bytes + size_bytes > facts.policy.imports_bytes {
        if !std::mem::replace(&mut account.is_full, true) {
            facts.note(format!(
                "prune.imports: what code imports is more than {} kB; /{path} is the first file that is left out",
                facts.policy.imports_bytes / 1000
            ));
        }
        return false;
    }
    account.bytes += size_bytes;
    account.paths.insert(path.clone());
    true
}
