//! What a package says of itself to scanners, and of the security updates.

use std::fs;

use serde_json::Value;
use tinyroot::testing::{MadeArchive, deb};

use super::{
    support::{Ended, assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

/// The kitchen with a spoon of which nothing is used, built.
fn built() -> Option<(TracedApp, String)> {
    let traced = TracedApp::of(RECIPE, |tea| {
        let spoon = deb("spoon").file("usr/share/spoon/spoon", 0o644, "a spoon\n");
        vec![tea.field("Depends", "spoon"), spoon]
    })?;
    let package = text(&traced.home.path("tea.spk")).to_owned();
    traced.done(&["build", text(&traced.recipe), "--output", &package]);
    Some((traced, package))
}

fn run(traced: &TracedApp, args: &[&str]) -> Ended {
    end(&mut traced.command(args))
}

#[test]
fn bills_of_materials_come_out_of_a_package_alone() {
    let Some((traced, package)) = built() else { return };
    let bill = |form: &str| {
        let printed = traced.home.done(&["inspect", &package, "--sbom", form]).stdout;
        let again = traced
            .home
            .command()
            .args(["inspect", &package, "--sbom", form])
            .env("TZ", "Asia/Tokyo")
            .output();
        assert_eq!(again.expect("starts").stdout, printed.as_bytes());
        serde_json::from_str::<Value>(&printed).expect("is JSON")
    };
    let named = |list: &Value, name: &str| {
        list.as_array().expect("a list").iter().find(|one| one["name"] == name).cloned()
    };
    let (spdx, cyclonedx) = (bill("spdx"), bill("cyclonedx"));
    let tea = spdx["packages"].as_array().expect("a list").iter().rfind(|one| one["name"] == "tea");
    let purl = &tea.expect("is there")["externalRefs"][0]["referenceLocator"];
    assert_eq!(purl, "pkg:deb/debian/tea@1.0?arch=amd64&distro=bookworm");
    assert_eq!(named(&spdx["packages"], "spoon"), None);
    let absent = spdx["packages"][0]["annotations"][0]["comment"].as_str().expect("is there");
    assert!(absent.starts_with("absent: pkg:deb/debian/spoon@1.0?"), "{absent}");
    let tea = named(&cyclonedx["components"], "tea").expect("is there");
    assert!(named(&tea["components"], "/usr/share/tea/cup").is_some(), "{tea:#}");
    let refused = traced.home.run(&["inspect", &package, "--sbom", "spdx", "--files"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[test]
fn security_lists_newer_versions_and_how_much_of_each_package_is_there() {
    let Some((traced, package)) = built() else { return };
    let up_to_date = run(&traced, &["inspect", &package, "--security"]);
    assert_eq!(up_to_date.code, Some(0), "{}", up_to_date.stderr);
    assert_says(&up_to_date.stdout, &["no newer version of 2 packages in bookworm-security\n"]);

    MadeArchive::new("bookworm-security")
        .date_s(tinyroot::testing::ARCHIVE_TIME_S + 86_400)
        .add(deb("tea").version("1.0+deb12u1").field("Source", "kitchen"))
        .add(deb("spoon").version("1.1"))
        .add(deb("fork").version("9"))
        .write(&traced.home.path("archive"));
    let found = run(&traced, &["inspect", &package, "--security", "--json"]);
    assert_eq!(found.code, Some(3), "{}", found.stderr);
    let document: Value = serde_json::from_str(&found.stdout).expect("is JSON");
    let outdated: Vec<String> = document["outdated"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| format!("{} {} {} {}", one["name"], one["newer"], one["source"], one["extent"]))
        .collect();
    assert_eq!(
        outdated,
        ["\"spoon\" \"1.1\" \"spoon\" \"absent\"", "\"tea\" \"1.0+deb12u1\" \"kitchen\" \"partial\"",]
    );
    assert_eq!(document["error"]["kind"], "limit_exceeded");
    // What was fetched is enough without a network; the suite can be named.
    let offline = run(&traced, &["inspect", &package, "--security", "bookworm-security", "--offline"]);
    assert_eq!(offline.code, Some(3), "{}", offline.stderr);
    assert_says(&offline.stdout, &["tea 1.0 -> 1.0+deb12u1 (source kitchen): partial\n"]);
    let said = "2 packages have a newer version in bookworm-security, 1 of them with files here";
    assert_says(&offline.stderr, &[said]);
    // Of another suite there is nothing.
    let lacking = run(&traced, &["inspect", &package, "--security", "trixie-security", "--offline"]);
    assert_eq!(lacking.code, Some(1), "{}", lacking.stdout);
    assert_says(&lacking.stderr, &["trixie-security", "--offline"]);
    // An index that others signed is not used. Their key is not among those that are trusted.
    let keyring = traced.home.path("archive/keyring.asc");
    let trusted = fs::read(&keyring).expect("reads");
    MadeArchive::new("bookworm-security")
        .key(tinyroot::testing::Key::new(3))
        .date_s(tinyroot::testing::ARCHIVE_TIME_S + 172_800)
        .write(&traced.home.path("archive"));
    fs::write(&keyring, trusted).expect("writes");
    let forged = run(&traced, &["inspect", &package, "--security"]);
    assert_eq!(forged.code, Some(1), "{}", forged.stdout);
    assert_says(&forged.stderr, &["bookworm-security"]);
}
