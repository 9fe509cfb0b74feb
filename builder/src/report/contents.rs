//! A package's contents and their sizes.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use super::package::{Statement, summary};
use crate::{
    artifact::{Artifact, Papers, sizes_by},
    progress::size_text,
    shown,
    store::Store,
    tree::{Entry, Kind, TreePath},
};

/// The contents of a package, by Debian package and by directory.
pub struct Contents<'a> {
    artifact: &'a Artifact,
    papers: Papers,
    proof: Option<Statement>,
    by_package: Sizes,
    by_directory: Sizes,
}

impl<'a> Contents<'a> {
    /// Sums up a package; directories are told apart down to `depth`.
    pub fn of(artifact: &'a Artifact, depth: usize, store: &Store) -> Self {
        let papers = Papers::read(&artifact.tree, store);
        let directory = |path: &TreePath| {
            let parent = path.parent().unwrap_or_default().to_string();
            let shown: Vec<&str> = parent.split('/').take(depth.max(1)).collect();
            format!("/{}", shown.join("/"))
        };
        Contents {
            artifact,
            proof: Statement::read(artifact, store),
            by_package: largest_first(sizes_by(&artifact.tree, |path| papers.heading(path))),
            by_directory: largest_first(sizes_by(&artifact.tree, directory)),
            papers,
        }
    }

    /// Returns the paths of the package, without its root.
    fn paths(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.artifact.tree.iter().filter(|(path, _)| !path.is_root())
    }

    /// Returns one JSON document, with each path if `files`.
    pub fn json(&self, files: bool) -> Value {
        let Contents { artifact, papers, proof, by_package, by_directory } = self;
        let mut document = summary(artifact);
        let package = |(name, (size_bytes, files)): &(String, (u64, u64))| json!({"version": papers.version(name), "name": name, "size_bytes": size_bytes, "files": files});
        let directory = |(path, (size_bytes, files)): &(String, (u64, u64))| json!({"path": path, "size_bytes": size_bytes, "files": files});
        document["packages"] = by_package.iter().map(package).collect();
        document["directories"] = by_directory.iter().map(directory).collect();
        let reduced = |(path, left): (&TreePath, &str)| json!({"path": path.to_string(), "left": left});
        document["proof"] = json!(proof.as_ref().map(Statement::document));
        document["reduced"] = papers.reduced().map(reduced).collect();
        if files {
            let file = |(path, entry): (&TreePath, &Entry)| {
                let (kind, target) = match &entry.kind {
                    Kind::Directory => ("directory", None),
                    Kind::Symlink { target } => ("symlink", Some(target.escape_ascii().to_string())),
                    _ => ("file", None),
                };
                json!({
                    "path": path.to_string(),
                    "kind": kind,
                    "mode": format!("{:04o}", entry.mode),
                    "mtime_s": entry.mtime_s,
                    "size_bytes": entry.kind.content().map(|(_, size_bytes)| size_bytes),
                    "sha256": entry.kind.content().map(|(digest, _)| digest),
                    "target": target,
                    "package": papers.owner(path.as_bytes()),
                })
            };
            document["files"] = self.paths().map(file).collect();
        }
        document
    }

    /// Returns the sums for reading.
    pub fn text(&self) -> String {
        let Contents { artifact, papers, proof, by_package, by_directory } = self;
        let mut out = format!("{} {}\n", shown::name(artifact.title()), shown::name(artifact.version()));
        let _ = writeln!(out, "app id   {}", artifact.app_id());
        let contents = size_text(artifact.tree.size_bytes());
        let _ = writeln!(out, "size     {}, contents {contents}", size_text(artifact.size_bytes));
        let _ = writeln!(
            out,
            "proof    {}",
            proof.as_ref().map_or_else(|| "unknown".to_owned(), Statement::text)
        );
        for (title, sizes) in [("by package", by_package), ("by directory", by_directory)] {
            let _ = writeln!(out, "\n{title}");
            for (name, (bytes, files)) in sizes {
                let version = papers.version(name).map(|v| format!(" {v}")).unwrap_or_default();
                let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
                let _ = writeln!(out, "{:>10}  {name}{version} ({files})", size_text(*bytes));
            }
        }
        if papers.reduced().next().is_some() {
            let _ = writeln!(out, "\nreduced");
        }
        // Python's sources, of which the same is left, are hundreds.
        let mut by_text: BTreeMap<&str, Vec<&TreePath>> = BTreeMap::new();
        papers.reduced().for_each(|(path, left)| by_text.entry(left).or_default().push(path));
        for (path, left) in papers.reduced() {
            match &by_text[left][..] {
                [_] => writeln!(out, "  /{path}: {left}"),
                [first, others @ ..] if *first == path => {
                    writeln!(out, "  /{path} and {} more: {left}", others.len())
                }
                _ => Ok(()),
            }
            .expect("writing to a string");
        }
        out
    }

    /// Returns each path with its size and package.
    pub fn file_table(&self) -> String {
        let papers = &self.papers;
        let mut out = String::new();
        for (path, entry) in self.paths() {
            let size = entry.kind.content().map(|(_, bytes)| bytes.to_string()).unwrap_or_else(|| "-".into());
            let _ = writeln!(out, "{size:>10}  {}  /{path}", papers.owner(path.as_bytes()).unwrap_or("-"));
        }
        out
    }
}

type Sizes = Vec<(String, (u64, u64))>;

/// Sorts sums, the largest first.
fn largest_first(sums: BTreeMap<String, (u64, u64)>) -> Sizes {
    let mut sums: Sizes = sums.into_iter().collect();
    sums.sort_by_key(|(_, (bytes, _))| std::cmp::Reverse(*bytes));
    sums
}
