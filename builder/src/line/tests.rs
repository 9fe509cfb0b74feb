//! The line over a small archive made on the spot, as far as a host without dpkg can go.

use std::{fs, path::Path, sync::Arc};

use super::*;
use crate::{
    error::Hint as _,
    recipe::{self, Recipe},
    store::Store,
    testing::{MadeArchive, deb},
};

/// An app that recommends milk and needs tea leaves of one kind or another; the updates have newer water, and
/// sugar.
fn session(directory: &Path) -> Session {
    let place = directory.join("archive");
    MadeArchive::new("bookworm-security").write(&place);
    let updates = MadeArchive::new("bookworm-updates");
    updates.add(deb("water").version("2")).add(deb("sugar").version("2")).write(&place);
    let made = [
        deb("base").field("Essential", "yes"),
        deb("tea").field("Depends", "green | black, water, sugar").field("Recommends", "milk"),
        deb("green").field("Depends", "water"),
        deb("black"),
        deb("milk"),
        deb("water").version("1"),
        deb("sugar").version("1"),
    ];
    let made = made.into_iter().fold(MadeArchive::new("bookworm"), MadeArchive::add).write(&place);
    let mut session = Session::silent(Arc::new(Store::open(&directory.join("cache")).expect("opens")));
    session.archive.mirrors = vec![made.directory.display().to_string()];
    session.archive.keyring = Some(made.keyring);
    session
}

fn recipe(folder: &Path, debian: &str) -> Recipe {
    let text = format!(
        "[app]\nname = \"tea\"\nversion = \"1\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n{debian}\
         [[service]]\nname = \"pot\"\ncommand = [\"/usr/bin/tea\"]\n"
    );
    fs::create_dir_all(folder).expect("makes");
    fs::write(folder.join("recipe.toml"), text).expect("writes");
    recipe::read(folder).expect("a good recipe")
}

/// Locks a recipe, and returns what was chosen.
fn locked(recipe: &Recipe, session: &Session) -> Vec<String> {
    let archive = session.open_of(&recipe.debian).expect("opens");
    let universe = universe(&archive, &recipe.debian.pins).expect("sound");
    let request = request(recipe);
    let resolution = choose(&universe, &request).expect("there is a solution");
    let lock = lock(recipe, &archive, &request, &resolution);
    lock.write(&recipe.lock_path()).expect("writes");
    let names = lock.packages.iter().map(|package| format!("{} {}", package.name, package.version));
    names.collect()
}

#[test]
fn excludes_pins_and_recommends_go_through_the_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let session = session(directory.path());
    let folder = directory.path().join("recipe");
    let plain = recipe(&folder, "");
    let mut chosen = locked(&plain, &session);
    chosen.sort();
    assert_eq!(chosen, ["base 1.0", "green 1.0", "sugar 2", "tea 1.0", "water 2"]);

    let debian = "exclude = [\"green\"]\nrecommends = true\n\
                  pins = [{ package = \"water\", suite = \"bookworm\", priority = 1001 }]\n";
    let asking = recipe(&folder, debian);
    // The lock of another request is refused before anything is fetched, by each step that reads it.
    let error = configure(asking.clone(), false, None, &session).map(drop).expect_err("is drift");
    assert!(error.is_drift(), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("tinyroot lock")), "{error}");
    let error = overlay(asking.clone(), &session).map(drop).expect_err("is drift");
    assert!(error.is_drift(), "{error}");

    let mut chosen = locked(&asking, &session);
    chosen.sort();
    assert_eq!(chosen, ["base 1.0", "black 1.0", "milk 1.0", "sugar 2", "tea 1.0", "water 1"]);
    // Exactly the chosen packages are fetched; only then is a dpkg missed, which no package here has.
    let error = configure(asking, false, None, &session).map(drop).expect_err("there is no dpkg");
    assert!(matches!(error.fault(), Fault::Configure(_)), "{error}");
    let lock = read_lock(&recipe(&folder, debian)).expect("is of this request");
    for package in &lock.packages {
        assert!(session.store.deb_path(&package.checksum).exists(), "{}", package.name);
    }
    let green = deb("green").field("Depends", "water").build();
    assert!(!session.store.deb_path(&crate::digest::Digest::of(&green).into()).exists());
}

#[test]
fn a_past_state_needs_a_service_that_has_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let session = session(directory.path());
    let recipe = recipe(&directory.path().join("recipe"), "snapshot = \"20240101T000000Z\"\n");
    let error = session.open_of(&recipe.debian).map(drop).expect_err("there is none");
    assert!(matches!(error.fault(), Fault::NoSnapshotService(_)), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--snapshot-service")), "{error}");
}

#[test]
fn a_request_that_nothing_meets_says_what_would_help() {
    let directory = tempfile::tempdir().expect("a directory");
    let session = session(directory.path());
    let recipe = recipe(&directory.path().join("recipe"), "exclude = [\"water\"]\n");
    let archive = session.open_of(&recipe.debian).expect("opens");
    let universe = universe(&archive, &recipe.debian.pins).expect("sound");
    let error = choose(&universe, &request(&recipe)).map(drop).expect_err("tea needs water");
    let hint = error.hint().expect("there is one way");
    assert_eq!(hint, "any one of these would help: do not exclude water");
}
