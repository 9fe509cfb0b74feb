//! `tinyroot inspect`: a package's contents and their sizes.

use std::path::PathBuf;

use crate::{
    artifact,
    cli::{Context, Failure, finish_json, print, verify::with_file},
    report::Contents,
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
    let artifact = with_file(&args.artifact, context, artifact::open)?;
    let report = Contents::of(&artifact, args.depth, &*context.reading_store()?);
    if context.global.json {
        finish_json(&report.json(args.files));
        return Ok(());
    }
    print(&if args.files { report.file_table() } else { report.text() })
}
