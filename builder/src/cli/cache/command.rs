//! `tinyroot cache`: the contents of the cache, and how to keep it small and undamaged.

use std::{cell::Cell, fmt::Write as _};

use serde_json::json;

use crate::{
    archive,
    cli::{Context, Failure, finish_json, print, size_text},
    formats::size::parse_size,
    progress::Unit,
    store::{
        Store,
        inventory::{Amount, age_s, by_kind},
    },
};

/// List, trim and check the cache
///
/// It holds downloads and intermediate results, and may be deleted at any time: all is fetched and made again
/// when it is needed. Other tinyroots can work meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot cache list                   what is in it\n  \
    tinyroot cache trim --keep 2GB        before a CI service saves it\n  \
    tinyroot cache trim --keep 0          empty it\n  \
    tinyroot cache check                  after a disk has failed")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print its contents, by kind: how many, their size, when one was last used
    List,
    /// Remove the entries that were not used for the longest time until the rest has at most this size
    ///
    /// Used means read by a command that works, to the hour. Remains of killed processes are removed in any
    /// case, and entries that other tinyroots use stays.
    Trim {
        /// How much to keep: bytes, or a number and kB, MB, GB, KiB, MiB or GiB
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        keep: u64,
    },
    /// Read all of it and compare it with its digests and seals; exit with 1 if some is damaged
    ///
    /// Damaged files are removed, and made again when they are needed. Those with the seal of another user or
    /// machine, or that were changed since they were sealed, are named: they are never used, but by who made
    /// them.
    Check {
        /// Remove entries with another seal as well
        #[arg(long)]
        remove: bool,
    },
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let store = context.store()?;
    if !store.is_written() && !matches!(args.command, Command::List) {
        let text = format!("the cache {} cannot be written", store.cache_root().display());
        return Err(Failure::new(text)
            .hint("run it as the user who owns the cache, where it is not mounted read-only"));
    }
    match args.command {
        Command::List => list(&store, context),
        Command::Trim { keep } => trim(&store, keep, context),
        Command::Check { remove } => check(&store, remove, context),
    }
}

fn list(store: &Store, context: &Context) -> Result<(), Failure> {
    store.check_listable()?;
    let entries = store.entries();
    let total = entries.iter().map(|entry| entry.size_bytes).sum();
    let kinds = by_kind(&entries);
    if context.global.json {
        let kinds: Vec<_> = kinds.iter().map(|(kind, amount)| row(kind, amount)).collect();
        let document = json!({ "directory": store.cache_root(), "size_bytes": total, "kinds": kinds });
        finish_json(&document);
        return Ok(());
    }
    let mut out = String::new();
    for (kind, amount) in &kinds {
        let Amount { count, size_bytes, last_used_s } = *amount;
        let (size, age) = (size_text(size_bytes), age_text(age_s(last_used_s)));
        let _ = writeln!(out, "{size:>10}  {count:>6}  {age:<14}  {}", kind.name());
    }
    let _ = writeln!(
        out,
        "{:>10}  {:>6}  {:<14}  {}",
        size_text(total),
        entries.len(),
        "",
        store.cache_root().display()
    );
    print(&out)
}

fn row(kind: impl serde::Serialize, amount: &Amount) -> serde_json::Value {
    let Amount { count, size_bytes, last_used_s } = amount;
    json!({ "kind": kind, "count": count, "size_bytes": size_bytes, "last_used_s": last_used_s })
}

/// Returns how long ago something was, as people say it.
fn age_text(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..7200 => return "in the last 2 h".into(),
        7200..172_800 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit} ago")
}

fn trim(store: &Store, keep_bytes: u64, context: &Context) -> Result<(), Failure> {
    let wait = || context.progress.wait_for_another("fetches or unpacks");
    let trimmed = store.trim(keep_bytes, wait);
    let kinds = by_kind(&trimmed.removed);
    if context.global.json {
        let removed: Vec<_> = kinds.iter().map(|(kind, amount)| row(kind, amount)).collect();
        let (kept, in_use) = (trimmed.kept_bytes, trimmed.in_use_bytes);
        let document = json!({ "removed": removed, "kept_bytes": kept, "in_use_bytes": in_use });
        finish_json(&document);
    } else {
        let mut out = String::new();
        for (kind, Amount { count, size_bytes, .. }) in &kinds {
            let _ = writeln!(out, "removed {count} {}, {}", kind.name(), size_text(*size_bytes));
        }
        let _ = writeln!(out, "kept {}", size_text(trimmed.kept_bytes));
        print(&out)?;
    }
    if trimmed.kept_bytes > keep_bytes {
        let over = size_text(trimmed.kept_bytes - keep_bytes);
        context.progress.warn(&format!("{over} more than that are kept: other tinyroots use them"));
    }
    Ok(())
}

fn entries(count: usize) -> String {
    match count {
        1 => "1 entry of the cache was".into(),
        _ => format!("{count} entries of the cache were"),
    }
}

fn check(store: &Store, remove: bool, context: &Context) -> Result<(), Failure> {
    let total = store.entries().iter().map(|entry| entry.size_bytes).sum();
    let task = context.progress.task("checking the cache", total, Unit::Bytes);
    let read = Cell::new(0);
    let checked = store.check(
        |path| archive::is_kept_index(store, path),
        |entry| {
            read.set(read.get() + entry.size_bytes);
            task.add(entry.size_bytes);
        },
    );
    drop(task);
    if remove {
        checked.foreign.iter().try_for_each(|path| store.remove_foreign(path))?;
    }
    let (damaged, foreign) = (&checked.damaged, &checked.foreign);
    if context.global.json {
        let document = json!({
            "count": checked.count,
            "size_bytes": read.get(),
            "damaged": damaged,
            "foreign": foreign,
            "others": checked.others,
        });
        finish_json(&document);
    } else {
        let mut out = match checked.count {
            1 => format!("checked 1 entry, {}\n", size_text(read.get())),
            count => format!("checked {count} entries, {}\n", size_text(read.get())),
        };
        for path in damaged {
            let _ = writeln!(out, "damaged, and removed: {}", path.display());
        }
        let what = if remove { "of another seal, and removed" } else { "of another seal" };
        for path in foreign {
            let _ = writeln!(out, "{what}: {}", path.display());
        }
        for path in &checked.others {
            let _ = writeln!(out, "not of tinyroot, and left as it is: {}", path.display());
        }
        print(&out)?;
    }
    match (damaged.len(), foreign.len()) {
        (0, 0) => Ok(()),
        (0, count) => {
            Err(Failure::new(format!("{} made by another user or machine, or changed since", entries(count)))
                .hint(match remove {
                    true => "they were removed, and are made anew when they are needed",
                    false => "they are not used; `tinyroot cache check --remove` removes them",
                }))
        }
        (count, _) => Err(Failure::new(format!("{} damaged", entries(count)))
            .hint("they were removed, and are made anew when they are needed")),
    }
}
