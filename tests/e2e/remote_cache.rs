//! A cache that machines share: the second one neither fetches nor unpacks a .deb, and runs no maintainer script.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use tinyroot::{
    formats::key_file::{Key, to_text},
    testing::{Fault, MadeRegistry, Server},
};

use super::{
    World,
    networks::in_a_network,
    noise,
    support::{Ended, Home, assert_says, end, names, text},
    traced_app::TracedApp,
};

const TOKEN: &str = "made-token-of-a-job";

/// A server, the machine that has built, and one with nothing but the recipe.
struct Fleet {
    first: TracedApp,
    second: Home,
    served: PathBuf,
    server: Server,
}

fn key(seed: u8) -> Key {
    Key::from_seed([seed; 32])
}

fn key_text(seed: u8) -> String {
    to_text(&key(seed).to_bytes())
}

fn id(seed: u8) -> String {
    key(seed).app_id().to_string()
}

impl Fleet {
    fn new() -> Option<Self> {
        let first = TracedApp::with(|tea| tea.file("usr/share/tea/leaves", 0o644, noise(1 << 20)))?;
        let served = first.home.path("served");
        fs::create_dir(&served).expect("makes");
        let server = Server::start(&served);
        server.take(&format!("Bearer {TOKEN}"));
        Some(Fleet { first, second: Home::new(), served, server })
    }

    fn url(&self) -> String {
        format!("{}/cache/", self.server.url())
    }

    /// Builds on the first machine, which fills the cache.
    fn fill(&self) -> Ended {
        let output = self.first.home.path("first.spk");
        let mut command =
            self.first.command(&["build", text(&self.first.recipe), "--output", text(&output), "-v"]);
        command
            .env("TINYROOT_REMOTE_CACHE", self.url())
            .env("TINYROOT_REMOTE_CACHE_TOKEN", TOKEN)
            .env("TINYROOT_REMOTE_CACHE_SIGN", id(7))
            .env("TINYROOT_KEY", to_text(&[key(9).to_bytes(), key(7).to_bytes()].concat()));
        let ended = end(&mut command);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// A build on the second machine, for which there is no mirror.
    fn build(&self, keys: &str) -> Command {
        let mut command = self.second.command();
        let output = self.second.path("second.spk");
        command.args(["build", text(&self.first.recipe), "--output", text(&output), "--key", &id(9), "-v"]);
        command.args(["--mirror", "http://127.0.0.1:9/debian", "--retry-time", "0"]);
        command.env("TINYROOT_KEY", key_text(9)).env("TINYROOT_REMOTE_CACHE_KEYS", keys);
        command.env("TINYROOT_REMOTE_CACHE", self.url());
        command
    }

    fn is_same(&self) -> bool {
        fs::read(self.first.home.path("first.spk")).expect("reads")
            == fs::read(self.second.path("second.spk")).expect("reads")
    }

    /// The files of the cache whose names begin so.
    fn files(&self, below: &str) -> Vec<PathBuf> {
        let directory = self.served.join("cache/1").join(below);
        names(&directory).iter().map(|name| directory.join(name)).collect()
    }
}

#[test]
fn a_second_machine_builds_the_same_without_a_deb_and_without_a_script() {
    let Some(fleet) = Fleet::new() else { return };
    let filled = fleet.fill();
    assert_says(&filled.stderr, &["entries to the remote cache"]);
    assert!(!filled.stderr.contains(TOKEN) && !filled.stderr.contains("warning"), "{}", filled.stderr);
    assert_eq!((fleet.files("deb").len(), fleet.files("layer").len()), (1, 1));
    assert!(!fleet.files("xz-block").is_empty());
    fleet.server.requests();

    let built = end(&mut fleet.build(&id(7)));
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    assert!(fleet.is_same(), "{}", built.stderr);
    assert_eq!(names(&fleet.second.path("cache/debs")), Vec::<String>::new());
    for word in ["warning", "configuring packages", "fetching packages"] {
        assert!(!built.stderr.contains(word), "{word}: {}", built.stderr);
    }
    let requests = fleet.server.requests();
    assert!(requests.iter().all(|request| request.method == "GET" && request.authorization.is_empty()));
    // It sends on nothing, even where it may.
    fs::remove_file(fleet.second.path("second.spk")).expect("removes");
    let mut again = fleet.build(&id(7));
    again.env("TINYROOT_REMOTE_CACHE_TOKEN", TOKEN).env("TINYROOT_REMOTE_CACHE_SIGN", id(9));
    let again = end(&mut again);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_says(&again.stderr, &["sent 0 entries to the remote cache"]);
}

#[test]
fn the_key_that_fills_is_looked_for_in_the_keyring_that_is_named() {
    let Some(fleet) = Fleet::new() else { return };
    let ring = fleet.first.home.path("own.keyring");
    fs::write(&ring, [key(9).to_bytes(), key(7).to_bytes()].concat()).expect("writes");
    fs::set_permissions(&ring, fs::Permissions::from_mode(0o600)).expect("closes it");
    let output = fleet.first.home.path("first.spk");
    let mut command =
        fleet.first.command(&["build", text(&fleet.first.recipe), "--output", text(&output), "-v"]);
    command.env("TINYROOT_REMOTE_CACHE", fleet.url()).env("TINYROOT_REMOTE_CACHE_TOKEN", TOKEN);
    command.args(["--key-file", text(&ring), "--key", &id(9), "--remote-cache-sign", &id(7)]);
    let ended = end(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    assert_eq!((fleet.files("deb").len(), fleet.files("layer").len()), (1, 1));
}

#[test]
fn a_poisoned_cache_is_named_and_the_build_ends_the_same() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.fill();
    // Somebody who got hold of the server signs another tree of the package with a key of their own.
    let tree = fleet.files("deb").remove(0);
    let layer = fleet.files("layer").remove(0);
    fs::copy(&layer, &tree).expect("copies");
    fs::write(&layer, "{}").expect("writes");
    let mirror = fleet.first.command(&[]).get_args().nth(1).expect("is named").to_owned();
    let keyring = fleet.first.command(&[]).get_args().nth(3).expect("is named").to_owned();
    let mut build = fleet.build(&id(7));
    build.arg("--mirror").arg(mirror).arg("--keyring").arg(keyring);
    let built = end(&mut build);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    assert!(fleet.is_same());
    let named = |path: &PathBuf| {
        format!(
            "{}/{} is refused, and what it stands for is made here: it is ",
            fleet.server.url(),
            path.strip_prefix(&fleet.served).expect("is below").display()
        )
    };
    assert_says(
        &built.stderr,
        &[&named(&tree), "a statement about another entry: layer/", &named(&layer), "not a DSSE envelope"],
    );
}

#[test]
fn a_remote_cache_that_is_of_no_use_is_done_without() {
    let Some(fleet) = Fleet::new() else { return };
    fleet.fill();
    let refused = |command: &mut Command, expected: &[&str]| {
        let ended = end(command.arg("--offline"));
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
        assert_says(&ended.stderr, expected);
    };
    refused(&mut fleet.build(&id(7)), &["offline"]);
    // No key, another key, a server that is silent: each is one warning, and then there is no mirror.
    for (keys, fault, expected) in [
        (
            "",
            None,
            "anybody could have put something into it, and no key is named whose entries are believed",
        ),
        (&*id(8), None, ""),
        (&*id(7), Some(Fault::Stall(10)), "is not used any more: nothing came for 5 s"),
        (&*id(7), Some(Fault::Status(503)), "is not used any more: the server responds with status 503"),
    ] {
        if let Some(fault) = fault {
            fleet.server.fault("*", fault);
        }
        let ended = end(&mut fleet.build(keys));
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert_says(&ended.stderr, &[expected, "cannot fetch"]);
        assert_eq!(
            ended.stderr.matches("warning").count(),
            usize::from(!expected.is_empty()),
            "{}",
            ended.stderr
        );
    }
    // What is wrong on the command line is not repeated.
    let mut command = fleet.build(&id(7));
    let ended = end(command.env("TINYROOT_REMOTE_CACHE", "https://me:secret@cache.example/"));
    assert_eq!(ended.code, Some(2));
    assert_says(&ended.stderr, &["'--remote-cache <URL>' cannot be used: others can see a password in it"]);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

#[test]
fn a_registry_serves_as_well_and_what_fails_later_fills_it_too() {
    let (world, made, second) = (World::new(), MadeRegistry::start(), Home::new());
    world.lock();
    let url = format!("docker://{}/fleet/cache", made.host());
    let stage = |home: &Home, mirror: &str| {
        let mut command = home.command();
        let args = ["stage", text(&world.recipe), "--output", "-", "-v", "--retry-time", "0"];
        command.args(world.args(&args, mirror)).env("TINYROOT_REMOTE_CACHE", &url);
        command
    };
    let filled = end(stage(&world.home, &world.server.url())
        .env("TINYROOT_KEY", key_text(7))
        .args(["--remote-cache-sign", &id(7)]));
    assert_says(
        &filled.stderr,
        &["cannot configure a root without dpkg", "sent 2 entries to the remote cache"],
    );
    let fetched = end(stage(&second, "http://127.0.0.1:9/debian").args(["--remote-cache-key", &id(7)]));
    assert_says(&fetched.stderr, &["cannot configure a root without dpkg"]);
    assert_eq!(names(&second.path("cache/bundles/deb")).len(), 2, "{}", fetched.stderr);
    assert!(!fetched.stderr.contains("warning"), "{}", fetched.stderr);
    assert_eq!(names(&second.path("cache/debs")), Vec::<String>::new());
}

#[test]
fn two_machines_that_see_the_cache_alone_build_the_same() {
    let Some(fleet) = Fleet::new() else { return };
    let served = &fleet.served;
    // The first one has the packages on its disk, and has made nothing of them yet.
    let (first, archive) = (Home::new(), fleet.first.home.path("archive"));
    let mut command = fleet.first.command(&["build", text(&fleet.first.recipe), "--key", &id(9), "-v"]);
    command.args([
        "--output",
        text(&fleet.first.home.path("first.spk")),
        "--mirror",
        &format!("file:{}", text(&archive)),
    ]);
    command.env("HOME", first.path("")).env("TINYROOT_CACHE", first.path("cache"));
    command.env("TINYROOT_KEY", to_text(&[key(9).to_bytes(), key(7).to_bytes()].concat()));
    command.env("TINYROOT_REMOTE_CACHE_TOKEN", TOKEN).env("TINYROOT_REMOTE_CACHE_SIGN", id(7));
    let filled = in_a_network(&command, served);
    let Some(filled) = filled else { return };
    assert_eq!(filled.code, Some(0), "{}", filled.stderr);
    assert_says(&filled.stderr, &["configuring packages", "entries to the remote cache"]);

    let built = in_a_network(&fleet.build(&id(7)), served).expect("as before");
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    assert!(
        !built.stderr.contains("configuring packages") && !built.stderr.contains("warning"),
        "{}",
        built.stderr
    );
    assert_eq!(names(&fleet.second.path("cache/debs")), Vec::<String>::new());
    assert!(fleet.is_same());
}
