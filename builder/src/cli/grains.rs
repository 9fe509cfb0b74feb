//! `tinyroot grains`: the grains on disk.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
};

use super::{Context, Failure, NO_JSON, finish_json, output::ask, print, xdg_directory};
use crate::{
    error::At as _,
    files,
    grain::library::{GrainLibrary, StoredGrain},
    shown,
};

/// List, read and remove the grains on this machine
///
/// Those of `run` and of `serve`, below ~/.local/share/tinyroot/grains. GRAIN is a grain's name as `list`
/// shows it; where several apps have one of that name, APP-ID/NAME.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List them: app, name, title, size, whether it runs
    List,
    /// Print what a grain's services printed
    Log {
        /// Which grain
        grain: String,
    },
    /// Remove grains with all their data
    Remove {
        /// Which grains
        #[arg(required = true)]
        grain: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// Returns all grains of this user.
pub(super) fn library() -> Result<GrainLibrary, Failure> {
    let data = xdg_directory("XDG_DATA_HOME", ".local/share")
        .ok_or_else(|| Failure::new("HOME is not set to an absolute path").hint("set XDG_DATA_HOME"))?;
    Ok(GrainLibrary::new(data.join("grains")))
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let grains = library()?.list()?;
    match &args.command {
        Command::List if context.global.json => {
            finish_json(&json(&grains));
            Ok(())
        }
        Command::List => print(&table(&grains)),
        Command::Log { grain } => {
            context.refuse_json("grains log", NO_JSON)?;
            let directory = &find(&grains, grain)?.directory;
            let logs = ["log.1", "log"].map(|name| files::read(directory.join(name)).unwrap_or_default());
            print(&shown(&logs.concat()))
        }
        Command::Remove { grain, yes } => {
            // All are found before one is removed.
            let found = grain.iter().map(|name| find(&grains, name)).collect::<Result<Vec<_>, _>>()?;
            for stored in found {
                if *yes || confirmed(stored)? {
                    stored.clone().remove()?;
                }
            }
            Ok(())
        }
    }
}

fn find<'a>(grains: &'a [StoredGrain], wanted: &str) -> Result<&'a StoredGrain, Failure> {
    let full = |stored: &StoredGrain| format!("{}/{}", stored.app_id, stored.name);
    let found: Vec<&StoredGrain> =
        grains.iter().filter(|stored| stored.name == wanted || full(stored) == wanted).collect();
    match found[..] {
        [stored] => Ok(stored),
        [] => {
            let failure = Failure::new(format!("there is no grain `{wanted}`"));
            Err(failure.hint("`tinyroot grains list` shows their names"))
        }
        [..] => {
            let names: Vec<String> = found.into_iter().map(full).collect();
            let failure = Failure::new(format!("several apps have a grain `{wanted}`"));
            Err(failure.hint(format!("name one of {}", names.join(", "))))
        }
    }
}

/// Asks a person.
fn confirmed(stored: &StoredGrain) -> Result<bool, Failure> {
    let what = format!("{} ({}, {})", stored.name, shown::name(stored.title()), stored.size());
    if !io::stdin().is_terminal() {
        return Err(Failure::new(format!(
            "cannot ask whether to remove {what}: standard input is not a terminal"
        ))
        .hint("add --yes"));
    }
    ask(&format!("remove {what} with all its data? [y/N] "));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).at("read", "standard input")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A log as a terminal is given it: an app's bytes cannot move its cursor.
fn shown(log: &[u8]) -> String {
    let mut out = String::with_capacity(log.len());
    for letter in String::from_utf8_lossy(log).chars() {
        match letter {
            '\n' | '\t' => out.push(letter),
            letter if letter.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out
}

fn app(stored: &StoredGrain) -> &str {
    stored.meta.as_ref().map_or("-", |meta| &meta.app)
}

fn table(grains: &[StoredGrain]) -> String {
    let mut out = String::new();
    let width = |of: fn(&StoredGrain) -> &str| {
        grains.iter().map(|stored| of(stored).chars().count()).max().unwrap_or(0)
    };
    let (apps, names) = (width(app), width(|stored| &stored.name));
    for stored in grains {
        let running = if stored.is_running() { ", running" } else { "" };
        let size = stored.size();
        let _ = writeln!(
            out,
            "{:<apps$}  {:<names$}  {size:>9}  {}{running}",
            app(stored),
            stored.name,
            shown::name(stored.title())
        );
    }
    out
}

fn json(grains: &[StoredGrain]) -> serde_json::Value {
    let grains = grains.iter().map(|stored| {
        serde_json::json!({
            "app_id": stored.app_id.to_string(),
            "app": stored.meta.as_ref().map(|meta| &meta.app),
            "name": stored.name,
            "title": stored.title(),
            "created": stored.meta.as_ref().and_then(|meta| meta.created.as_ref()),
            "running": stored.is_running(),
            "size_bytes": stored.size().bytes,
            "directory": stored.directory.to_string_lossy(),
        })
    });
    serde_json::json!({ "grains": grains.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::app_id::AppId;

    #[test]
    fn a_grain_is_found_by_a_name_that_means_one() {
        let place = tempfile::tempdir().expect("a directory");
        let grains = GrainLibrary::new(place.path().to_path_buf());
        let [one, two] = [AppId([1; 32]), AppId([2; 32])];
        for (id, noun) in [(one, "pot"), (two, "pot"), (two, "cup")] {
            grains.create(&id, "Tea", noun, "").expect("makes");
        }
        let list = grains.list().expect("lists");
        assert_eq!(find(&list, "cup-1").map(|stored| stored.app_id).ok(), Some(two));
        assert_eq!(find(&list, &format!("{one}/pot-1")).map(|stored| stored.app_id).ok(), Some(one));
        let text = |wanted| find(&list, wanted).map(drop).expect_err("is refused").to_string();
        assert!(text("pot-1").starts_with("error: several apps have a grain `pot-1`"), "{}", text("pot-1"));
        assert!(text("pot-9").contains("there is no grain `pot-9`"), "{}", text("pot-9"));
        let table = table(&list);
        assert!(table.contains("Tea  cup-1        0 B  cup 1\n"), "{table}");
        assert_eq!(json(&list)["grains"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn a_log_does_not_move_the_cursor() {
        assert_eq!(shown(b"a\tb\n\x1b[2J\xff\r\n"), "a\tb\n\\x1b[2J\u{fffd}\\x0d\n");
    }
}
