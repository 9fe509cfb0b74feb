//! Where an artifact comes from: an in-toto statement with a SLSA provenance predicate, unsigned
//! by itself; the artifact's own signature covers it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Inputs;
use crate::{
    digest::Digest,
    formats::{suite::is_exact, xz::Effort},
    papers::{
        FAST,
        purl::{DebianPackage, Distribution, npm_purl},
    },
};

/// Returns provenance.json. Its subject is the text form of the tree without papers.
pub(super) fn statement(
    inputs: &Inputs<'_>,
    folder: &BTreeMap<String, Vec<u8>>,
    contents: Digest,
    distribution: &Distribution,
) -> Vec<u8> {
    let sha256 = |digest: &Digest| json!({ "sha256": digest.to_string() });
    let recipe: Vec<Value> = folder
        .iter()
        .map(|(name, bytes)| json!({ "name": name, "digest": sha256(&Digest::of(bytes)) }))
        .collect();
    let indexes = inputs.lock.indexes.iter().map(|index| {
        let name = match is_exact(&index.suite) {
            true => format!("{}Packages", index.suite),
            false => format!("{}/{}/binary-{}/Packages", index.suite, index.component, index.architecture),
        };
        json!({ "name": name, "digest": sha256(&index.digest) })
    });
    let packages = inputs.lock.packages.iter().map(|package| {
        let named = DebianPackage {
            name: &package.name,
            version: &package.version,
            architecture: &package.architecture,
            suite: &package.suite,
            source: None,
        };
        json!({
            "name": format!("{}_{}_{}.deb", package.name, package.version, package.architecture),
            "uri": named.purl(distribution, &inputs.lock.suite),
            "digest": &package.checksum,
        })
    });
    let npm = inputs.recipe.npm_packages().map(|package| {
        let locked = &package.locked;
        json!({
            "name": format!("{}-{}.tgz", locked.name, locked.version),
            "uri": npm_purl(&locked.name, &locked.version),
            "digest": { locked.checksum.algorithm(): locked.checksum.hex() },
        })
    });
    let materials: Vec<Value> = recipe.into_iter().chain(indexes).chain(packages).chain(npm).collect();
    let reductions = inputs.reductions.iter().map(|(path, reduction)| {
        let (before, after) = (sha256(&reduction.before), sha256(&reduction.after));
        json!({ "path": format!("/{path}"), "left": &reduction.text, "before": before, "after": after })
    });
    let reductions: Vec<Value> = reductions.collect();
    let mut parameters = json!({
        "recipe": &inputs.recipe.app.name,
        "suite": &inputs.lock.suite,
        "architecture": &inputs.lock.architecture,
        "archive_time_s": inputs.lock.time_s,
    });
    if inputs.effort == Effort::Fast {
        parameters["packing"] = FAST.into();
    }
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [ { "name": format!("{}.tree", inputs.recipe.app.name), "digest": sha256(&contents) } ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:tinyroot:build:1",
                "externalParameters": parameters,
                "internalParameters": { "init": sha256(&inputs.init), "reductions": reductions },
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": { "id": "urn:tinyroot", "version": { "tinyroot": inputs.version } },
            },
        },
    });
    let mut text = serde_json::to_vec_pretty(&statement).expect("a value is printable");
    text.push(b'\n');
    text
}
