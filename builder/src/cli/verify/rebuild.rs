//! `tinyroot verify --rebuild`: whether a package comes out again from what it encloses.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use super::attest;
use crate::{
    artifact::Artifact,
    cli::{
        Context, Failure,
        key::KeyFile,
        print,
        signing::{NAMED, Named, only_key},
    },
    formats::key_file::Key,
    line::{Original, ProofWanted, Rebuilt, Session, rebuild},
    report::RebuildReport,
    store::Store,
};

/// Options of a rebuild.
#[derive(Debug, clap::Args)]
pub struct Rebuild {
    /// Make the package again from the recipe, lock and evidence in it, with nothing cached but downloads, and
    /// compare it byte by byte
    #[arg(long)]
    rebuild: bool,
    /// Take the paper of the proof as it stands; the app is not run again
    #[arg(long, requires = "rebuild")]
    no_proof: bool,
    /// Rebuild a package that another version of tinyroot made
    #[arg(long, requires = "rebuild")]
    any_version: bool,
    /// Write a signed statement that the same bytes came out: in-toto, in a DSSE envelope
    #[arg(long, value_name = "FILE", requires = "rebuild")]
    attest: Option<PathBuf>,
    /// Whose key signs the statement; - reads the key from standard input [default: TINYROOT_KEY, or the only
    /// key of the keyring]
    #[arg(long, value_name = "KEYID|-", value_parser = NAMED, requires = "attest")]
    key: Option<Named>,
    #[command(flatten)]
    ring: KeyFile,
}

impl Rebuild {
    /// Opens the cache that a rebuild works in, before anything is read.
    pub(super) fn prepare(&self, artifact: &Path, context: &Context) -> Result<(), Failure> {
        if !self.rebuild {
            return Ok(());
        }
        if artifact.as_os_str() == "-" {
            return Err(Failure::new("cannot rebuild what comes on standard input").hint("name a file"));
        }
        context.store().map(drop)
    }

    /// Returns what signs the statement that is wanted: before the long work.
    fn attester(&self) -> Result<Option<(&Path, Key)>, Failure> {
        let Some(path) = &self.attest else { return Ok(None) };
        Ok(Some((path, only_key(self.key, &self.ring)?)))
    }
}

/// Makes the package again if that is wanted, and reports.
pub(super) fn run(
    args: &Rebuild,
    artifact: &Artifact,
    store: &Arc<Store>,
    document: &mut Value,
    context: &Context,
) -> Result<(), Failure> {
    if !args.rebuild {
        return Ok(());
    }
    let attester = args.attester()?;
    let rebuilt = make(args, artifact, store, context)?;
    let report = RebuildReport(&rebuilt);
    document["rebuild"] = report.json();
    if !context.global.json {
        print(&report.text())?;
    }
    let path = artifact.path.display();
    match report.fault() {
        None => match attester {
            Some((file, key)) => attest::write(file, &key, artifact, &rebuilt, context),
            None => Ok(()),
        },
        Some(fault) => Err(Failure::new(format!("{path} is not what its recipe gives: {fault}"))),
    }
}

/// Makes the package in a place of its own, which is gone afterwards.
fn make(args: &Rebuild, artifact: &Artifact, store: &Store, context: &Context) -> Result<Rebuilt, Failure> {
    let proof = if args.no_proof { ProofWanted::Carry } else { ProofWanted::Repeat };
    let place = store.scratch("rebuild-")?;
    let session =
        Session { store: Arc::new(Store::open(&place.path().join("cache"))?), ..context.session()? };
    Ok(rebuild(Original { artifact, store }, proof, args.any_version, session)?)
}
