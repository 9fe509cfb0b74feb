//! CycloneDX 1.6 as JSON.
//!
//! Source: the schema of version 1.6. Choices: the files of a package are components within it. What is whole,
//! partial or reduced stands in properties, and a pedigree notes that a reduced file is not its package's any
//! more. Packages of which nothing is there are properties of the artifact, as scanners report every component.
//! Two properties are Trivy's, which by them goes by the source package as Debian's advisories do.

use serde_json::{Value, json};

use super::{
    Subject, hash,
    inventory::{File, Inventory, Package},
    timestamp, uuid,
};
use crate::digest::Digest;

/// Returns the document.
pub(super) fn document(subject: &Subject<'_>, inventory: &Inventory) -> Value {
    let mut files: Vec<Vec<Value>> = vec![Vec::new(); inventory.packages.len()];
    let mut own: Vec<Value> = Vec::new();
    for file in &inventory.files {
        match file.package.and_then(|at| files.get_mut(at)) {
            Some(of_package) => of_package.push(file_component(file)),
            None => own.push(file_component(file)),
        }
    }
    let mut components: Vec<Value> = system(inventory).into_iter().collect();
    for (package, files) in inventory.packages.iter().zip(files) {
        components.push(component(package, files));
    }
    let application = format!("app:{}", inventory.name);
    let depends: Vec<Value> = components.iter().map(|component| component["bom-ref"].clone()).collect();
    components.extend(own);
    let mut about = json!({
        "type": "application",
        "bom-ref": &application,
        "name": &inventory.name,
        "version": subject.version,
        "description": subject.title,
    });
    if let Some(digest) = subject.digest {
        about["hashes"] = json!([{ "alg": "SHA-256", "content": digest.to_string() }]);
    }
    let absent = inventory.absent.iter().map(|purl| property("absent", purl.clone())).collect::<Vec<_>>();
    if !absent.is_empty() {
        about["properties"] = absent.into();
    }
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "timestamp": timestamp(inventory.time_s),
            "tools": { "components": [
                { "type": "application", "name": "tinyroot", "version": env!("CARGO_PKG_VERSION") },
            ] },
            "component": about,
        },
        "components": components,
        "dependencies": [ { "ref": &application, "dependsOn": depends } ],
    });
    let digest = Digest::of(document.to_string().as_bytes());
    document["serialNumber"] = format!("urn:uuid:{}", uuid(&digest)).into();
    document
}

fn property(name: &str, value: String) -> Value {
    json!({ "name": format!("tinyroot:{name}"), "value": value })
}

/// Returns the distribution, by whose advisories scanners go.
fn system(inventory: &Inventory) -> Option<Value> {
    let distribution = inventory.distribution.as_ref()?;
    let version = distribution.version.as_ref().or(distribution.codename.as_ref());
    Some(json!({
        "type": "operating-system",
        "bom-ref": format!("os:{}", distribution.id),
        "name": &distribution.id,
        "version": version.map_or("", String::as_str),
    }))
}

fn component(package: &Package, files: Vec<Value>) -> Value {
    let reference = match &package.place {
        // Two copies of one package, in different places, are two components.
        Some(place) => format!("{}#/{place}", package.purl),
        None => package.purl.clone(),
    };
    let mut out = json!({
        "type": "library",
        "bom-ref": reference,
        "name": &package.name,
        "version": &package.version,
        "purl": &package.purl,
    });
    let mut properties = Vec::new();
    if let Some(control) = &package.control {
        let (source, version) = control.source();
        if let Some(maintainer) = control.get("Maintainer") {
            out["supplier"] = json!({ "name": maintainer });
        }
        properties.push(property("source", format!("{source} {version}")));
        properties.push(json!({ "name": "aquasecurity:trivy:SrcName", "value": source }));
        properties.push(json!({ "name": "aquasecurity:trivy:SrcVersion", "value": version }));
    }
    if let Some(place) = &package.place {
        properties.push(property("path", format!("/{place}")));
    }
    if let Some(share) = &package.share {
        properties.push(property("extent", share.extent().word().to_owned()));
        properties.push(property("files_kept", share.kept.to_string()));
        let reduced = share.reduced.iter();
        properties.extend(reduced.map(|(path, left)| property("reduced", format!("/{path}: {left}"))));
    }
    out["properties"] = properties.into();
    if let Some(checksum) = &package.checksum {
        out["hashes"] = json!([hash(checksum)]);
    }
    if let Some(licences) = &package.licences {
        out["licenses"] = json!([{ "expression": &licences.expression, "acknowledgement": "declared" }]);
    }
    if !files.is_empty() {
        out["components"] = files.into();
    }
    out
}

fn file_component(file: &File) -> Value {
    let path = format!("/{}", file.path);
    let mut out = json!({
        "type": "file",
        "bom-ref": &path,
        "name": &path,
        "hashes": [
            { "alg": "SHA-1", "content": &file.sha1 },
            { "alg": "SHA-256", "content": file.sha256.to_string() },
        ],
        "properties": [ property("size_bytes", file.size_bytes.to_string()) ],
    });
    if let Some(left) = &file.left {
        out["pedigree"] = json!({ "notes": format!("reduced: {left}") });
    }
    out
}
