//! How little a command needs: no home, no cache, no place to write to, no name of its user.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use tinyroot::{
    sandbox::is_full_root,
    testing::{deb, skip},
};

use super::{
    support::{Ended, assert_says, end, names, text},
    traced_app::{RECIPE, TracedApp},
};

/// tinyroot with nothing in its environment but what is given.
fn bare(environment: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyroot"));
    command.env_clear().envs(environment.iter().copied()).arg("--quiet").args(args);
    command
}

/// The user whom no file of the system names.
const NOBODY_KNOWN: u32 = 54321;

#[test]
fn what_only_reads_needs_no_home_no_cache_and_no_place_to_write_to() {
    let Some(traced) = TracedApp::new() else { return };
    let place = traced.home.path("open");
    fs::create_dir(&place).expect("makes");
    let package = place.join("tea.spk");
    traced.done(&["build", text(&traced.recipe), "--no-proof", "--output", text(&package)]);
    // The home of the test is its owner's alone, and this user is another.
    fs::set_permissions(traced.home.path(""), fs::Permissions::from_mode(0o755)).expect("opens it");
    let package = text(&package);
    // Nothing can be made in /proc.
    let nowhere: [(&str, &str); 3] = [("TMPDIR", "/proc"), ("HOME", "/proc"), ("XDG_RUNTIME_DIR", "/proc")];
    let cache = traced.home.path("cache");
    let read_only = [("TMPDIR", "/proc"), ("HOME", "/nonexistent"), ("TINYROOT_CACHE", text(&cache))];
    let environments: [&[(&str, &str)]; 4] = [&[], &[("TMPDIR", "/proc")], &nowhere, &read_only];
    let commands: [(&[&str], &str); 7] = [
        (&["verify", package], "app id      "),
        (&["inspect", package], "by package"),
        (&["inspect", package, "--json"], "\"app_id\": "),
        (&["why", package, "/usr/share/tea/cup"], "/usr/share/tea/cup of tea is kept"),
        (&["why", package, "tea"], "paths kept"),
        (&["diff", package, package, "--fail-over", "0"], "the contents are the same"),
        (&["diff", package, package, "--format", "markdown"], "**package file**"),
    ];
    let before = names(&cache.join("packs"));
    let mut users = vec![("ours", None)];
    match is_full_root() {
        true => users.push(("no one's", Some(NOBODY_KNOWN))),
        false => skip("root, to run as a user without a name"),
    }
    for (user, id) in users {
        let run = |command: &mut Command| match id {
            Some(id) => end(command.uid(id).gid(id)),
            None => end(command),
        };
        for (index, environment) in environments.into_iter().enumerate() {
            // The others differ in where what is unpacked lies.
            let commands = if index < 2 { &commands[..1] } else { &commands[..] };
            for (args, expected) in commands {
                let ended = run(&mut bare(environment, args));
                assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{user}: {environment:?} {args:?}");
                assert_says(&ended.stdout, &[expected]);
            }
        }
        let input = fs::File::open(package).expect("opens");
        let ended = run(bare(&nowhere, &["verify", "-"]).stdin(input));
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{user}");
        let ended = run(bare(&nowhere, &["verify", "-"]).stdin(fs::File::open("/dev/null").expect("opens")));
        assert_says(&ended.stderr, &["error: standard input is refused"]);
        let target = tempfile::tempdir().expect("a directory");
        fs::set_permissions(target.path(), fs::Permissions::from_mode(0o777)).expect("opens it");
        let ended = run(&mut bare(&nowhere, &["unpack", package, text(&target.path().join("tea"))]));
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{user}");
        assert!(target.path().join("tea/usr/share/tea/cup").exists());
    }
    assert!(names(&cache.join("packs")).len() <= before.len() + 1);
}

/// Runs a command where a cache is a disk of a few kB.
fn on_a_small_disk(cache: &Path, command: &Command) -> Option<Ended> {
    let script = "mount -t tmpfs -o size=120k,mode=700 none \"$0\" || exit 77; exec \"$@\"";
    let mut outer = Command::new("unshare");
    outer.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, text(cache)]);
    outer.arg(command.get_program()).args(command.get_args());
    let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let ended = end(outer.envs(environment));
    if ended.code == Some(77) || ended.stderr.contains("unshare failed") {
        skip(&format!("a file system cannot be mounted: {}", ended.stderr));
        return None;
    }
    Some(ended)
}

#[test]
fn what_only_reads_does_without_a_cache_that_cannot_be_used() {
    let Some(traced) = TracedApp::new() else { return };
    let package = traced.home.path("tea.spk");
    traced.done(&["build", text(&traced.recipe), "--no-proof", "--output", text(&package)]);
    let package = text(&package);
    let place = |name: &str| {
        let path = traced.home.path(name);
        fs::create_dir(&path).expect("makes");
        path
    };
    let [foreign, sticky, small] = ["foreign", "sticky", "small"].map(place);
    fs::write(foreign.join("mine"), "mine").expect("writes");
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o755)).expect("sets");
    fs::set_permissions(&sticky, fs::Permissions::from_mode(0o1777)).expect("sets");
    let key = "k".repeat(40);
    let runs = |cache: &Path, args: &[&str], tmp: &str| {
        let environment = [
            ("TINYROOT_CACHE", text(cache)),
            ("TINYROOT_CACHE_KEY", &key),
            ("HOME", "/proc"),
            ("TMPDIR", tmp),
        ];
        bare(&environment, args)
    };
    let commands: [&[&str]; 4] = [
        &["verify", package],
        &["inspect", package],
        &["why", package, "/usr/share/tea/cup"],
        &["diff", package, package],
    ];
    for args in commands {
        // The last one has entries of another seal.
        for cache in [&foreign, &sticky, &traced.home.path("cache")] {
            let ended = end(&mut runs(cache, args, "/tmp"));
            assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{} {args:?}", cache.display());
        }
        for tmp in ["/tmp", text(&small)] {
            let Some(ended) = on_a_small_disk(&small, &runs(&small, args, tmp)) else { return };
            assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "full, {tmp} {args:?}");
        }
    }
    assert_eq!(names(&foreign), ["mine"]);
    assert_eq!(fs::metadata(&foreign).expect("is there").permissions().mode() & 0o7777, 0o755);
    // Who writes to it says so.
    let ended = traced.home.run(&["cache", "list", "--cache", text(&foreign)]);
    assert_eq!(ended.code, Some(1));
    assert_says(&ended.stderr, &["as a cache: it holds other things, such as `mine`", "/foreign/tinyroot"]);
}

#[test]
fn a_cache_of_root_that_another_user_cannot_read_is_not_called_empty() {
    let world = super::World::new();
    world.lock();
    if !is_full_root() {
        return skip("root, to run as a user without a name");
    }
    fs::set_permissions(world.home.path(""), fs::Permissions::from_mode(0o755)).expect("opens it");
    let cache = world.home.path("cache");
    let environment = [("TINYROOT_CACHE", text(&cache)), ("HOME", "/proc"), ("TMPDIR", "/tmp")];
    let ended = end(bare(&environment, &["cache", "list"]).uid(NOBODY_KNOWN).gid(NOBODY_KNOWN));
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert_says(&ended.stderr, &["error: cannot list ", "ermission denied"]);
}

/// Runs tinyroot where a cache cannot be written.
fn over_read_only(traced: &TracedApp, cache: &Path, args: &[&str]) -> Option<Ended> {
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" || exit 77; exec \"$@\"";
    let inner = traced.command(args);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, text(cache)]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let tmp = traced.home.path("tmp");
    fs::create_dir_all(&tmp).expect("makes");
    let ended = end(command.env("TMPDIR", &tmp).env("TINYROOT_CACHE", cache));
    if ended.code == Some(77) || ended.stderr.contains("unshare failed") {
        skip(&format!("a cache cannot be made read-only: {}", ended.stderr));
        return None;
    }
    // What was made went away with the process.
    for place in names(&tmp) {
        assert_eq!(names(&tmp.join(place)), Vec::<String>::new());
    }
    Some(ended)
}

#[test]
fn a_read_only_cache_is_used_as_far_as_it_goes() {
    let milk = || deb("milk").field("Essential", "yes").file("usr/share/milk", 0o644, "white\n");
    let Some(traced) = TracedApp::of(RECIPE, |tea| vec![tea, milk()]) else { return };
    let [first, again] = ["first.spk", "again.spk"].map(|name| traced.home.path(name));
    let args = |output| ["build", text(&traced.recipe), "--no-proof", "--offline", "--output", text(output)];
    traced.done(&args(&first));
    let package = fs::read(&first).expect("reads");
    let cache = traced.home.path("cache");
    let warning = format!(
        "warning: the cache {} cannot be written (read-only filesystem or storage medium), so what is made lies in ",
        cache.display()
    );
    let layers = || fs::remove_dir_all(cache.join("bundles/layer")).expect("removes");
    // All of it; without what was configured, in a cache that is open to the eyes of others; without one of
    // the packages; without any.
    let steps: [&dyn Fn(); 4] = [
        &|| {},
        &|| {
            layers();
            fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).expect("opens it");
        },
        &|| {
            let debs = cache.join("bundles/deb");
            fs::remove_file(debs.join(&names(&debs)[0])).expect("removes");
        },
        &|| {
            fs::remove_dir_all(cache.join("packs")).expect("removes");
            fs::remove_dir_all(cache.join("bundles")).expect("removes");
        },
    ];
    for (number, step) in steps.iter().enumerate() {
        step();
        let before = names(&cache.join("packs"));
        let Some(ended) = over_read_only(&traced, &cache, &args(&again)) else { return };
        assert_eq!(ended.code, Some(0), "step {number}: {}", ended.stderr);
        assert_says(&ended.stderr, &[&warning, "--cache DIR"]);
        assert_eq!(ended.stderr.matches("warning: the cache").count(), 1, "{}", ended.stderr);
        assert!(fs::read(&again).expect("reads") == package, "step {number}: another package");
        fs::remove_file(&again).expect("removes");
        assert_eq!(names(&cache.join("packs")), before, "step {number}");
    }
    // One that is not there and cannot be made is none.
    let Some(ended) = over_read_only(
        &traced,
        &cache,
        &["lock", text(&traced.recipe), "--check", "--cache", text(&cache.join("new"))],
    ) else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_says(&ended.stderr, &["/new cannot be written", "is up to date"]);
}
