//! Real packages for tests: resolved, locked and fetched by the program from Debian's own archive.

use std::{fs, path::Path, sync::Arc};

use tinyroot::{
    fetch::{Fetched, fetch},
    line::{Session, choose, lock, request, universe},
    recipe,
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
    let recipe = recipe::read(folder.path()).expect("a good recipe");
    let mut session = Session::silent(Arc::new(Store::open(cache).expect("opens")));
    let mirrors = std::env::var("TINYROOT_MIRROR").unwrap_or_default();
    session.archive.mirrors = mirrors.split_whitespace().map(str::to_owned).collect();
    let archive = session.open_of(&recipe.debian).expect("an archive");
    let request = request(&recipe);
    let universe = universe(&archive, &[]).expect("sound indexes");
    let lock = lock(&recipe, &archive, &request, &choose(&universe, &request).expect("a solution"));
    let mirrors = session.mirrors_of(&recipe.debian, &lock).expect("a mirror");
    fetch(&lock, &mirrors, &session.store, &session.downloader(), &session.progress).expect("fetches")
}
