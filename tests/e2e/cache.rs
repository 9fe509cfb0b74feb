//! The cache is not believed: what others could write is refused, what was changed is never used and comes
//! anew.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{FileExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use tinyroot::testing::skip;

use super::{
    World,
    support::{assert_says, end, names, text},
    traced_app::TracedApp,
};

/// Returns the only pack of a kind in a cache.
fn pack(cache: &Path, kind: &str) -> PathBuf {
    let packs = cache.join("packs");
    let mut found = names(&packs).into_iter().filter(|name| name.starts_with(kind));
    let name = found.next().expect("there is one");
    assert_eq!(found.next(), None);
    packs.join(name)
}

/// Changes a text in a file in place, wherever it is, to another one of the same length.
fn change(path: &Path, from: &str, to: &str) {
    let bytes = fs::read(path).expect("reads");
    let file = File::options().write(true).open(path).expect("opens");
    let places = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from.as_bytes());
    let count = places.map(|(at, _)| file.write_all_at(to.as_bytes(), at as u64).expect("writes")).count();
    assert!(count > 0 && from.len() == to.len(), "{from}");
}

#[test]
fn what_was_changed_in_an_unpacked_deb_is_never_signed() {
    let Some(traced) = TracedApp::new() else { return };
    let cache = traced.home.path("cache");
    let (first, second) = (traced.home.path("first.spk"), traced.home.path("second.spk"));
    let build = |output: &Path| {
        let ended = end(&mut traced.command(&["build", text(&traced.recipe), "--output", text(output)]));
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        ended.stderr
    };
    let said = build(&first);
    assert!(!said.contains("was changed"), "{said}");
    let pack = pack(&cache, "deb-");
    change(&pack, "cup tea", "bad tea");
    let said = build(&second);
    assert_says(
        &said,
        &[&format!("warning: {} was changed since tinyroot wrote it; it was removed", pack.display())],
    );
    assert!(fs::read(&first).expect("reads") == fs::read(&second).expect("reads"), "another package");
    assert!(!pack.exists());
    // All is whole again.
    fs::remove_file(&second).expect("removes");
    let said = build(&second);
    assert!(!said.contains("was changed"), "{said}");
    assert!(fs::read(&first).expect("reads") == fs::read(&second).expect("reads"), "another package");
}

#[test]
fn a_grain_does_not_run_what_was_changed_in_an_opened_package() {
    let Some(traced) = TracedApp::new() else { return };
    let (cache, package) = (traced.home.path("cache"), traced.home.path("tea.spk"));
    traced.done(&["build", text(&traced.recipe), "--output", text(&package)]);
    traced.done(&["verify", text(&package)]);
    let warning = "was changed since tinyroot wrote it; it was removed";
    // The server says another thing, to whoever would run it.
    let evil = |from: &str, to: &str| change(&pack(&cache, "spk-"), from, to);
    evil("HTTP/1.0 200 OK", "HTTP/1.0 666 OK");
    let ended = end(&mut traced.command(&["check", text(&package)]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_says(&ended.stderr, &[warning]);
    // One that cannot start, since its programs were changed, says so and can next time.
    let path = pack(&cache, "spk-");
    let bytes = fs::read(&path).expect("reads");
    let file = File::options().write(true).open(&path).expect("opens");
    for at in (bytes.len() / 2..bytes.len()).step_by(1 << 15) {
        file.write_all_at(&[bytes[at] ^ 1], at as u64).expect("writes");
    }
    let run = traced.command(&["run", text(&package)]);
    let mut bounded = Command::new("timeout");
    bounded.arg("60").arg(run.get_program()).args(run.get_args());
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => bounded.env(name, value),
            None => bounded.env_remove(name),
        };
    }
    let ended = end(&mut bounded);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert_says(&ended.stderr, &[warning]);
    // What every command begins with, the structure of the archive, is read from the package again.
    traced.done(&["verify", text(&package)]);
    evil("sandstorm-manifest", "sandstorm-manifesT");
    let ended = end(&mut traced.command(&["inspect", text(&package), "--json"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_says(&ended.stderr, &[warning]);
    let ended = end(&mut traced.command(&["check", text(&package)]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(warning), "{}", ended.stderr);
}

#[test]
fn debs_that_were_changed_are_fetched_again_whatever_their_length() {
    let world = World::new();
    world.lock();
    world.fetches();
    let cache = world.home.path("cache");
    for gone in ["bundles", "packs"] {
        fs::remove_dir_all(cache.join(gone)).expect("removes");
    }
    let debs: Vec<PathBuf> =
        names(&cache.join("debs")).iter().map(|name| cache.join("debs").join(name)).collect();
    assert_eq!(debs.len(), 2);
    let whole: Vec<Vec<u8>> = debs.iter().map(|path| fs::read(path).expect("reads")).collect();
    for (path, bytes) in debs.iter().zip(&whole) {
        let mut bytes = bytes.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).expect("writes");
    }
    let said = world.fails(&["stage", text(&world.recipe), "--output", text(&world.home.path("root.tar"))]);
    assert_says(&said, &["cannot configure a root without dpkg", "was changed since tinyroot wrote it"]);
    assert!(debs.iter().map(|path| fs::read(path).expect("reads")).eq(whole));
}

#[test]
fn a_cache_of_another_key_is_not_believed_and_one_of_the_same_key_is() {
    let world = World::new();
    let args = ["stage", text(&world.recipe), "--output", "root.tar"];
    let url = world.server.url();
    let stage = |key: &str| {
        let mut command = world.home.command();
        command.args(world.args(&args, &url)).env("TINYROOT_CACHE_KEY", key).current_dir(world.home.path(""));
        end(&mut command).stderr
    };
    world.lock();
    let notice = "made by another user or machine, or changed since, and not used";
    let (one, other) = ("one".repeat(20), "other".repeat(20));
    assert_says(&stage("short"), &["TINYROOT_CACHE_KEY has 5 characters (must have 32 or more)"]);
    assert!(!stage(&one).contains(notice));
    assert!(!stage(&one).contains(notice));
    assert_says(&stage(&other), &["warning: 2 entries of the cache", notice]);
    assert!(!stage(&other).contains(notice));
    assert_eq!(names(&world.home.path("cache/packs")).len(), 2);
}

#[test]
fn a_release_that_a_forged_line_vouches_for_is_not_taken() {
    let world = World::new();
    world.lock();
    let kept = world.home.path("cache/indexes");
    let find = |directory: &Path| -> Vec<PathBuf> {
        let inner =
            names(directory).into_iter().map(|name| directory.join(name)).filter(|path| path.is_dir());
        inner.flat_map(|path| names(&path).into_iter().map(move |name| path.join(name))).collect()
    };
    let path = find(&kept).into_iter().find(|path| path.ends_with("bookworm")).expect("is kept");
    let bytes = fs::read(&path).expect("reads");
    let text_of = String::from_utf8_lossy(&bytes).into_owned();
    // Another date in the text that is said to be signed, and its digest in the line that says so.
    let line = text_of.lines().find(|line| line.starts_with("verified ")).expect("is there").to_owned();
    let words: Vec<&str> = line.split(' ').collect();
    let length: usize = words[3].parse().expect("a number");
    let signed = &text_of[text_of.len() - length..];
    let forged = signed.replacen("Codename: bookworm", "Codename: bookwurm", 1);
    assert_ne!(signed, forged);
    let digest = tinyroot::digest::Digest::of(forged.as_bytes()).to_string();
    let text_of = text_of.replacen(words[4], &digest, 1);
    let head = &text_of[..text_of.len() - length];
    // With the old seal, and as older versions wrote it, without.
    let unsealed = head.split_once('\n').expect("a seal comes first").1;
    for head in [head, unsealed] {
        fs::write(&path, format!("{head}{forged}")).expect("writes");
        let said = world
            .home
            .done(&world.args(&["lock", text(&world.recipe), "--check", "--offline"], "http://127.0.0.1:1"));
        assert!(!said.stderr.contains("bookwurm"), "{}", said.stderr);
    }
}

#[test]
fn a_cache_that_others_could_write_to_is_closed_and_one_for_everybody_refused() {
    let world = World::new();
    world.lock();
    let cache = world.home.path("cache");
    let package = world.home.path("none.spk");
    fs::write(&package, "none").expect("writes");
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("sets");
    let commands: [&[&str]; 3] = [
        &["lock", text(&world.recipe), "--check"],
        &["stage", text(&world.recipe), "--output", "root.tar"],
        &["resolve", "tea", "--suite", "bookworm"],
    ];
    for (path, mode) in [(cache.clone(), 0o777), (cache.clone(), 0o770), (cache.join("packs"), 0o777)] {
        set(&path, mode);
        let said = world.done(commands[0]);
        let expected = format!(
            "warning: other users could write to the cache {} (mode {mode:04o}), so it was closed (0700)",
            cache.display()
        );
        assert_says(&said, &[&expected]);
        assert!(!world.done(commands[0]).contains("warning"));
        set(&cache, 0o1777);
        // Who only reads does without.
        let said = world.fails(&["verify", text(&package)]);
        assert!(said.contains("none.spk is refused") && !said.contains("cache"), "{said}");
        for command in commands {
            let said = world.fails(command);
            let expected =
                format!("cannot use the cache {}: other users can write to it (mode 1777)", cache.display());
            let hint =
                format!("hint: name a directory of your own in it: --cache {}/tinyroot", cache.display());
            assert_says(&said, &[&expected, &hint]);
        }
        set(&cache, 0o755);
        world.done(commands[0]);
        assert_eq!(fs::metadata(&path).expect("is there").permissions().mode() & 0o7777, 0o700);
    }
    let above = world.home.path("open");
    fs::create_dir(&above).expect("makes");
    set(&above, 0o777);
    let inside = above.join("cache");
    let said = world.done(&["lock", text(&world.recipe), "--check", "--cache", text(&inside)]);
    assert_says(
        &said,
        &["warning: ", "/open is above the cache, so another user could lay one of theirs in its place"],
    );
    if chown(&cache, Some(12345), None).is_err() {
        return skip("root, to give a cache to another user");
    }
    let said = world.fails(commands[0]);
    assert_says(&said, &["it belongs to user 12345, and this is user 0", "without sudo", "--cache DIR"]);
}

#[test]
fn the_key_of_the_cache_is_its_owners_alone_and_can_be_lost() {
    let world = World::new();
    world.lock();
    world.fetches();
    let key = world.home.path(".local/state/tinyroot/cache.key");
    assert_eq!(fs::metadata(&key).expect("is there").permissions().mode() & 0o7777, 0o600);
    assert!(!key.starts_with(world.home.path("cache")));
    let stage = ["stage", text(&world.recipe), "--output", "root.tar"];
    fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("opens it");
    assert_says(
        &world.fails(&stage),
        &["warning: the key of the cache cannot be kept", "has mode 0644", "remove it"],
    );
    fs::remove_file(&key).expect("removes");
    world.fetches();
    world.lock();
    assert!(key.exists());
}
