//! How long choosing packages takes, the whole program, beside apt: warm, and cold from downloaded indexes.
//!
//! ```text
//! cargo bench --bench resolving -- wordpress
//! ```
//!
//! The indexes of bookworm and its pockets are fetched first, once by tinyroot and once as the mirror has
//! them into a directory. *Warm* is offline with tinyroot's cache and apt's; *cold* is that directory as a
//! mirror and no cache, and apt without its caches, its lists in place. Each figure is the median of several
//! runs.

#![allow(clippy::print_stdout)]

use std::{
    env,
    error::Error,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tinyroot::{
    archive::{self, Mirrors, Selection},
    download::{self, Downloader},
    progress::Progress,
    resolve::Universe,
    store::Store,
};

#[path = "../examples/as_apt/apt.rs"]
mod apt;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut packages: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if packages.is_empty() {
        packages.push("wordpress".into());
    }
    let scratch = tempfile::tempdir()?;
    let (cache, cold, mirror) =
        (scratch.path().join("cache"), scratch.path().join("cold"), scratch.path().join("mirror"));
    let selection = Selection::new("bookworm", "amd64");
    download_to(&mirror, &selection)?;
    let options =
        archive::Options { mirrors: vec![mirror.display().to_string()], ..archive::Options::default() };
    let downloader = Downloader::new(download::Options::default());
    let store = Store::open(&cache)?;
    let archive = archive::open(&selection, &options, &store, &downloader, &Progress::silent())?;
    let universe = Universe::new("amd64", &archive.sources())?;
    let apt = apt::Apt::prepare(&archive, &[])?;
    let words = [apt::essential(&universe), packages.clone()].concat();

    println!("{}, median of several runs", packages.join(" "));
    let ours = |cache: &Path, more: &[&str]| -> Outcome<()> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinyroot"));
        command.arg("resolve").args(&packages).args(more).arg("--cache").arg(cache);
        finished(command.arg("--quiet").stdout(Stdio::null()))
    };
    let mirror = mirror.display().to_string();
    let warm = median(21, || ours(&cache, &["--offline"]))?;
    let apt_warm = median(5, || apt.install(&words)?.map(drop).map_err(Into::into))?;
    row("warm", warm, apt_warm);
    let asking = median(21, || ours(&cache, &["--mirror", &mirror]))?;
    row("warm, asking a mirror in a directory", asking, apt_warm);
    let mut first = Vec::new();
    for _ in 0..3 {
        let _ = fs::remove_dir_all(&cold);
        first.push(timed(|| ours(&cold, &["--mirror", &mirror]))?);
    }
    let apt_cold = median(3, || {
        // Its caches of the lists go, too.
        finished(apt.command().arg("clean"))?;
        apt.install(&words)?.map(drop).map_err(Into::into)
    })?;
    row("cold", middle(first), apt_cold);
    Ok(())
}

fn row(what: &str, ours: Duration, theirs: Duration) {
    let (ours, theirs) = (ours.as_secs_f64(), theirs.as_secs_f64());
    println!("  {what:<38} {ours:>7.3} s   apt-get -s {theirs:>7.3} s   1/{:.1}", theirs / ours);
}

fn finished(command: &mut Command) -> Outcome<()> {
    if command.status()?.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}

fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let began = Instant::now();
    work().map(|()| began.elapsed())
}

fn median(runs: usize, mut work: impl FnMut() -> Outcome<()>) -> Outcome<Duration> {
    work()?;
    Ok(middle((0..runs).map(|_| timed(&mut work)).collect::<Outcome<_>>()?))
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Fetches the signed indexes of a selection as its mirrors have them.
fn download_to(directory: &Path, selection: &Selection) -> Outcome<()> {
    let suites = selection.suites();
    let mirrors = Mirrors::find(&suites, &archive::Options::default())?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::new();
    for suite in &suites {
        let base = mirrors.of(suite).first().ok_or_else(|| format!("no mirror for {suite}"))?;
        for name in ["InRelease", "main/binary-amd64/Packages.xz"] {
            let path = format!("dists/{suite}/{name}");
            let url = format!("{}/{path}", base.trim_end_matches('/'));
            let bytes = client.get(&url).send()?.error_for_status()?.bytes()?;
            let to = directory.join(path);
            fs::create_dir_all(to.parent().ok_or("a file lies in a directory")?)?;
            fs::write(to, bytes)?;
        }
    }
    Ok(())
}
