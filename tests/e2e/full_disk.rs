//! A disk that fills up: named, and nothing broken in what was there before.

use std::{fs, process::Command};

use super::{
    World,
    support::{assert_says, end, names, text},
};

#[test]
fn a_full_disk_is_told_and_the_cache_stays_whole() {
    let world = World::new();
    world.lock();
    let cache = world.home.path("small");
    fs::create_dir(&cache).expect("makes");
    let url = world.server.url();
    // The app does not fit into 2 MB. The same cache with more room must then do.
    let script = r#"
        mount -t tmpfs -o size=2m,mode=700 small "$1" || exit 77
        cache=$1 program=$2; shift 2
        "$program" --cache "$cache" "$@"
        echo "first: $?, unfinished: $(ls "$cache/tmp" | wc -l)"
        mount -o remount,size=64m "$cache"
        "$program" --cache "$cache" "$@"
    "#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", text(&cache)]);
    command.arg(env!("CARGO_BIN_EXE_tinyroot"));
    command.args(world.args(&["stage", text(&world.recipe), "--output", "-"], &url));
    let ended = end(&mut command);
    if ended.code == Some(77) || ended.stderr.contains("unshare: unshare failed") {
        return tinyroot::testing::skip(&format!("a small disk cannot be made: {}", ended.stderr));
    }
    assert_says(&ended.stdout, &["first: 1, unfinished: 0"]);
    assert_says(&ended.stderr, &["No space left on device", "cannot configure a root without dpkg"]);
    assert_eq!(names(&world.recipe), ["recipe.lock", "recipe.toml"]);
}

#[test]
fn a_package_on_standard_input_that_does_not_fit_says_where_it_was_kept() {
    let world = World::new();
    let small = world.home.path("small");
    fs::create_dir(&small).expect("makes");
    let script = r#"
        mount -t tmpfs -o size=2m,mode=700 small "$1" || exit 77
        { printf '\217\306\315\357\105\032\352\226'; cat /dev/zero; } | TMPDIR=$1 "$2" verify -
    "#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", text(&small)]);
    command.arg(env!("CARGO_BIN_EXE_tinyroot")).env("TINYROOT_CACHE", world.home.path("cache"));
    let ended = end(&mut command);
    if ended.code == Some(77) || ended.stderr.contains("unshare: unshare failed") {
        return tinyroot::testing::skip(&format!("a small disk cannot be made: {}", ended.stderr));
    }
    let place = format!("cannot keep standard input in {}", small.display());
    assert_says(&ended.stderr, &[&place, "No space left", "hint: name a directory with more room in TMPDIR"]);
}
