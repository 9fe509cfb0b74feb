//! Every dependency is under a licence that `deny.toml` allows, and of a version without a known fault.

use std::{collections::BTreeSet, process::Command};

use semver::{Version, VersionReq};

#[test]
fn licences_are_among_those_allowed() {
    let rules: toml::Table = include_str!("../../deny.toml").parse().expect("is TOML");
    let allowed = rules["licenses"]["allow"].as_array().expect("a list");
    let is_allowed = |name: &str| allowed.iter().any(|licence| licence.as_str() == Some(name));
    // Of other platforms a machine that compiled this has nothing. The fuzzer's own dependencies are fetched, where it has
    // not been compiled yet.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    assert!(packages.len() > 50);
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(holds(licence, &is_allowed), "{} is under {licence:?}", package["name"]);
    }
}

/// Whether an SPDX expression can be met; `/` is an older word for OR, and AND binds closer than OR.
fn holds(expression: &str, is_allowed: &dyn Fn(&str) -> bool) -> bool {
    let plain = expression.replace(['(', ')'], "").replace(" / ", " OR ").replace('/', " OR ");
    match expression.starts_with('(') {
        // The only shape with parentheses that is met: (A OR B) AND C.
        true => plain.split(" AND ").all(|part| part.split(" OR ").any(is_allowed)),
        false => plain.split(" OR ").any(|part| part.split(" AND ").all(is_allowed)),
    }
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let is_allowed = |name: &str| name == "MIT" || name == "Unicode-3.0";
    for (expression, expected) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0", false),
        ("Apache-2.0 AND MIT", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND ISC", false),
        ("", false),
    ] {
        assert_eq!(holds(expression, &is_allowed), expected, "{expression}");
    }
}

/// Whether an advisory of `tests/advisories.toml` concerns a version.
fn concerns(advisory: &toml::Value, version: &Version) -> bool {
    let sound = ["patched", "unaffected"].iter().filter_map(|key| advisory.get(key)?.as_array()).flatten();
    let mut requirements =
        sound.map(|text| VersionReq::parse(text.as_str().expect("text")).expect("a requirement"));
    !requirements.any(|requirement| requirement.matches(version))
}

#[test]
fn no_locked_version_has_a_fault_that_is_known_and_not_argued() {
    let table = |text: &str| text.parse::<toml::Table>().expect("is TOML");
    let (rules, known) = (table(include_str!("../../deny.toml")), table(include_str!("../advisories.toml")));
    let lock = table(include_str!("../../Cargo.lock"));
    let list = |value: &toml::Value| value.as_array().expect("a list").clone();
    let of = |value: &toml::Value, key: &str| value[key].as_str().expect("text").to_owned();
    let mut found = BTreeSet::new();
    for advisory in list(&known["advisory"]) {
        let name = of(&advisory, "crate");
        for package in list(&lock["package"]).iter().filter(|package| of(package, "name") == name) {
            if concerns(&advisory, &of(package, "version").parse().expect("a version")) {
                found.insert(of(&advisory, "id"));
            }
        }
    }
    let argued: BTreeSet<String> =
        list(&rules["advisories"]["ignore"]).iter().map(|one| of(one, "id")).collect();
    assert_eq!(found, argued, "found by tests/advisories.toml, and argued in deny.toml");
}

#[test]
fn advisories_are_read_as_they_are_meant() {
    let advisory = toml::toml! {
        patched = [">=0.6.14, <1.0.0", ">=1.6.1"]
        unaffected = ["<0.6.3"]
    };
    for (version, expected) in [
        ("0.6.2", false),
        ("0.6.3", true),
        ("0.6.14", false),
        ("1.0.0", true),
        ("1.6.1", false),
        ("2.0.0", false),
    ] {
        let concerned = concerns(&advisory.clone().into(), &version.parse().expect("a version"));
        assert_eq!(concerned, expected, "{version}");
    }
}
