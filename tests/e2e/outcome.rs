//! How a command ends, for scripts and for jobs: exit statuses, JSON on failure, what a terminal of a job
//! gets.

use std::{
    fs::{self, File},
    io::Read as _,
    process::Command,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use super::{
    World,
    support::{Home, assert_says, end, text},
    write_recipe,
};

/// Runs a command that must fail, and returns the `error` of its document.
fn failed(home: &Home, args: &[&str], code: i32) -> Value {
    let ended = home.run(args);
    assert_eq!(ended.code, Some(code), "{args:?}: {}{}", ended.stdout, ended.stderr);
    let mut document: Value = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ended.stdout));
    let error = document["error"].take();
    assert_eq!(error["exit_status"], code, "{args:?}");
    let message = error["message"].as_str().expect("is text");
    assert!(!message.is_empty() && error["causes"].is_array(), "{args:?}: {error}");
    // People are told the same.
    assert_says(&ended.stderr, &[message.lines().next().expect("a line")]);
    error
}

#[test]
fn every_command_that_fails_says_so_in_its_document() {
    let home = Home::new();
    let (folder, file) = (home.path("none"), home.path("none.spk"));
    let (folder, file) = (text(&folder), text(&file));
    let commands: [&[&str]; 16] = [
        &["lock", folder],
        &["update", folder],
        &["stage", folder, "--output", "root.tar"],
        &["trace", folder],
        &["build", folder],
        &["check", folder],
        &["why", file, "tea"],
        &["verify", file],
        &["inspect", file],
        &["diff", file, file],
        &["unpack", file, folder],
        &["serve", file],
        &["fetch", folder, "--output", "pool"],
        &["key", "import", file],
        &["resolve", "tea", "--suite", "bookworm", "--offline", "--mirror", "http://127.0.0.1:1"],
        &["init", "tea", "--offline", "--mirror", "http://127.0.0.1:1"],
    ];
    for command in commands {
        for args in [[command, &["--json"]].concat(), [&["--json"], command].concat()] {
            let error = failed(&home, &args, 1);
            assert_eq!(error["kind"], "failed", "{args:?}");
        }
    }
    // A line that the grammar refuses, and those that only the command can: `run` and `grains log` have no document.
    let wrong: [&[&str]; 5] = [
        &["run", file, "--json"],
        &["grains", "log", "none", "--json"],
        &["verify", "--json"],
        &["--json", "verfy"],
        &["trace", folder, "--interactive", "--merge=x", "--json"],
    ];
    for args in wrong {
        assert_eq!(failed(&home, args, 2)["kind"], "usage", "{args:?}");
    }
    assert_eq!(home.run(&["verify"]).stdout, "");
}

#[test]
fn a_failure_names_its_package_and_its_file() {
    let world = World::new();
    let recipe = text(&world.recipe);
    let error = failed(&world.home, &["build", recipe, "--json"], 1);
    assert_eq!(error["file"], text(&world.recipe.join("recipe.lock")));
    world.lock();
    let url = world.server.url();
    let error =
        failed(&world.home, &world.args(&["resolve", "tee", "--suite", "bookworm", "--json"], &url), 1);
    assert_eq!(error["package"], "tee");
    let error = failed(&world.home, &world.args(&["build", recipe, "--offline", "--json"], &url), 1);
    assert_eq!(
        (&error["package"], &error["packages"]),
        (&"tea".into(), &serde_json::json!(["tea", "water"]))
    );
    assert!(
        error["hint"].as_str().is_some_and(|hint| hint.starts_with("run the same once without --offline"))
    );
    let path = world.recipe.join("recipe.toml");
    let spoilt = fs::read_to_string(&path).expect("reads").replace("suite =", "sweet =");
    fs::write(&path, spoilt).expect("writes");
    let error = failed(&world.home, &["build", recipe, "--json"], 1);
    assert_eq!(
        (&error["file"], &error["line"], &error["column"]),
        (&text(&path).into(), &6.into(), &1.into())
    );
}

#[test]
fn a_lock_that_has_drifted_ends_every_command_with_the_same_status() {
    let world = World::new();
    world.lock();
    let (recipe, url) = (text(&world.recipe), world.server.url());
    let run = |args: &[&str]| world.home.run(&world.args(args, &url));
    let current = run(&["lock", recipe, "--check", "--json"]);
    let document: Value = serde_json::from_str(&current.stdout).expect("is JSON");
    assert_eq!(
        (current.code, &document["up_to_date"], &document["error"]),
        (Some(0), &true.into(), &Value::Null)
    );
    write_recipe(&world.home, r#"["tea", "water"]"#, "");
    let (output, pool) = (world.home.path("root.tar"), world.home.path("pool"));
    let commands: [&[&str]; 9] = [
        &["lock", recipe, "--check"],
        &["lock", recipe, "--locked"],
        &["lock", recipe, "--locked", "--check"],
        &["stage", recipe, "--output", text(&output)],
        &["trace", recipe],
        &["why", recipe, "tea"],
        &["build", recipe],
        &["check", recipe],
        &["fetch", recipe, "--output", text(&pool)],
    ];
    for command in commands {
        for more in [&[][..], &["--locked"], &["--json"]] {
            if command.contains(&"--locked") && more.contains(&"--locked") {
                continue;
            }
            let args = [command, more].concat();
            let ended = run(&args);
            assert_eq!(ended.code, Some(3), "{args:?}: {}{}", ended.stdout, ended.stderr);
            assert_says(&ended.stderr, &["error: ", "recipe.lock w", "hint: "]);
            if more == ["--json"] {
                let document: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
                assert_eq!(document["error"]["kind"], "lock_drifted", "{args:?}");
            }
        }
    }
    let written = run(&["lock", recipe, "--json"]);
    let document: Value = serde_json::from_str(&written.stdout).expect("is JSON");
    assert_eq!((written.code, &document["written"]), (Some(0), &true.into()));
}

/// Runs a command whose standard error is a terminal, and returns what that got.
fn on_terminal(mut command: Command) -> String {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&ours).expect("is ours");
    unlockpt(&ours).expect("is ours");
    let name = ptsname(&ours, Vec::new()).expect("has a name");
    let theirs = File::options().read(true).write(true).open(name.to_str().expect("text")).expect("opens");
    let mut child = command.stderr(theirs).stdout(std::process::Stdio::null()).spawn().expect("starts");
    // Or it would hold the other end.
    drop(command);
    let mut said = Vec::new();
    // Reading ends with an error once the other side is closed (`pty(7)`).
    let _ = File::from(ours).read_to_end(&mut said);
    child.wait().expect("ends");
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn a_terminal_of_a_job_gets_lines_and_one_of_a_person_moves() {
    let world = World::new();
    world.lock();
    let url = world.server.url();
    let stage = |set: &[(&str, &str)], more: &[&str]| {
        let cache = world.home.path("cache/debs");
        fs::remove_dir_all(&cache).ok();
        let mut command = world.home.command();
        command.args(world.args(&["stage", text(&world.recipe), "--output", "root.tar"], &url)).args(more);
        for name in ["CI", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm").envs(set.iter().copied());
        let said = on_terminal(command);
        assert_says(&said, &["cannot configure a root without dpkg"]);
        said
    };
    const MOVES: &str = "\u{1b}[2K";
    const RED: &str = "\u{1b}[1;31merror:\u{1b}[0m ";
    /// Variables and options, and whether something moves and errors are red.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], bool, bool);
    let cases: [Case<'_>; 10] = [
        (&[], &[], true, true),
        (&[("CI", "true")], &[], false, false),
        (&[("CI", "1")], &["--color", "always"], false, true),
        (&[("CI", "woodpecker"), ("CLICOLOR_FORCE", "1")], &[], false, true),
        (&[("CI", "false")], &[], true, true),
        (&[("NO_COLOR", "1")], &[], true, false),
        (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], &["--progress", "plain"], false, false),
        (&[], &["--progress=none", "--color=never"], false, false),
        (&[("TERM", "dumb")], &[], false, false),
        (&[], &["--quiet"], false, true),
    ];
    for (set, more, moves, is_red) in cases {
        let said = stage(set, more);
        assert_eq!(said.contains(MOVES), moves, "{set:?} {more:?}: {said:?}");
        assert_eq!(said.contains(RED), is_red, "{set:?} {more:?}: {said:?}");
        if !moves && !is_red {
            assert!(!said.contains('\u{1b}'), "{set:?} {more:?}: {said:?}");
        }
    }
    // So does what the grammar says.
    for (ci, is_colored) in [("true", false), ("", true)] {
        let mut command = world.home.command();
        command.args(["verify", "--nonsense"]).env("TERM", "xterm").env("CI", ci).env_remove("NO_COLOR");
        let said = on_terminal(command);
        assert_says(&said, &["--nonsense"]);
        assert_eq!(said.contains('\u{1b}'), is_colored, "CI={ci}: {said:?}");
    }
    // Not on a terminal, and yet asked for.
    let mut command = world.home.command();
    let ended = end(command.args(["verify", "none.spk", "--color", "always"]));
    assert!(ended.stderr.starts_with(RED), "{:?}", ended.stderr);
    let ended = end(world.home.command().args(["verify", "none.spk"]).env_remove("CLICOLOR_FORCE"));
    assert!(ended.stderr.starts_with("error: "), "{:?}", ended.stderr);
}
