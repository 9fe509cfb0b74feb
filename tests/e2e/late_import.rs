//! An app that comes to load a module which no trace has seen.

use std::fs;

use tinyroot::testing::deb;

use super::{
    support::{assert_says, end, text},
    traced_app::{TracedApp, with_code},
};

/// A server that brews with the module that a path names; names that only a request knows cannot be followed.
const BREW: &str = r#"if ($path =~ m{^/brew/(\w+)}) {
        my $module = "Tea/$1.pm";
        print C "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n", eval { require $module; "Tea::$1"->brew } || "sorry: $@";
        close C;
        next;
    }"#;

#[test]
fn fix_gets_a_recipe_with_a_new_import_to_a_proven_package() {
    let leaf = "package Tea::Leaf;\nsub brew { require Tea::Water; 'a cup of ' . Tea::Water->heat }\n1;\n";
    let water = "package Tea::Water;\nsub heat { 'hot water' }\n1;\n";
    let library = deb("libtea-perl")
        .file("usr/share/perl5/Tea/Leaf.pm", 0o644, leaf)
        .file("usr/share/perl5/Tea/Water.pm", 0o644, water)
        .file("usr/share/perl5/Tea/Spoon.pm", 0o644, "package Tea::Spoon;\n1;\n");
    let traced = TracedApp::of(&with_code(BREW), |tea| vec![tea.field("Depends", "libtea-perl"), library]);
    let Some(traced) = traced else { return };
    let recipe_file = traced.recipe.join("recipe.toml");
    let artifact = traced.home.path("tea.spk");
    let build = ["build", text(&traced.recipe), "--output", text(&artifact)];
    // Libraries in the app's language are not to stay for its sake alone.
    let narrow = format!("{}[prune]\ncompanions = \"0 B\"\n", with_code(BREW));
    fs::write(&recipe_file, &narrow).expect("writes");
    traced.done(&build);
    let path = "/usr/share/perl5/Tea/Leaf.pm";
    let why = |path: &str| end(&mut traced.command(&["why", text(&artifact), path])).stdout;
    assert_says(&why(path), &["pruned"]);

    // A new step needs a module that nothing has loaded so far, and this another in a function.
    let step = "[[exercise]]\nget = \"/brew/Leaf\"\ncontains = \"a cup of hot water\"\n";
    let more = narrow.replacen("[prune]", &format!("{step}[prune]"), 1);
    fs::write(&recipe_file, &more).expect("writes");
    let failed = end(&mut traced.command(&build));
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert_says(&failed.stderr, &["Tea/Leaf.pm", "libtea-perl"]);
    let fixed = end(&mut traced.command(&[&build[..], &["--fix"]].concat()));
    assert_eq!(fixed.code, Some(0), "{}", fixed.stderr);
    assert_says(&fixed.stdout, &["steps respond as on the full root"]);
    let mended = fs::read_to_string(&recipe_file).expect("reads");
    assert_says(&mended, &["keep = [", path]);
    assert!(!mended.contains("Water.pm"), "what Leaf.pm requires is followed, not learnt: {mended}");
    assert_says(
        &why("/usr/share/perl5/Tea/Water.pm"),
        &["imports: imported in a function of /usr/share/perl5/Tea/Leaf.pm"],
    );
    assert_says(&why("/usr/share/perl5/Tea/Spoon.pm"), &["pruned"]);
    traced.done(&["check", text(&traced.recipe)]);
}
