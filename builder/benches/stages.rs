//! How long each stage takes, cold and warm, beside `apt-get -s` and mmdebstrap.
//!
//! ```text
//! cargo bench --bench stages -- $PWD/recipes/cgit
//! ```
//!
//! Indexes and .debs are fetched first, into the cache that `TINYROOT_CACHE` names (a scratch one
//! otherwise). *Cold* begins with a store that has these and nothing else; *warm* is the same once
//! more. `apt-get -s` answers for the same packages from the same indexes, with its caches warm;
//! mmdebstrap makes a tar of the locked packages from the same .debs, which lie in a directory as an archive
//! that it copies from. Either is left out where it is not installed. The lower bound of unpacking is the
//! time that decompressing all .debs takes on all cores, each read to its end and nothing done with it.

#![allow(clippy::print_stdout)]

use std::{
    env,
    error::Error,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tinyroot::{
    archive::Archive,
    cli,
    digest::Digest,
    fetch::{Fetched, fetch},
    line::{Session, Times, choose, configure, lock, request, universe},
    lock::Lock,
    recipe::{self, Recipe},
    render::{TarOptions, write_tar},
    resolve::Universe,
    sandbox::{CHILD_ARGUMENT, child_main},
    store::Store,
};

#[path = "../examples/as_apt/apt.rs"]
mod apt;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    if env::args_os().nth(1).is_some_and(|argument| argument == CHILD_ARGUMENT) {
        child_main();
    }
    // cargo gives `--bench` to every bench.
    let recipes: Vec<PathBuf> =
        env::args_os().skip(1).filter(|a| a != "--bench").map(PathBuf::from).collect();
    if recipes.is_empty() {
        println!("name recipe folders: cargo bench --bench stages -- $PWD/recipes/cgit");
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let cache = env::var_os("TINYROOT_CACHE").map_or_else(|| scratch.path().join("cache"), PathBuf::from);
    for folder in recipes {
        bench(&recipe::read(&folder)?, &cache, &scratch.path().join("cold"))?;
    }
    Ok(())
}

fn bench(recipe: &Recipe, cache: &Path, cold: &Path) -> Outcome<()> {
    let full = Session::silent(Arc::new(Store::open_sealed(cache, cli::seal()?.0)?));
    let archive = full.open_of(&recipe.debian)?;
    let lock = lock_of(recipe, &archive)?;
    let mirrors = full.mirrors_of(&recipe.debian, &lock)?;
    let fetched = fetch(&lock, &mirrors, &full.store, &full.downloader(), &full.progress)?;

    let session = Session::silent(Arc::new(Store::open(cold)?));
    for deb in &fetched.debs {
        let to = session.store.deb_path(&deb.package.checksum);
        if !to.exists() {
            fs::create_dir_all(to.parent().ok_or("a .deb lies in a directory")?)?;
            fs::hard_link(&deb.path, &to).or_else(|_| fs::copy(&deb.path, &to).map(drop))?;
        }
    }
    drop(session.open_of(&recipe.debian)?);

    let runs = [(); 2].map(|()| stages(recipe, &session));
    let [first, second] = runs;
    let (first, second) = (first?, second?);
    println!("{}: {} packages", recipe.app.name, lock.packages.len());
    println!("  {:<28} {:>9} {:>9}", "", "cold", "warm");
    for ((stage, cold), (_, warm)) in first.0.iter().zip(&second.0) {
        println!("  {stage:<28} {:>7.3} s {:>7.3} s", cold.as_secs_f64(), warm.as_secs_f64());
    }
    let sum = |times: &Times, from: usize| times.0[from..].iter().map(|(_, t)| t.as_secs_f64()).sum::<f64>();
    println!(
        "  {:<28} {:>7.3} s {:>7.3} s",
        "resolving, in sum",
        sum(&first, 0) - sum(&first, 3),
        sum(&second, 0) - sum(&second, 3)
    );
    println!("  {:<28} {:>7.3} s {:>7.3} s", "staging, in sum", sum(&first, 3), sum(&second, 3));
    let bound = lower_bound(&fetched)?.as_secs_f64();
    println!("  {:<28} {bound:>7.3} s", "lower bound of unpacking");
    if let Some(peak) = peak_kib() {
        println!("  {:<28} {:>7} MB", "peak memory", peak / 1024);
    }
    beside_apt(recipe, &archive)?;
    beside_mmdebstrap(recipe, &lock, &fetched)?;
    fs::remove_dir_all(cold)?;
    Ok(())
}

/// Does the whole line as far as a tar of the root.
fn stages(recipe: &Recipe, session: &Session) -> Outcome<Times> {
    let mut times = Times::default();
    let archive = times.measure("check and read the indexes", || session.open_of(&recipe.debian))?;
    let universe = times.measure("parse them", || universe(&archive, &recipe.debian.pins))?;
    let request = request(recipe);
    let resolution = times.measure("resolve", || choose(&universe, &request))?;
    // The line reads the lock from a recipe's folder, which is not to be changed.
    let folder = tempfile::tempdir()?;
    let recipe = Recipe { directory: folder.path().to_path_buf(), ..recipe.clone() };
    lock(&recipe, &archive, &request, &resolution).write(&recipe.lock_path())?;
    let mut configured = configure(recipe, true, None, session)?;
    times.0.append(&mut configured.sources.times.0);
    let sink = std::io::sink();
    times.measure("write as tar", || {
        write_tar(configured.tree(), &session.store, sink, TarOptions::default())
    })?;
    Ok(times)
}

fn lock_of(recipe: &Recipe, archive: &Archive) -> Outcome<Lock> {
    let request = request(recipe);
    let resolution = choose(&universe(archive, &recipe.debian.pins)?, &request)?;
    Ok(lock(recipe, archive, &request, &resolution))
}

/// Returns the most memory that this process ever had.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn beside_apt(recipe: &Recipe, archive: &Archive) -> Outcome<()> {
    if !installed("apt-get") {
        return Ok(());
    }
    let began = Instant::now();
    let apt = apt::Apt::prepare(archive, &[])?;
    let prepared = began.elapsed().as_secs_f64();
    let universe = Universe::new(&archive.selection.architecture, &archive.sources())?;
    let mut words = apt::essential(&universe);
    words.extend(recipe.requested());
    let began = Instant::now();
    let found = apt.install(&words)?.map_err(|fault| format!("apt-get: {fault}"))?;
    let answer = began.elapsed().as_secs_f64();
    println!(
        "  {:<28} {answer:>7.3} s, its caches made in {prepared:.3} s; {} packages",
        "apt-get -s",
        found.len()
    );
    Ok(())
}

fn beside_mmdebstrap(recipe: &Recipe, lock: &Lock, fetched: &Fetched) -> Outcome<()> {
    if !installed("mmdebstrap") {
        return Ok(());
    }
    let names: Vec<String> = lock.packages.iter().map(|p| format!("{}={}", p.name, p.version)).collect();
    let archive = tempfile::Builder::new().prefix("stages-").tempdir()?;
    lay_out(fetched, &recipe.debian.suite, archive.path())?;
    let began = Instant::now();
    let output = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=essential", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"])
        .args(["--aptopt=APT::Install-Recommends \"false\"", NO_USRMERGE])
        .arg(format!("--include={}", names.join(",")))
        .args([&*recipe.debian.suite, "/dev/null"])
        .arg(format!("deb [trusted=yes] copy:{} ./", archive.path().display()))
        .output()?;
    if !output.status.success() {
        return Err(format!("mmdebstrap: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    println!("  {:<28} {:>7.3} s", "mmdebstrap, same .debs", began.elapsed().as_secs_f64());
    Ok(())
}

/// Makes a flat archive of .debs.
fn lay_out(fetched: &Fetched, suite: &str, directory: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // apt fetches as a user of its own.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    let mut index = String::new();
    for deb in &fetched.debs {
        let name = format!("{}.deb", deb.digest);
        fs::copy(&deb.path, directory.join(&name))?;
        fs::set_permissions(directory.join(&name), fs::Permissions::from_mode(0o644))?;
        let control = Command::new("dpkg-deb").arg("--field").arg(&deb.path).output()?;
        index += String::from_utf8(control.stdout)?.trim_end();
        index +=
            &format!("\nFilename: ./{name}\nSize: {}\nSHA256: {}\n\n", deb.package.size_bytes, deb.digest);
    }
    // mmdebstrap looks for Essential packages in the suite alone.
    let release = format!(
        "Suite: {suite}\nCodename: {suite}\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {} {} Packages\n",
        Digest::of(index.as_bytes()),
        index.len()
    );
    fs::write(directory.join("Release"), release)?;
    Ok(fs::write(directory.join("Packages"), index)?)
}

/// Decompresses all .debs on all cores, and returns how long that takes.
fn lower_bound(fetched: &Fetched) -> Outcome<Duration> {
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), String> {
        while let Some(deb) = fetched.debs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let path = &deb.path;
            let mut archive = ar::Archive::new(fs::File::open(path).map_err(|e| e.to_string())?);
            while let Some(member) = archive.next_entry() {
                let member = member.map_err(|e| e.to_string())?;
                let name = String::from_utf8_lossy(member.header().identifier()).into_owned();
                let mut reader: Box<dyn Read> = match name.rsplit_once('.') {
                    Some((_, "xz")) => Box::new(liblzma::read::XzDecoder::new(member)),
                    Some((_, "gz")) => Box::new(flate2::read::GzDecoder::new(member)),
                    Some((_, "zst")) => {
                        Box::new(zstd::stream::read::Decoder::new(member).map_err(|e| e.to_string())?)
                    }
                    _ => Box::new(member),
                };
                std::io::copy(&mut reader, &mut std::io::sink())
                    .map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    Ok(began.elapsed())
}

/// apt would take `usrmerge`, which converts a running system.
const NO_USRMERGE: &str = "--setup-hook=printf 'Package: usrmerge\\nPin: release *\\nPin-Priority: -1\\n' \
                           > \"$1\"/etc/apt/preferences.d/usrmerge";
