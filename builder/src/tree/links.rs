//! Hard-link groups: keeping their form after a tree has been put together or cut.

use std::collections::BTreeMap;

use super::{Entry, Kind, Tree, TreePath};

impl Tree {
    /// Brings hard-link groups into their one form: the first path, in path order, has no
    /// `hard_link`, all others name it. To be called after paths were added, moved or removed.
    ///
    /// A `hard_link` that names nothing, or a file with other contents, means only "the same
    /// group as all that name it": the group is kept without that path.
    pub fn regroup_hard_links(&mut self) {
        let mut groups: BTreeMap<TreePath, Vec<TreePath>> = BTreeMap::new();
        for (path, entry) in self.iter() {
            let Kind::File { hard_link: Some(first), .. } = &entry.kind else { continue };
            groups.entry(self.group_of(first)).or_default().push(path.clone());
        }
        for (first, mut members) in groups {
            let content = self.get(members[0].as_bytes()).and_then(|e| e.kind.content());
            if self.get(first.as_bytes()).is_some_and(|e| e.kind.content() == content) {
                members.push(first);
            }
            members.sort();
            members.dedup();
            let first = members[0].clone();
            for path in members {
                let entry = self.get_mut(path.as_bytes()).expect("a member is in the tree");
                if let Kind::File { hard_link, .. } = &mut entry.kind {
                    *hard_link = (path != first).then(|| first.clone());
                }
            }
        }
    }

    /// Takes a path out of its hard-link group: if others name it as their first, the next one becomes that.
    pub fn leave_hard_link_group(&mut self, path: &TreePath) {
        let is_first =
            |entry: &Entry| matches!(&entry.kind, Kind::File { hard_link: Some(first), .. } if first == path);
        let others: Vec<TreePath> =
            self.iter().filter(|(_, e)| is_first(e)).map(|(p, _)| p.clone()).collect();
        for other in &others {
            if let Some(Kind::File { hard_link, .. }) = self.get_mut(other.as_bytes()).map(|e| &mut e.kind) {
                *hard_link = others.first().filter(|first| *first != other).cloned();
            }
        }
    }

    /// Follows `hard_link` from a path to the path that stands for the group, which may be missing.
    fn group_of(&self, path: &TreePath) -> TreePath {
        let mut at = path.clone();
        // A ring cannot be built by the readers here, but a text could hold one.
        for _ in 0..40 {
            match self.get(at.as_bytes()).map(|e| &e.kind) {
                Some(Kind::File { hard_link: Some(next), .. }) if *next != at => at = next.clone(),
                _ => break,
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn path(text: &str) -> TreePath {
        TreePath::new(text.as_bytes()).expect("a good path")
    }

    fn tree(lines: &[(&str, &[u8], Option<&str>)]) -> Tree {
        let entry = |bytes: &[u8], link: Option<&str>| {
            let mut entry = Entry::file(Digest::of(bytes), bytes.len() as u64, 0o644, 0);
            if let Kind::File { hard_link, .. } = &mut entry.kind {
                *hard_link = link.map(path);
            }
            entry
        };
        lines.iter().map(|(name, bytes, link)| (path(name), entry(bytes, *link))).collect()
    }

    #[test]
    fn the_first_path_stands_for_its_group() {
        let mut got =
            tree(&[("b", b"x", None), ("a", b"x", Some("b")), ("c", b"x", Some("a")), ("d", b"x", None)]);
        got.regroup_hard_links();
        assert_eq!(
            got,
            tree(&[("a", b"x", None), ("b", b"x", Some("a")), ("c", b"x", Some("a")), ("d", b"x", None)])
        );
    }

    #[test]
    fn a_group_outlives_its_first_path() {
        let mut gone = tree(&[("b", b"x", Some("a")), ("c", b"x", Some("a"))]);
        gone.regroup_hard_links();
        assert_eq!(gone, tree(&[("b", b"x", None), ("c", b"x", Some("b"))]));
        let mut other = tree(&[("a", b"new", None), ("b", b"x", Some("a"))]);
        other.regroup_hard_links();
        assert_eq!(other, tree(&[("a", b"new", None), ("b", b"x", None)]));
    }

    #[test]
    fn a_ring_ends() {
        let mut ring = tree(&[("a", b"x", Some("b")), ("b", b"x", Some("a"))]);
        ring.regroup_hard_links();
        assert_eq!(ring.len(), 2);
    }
}
