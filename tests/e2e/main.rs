//! The program as a user has it, over small archives made and signed on the spot and served on the loopback.
//!
//! What needs a whole Debian root is in `tests/real`.

mod archives;
mod authorities;
mod bad_input;
mod base;
mod bases;
mod begun;
mod bombs;
mod cache;
mod ci_examples;
mod configuring;
mod costly;
mod coverage;
mod dependencies;
mod differences;
mod failed_script;
mod fix;
mod full_disk;
mod inspecting;
mod interactive;
mod keys;
mod killed;
mod kube;
mod late_import;
mod listings;
mod little;
mod log;
mod many;
mod messages;
mod network;
#[path = "../networks.rs"]
mod networks;
mod npm;
mod operands;
mod outcome;
mod output;
mod papers;
mod pool;
mod rebuild;
mod recorded;
mod records;
mod reference;
mod referrers;
mod remote_cache;
mod serve;
mod shared_cache;
mod signed_by;
mod small;
mod stopped;
#[path = "../support.rs"]
mod support;
mod terminal;
mod traced_app;
mod update;
mod words;

use std::path::{Path, PathBuf};

use support::{Home, text};
use tinyroot::testing::{Deb, Made, MadeArchive, Server, deb};

/// A made archive on the loopback, and a recipe for an app in it.
struct World {
    home: Home,
    made: Made,
    server: Server,
    recipe: PathBuf,
}

/// An app, what it needs, and what cannot be with it.
fn debs() -> Vec<Deb> {
    vec![
        deb("tea").version("2").field("Depends", "water (>= 1)").file("usr/bin/tea", 0o755, noise(3 << 20)),
        deb("water").version("1").file("usr/share/water", 0o644, "wet\n"),
        deb("coffee").version("1").field("Conflicts", "tea"),
    ]
}

/// Bytes that no compression makes small.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

impl World {
    fn new() -> Self {
        World::of(debs())
    }

    fn of(debs: Vec<Deb>) -> Self {
        let home = Home::new();
        let archive = debs.into_iter().fold(MadeArchive::new("bookworm"), MadeArchive::add);
        let made = archive.write_with_pockets(&home.path("archive"));
        let server = Server::start(&home.path("archive"));
        let recipe = write_recipe(&home, r#"["tea"]"#, "");
        World { home, made, server, recipe }
    }

    /// Arguments, then those that lead to the archive.
    fn args<'a>(&'a self, args: &[&'a str], url: &'a str) -> Vec<&'a str> {
        let rest = ["--mirror", url, "--keyring", text(&self.made.keyring)];
        args.iter().copied().chain(rest).collect()
    }

    fn fails(&self, args: &[&str]) -> String {
        self.home.fails(&self.args(args, &self.server.url()))
    }

    fn done(&self, args: &[&str]) -> String {
        let ended = self.home.done(&self.args(args, &self.server.url()));
        ended.stdout + &ended.stderr
    }

    fn lock(&self) {
        self.done(&["lock", text(&self.recipe)]);
    }

    /// Goes as far as one can without a dpkg: everything is fetched, checked and unpacked.
    fn fetches(&self) {
        let said = self.fails(&["stage", text(&self.recipe), "--output", text(&self.home.path("root.tar"))]);
        support::assert_says(&said, &["cannot configure a root without dpkg"]);
    }
}

/// Writes a recipe folder and returns its path.
fn write_recipe(home: &Home, packages: &str, more: &str) -> PathBuf {
    let folder = home.path("recipe");
    std::fs::create_dir_all(&folder).expect("makes");
    let text = format!(
        "[app]\nname = \"tea\"\nversion = \"1\"\npackages = {packages}\n[debian]\nsuite = \"bookworm\"\n{more}\n\
         [[service]]\nname = \"pot\"\ncommand = [\"/usr/bin/tea\"]\n"
    );
    std::fs::write(folder.join("recipe.toml"), text).expect("writes");
    folder
}

fn pool_file(directory: &Path, name: &str) -> String {
    let archive = debs().into_iter().fold(MadeArchive::new("bookworm"), MadeArchive::add);
    let deb = debs().into_iter().find(|deb| deb.get("Package") == name).expect("is in the archive");
    let path = archive.path("main", &deb);
    assert!(directory.join(&path).exists());
    path
}
