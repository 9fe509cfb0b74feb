//! `tinyroot verify`: whether a package holds and can be installed.

mod attest;
mod rebuild;

use std::{
    fs::File,
    io::{self, Read, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::PoisonError,
};

use serde_json::json;

use crate::{
    artifact::{self, Artifact, ArtifactError, Fault, Format, Signatures},
    cli::{Context, Failure, finish_json, print, registry, signers::Signers},
    error::PathError,
    formats::image_name::ImageName,
    papers,
    progress::Progress,
    report::Verified,
    shown,
    store::{self, Store},
};
use attest::Attestations;
use rebuild::Rebuild;

/// Check a package: signature, structure, everything that an install needs
///
/// Covers what Sandstorm's own verify and unpack check between them. The signature covers all of an .spk; of an
/// image it covers what tinyroot uses. With --signed-by only packages of those
/// keys are accepted, and of these only the very file that tinyroot writes: what other tools see of an image
/// besides the signed contents (owners, modes, the command that starts it, padding) is compared as well. With
/// --rebuild the package is made again from the recipe, lock and evidence in it, in a clean place, and must
/// come out with the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot verify wiki.spk                            check it\n  \
    tinyroot verify wiki.oci.tar --signed-by APPID      and refuse what this key did not sign\n  \
    tinyroot verify wiki.spk --rebuild                  make it again and compare\n  \
    tinyroot verify wiki.spk --rebuild --no-proof       the same where apps cannot be run\n  \
    tinyroot verify wiki.spk --rebuild --attest wiki.json --key KEYID\n                                                      \
    state in a signed file that the same bytes came out\n  \
    tinyroot verify wiki.spk --attestation a.json --attestation b.json \\\n      \
    --rebuilder KEYID --rebuilder KEYID --threshold 2   take the word of two whom you know\n\n\
    Exits with 1 if the package is refused, if its rebuild differs, or if too few attest it.")]
pub struct Args {
    /// The package; - reads it from standard input, docker://HOST/NAME:TAG from a registry
    #[arg(value_name = "ARTIFACT")]
    artifact: PathBuf,
    #[command(flatten)]
    rebuild: Rebuild,
    #[command(flatten)]
    attestations: Attestations,
    #[command(flatten)]
    signers: Signers,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    args.rebuild.prepare(&args.artifact, context)?;
    let artifact = with_file(&args.artifact, context, args.signers.only(artifact::verify))?;
    let store = context.reading_store()?;
    if args.signers.are_named() {
        refuse_strays(args, &artifact, &store, context)?;
    }
    let signatures = signatures(&args.artifact, &artifact, context)?;
    let report = Verified::of(&artifact, args.signers.are_named(), &store);
    let mut document = report.json();
    if let Some(found) = signatures {
        document["signatures"] = json!({ "own": found.own, "others": found.others });
    }
    if !context.global.json {
        print(&(report.text() + &signatures.map(signatures_text).unwrap_or_default()))?;
    }
    report.warnings().iter().for_each(|warning| context.progress.warn(warning));
    let attested = attest::check(&args.attestations, &artifact, &mut document, context);
    let done = attested.and_then(|()| rebuild::run(&args.rebuild, &artifact, &store, &mut document, context));
    if context.global.json {
        finish_json(&document);
    }
    done
}

fn signatures_text(found: Signatures) -> String {
    let own = if found.own > 0 { "by the same key, holds" } else { "none by this key" };
    let others = match found.others {
        0 => String::new(),
        others => format!("; {others} by others, not checked"),
    };
    format!("cosign      {own}{others}\n")
}

/// Refuses a package of another form than tinyroot writes.
fn refuse_strays(args: &Args, artifact: &Artifact, store: &Store, context: &Context) -> Result<(), Failure> {
    let (directory, _) = registry::temporary()?;
    let Some(found) = artifact::deviation(artifact, directory.path(), store, &context.progress)? else {
        return Ok(());
    };
    let what = match found.at {
        Some(at) => format!("from byte {at} on it is not the file"),
        None => "it is not what".into(),
    };
    let version = papers::provenance(&artifact.tree, store).map(|provenance| provenance.version);
    let by =
        version.map(|version| format!("; tinyroot {} made it", shown::name(&version))).unwrap_or_default();
    Err(Failure::new(format!(
        "{} is refused: {what} that tinyroot {} writes of the contents that are signed",
        args.artifact.display(),
        env!("CARGO_PKG_VERSION")
    ))
    .hint(format!("the contents hold: `tinyroot convert` writes them again as they are signed{by}")))
}

/// As [`with_file`], but of the keys alone that were named. Then signatures that refer to an image at a registry
/// and say that they are of its key must hold as well.
pub(super) fn signed_file(
    path: &Path,
    signers: &Signers,
    context: &Context,
    open: impl Fn(&Path, &Store, &Progress) -> Result<Artifact, ArtifactError>,
) -> Result<Artifact, Failure> {
    let artifact = with_file(path, context, signers.only(open))?;
    if signers.are_named() {
        signatures(path, &artifact, context)?;
    }
    Ok(artifact)
}

/// Checks the signatures that refer to an image at a registry; `None` for a package that is none.
fn signatures(path: &Path, artifact: &Artifact, context: &Context) -> Result<Option<Signatures>, Failure> {
    let name = path.to_str().filter(|path| ImageName::is_meant(path));
    name.map(|name| registry::signatures(name, artifact, context)).transpose()
}

/// Opens a package in the way that is given; `-` is standard input, kept in a file without a name until it is
/// open, and `docker://HOST/NAME:TAG` an image at a registry, which is kept until the command ends.
pub(super) fn with_file(
    path: &Path,
    context: &Context,
    open: impl Fn(&Path, &Store, &Progress) -> Result<Artifact, ArtifactError>,
) -> Result<Artifact, Failure> {
    let limit_bytes = |start: &[u8]| Format::of(start).map(Format::limit_bytes);
    let opened = with_any(path, context, limit_bytes, |place, name, store, progress| {
        open(place, store, progress).map_err(|error| if place == path { error } else { error.naming(name) })
    })?;
    Ok(opened?)
}

/// Has something opened that is a file, comes from standard input, or is at a registry. `open` is given where it
/// is and how it is named. `limit_bytes` says by its first bytes how long standard input may be; `None` if it is
/// not to be read at all.
pub(super) fn with_any<T>(
    path: &Path,
    context: &Context,
    limit_bytes: impl Fn(&[u8]) -> Option<u64>,
    open: impl FnOnce(&Path, &str, &Store, &Progress) -> T,
) -> Result<T, Failure> {
    let store = context.reading_store()?;
    if let Some(name) = path.to_str().filter(|path| ImageName::is_meant(path)) {
        let (made, layout) = registry::pull(name, context)?;
        let opened = open(&layout, name, &store, &context.progress);
        context.pulled.lock().unwrap_or_else(PoisonError::into_inner).push(made);
        return Ok(opened);
    }
    if path.as_os_str() != "-" {
        return Ok(open(path, &path.display().to_string(), &store, &context.progress));
    }
    let file = kept(&mut io::stdin().lock(), limit_bytes)?;
    let opened = open(&path_of(&file), STANDARD_INPUT, &store, &context.progress);
    context.kept.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    Ok(opened)
}

const STANDARD_INPUT: &str = "standard input";

/// Keeps what comes as a stream in a file without a name. What does not begin as it should, or does not end, is
/// not waited for.
fn kept(input: &mut impl Read, limit_bytes: impl Fn(&[u8]) -> Option<u64>) -> Result<File, Failure> {
    let refused = |source| ArtifactError::Refused { path: STANDARD_INPUT.into(), source };
    let unread = |source| ArtifactError::from(PathError::new("read", STANDARD_INPUT, source));
    let full = |source| {
        let path = std::env::temp_dir();
        let error = ArtifactError::from(PathError::new("keep standard input in", path, source));
        Failure::from(error).hint("name a directory with more room in TMPDIR")
    };
    let mut start = Vec::new();
    input.by_ref().take(Format::MAGIC_BYTES as u64).read_to_end(&mut start).map_err(unread)?;
    let Some(limit_bytes) = limit_bytes(&start) else { return Err(refused(Fault::Magic).into()) };
    let mut file = store::unnamed().map_err(full)?;
    let (mut size_bytes, mut buffer) = (0, start);
    loop {
        size_bytes += buffer.len() as u64;
        if size_bytes > limit_bytes {
            return Err(refused(Fault::TooLong { limit_bytes }).into());
        }
        file.write_all(&buffer).map_err(full)?;
        buffer.clear();
        if input.by_ref().take(1 << 16).read_to_end(&mut buffer).map_err(unread)? == 0 {
            return Ok(file);
        }
    }
}

/// Returns a path by which this process opens a file that has no name.
fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::spk;

    #[test]
    fn a_stream_is_kept_only_if_it_begins_as_a_package_and_ends() {
        let limit = |bytes: u64| move |start: &[u8]| Format::of(start).map(|_| bytes);
        let error = kept(&mut io::repeat(0), limit(u64::MAX)).expect_err("is no package");
        let text = "error: standard input is refused\n  cause: it does not begin as a package does: .spk, OCI layout, squashfs, EROFS or tar";
        assert_eq!(error.to_string(), text);
        let mut endless = spk::MAGIC.chain(io::repeat(0));
        let error = kept(&mut endless, limit(1 << 20)).expect_err("has no end").to_string();
        assert!(error.ends_with("it is longer than a package can be: 1048576 bytes"), "{error}");
        kept(&mut spk::MAGIC.chain(&[0; 8][..]), limit(15)).expect_err("is longer");
        let file = kept(&mut spk::MAGIC.chain(&[0; 8][..]), limit(16)).expect("fits");
        assert_eq!(file.metadata().expect("is there").len(), 16);
    }
}
