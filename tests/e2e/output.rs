//! What a command prints arrives where it should, or the command says that it does not.

use std::{
    fs::{self, File},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Command,
};

use serde_json::Value;

use super::{
    support::{Ended, Home, assert_says, end, text},
    traced_app::{self, TracedApp},
};

/// Runs a command without a standard output, as `>&-` of a shell does.
fn without_output(home: &Home, args: &[&str]) -> Ended {
    let inner = home.command();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" >&-", "sh"]).arg(inner.get_program()).args(args);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    end(&mut command)
}

#[test]
fn a_closed_output_is_a_failure_and_a_reader_that_has_seen_enough_is_none() {
    let home = Home::new();
    home.done(&["key", "generate"]);
    let commands: [&[&str]; 8] = [
        &["--help"],
        &["--version"],
        &["key", "--help"],
        &["completions", "bash"],
        &["man"],
        &["key", "list"],
        &["key", "list", "--json"],
        &["key", "export"],
    ];
    for args in commands {
        let ended = without_output(&home, args);
        assert_eq!(ended.code, Some(1), "{args:?}: {}", ended.stderr);
        assert_says(&ended.stderr, &["error: cannot write to standard output: it is closed"]);
        let (ours, theirs) = UnixStream::pair().expect("makes");
        drop(ours);
        let ended = end(home.command().args(args).stdout(OwnedFd::from(theirs)));
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{args:?}");
        let full = File::options().write(true).open("/dev/full").expect("is there");
        let ended = end(home.command().args(args).stdout(full));
        assert_eq!(ended.code, Some(1), "{args:?}: {}", ended.stderr);
        assert_says(
            &ended.stderr,
            &["error: cannot write to standard output\n  cause: No space left on device"],
        );
        assert!(!home.done(args).stdout.is_empty());
    }
    // Nothing is due on it.
    let ended = without_output(&home, &["key", "export", "--output", text(&home.path("ring"))]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn every_command_that_prints_notices_its_output() {
    let Some(traced) = TracedApp::new() else { return };
    let (package, pool) = (traced.home.path("tea.spk"), traced.home.path("pool"));
    let (recipe, package) = (text(&traced.recipe), text(&package));
    traced.done(&["build", recipe, "--no-proof", "--output", package]);
    let commands: [&[&str]; 15] = [
        &["resolve", "tea"],
        &["resolve", "tea", "--json"],
        &["lock", recipe, "--check", "--json"],
        &["fetch", recipe, "--output", text(&pool), "--json"],
        &["build", recipe, "--no-proof", "--output", package],
        &["build", recipe, "--no-proof", "--output", package, "--json"],
        &["check", package],
        &["why", package, "/usr/share/tea/cup"],
        &["verify", package],
        &["verify", package, "--json"],
        &["inspect", package],
        &["diff", package, package],
        &["diff", package, package, "--json"],
        &["grains", "list", "--json"],
        &["cache", "list"],
    ];
    for args in commands {
        let (ours, theirs) = UnixStream::pair().expect("makes");
        drop(ours);
        let ended = end(traced.command(args).stdout(OwnedFd::from(theirs)));
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        let full = File::options().write(true).open("/dev/full").expect("is there");
        let ended = end(traced.command(args).stdout(full));
        assert_eq!(ended.code, Some(1), "{args:?}: {}", ended.stderr);
        assert_says(&ended.stderr, &["error: cannot write", "No space left on device"]);
    }
}

#[test]
fn an_app_whose_url_cannot_be_printed_is_not_left_running() {
    let Some(traced) = TracedApp::new() else { return };
    let package = traced.home.path("tea.spk");
    let package = text(&package);
    traced.done(&["build", text(&traced.recipe), "--no-proof", "--output", package]);
    for args in [&["run", package][..], &["serve", package]] {
        let full = File::options().write(true).open("/dev/full").expect("is there");
        let ended = end(traced.command(args).stdout(full));
        assert_eq!(ended.code, Some(1), "{args:?}: {}", ended.stderr);
        assert_says(&ended.stderr, &["error: cannot write", "No space left on device"]);
    }
}

#[test]
fn a_package_over_its_budget_is_there_and_the_status_says_so() {
    let recipe = format!("{}[budget]\nartifact = \"10 kB\"\n", traced_app::RECIPE);
    let Some(traced) = TracedApp::of(&recipe, |tea| vec![tea]) else { return };
    let package = traced.home.path("tea.spk");
    for _ in 0..2 {
        let args = ["build", text(&traced.recipe), "--no-proof", "--json", "--output", text(&package)];
        let ended = end(&mut traced.command(&args));
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert_says(&ended.stderr, &["limit exceeded: ", "over its budget of 10.0 kB"]);
        let document: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
        let error = &document["error"];
        assert_eq!((&error["kind"], &error["exit_status"]), (&"limit_exceeded".into(), &3.into()));
        assert!(package.exists());
    }
    // Other formats compress less, and so does --fast, which is no news of the app.
    traced.done(&["build", text(&traced.recipe), "--no-proof", "--fast", "--output", text(&package)]);
    let image = traced.home.path("tea.oci.tar");
    traced.done(&["build", text(&traced.recipe), "--no-proof", "--format", "oci", "--output", text(&image)]);
    let said = traced.home.done(&["inspect", text(&image)]).stdout;
    assert_says(&said, &["budget   10.0 kB for the .spk\n"]);
    // What a command line says wrong ends with 2, and writes nothing.
    let package = text(&package);
    let (recipe, zip) = (text(&traced.recipe), traced.home.path("tea.zip"));
    for (args, said) in [
        (
            &["kube", package, "--grain", "A b"][..],
            "cannot name an object of Kubernetes\nhint: take lower-case",
        ),
        (&["kube", package, "--memory", "foo"], "`foo` is not a quantity of Kubernetes\nhint: "),
        (
            &["kube", package, "--cpu", "5m"],
            "`5m` is not a number of processors\nhint: such as 2, 0.5 or 500m",
        ),
        (&["kube", package, "--image", "bad ref!!"], "`bad ref!!` is not the name of an image\nhint: "),
        (&["convert", package, text(&zip)], "does not say its format\nhint: "),
        (
            &["convert", package, "-", "--format", "tar"],
            "is not written to standard output\nhint: name a file",
        ),
        (&["update", recipe, "--dry-run", "--fail-over", "1%"], "cannot be used with"),
    ] {
        let ended = traced.home.run(args);
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{args:?}: {}", ended.stderr);
        assert_says(&ended.stderr, &["error: ", said]);
    }
}

#[test]
fn json_and_another_format_are_wrong_usage() {
    let home = Home::new();
    for (args, format) in [
        (&["inspect", "tea.spk", "--format", "html"][..], "html"),
        (&["diff", "a.spk", "b.spk", "--format", "markdown"], "markdown"),
        (&["diff", "a.spk", "b.spk", "--format", "text"], "text"),
        (&["log", "recipes/tea", "--format", "html"], "html"),
    ] {
        let ended = home.run(&[args, &["--json"]].concat());
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        let said = format!("--json cannot be used with --format {format}");
        assert_eq!(ended.stderr, format!("error: {said}\n"));
        let document: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
        assert_eq!(
            (&document["error"]["kind"], &document["error"]["message"]),
            (&"usage".into(), &said.into())
        );
    }
    let ended = home.run(&["inspect", "tea.spk", "--format", "json", "--json"]);
    assert_says(&ended.stderr, &["error: cannot open tea.spk"]);
}

#[test]
fn a_fault_of_standard_input_or_of_the_output_is_named() {
    let home = Home::new();
    for args in [&["verify", "-"][..], &["inspect", "-"], &["why", "-", "tea"], &["key", "import", "-"]] {
        let ended = end(home.command().args(args).stdin(File::open("/").expect("opens")));
        assert_eq!(ended.code, Some(1), "{args:?}");
        assert_says(&ended.stderr, &["error: cannot read standard input", "Is a directory"]);
    }
    home.done(&["key", "generate"]);
    let file = home.path("ring");
    fs::write(&file, "mine").expect("writes");
    let said = home.fails(&["key", "export", "--output", text(&file)]);
    assert_says(&said, &["cannot write ", text(&file), "File exists", "hint: ", "name another file"]);
    assert_eq!(fs::read(&file).expect("reads"), b"mine");
}

#[test]
fn what_is_no_document_is_not_written_where_json_is_asked_for() {
    let home = Home::new();
    home.done(&["key", "generate"]);
    let leave = "leave out --json";
    for (args, what, hint) in [
        (&["key", "export"][..], "a keyring on standard output", "name a file with --output FILE"),
        (&["stage", "tea", "-o", "-"], "a tar on standard output", "name a file with --output FILE.tar"),
        (&["run", "tea.spk"], "run", leave),
        (&["grains", "log", "tea"], "grains log", leave),
        (&["completions", "bash"], "completions", leave),
        (&["man"], "man", leave),
        (&["docs", "recipe"], "docs", leave),
    ] {
        let ended = home.run(&[args, &["--json"]].concat());
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stderr, format!("error: {what} has no JSON\nhint: {hint}\n"));
        let document: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
        let error = &document["error"];
        assert_eq!((&error["kind"], &error["hint"]), (&"usage".into(), &hint.into()), "{args:?}");
        assert_eq!(error["message"], format!("{what} has no JSON"));
    }
}

#[test]
fn keys_that_are_exported_and_imported_are_reported_as_json() {
    let home = Home::new();
    let document = |args: &[&str]| -> Value {
        serde_json::from_str(&home.done(&[args, &["--json"]].concat()).stdout).expect("is JSON")
    };
    let ring = home.path("ring");
    let made = document(&["key", "generate"]);
    let exported = document(&["key", "export", "--output", text(&ring)]);
    assert_eq!((&exported["output"], &exported["keys"]), (&text(&ring).into(), &made["keys"]));
    assert_eq!(fs::metadata(&ring).expect("is there").len(), 128);
    let again = document(&["key", "import", text(&ring)]);
    assert_eq!(again["imported"], Value::Array(Vec::new()));
    let app_id = made["keys"][0]["app_id"].as_str().expect("is text");
    let public = document(&["key", "public", app_id]);
    assert_eq!(public["app_id"], app_id);
    assert_eq!(public["public_key"], home.done(&["key", "public", app_id]).stdout);
}

#[test]
fn what_is_written_to_files_is_reported_as_json() {
    let Some(traced) = TracedApp::new() else { return };
    let document = |args: &[&str]| -> Value {
        let ended = end(&mut traced.command(args));
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"))
    };
    let [package, tar, root, unpacked] =
        ["tea.spk", "root.tar", "root", "unpacked"].map(|name| traced.home.path(name));
    let recipe = text(&traced.recipe);
    traced.done(&["build", recipe, "--no-proof", "--output", text(&package)]);
    let staged = document(&["stage", recipe, "--output", text(&tar), "--json"]);
    assert_eq!(staged["output"], text(&tar));
    assert_eq!(staged["size_bytes"], fs::metadata(&tar).expect("is there").len());
    assert!(staged["packages"].as_u64() > Some(0) && staged["paths"].as_u64() > Some(0), "{staged}");
    let staged = document(&["stage", recipe, "--output", text(&root), "--json"]);
    assert_eq!((&staged["output"], &staged["size_bytes"]), (&text(&root).into(), &Value::Null));
    let written = document(&["unpack", text(&package), text(&unpacked), "--json"]);
    assert_eq!(written["directory"], text(&unpacked));
    assert_eq!(written["size_bytes"], fs::metadata(&package).expect("is there").len());
    for name in ["tea.tar", "tea.oci.tar", "tea.oci", "tea.squashfs", "tea.erofs"] {
        let image = traced.home.path(name);
        let written = document(&["convert", text(&package), text(&image), "--json"]);
        let read = document(&["inspect", text(&image), "--json"]);
        assert_eq!((&read["format"], &read["sha256"]), (&written["format"], &written["sha256"]), "{name}");
        document(&["verify", text(&image), "--json"]);
        document(&["check", text(&image), "--json"]);
        document(&["why", text(&image), "tea", "--json"]);
        let back = traced.home.path("back.spk");
        traced.done(&["convert", text(&image), text(&back)]);
        assert_eq!(fs::read(&back).expect("is there"), fs::read(&package).expect("is there"), "{name}");
        let built = traced.home.path(&format!("built-{name}"));
        let format = written["format"].as_str().expect("is text");
        let args = ["build", recipe, "--no-proof", "--format", format, "--output", text(&built), "--json"];
        assert_eq!(document(&args)["sha256"], written["sha256"], "{name}");
    }
    // A package on standard input can be asked, too.
    let mut command = traced.command(&["why", "-", "/usr/share/tea/cup"]);
    let ended = end(command.stdin(File::open(&package).expect("opens")));
    assert_says(&ended.stdout, &["/usr/share/tea/cup of tea is kept"]);
}

#[test]
fn documents_that_no_other_test_asks_for_are_as_their_schemas_say() {
    let Some(traced) = TracedApp::new() else { return };
    let package = traced.home.path("tea.spk");
    let package = text(&package);
    traced.done(&["build", text(&traced.recipe), "--no-proof", "--output", package]);
    let commands: [&[&str]; 10] = [
        &["trace", text(&traced.recipe), "--json"],
        &["key", "generate", "--json"],
        &["cache", "check", "--json"],
        &["check", package, "--json"],
        &["check", package, "--times", "1", "--json"],
        &["resolve", "tea", "--explain", "tea", "--json"],
        &["inspect", package, "--files", "--json"],
        &["why", package, "tea", "--json"],
        &["why", package, "/usr/share/tea/cup", "--json"],
        &["why", package, "/tinyroot/init", "--json"],
    ];
    for args in commands {
        let ended = end(&mut traced.command(args));
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        let document: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
        assert!(document.get("error").is_none(), "{args:?}: {document}");
    }
}
