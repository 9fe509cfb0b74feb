//! `tinyroot unpack`: a package as a directory.

use std::path::PathBuf;

use serde_json::json;

use crate::{
    artifact,
    cli::{Context, Failure, finish_json, signers::Signers, verify::signed_file},
    report,
};

/// Write a package's contents to a directory, after checking it as verify does
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The package; - reads it from standard input, docker://HOST/NAME:TAG from a registry
    #[arg(value_name = "ARTIFACT")]
    artifact: PathBuf,
    /// The directory, which must not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    signers: Signers,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.directory.symlink_metadata().is_ok() {
        return Err(artifact::ArtifactError::Exists(args.directory.clone()).into());
    }
    let artifact = signed_file(&args.artifact, &args.signers, context, artifact::open)?;
    artifact::unpack(&artifact, &*context.reading_store()?, &args.directory)?;
    if context.global.json {
        let mut document = report::summary(&artifact);
        document["directory"] = json!(args.directory);
        finish_json(&document);
    }
    Ok(())
}
