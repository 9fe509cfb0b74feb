//! `tinyroot lock --minimize`: the smallest set, compared with apt's and written into the recipe.

use std::fmt::Write as _;

use crate::{
    atomic,
    cli::{Context, Failure, print, size_text},
    error::At as _,
    line::{choose, request},
    recipe::{self, Recipe},
    resolve::{Resolution, Resolved, Smallest, Universe, smallest},
};

/// The measure to minimize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Measure {
    /// The sum of Installed-Size
    Size,
}

/// Finds the smallest set, reports its differences from apt's, and writes the exclusions that it needs
/// into the recipe, which it returns as it is then.
pub fn minimize(
    recipe: Recipe,
    universe: &Universe<'_>,
    keep: bool,
    context: &Context,
) -> Result<Recipe, Failure> {
    let request = request(&recipe);
    let apts = choose(universe, &request)?;
    let Smallest { resolution, exclude } = smallest(universe, &request)?;
    print(&comparison(&apts, &resolution))?;
    if exclude.is_empty() || keep {
        return Ok(recipe);
    }
    let path = recipe.directory.join("recipe.toml");
    let cannot = |what: &str| Failure::new(format!("cannot {what} {}", path.display()));
    let text = recipe::exclude(&recipe.text, &exclude, &recipe.debian.exclude)
        .ok_or_else(|| cannot("add debian.exclude to"))?;
    atomic::replace(&path, text.as_bytes()).at("write", &path)?;
    super::tell(context, &format!("wrote {}: debian.exclude has {} more", path.display(), exclude.len()));
    Ok(recipe::read(&recipe.directory)?)
}

/// Returns what the smallest set has and lacks, with what each is there for: a reader must see where
/// another daemon or library does the work.
fn comparison(apts: &Resolution, smallest: &Resolution) -> String {
    let mut out = String::new();
    let size = |package: &Resolved| size_text(package.installed_size_kib.saturating_mul(1024));
    for package in smallest.packages.iter().filter(|package| apts.get(&package.name).is_none()) {
        let _ = writeln!(
            out,
            "with     {} {}, {}: {}",
            package.name,
            package.version,
            size(package),
            package.because
        );
    }
    for package in apts.packages.iter().filter(|package| smallest.get(&package.name).is_none()) {
        let _ = writeln!(
            out,
            "without  {} {}, {}: {}",
            package.name,
            package.version,
            size(package),
            package.because
        );
    }
    let total = |resolution: &Resolution| {
        let kib: u64 = resolution.packages.iter().map(|package| package.installed_size_kib).sum();
        (resolution.packages.len(), size_text(kib.saturating_mul(1024)))
    };
    let ((apts_count, apts_size), (count, size)) = (total(apts), total(smallest));
    let _ = writeln!(
        out,
        "{apts_count} packages, {apts_size} as apt orders them; {count} packages, {size} at the least"
    );
    out
}
