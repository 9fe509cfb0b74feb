//! Licence texts of what is inside.

use std::collections::BTreeSet;

use super::{Inputs, KeptNpm, PapersError};
use crate::{
    tree::{Tree, TreePath},
    unpack::UnpackedPackage,
};

const COMMON: &str = "usr/share/common-licenses";

/// Adds `/usr/share/doc/PACKAGE/copyright` of each package, links on the way included (a package
/// may share the directory of another; Debian Policy 12.3 and 12.5), and the common licences that
/// these texts name.
pub(super) fn add(
    tree: &mut Tree,
    inputs: &Inputs<'_>,
    packages: &[&UnpackedPackage],
) -> Result<(), PapersError> {
    let mut common: BTreeSet<Vec<u8>> = BTreeSet::new();
    for package in packages {
        let name = &package.locked.name;
        let path = format!("usr/share/doc/{name}/copyright");
        let Some(digest) = take(tree, inputs, path.as_bytes()) else { continue };
        let text = inputs.read(&digest, || format!("the licence of {name}"))?;
        common.extend(named_licences(&text));
    }
    for name in common {
        take(tree, inputs, &[COMMON.as_bytes(), b"/", &name].concat());
    }
    Ok(())
}

/// How the names of licence texts of npm packages begin, in lower case.
const NPM_LICENCES: [&str; 4] = ["licence", "license", "copying", "notice"];

/// Adds the licence texts that lie at the top of each npm package.
pub(super) fn add_npm(tree: &mut Tree, inputs: &Inputs<'_>, packages: &[KeptNpm<'_>]) {
    for KeptNpm { package, .. } in packages {
        for (path, _) in inputs.stage.children(package.path.as_bytes()) {
            let name = String::from_utf8_lossy(path.file_name()).to_ascii_lowercase();
            if NPM_LICENCES.iter().any(|stem| name.starts_with(stem)) {
                take(tree, inputs, path.as_bytes());
            }
        }
    }
}

/// Copies a file of the stage, and the links that lead to it, into the tree; returns its contents.
fn take(tree: &mut Tree, inputs: &Inputs<'_>, path: &[u8]) -> Option<crate::digest::Digest> {
    let mut paths: Vec<TreePath> = Vec::new();
    let end = inputs.stage.resolve(path, |link| paths.push(link.clone()))?;
    let (digest, _) = inputs.stage.get(end.as_bytes())?.kind.content()?;
    paths.push(end);
    for path in paths {
        let Some(entry) = inputs.stage.get(path.as_bytes()) else { continue };
        let mut entry = entry.clone();
        (entry.uid, entry.gid) = (0, 0);
        entry.mtime_s = entry.mtime_s.min(inputs.epoch_s);
        if let crate::tree::Kind::File { hard_link, .. } = &mut entry.kind {
            *hard_link = None;
        }
        tree.insert(path, entry);
    }
    Some(digest)
}

/// Returns the names that a text refers to below `/usr/share/common-licenses`.
fn named_licences(text: &[u8]) -> Vec<Vec<u8>> {
    let marker = b"/usr/share/common-licenses/";
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(marker.len()).position(|window| window == marker) {
        rest = &rest[at + marker.len()..];
        let end = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || b"-.".contains(b)));
        let name = rest[..end.unwrap_or(rest.len())].trim_ascii_end();
        let name = name.strip_suffix(b".").unwrap_or(name);
        if !name.is_empty() && name != b"." {
            out.push(name.to_vec());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_common_licences_that_a_text_names() {
        let text = b"See /usr/share/common-licenses/GPL-2.\nor `/usr/share/common-licenses/LGPL-2.1', \
                     or in /usr/share/common-licenses/ alone, or /usr/share/common-licenses/BSD";
        assert_eq!(named_licences(text), [b"GPL-2".to_vec(), b"LGPL-2.1".to_vec(), b"BSD".to_vec()]);
    }
}
