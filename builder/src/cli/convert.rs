//! `tinyroot convert`: a package in another format.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    Context, Failure, finish_json, formats,
    key::KeyFile,
    print, registry,
    signers::Signers,
    signing::{NAMED, Named, key_at_hand},
    size_text,
    verify::signed_file,
};
use crate::{
    artifact::{self, Artifact, Format},
    formats::{image_name::ImageName, key_file::Key},
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
    /// Whose key signs the pushed image for cosign; - reads the key from standard input [default: the app's, if it
    /// is in TINYROOT_KEY or the keyring]
    #[arg(long, value_name = "APPID|-", value_parser = NAMED, requires = "push")]
    key: Option<Named>,
    #[command(flatten)]
    ring: KeyFile,
    #[command(flatten)]
    signers: Signers,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let format = match &args.to {
        Some(to) => Some(format_of(to, args.format)?),
        None => None,
    };
    let artifact = signed_file(&args.from, &args.signers, context, artifact::open)?;
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
        let key = signer(args, &artifact, context)?;
        let pushed = registry::push(&artifact, image, key.as_ref(), context)?;
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

/// Returns the app's key, to sign its image. Nobody else's would be looked for.
fn signer(args: &Args, artifact: &Artifact, context: &Context) -> Result<Option<Key>, Failure> {
    let app_id = artifact.app_id();
    match (key_at_hand(args.key, &app_id, &args.ring), args.key) {
        (Ok(key), _) if key.app_id() == app_id => Ok(Some(key)),
        (Ok(key), _) => {
            let text =
                format!("cannot sign the image with the key {}: its package is of {app_id}", key.app_id());
            Err(Failure::new(text).hint("name that one, or leave --key out"))
        }
        (Err(failure), Some(_)) => Err(failure),
        (Err(failure), None) => {
            let why = failure.to_string();
            let why = why.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            context.progress.warn(&format!("the image is pushed without a signature for cosign: {why}"));
            Ok(None)
        }
    }
}

fn format_of(to: &Path, named: Option<Format>) -> Result<Format, Failure> {
    if to.as_os_str() == "-" {
        return Err(Failure::wrong_value(
            "a package is not written to standard output",
            "name a file; one of this name is ./-, with --format",
        ));
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    named.or_else(|| Format::of_name(&name)).ok_or_else(|| {
        let text = format!("the name of {} does not say its format", to.display());
        Failure::wrong_value(&text, "name it, as in --format oci")
    })
}
