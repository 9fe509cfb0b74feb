//! From a recipe folder to a package that holds, with nothing at hand but the lock and the evidence.

use std::{fs, path::Path};

use super::{
    alone, build, copy_recipe, recipes, share_debs,
    support::{Home, assert_says, names, text},
};

#[test]
fn recipes_build_within_their_size_and_a_second_run_has_nothing_to_do() {
    let _turn = alone();
    for name in &recipes() {
        let home = Home::new();
        share_debs(&home);
        let folder = copy_recipe(name, &home.path("recipes"));
        let package = home.path("out.spk");
        let built = build(&home, &folder, &package);
        let size = built["size_bytes"].as_u64().expect("a size");
        assert_eq!(size, fs::metadata(&package).expect("is there").len());
        // A build of more than the recipe's budget would have failed.
        let recipe = tinyroot::recipe::read(&folder).expect("is good");
        assert!(recipe.budget.artifact_bytes.is_some(), "{name} has no budget");
        assert!(built["proof"]["steps"].as_u64().expect("is proven") > 10);
        assert_eq!(built["up_to_date"], false);

        let before = fs::metadata(&package).and_then(|m| m.modified()).expect("is there");
        let again = build(&home, &folder, &package);
        assert_eq!(again["up_to_date"], true);
        assert_eq!(again["sha256"], built["sha256"]);
        assert_eq!(fs::metadata(&package).and_then(|m| m.modified()).expect("is there"), before);
        assert_eq!(names(&home.path("cache/tmp")), Vec::<String>::new());

        look_at(&home, name, text(&package), &built);
        keep(name, &package, &home);
    }
}

/// Keeps a package, and the keyring that signed it, for the tests that take what is built here: in a browser,
/// by other tools.
fn keep(name: &str, package: &Path, home: &Home) {
    if let Some(directory) = std::env::var_os("TINYROOT_TEST_PACKAGES") {
        let directory = Path::new(&directory);
        fs::copy(package, directory.join(format!("{name}.spk"))).expect("copies");
        fs::copy(home.path("keys"), directory.join("keys")).expect("copies");
    }
}

/// verify, inspect, why, diff, unpack and check of a package.
fn look_at(home: &Home, name: &str, package: &str, built: &serde_json::Value) {
    let json = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&home.done(&[args, &["--json"]].concat()).stdout).expect("is JSON")
    };
    let verified = json(&["verify", package]);
    assert_eq!(verified["sha256"], built["sha256"]);
    assert_eq!(verified["app_id"], built["app_id"]);
    let inside = json(&["inspect", package, "--files"]);
    let files = inside["files"].as_array().expect("lists files");
    for paper in
        ["usr/share/doc/libc6/copyright", "tinyroot/papers/bom.json", "tinyroot/papers/recipe/recipe.lock"]
    {
        assert!(files.iter().any(|file| file["path"] == paper), "{name} has no {paper}");
    }
    let why = json(&["why", package, "/usr/lib/x86_64-linux-gnu/libc.so.6"]);
    assert_eq!((&why["kept"], &why["package"]), (&true.into(), &"libc6".into()));
    assert_says(&home.done(&["why", package, "/usr/bin/dpkg"]).stdout, &["was pruned", "keep = "]);
    let same = json(&["diff", package, package]);
    assert_eq!(same["artifact_before_bytes"], same["artifact_after_bytes"]);

    let directory = home.path("unpacked");
    home.done(&["unpack", package, text(&directory)]);
    let counted = files.iter().filter(|file| file["kind"] == "file").count();
    assert_eq!(count_files(&directory), counted);
    assert!(home.fails(&["unpack", package, text(&directory)]).contains("unpacked"));
    assert_says(&home.done(&["check", package]).stdout, &["as the recipe expects"]);
}

fn count_files(directory: &std::path::Path) -> usize {
    let entries = fs::read_dir(directory).expect("lists").map(|entry| entry.expect("lists"));
    let count = |entry: fs::DirEntry| match entry.file_type().expect("has a kind") {
        kind if kind.is_dir() => count_files(&entry.path()),
        kind => usize::from(kind.is_file()),
    };
    entries.map(count).sum()
}

/// Pages that the exercise of DokuWiki does not ask for, on the pruned and on the full root alike.
const BEYOND: &str = r#"
[[exercise]]
get = "/doku.php?id=start&do=backlink"
status = 200
[[exercise]]
get = "/doku.php?id=start&do=register"
status = 200
[[exercise]]
get = "/doku.php?id=start&do=resendpwd"
status = 200
[[exercise]]
get = "/doku.php?id=start&do=recent"
status = 200
[[exercise]]
get = "/doku.php?id=wiki:syntax"
status = 200
[[exercise]]
get = "/doku.php?id=start&do=export_xhtml"
status = 200
[[exercise]]
get = "/lib/exe/opensearch.php"
status = 200
[[exercise]]
get = "/lib/exe/xmlrpc.php"
status = 200
[[exercise]]
get = "/lib/exe/manifest.php"
status = 200
[[exercise]]
get = "/lib/exe/mediamanager.php"
status = 200
contains = "<html"
[[exercise]]
get = "/lib/exe/css.php?t=dokuwiki&s=print"
status = 200
[[exercise]]
get = "/feed.php?type=atom"
status = 200
"#;

#[test]
fn pages_that_were_never_exercised_answer_as_from_the_whole_root() {
    let _turn = alone();
    if !recipes().iter().any(|name| name == "dokuwiki") {
        return;
    }
    let home = Home::new();
    share_debs(&home);
    let folder = copy_recipe("dokuwiki", &home.path("recipes"));
    let file = folder.join("recipe.toml");
    let mut recipe: toml_edit::DocumentMut =
        fs::read_to_string(&file).expect("reads").parse().expect("is TOML");
    let beyond: toml_edit::DocumentMut = BEYOND.parse().expect("is TOML");
    recipe["exercise"] = beyond["exercise"].clone();
    // The manual of the syntax shows links and a picture of other servers.
    recipe["web"]["links_to"] = toml_edit::value(toml_edit::Array::from_iter(["*"]));
    fs::write(&file, recipe.to_string()).expect("writes");
    assert_says(&home.done(&["check", text(&folder)]).stdout, &["12 steps, compared with the full root"]);
}
