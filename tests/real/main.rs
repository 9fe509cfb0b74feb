//! The whole line over Debian's own archive, for every recipe that CI builds.
//!
//! `cargo test --release --features real-archive --test real`. Needs a mirror (found as the program finds
//! it), user namespaces or root, and what a test names when it lacks it. Runs as root and as an ordinary
//! user; as root it also builds as another user. `TINYROOT_TEST_RECIPES` names recipes instead of all;
//! `TINYROOT_TEST_DEBS` a directory of .debs to begin with, `TINYROOT_TEST_PACKAGES` one in which packages
//! are kept, `TINYROOT_TEST_DYNAMIC` a program that makes packages again, if that of the tests is static.
//! Recipes with npm packages are built where an npm registry is configured, by `TINYROOT_NPM_REGISTRY` or for
//! npm itself, and are told of where none is.

mod accounting;
mod begun;
mod container;
mod jobs;
mod line;
#[path = "../networks.rs"]
mod networks;
mod podman;
mod rebuilt;
mod remote_cache;
mod run;
mod sameness;
mod stage;
#[path = "../support.rs"]
mod support;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use support::{Home, names, text};

/// Those of different kinds that every test takes; the others are built and proven.
const MAIN: [&str; 2] = ["cgit", "dokuwiki"];

/// Not an app of the archive's: its program is compiled and laid into the recipe before.
const OWN: &str = "tinyroot";

/// Those with packages of an npm registry.
const OF_NPM: [&str; 1] = ["etherpad"];

/// The seed of the key that signs in these tests.
const SEED: [u8; 32] = [7; 32];

/// Two runs of maintainer scripts side by side take memory and time from each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the names of all recipes.
fn folders() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    let mut all = names(&folder);
    all.retain(|name| !name.starts_with('_') && folder.join(name).join("recipe.toml").exists());
    all
}

/// Returns the names of the apps' recipes, or of those that `TINYROOT_TEST_RECIPES` names.
fn recipes() -> Vec<String> {
    let chosen = std::env::var("TINYROOT_TEST_RECIPES").ok();
    let is_chosen =
        |name: &str| chosen.as_ref().is_none_or(|list| list.split_whitespace().any(|one| one == name));
    let mut recipes = folders();
    recipes.retain(|name| name != OWN && is_chosen(name));
    assert!(!recipes.is_empty(), "TINYROOT_TEST_RECIPES names none of the recipes");
    if npm_registry().is_none() {
        for name in recipes.extract_if(.., |name| OF_NPM.contains(&&name[..])) {
            // No fault of the host, even where all tests must run; the test harness keeps what print macros
            // write.
            let _ = writeln!(
                std::io::stderr(),
                "not built here: {name}, since no npm registry is configured (TINYROOT_NPM_REGISTRY names one); \
                 by hand: tinyroot build recipes/{name} --npm-registry URL"
            );
        }
    }
    recipes
}

/// Returns the npm registry of whoever runs the tests, whose home the program does not see there.
fn npm_registry() -> Option<String> {
    let variable = |name| std::env::var(name).ok();
    let npmrc = std::env::home_dir().and_then(|home| fs::read_to_string(home.join(".npmrc")).ok());
    tinyroot::npm::registry(&tinyroot::npm::Sources {
        option: variable("TINYROOT_NPM_REGISTRY").as_deref(),
        environment: variable("NPM_CONFIG_REGISTRY").or_else(|| variable("npm_config_registry")).as_deref(),
        npmrc: npmrc.as_deref(),
    })
}

/// Those of [`recipes`] that every test takes.
fn main_recipes() -> Vec<String> {
    recipes().into_iter().filter(|name| MAIN.contains(&&name[..])).collect()
}

/// Copies a recipe folder of this repository to a place that may be written to.
fn copy_recipe(name: &str, to: &Path) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes").join(name);
    let copy = to.join(name);
    copy_directory(&from, &copy);
    let text = fs::read(from.join("recipe.toml")).expect("reads");
    if let Some(base) = tinyroot::recipe::base_folder(Path::new(name), &text) {
        copy_recipe(base.to_str().expect("a path in UTF-8"), to);
    }
    copy
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("lists");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_directory(&entry.path(), &target),
            false if entry.path().extension().is_some_and(|ending| ending == "spk") => {}
            false => drop(fs::copy(entry.path(), target).expect("copies")),
        }
    }
}

/// Puts the .debs that are at hand into a home's cache, so that a mirror is asked for each once.
fn share_debs(home: &Home) {
    let debs = home.path("cache/debs");
    fs::create_dir_all(&debs).expect("makes");
    let Some(shared) = std::env::var_os("TINYROOT_TEST_DEBS") else { return };
    for entry in fs::read_dir(&shared).into_iter().flatten().flatten() {
        fs::copy(entry.path(), debs.join(entry.file_name())).expect("copies");
    }
}

/// Returns a package that another test has built.
fn kept(name: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("TINYROOT_TEST_PACKAGES")?;
    Some(Path::new(&directory).join(format!("{name}.spk"))).filter(|package| package.is_file())
}

/// Takes what a home had to download to those that come after it.
fn give_debs(home: &Home) {
    let Some(shared) = std::env::var_os("TINYROOT_TEST_DEBS") else { return };
    for entry in fs::read_dir(home.path("cache/debs")).into_iter().flatten().flatten() {
        let target = Path::new(&shared).join(entry.file_name());
        // A directory that is someone else's is full already.
        if !target.exists() && fs::copy(entry.path(), target).is_err() {
            return;
        }
    }
}

/// Writes a keyring with the one key of these tests, which signs whatever the app is called.
fn write_key(home: &Home) -> PathBuf {
    let key = tinyroot::formats::key_file::Key::from_seed(SEED);
    let path = home.path("keys");
    fs::write(&path, key.to_bytes()).expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("closes it");
    let apps: String = folders().iter().map(|name| format!("{name} {}\n", key.app_id())).collect();
    fs::write(home.path("keys.apps"), apps).expect("writes");
    path
}

/// Builds a recipe with the key of these tests and returns the package's path and what `--json` says.
fn build(home: &Home, folder: &Path, output: &Path) -> serde_json::Value {
    build_with(home, folder, output, &[])
}

/// The same with further options.
fn build_with(home: &Home, folder: &Path, output: &Path, options: &[&str]) -> serde_json::Value {
    let keys = write_key(home);
    let registry = npm_registry();
    let mut args = vec!["build", text(folder), "--output", text(output), "--key-file", text(&keys), "--json"];
    args.extend(options);
    args.extend(registry.iter().flat_map(|url| ["--npm-registry", url]));
    let built = serde_json::from_str(&home.done(&args).stdout).expect("is JSON");
    give_debs(home);
    built
}
