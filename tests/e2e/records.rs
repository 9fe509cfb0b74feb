//! `check --junit FILE --sarif FILE`: what a CI service shows of a proof.

use std::fs;

use roxmltree::Document;
use serde_json::Value;

use super::{
    support::{Ended, assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

/// Checks a recipe or package, and returns how that ended and both files.
fn checked(traced: &TracedApp, subject: &str, more: &[&str]) -> (Ended, String, Value) {
    let (junit, sarif) = (traced.home.path("proof.xml"), traced.home.path("misses.sarif"));
    let args = [&["check", subject, "--junit", text(&junit), "--sarif", text(&sarif)], more].concat();
    let ended = end(&mut traced.command(&args));
    let read = |path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{error}: {}", ended.stderr));
    let (xml, document) = (read(&junit), read(&sarif));
    for path in [junit, sarif] {
        fs::remove_file(path).expect("is there");
    }
    (ended, xml, serde_json::from_str(&document).expect("is JSON"))
}

/// Returns the numbers of all cases, and of those that failed and could not be tried.
fn counts(xml: &str) -> [usize; 3] {
    let document = Document::parse(xml).expect("is XML");
    ["testcase", "failure", "error"]
        .map(|name| document.descendants().filter(|node| node.has_tag_name(name)).count())
}

#[test]
fn a_proof_is_recorded_whether_it_passes_or_not() {
    let Some(traced) = TracedApp::new() else { return };
    let recipe = text(&traced.recipe).to_owned();
    // Before, one step, and afterwards; as run and as serve show it.
    let (ended, xml, document) = checked(&traced, &recipe, &[]);
    assert_eq!((ended.code, counts(&xml)), (Some(0), [6, 0, 0]), "{}{xml}", ended.stderr);
    assert_eq!(document["runs"][0]["results"], Value::Array(Vec::new()));
    let (again, twice, _) = checked(&traced, &recipe, &["--times", "2"]);
    assert_eq!((again.code, counts(&twice)), (Some(0), [12, 0, 0]), "{}", again.stderr);
    let package = traced.home.path("tea.spk");
    traced.done(&["build", &recipe, "--no-proof", "--output", text(&package)]);
    let (of_package, xml_of_package, _) = checked(&traced, text(&package), &[]);
    assert_eq!((of_package.code, &xml_of_package), (Some(0), &xml), "{}", of_package.stderr);

    let asks = "[prune]\ndrop = [\"/usr/share/tea/green\"]\n[[exercise]]\nget = \"/usr/share/tea/green\"\ncontains = \"green\"\n";
    fs::write(traced.recipe.join("recipe.toml"), format!("{RECIPE}{asks}")).expect("writes");
    let (ended, xml, document) = checked(&traced, &recipe, &[]);
    assert_eq!((ended.code, counts(&xml)), (Some(1), [8, 1, 0]), "{}{xml}", ended.stderr);
    assert_says(&ended.stderr, &["the exercise fails on the pruned root"]);
    assert_says(
        &xml,
        &["message=\"expected text &quot;green&quot;, not found\"", "/usr/share/tea/green of tea"],
    );
    let result = &document["runs"][0]["results"][0];
    let location = &result["locations"][0];
    assert_eq!(location["logicalLocations"][0]["fullyQualifiedName"], "/usr/share/tea/green");
    let line = location["physicalLocation"]["region"]["startLine"].as_u64().expect("a number");
    let text = format!("{RECIPE}{asks}");
    assert_eq!(text.lines().nth(line as usize - 1), Some("[[exercise]]"));
    assert_eq!(text.lines().nth(line as usize), Some("get = \"/usr/share/tea/green\""));
}

#[test]
fn what_does_not_come_to_a_proof_is_recorded_too() {
    let Some(traced) = TracedApp::new() else { return };
    let recipe = text(&traced.recipe).to_owned();
    fs::write(traced.recipe.join("recipe.toml"), RECIPE.replace("suite =", "sweet =")).expect("writes");
    let (ended, xml, document) = checked(&traced, &recipe, &[]);
    assert_eq!((ended.code, counts(&xml)), (Some(1), [1, 0, 1]), "{}{xml}", ended.stderr);
    let invocation = &document["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_says(
        invocation["toolExecutionNotifications"][0]["message"]["text"].as_str().expect("text"),
        &["sweet"],
    );
}

#[test]
fn files_that_cannot_be_written_are_refused_before_the_work() {
    let Some(traced) = TracedApp::new() else { return };
    let (recipe, nowhere, here) =
        (text(&traced.recipe).to_owned(), traced.home.path("none/proof.xml"), traced.home.path("cache"));
    let one = traced.home.path("one");
    let (nowhere, here, one) = (text(&nowhere), text(&here), text(&one));
    let rows: [(&[&str], i32, &str); 4] = [
        (&["--junit", nowhere], 1, "none is not a directory\nhint: mkdir -p "),
        (&["--sarif", here], 1, "it is a directory\nhint: name a file in it"),
        (&["--junit", one, "--sarif", one], 1, "--junit and --sarif name the same file"),
        (&["--junit", one, "--watch"], 2, "cannot be used with"),
    ];
    for (more, code, said) in rows {
        let ended = end(&mut traced.command(&[&["check", &recipe], more].concat()));
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_says(&ended.stderr, &[said]);
        assert_eq!(ended.stdout, "");
    }
}
