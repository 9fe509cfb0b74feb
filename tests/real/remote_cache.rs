//! A recipe on two machines that see nothing but a cache that they share, each in a network of its own.

use std::{fs, process::Command};

use super::{
    alone, copy_recipe,
    networks::in_a_network,
    share_debs,
    support::{Home, names, text},
    write_key,
};

/// The recipe: one without npm packages, whose root has many maintainer scripts.
const RECIPE: &str = "cgit";

const TOKEN: &str = "made-token-of-a-job";

#[test]
fn a_second_machine_builds_the_same_from_the_cache_alone() {
    let _turn = alone();
    let (first, second) = (Home::new(), Home::new());
    share_debs(&first);
    let folder = copy_recipe(RECIPE, &first.path("recipes"));
    let (pool, served) = (first.path("pool"), first.path("served"));
    first.done(&["fetch", text(&folder), "--output", text(&pool)]);
    fs::create_dir(&served).expect("makes");
    let id = tinyroot::formats::key_file::Key::from_seed(super::SEED).app_id().to_string();
    let build = |home: &Home| -> Command {
        let keys = write_key(home);
        let mut command = home.command();
        command.args([
            "build",
            text(&folder),
            "--output",
            text(&home.path("out.spk")),
            "--retry-time",
            "0",
            "-v",
        ]);
        command.env("TINYROOT_KEYRING", keys);
        command
    };

    let mut filling = build(&first);
    filling
        .args(["--pool", text(&pool), "--remote-cache-sign", &id])
        .env("TINYROOT_REMOTE_CACHE_TOKEN", TOKEN);
    let Some(filled) = in_a_network(&filling, &served) else { return };
    assert_eq!(filled.code, Some(0), "{}", filled.stderr);
    assert!(filled.stderr.contains("Setting up libc6"), "{}", filled.stderr);

    let mut reading = build(&second);
    reading.args(["--remote-cache-key", &id]);
    let built = in_a_network(&reading, &served).expect("as before");
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    for word in ["is refused", "Setting up", "configuring packages", "fetching packages"] {
        assert!(!built.stderr.contains(word), "{word}: {}", built.stderr);
    }
    assert_eq!(names(&second.path("cache/debs")), Vec::<String>::new());
    let package = |home: &Home| fs::read(home.path("out.spk")).expect("was written");
    assert!(package(&first) == package(&second), "the packages differ");
}
