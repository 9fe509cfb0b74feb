//! What makes packages small without being asked, and what is proposed.

use std::fs;

use tinyroot::testing::deb;

use super::{
    World, noise,
    support::{assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

#[test]
fn lock_names_what_is_of_the_apps_own_source() {
    let world = World::of(vec![
        deb("tea").field("Source", "tea-suite (1.2)").field("Depends", "tea-data, tea-doc, water"),
        deb("tea-data").field("Source", "tea-suite"),
        deb("tea-doc").field("Source", "tea-suite"),
        deb("tea-suite").field("Depends", "tea"),
        deb("water"),
    ]);
    let warning = "tea-data is of the app's own source and not in app.packages, so it is pruned to what the exercise uses; to \
                   keep it whole, write below [app]: packages = [\"tea\", \"tea-data\"]";
    assert_says(&world.done(&["lock", text(&world.recipe)]), &[warning]);
    assert_says(&world.done(&["lock", text(&world.recipe)]), &["is up to date", warning]);
    super::write_recipe(&world.home, r#"["tea", "tea-data"]"#, "");
    let said = world.done(&["lock", text(&world.recipe)]);
    assert!(!said.contains("own source"), "{said}");
}

/// A source of Python with its byte code, which is not to be checked.
fn module() -> (Vec<u8>, Vec<u8>) {
    let digits: Vec<String> = noise(60_000).iter().map(|byte| format!("{byte:02x}")).collect();
    let source = format!("SECRET = '{}'\n", digits.concat());
    let header = [&b"\xa7\x0d\x0d\x0a"[..], &1_u32.to_le_bytes(), &[0; 8]].concat();
    (source.into_bytes(), [&header[..], b"code"].concat())
}

#[test]
fn build_proposes_reductions_and_adds_those_that_prove() {
    let (source, code) = module();
    let Some(traced) = TracedApp::with(|tea| {
        tea.file("usr/share/tea/leaf.py", 0o644, source).file(
            "usr/share/tea/__pycache__/leaf.cpython-311.pyc",
            0o644,
            code,
        )
    }) else {
        return;
    };
    let recipe = traced.recipe.join("recipe.toml");
    let line = "`[reduce] bytecode = true` saves ";
    let built = end(&mut traced.command(&["build", text(&traced.recipe)]));
    assert_says(
        &built.stdout,
        &[line, ": leaf.py takes ", "its tracebacks would show no lines of code", "--reduce"],
    );
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let again = end(&mut traced.command(&["build", text(&traced.recipe), "--json"]));
    let told: serde_json::Value = serde_json::from_str(&again.stdout).expect("is JSON");
    assert_eq!(
        (&told["up_to_date"], &told["proposals"][0]["line"]),
        (&true.into(), &"bytecode = true".into())
    );
    let saves = told["proposals"][0]["saves_bytes"].as_u64().expect("a number");
    assert!((50_000..70_000).contains(&saves), "{saves}");

    // Somebody reads the source, though no trace says so.
    let reads = format!("{RECIPE}[[exercise]]\nget = \"/usr/share/tea/leaf.py\"\ncontains = \"SECRET\"\n");
    fs::write(&recipe, &reads).expect("writes");
    let tried = end(&mut traced.command(&["build", text(&traced.recipe), "--reduce"]));
    assert_eq!(tried.code, Some(0), "{}", tried.stderr);
    assert_says(
        &tried.stderr,
        &[
            "[reduce] bytecode = true is not added, as ",
            "not = [\"bytecode\"] says now: the exercise fails on the pruned root at 127.0.0.1:8765: ",
        ],
    );
    let noted = fs::read_to_string(&recipe).expect("reads");
    let rest = noted
        .strip_prefix(&format!(
            "{reads}\n[reduce]\nnot = [\n    # the exercise fails on the pruned root at 127.0.0.1:8765: "
        ))
        .expect("all else stays");
    assert!(rest.ends_with("\n    \"bytecode\",\n]\n") && rest.lines().count() == 3, "{noted}");
    // No build proposes it again, and the package holds the recipe as it is now.
    let quiet = end(&mut traced.command(&["build", text(&traced.recipe), "--json"]));
    let quiet: serde_json::Value = serde_json::from_str(&quiet.stdout).expect("is JSON");
    assert_eq!((&quiet["up_to_date"], &quiet["proposals"]), (&true.into(), &serde_json::json!([])));
    let other = traced.home.path("other.spk");
    let built = end(&mut traced.command(&["build", text(&traced.recipe), "--output", text(&other)]));
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let bytes = |path: &std::path::Path| fs::read(path).expect("reads");
    assert!(bytes(&other) == bytes(&traced.recipe.join("tea.spk")), "the same package");

    fs::write(&recipe, RECIPE).expect("writes");
    let tried = end(&mut traced.command(&["build", text(&traced.recipe), "--reduce"]));
    assert_eq!(tried.code, Some(0), "{}", tried.stderr);
    assert_says(&tried.stderr, &["recipe.toml: added [reduce] bytecode = true, which saves "]);
    assert!(!tried.stdout.contains(line), "{}", tried.stdout);
    let reduced = fs::read_to_string(&recipe).expect("reads");
    assert_eq!(reduced, format!("{RECIPE}\n[reduce]\nbytecode = true\n"));
    let last = end(&mut traced.command(&["build", text(&traced.recipe), "--json"]));
    let last: serde_json::Value = serde_json::from_str(&last.stdout).expect("is JSON");
    assert_eq!(last["up_to_date"], true);
    let size = |told: &serde_json::Value| told["size_bytes"].as_u64().expect("a number");
    assert!(size(&last) + saves / 2 < size(&told), "{last} and {told}");
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_the_work_and_a_folder_is_made() {
    let Some(traced) = TracedApp::new() else { return };
    traced.done(&["lock", text(&traced.recipe)]);
    let missing = traced.home.path("none/tea.spk");
    let failed = end(&mut traced.command(&["build", text(&traced.recipe), "--output", text(&missing)]));
    assert_eq!(failed.code, Some(1));
    assert_says(&failed.stderr, &["none is not a directory", "mkdir -p "]);
    assert!(!failed.stderr.contains("packages ("), "nothing was begun: {}", failed.stderr);

    let folder = traced.home.path("packages/new/");
    let built =
        end(&mut traced.command(&["build", text(&traced.recipe), "--no-proof", "--output", text(&folder)]));
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    assert!(folder.join("tea.spk").is_file());
}
