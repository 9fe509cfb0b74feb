//! Links: their targets, and other names of kept files.

use super::{Candidate, Decision, Facts, Needs, State, parent};
use crate::{
    prune::PruneError,
    tree::{Kind, TreePath},
};

/// A kept link keeps what it leads to and every link on the way.
pub(super) fn target(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    _: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    if let Kind::Symlink { .. } = candidate.entry.kind {
        needs.follow(candidate.bytes(), "on the way of the link", facts);
    }
    Ok(())
}

/// A program's other names in its own directory stay with it: they cost nothing, and programs
/// such as git call themselves by them.
pub(super) fn other_names(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    let program = candidate.is_file() && candidate.entry.mode & 0o111 != 0;
    let (true, Some(package)) = (program && candidate.contents_used(), candidate.package) else {
        return Ok(());
    };
    let Some(directory) = parent(candidate.bytes()) else { return Ok(()) };
    if !state.once("names", candidate.bytes()) {
        return Ok(());
    }
    for path in facts.by_package.get(package).into_iter().flatten() {
        if path.parent_bytes() != Some(directory) {
            continue;
        }
        let Some(Kind::Symlink { target }) = facts.tree.get(path.as_bytes()).map(|e| &e.kind) else {
            continue;
        };
        if !target.contains(&b'/') && same_directory(directory, target).as_ref() == Some(candidate.path) {
            needs.want(path, "another name of");
        }
    }
    Ok(())
}

fn same_directory(directory: &[u8], name: &[u8]) -> Option<TreePath> {
    TreePath::new(&[directory, b"/", name].concat()).ok()
}
