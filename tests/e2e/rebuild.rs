//! `verify --rebuild`: a package comes out again from what it encloses, or it is said where it does not.

use std::fs;

use tinyroot::{
    artifact,
    formats::key_file::read_any as read_keys,
    progress::Progress,
    store::Store,
    testing::pack,
    tree::{Entry, TreePath},
};

use super::{
    support::{assert_says, end, names, text},
    traced_app::TracedApp,
};

/// An app whose package was built, and the cache of a stranger, who has neither recipe nor key.
fn built() -> Option<TracedApp> {
    let app = TracedApp::new()?;
    app.done(&["build", text(&app.recipe), "--output", text(&app.home.path("tea.spk"))]);
    fs::remove_dir_all(&app.recipe).expect("removes");
    Some(app)
}

fn verify(app: &TracedApp, more: &[&str]) -> super::support::Ended {
    let (package, cache) = (app.home.path("tea.spk"), app.home.path("stranger"));
    let args = [&["verify", text(&package), "--cache", text(&cache)], more].concat();
    let ended = end(&mut app.command(&args));
    assert_eq!(names(&cache.join("tmp")), Vec::<String>::new());
    ended
}

#[test]
fn a_stranger_makes_the_same_package_without_recipe_and_key() {
    let Some(app) = built() else { return };
    fs::remove_dir_all(app.home.path("cache")).expect("removes");
    let ended = verify(&app, &["--rebuild"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_says(&ended.stdout, &["rebuild     the same bytes, from ", "; its proof was repeated\n"]);
    // The .debs were kept, and nothing else that the rebuild made.
    let cache = app.home.path("stranger");
    assert_eq!(names(&cache.join("debs")).len(), 1);
    assert_eq!(names(&cache.join("bundles")), ["spk"]);
    let ended = verify(&app, &["--rebuild", "--no-proof", "--offline", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_says(&ended.stdout, &[r#""outcome": "same""#, r#""proof": "not_repeated""#]);
}

#[test]
fn a_package_of_a_fast_build_says_so_and_is_made_again_in_the_same_way() {
    let Some(app) = TracedApp::new() else { return };
    let place = |name: &str| text(&app.home.path(name)).to_owned();
    let (slow, fast) = (place("slow.spk"), place("fast.spk"));
    app.done(&["build", text(&app.recipe), "--output", &slow]);
    app.done(&["build", text(&app.recipe), "--output", &fast, "--fast"]);
    let done = |args: &[&str]| {
        let ended = end(&mut app.command(args));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    };
    let verified = done(&["verify", &fast, "--rebuild", "--no-proof"]);
    assert_says(&verified.stderr, &["warning: it was packed with --fast, for development"]);
    assert_says(&verified.stdout, &["rebuild     the same bytes"]);
    assert_says(&done(&["verify", &fast, "--json"]).stdout, &[r#""is_fast": true"#]);
    let verified = done(&["verify", &slow]);
    assert!(!verified.stderr.contains("--fast"), "{}", verified.stderr);
    // What it is packed with goes along through another format.
    let (other, again) = (place("fast.squashfs"), place("again.spk"));
    app.done(&["convert", &fast, &other]);
    app.done(&["convert", &other, &again]);
    assert!(fs::read(&again).expect("reads") == fs::read(&fast).expect("reads"));
}

/// Makes a keyring of one key, and returns its place and the key's name.
fn rebuilder(app: &TracedApp, name: &str) -> (String, String) {
    let ring = text(&app.home.path(name)).to_owned();
    let made = app.home.done(&["key", "generate", "--key-file", &ring]);
    (ring, made.stdout.split_whitespace().next().expect("an app id").to_owned())
}

#[test]
fn the_word_of_two_rebuilders_whom_one_knows_is_taken() {
    let Some(app) = built() else { return };
    let (one, two) = (rebuilder(&app, "one"), rebuilder(&app, "two"));
    let files = [app.home.path("one.json"), app.home.path("two.json")];
    for ((ring, id), file) in [&one, &two].iter().zip(&files) {
        let ended =
            verify(&app, &["--rebuild", "--no-proof", "--attest", text(file), "--key-file", ring.as_str()]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_says(&ended.stdout, &["attested    ", &format!("signed by {id}")]);
    }
    let given = ["--attestation", text(&files[0]), "--attestation", text(&files[1]), "--threshold", "2"];
    let of = |keys: &[&str]| verify(&app, &[&given[..], keys].concat());
    let both = of(&["--rebuilder", &one.1, "--rebuilder", &two.1]);
    assert_eq!(both.code, Some(0), "{}", both.stderr);
    assert_says(&both.stdout, &["attested by ", &one.1, &two.1]);
    let json = of(&["--rebuilder", &one.1, "--rebuilder", &two.1, "--json"]);
    assert_says(&json.stdout, &[r#""threshold": 2"#]);
    let none = of(&[]);
    assert_eq!(none.code, Some(1));
    let parts = ["error: no rebuilder is trusted", "hint: name the keys of rebuilders whom you know", &one.1];
    assert_says(&none.stderr, &parts);
    let few = of(&["--rebuilder", &one.1]);
    assert_says(&few.stderr, &["error: 2 rebuilders are wanted, and 1 can be counted"]);
    // A statement about another package.
    let other = fs::read_to_string(&files[0]).expect("reads");
    let changed = other.replacen("\"payload\": \"e", "\"payload\": \"f", 1);
    assert_ne!(changed, other);
    fs::write(&files[0], changed).expect("writes");
    let forged = of(&["--rebuilder", &one.1, "--rebuilder", &two.1]);
    assert_eq!(forged.code, Some(1));
    assert_says(&forged.stderr, &["is refused as an attestation", "does not hold"]);
}

#[test]
fn a_package_that_its_recipe_does_not_give_is_shown_down_to_the_line() {
    let Some(app) = built() else { return };
    let package = app.home.path("tea.spk");
    let store = Store::open(&app.home.path("forger")).expect("opens");
    let opened = artifact::open(&package, &store, &Progress::silent()).expect("opens");
    let artifact::Details::Spk(spk) = &opened.details else { panic!("is an .spk") };
    let mut tree = opened.tree.clone();
    let cup = b"tinyroot/papers/recipe/used.list";
    assert!(tree.get(cup).is_some());
    let path = TreePath::new(b"usr/share/tea/cup").expect("good");
    let bytes = b"poison\n";
    let mtime_s = tree.get(path.as_bytes()).expect("is there").mtime_s;
    tree.insert(path, Entry::file(store.put(&bytes[..]), bytes.len() as u64, 0o644, mtime_s));
    let (ring, _) = rebuilder(&app, "forgers");
    let key = read_keys(&fs::read(ring).expect("reads")).expect("are keys").remove(0);
    pack(&tree, &store, &spk.manifest, &key, &package);
    let attestation = app.home.path("none.json");
    let (ring, _) = rebuilder(&app, "mine");
    let args = ["--rebuild", "--no-proof", "--attest", text(&attestation), "--key-file", ring.as_str()];
    let ended = verify(&app, &args);
    assert_eq!(ended.code, Some(1));
    assert_says(&ended.stderr, &["is not what its recipe gives: 2 paths differ"]);
    let cup = "/usr/share/tea/cup: contents, 7 B and 8 B, first at byte 0\n    line 1\n    - poison\n    + cup tea\n";
    assert_says(&ended.stdout, &["rebuild     differs", cup, "/tinyroot/papers/proof.json: contents"]);
    assert!(!attestation.exists());
    let json = verify(&app, &["--rebuild", "--no-proof", "--json"]);
    assert_says(&json.stdout, &[r#""outcome": "contents""#, r#""/usr/share/tea/cup""#]);
}

#[test]
fn a_package_of_another_version_is_named_and_refused_unless_told() {
    let Some(app) = built() else { return };
    let package = app.home.path("tea.spk");
    let store = Store::open(&app.home.path("other")).expect("opens");
    let opened = artifact::open(&package, &store, &Progress::silent()).expect("opens");
    let artifact::Details::Spk(spk) = &opened.details else { panic!("is an .spk") };
    let mut tree = opened.tree.clone();
    let path = TreePath::new(b"tinyroot/papers/provenance.json").expect("good");
    let (digest, _) = tree.get(path.as_bytes()).expect("is there").kind.content().expect("is a file");
    let text = String::from_utf8(store.read(&digest).expect("reads")).expect("text");
    let text = text.replace(r#""tinyroot": "0.1.0""#, r#""tinyroot": "0.0.9""#);
    let mtime_s = tree.get(path.as_bytes()).expect("is there").mtime_s;
    tree.insert(path, Entry::file(store.put(text.as_bytes()), text.len() as u64, 0o644, mtime_s));
    let (ring, _) = rebuilder(&app, "others");
    let key = read_keys(&fs::read(ring).expect("reads")).expect("are keys").remove(0);
    pack(&tree, &store, &spk.manifest, &key, &package);
    let refused = verify(&app, &["--rebuild", "--no-proof"]);
    assert_eq!(refused.code, Some(1));
    let parts = [
        "was made by tinyroot 0.0.9, and this is tinyroot 0.1.0",
        "hint: run tinyroot 0.0.9, or try this one with --any-version",
    ];
    assert_says(&refused.stderr, &parts);
    let tried = verify(&app, &["--rebuild", "--no-proof", "--any-version"]);
    assert_eq!(tried.code, Some(1));
    assert_says(&tried.stderr, &["warning: the package was made by tinyroot 0.0.9", "2 paths differ"]);
    assert_says(&tried.stdout, &["/tinyroot/papers/provenance.json", r#"-           "tinyroot": "0.0.9""#]);
}

#[test]
fn standard_input_and_packages_of_others_are_refused() {
    let Some(app) = built() else { return };
    let ended = end(&mut app.command(&["verify", "-", "--rebuild"]));
    assert_eq!(ended.code, Some(1));
    assert_says(&ended.stderr, &["error: cannot rebuild what comes on standard input", "hint: name a file"]);
}
