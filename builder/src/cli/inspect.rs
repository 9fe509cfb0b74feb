//! `tinyroot inspect`: a package's contents and their sizes.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use serde_json::json;

use crate::{
    artifact::{self, Artifact, Papers, sizes_by},
    cli::verify::Proof,
    cli::{Context, Failure, finish_json, print, size_text, verify},
    shown,
    tree::{Kind, TreePath},
};

/// Show a package's contents by Debian package and directory, with their sizes
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The package; - reads it from standard input
    #[arg(value_name = "ARTIFACT")]
    artifact: PathBuf,
    /// List every path with its size and Debian package
    #[arg(long)]
    files: bool,
    /// How deep directories are shown
    #[arg(long, value_name = "N", default_value_t = 2)]
    depth: usize,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let artifact = verify::with_file(&args.artifact, context, artifact::open)?;
    let store = context.reading_store()?;
    let papers = Papers::read(&artifact.tree, &store);
    let proof = verify::proof_of(&artifact, &store);
    if context.global.json {
        let document = document(&artifact, &papers, proof.as_ref(), args);
        finish_json(&document);
    } else if args.files {
        print(&file_table(&artifact, &papers))?;
    } else {
        print(&overview(&artifact, &papers, proof.as_ref(), args))?;
    }
    Ok(())
}

type Sizes = Vec<(String, (u64, u64))>;

/// Sorts sums, the largest first.
fn largest_first(sums: BTreeMap<String, (u64, u64)>) -> Sizes {
    let mut sums: Sizes = sums.into_iter().collect();
    sums.sort_by_key(|(_, (bytes, _))| std::cmp::Reverse(*bytes));
    sums
}

fn by_package(artifact: &Artifact, papers: &Papers) -> Sizes {
    largest_first(sizes_by(&artifact.tree, |path| papers.heading(path)))
}

fn by_directory(artifact: &Artifact, depth: usize) -> Sizes {
    let directory = |path: &TreePath| {
        let parent = path.parent().unwrap_or_default().to_string();
        let shown: Vec<&str> = parent.split('/').take(depth.max(1)).collect();
        format!("/{}", shown.join("/"))
    };
    largest_first(sizes_by(&artifact.tree, directory))
}

fn document(artifact: &Artifact, papers: &Papers, proof: Option<&Proof>, args: &Args) -> serde_json::Value {
    let mut document = verify::summary(artifact);
    let package = |(name, (size_bytes, files)): (String, (u64, u64))| json!({"version": papers.version(&name), "name": name, "size_bytes": size_bytes, "files": files});
    let directory =
        |(path, (size_bytes, files))| json!({"path": path, "size_bytes": size_bytes, "files": files});
    document["packages"] = by_package(artifact, papers).into_iter().map(package).collect();
    document["directories"] = by_directory(artifact, args.depth).into_iter().map(directory).collect();
    let reduced = |(path, left): (&TreePath, &str)| json!({"path": path.to_string(), "left": left});
    document["proof"] = json!(proof.map(Proof::document));
    document["reduced"] = papers.reduced().map(reduced).collect();
    if args.files {
        let file = |(path, entry): (&TreePath, &crate::tree::Entry)| {
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
        document["files"] = artifact.tree.iter().filter(|(path, _)| !path.is_root()).map(file).collect();
    }
    document
}

fn overview(artifact: &Artifact, papers: &Papers, proof: Option<&Proof>, args: &Args) -> String {
    let mut out = format!("{} {}\n", shown::name(artifact.title()), shown::name(artifact.version()));
    let _ = writeln!(out, "app id   {}", artifact.app_id());
    let contents = size_text(artifact.tree.size_bytes());
    let _ = writeln!(out, "size     {}, contents {contents}", size_text(artifact.size_bytes));
    let _ = writeln!(out, "proof    {}", proof.map_or_else(|| "unknown".to_owned(), Proof::text));
    for (title, sizes) in
        [("by package", by_package(artifact, papers)), ("by directory", by_directory(artifact, args.depth))]
    {
        let _ = writeln!(out, "\n{title}");
        for (name, (bytes, files)) in sizes {
            let version = papers.version(&name).map(|v| format!(" {v}")).unwrap_or_default();
            let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
            let _ = writeln!(out, "{:>10}  {name}{version} ({files})", size_text(bytes));
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

fn file_table(artifact: &Artifact, papers: &Papers) -> String {
    let mut out = String::new();
    for (path, entry) in artifact.tree.iter().filter(|(path, _)| !path.is_root()) {
        let size = entry.kind.content().map(|(_, bytes)| bytes.to_string()).unwrap_or_else(|| "-".into());
        let _ = writeln!(out, "{size:>10}  {}  /{path}", papers.owner(path.as_bytes()).unwrap_or("-"));
    }
    out
}
