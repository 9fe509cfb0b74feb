//! Two operands of different kinds, brought to what both can hold: what one of them cannot say is no
//! difference.

use super::{Operand, Taken};
use crate::artifact::normalise;

/// Leaves in two operands what both kinds hold. A package of ours has of modes only whether a file is a program,
/// and neither owners nor hard links; the times of a directory are those of its copy. Where one
/// says nothing of packages, the other's word is taken.
pub fn align(operands: [&mut Operand; 2]) {
    let [before, after] = operands;
    let is = |taken| (before.taken == taken, after.taken == taken);
    let directories = is(Taken::Directory);
    let packages = [before.taken, after.taken].map(|taken| taken == Taken::Package);
    if packages[0] != packages[1] {
        normalise(before.tree_mut());
        normalise(after.tree_mut());
    }
    before.papers.adopt_owners(&after.papers);
    after.papers.adopt_owners(&before.papers);
    if directories.0 || directories.1 {
        for operand in [before, after] {
            operand.tree_mut().iter_mut().for_each(|(_, entry)| entry.mtime_s = 0);
        }
    }
}
