//! The bill of materials: CycloneDX 1.6, one component a package of Debian or npm of which anything is kept.

use serde_json::{Value, json};

use super::{Inputs, KeptNpm, npm_purl, purl, timestamp};
use crate::{digest::Digest, formats::checksum::Checksum, recipe::Version, unpack::UnpackedPackage};

/// Returns bom.json. The serial number is made of the digest of the rest.
pub(super) fn bill(inputs: &Inputs<'_>, packages: &[&UnpackedPackage], npm: &[KeptNpm<'_>]) -> Vec<u8> {
    let debian = packages.iter().map(|package| component(inputs, package));
    let components: Vec<Value> = debian.chain(npm.iter().map(npm_component)).collect();
    let app = &inputs.recipe.app;
    let version = match &app.version {
        Version::Literal(text) => text.clone(),
        Version::Npm(name) => inputs.recipe.version_of_npm(name).unwrap_or_default().to_owned(),
        Version::Deb(name) => inputs.lock.get(name).map_or(String::new(), |package| package.version.clone()),
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
    text
}

fn component(inputs: &Inputs<'_>, package: &UnpackedPackage) -> Value {
    let locked = &package.locked;
    let purl = purl(&locked.name, &locked.version, &locked.architecture, &inputs.lock.suite);
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
    let (source, source_version) = package.control.source();
    let mut properties = vec![
        property("source", format!("{source} {source_version}")),
        property("files_kept", files.to_string()),
        property("files_pruned", pruned.to_string()),
        property("size_bytes", size_bytes.to_string()),
    ];
    let own = |path| inputs.plan.packages.get(path) == Some(&locked.name);
    for (path, reduction) in inputs.reductions.iter().filter(|(path, _)| own(*path)) {
        properties.push(property("reduced", format!("/{path}: {}", reduction.text)));
    }
    json!({
        "type": "library",
        "bom-ref": &purl,
        "supplier": { "name": package.control.get("Maintainer").unwrap_or("unknown") },
        "name": &locked.name,
        "version": &locked.version,
        "hashes": [ hash(&locked.checksum) ],
        "purl": &purl,
        "properties": properties,
    })
}

fn hash(checksum: &Checksum) -> Value {
    let algorithm = match checksum {
        Checksum::Sha256(_) => "SHA-256",
        Checksum::Sha512(_) => "SHA-512",
    };
    json!({ "alg": algorithm, "content": checksum.hex() })
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

/// Returns a digest as a UUID of version 8 (RFC 9562, 5.8).
fn uuid(digest: &Digest) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.0[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
