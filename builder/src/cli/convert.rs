//! `tinyroot convert`: a package in another format.

use std::path::PathBuf;

use serde_json::json;

use super::{Context, Failure, finish_json, formats, print, size_text, verify::with_file};
use crate::artifact::{self, Format};

/// Write a package in another format, without a new build
///
/// The signature is kept, so no key is needed, and the bytes are those that `tinyroot build --format` gives.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot convert cgit.spk cgit.oci.tar              for podman load and docker load\n  \
    tinyroot convert cgit.spk cgit.oci                  an OCI image layout, as a directory\n  \
    tinyroot convert cgit.oci.tar cgit.spk              the same .spk again\n  \
    tinyroot convert cgit.spk image --format squashfs   where no name says the format")]
pub struct Args {
    /// The package; - reads it from standard input
    #[arg(value_name = "A")]
    from: PathBuf,
    /// The file to write, or the directory of an OCI layout
    #[arg(value_name = "B")]
    to: PathBuf,
    /// The format of B [default: by its name: .spk, .oci.tar, .oci, .squashfs, .erofs, .tar]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let name = args.to.file_name().unwrap_or_default().to_string_lossy();
    let Some(format) = args.format.or_else(|| Format::of_name(&name)) else {
        let text = format!("the name of {} does not say its format", args.to.display());
        return Err(Failure::new(text).hint("name it, as in --format oci"));
    };
    let artifact = with_file(&args.from, context, artifact::open)?;
    let packed =
        artifact::convert(&artifact, format, &args.to, &*context.reading_store()?, &context.progress)?;
    if context.global.json {
        finish_json(&json!({
            "path": packed.path,
            "format": format.name(),
            "sha256": packed.digest,
            "size_bytes": packed.size_bytes,
            "app_id": packed.app_id,
        }));
        return Ok(());
    }
    if !context.global.quiet {
        print(&format!("wrote {}: {}\n", packed.path.display(), size_text(packed.size_bytes)))?;
    }
    Ok(())
}
