//! The names that directories of a view lack because they were pruned.

use std::collections::{HashMap, HashSet};

use super::{Name, NodeId, NodeType};
use crate::evidence::Pruned;

/// Pruned names by the directory that is there without them.
#[derive(Default)]
pub(super) struct Gone(HashMap<NodeId, Vec<(Vec<u8>, NodeType)>>);

impl Gone {
    /// Sorts what was pruned by directories; `names` are those of the view, in path order. What is below a
    /// directory that was pruned itself is in no listing.
    pub(super) fn new(pruned: &Pruned, names: &[Name]) -> Self {
        let parents: HashSet<&[u8]> =
            pruned.keys().filter_map(|path| path.in_tree().parent_bytes()).collect();
        let mut gone = Gone::default();
        for path in pruned.keys() {
            let parent = path.in_tree().parent_bytes().unwrap_or_default();
            let Ok(at) = names.binary_search_by(|name| name.path.as_bytes().cmp(parent)) else { continue };
            // Types of pruned paths are not kept; a path with others below it was a directory.
            let is_directory = parents.contains(path.as_bytes());
            let node_type = if is_directory { NodeType::Directory } else { NodeType::File };
            gone.0.entry(names[at].node).or_default().push((path.in_tree().file_name().to_vec(), node_type));
        }
        gone
    }

    /// Returns the pruned entries of a directory, by name.
    pub(super) fn names(&self, directory: NodeId) -> &[(Vec<u8>, NodeType)] {
        self.0.get(&directory).map(Vec::as_slice).unwrap_or_default()
    }
}
