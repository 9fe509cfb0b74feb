//! The keys that sign: handed over to jobs, brought to other machines, never made where they would be lost.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    World,
    support::{Ended, Home, assert_says, end, text},
    traced_app::TracedApp,
};

#[test]
fn no_key_is_made_with_locked_or_in_ci() {
    let world = World::new();
    world.lock();
    world.server.requests();
    let url = world.server.url();
    let build = |ci: &str, more: &[&str]| {
        let mut command = world.home.command();
        command.args(world.args(&["build", text(&world.recipe)], &url)).args(more).env("CI", ci);
        end(&mut command)
    };
    for (ci, more, why) in [
        ("", &["--locked"][..], "with --locked"),
        ("true", &[], "where CI is set"),
        ("woodpecker", &["--locked", "--quiet"], "with --locked"),
    ] {
        let ended = build(ci, more);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let expected = format!(
            "error: tea has no key in the keyring {}",
            text(&world.home.path(".local/share/tinyroot/keyring"))
        );
        let [generate, export] = [("generate", ""), ("export", " --text --output FILE")]
            .map(|(command, rest)| format!("key {command} --for {}{rest}`", text(&world.recipe)));
        let hint = ["hint: make one", &*generate, &*export, "TINYROOT_KEY", "--key -", "--key-file"];
        assert_says(&ended.stderr, &[&[&*expected, why], &hint[..]].concat());
        // Nothing was fetched for it, and nothing is left of it.
        assert_eq!(world.server.requests().len(), 0);
        assert!(!world.home.path(".local/share/tinyroot").exists());
    }
    for ci in ["", "false", "0"] {
        assert_says(&build(ci, &[]).stderr, &["cannot configure a root without dpkg"]);
    }
    assert!(world.home.path(".local/share/tinyroot/keyring").exists());
    assert_says(&build("true", &["--locked"]).stderr, &["cannot configure a root without dpkg"]);
}

/// Builds without a proof and returns how that ended.
fn build(traced: &TracedApp, output: &Path, data: &str, set: impl FnOnce(&mut Command)) -> Ended {
    let mut command =
        traced.command(&["build", text(&traced.recipe), "--no-proof", "--output", text(output)]);
    command.env("XDG_DATA_HOME", traced.home.path(data));
    set(&mut command);
    end(&mut command)
}

fn key(traced: &TracedApp, data: &str, args: &[&str]) -> Ended {
    let ended = end(traced.home.command().arg("key").args(args).env("XDG_DATA_HOME", traced.home.path(data)));
    assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    ended
}

#[test]
fn a_key_that_is_brought_or_handed_over_gives_the_same_package() {
    let Some(traced) = TracedApp::new() else { return };
    let [first, again] = ["first.spk", "again.spk"].map(|name| traced.home.path(name));
    let ended = build(&traced, &first, "one", |_| {});
    assert_says(&ended.stderr, &["made a key for tea"]);
    let package = fs::read(&first).expect("reads");
    let same = |how: &str, ended: Ended| {
        assert_eq!(ended.code, Some(0), "{how}: {}", ended.stderr);
        assert!(fs::read(&again).expect("reads") == package, "{how}: another package");
        fs::remove_file(&again).expect("removes");
    };
    let recipe = text(&traced.recipe);
    let file = traced.home.path("tea.key");
    let id = key(&traced, "one", &["list"]).stdout;
    key(&traced, "one", &["export", "--for", recipe, "--output", text(&file)]);
    let secret = key(&traced, "one", &["export", id.trim(), "--text"]).stdout;
    assert!(
        secret.trim_end().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)),
        "{secret}"
    );

    // Brought to another machine.
    let imported = key(&traced, "two", &["import", text(&file), "--for", recipe]);
    assert_eq!((imported.stdout, imported.stderr), (id.clone(), String::new()));
    same("import --for", build(&traced, &again, "two", |_| {}));
    // Without a word of its app it is not passed over for a new one.
    let imported = key(&traced, "three", &["import", text(&file)]);
    assert_says(&imported.stderr, &["no app is noted for ", "--for RECIPE"]);
    let ended = build(&traced, &again, "three", |_| {});
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_says(
        &ended.stderr,
        &[
            "tea has no key yet",
            "imported keys of which no app is noted: ",
            id.trim(),
            "hint: say whose",
            recipe,
        ],
    );
    assert_eq!(key(&traced, "three", &["list"]).stdout, id);
    same(
        "--key APPID",
        build(&traced, &again, "three", |command| {
            command.args(["--key", id.trim()]);
        }),
    );
    same("the next", build(&traced, &again, "three", |_| {}));

    // That of another app may be set for all jobs.
    key(&traced, "other", &["generate"]);
    let others = key(&traced, "other", &["export", "--text"]).stdout;
    same(
        "--key APPID of the keyring, and another in the variable",
        build(&traced, &again, "three", |command| {
            command.args(["--key", id.trim()]).env("TINYROOT_KEY", &others);
        }),
    );
    let ended = build(&traced, &again, "job", |command| {
        command.args(["--key", id.trim()]).env("TINYROOT_KEY", &others);
    });
    assert_says(&ended.stderr, &["there is no key for ", id.trim(), " in TINYROOT_KEY"]);

    // Handed to a job.
    same(
        "a variable",
        build(&traced, &again, "job", |command| {
            command.arg("--locked").env("CI", "true").env("TINYROOT_KEY", &secret);
        }),
    );
    same(
        "a file",
        build(&traced, &again, "job", |command| {
            command.args(["--locked", "--key-file", text(&file)]).env("CI", "true");
        }),
    );
    for bytes in [secret.clone().into_bytes(), fs::read(&file).expect("reads")] {
        let input = traced.home.path("input");
        fs::write(&input, bytes).expect("writes");
        same(
            "standard input",
            build(&traced, &again, "job", |command| {
                command.args(["--locked", "--key", "-"]).stdin(File::open(&input).expect("opens"));
            }),
        );
    }
    assert!(!traced.home.path("job/tinyroot/keyring").exists());
    assert!(!traced.home.path("tea.key.apps").exists());
    for (secret, expected) in
        [("", "there is no key in standard input"), ("nonsense", "standard input is not the text of a key")]
    {
        let mut child = traced
            .command(&["build", recipe, "--key", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut input = child.stdin.take().expect("is piped");
        input.write_all(secret.as_bytes()).expect("writes");
        drop(input);
        let output = child.wait_with_output().expect("ends");
        assert_eq!(output.status.code(), Some(1));
        assert_says(&String::from_utf8_lossy(&output.stderr), &[expected, "key export APPID --text"]);
    }
}

#[test]
fn a_second_key_of_an_app_is_not_made_by_hand_either() {
    let world = World::new();
    let recipe = text(&world.recipe);
    let id = world.home.done(&["key", "generate", "--for", recipe]).stdout;
    assert_says(&world.home.fails(&["key", "generate", "--for", recipe]), &["tea has the key ", id.trim()]);
    let listed = world.home.done(&["key", "list", "--json"]).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("is JSON");
    assert_eq!(listed, serde_json::json!({ "keys": [{ "app_id": id.trim(), "app": "tea" }] }));
    assert_says(
        &world.home.fails(&["key", "import", "/dev/null", "--for", recipe]),
        &["there is no key to import"],
    );
}

#[test]
fn a_keyring_in_a_read_only_home_is_used_and_what_is_wrong_with_it_is_named() {
    let world = World::new();
    world.lock();
    world.fetches();
    let url = world.server.url();
    // Cache and recipe lie elsewhere than the home.
    let home = world.home.path("home");
    fs::create_dir(&home).expect("makes");
    let read_only = |args: &[&str]| {
        let script =
            "mount --bind \"$HOME\" \"$HOME\" && mount -o remount,bind,ro \"$HOME\" || exit 77; exec \"$@\"";
        let inner = world.home.command();
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(inner.get_program());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(args).env("HOME", &home);
        end(&mut command)
    };
    let build = world.args(&["build", text(&world.recipe)], &url);
    let ended = read_only(&build);
    if ended.code == Some(77) || ended.stderr.contains("unshare failed") {
        return tinyroot::testing::skip(&format!("a home cannot be made read-only: {}", ended.stderr));
    }
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_says(
        &ended.stderr,
        &[
            "cannot make a key for tea, which has none yet",
            "Read-only file system",
            "hint: ",
            "--key-file FILE",
            "TINYROOT_KEY",
        ],
    );
    assert!(!ended.stderr.contains("take `id` out"), "{}", ended.stderr);
    // What `build` alone can do is not advised elsewhere.
    let ended = read_only(&["key", "generate"]);
    assert_says(
        &ended.stderr,
        &["Read-only file system", "hint: name another keyring with --key-file FILE\n"],
    );
    let made =
        end(world.home.command().args(["key", "generate", "--for", text(&world.recipe)]).env("HOME", &home));
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let ended = read_only(&build);
    assert_says(&ended.stderr, &["cannot configure a root without dpkg"]);
    assert!(!ended.stderr.contains("key for"), "{}", ended.stderr);
}

#[test]
fn a_key_in_the_wrong_place_is_not_repeated() {
    let home = Home::new();
    let ring = home.path("ring");
    home.done(&["key", "--key-file", text(&ring), "generate"]);
    let key = home.done(&["key", "--key-file", text(&ring), "export", "--text"]).stdout;
    let key = key.trim_end();
    let joined = format!("--key={key}");
    let wrong: [(&[&str], &str); 10] = [
        (&["build", "r", "--key", key], "looks like a key"),
        (&["build", "r", &joined], "looks like a key"),
        (&["build", key], "looks like a key"),
        (&["key", "export", key], "looks like a key"),
        (&["key", "import", key], "looks like a key"),
        (&["key", "list", "--key-file", key], "looks like a key"),
        (&[key], "looks like a key"),
        // A part of one, and another secret.
        (&["build", "r", "--key", &key[20..]], "the value of '--key <APPID|->' is not an app id"),
        (&["key", "export", &key[20..]], "the value of '[APPID]...' is not an app id"),
        (&["build", "r", "--key", "hunter2"], "the value of '--key <APPID|->' is not an app id"),
    ];
    let assert_silent = |args: &[&str], ended: &Ended, status: i32, expected: &str| {
        assert_eq!(ended.code, Some(status), "{args:?}: {}", ended.stderr);
        assert_says(&ended.stderr, &[expected]);
        for part in ["AAAA", &key[40..60], &key[140..], "hunter", "1953396073"] {
            assert!(!ended.stdout.contains(part), "{args:?}: {}", ended.stdout);
            assert!(!ended.stderr.contains(part), "{args:?}: {}", ended.stderr);
        }
    };
    for (args, expected) in wrong {
        for json in [&[][..], &["--json"]] {
            let args = [args, json].concat();
            let ended = home.run(&args);
            assert_silent(&args, &ended, 2, expected);
            assert_eq!(ended.stdout.contains("TINYROOT_KEY or on standard input"), !json.is_empty());
        }
    }
    let args = ["key", "list", "--json"];
    let ended = end(home.command().args(args).env("TINYROOT_KEYRING", key));
    assert_silent(&args, &ended, 2, "TINYROOT_KEYRING looks like a key");

    // Where a key belongs, and is another secret.
    let world = World::new();
    world.lock();
    let args = ["build", text(&world.recipe), "--json"];
    for secret in ["hunter2-my-secret", "hunter22", &key[20..]] {
        let ended = end(world.home.command().args(args).env("TINYROOT_KEY", secret));
        assert_silent(&args, &ended, 1, "error: TINYROOT_KEY is not the text of a key");
    }
    let file = home.path("secret");
    fs::write(&file, "hunter22").expect("writes");
    let ended = home.run(&["key", "import", text(&file)]);
    assert_silent(&["key", "import"], &ended, 1, "cause: it is not the text of a key");
}
