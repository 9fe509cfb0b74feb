//! What takes space in a package, and what would go with it.

use serde_json::Value;
use tinyroot::testing::deb;

use super::{
    support::{assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

/// The kitchen with a spoon, which the exercise uses and which brings a fork, which the recipe keeps.
fn built() -> Option<(TracedApp, String)> {
    let recipe = RECIPE.replacen("suite = \"bookworm\"", "suite = \"bookworm\"\npackages = [\"spoon\"]", 1)
        + "[[exercise]]\nget = \"/usr/share/spoon/spoon\"\n[prune]\nkeep = [\"/usr/share/fork/*\"]\n";
    let traced = TracedApp::of(&recipe, |tea| {
        let spoon = deb("spoon").field("Essential", "yes").field("Depends", "fork");
        let spoon = spoon.file("usr/share/spoon/spoon", 0o644, "a spoon\n");
        let fork = deb("fork").file("usr/share/fork/large", 0o644, "a large fork\n").file(
            "usr/share/fork/small",
            0o644,
            "a small fork\n",
        );
        vec![tea, spoon, fork]
    })?;
    let package = text(&traced.home.path("tea.spk")).to_owned();
    traced.done(&["build", text(&traced.recipe), "--no-proof", "--output", &package]);
    Some((traced, package))
}

fn document(traced: &TracedApp, args: &[&str]) -> Value {
    let ended = end(&mut traced.command(args));
    assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("is JSON")
}

fn found<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let mut all = list.as_array().expect("a list").iter();
    all.find(|one| one[key] == value).unwrap_or_else(|| panic!("{value} is not in {list:#}"))
}

#[test]
fn retained_sizes_are_those_of_what_nothing_else_needs() {
    let Some((traced, package)) = built() else { return };
    let all = document(&traced, &["inspect", &package, "--retained", "--json"]);
    let retained = &all["retained"];
    assert_eq!(retained["missing"], Value::Array(Vec::new()));
    let spoon = found(&retained["packages"], "name", "spoon");
    assert_eq!((&spoon["own"]["files"], &spoon["retained"]["files"]), (&1.into(), &3.into()));
    let fork = found(&spoon["brings"], "package", "fork");
    assert_eq!((&fork["whole"], &fork["sum"]["size_bytes"]), (&true.into(), &26.into()));
    let packed = |sum: &Value| sum["packed_bytes"].as_u64().expect("is known");
    assert_eq!(packed(&spoon["retained"]), packed(&spoon["own"]) + packed(&fork["sum"]));
    assert_eq!(spoon["asked_by"], serde_json::json!(["requested"]));
    let keep = found(&retained["rules"], "text", "prune.keep \"/usr/share/fork/*\"");
    assert_eq!(keep["retained"]["files"], 2);
    let step = found(&retained["steps"], "step", "GET:/usr/share/spoon/spoon");
    assert_eq!(step["retained"]["size_bytes"], 8);
    let said = traced.home.done(&["inspect", &package, "--retained"]).stdout;
    assert_says(
        &said,
        &["  spoon: itself, fork (requested)\n", "recipe: prune.keep \"/usr/share/fork/*\" (2 files)"],
    );
}
