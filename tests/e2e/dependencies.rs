//! Every dependency is under a licence that `deny.toml` allows.

use std::process::Command;

#[test]
fn licences_are_among_those_allowed() {
    let rules: toml::Table = include_str!("../../deny.toml").parse().expect("is TOML");
    let allowed = rules["licenses"]["allow"].as_array().expect("a list");
    let is_allowed = |name: &str| allowed.iter().any(|licence| licence.as_str() == Some(name));
    // Of other platforms a machine that compiled this has nothing.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform])
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
