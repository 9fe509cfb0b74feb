//! Compares what tinyroot resolves with what apt answers, over many sets of packages.
//!
//! ```text
//! cargo run --release --example as_apt -- --suite bookworm --random 400 --seed 1
//! cargo run --release --example as_apt -- --suite trixie --sets tests/as_apt/trixie.txt
//! ```
//!
//! The indexes are those of tinyroot's own archive, verified; apt gets the same texts as flat
//! archives in a scratch directory, with an empty status, so nothing of the host's apt is read or
//! changed. For each set apt is given the Essential packages first, then the set. A set is
//!
//! - *equal*: the same packages in the same versions, or neither side finds any;
//! - *explained*: another answer for a reason named in `verdict`, and apt itself accepts ours as it
//!   stands when it is named whole;
//! - *wrong*: anything else.
//!
//! Exits 1 where any is wrong.

#![allow(clippy::print_stdout)]

mod apt;
mod sets;
mod verdict;

use std::{
    error::Error,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use clap::Parser;
use tinyroot::{
    archive::{self, Selection},
    cli,
    download::{self, Downloader},
    formats::pins::Pin,
    progress::Progress,
    resolve::Universe,
    store::Store,
};

use apt::Apt;
use verdict::{Asked, Verdict, judge};

#[derive(Parser)]
struct Arguments {
    /// The suite, by codename
    #[arg(long, default_value = "bookworm")]
    suite: String,
    /// Pockets beside it, instead of updates and security
    #[arg(long)]
    pocket: Vec<String>,
    /// The Debian architecture
    #[arg(long, default_value = "amd64")]
    architecture: String,
    /// A file with a set of packages a line
    #[arg(long)]
    sets: Vec<PathBuf>,
    /// So many random sets: single packages, pairs and more, tasks, and packages with the largest closures
    #[arg(long, default_value_t = 0)]
    random: usize,
    /// Where the random sets begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A pin that both sides go by, as PACKAGE:SUITE:PRIORITY, such as `*:bookworm-backports:600`; of several
    /// the first that fits
    #[arg(long, value_parser = pin)]
    pin: Vec<Pin>,
    /// Print the sets, one a line, and do no more
    #[arg(long)]
    list: bool,
    /// Print equal sets as well
    #[arg(long)]
    verbose: bool,
    /// As tinyroot's own
    #[arg(long, env = "TINYROOT_MIRROR")]
    mirror: Option<String>,
    /// As tinyroot's own
    #[arg(long, env = "TINYROOT_CACHE", default_value = "target/as_apt-cache")]
    cache: PathBuf,
}

fn pin(text: &str) -> Result<Pin, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [package, suite, priority] = parts[..] else { return Err("is not PACKAGE:SUITE:PRIORITY".into()) };
    let priority = priority.parse().map_err(|_| "has no number as its priority")?;
    Ok(Pin { package: package.into(), suite: Some(suite.into()), version: None, priority })
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut selection = Selection::new(&arguments.suite, &arguments.architecture);
    if !arguments.pocket.is_empty() {
        selection.pockets = arguments.pocket.clone();
    }
    let store = Store::open_sealed(&arguments.cache, cli::seal()?.0)?;
    let options =
        archive::Options { mirrors: arguments.mirror.into_iter().collect(), ..archive::Options::default() };
    let downloader = Downloader::new(download::Options::default());
    let archive = archive::open(&selection, &options, &store, &downloader, &Progress::silent())?;
    let sources = archive.sources();
    let universe = Universe::pinned(&arguments.architecture, &sources, &arguments.pin)?;

    let mut wanted = Vec::new();
    for path in &arguments.sets {
        wanted.extend(sets::read(path)?);
    }
    wanted.extend(sets::random(&universe, arguments.random, arguments.seed));
    if arguments.list {
        wanted.iter().for_each(|set| println!("{}", set.join(" ")));
        return Ok(ExitCode::SUCCESS);
    }

    let apt = Apt::prepare(&archive, &arguments.pin)?;
    let essential = apt::essential(&universe);
    let next = AtomicUsize::new(0);
    let verdicts: Mutex<Vec<(usize, Verdict)>> = Mutex::default();
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(wanted.len());
    let work = || -> Result<(), String> {
        // Facts are found when asked for and not shared, so each thread reads the indexes itself.
        let universe =
            Universe::pinned(&arguments.architecture, &sources, &arguments.pin).map_err(|e| e.to_string())?;
        while let Some(set) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let at = wanted.iter().position(|other| std::ptr::eq(other, set)).unwrap_or_default();
            let verdict = {
                judge(&Asked {
                    universe: &universe,
                    sources: &sources,
                    pins: &arguments.pin,
                    apt: &apt,
                    essential: &essential,
                    set,
                })?
            };
            if arguments.verbose || !matches!(verdict, Verdict::Equal(_)) {
                println!("{verdict} [{}]", set.join(" "));
            }
            verdicts.lock().map_err(|e| e.to_string())?.push((at, verdict));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;

    let verdicts = verdicts.into_inner()?;
    let count = |kind: fn(&Verdict) -> bool| verdicts.iter().filter(|(_, verdict)| kind(verdict)).count();
    let wrong = count(|verdict| matches!(verdict, Verdict::Wrong(_)));
    println!(
        "{} {}: {} sets, {} equal, {} explained, {wrong} wrong, {:.0} s",
        arguments.suite,
        arguments.architecture,
        verdicts.len(),
        count(|verdict| matches!(verdict, Verdict::Equal(_))),
        count(|verdict| matches!(verdict, Verdict::Explained(_))),
        began.elapsed().as_secs_f64()
    );
    Ok(ExitCode::from(u8::from(wrong > 0)))
}
