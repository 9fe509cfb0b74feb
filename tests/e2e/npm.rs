//! Packages of an npm registry, from the loopback.

use std::fs;

use tinyroot::testing::{Fault, deb};

use super::{
    World,
    support::{assert_says, text},
    write_recipe,
};

const TARBALL: &str = "npm/@s/leaf/-/leaf-1.0.0.tgz";

/// A recipe with one package of a registry, which is served beside the archive.
fn world() -> World {
    let world = World::new();
    let leaf = deb("leaf").file("package/index.js", 0o644, "1\n");
    let file = world.home.path("archive").join(TARBALL);
    fs::create_dir_all(file.parent().expect("has one")).expect("makes");
    fs::write(file, leaf.tarball()).expect("writes");
    write_recipe(&world.home, r#"["tea"]"#, "[[npm]]\nlock = \"files/package-lock.json\"\nto = \"/opt/tea\"");
    let lock = serde_json::json!({
        "lockfileVersion": 3,
        "packages": { "node_modules/@s/leaf": { "version": "1.0.0", "integrity": leaf.integrity() } },
    });
    fs::create_dir(world.recipe.join("files")).expect("makes");
    fs::write(world.recipe.join("files/package-lock.json"), lock.to_string()).expect("writes");
    world.lock();
    world.server.requests();
    world
}

impl World {
    /// How often the package was asked for since the last call.
    fn asked(&self) -> usize {
        self.server.requests().iter().filter(|request| request.path == TARBALL).count()
    }
}

/// What is said once packages are at hand: the made archive has nothing to configure them with.
const GOES_ON: &[&str] = &["cannot configure a root without dpkg"];

#[test]
fn a_registry_is_needed_once_and_found_as_npm_finds_it() {
    let world = world();
    let build = ["build", text(&world.recipe)];
    let skip = "1 of 1 packages of `files/package-lock.json` are not in the cache, and no npm registry is configured";
    assert_says(
        &world.fails(&build),
        &[skip, "hint: name one with `registry` in [[npm]], --npm-registry URL"],
    );
    assert_eq!(world.asked(), 0);
    let url = format!("{}/npm/", world.server.url());
    assert_says(&world.fails(&[&build[..], &["--npm-registry", &url, "--offline"]].concat()), &["offline"]);
    fs::write(world.home.path(".npmrc"), format!("fund=false\nregistry={url}\n")).expect("writes");
    assert_says(&world.fails(&build), GOES_ON);
    assert_eq!(world.asked(), 1);
    fs::remove_file(world.home.path(".npmrc")).expect("removes");
    assert_says(&world.fails(&[&build[..], &["--offline"]].concat()), GOES_ON);
    assert_eq!(world.asked(), 0);
}

#[test]
fn other_bytes_than_the_locked_are_refused_and_asked_for_again() {
    let world = world();
    let url = format!("{}/npm", world.server.url());
    let build = ["build", text(&world.recipe), "--npm-registry", &url, "--retry-time", "0"];
    world.server.fault(TARBALL, Fault::WrongBytes);
    let said = world.fails(&build);
    assert_says(
        &said,
        &["cannot fetch npm:@s/leaf 1.0.0: its digest is not the expected one", "expected sha512 "],
    );
    world.server.heal();
    assert_says(&world.fails(&build), GOES_ON);
    assert_eq!(world.asked(), 2);
}
