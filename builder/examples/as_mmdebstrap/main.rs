//! Compares the root that `tinyroot stage` makes with the one that mmdebstrap makes of the same packages.
//!
//! ```text
//! cargo run --release --example as_mmdebstrap -- --suite bookworm wordpress mariadb-server
//! cargo run --release --example as_mmdebstrap -- --tars ours.tar theirs.tar
//! ```
//!
//! A recipe of the packages is locked and staged; mmdebstrap gets the same archive, exactly the
//! locked packages and, as `SOURCE_DATE_EPOCH`, the newest time in tinyroot's root. The two tars are compared
//! by path, kind, mode, owner, contents, link target, hard links and extended attributes. What may differ
//! stands with its reason in `tests/as_mmdebstrap/differences.txt`; the program prints how many paths each of
//! its lines accounts for, then every other difference. Exits 1 where there is any.
//!
//! Needs mmdebstrap and what that needs (root, or a user with subordinate ids).

#![allow(clippy::print_stdout)]

mod allowed;
mod listing;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use clap::Parser;
use tinyroot::{
    archive::{self, Mirrors, Selection},
    lock::Lock,
};

use allowed::{Allowed, Difference};
use listing::Listing;

#[derive(Parser)]
struct Arguments {
    /// Packages beside the Essential ones
    packages: Vec<String>,
    /// The suite, by codename
    #[arg(long, default_value = "bookworm")]
    suite: String,
    /// Compare two tars that are there: tinyroot's, then mmdebstrap's
    #[arg(long, num_args = 2, value_name = "TAR")]
    tars: Vec<PathBuf>,
    /// Keep both tars in this directory
    #[arg(long)]
    keep: Option<PathBuf>,
    /// What may differ
    #[arg(long, default_value = "tests/as_mmdebstrap/differences.txt")]
    allowed: PathBuf,
    /// The program to compare
    #[arg(long, env = "TINYROOT_TEST_PROGRAM", default_value = "target/release/tinyroot")]
    tinyroot: PathBuf,
    /// Print so many differences
    #[arg(long, default_value_t = 100)]
    show: usize,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut allowed = Allowed::read(&arguments.allowed)?;
    let scratch = tempfile::Builder::new().prefix("as_mmdebstrap-").tempdir()?;
    let (ours, theirs) = match &arguments.tars[..] {
        [ours, theirs] => (ours.clone(), theirs.clone()),
        _ => make(&arguments, arguments.keep.as_deref().unwrap_or(scratch.path()))?,
    };
    let (ours, theirs) = (Listing::read(&ours)?, Listing::read(&theirs)?);
    let found = ours.differences(&theirs);
    let open: Vec<Difference> = found.into_iter().filter(|difference| !allowed.admits(difference)).collect();
    for (line, count) in allowed.used() {
        println!("{count:6} {line}");
    }
    for difference in open.iter().take(arguments.show) {
        println!("{difference}");
    }
    println!(
        "{} {}: {} paths, {} differ for a listed reason, {} otherwise",
        arguments.suite,
        arguments.packages.join(" "),
        ours.len(),
        allowed.used().iter().map(|(_, count)| count).sum::<usize>(),
        open.len()
    );
    Ok(ExitCode::from(u8::from(!open.is_empty())))
}

/// What bookworm needs: mmdebstrap's own way of making the links of a merged `/usr` before anything is
/// unpacked, and no `usrmerge`, which apt would take and which converts a running system.
const MERGED: [&str; 3] = [
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--setup-hook=printf 'Package: usrmerge\\nPin: release *\\nPin-Priority: -1\\n' \
     > \"$1\"/etc/apt/preferences.d/usrmerge",
    "--customize-hook=rm \"$1\"/etc/apt/preferences.d/usrmerge",
];

/// Makes both tars.
fn make(arguments: &Arguments, directory: &Path) -> Result<(PathBuf, PathBuf), Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let recipe = directory.join("recipe");
    fs::create_dir_all(&recipe)?;
    // A recipe needs a package to be the app; an Essential one changes nothing.
    let app = arguments.packages.first().map_or("base-files", String::as_str);
    let rest: Vec<String> = arguments.packages.iter().skip(1).map(|name| format!("{name:?}")).collect();
    let text = format!(
        "[app]\nname = \"compared\"\npackages = [\"{app}\"]\n[debian]\nsuite = \"{}\"\npackages = [{}]\n",
        arguments.suite,
        rest.join(", ")
    );
    fs::write(recipe.join("recipe.toml"), text)?;
    let (ours, theirs) = (directory.join("ours.tar"), directory.join("theirs.tar"));
    let began = Instant::now();
    run(Command::new(&arguments.tinyroot).args(["-q", "lock"]).arg(&recipe))?;
    let lock = Lock::read(&recipe.join("recipe.lock"))?;
    run(Command::new(&arguments.tinyroot).args(["-q", "stage"]).arg(&recipe).arg("--output").arg(&ours))?;
    println!("tinyroot   {:5.1} s, lock and downloads included", began.elapsed().as_secs_f64());

    let names: Vec<String> = lock.packages.iter().map(|p| format!("{}={}", p.name, p.version)).collect();
    let suites = Selection::new(&arguments.suite, "amd64").suites();
    let mirrors = Mirrors::find(&suites, &archive::Options::default())?;
    let sources: Vec<String> = suites
        .iter()
        .filter_map(|suite| Some(format!("deb {} {suite} main", mirrors.of(suite).first()?)))
        .collect();
    let began = Instant::now();
    // Scripts write the host's name into what they configure; in tinyroot's sandbox that is localhost.
    let mut mmdebstrap = match rustix::process::geteuid().is_root() {
        true => Command::new("unshare"),
        false => Command::new("mmdebstrap"),
    };
    if rustix::process::geteuid().is_root() {
        mmdebstrap.args(["--uts", "sh", "-c", "hostname localhost && exec mmdebstrap \"$@\"", "mmdebstrap"]);
    }
    run(mmdebstrap
        .args(["--quiet", "--variant=essential", "--aptopt=Apt::Install-Recommends \"false\""])
        .arg(format!("--include={}", names.join(",")))
        .args(if arguments.suite == "bookworm" { &MERGED[..] } else { &[] })
        .args([&arguments.suite, &theirs.display().to_string()])
        .args(&sources)
        .env("SOURCE_DATE_EPOCH", Listing::newest_s(&ours)?.to_string())
        .env("FORCE_SOURCE_DATE", "1")
        .env("LC_ALL", "C.UTF-8"))?;
    println!("mmdebstrap {:5.1} s, downloads included", began.elapsed().as_secs_f64());
    Ok((ours, theirs))
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("{:?} failed:\n{text}", command.get_program()).into())
}
