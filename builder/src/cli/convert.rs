//! `tinyroot convert`: a package in another format.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    Context, Failure, finish_json, formats, print, registry, signers::Signers, size_text, verify::with_file,
};
use crate::{
    artifact::{self, Format},
    formats::image_name::ImageName,
};

/// Write a package in another format, without a new build
///
/// The signature is kept, so no key is needed, and the bytes are those that `tinyroot build --format` gives.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot convert cgit.spk cgit.oci.tar              for podman load and docker load\n  \
    tinyroot convert cgit.spk cgit.oci                  an OCI image layout, as a directory\n  \
    tinyroot convert cgit.oci.tar cgit.spk              the same .spk again\n  \
    tinyroot convert cgit.spk image --format squashfs   where no name says the format\n  \
    tinyroot convert cgit.spk --push docker://registry.example.org/cgit:1\n  \
    tinyroot convert docker://registry.example.org/cgit:1 cgit.spk")]
pub struct Args {
    /// The package; - reads it from standard input, docker://HOST/NAME:TAG from a registry
    #[arg(value_name = "A")]
    from: PathBuf,
    /// The file to write, or the directory of an OCI layout
    #[arg(value_name = "B", required_unless_present = "push")]
    to: Option<PathBuf>,
    /// The format of B [default: by its name: .spk, .oci.tar, .oci, .squashfs, .erofs, .tar]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// Push it to a registry as an image, by the logins that podman and docker keep
    #[arg(long, value_name = "docker://HOST/NAME:TAG", value_parser = registry::image_name)]
    push: Option<ImageName>,
    #[command(flatten)]
    signers: Signers,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let format = match &args.to {
        Some(to) => Some(format_of(to, args.format)?),
        None => None,
    };
    let artifact = with_file(&args.from, context, args.signers.only(artifact::open))?;
    let (mut document, mut text) = (json!({ "app_id": artifact.app_id() }), String::new());
    if let (Some(to), Some(format)) = (&args.to, format) {
        let store = context.reading_store()?;
        let packed = artifact::convert(&artifact, format, to, &store, &context.progress)?;
        document["path"] = json!(packed.path);
        document["format"] = format.name().into();
        document["sha256"] = json!(packed.digest);
        document["size_bytes"] = packed.size_bytes.into();
        text = format!("wrote {}: {}\n", packed.path.display(), size_text(packed.size_bytes));
    }
    if let Some(image) = &args.push {
        let pushed = registry::push(&artifact, image, context)?;
        document["pushed"] = registry::pushed_json(&pushed);
        text += &registry::pushed_text(&pushed);
    }
    if context.global.json {
        finish_json(&document);
        return Ok(());
    }
    if !context.global.quiet {
        print(&text)?;
    }
    Ok(())
}

fn format_of(to: &Path, named: Option<Format>) -> Result<Format, Failure> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    named.or_else(|| Format::of_name(&name)).ok_or_else(|| {
        Failure::new(format!("the name of {} does not say its format", to.display()))
            .hint("name it, as in --format oci")
    })
}
