//! Compares what tinyroot resolves with what apt answers.
//!
//! ```text
//! APT_CONFIG=apt.conf cargo run --example as_apt -- [--essential] SETS INDEX...
//! ```
//!
//! SETS has one set of packages a line. The INDEXes are uncompressed Packages files, in the order
//! in which apt reads them; `apt.conf` must give apt the same ones and an empty status. For each
//! set it prints what only one of both installs. Exits 1 where any differs.

use std::{
    collections::BTreeSet,
    error::Error,
    process::{Command, ExitCode},
    time::Instant,
};

use tinyroot::resolve::{Request, Source, Universe, resolve};

type Set = BTreeSet<(String, String)>;

/// Returns names and versions that apt would install; the error is what it says.
fn apt(packages: &[String]) -> Result<Set, Box<dyn Error>> {
    let output = Command::new("apt-get")
        .args(["-s", "-q", "--no-install-recommends", "install"])
        .args(packages)
        .env("LC_ALL", "C.UTF-8")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ").into());
    }
    let text = String::from_utf8(output.stdout)?;
    let inst = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    };
    Ok(text.lines().filter_map(inst).collect())
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let essential = arguments.first().is_some_and(|argument| argument == "--essential");
    if essential {
        arguments.remove(0);
    }
    let [sets, indexes @ ..] = &arguments[..] else {
        return Err("usage: as_apt [--essential] SETS INDEX...".into());
    };
    let texts = indexes.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    let sources: Vec<Source<'_>> =
        indexes.iter().zip(&texts).map(|(name, text)| Source::new(name, text)).collect();
    let start = Instant::now();
    let universe = Universe::new("amd64", &sources)?;
    println!("{} candidates in {:.0} ms", universe.len(), start.elapsed().as_secs_f64() * 1e3);

    let (mut equal, mut differ) = (0, 0);
    for line in std::fs::read_to_string(sets)?.lines() {
        let packages: Vec<String> = line.split_whitespace().map(String::from).collect();
        let request = Request { packages: packages.clone(), essential, ..Request::default() };
        let mut words: Vec<String> = Vec::new();
        if essential {
            words.extend(
                universe.ids().map(|id| universe.package(id)).filter(|p| p.essential).map(|p| p.name.into()),
            );
            words.sort();
        }
        words.extend(packages);
        let start = Instant::now();
        let ours = resolve(&universe, &request);
        let took_ms = start.elapsed().as_secs_f64() * 1e3;
        let (ours, how) = match ours {
            Ok(found) => {
                let how = if found.beyond_apt { ", beyond apt" } else { "" };
                (Ok(found.packages.into_iter().map(|p| (p.name, p.version)).collect::<Set>()), how)
            }
            Err(error) => (Err(error.to_string()), ""),
        };
        let theirs = apt(&words).map_err(|error| error.to_string());
        if ours == theirs || ours.is_err() && theirs.is_err() {
            equal += 1;
            println!("equal   {line}: {} packages in {took_ms:.1} ms{how}", ours.map_or(0, |set| set.len()));
            continue;
        }
        differ += 1;
        println!("differs {line} in {took_ms:.1} ms{how}");
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                ours.difference(&theirs)
                    .for_each(|(name, version)| println!("    only ours: {name} {version}"));
                theirs
                    .difference(&ours)
                    .for_each(|(name, version)| println!("    only apt:  {name} {version}"));
            }
            (Ok(ours), Err(error)) => println!("    ours: {} packages; apt: {error}", ours.len()),
            (Err(error), Ok(theirs)) => println!("    apt: {} packages; ours: {error}", theirs.len()),
            (Err(_), Err(_)) => {}
        }
    }
    println!("{equal} equal, {differ} differ");
    Ok(ExitCode::from(u8::from(differ > 0)))
}
