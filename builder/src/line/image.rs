//! From a root to one signed package: pruned, reduced, furnished, with its papers, proven and packed.

use std::{path::Path, sync::Arc};

use crate::{
    app,
    cli::{Context, Failure, build::Args},
    digest::Digest,
    evidence,
    formats::{key_file::Key, manifest::Manifest},
    line::{
        fix,
        proof::{differs, furnish_staged, prove_staged, prune_staged, read_used, unproven, warn_of},
        reductions,
        root::Staged,
    },
    lock::Lock,
    pack::{self, Artifact},
    papers::{self, Inputs, ProofPaper},
    progress::Unit,
    prove::{Proof, ProveError},
    prune::Pruned,
    recipe::{Recipe, Version},
    reduce::{Proposal, Reduced, propose},
    store::Store,
    tree::Tree,
};

/// A package, and all that it was made of.
pub(crate) struct Built {
    pub staged: Staged,
    pub pruned: Pruned,
    pub tree: Tree,
    pub proof: Option<Proof>,
    pub artifact: Artifact,
    /// What could be reduced as well.
    pub proposals: Vec<Proposal>,
}

/// What a recipe makes of its root.
pub(crate) struct Round {
    pub reduced: Reduced,
    pub tree: Tree,
    pub proof: Option<Proof>,
}

pub(crate) fn build(
    mut staged: Staged,
    manifest: &Manifest,
    key: &Key,
    output: &Path,
    args: &Args,
    store: &Arc<Store>,
    context: &Context,
) -> Result<Built, Failure> {
    let mut times = std::mem::take(&mut staged.times);
    let used = read_used(&staged)?;
    let mut round = loop {
        let (reduced, tree) = times.measure("prune", || {
            let _task = context.progress.task("pruning", 0, Unit::Items);
            let reduced = prune_staged(&staged, &used, store)?;
            let tree = finished_tree(&staged, &reduced, &used, store)?;
            Ok::<_, Failure>((reduced, tree))
        })?;
        reduced
            .pruned
            .plan
            .warnings
            .iter()
            .chain(&reduced.warnings)
            .for_each(|warning| context.progress.warn(warning));
        if args.no_proof {
            break Round { reduced, tree, proof: None };
        }
        let outcome =
            times.measure("prove", || prove_staged(&staged, tree.clone(), &reduced, store, context));
        if args.fix && fix::fix(&mut staged.recipe, &outcome, context)? {
            continue;
        }
        break Round { proof: Some(proven(outcome, &staged.recipe.directory, context)?), reduced, tree };
    };
    let mut proposals = times.measure("propose", || {
        let _task = context.progress.task("measuring what could be smaller", 0, Unit::Items);
        propose(&round.reduced.pruned, &staged.recipe, &used, store)
    });
    if args.reduce {
        round = times.measure("reduce", || {
            reductions::try_all(&mut staged, round, &mut proposals, &used, store, context)
        })?;
    }
    context.unaffected()?;
    let Round { reduced: Reduced { pruned, .. }, mut tree, proof } = round;
    let paper = ProofPaper {
        exercised: proof.is_some(),
        steps: proof.iter().flat_map(|_| staged.recipe.exercise.iter().map(evidence::step::words)).collect(),
        compared: proof.as_ref().is_some_and(|proof| proof.compared),
        tree: papers::digest_of(&tree),
        app_id: Some(key.app_id()),
    };
    papers::add_proof(&mut tree, &paper, staged.configured.epoch_s, store)?;
    let artifact =
        times.measure("pack", || pack::pack(&tree, store, manifest, key, output, &context.progress))?;
    staged.times = times;
    Ok(Built { staged, pruned, tree, proof, artifact, proposals })
}

/// Returns the proof, if it is one.
fn proven(outcome: Result<Proof, ProveError>, folder: &Path, context: &Context) -> Result<Proof, Failure> {
    let proof = outcome.map_err(|error| unproven(error, folder))?;
    warn_of(&proof, context);
    if proof.differences.is_empty() {
        return Ok(proof);
    }
    for difference in &proof.differences {
        context.progress.warn(&format!("differs: {difference}"));
    }
    Err(differs(&proof, folder))
}

/// Returns the tree as it is packed: pruned, furnished, with its papers.
pub(crate) fn finished_tree(
    staged: &Staged,
    reduced: &Reduced,
    used: &evidence::UsedList,
    store: &Store,
) -> Result<Tree, Failure> {
    let mut tree = furnish_staged(staged, &reduced.pruned.tree, used, store);
    let inputs = Inputs {
        recipe: &staged.recipe,
        lock: &staged.lock,
        unpacked: &staged.unpacked,
        stage: &staged.configured.tree,
        plan: &reduced.pruned.plan,
        reductions: &reduced.files,
        version: env!("CARGO_PKG_VERSION"),
        init: Digest::of(app::INIT),
        epoch_s: staged.configured.epoch_s,
        store,
    };
    papers::add(&mut tree, &inputs)?;
    Ok(tree)
}

pub(crate) fn manifest_of(recipe: &Recipe, lock: &Lock) -> Result<Manifest, Failure> {
    let app = &recipe.app;
    let version = match &app.version {
        Version::Literal(version) => version.clone(),
        Version::Npm(name) => recipe.version_of_npm(name).unwrap_or_default().to_owned(),
        Version::Deb(package) => match lock.get(package) {
            Some(locked) => locked.version.clone(),
            None => {
                let text = format!("the app's version is that of {package}, which is not in recipe.lock");
                return Err(Failure::new(text).hint("name one of its packages in `version`"));
            }
        },
    };
    Ok(Manifest::for_init(&app.title, &version, app.release, &app.noun))
}
