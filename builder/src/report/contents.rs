//! A package's contents and their sizes.

mod page;

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use super::{
    duplicates::Duplicates,
    package::{Statement, summary},
};
use crate::{
    artifact::{Artifact, Format, Papers, Prices, sizes_by},
    digest::Digest,
    formats::recipe_summary::{PackageSize, RecipeSummary},
    papers,
    progress::size_text,
    shown,
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

/// The contents of a package, by Debian package and by directory.
pub struct Contents<'a> {
    artifact: &'a Artifact,
    papers: Papers,
    proof: Option<Statement>,
    by_package: Sizes,
    by_directory: Sizes,
    duplicates: Duplicates,
    budget_bytes: Option<u64>,
    prices: Option<Prices>,
}

impl<'a> Contents<'a> {
    /// Sums up a package; directories are told apart down to `depth`. With prices, sums have compressed sizes
    /// too, and are sorted by these.
    pub fn of(artifact: &'a Artifact, prices: Option<Prices>, depth: usize, store: &Store) -> Self {
        let papers = Papers::read(&artifact.tree, store);
        let directory = |path: &TreePath| {
            let parent = path.parent().unwrap_or_default().to_string();
            let shown: Vec<&str> = parent.split('/').take(depth.max(1)).collect();
            format!("/{}", shown.join("/"))
        };
        Contents {
            artifact,
            proof: Statement::read(artifact, store),
            by_package: sums(&artifact.tree, prices.as_ref(), |path| papers.heading(path)),
            by_directory: sums(&artifact.tree, prices.as_ref(), directory),
            duplicates: Duplicates::of(&artifact.tree, prices.as_ref()),
            budget_bytes: papers::budget_bytes(&artifact.tree, store),
            papers,
            prices,
        }
    }

    /// Returns what is known of packages and owners.
    pub fn papers(&self) -> &Papers {
        &self.papers
    }

    /// Returns the paths of the package, without its root.
    fn paths(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.artifact.tree.iter().filter(|(path, _)| !path.is_root())
    }

    /// Returns one JSON document, with each path if `files`.
    pub fn json(&self, files: bool) -> Value {
        let Contents { artifact, papers, proof, by_package, by_directory, duplicates, budget_bytes, prices } =
            self;
        let mut document = summary(artifact);
        let package = |sum: &Sum| {
            json!({
                "version": papers.version(&sum.name),
                "name": sum.name,
                "size_bytes": sum.size_bytes,
                "packed_bytes": sum.packed_bytes,
                "files": sum.files,
            })
        };
        let directory = |sum: &Sum| {
            json!({
                "path": sum.name,
                "size_bytes": sum.size_bytes,
                "packed_bytes": sum.packed_bytes,
                "files": sum.files,
            })
        };
        document["packed"] = json!(prices.as_ref().map(|prices| {
            json!({
                "files_bytes": prices.files.values().sum::<u64>(),
                "metadata_bytes": prices.metadata_bytes,
                "container_bytes": prices.container_bytes,
            })
        }));
        document["packages"] = by_package.iter().map(package).collect();
        document["directories"] = by_directory.iter().map(directory).collect();
        document["duplicates"] = duplicates.json();
        document["budget_bytes"] = json!(budget_bytes);
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
                    "packed_bytes": prices.as_ref().and_then(|prices| prices.files.get(path)),
                    "sha256": entry.kind.content().map(|(digest, _)| digest),
                    "target": target,
                    "package": papers.owner(path.as_bytes()),
                })
            };
            document["files"] = self.paths().map(file).collect();
        }
        document
    }

    /// Returns the recipe's limit and how near it is.
    fn budget_text(&self) -> Option<String> {
        let (budget, size_bytes) = (self.budget_bytes?, self.artifact.size_bytes);
        if self.artifact.format() != Format::Spk {
            return Some(format!("{} for the .spk", size_text(budget)));
        }
        let rest = match budget.checked_sub(size_bytes) {
            Some(left) => format!("{} left", size_text(left)),
            None => format!("exceeded by {}", size_text(size_bytes - budget)),
        };
        Some(format!("{}, {rest}", size_text(budget)))
    }

    /// Returns what the package is, for reading.
    pub fn head(&self) -> String {
        let Contents { artifact, proof, .. } = self;
        let mut out = format!("{} {}\n", shown::name(artifact.title()), shown::name(artifact.version()));
        let _ = writeln!(out, "app id   {}", artifact.app_id());
        let contents = size_text(artifact.tree.size_bytes());
        let _ = writeln!(out, "size     {}, contents {contents}", size_text(artifact.size_bytes));
        if let Some(text) = self.budget_text() {
            let _ = writeln!(out, "budget   {text}");
        }
        let _ = writeln!(
            out,
            "proof    {}",
            proof.as_ref().map_or_else(|| "unknown".to_owned(), Statement::text)
        );
        out
    }

    /// Returns the sums as `build --record` keeps them; `folder` is the digest of the recipe's folder.
    pub fn recipe_summary(&self, folder: Digest) -> RecipeSummary {
        let Contents { artifact, papers, proof, by_package, prices, .. } = self;
        let mut summary = RecipeSummary::new(folder, env!("CARGO_PKG_VERSION"), artifact.format().name());
        summary.size_bytes = artifact.size_bytes;
        summary.installed_bytes = artifact.tree.size_bytes();
        summary.metadata_bytes = prices.as_ref().map(|prices| prices.metadata_bytes);
        summary.container_bytes = prices.as_ref().map(|prices| prices.container_bytes);
        summary.steps = proof.as_ref().and_then(Statement::steps);
        let size = |sum: &Sum| PackageSize {
            version: papers.version(&sum.name).map(str::to_owned),
            packed_bytes: sum.packed_bytes,
            installed_bytes: sum.size_bytes,
            files: sum.files,
        };
        summary.packages = by_package.iter().map(|sum| (sum.name.clone(), size(sum))).collect();
        summary
    }

    /// Returns the sums for reading.
    pub fn text(&self) -> String {
        let Contents { papers, by_package, by_directory, duplicates, prices, .. } = self;
        let mut out = self.head();
        let columns = if prices.is_some() { ", compressed and as they are" } else { "" };
        for (title, sums) in [("by package", by_package), ("by directory", by_directory)] {
            let _ = writeln!(out, "\n{title}{columns}");
            for Sum { name, size_bytes, packed_bytes, files } in sums {
                let version = papers.version(name).map(|v| format!(" {v}")).unwrap_or_default();
                let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
                let packed = packed_bytes.map(|bytes| format!("{:>10}", size_text(bytes)));
                let packed = packed.unwrap_or_default();
                let _ = writeln!(out, "{packed}{:>10}  {name}{version} ({files})", size_text(*size_bytes));
            }
        }
        if let Some(prices) = prices {
            let _ = writeln!(out, "\nbesides files, compressed");
            let _ = writeln!(out, "{:>10}  names, modes and the signature", size_text(prices.metadata_bytes));
            let _ = writeln!(out, "{:>10}  headers, checks and the index", size_text(prices.container_bytes));
        }
        out += &duplicates.text();
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

    /// Returns each path with its size and package, in bytes; with prices also what it takes compressed.
    pub fn file_table(&self) -> String {
        let Contents { papers, prices, .. } = self;
        let bytes = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        let head = |name: &str| prices.as_ref().map_or_else(String::new, |_| format!("{name:>10}  "));
        let mut out = format!("{}{:>10}  package  path\n", head("compressed"), "bytes");
        for (path, entry) in self.paths() {
            let size = bytes(entry.kind.content().map(|(_, bytes)| bytes));
            let packed = prices.as_ref().map(|prices| bytes(prices.files.get(path).copied()));
            let packed = packed.map_or_else(String::new, |packed| format!("{packed:>10}  "));
            let owner = papers.owner(path.as_bytes()).unwrap_or("-");
            let _ = writeln!(out, "{packed}{size:>10}  {owner}  /{path}");
        }
        out
    }
}

/// Sums, the largest first.
type Sizes = Vec<Sum>;

/// The files under one heading.
struct Sum {
    name: String,
    size_bytes: u64,
    packed_bytes: Option<u64>,
    files: u64,
}

/// Sums up files under the heading that each belongs to.
fn sums(tree: &Tree, prices: Option<&Prices>, heading: impl Fn(&TreePath) -> String) -> Sizes {
    let mut packed: BTreeMap<String, u64> = BTreeMap::new();
    for (path, bytes) in prices.iter().flat_map(|prices| &prices.files) {
        *packed.entry(heading(path)).or_default() += bytes;
    }
    let sum = |(name, (size_bytes, files)): (String, (u64, u64))| {
        let packed_bytes = prices.map(|_| packed.get(&name).copied().unwrap_or_default());
        Sum { name, size_bytes, packed_bytes, files }
    };
    let mut sums: Sizes = sizes_by(tree, &heading).into_iter().map(sum).collect();
    sums.sort_by_key(|sum| std::cmp::Reverse((sum.packed_bytes, sum.size_bytes)));
    sums
}
