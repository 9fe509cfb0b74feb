//! Real packages for tests: resolved, locked and fetched by the program from Debian's own archive.

use std::{fs, path::Path, process::Command};

use tinyroot::{
    archive::{Mirrors, Options},
    download::Downloader,
    fetch::{Fetched, fetch},
    lock::Lock,
    progress::Progress,
    store::Store,
};

/// Returns packages of a suite and all that they depend on, fetched into the store in that directory.
pub fn fetched(suite: &str, packages: &[&str], cache: &Path) -> Fetched {
    let folder = tempfile::tempdir().expect("a directory");
    let recipe = format!(
        "[app]\nname = \"debs\"\nversion = \"1\"\npackages = {packages:?}\n[debian]\nsuite = \"{suite}\"\n\
         [[service]]\nname = \"none\"\ncommand = [\"/bin/true\"]\n"
    );
    fs::write(folder.path().join("recipe.toml"), recipe).expect("writes");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyroot"));
    let output = command.arg("lock").arg(folder.path()).arg("--cache").arg(cache).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lock = Lock::read(&folder.path().join("recipe.lock")).expect("a lock");
    let mirrors =
        std::env::var("TINYROOT_MIRROR").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let options = Options { mirrors, ..Options::default() };
    let suites: Vec<String> = lock.packages.iter().map(|package| package.suite.clone()).collect();
    let mirrors = Mirrors::find(&suites, &options).expect("a mirror");
    let store = Store::open(cache).expect("opens");
    fetch(&lock, &mirrors, &store, &Downloader::new(Default::default()), &Progress::silent())
        .expect("fetches")
}
