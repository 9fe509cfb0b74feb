//! dpkg's status and file lists, cut to what is there, for scanners. Digests of files that were reduced are
//! left out.

use std::collections::{BTreeMap, BTreeSet};

use super::{Inputs, PapersError};
use crate::{
    tree::{Tree, TreePath},
    unpack::UnpackedPackage,
};

const ADMIN: &str = "var/lib/dpkg";

/// Adds `status` and, for each package, `info/PACKAGE.list` and `.md5sums`.
pub(super) fn add(
    tree: &mut Tree,
    inputs: &Inputs<'_>,
    packages: &[&UnpackedPackage],
) -> Result<(), PapersError> {
    let mut owned: BTreeMap<&str, BTreeSet<&TreePath>> = BTreeMap::new();
    for (path, package) in &inputs.plan.packages {
        let there = tree.get(path.as_bytes()).is_some_and(|entry| !entry.kind.is_directory());
        if there && inputs.plan.keeps(path.as_bytes()) {
            owned.entry(package).or_default().insert(path);
        }
    }
    let mut status = String::new();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for package in packages {
        let name = &package.locked.name[..];
        status += &stanza(package);
        let stem = format!("{ADMIN}/info/{}", package.control.info_stem());
        let paths = owned.remove(name).unwrap_or_default();
        if let Some(digest) = package.control_files.get("md5sums") {
            let text = inputs.read(digest, || format!("the md5sums of {name}"))?;
            let as_shipped: BTreeSet<&TreePath> =
                paths.iter().filter(|path| !inputs.reductions.contains_key(**path)).copied().collect();
            let cut = cut_md5sums(&text, tree, &as_shipped);
            files.push((format!("{stem}.md5sums"), cut));
        }
        files.push((format!("{stem}.list"), list(&paths)));
    }
    for (path, bytes) in files {
        inputs.write(tree, &path, bytes)?;
    }
    inputs.write(tree, &format!("{ADMIN}/status"), status.into_bytes())
}

/// Returns a package's stanza as dpkg keeps it, with the first line of its description, and a
/// blank line.
fn stanza(package: &UnpackedPackage) -> String {
    let mut control = package.control.clone();
    if let Some(description) = control.get("Description") {
        let first = description.lines().next().unwrap_or_default().to_owned();
        control.set("Description", first);
    }
    let text = control.to_text();
    let (package_line, rest) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{package_line}\nStatus: install ok installed\n{rest}\n")
}

/// Returns the lines of an md5sums for some paths, each being as its package ships it.
fn cut_md5sums(text: &[u8], tree: &Tree, paths: &BTreeSet<&TreePath>) -> Vec<u8> {
    // `DIGEST  PATH`, the digest being 32 digits.
    let is_there = |line: &&[u8]| {
        let path = line.get(34..).unwrap_or_default();
        parent_resolved(path, tree).is_some_and(|path| paths.contains(&path))
    };
    let mut out = Vec::new();
    for line in text.split(|b| *b == b'\n').filter(is_there) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

/// Returns a path with the links of its directories followed: `bin/x` lies at `usr/bin/x`.
fn parent_resolved(path: &[u8], tree: &Tree) -> Option<TreePath> {
    let path = TreePath::new(path).ok()?;
    let parent = tree.resolve(path.parent_bytes()?, |_| {})?;
    parent.join(path.file_name()).ok()
}

/// Returns a file list: each path and the directories above it, as dpkg's `.list` files have them.
fn list(paths: &BTreeSet<&TreePath>) -> Vec<u8> {
    let mut all: BTreeSet<TreePath> = BTreeSet::new();
    for path in paths {
        all.insert((*path).clone());
        all.extend(path.ancestors());
    }
    let mut out = Vec::new();
    for path in all {
        out.push(b'/');
        out.extend_from_slice(if path.is_root() { b"." } else { path.as_bytes() });
        out.push(b'\n');
    }
    out
}
