//! `tinyroot check`: the pruned app through its exercise.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Context, Failure, print,
    proven::{differs, furnish_staged, prove_staged, prune_staged, read_used, warn_if_blind},
    staged::{hinted, stage},
};
use crate::{
    artifact,
    prove::{Inputs, Proof, prove},
    run::{enclosed_recipe, pruned_of},
    store::Store,
};

/// Run the pruned app through its exercise; name every pruned path it asks for
///
/// A recipe is pruned by its used.list, and its answers are compared with those of the whole root. An
/// artifact is run as it is, by the recipe that it encloses.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An .spk file that tinyroot made, or a recipe folder
    #[arg(value_name = "ARTIFACT|RECIPE")]
    subject: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    let is_recipe = args.subject.is_dir() || args.subject.ends_with("recipe.toml");
    let proof = match is_recipe {
        true => of_recipe(&args.subject, &store, context)?,
        false => of_artifact(&args.subject, &store, context)?,
    };
    warn_if_blind(&proof, context);
    print(&if context.global.json { json(&proof) } else { text(&proof) })?;
    match proof.differences.len() {
        0 => Ok(()),
        _ => Err(differs(&proof)),
    }
}

fn of_artifact(path: &Path, store: &Arc<Store>, context: &Context) -> Result<Proof, Failure> {
    let opened = artifact::open(path, store, &context.progress)?;
    let recipe = enclosed_recipe(&opened.tree, store)?;
    let pruned = Arc::new(pruned_of(&opened.tree, store));
    let inputs = Inputs { tree: Arc::new(opened.tree), recipe: &recipe, pruned, whole: None };
    prove(&inputs, store, &context.progress).map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        hinted(error, hint)
    })
}

fn of_recipe(path: &Path, store: &Arc<Store>, context: &Context) -> Result<Proof, Failure> {
    let staged = stage(path, context)?;
    let used = read_used(&staged)?;
    let pruned = prune_staged(&staged, &used, store)?.pruned;
    let tree = furnish_staged(&staged, &pruned.tree, &used, store);
    prove_staged(&staged, tree, &pruned, &used, store, context)
}

fn text(proof: &Proof) -> String {
    let mut text = String::new();
    for miss in &proof.misses {
        text += &format!("pruned: {miss}\n  to have it, add {}\n", miss.keep_line());
    }
    for difference in &proof.differences {
        text += &format!("differs: {difference}\n");
    }
    let compared = if proof.compared { "compared with the whole root" } else { "as the recipe expects" };
    let (steps, misses) = (proof.transcript.steps.len(), proof.misses.len());
    text + &format!("{steps} steps, {compared}; {misses} pruned paths asked for\n")
}

fn json(proof: &Proof) -> String {
    let misses = proof.misses.iter().map(|miss| {
        serde_json::json!({
            "path": format!("/{}", miss.path), "package": miss.package, "program": miss.program,
            "step": miss.step, "keep": miss.keep_line(),
        })
    });
    let differences = proof.differences.iter().map(|difference| {
        serde_json::json!({
            "step": difference.step, "what": difference.what, "difference": difference.clause,
            "lines": difference.lines,
        })
    });
    let document = serde_json::json!({
        "steps": proof.transcript.steps.len(),
        "compared": proof.compared,
        "misses": misses.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}
