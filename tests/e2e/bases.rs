//! Recipes that are laid over others.

use std::{fs, process::Command};

use super::{
    support::{assert_says, end, text},
    traced_app::TracedApp,
};

#[test]
fn a_recipe_over_another_is_built_and_made_again_from_its_package_alone() {
    let Some(traced) = TracedApp::new() else { return };
    let over = traced.home.path("over");
    fs::create_dir_all(over.join("files")).expect("makes");
    fs::create_dir(traced.recipe.join("files")).expect("makes");
    let text_before = fs::read_to_string(traced.recipe.join("recipe.toml")).expect("reads");
    let files =
        ["one", "two"].map(|name| format!("[[file]]\npath = \"/app/{name}\"\nsource = \"files/{name}\"\n"));
    let base = text_before + &files.concat();
    fs::write(traced.recipe.join("recipe.toml"), base).expect("writes");
    for (folder, name, text) in
        [(&traced.recipe, "one", "base's"), (&traced.recipe, "two", "2"), (&over, "one", "mine")]
    {
        fs::write(folder.join("files").join(name), text).expect("writes");
    }
    let own = "base = \"../recipe\"\n[app]\nname = \"pot\"\n\
               [prune]\nkeep = [\"/app/**\"]\n[[exercise]]\nget = \"/app/one\"\ncontains = \"mine\"\n\
               [[exercise]]\nget = \"/app/two\"\ncontains = \"2\"\n";
    fs::write(over.join("recipe.toml"), own).expect("writes");
    traced.done(&["lock", text(&over)]);
    traced.done(&["trace", text(&over)]);
    let package = traced.home.path("pot.spk");
    traced.done(&["build", text(&over), "--output", text(&package)]);

    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(args);
        let ended = end(command.current_dir(traced.home.path("")).env("HOME", traced.home.path("")));
        assert_eq!(ended.code, Some(0), "git {args:?}: {}", ended.stderr);
    };
    git(&["init", "-q"]);
    git(&["add", "recipe", "over"]);
    git(&["commit", "-qm", "First"]);
    let since = || {
        let revision = format!("{}@HEAD", text(&over));
        let ended = end(&mut traced.command(&["diff", &revision, text(&over)]));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    assert_says(&since(), &["the contents are the same"]);

    // A change of the base is one of the recipe.
    let again = || end(&mut traced.command(&["build", text(&over), "--output", text(&package)])).stdout;
    assert_says(&again(), &["pot.spk is up to date: "]);
    fs::write(traced.recipe.join("files/two"), "2, or three").expect("writes");
    assert_says(&again(), &["wrote ", "pot.spk: "]);
    assert_says(
        &since(),
        &["changed   /app/two (no package)\n", "/tinyroot/papers/recipe/files/two (tinyroot)\n"],
    );

    let unpacked = traced.home.path("unpacked");
    traced.done(&["unpack", text(&package), text(&unpacked)]);
    let enclosed = unpacked.join("tinyroot/papers/recipe");
    let read = |name: &str| fs::read_to_string(enclosed.join(name)).expect("is there");
    assert_eq!((&*read("files/one"), &*read("files/two")), ("mine", "2, or three"));
    assert!(!read("recipe.toml").contains("base"), "{}", read("recipe.toml"));
    for folder in [&traced.recipe, &over] {
        fs::remove_dir_all(folder).expect("removes");
    }
    let cache = traced.home.path("stranger");
    let ended = end(&mut traced.command(&["verify", text(&package), "--rebuild", "--cache", text(&cache)]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_says(&ended.stdout, &["rebuild     the same bytes, from ", "; its proof was repeated\n"]);
}
