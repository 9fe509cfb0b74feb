//! Paths of an artifact that have the same contents.

use std::collections::HashMap;

use super::{Facts, FileFacts};
use crate::{digest::Digest, tree::TreePath};

/// Paths of equal contents.
pub(super) struct Alike {
    pub(super) paths: Vec<TreePath>,
    /// What each takes, the least first: as many of them as go are saved. In a format that looks far back, the
    /// first takes it all, and the others next to nothing; whichever goes, one of them still takes it all.
    pub(super) packed_bytes: Vec<u64>,
    pub(super) size_bytes: Vec<u64>,
}

impl Alike {
    /// Finds those of which there are several.
    pub(super) fn of(facts: &Facts) -> HashMap<Digest, Alike> {
        let mut all: HashMap<Digest, Vec<(&TreePath, &FileFacts)>> = HashMap::new();
        for (path, file) in &facts.files {
            if let Some(contents) = file.contents {
                all.entry(contents).or_default().push((path, file));
            }
        }
        all.retain(|_, files| files.len() > 1);
        let sorted = |files: &[(&TreePath, &FileFacts)], bytes: fn(&FileFacts) -> u64| {
            let mut out: Vec<u64> = files.iter().map(|(_, file)| bytes(file)).collect();
            out.sort_unstable();
            out
        };
        let alike = |(contents, files): (Digest, Vec<(&TreePath, &FileFacts)>)| {
            let alike = Alike {
                paths: files.iter().map(|(path, _)| (*path).clone()).collect(),
                packed_bytes: sorted(&files, |file| file.packed_bytes),
                size_bytes: sorted(&files, |file| file.size_bytes),
            };
            (contents, alike)
        };
        all.into_iter().map(alike).collect()
    }
}
