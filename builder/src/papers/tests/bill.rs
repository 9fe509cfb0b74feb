//! Bills in full, of artifacts that tinyroot made and of others.

use super::*;
use crate::papers::bill::{BillError, Form, Subject, bill};

/// Names the packages of the made artifact.
fn owner(path: &[u8]) -> Option<String> {
    let owned = [("usr/bin/wiki", "wiki"), ("usr/lib/libfoo.so.1", "libfoo1")];
    owned.iter().find(|(at, _)| at.as_bytes() == path).map(|(_, package)| (*package).to_owned())
}

fn document(form: Form, made: &Made, tree: &Tree) -> Result<Value, BillError> {
    let subject = Subject {
        title: "A wiki",
        version: "2",
        digest: Some(Digest::of(b"file")),
        tree,
        store: &made.store,
        owner: &owner,
    };
    let text = bill(form, &subject)?;
    assert_eq!(bill(form, &subject)?, text, "the same each time");
    Ok(serde_json::from_slice(&text).expect("is JSON"))
}

/// The made artifact, its library reduced, with the lock that its papers were made of.
fn reduced() -> (Made, Tree) {
    let mut made = made();
    let reduction =
        Reduction { text: "1 of 2 parts".to_owned(), before: Digest::of(b"elf"), after: Digest::of(b"e") };
    made.reductions.insert(path("usr/lib/libfoo.so.1"), reduction);
    fs::write(made.recipe.lock_path(), made.lock.to_text()).expect("is written");
    let tree = papers(&made);
    (made, tree)
}

fn named<'v>(list: &'v Value, key: &str, name: &str) -> &'v Value {
    let found = list.as_array().expect("a list").iter().find(|element| element[key] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

#[test]
fn spdx_has_each_package_and_file_and_says_what_was_pruned_and_reduced() {
    let (made, tree) = reduced();
    let document = document(Form::Spdx, &made, &tree).expect("is made");
    assert_eq!(document["spdxVersion"], "SPDX-2.3");
    assert_eq!(document["creationInfo"]["created"], "1970-01-01T00:13:20Z");
    let packages = &document["packages"];
    let names: Vec<&str> =
        packages.as_array().expect("a list").iter().filter_map(|package| package["name"].as_str()).collect();
    assert_eq!(names, ["wiki", "debian", "libfoo1", "wiki"], "and not tool, of which nothing is there");
    let absent = packages[0]["annotations"][0]["comment"].as_str().expect("a text");
    assert!(absent.starts_with("absent: pkg:deb/debian/tool@3?arch=amd64&distro=debian-12: "), "{absent}");
    assert_eq!(packages[0]["checksums"][0]["checksumValue"], Digest::of(b"file").to_string());

    let library = named(packages, "name", "libfoo1");
    assert_eq!(library["licenseDeclared"], "GPL-2.0-or-later AND MIT");
    assert_eq!(library["sourceInfo"], "built package from: foo 1.1");
    assert!(library["annotations"][0]["comment"].as_str().expect("a text").starts_with("partial: "));
    assert_eq!(library["annotations"][1]["comment"], "reduced: /usr/lib/libfoo.so.1: 1 of 2 parts");
    let code = &library["packageVerificationCode"];
    let excluded = &code["packageVerificationCodeExcludedFiles"];
    assert_eq!(*excluded, serde_json::json!(["./usr/lib/libfoo.so.1", "./usr/share/foo/pruned"]));
    let of_nothing = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    assert_eq!(code["packageVerificationCodeValue"], of_nothing);
    let app = &packages[3];
    assert!(app["annotations"][0]["comment"].as_str().expect("a text").starts_with("whole: "));
    assert_eq!(app["licenseDeclared"], "NOASSERTION");
    // SHA-1 of the SHA-1 of "app".
    assert_eq!(
        app["packageVerificationCode"]["packageVerificationCodeValue"],
        "59e5adc861c537187a131f85d2bf291ff609bbb8"
    );

    let file = named(&document["files"], "fileName", "./usr/bin/wiki");
    assert_eq!(file["checksums"][1]["checksumValue"], Digest::of(b"app").to_string());
    let contains = document["relationships"].as_array().expect("a list").iter();
    let of_app = contains.filter(|one| one["spdxElementId"] == app["SPDXID"]).collect::<Vec<_>>();
    assert_eq!(of_app.len(), 1);
    assert_eq!(of_app[0]["relatedSpdxElement"], file["SPDXID"]);
}

#[test]
fn cyclonedx_has_files_within_their_packages() {
    let (made, tree) = reduced();
    let document = document(Form::CycloneDx, &made, &tree).expect("is made");
    let absent = properties(&document["metadata"]["component"], "absent");
    assert_eq!(absent, ["pkg:deb/debian/tool@3?arch=amd64&distro=debian-12"]);
    let library = named(&document["components"], "name", "libfoo1");
    assert_eq!(properties(library, "extent"), ["partial"]);
    assert_eq!(properties(library, "reduced"), ["/usr/lib/libfoo.so.1: 1 of 2 parts"]);
    let file = named(&library["components"], "name", "/usr/lib/libfoo.so.1");
    assert_eq!(file["pedigree"]["notes"], "reduced: 1 of 2 parts");
    named(&document["components"], "name", "/tinyroot/papers/bom.json");
}

#[test]
fn an_artifact_of_another_maker_has_a_bill_of_what_its_dpkg_has() {
    let made = made();
    let mut tree = Tree::new();
    let mut put = |at: &str, text: &str| {
        tree.insert(path(at), Entry::file(made.store.put(text), text.len() as u64, 0o644, 7));
    };
    put("usr/bin/wiki", "app");
    put(
        "var/lib/dpkg/status",
        "Package: wiki\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n\
         Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n",
    );
    put("var/lib/dpkg/status.d/tz", "Package: tz\nVersion: 2\nArchitecture: all\n");
    tree.add_parents(7);
    let spdx = document(Form::Spdx, &made, &tree).expect("is made");
    let packages = spdx["packages"].as_array().expect("a list");
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    assert_eq!(names, ["A wiki", "tz", "wiki"]);
    assert_eq!(packages[1]["filesAnalyzed"], false);
    assert_eq!(packages[2]["filesAnalyzed"], true);
    assert_eq!(spdx["creationInfo"]["created"], "1970-01-01T00:00:07Z");

    let damaged = "Package: wiki\nVersion: 1\n";
    tree.insert(path("var/lib/dpkg/status"), Entry::file(made.store.put(damaged), 26, 0o644, 7));
    assert!(matches!(document(Form::CycloneDx, &made, &tree), Err(BillError::Status(_))));
}
