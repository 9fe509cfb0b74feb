//! How long a build takes with and without a remote cache.
//!
//! ```text
//! cargo bench --bench remote -- $PWD/recipes/cgit
//! ```
//!
//! The .debs are fetched first, into the cache that `TINYROOT_CACHE` names (a scratch one otherwise). *Alone* is a
//! machine that has these and nothing else. It then fills the cache, a server on the loopback. *With it* is
//! a machine that has nothing, and no mirror. Nothing is proven: that takes the same time on both.

#![allow(clippy::print_stdout)]

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tinyroot::{
    artifact::{AnyWriter, Format, spk::Signer},
    cli,
    download::{Objects, Options},
    fetch::fetch,
    formats::key_file::Key,
    line::{Care, Session, Times, build, manifest_of, overlay, read_lock},
    progress::{Progress, size_text},
    recipe,
    remote::{Place, RemoteCache, impatient},
    sandbox::{CHILD_ARGUMENT, child_main},
    store::Store,
    testing::Server,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const TOKEN: &str = "Bearer bench";

fn main() -> Outcome<()> {
    if env::args_os().nth(1).is_some_and(|argument| argument == CHILD_ARGUMENT) {
        child_main();
    }
    // cargo gives `--bench` to every bench.
    let recipes: Vec<PathBuf> =
        env::args_os().skip(1).filter(|a| a != "--bench").map(PathBuf::from).collect();
    if recipes.is_empty() {
        println!("name recipe folders: cargo bench --bench remote -- $PWD/recipes/cgit");
    }
    for folder in recipes {
        bench(&folder)?;
    }
    Ok(())
}

fn bench(folder: &Path) -> Outcome<()> {
    let scratch = tempfile::tempdir()?;
    let cache = env::var_os("TINYROOT_CACHE").map_or_else(|| scratch.path().join("cache"), PathBuf::from);
    let full = Session::silent(Arc::new(Store::open_sealed(&cache, cli::seal()?.0)?));
    let recipe = recipe::read(folder)?;
    let lock = read_lock(&recipe)?;
    let mirrors = full.mirrors_of(&recipe.debian, &lock)?;
    let alone = Session::silent(Arc::new(Store::open(&scratch.path().join("alone"))?));
    for package in &lock.packages {
        let (from, to) = (full.store.deb_path(&package.checksum), alone.store.deb_path(&package.checksum));
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).unwrap_or(());
    }
    fetch(&lock, &mirrors, &alone.store, &full.downloader(), &full.progress)?;

    let served = scratch.path().join("served");
    fs::create_dir(&served)?;
    let server = Server::start(&served);
    server.take(TOKEN);
    let key = Key::from_seed([7; 32]);
    let remote = |token, signer| {
        let url = server.url();
        let objects = Objects::new(impatient(Options::default()), &url, token);
        Arc::new(RemoteCache::new(Place::web(&url, objects), vec![key.app_id()], signer, Progress::silent()))
    };
    let filler = remote(Some(TOKEN), Some(key.clone()));
    // Empty so far: that it is asked counts.
    alone.store.look_elsewhere(filler.clone());
    let (first, mut times) = made(folder, &key, &alone, &scratch.path().join("alone.spk"))?;
    times.measure("filling the remote cache", || filler.share(&alone.store));

    let with_it = Session::silent(Arc::new(Store::open(&scratch.path().join("with"))?));
    let reader = remote(None, None);
    with_it.store.look_elsewhere(reader.clone());
    let (second, fetched) = made(folder, &key, &with_it, &scratch.path().join("with.spk"))?;
    if first != second {
        return Err("the packages differ".into());
    }

    println!("{}: {} packages, {} entries", recipe.app.name, lock.packages.len(), reader.taken());
    println!("  {:<28} {:>9} {:>9}", "", "alone", "with it");
    for (stage, alone) in &times.0 {
        let with_it =
            fetched.0.iter().find(|(other, _)| other == stage).map_or(0.0, |(_, t)| t.as_secs_f64());
        println!("  {stage:<28} {:>7.3} s {with_it:>7.3} s", alone.as_secs_f64());
    }
    let sent: u64 = fs::read_dir(served.join("1/files"))?
        .flatten()
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum();
    println!("  {:<28} {:>9}", "files in the remote cache", size_text(sent));
    Ok(())
}

/// Builds a recipe without a proof; returns the package and how long each stage took.
fn made(folder: &Path, key: &Key, session: &Session, output: &Path) -> Outcome<(Vec<u8>, Times)> {
    let began = Instant::now();
    let recipe = recipe::read(folder)?;
    let manifest = manifest_of(&recipe, &read_lock(&recipe)?)?;
    let writer = AnyWriter { format: Format::Spk, manifest: &manifest, signer: Signer::Key(key) };
    let overlaid = overlay(recipe, session)?;
    let mut built = build(overlaid, &writer, output, Care::NoProof, session)?;
    let mut times = std::mem::take(&mut built.overlaid.sources.times);
    times.0.push(("in sum", began.elapsed()));
    Ok((fs::read(output)?, times))
}
