//! `build --fix`: what a pruned app lacks goes into its recipe.

use std::fs;

use super::{
    kitchen::{Kitchen, RECIPE},
    support::{assert_says, end, text},
};

#[test]
fn shipped_state_that_is_written_goes_into_the_recipe_and_proves() {
    let Some(kitchen) = Kitchen::with(|tea| tea.file("var/lib/tea/score", 0o644, "0 cups\n")) else { return };
    let path = kitchen.recipe.join("recipe.toml");
    // Nothing was written when it was traced.
    let writes = "[[exercise]]\npost = \"/var/lib/tea/score\"\nbody = { source = \"files/cup\" }\n# read back\n[[exercise]]\nget = \"/var/lib/tea/score\"\n\
         contains = \"1 cup\"\n";
    let recipe = format!("{RECIPE}{writes}").replace("[debian]", "# where it is from\n[debian]");
    fs::write(&path, &recipe).expect("writes");
    fs::create_dir_all(kitchen.recipe.join("files")).expect("makes");
    fs::write(kitchen.recipe.join("files/cup"), "1 cup\n").expect("writes");
    let failed = end(&mut kitchen.command(&["build", text(&kitchen.recipe)]));
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let line = "[app] state = [\"/var/lib/tea/score\"]";
    assert_says(&failed.stderr, &["/var/lib/tea/score of tea: written, but shipped read-only", line]);
    assert_eq!(fs::read_to_string(&path).expect("reads"), recipe);
    let fixed = end(&mut kitchen.command(&["build", text(&kitchen.recipe), "--fix"]));
    assert_eq!(fixed.code, Some(0), "{}", fixed.stderr);
    assert_says(&fixed.stderr, &[&format!("recipe.toml: added {line} (/var/lib/tea/score of tea: written")]);
    let after = recipe.replace(
        "packages = [\"tea\"]\n",
        "packages = [\"tea\"]\nstate = [\n    \"/var/lib/tea/score\",\n]\n",
    );
    assert_eq!(fs::read_to_string(&path).expect("reads"), after);
}
