//! CycloneDX 1.6 as JSON.
//!
//! Source: the schema of version 1.6. Choices: the files of a package are components within it. What is whole,
//! partial or reduced stands in properties, and a pedigree notes that a reduced file is not its package's any
//! more. Packages of which nothing is there are properties of the artifact, as scanners report every component.
//! Two properties are Trivy's, which by them goes by the source package as Debian's advisories do.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};
use serde_json::{Value, json};

use super::{
    Lazily, Subject, hash,
    inventory::{File, Inventory, Package},
    timestamp,
};

/// A document, to be written.
pub(super) struct Document<'a> {
    /// Its fields but for its components.
    fields: Value,
    components: Vec<Component<'a>>,
    /// Files of no package.
    own: Vec<&'a File>,
}

/// A component with the files in it.
struct Component<'a> {
    fields: Value,
    files: Vec<&'a File>,
}

impl<'a> Document<'a> {
    /// Makes the document with a UUID that is its own.
    pub(super) fn of(subject: &Subject<'_>, inventory: &'a Inventory, identity: &str) -> Self {
        let mut files: Vec<Vec<&File>> = vec![Vec::new(); inventory.packages.len()];
        let mut own: Vec<&File> = Vec::new();
        for file in &inventory.files {
            file.package.and_then(|at| files.get_mut(at)).unwrap_or(&mut own).push(file);
        }
        let mut components: Vec<Component<'_>> =
            system(inventory).into_iter().map(|fields| Component { fields, files: Vec::new() }).collect();
        for (package, files) in inventory.packages.iter().zip(files) {
            components.push(Component { fields: component(package), files });
        }
        let application = format!("app:{}", inventory.name);
        let depends: Vec<&Value> = components.iter().map(|component| &component.fields["bom-ref"]).collect();
        let fields = json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": format!("urn:uuid:{identity}"),
            "version": 1,
            "metadata": {
                "timestamp": timestamp(inventory.time_s),
                "tools": { "components": [
                    { "type": "application", "name": "tinyroot", "version": env!("CARGO_PKG_VERSION") },
                ] },
                "component": about(subject, inventory, &application),
            },
            "dependencies": [ { "ref": &application, "dependsOn": depends } ],
        });
        Document { fields, components, own }
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.fields.as_object().into_iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("components", &Components(self))?;
        map.end()
    }
}

/// Packages, then files of none.
struct Components<'d>(&'d Document<'d>);

impl Serialize for Components<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        self.0.components.iter().try_for_each(|component| list.serialize_element(component))?;
        self.0.own.iter().try_for_each(|file| list.serialize_element(&file_component(file)))?;
        list.end()
    }
}

impl Serialize for Component<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.fields.as_object().into_iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        if !self.files.is_empty() {
            map.serialize_entry(
                "components",
                &Lazily(|| self.files.iter().map(|file| file_component(file))),
            )?;
        }
        map.end()
    }
}

/// Returns the artifact itself.
fn about(subject: &Subject<'_>, inventory: &Inventory, reference: &str) -> Value {
    let mut about = json!({
        "type": "application",
        "bom-ref": reference,
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
    about
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

fn component(package: &Package) -> Value {
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
