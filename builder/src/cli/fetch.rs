//! `tinyroot fetch`: all that builds of recipes need, in a directory.

use std::path::PathBuf;

use super::{
    Context, Failure,
    output::{finish_json, say},
    size_text,
};
use crate::{
    download::Downloader,
    fetch::wanted,
    line::{LineError, Session, read_lock},
    lock::LockedPackage,
    npm::pool_items,
    pool::{self, Filled, Item},
    recipe::{self, Recipe},
};

/// Fetch all packages that recipes need into a directory, for builds without a network
///
/// What is there and right is not fetched again; what is damaged is replaced. `build`, `stage`, `trace` and
/// `check` take the directory with --pool DIR or TINYROOT_POOL, which they only read. A web server over it is
/// a mirror.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot fetch recipes/* --output pool                  all packages of all recipes\n  \
    tinyroot build recipes/cgit --offline --pool pool       with them and without a network\n  \
    tinyroot fetch recipes/* --output pool --prune          once locks have moved")]
pub struct Args {
    /// Recipe folders, each with its lock
    #[arg(required = true)]
    recipe: Vec<PathBuf>,
    /// The directory: one that `fetch` made, or that is new or empty
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Remove the packages that none of these recipes needs
    #[arg(long)]
    prune: bool,
    /// Keep the present signed indexes as well, for `lock --check --offline`
    #[arg(long)]
    indexes: bool,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    pool::check(&args.output)?;
    let (mut debs, mut tarballs, mut signed) = (Vec::new(), Vec::new(), Vec::new());
    let session = context.session()?;
    for folder in &args.recipe {
        let recipe = recipe::read(folder)?;
        debs.extend(debs_of(&recipe, &session)?);
        if args.indexes {
            let files = session.files_of(&recipe.debian)?;
            debs.extend(files.indexes.into_iter().map(|(path, wanted)| Item { path, wanted }));
            signed.extend(files.signed);
        }
        tarballs
            .extend(recipe.npm.iter().flat_map(|set| pool_items(set, session.registry(), &session.store)));
    }
    let fill = |items: &[Item], downloader: &Downloader| {
        pool::fill(&args.output, items, downloader, &context.progress)
    };
    let mut filled = fill(&debs, &session.downloader())?;
    filled.add(fill(&tarballs, &session.registry_downloader())?);
    pool::write_signed(&args.output, &signed)?;
    let items = [debs, tarballs].concat();
    if args.prune {
        filled.removed = pool::prune(&args.output, &items)?;
    }
    if context.global.json {
        finish_json(&filled);
        return Ok(());
    }
    if !context.global.quiet {
        say(&format!("{}: {}", args.output.display(), summary(&filled)));
    }
    Ok(())
}

/// Returns the .debs that belong in a pool for a recipe. Those that the cache has are taken from there.
fn debs_of(recipe: &Recipe, session: &Session) -> Result<Vec<Item>, LineError> {
    let lock = read_lock(recipe)?;
    let mirrors = session.mirrors_of(&recipe.debian, &lock)?;
    let item = |package: &LockedPackage| {
        let mut wanted = wanted(package, &mirrors);
        let kept = session.store.deb_path(&package.checksum);
        if kept.exists() {
            wanted.urls.insert(0, format!("file:{}", kept.display()));
        }
        Item { path: pool::path(&package.path, mirrors.archive_of(&package.suite)), wanted }
    };
    Ok(lock.packages.iter().map(item).collect())
}

fn summary(filled: &Filled) -> String {
    let mut parts = vec![format!("{} files", filled.files)];
    if filled.fetched > 0 {
        parts.push(format!("{} of them new ({})", filled.fetched, size_text(filled.fetched_bytes)));
    }
    if !filled.removed.is_empty() {
        parts.push(format!("{} packages removed that none of these recipes needs", filled.removed.len()));
    }
    parts.join(", ")
}
