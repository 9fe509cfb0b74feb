//! One cache for several: jobs at once, other users, and a disk that damages all of it.

use std::{
    fs::{self, File},
    os::unix::{
        fs::{FileExt as _, PermissionsExt as _, lchown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tinyroot::testing::{Deb, deb, skip};

use super::{
    World, configuring, debs, noise,
    support::{assert_says, end, names, text},
    traced_app::TracedApp,
};

/// Returns the bytes of all files below a directory, but for the mark of a cache.
pub fn size_bytes(directory: &Path) -> u64 {
    let paths = names(directory).into_iter().filter(|name| name != "CACHEDIR.TAG");
    let paths = paths.map(|name| directory.join(name));
    let size = |path: PathBuf| match fs::symlink_metadata(&path).expect("is there") {
        found if found.is_dir() => size_bytes(&path),
        found => found.len(),
    };
    paths.map(size).sum()
}

/// Copies a cache, as a CI service restores one, for a user.
fn restore(from: &Path, to: &Path, uid: u32) {
    fs::create_dir(to).expect("makes");
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        match fs::symlink_metadata(&from).expect("is there").is_dir() {
            true => restore(&from, &to, uid),
            false => {
                fs::copy(&from, &to).expect("copies");
                fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).expect("sets");
                lchown(&to, Some(uid), Some(uid)).expect("gives it away");
            }
        }
    }
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).expect("sets");
    lchown(to, Some(uid), Some(uid)).expect("gives it away");
}

/// An app that depends on as many packages.
fn many(count: usize) -> Vec<Deb> {
    let names: Vec<String> = (0..count).map(|number| format!("leaf{number}")).collect();
    let leaf = |name: &String| deb(name).file(&format!("usr/share/{name}"), 0o644, noise(50_000));
    let leaves: Vec<Deb> = names.iter().map(leaf).collect();
    let tea = deb("tea").version("2").field("Depends", &names.join(", "));
    [vec![tea], leaves].concat()
}

#[test]
fn a_cache_all_of_which_is_damaged_is_mended_in_the_same_run() {
    let world = World::of(many(30));
    world.lock();
    world.fetches();
    let packs = world.home.path("cache/packs");
    let whole = names(&packs).len();
    assert_eq!(whole, 31);
    for name in names(&packs) {
        let path = packs.join(name);
        let bytes = fs::read(&path).expect("reads");
        let file = File::options().write(true).open(&path).expect("opens");
        for at in (100..bytes.len()).step_by(1000) {
            file.write_all_at(&[bytes[at] ^ 1], at as u64).expect("writes");
        }
    }
    let stage = ["stage", text(&world.recipe), "--output", "root.tar"];
    let said = world.fails(&stage);
    assert_says(&said, &["warning: ", "cannot configure a root without dpkg"]);
    assert_eq!(said.matches("was changed since tinyroot wrote it; it was removed").count(), whole, "{said}");
    let said = world.fails(&stage);
    assert!(!said.contains("was changed"), "{said}");
    // The same for one that lacks half of everything.
    for name in names(&packs) {
        File::options().write(true).open(packs.join(name)).expect("opens").set_len(100).expect("cuts");
    }
    assert_says(&world.fails(&stage), &["cannot configure a root without dpkg"]);
    assert_eq!(names(&packs).len(), whole);
}

#[test]
fn a_cache_that_holds_what_was_unpacked_needs_no_downloads() {
    let world = World::of(many(20));
    world.lock();
    world.fetches();
    let debs = world.home.path("cache/debs");
    names(&debs).iter().for_each(|name| fs::remove_file(debs.join(name)).expect("removes"));
    world.server.requests();
    world.fetches();
    assert_eq!(names(&debs), Vec::<String>::new());
    assert!(world.server.requests().iter().all(|request| !request.path.ends_with(".deb")));
    // They come again where what was unpacked is damaged.
    let packs = world.home.path("cache/packs");
    for name in names(&packs) {
        let path = packs.join(name);
        let bytes = fs::read(&path).expect("reads");
        let file = File::options().write(true).open(&path).expect("opens");
        for at in (100..bytes.len()).step_by(1000) {
            file.write_all_at(&[bytes[at] ^ 1], at as u64).expect("writes");
        }
    }
    world.fetches();
    assert_eq!(names(&debs).len(), 21);
}

fn start(world: &World, output: &str, cache: &str) -> Child {
    let url = world.server.url();
    let args = ["stage", text(&world.recipe), "--output", output, "--verbose"];
    let mut command = world.home.command();
    command.args(world.args(&args, &url)).env("TINYROOT_CACHE", world.home.path(cache));
    command.current_dir(world.home.path("")).stderr(Stdio::piped()).spawn().expect("starts")
}

fn said(child: Child) -> String {
    let output = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn two_jobs_on_one_cold_cache_take_the_work_and_the_space_of_one() {
    let slow = deb("tea").version("2").field("Depends", "water").file("usr/bin/tea", 0o755, noise(3 << 20));
    let slow = slow.script("postinst", "#!/bin/sh\nsleep 2\n");
    let water = debs().into_iter().find(|deb| deb.get("Package") == "water").expect("is there");
    let Some(world) = configuring::world(vec![slow, water], "") else { return };
    said(start(&world, "alone.tar", "alone"));
    let fetched = |world: &World| {
        let requests = world.server.requests();
        requests.iter().filter(|request| request.path.ends_with(".deb")).count()
    };
    let alone = fetched(&world);
    assert!(alone >= 3, "{alone}");
    let jobs = ["one.tar", "other.tar"].map(|output| start(&world, output, "shared"));
    let told: Vec<String> = jobs.into_iter().map(said).collect();
    let times = |text: &str| told.iter().filter(|said| said.contains(text)).count();
    assert_eq!(times("configuring packages"), 1, "{told:?}");
    // At once, and not when it is over.
    assert_eq!(times("waiting for another tinyroot that configures the same packages\n"), 1, "{told:?}");
    assert_eq!(fetched(&world), alone);
    let [alone, shared] = ["alone", "shared"].map(|cache| size_bytes(&world.home.path(cache)));
    assert_eq!(alone, shared);
    let read = |name| fs::read(world.home.path(name)).expect("reads");
    assert!(read("one.tar") == read("other.tar") && read("one.tar") == read("alone.tar"));
}

#[test]
fn a_job_goes_on_where_a_killed_one_left_its_turn() {
    let slow = deb("tea").version("2").script("postinst", "#!/bin/sh\nsleep 2\n");
    let Some(world) = configuring::world(vec![slow], "") else { return };
    let mut killed = start(&world, "one.tar", "shared");
    let tmp = world.home.path("shared/tmp");
    let is_configuring = || {
        let runs = names(&tmp).into_iter().map(|run| tmp.join(run));
        runs.flat_map(|run| names(&run)).any(|name| name.starts_with("configure-"))
    };
    while !is_configuring() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let waiting = start(&world, "other.tar", "shared");
    std::thread::sleep(std::time::Duration::from_millis(300));
    killed.kill().expect("is killed");
    killed.wait().expect("ends");
    assert_says(&said(waiting), &["waiting for another tinyroot", "configuring packages"]);
}

#[test]
fn a_cache_that_root_filled_is_warm_for_another_user() {
    let Some(world) = configuring::world(vec![deb("tea").version("2")], "") else { return };
    let key = "k".repeat(40);
    let url = world.server.url();
    let stage = |mut command: Command, cache: &Path| {
        let args = ["stage", text(&world.recipe), "--output", "-", "--verbose"];
        command.args(world.args(&args, &url)).env("TINYROOT_CACHE", cache);
        let ended = end(command.env("TINYROOT_CACHE_KEY", &key).current_dir("/"));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stderr
    };
    let [cache, copy] = ["cache", "copy"].map(|name| world.home.path(name));
    assert_says(&stage(world.home.command(), &cache), &["configuring packages"]);
    if !is_root() {
        return skip("root, to give a cache to another user");
    }
    restore(&cache, &copy, 65534);
    fs::set_permissions(world.home.path(""), fs::Permissions::from_mode(0o755)).expect("opens");
    let program = world.home.path("tinyroot");
    fs::copy(env!("CARGO_BIN_EXE_tinyroot"), &program).expect("copies");
    let mut command = Command::new(&program);
    command.env("HOME", world.home.path("none")).uid(65534).gid(65534);
    let said = stage(command, &copy);
    assert!(!said.contains("configuring packages") && !said.contains("not used"), "{said}");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0)
}

#[test]
fn a_root_that_was_configured_with_one_id_does_for_builds_with_all() {
    let Some(traced) = TracedApp::new() else { return };
    let build = |output: &str, way: Option<&str>| {
        let output = traced.home.path(output);
        let mut command =
            traced.command(&["build", text(&traced.recipe), "--verbose", "--output", text(&output)]);
        let ended = end(command.envs(way.map(|way| ("TINYROOT_WAY", way))));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        (ended.stderr, fs::read(output).expect("reads"))
    };
    let (_, first) = build("first.spk", None);
    for gone in ["bundles/layer", "notes"] {
        fs::remove_dir_all(traced.home.path("cache").join(gone)).expect("removes");
    }
    let (said, second) = build("second.spk", Some("single"));
    assert_says(&said, &["configuring packages"]);
    let (said, third) = build("third.spk", None);
    assert!(!said.contains("configuring packages"), "{said}");
    assert!(first == second && first == third);
}

#[test]
fn a_cache_can_be_listed_trimmed_and_checked() {
    let world = World::new();
    world.lock();
    world.fetches();
    let cache = world.home.path("cache");
    let listed = || {
        let text = world.home.done(&["cache", "list", "--json"]).stdout;
        serde_json::from_str::<serde_json::Value>(&text).expect("is JSON")
    };
    let document = listed();
    let counts: Vec<(&str, u64)> = document["kinds"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|kind| (kind["kind"].as_str().expect("a name"), kind["count"].as_u64().expect("a number")))
        .collect();
    assert_eq!(counts, [("indexes", 4), ("downloads", 2), ("unpacked_packages", 2)]);
    assert_eq!(document["size_bytes"].as_u64(), Some(size_bytes(&cache)));
    let said = world.home.done(&["cache", "list"]).stdout;
    assert_says(&said, &["downloaded packages", "in the last 2 h", text(&cache)]);
    assert_says(&world.home.done(&["cache", "check"]).stdout, &["checked 8 entries"]);

    let name = names(&cache.join("debs")).remove(0);
    fs::write(cache.join("debs").join(&name), "none").expect("writes");
    let ended = world.home.run(&["cache", "check"]);
    assert_eq!(ended.code, Some(1));
    assert_says(&ended.stdout, &[&format!("damaged, and removed: {}/debs/{name}", cache.display())]);
    assert_says(&ended.stderr, &["error: 1 entry of the cache was damaged", "hint: they were removed"]);
    world.home.done(&["cache", "check"]);
    world.fetches();

    let said = world.home.done(&["cache", "trim", "--keep", "1 GB"]).stdout;
    assert!(said.starts_with("kept "), "{said}");
    let said = world.home.done(&["cache", "trim", "--keep", "1MB"]).stdout;
    assert_says(&said, &["removed ", "kept "]);
    assert!(size_bytes(&cache) <= 1_000_000);
    world.fetches();
    let said = world.home.done(&["cache", "trim", "--keep", "0", "--json"]).stdout;
    assert_says(&said, &["\"kept_bytes\": 0", "\"in_use_bytes\": 0"]);
    assert_eq!(size_bytes(&cache), 0);
    world.fetches();
    let ended = world.home.run(&["cache", "trim", "--keep", "much"]);
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.stderr, &["`much` is not a size"]);
    // With another key all that is sealed is another's, until it is removed.
    let check = |arguments: &[&str]| {
        let mut command = world.home.command();
        end(command.args(["cache", "check"]).args(arguments).env("TINYROOT_CACHE_KEY", "k".repeat(40)))
    };
    let ended = check(&[]);
    assert_eq!(ended.code, Some(1));
    assert_says(
        &ended.stderr,
        &["error: 2 entries of the cache were made by another user", "cache check --remove"],
    );
    check(&["--remove"]);
    assert_eq!(check(&[]).code, Some(0));
    assert_eq!(listed()["kinds"].as_array().map(Vec::len), Some(1));
}
