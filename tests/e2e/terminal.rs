//! What packages, archives and apps say reaches the terminal as text: nothing of it hides, moves or passes
//! for a line of ours.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use tinyroot::{
    artifact::{self, Details},
    formats::key_file::Key,
    progress::Progress,
    shown,
    store::Store,
    testing::{deb, pack},
    tree::{Entry, TreePath},
};

use super::{
    World,
    support::{Ended, assert_says, end, text},
    traced_app::{TracedApp, with_code},
};

/// Hides what follows, forges lines, sets the clipboard, turns the order of letters around, and has letters
/// that are not seen.
const EVIL: &str = "odd\u{1b}[8m\u{1b}]52;c;aGk=\u{7}\r\napp id      forged\nwarning: forged\u{202e}\u{200b}\u{9b}2J\u{e0041}";

/// Asserts that what a command printed is text, and that its lines are ours.
fn assert_is_text(what: &str, ended: &Ended) {
    for printed in [&ended.stdout, &ended.stderr] {
        assert_eq!(*printed, shown::lines(printed), "{what}");
        // None is so long that its end passes for a line of its own, but those of files.
        let long = printed
            .lines()
            .find(|line| line.contains("forgedforged") && line.len() > 250 && !line.contains("\"title\""));
        assert_eq!(long, None, "{what}");
        let forged = printed
            .lines()
            .find(|line| line.starts_with("app id      forged") || line.starts_with("warning: forged"));
        assert_eq!(forged, None, "{what}:\n{printed}");
    }
}

/// Writes a package that says such things wherever a package can say something.
fn hostile(traced: &TracedApp, honest: &Path, name: &str) -> PathBuf {
    let store = Store::open(&traced.home.path("cache")).expect("opens");
    let progress = Progress::silent();
    let opened = artifact::open(honest, &store, &progress).expect("opens");
    let mut tree = opened.tree.clone();
    let mut add = |path: &str, contents: String| {
        let entry = Entry::file(store.put(contents.clone()), contents.len() as u64, 0o644, 0);
        tree.insert(TreePath::new(path.as_bytes()).expect("a path"), entry);
    };
    let read = |path: &str| {
        let (digest, _) =
            opened.tree.get(path.as_bytes()).and_then(|entry| entry.kind.content()).expect("is there");
        String::from_utf8(store.read(&digest).expect("reads")).expect("text")
    };
    let one_line = EVIL.replace(['\n', '\r'], "\u{85}");
    add(&format!("usr/share/{EVIL}/{EVIL}"), noise(name));
    add(&format!("var/lib/dpkg/info/{}.list", one_line), format!("/usr/share/{EVIL}\n"));
    for (path, found, changed) in [
        ("tinyroot/papers/proof.json", "GET", "GET\\u001b[8m\\n\\u202e"),
        ("tinyroot/papers/bom.json", "\"version\": \"", "\"version\": \"\\u001b[8m\\n\\u202e"),
        ("tinyroot/papers/prune.list", " opened", &format!(" {one_line}")),
        ("var/lib/dpkg/status", "Version: ", &format!("Version: {one_line}")),
        ("tinyroot/var/lib/dpkg/status", "Version: ", &format!("Version: {one_line}")),
    ] {
        if opened.tree.get(path.as_bytes()).is_some() {
            add(path, read(path).replace(found, changed));
        }
    }
    let Details::Spk(spk) = &opened.details else { panic!("is an .spk") };
    let mut manifest = spk.manifest.clone();
    manifest.title = format!("{EVIL} {name}{}app id      {}", " ".repeat(80), "forged".repeat(50));
    manifest.marketing_version = EVIL.into();
    manifest.metadata.short_description = EVIL.into();
    manifest.metadata.contact_email = EVIL.into();
    manifest.metadata.website = format!("https://{EVIL}");
    for action in &mut manifest.actions {
        action.noun_phrase = EVIL.into();
    }
    let out = traced.home.path(name);
    pack(&tree, &store, &manifest, &Key::from_seed([7; 32]), &out);
    out
}

/// Contents that differ by the name.
fn noise(name: &str) -> String {
    name.repeat(4000)
}

#[test]
fn nothing_that_a_package_says_is_more_than_text() {
    let Some(traced) = TracedApp::new() else { return };
    let built = end(&mut traced.command(&["build", text(&traced.recipe)]));
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let (one, two) = (
        hostile(&traced, &traced.recipe.join("tea.spk"), "one.spk"),
        hostile(&traced, &traced.recipe.join("tea.spk"), "two.spk"),
    );
    let (one, two) = (text(&one), text(&two));
    let (out, again) = (traced.home.path("out"), traced.home.path("again"));
    let evil_path = format!("/usr/share/{EVIL}/{EVIL}");
    for (args, code) in [
        (&["verify", one][..], 0),
        (&["verify", one, "--json"], 0),
        (&["inspect", one], 0),
        (&["inspect", one, "--json"], 0),
        (&["diff", one, two], 0),
        (&["diff", one, two, "--json"], 0),
        (&["why", one, "/usr/share/tea/cup"], 0),
        (&["why", one, &evil_path], 0),
        (&["why", one, EVIL], 1),
        (&["why", one, "/usr/bin/perl", "--json"], 0),
        (&["unpack", one, text(&out)], 0),
        (&["unpack", two, text(&again), "--verbose"], 0),
        (&["unpack", two, text(&again)], 1),
        (&["verify", &evil_path], 1),
        (&["grains", "log", EVIL], 1),
        (&["check", EVIL], 1),
        (&["build", EVIL], 1),
    ] {
        let ended = traced.home.run(args);
        assert_is_text(&format!("{args:?}"), &ended);
        assert_eq!(ended.code, Some(code), "{args:?}\n{}{}", ended.stdout, ended.stderr);
    }
    let listed = traced.home.done(&["inspect", one, "--files"]);
    assert_is_text("inspect --files", &listed);

    // As a grain; what of it is listed then.
    let mut command = traced.home.command();
    command.args(["run", one, "--verbose"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("is piped")).read_line(&mut line).expect("reads");
    assert!(line.starts_with("http://"), "{line}");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("ends");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_is_text("run", &Ended { code: output.status.code(), stdout: line, stderr: said });
    for args in [&["grains", "list"][..], &["grains", "list", "--json"]] {
        assert_is_text("grains list", &traced.home.done(args));
    }
}

#[test]
fn nothing_that_an_app_prints_passes_for_a_line_of_ours() {
    let code = r#"if ($path eq "/usr/share/tea/cup") { print STDERR "\e[8mwarn\e]0;title\a\nwarning: forged\nhttp://forged/\n\x{9b}2J\r\n" }"#;
    let Some(traced) = TracedApp::of(&with_code(code), |tea| vec![tea]) else { return };
    let recipe = text(&traced.recipe);
    for args in [
        &["trace", recipe, "--verbose"][..],
        &["build", recipe, "--verbose"],
        &["check", recipe, "--verbose"],
    ] {
        let ended = end(&mut traced.command(args));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_is_text(args[0], &ended);
    }
    let package = traced.recipe.join("tea.spk");
    let mut command = traced.home.command();
    command.args(["run", text(&package)]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let mut url = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("is piped"));
    stdout.read_line(&mut url).expect("reads");
    let got = super::interactive::get(url.trim(), "/usr/share/tea/cup");
    assert!(got.ends_with("cup tea\n"), "{got}");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("ends");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("reads");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_says(&stderr, &["| warning: forged\n", "\\u001b[8mwarn"]);
    assert_eq!(rest, "", "only the URL is on standard output");
    let ended = Ended { code: output.status.code(), stdout: url, stderr };
    assert_is_text("run", &ended);
    let name = traced.home.done(&["grains", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&name.stdout).expect("JSON");
    let grain = listed["grains"][0]["name"].as_str().expect("a name").to_owned();
    let log = traced.home.done(&["grains", "log", &grain]);
    assert_eq!(log.stdout, shown::lines(&log.stdout));
    assert_says(&log.stdout, &["warning: forged"]);
}

#[test]
fn nothing_that_an_archive_says_is_more_than_text() {
    let one_line = EVIL.replace(['\n', '\r'], "\u{85}");
    let world = World::of(vec![
        deb("tea").field("Depends", "water").field("Description", &one_line).field("Homepage", &one_line),
        deb("water").field("Provides", &one_line),
        deb("milk").field("Depends", &one_line),
        deb("cream").version(&one_line),
    ]);
    for args in [
        &["resolve", "--suite", "bookworm", "tea"][..],
        &["resolve", "--suite", "bookworm", "tea", "--json"],
        &["resolve", "--suite", "bookworm", "milk"],
        &["resolve", "--suite", "bookworm", "cream"],
        &["resolve", "--suite", "bookworm", EVIL],
        &["resolve", "--suite", EVIL, "tea"],
        &["lock", text(&world.recipe)],
        &["lock", text(&world.recipe), "--verbose"],
    ] {
        let ended = world.home.run(&world.args(args, &world.server.url()));
        assert_is_text(&format!("{args:?}"), &ended);
    }
}
