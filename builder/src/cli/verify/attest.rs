//! `tinyroot verify --attest` and `--attestation`: the signed word of those who made a package again.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    artifact::Artifact,
    atomic,
    attestation::{self, Statement},
    cli::{Context, Failure, print, secret::APP_ID},
    error::At as _,
    files,
    formats::{app_id::AppId, dsse, key_file::Key},
    line::Rebuilt,
    report::RebuildReport,
};

/// Options about attestations of others.
#[derive(Debug, clap::Args)]
pub struct Attestations {
    /// A statement of somebody who made the package again, as --attest writes it; several can be given
    #[arg(long, value_name = "FILE")]
    attestation: Vec<PathBuf>,
    /// The key of a rebuilder whom you trust; several can be given, others do not count
    #[arg(long, value_name = "KEYID", value_parser = APP_ID, requires = "attestation")]
    rebuilder: Vec<AppId>,
    /// How many of these rebuilders must attest the package
    #[arg(long, value_name = "N", requires = "attestation", default_value = "1")]
    threshold: NonZeroUsize,
}

/// Counts the rebuilders that attest a package, if attestations are given.
pub(super) fn check(
    args: &Attestations,
    artifact: &Artifact,
    document: &mut Value,
    context: &Context,
) -> Result<(), Failure> {
    if args.attestation.is_empty() {
        return Ok(());
    }
    let files = args.attestation.iter().map(|path| Ok((path.clone(), read(path)?)));
    let files: Vec<(PathBuf, Vec<u8>)> = files.collect::<Result<_, Failure>>()?;
    let trusted: BTreeSet<AppId> = args.rebuilder.iter().copied().collect();
    let threshold = args.threshold.get();
    let found = attestation::count(&files, &artifact.digest, &trusted, threshold)?;
    document["attestations"] = json!({ "threshold": threshold, "attested_by": found });
    if !context.global.json {
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        print(&format!("attested by {}\n", names.join("\n            ")))?;
    }
    Ok(())
}

/// Reads a file, but no more of it than an attestation can have.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = files::open(path)?;
    file.take(dsse::MAX_BYTES + 1).read_to_end(&mut bytes).at("read", path)?;
    Ok(bytes)
}

/// Writes the statement that a rebuild gave the same bytes.
pub(super) fn write(
    file: &Path,
    key: &Key,
    artifact: &Artifact,
    rebuilt: &Rebuilt,
    context: &Context,
) -> Result<(), Failure> {
    let name = artifact.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let statement = Statement {
        name: &name.unwrap_or_default(),
        digest: artifact.digest,
        proof: RebuildReport(rebuilt).proof(),
        version: env!("CARGO_PKG_VERSION"),
        materials: &rebuilt.provenance.materials,
        host: &host(),
    };
    atomic::replace(file, &statement.sign(key)).at("write", file)?;
    if !context.global.json {
        print(&format!("attested    {}, signed by {}\n", file.display(), key.app_id()))?;
    }
    Ok(())
}

/// Returns the surroundings that a rebuild must not depend on, as far as they are known. The time is not
/// among them.
fn host() -> BTreeMap<&'static str, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = || variable("LC_ALL").or_else(|| variable("LANG")).unwrap_or_else(|| "C".into());
    let line = |path: &str| Some(files::read_to_string(path).ok()?.trim().to_owned());
    let umask = || {
        let status = files::read_to_string("/proc/self/status").ok()?;
        Some(status.lines().find_map(|line| line.strip_prefix("Umask:"))?.trim().to_owned())
    };
    let facts = [
        ("architecture", Some(std::env::consts::ARCH.to_owned())),
        ("cores", Some(std::thread::available_parallelism().map_or(1, usize::from).to_string())),
        ("kernel", line("/proc/sys/kernel/osrelease")),
        ("locale", Some(locale())),
        ("umask", umask()),
        ("user", Some(rustix::process::geteuid().as_raw().to_string())),
        ("zone", Some(variable("TZ").unwrap_or_else(|| "default".into()))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
