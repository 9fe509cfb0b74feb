//! Binary packages of the app's own source that the recipe does not count to the app.

use std::collections::BTreeSet;

use crate::{
    recipe::Recipe,
    resolve::{Resolution, Universe},
};

/// Packages without programs: they would be dropped from the app's packages, too.
const FOR_READING: [&str; 4] = ["-dbg", "-dbgsym", "-doc", "-man"];

/// Returns a warning that names what is made from the same sources as the app's packages, is in the set and
/// is not among them, with the line to write.
pub fn warning(recipe: &Recipe, universe: &Universe<'_>, resolution: &Resolution) -> Option<String> {
    let source = |name: &str| universe.find(name).map(|id| universe.package(id).source_name());
    let sources: BTreeSet<&str> = recipe.app.packages.iter().filter_map(|name| source(name)).collect();
    let known =
        |name: &String| recipe.app.packages.contains(name) || recipe.prune.keep_package.contains(name);
    let names = resolution.packages.iter().map(|package| &package.name);
    let siblings: Vec<&str> = names
        .filter(|name| !known(name) && source(name).is_some_and(|source| sources.contains(source)))
        .map(String::as_str)
        .filter(|name| !FOR_READING.iter().any(|ending| name.ends_with(ending)))
        .collect();
    if siblings.is_empty() {
        return None;
    }
    let all: Vec<String> = recipe
        .app
        .packages
        .iter()
        .map(String::as_str)
        .chain(siblings.iter().copied())
        .map(|name| format!("{name:?}"))
        .collect();
    let (are, they) = if siblings.len() == 1 { ("is", "it") } else { ("are", "they") };
    Some(format!(
        "{} {are} of the app's own source and not in app.packages, so {they} {are} pruned to what the exercise uses; \
         to keep {} whole, write below [app]: packages = [{}]",
        siblings.join(", "),
        if siblings.len() == 1 { "it" } else { "them" },
        all.join(", ")
    ))
}
