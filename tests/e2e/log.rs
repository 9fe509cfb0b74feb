//! `build --record` and `log`: the sizes of a recipe by commit.

use std::fs;

use tinyroot::testing::Repository;

use super::{
    support::{assert_says, end, schemas, text},
    traced_app::TracedApp,
};

#[test]
fn recorded_sizes_are_shown_by_commit_and_others_are_not_guessed() {
    let Some(app) = TracedApp::new() else { return };
    let Some(repository) = Repository::new() else { return };
    let package = text(&app.home.path("tea.spk")).to_owned();
    let record = || app.done(&["build", text(&app.recipe), "--output", &package, "--record"]);
    let commit = |subject: &str| {
        let names = ["recipe.toml", "recipe.lock", "used.list", "recipe.summary"];
        let read = |name: &str| fs::read_to_string(app.recipe.join(name)).expect("reads");
        let texts = names.map(|name| (format!("recipes/<b>/{name}"), read(name)));
        let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&name[..], &text[..])).collect();
        repository.commit(subject, &files);
    };
    record();
    commit("one <script>");
    let toml = app.recipe.join("recipe.toml");
    let changed = fs::read_to_string(&toml).expect("reads") + "\n[budget]\nartifact = \"9 MB\"\n";
    fs::write(&toml, changed).expect("writes");
    commit("two");
    // Nothing is packed anew, and yet its sizes are recorded.
    record();
    commit("three");

    let folder = text(&repository.path().join("recipes/<b>")).to_owned();
    let log = |more: &[&str]| {
        let ended = end(&mut app.command(&[&["log", &folder[..]], more].concat()));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    };
    let shown = log(&[]);
    assert_says(&shown.stdout, &["  three\n", "  two\n", "  one <script>\n", "the recipe is added"]);
    assert_says(&shown.stdout, &["recipe: budget", "recipe.summary is of another state of the recipe"]);
    assert_says(&shown.stderr, &["1 commit has no size: `tinyroot build ", "--record`"]);

    let document: serde_json::Value = serde_json::from_str(&log(&["--json"]).stdout).expect("is JSON");
    schemas::hold_to("log", &document);
    let states = document["states"].as_array().expect("is a list");
    let recorded: Vec<_> = states.iter().map(|state| state["recorded"].as_str().expect("a word")).collect();
    assert_eq!(recorded, ["own", "stale", "own"]);
    let size = fs::metadata(&package).expect("is there").len();
    assert_eq!(states[0]["sizes"]["size_bytes"], size);
    let sizes = &states[0]["sizes"];
    let packages = sizes["packages"].as_object().expect("is a table");
    let sum: u64 = packages.values().map(|size| size["packed_bytes"].as_u64().expect("is known")).sum();
    let rest = ["metadata_bytes", "container_bytes"].map(|name| sizes[name].as_u64().expect("is known"));
    assert_eq!(sum + rest[0] + rest[1], size, "to the byte");

    let page = log(&["--format", "html"]).stdout;
    assert_says(&page, &["Content-Security-Policy", "<svg", "one &lt;script&gt;"]);
    assert!(!page.contains("<script") && !page.contains("<b>"));
    assert_eq!(log(&["--limit", "1", "--json"]).stdout.matches("\"commit\"").count(), 1);

    let elsewhere = text(&app.home.path("nowhere")).to_owned();
    let ended = end(&mut app.command(&["log", &elsewhere]));
    assert_eq!(ended.code, Some(1));
    assert_says(&ended.stderr, &["error: cannot find the git repository of "]);
}
