//! The bill of materials: CycloneDX 1.6, one component a package of Debian or npm of which anything is kept.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Inputs, KeptNpm, PapersError};
use crate::{
    digest::Digest,
    formats::copyright::licences,
    papers::{
        bill::{hash, timestamp, uuid},
        purl::{DebianPackage, Distribution, npm_purl},
        share::{Extent, Share},
    },
    recipe::Version,
    unpack::UnpackedPackage,
};

/// What a bill is made of.
pub(super) struct Bill<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) distribution: Distribution,
    /// The share of each package that is there, by name.
    pub(super) shares: BTreeMap<String, Share>,
}

impl Bill<'_> {
    /// Returns bom.json. The serial number is made of the digest of the rest.
    pub(super) fn text(
        &self,
        packages: &[&UnpackedPackage],
        npm: &[KeptNpm<'_>],
    ) -> Result<Vec<u8>, PapersError> {
        let inputs = self.inputs;
        let mut components: Vec<Value> = self.system().into_iter().collect();
        for package in packages {
            components.push(self.component(package)?);
        }
        components.extend(npm.iter().map(npm_component));
        let app = &inputs.recipe.app;
        let version = match &app.version {
            Version::Literal(text) => text.clone(),
            Version::Npm(name) => inputs.recipe.version_of_npm(name).unwrap_or_default().to_owned(),
            Version::Deb(name) => {
                inputs.lock.get(name).map_or(String::new(), |package| package.version.clone())
            }
        };
        let app_ref = format!("app:{}", app.name);
        let depends: Vec<&Value> = components.iter().map(|component| &component["bom-ref"]).collect();
        let mut bill = json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": "",
            "version": 1,
            "metadata": {
                "timestamp": timestamp(inputs.epoch_s),
                "tools": { "components": [
                    { "type": "application", "name": "tinyroot", "version": inputs.version },
                ] },
                "component": {
                    "type": "application", "bom-ref": &app_ref, "name": &app.name, "version": version,
                    "description": &app.title,
                },
            },
            "components": components,
            "dependencies": [ { "ref": &app_ref, "dependsOn": depends } ],
        });
        let digest = Digest::of(bill.to_string().as_bytes());
        bill["serialNumber"] = format!("urn:uuid:{}", uuid(&digest)).into();
        let mut text = serde_json::to_vec_pretty(&bill).expect("a value is printable");
        text.push(b'\n');
        Ok(text)
    }

    /// Returns the distribution, by whose advisories scanners go.
    fn system(&self) -> Option<Value> {
        let Distribution { id, version, codename } = &self.distribution;
        let version = version.as_ref().or(codename.as_ref()).map_or("", String::as_str);
        let system = json!({
            "type": "operating-system", "bom-ref": format!("os:{id}"), "name": id, "version": version,
        });
        (!id.is_empty()).then_some(system)
    }

    fn component(&self, package: &UnpackedPackage) -> Result<Value, PapersError> {
        let (inputs, locked) = (self.inputs, &package.locked);
        let (source, source_version) = package.control.source();
        let named = DebianPackage {
            name: &locked.name,
            version: &locked.version,
            architecture: &locked.architecture,
            suite: &locked.suite,
            source: Some((source, source_version)),
        };
        let purl = named.purl(&self.distribution, &inputs.lock.suite);
        let (mut files, mut size_bytes, mut pruned) = (0_u64, 0, 0_u64);
        for (path, owner) in &inputs.plan.packages {
            let Some(entry) =
                inputs.stage.get(path.as_bytes()).filter(|e| *owner == locked.name && !e.kind.is_directory())
            else {
                continue;
            };
            if inputs.plan.keeps(path.as_bytes()) {
                files += 1;
                size_bytes += entry.kind.content().map_or(0, |(_, size_bytes)| size_bytes);
            } else {
                pruned += 1;
            }
        }
        let extent = self.shares.get(&locked.name).map_or(Extent::Partial, Share::extent);
        let mut properties = vec![
            property("source", format!("{source} {source_version}")),
            property("extent", extent.word().to_owned()),
            property("files_kept", files.to_string()),
            property("files_pruned", pruned.to_string()),
            property("size_bytes", size_bytes.to_string()),
        ];
        let own = |path| inputs.plan.packages.get(path) == Some(&locked.name);
        for (path, reduction) in inputs.reductions.iter().filter(|(path, _)| own(*path)) {
            properties.push(property("reduced", format!("/{path}: {}", reduction.text)));
        }
        let mut component = json!({
            "type": "library",
            "bom-ref": &purl,
            "supplier": { "name": package.control.get("Maintainer").unwrap_or("unknown") },
            "name": &locked.name,
            "version": &locked.version,
            "hashes": [ hash(&locked.checksum) ],
            "purl": &purl,
            "properties": properties,
        });
        let copyright = inputs.read_at(format!("usr/share/doc/{}/copyright", locked.name).as_bytes())?;
        if let Some(licences) = copyright.and_then(|text| licences(&text)) {
            component["licenses"] =
                json!([{ "expression": licences.expression, "acknowledgement": "declared" }]);
        }
        Ok(component)
    }
}

/// Two copies of one package, in different places, are two components.
fn npm_component(kept: &KeptNpm<'_>) -> Value {
    let (path, locked) = (&kept.package.path, &kept.package.locked);
    let purl = npm_purl(&locked.name, &locked.version);
    let licences = locked.licence.iter().map(|licence| json!({ "license": { "name": licence } }));
    json!({
        "type": "library",
        "bom-ref": format!("{purl}#/{path}"),
        "name": &locked.name,
        "version": &locked.version,
        "hashes": [ hash(&locked.checksum) ],
        "licenses": licences.collect::<Vec<_>>(),
        "purl": purl,
        "properties": [
            property("path", format!("/{path}")),
            property("files_kept", kept.files.to_string()),
            property("files_pruned", kept.pruned.to_string()),
            property("size_bytes", kept.size_bytes.to_string()),
        ],
    })
}

fn property(name: &str, value: String) -> Value {
    json!({ "name": format!("tinyroot:{name}"), "value": value })
}
