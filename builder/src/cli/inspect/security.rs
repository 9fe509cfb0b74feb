//! `tinyroot inspect --security`: packages with a newer version in the security updates.

use super::Args;
use crate::{
    archive::Selection,
    artifact,
    cli::{Context, Failure, finish_json, print, verify::with_file},
    papers::{Stock, stock},
    report::Security,
};

/// Compares an artifact with the security updates as they are now. Mirrors are the user's, never those that an
/// artifact names: it may be anybody's.
pub(super) fn run(args: &Args, asked: &str, context: &Context) -> Result<(), Failure> {
    let session = context.session()?;
    let artifact = with_file(&args.artifact, context, artifact::open)?;
    let stock = stock(&artifact.tree, &session.store).map_err(|fault| {
        Failure::new(format!("cannot read the status of Debian packages in the artifact: {fault}"))
    })?;
    if stock.packages.is_empty() {
        return Err(Failure::new("the artifact names no Debian packages"));
    }
    let selection = Selection {
        suite: suite(asked, &stock)?,
        pockets: Vec::new(),
        components: stock.components.clone(),
        architecture: stock.architecture.clone().unwrap_or_else(|| "amd64".to_owned()),
    };
    let archive = session.open(&selection)?;
    let security = Security::of(&stock, &selection.suite, archive.time_s, &archive.sources())
        .map_err(|fault| Failure::new(format!("cannot read the index of {}: {fault}", selection.suite)))?;
    match context.global.json {
        true => finish_json(&security.json()),
        false => print(&security.text())?,
    }
    match security.exceeded() {
        Some(text) => Err(Failure::exceeded(text).hint("build it again after `tinyroot lock`")),
        None => Ok(()),
    }
}

/// Returns the suite of the security updates: the one that is asked for, else that of the artifact's suite.
fn suite(asked: &str, stock: &Stock) -> Result<String, Failure> {
    if !asked.is_empty() {
        return Ok(asked.to_owned());
    }
    let hint = "name them with --security SUITE, such as bookworm-security";
    let Some(suite) = &stock.suite else {
        return Err(Failure::new("the artifact does not say which suite it is of").hint(hint));
    };
    let has_security = Selection::new(suite, "amd64").pockets.iter().any(|pocket| pocket == "security");
    match has_security {
        true => Ok(format!("{suite}-security")),
        false => Err(Failure::new(format!("{suite} has no security updates of its own")).hint(hint)),
    }
}
