//! `tinyroot diff`: what changed between two packages, in bytes.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use crate::{
    artifact,
    cli::{Context, Failure, finish_json, print, verify::with_file},
    diff::Limit,
    report::{Compared, SizeReport},
};

/// Compare two packages: sizes, versions, key, proof and budget
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot diff old.spk new.spk                               for reading\n  \
    tinyroot diff old.spk new.spk --format markdown             for a comment on a change\n  \
    tinyroot diff old.spk new.spk --format html > diff.html     treemaps in a browser\n  \
    tinyroot diff old.spk new.spk --fail-over 200k              exit with 3 if it grew by more\n  \
    curl -fsS URL/old.spk | tinyroot diff - new.spk --json      the older one from standard input")]
pub struct Args {
    /// The older package; - reads it from standard input, docker://HOST/NAME:TAG from a registry
    #[arg(value_name = "A")]
    before: PathBuf,
    /// The newer package; - reads it from standard input, docker://HOST/NAME:TAG from a registry
    #[arg(value_name = "B")]
    after: PathBuf,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit with 3 if B is larger than A by more than this: bytes (200k, 1.5 MB, 200 KiB) or a percentage
    /// (5%)
    #[arg(long, value_name = "LIMIT")]
    fail_over: Option<Limit>,
}

/// How the result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For reading
    Text,
    /// One document
    Json,
    /// For a comment on a change
    Markdown,
    /// One page for a browser, complete in itself, with treemaps
    Html,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if [&args.before, &args.after].iter().all(|path| path.as_os_str() == "-") {
        let failure = Failure::new("A and B cannot both come from standard input");
        return Err(failure.hint("write one of them to a file"));
    }
    let report = SizeReport::of(side(&args.before, context)?, side(&args.after, context)?, args.fail_over);
    match if context.global.json { Format::Json } else { args.format } {
        Format::Json => finish_json(&report.json()),
        Format::Text => print(&report.text())?,
        Format::Markdown => print(&report.markdown())?,
        Format::Html => print(&report.html())?,
    }
    report.excess().map_or(Ok(()), |text| Err(Failure::exceeded(text)))
}

/// Opens one of both, with what its files take in it.
fn side(path: &Path, context: &Context) -> Result<Compared, Failure> {
    // What comes from standard input is there only while it is opened.
    let prices = RefCell::new(None);
    let artifact = with_file(path, context, |path, store, progress| {
        let artifact = artifact::open(path, store, progress)?;
        prices.replace(artifact::prices(&artifact, store)?);
        Ok(artifact)
    })?;
    Ok(Compared::of(artifact, prices.take(), &*context.reading_store()?))
}
