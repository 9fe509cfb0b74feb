//! `build --fix`: what a pruned app lacks goes into its recipe.

use std::fs;

use super::{
    support::{assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

#[test]
fn shipped_state_that_is_written_goes_into_the_recipe_and_proves() {
    let Some(traced) = TracedApp::with(|tea| tea.file("var/lib/tea/score", 0o644, "0 cups\n")) else {
        return;
    };
    let path = traced.recipe.join("recipe.toml");
    // Nothing was written when it was traced.
    let writes = "[[exercise]]\npost = \"/var/lib/tea/score\"\nbody = { source = \"files/cup\" }\n# read back\n[[exercise]]\nget = \"/var/lib/tea/score\"\n\
         contains = \"1 cup\"\n";
    let recipe = format!("{RECIPE}{writes}").replace("[debian]", "# where it is from\n[debian]");
    fs::write(&path, &recipe).expect("writes");
    fs::create_dir_all(traced.recipe.join("files")).expect("makes");
    fs::write(traced.recipe.join("files/cup"), "1 cup\n").expect("writes");
    let failed = end(&mut traced.command(&["build", text(&traced.recipe)]));
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    // Nothing was pruned, so why is no question.
    assert!(!failed.stderr.contains("tinyroot why"), "{}", failed.stderr);
    let line = "[app] state = [\"/var/lib/tea/score\"]";
    assert_says(&failed.stderr, &["/var/lib/tea/score of tea: written, but shipped read-only", line]);
    assert_eq!(fs::read_to_string(&path).expect("reads"), recipe);
    let fixed = end(&mut traced.command(&["build", text(&traced.recipe), "--fix"]));
    assert_eq!(fixed.code, Some(0), "{}", fixed.stderr);
    assert_says(&fixed.stderr, &[&format!("recipe.toml: added {line} (/var/lib/tea/score of tea: written")]);
    let after = recipe.replace(
        "packages = [\"tea\"]\n",
        "packages = [\"tea\"]\nstate = [\n    \"/var/lib/tea/score\",\n]\n",
    );
    assert_eq!(fs::read_to_string(&path).expect("reads"), after);
}

#[test]
fn a_failed_build_says_how_to_ask_why_something_was_pruned() {
    let Some(traced) = TracedApp::new() else { return };
    let asks = "[prune]\ndrop = [\"/usr/share/tea/green\"]\n[[exercise]]\nget = \"/usr/share/tea/green\"\ncontains = \"green\"\n";
    fs::write(traced.recipe.join("recipe.toml"), format!("{RECIPE}{asks}")).expect("writes");
    let failed = end(&mut traced.command(&["build", text(&traced.recipe)]));
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let why = format!("`tinyroot why {} PATH` says why a path was pruned", traced.recipe.display());
    assert_says(&failed.stderr, &["/usr/share/tea/green of tea", &why]);
    let told = end(&mut traced.command(&["why", text(&traced.recipe), "/usr/share/tea/green"]));
    assert_says(&told.stdout, &["/usr/share/tea/green", "prune.drop"]);
}
