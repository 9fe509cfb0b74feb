//! SPDX 2.3 as JSON.
//!
//! Source: the specification 2.3. Choices where it leaves room:
//! - The artifact is one package that contains the Debian and npm packages, and each of these its files.
//! - A partial package is analysed, too. Its verification code is made over the files that are as the package ships
//!   them, as clause 7.9 has it: paths that were pruned and files that were reduced are its excluded files. A
//!   reduced file is listed with its own digests, and an annotation says what is left of it.
//! - A package of which nothing is there is no package of the document, lest a scanner report it. An annotation of
//!   the artifact names it.
//! - Names of elements begin as Trivy reads their kinds by: `Application`, `OperatingSystem`, `Package`, `File`;
//!   `sourceInfo` names the source package as it does.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::{
    Lazily, Subject,
    inventory::{File, Inventory, Package, hex},
    timestamp,
};
use crate::{
    formats::{checksum::Checksum, copyright::Extracted},
    papers::share::Extent,
};

const APPLICATION: &str = "SPDXRef-Application";
const SYSTEM: &str = "SPDXRef-OperatingSystem";
const TOOL: &str = concat!("Tool: tinyroot-", env!("CARGO_PKG_VERSION"));

/// A document, to be written.
pub(super) struct Document<'a> {
    inventory: &'a Inventory,
    /// Its fields but for those that have every file.
    fields: Value,
    /// The files of each package, and of none.
    by_package: BTreeMap<Option<usize>, Vec<(usize, &'a File)>>,
    has_system: bool,
}

impl<'a> Document<'a> {
    /// Makes the document with a UUID that is its own.
    pub(super) fn of(subject: &Subject<'_>, inventory: &'a Inventory, identity: &str) -> Self {
        let mut by_package: BTreeMap<Option<usize>, Vec<(usize, &File)>> = BTreeMap::new();
        for (at, file) in inventory.files.iter().enumerate() {
            by_package.entry(file.package).or_default().push((at, file));
        }
        let system = system(inventory);
        let has_system = system.is_some();
        let mut packages = vec![application(subject, inventory)];
        packages.extend(system);
        for (at, package) in inventory.packages.iter().enumerate() {
            let files = by_package.get(&Some(at)).map_or(&[][..], Vec::as_slice);
            packages.push(debian_or_npm(&package_id(at, package), package, files, inventory.time_s));
        }
        let mut fields = json!({
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": &inventory.name,
            "documentNamespace": format!("https://spdx.org/spdxdocs/{}-{identity}", plain(&inventory.name)),
            "creationInfo": { "created": timestamp(inventory.time_s), "creators": [TOOL] },
            "packages": packages,
        });
        let extracted = extracted(inventory);
        if !extracted.is_empty() {
            fields["hasExtractedLicensingInfos"] = extracted.into();
        }
        Document { inventory, fields, by_package, has_system }
    }

    /// Returns what contains what: the artifact its packages and the files of none, packages their files.
    fn relationships(&self) -> impl Iterator<Item = Value> {
        let described = [relationship("SPDXRef-DOCUMENT", "DESCRIBES", APPLICATION)];
        let system = self.has_system.then(|| relationship(APPLICATION, "CONTAINS", SYSTEM));
        let own = self.contained(APPLICATION.to_owned(), None);
        let packages = self.inventory.packages.iter().enumerate().flat_map(|(at, package)| {
            let id = package_id(at, package);
            let there = relationship(APPLICATION, "CONTAINS", &id);
            std::iter::once(there).chain(self.contained(id, Some(at)))
        });
        described.into_iter().chain(system).chain(own).chain(packages)
    }

    fn contained(&self, id: String, package: Option<usize>) -> impl Iterator<Item = Value> {
        let files = self.by_package.get(&package).into_iter().flatten();
        files.map(move |(at, _)| relationship(&id, "CONTAINS", &file_id(*at)))
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.fields.as_object().into_iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        let time_s = self.inventory.time_s;
        let file = |(at, file): (usize, &File)| file_element(at, file, time_s);
        map.serialize_entry("files", &Lazily(|| self.inventory.files.iter().enumerate().map(file)))?;
        map.serialize_entry("relationships", &Lazily(|| self.relationships()))?;
        map.end()
    }
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn annotation(time_s: i64, comment: &str) -> Value {
    json!({
        "annotationDate": timestamp(time_s),
        "annotationType": "OTHER",
        "annotator": TOOL,
        "comment": comment,
    })
}

/// Returns the artifact itself. Its code covers every file.
fn application(subject: &Subject<'_>, inventory: &Inventory) -> Value {
    let mut package = json!({
        "SPDXID": APPLICATION,
        "name": &inventory.name,
        "versionInfo": subject.version,
        "summary": subject.title,
        "downloadLocation": "NOASSERTION",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "APPLICATION",
    });
    if let Some(digest) = subject.digest {
        package["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": digest.to_string() }]);
    }
    cover(&mut package, inventory.files.iter(), Vec::new());
    let absent = inventory.absent.iter();
    let absent = absent
        .map(|purl| annotation(inventory.time_s, &format!("absent: {purl}: locked, and all of it pruned")));
    let absent: Vec<Value> = absent.collect();
    if !absent.is_empty() {
        package["annotations"] = absent.into();
    }
    package
}

/// Returns the distribution, by whose advisories scanners go.
fn system(inventory: &Inventory) -> Option<Value> {
    let distribution = inventory.distribution.as_ref()?;
    let mut package = json!({
        "SPDXID": SYSTEM,
        "name": &distribution.id,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "OPERATING-SYSTEM",
    });
    if let Some(version) = distribution.version.as_ref().or(distribution.codename.as_ref()) {
        package["versionInfo"] = version.as_str().into();
    }
    Some(package)
}

fn debian_or_npm(id: &str, package: &Package, files: &[(usize, &File)], time_s: i64) -> Value {
    let declared = package.licences.as_ref().map_or("NOASSERTION", |licences| &licences.expression);
    let mut out = json!({
        "SPDXID": id,
        "name": &package.name,
        "versionInfo": &package.version,
        "supplier": supplier(package).unwrap_or_else(|| "NOASSERTION".into()),
        "downloadLocation": "NOASSERTION",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": declared,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": &package.purl,
        }],
    });
    if let Some(control) = &package.control {
        let (source, version) = control.source();
        out["sourceInfo"] = format!("built package from: {source} {version}").into();
        if let Some(homepage) = control.get("Homepage").filter(|url| url::Url::parse(url).is_ok()) {
            out["homepage"] = homepage.into();
        }
        let summary = control.get("Description").and_then(|text| text.lines().next());
        if let Some(summary) = summary {
            out["summary"] = summary.into();
        }
    }
    if let Some(checksum) = &package.checksum {
        let algorithm = match checksum {
            Checksum::Sha256(_) => "SHA256",
            Checksum::Sha512(_) => "SHA512",
        };
        out["checksums"] = json!([{ "algorithm": algorithm, "checksumValue": checksum.hex() }]);
    }
    let mut excluded: Vec<String> = Vec::new();
    if let Some(share) = &package.share {
        excluded.extend(share.pruned.iter().map(|path| format!("./{path}")));
        excluded
            .extend(files.iter().filter(|(_, file)| file.left.is_some()).map(|(_, file)| file_name(file)));
        excluded.sort();
        let mut said = vec![annotation(time_s, &share_text(package))];
        let reduced = |(path, left): &(_, String)| annotation(time_s, &format!("reduced: /{path}: {left}"));
        said.extend(share.reduced.iter().map(reduced));
        out["annotations"] = said.into();
    }
    cover(&mut out, files.iter().map(|(_, file)| *file).filter(|file| file.left.is_none()), excluded);
    if files.is_empty() {
        out["filesAnalyzed"] = false.into();
        out.as_object_mut().map(|fields| fields.shift_remove("packageVerificationCode"));
    }
    out
}

/// Says how much of a package is there.
fn share_text(package: &Package) -> String {
    let extent = package.extent().unwrap_or(Extent::Partial).word();
    let (kept, pruned) = package.share.as_ref().map_or((0, 0), |share| (share.kept, share.pruned.len()));
    format!("{extent}: {kept} files and links of the package are here, {pruned} of its paths were pruned")
}

/// Adds the package verification code (clause 7.9): SHA-1 of the sorted SHA-1 of some files.
fn cover<'f>(package: &mut Value, files: impl Iterator<Item = &'f File>, excluded: Vec<String>) {
    let mut sums: Vec<&str> = files.map(|file| &file.sha1[..]).collect();
    sums.sort_unstable();
    let code = hex(&Sha1::digest(sums.concat()));
    package["filesAnalyzed"] = true.into();
    package["packageVerificationCode"] = json!({ "packageVerificationCodeValue": code });
    if !excluded.is_empty() {
        package["packageVerificationCode"]["packageVerificationCodeExcludedFiles"] = excluded.into();
    }
}

fn file_element(at: usize, file: &File, time_s: i64) -> Value {
    let mut out = json!({
        "SPDXID": file_id(at),
        "fileName": file_name(file),
        "checksums": [
            { "algorithm": "SHA1", "checksumValue": &file.sha1 },
            { "algorithm": "SHA256", "checksumValue": file.sha256.to_string() },
        ],
        "licenseConcluded": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    });
    if let Some(left) = &file.left {
        out["annotations"] = json!([annotation(time_s, &format!("reduced: {left}"))]);
    }
    out
}

fn file_name(file: &File) -> String {
    format!("./{}", file.path)
}

fn file_id(at: usize) -> String {
    format!("SPDXRef-File-{at}")
}

fn package_id(at: usize, package: &Package) -> String {
    format!("SPDXRef-Package-{}-{at}", plain(&package.name))
}

/// Returns a text with the letters that an identifier may have (clause 3.3: letters, digits, `.` and `-`).
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

/// Returns the maintainer as clause 7.5 writes an organization; `None` for one that it cannot write.
fn supplier(package: &Package) -> Option<String> {
    let maintainer = package.control.as_ref()?.get("Maintainer")?;
    let (name, address) = maintainer.split_once('<').unwrap_or((maintainer, ""));
    let (name, address) = (name.trim(), address.trim_end_matches('>').trim());
    if name.is_empty() || name.contains(['(', ')', '\n']) || address.contains(['(', ')', ' ', '\n']) {
        return None;
    }
    Some(match address {
        "" => format!("Organization: {name}"),
        address => format!("Organization: {name} ({address})"),
    })
}

/// Returns the licences that SPDX's list does not have, each once.
fn extracted(inventory: &Inventory) -> Vec<Value> {
    let mut all: BTreeMap<&str, &Extracted> = BTreeMap::new();
    for licences in inventory.packages.iter().filter_map(|package| package.licences.as_ref()) {
        all.extend(licences.extracted.iter().map(|(id, extracted)| (&id[..], extracted)));
    }
    let info = |(id, extracted): (&str, &Extracted)| {
        let text = match &extracted.text[..] {
            "" => format!("The copyright file names the licence {} without a text.", extracted.name),
            text => text.to_owned(),
        };
        json!({ "licenseId": id, "name": &extracted.name, "extractedText": text })
    };
    all.into_iter().map(info).collect()
}
