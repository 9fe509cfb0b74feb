//! Because of what something changed, as far as the papers of both say: the lock names who requires a package,
//! prune.list the rule that decided about each path, and its reason.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{Compared, words::counted};
use crate::{
    diff::{Cause, CauseKind, Change, PackageChange, PathChange, SizeDiff, Sizes, places},
    formats::{
        changelog,
        prune_list::{Listed, PruneList},
    },
    layout::ImagePath,
    lock::{Lock, LockedPackage},
    shown,
    store::Store,
    tree::TreePath,
    unpack,
};

/// The longest chain of reasons that is followed.
const MAX_CHAIN: usize = 12;

/// Most bytes of all changelogs in a report.
const MAX_CHANGELOG_BYTES: usize = 1 << 20;

/// Adds causes, and how many files each package gained and lost by pruning.
pub(super) fn add(diff: &mut SizeDiff, before: &Compared, after: &Compared) {
    if let (Some(was), Some(is)) = (&before.list, &after.list) {
        let versions: BTreeMap<String, Cause> =
            diff.packages.iter().filter_map(|p| Some((p.package.clone(), of_version(p, after)?))).collect();
        for package in &mut diff.packages {
            (package.files_gained, package.files_lost) = (Some(0), Some(0));
        }
        let places = places(&diff.packages);
        for path in &mut diff.paths {
            let (stated_before, stated) =
                (stated(was, path.tree_path_before()), stated(is, path.tree_path()));
            path.cause = of_path(path, was, is, versions.get(&path.package));
            let is_file = |side: &Compared| {
                side.tree.get(path.tree_path().as_bytes()).is_some_and(|entry| entry.kind.counts_as_file())
            };
            let Some(package) = places.get(&path.package).map(|at| &mut diff.packages[*at]) else { continue };
            let count = match (path.change, stated_before, stated) {
                (Change::Added, Some(Listed { kept: false, .. }), _) if is_file(after) => {
                    &mut package.files_gained
                }
                (Change::Removed, _, Some(Listed { kept: false, .. })) if is_file(before) => {
                    &mut package.files_lost
                }
                _ => continue,
            };
            *count.get_or_insert_default() += 1;
        }
    }
    let strongest = strongest(&diff.paths);
    for package in &mut diff.packages {
        package.cause = of_package(package, before, after)
            .or_else(|| of_version(package, after))
            .or_else(|| strongest.get(&package.package).cloned());
    }
    add_sharing(diff);
}

/// Says of what takes notably other bytes, and did not change, why that can be.
fn add_sharing(diff: &mut SizeDiff) {
    let is_all_same = diff.is_empty();
    let sharing = |sizes: &Sizes| {
        let (before, after) = sizes.deciding();
        let text = match (is_all_same, after > before) {
            (true, _) => "no file changed: it is compressed otherwise",
            (_, true) => "no file changed: it shares fewer bytes with others, or is compressed otherwise",
            (_, false) => "no file changed: it shares more bytes with others, or is compressed otherwise",
        };
        Some(Cause::new(CauseKind::Sharing, text.to_owned()))
    };
    let packages = diff.packages.iter_mut().filter(|p| p.is_same_but_for_times() && p.sizes.is_notable());
    packages.for_each(|package| package.cause = sharing(&package.sizes));
    let is_same = |path: &&mut PathChange| {
        path.change == Change::Same || path.change == Change::Metadata && path.sizes.is_notable()
    };
    diff.paths.iter_mut().filter(is_same).for_each(|path| path.cause = sharing(&path.sizes));
}

/// Adds the entries of changelogs: those that the second has itself, as a .deb has, or as far as the .debs that
/// it was made of were unpacked into the store.
pub(super) fn add_changelogs(diff: &mut SizeDiff, after: &Compared, store: &Store) {
    let unpacked = |name: &str| {
        let lock = after.lock.as_ref()?;
        unpack::changelog(lock.get(name)?, |name| lock.get(name), store)
    };
    let mut left_bytes = MAX_CHANGELOG_BYTES;
    for package in &mut diff.packages {
        let (Some(was), Some(is)) = (&package.version_before, &package.version_after) else { continue };
        if was == is {
            continue;
        }
        let own = unpack::changelog_in(&after.tree, &package.package, store);
        let Some(text) = own.or_else(|| unpacked(&package.package)) else { continue };
        let mut entries = changelog::between(&text, was, is);
        entries.retain(|entry| {
            let fits = entry.text.len() <= left_bytes;
            left_bytes -= if fits { entry.text.len() } else { 0 };
            fits
        });
        package.changelog = entries;
    }
}

/// Returns the statement of a list about a path of the image.
fn stated(list: &PruneList, path: TreePath) -> Option<&Listed> {
    list.find(&ImagePath::in_image(path).to_stage()).map(|(_, listed)| listed)
}

/// Returns the kind of the cause that a rule of pruning is.
fn kind_of(rule: &str) -> CauseKind {
    match rule {
        "traced" => CauseKind::Exercise,
        "recipe" | "laid" | "app" | "folder" => CauseKind::Recipe,
        _ => CauseKind::Rule,
    }
}

/// Returns a rule and its reason as a clause.
fn clause(listed: &Listed) -> String {
    shown::line(&format!("{}: {}", listed.rule, listed.text())).into_owned()
}

/// Returns the cause of a decision about a path, with what led to it.
fn decided(list: &PruneList, path: TreePath, text: String) -> Cause {
    let chain = list.chain(&ImagePath::in_image(path).to_stage());
    let root = chain.last().map_or(CauseKind::Rule, |(_, listed)| kind_of(&listed.rule));
    let own = chain.first().map_or(CauseKind::Rule, |(_, listed)| kind_of(&listed.rule));
    // A rule that follows from what an exercise or the recipe keeps.
    let kind = if own == CauseKind::Rule { root } else { own };
    let steps = chain
        .iter()
        .take(MAX_CHAIN)
        .map(|(path, listed)| shown::line(&format!("/{path}: {}", clause(listed))).into_owned());
    Cause { kind, text, chain: steps.collect() }
}

fn of_path(path: &PathChange, was: &PruneList, is: &PruneList, version: Option<&Cause>) -> Option<Cause> {
    let (path_before, path_after) = (path.tree_path_before(), path.tree_path());
    let (stated_before, stated_after) = (stated(was, path_before.clone()), stated(is, path_after.clone()));
    let laid = |listed: Option<&Listed>| listed.is_some_and(|listed| &*listed.rule == "laid");
    let recipe = |text: &str| Some(Cause::new(CauseKind::Recipe, text.to_owned()));
    match (path.change, stated_before, stated_after) {
        (Change::Added, Some(before), Some(after)) if !before.kept && after.kept => {
            Some(decided(is, path_after, format!("kept now: {}", clause(after))))
        }
        (Change::Removed, Some(before), Some(after)) if before.kept && !after.kept => {
            // That nothing asked for it is said by what asked before.
            let text = match &*after.rule {
                "unused" => format!("pruned now; before, {}", clause(before)),
                _ => format!("pruned now: {}; before, {}", clause(after), clause(before)),
            };
            Some(decided(was, path_before, text))
        }
        (Change::Added, None, after) if laid(after) => recipe("the recipe brings it now"),
        (Change::Removed, before, None) if laid(before) => recipe("the recipe brings it no more"),
        // Its contents have no cause: they are the same.
        (Change::Added | Change::Removed | Change::Metadata, ..) => version.cloned(),
        (Change::Same, ..) => None,
        (_, _, after) => {
            let left = |list: &PruneList, path: TreePath| {
                list.reduced.get(&ImagePath::in_image(path).to_stage()).cloned()
            };
            let (left_before, left_after) = (left(was, path_before), left(is, path_after));
            let whole = |left: Option<String>| left.unwrap_or_else(|| "the whole".to_owned());
            if version.is_some() {
                version.cloned()
            } else if left_before != left_after {
                let text =
                    format!("what is left of it: {}; before, {}", whole(left_after), whole(left_before));
                Some(Cause::new(CauseKind::Reduction, shown::line(&text).into_owned()))
            } else if laid(after) {
                recipe("the recipe's file changed")
            } else {
                None
            }
        }
    }
}

/// Returns the cause where a package has another version.
fn of_version(package: &PackageChange, after: &Compared) -> Option<Cause> {
    let (before, now) = (package.version_before.as_ref()?, package.version_after.as_ref()?);
    let locked = after.lock.as_ref().and_then(|lock| lock.get(&package.package));
    let is_security = locked.is_some_and(|locked| locked.suite.ends_with("-security"));
    let text = if is_security { "security update" } else { "another version" };
    (before != now).then(|| Cause::new(CauseKind::Version, text.to_owned()))
}

/// Returns the cause where a package is new or gone, by the locks; else by what the packages in dpkg's status
/// depend on.
fn of_package(package: &PackageChange, before: &Compared, after: &Compared) -> Option<Cause> {
    let name = &package.package;
    if package.package_before.is_some() {
        return None;
    }
    if let (Some(was), Some(is)) = (&before.lock, &after.lock) {
        return match (was.get(name), is.get(name)) {
            (None, Some(locked)) => Some(asked(locked, is, was, "new")),
            (Some(locked), None) => Some(asked(locked, was, is, "gone")),
            _ => None,
        };
    }
    let (side, word) = match (&package.version_before, &package.version_after) {
        (None, Some(_)) => (after, "new"),
        (Some(_), None) => (before, "gone"),
        _ => return None,
    };
    let mut asking: Vec<&str> = side.papers.dependents(name).collect();
    let count = asking.len();
    asking.sort_by_key(|asker| Reverse(before.papers.version(asker).is_none()));
    let first = shown::name(asking.first()?);
    let others = match count {
        1 => String::new(),
        count => format!(" and {}", counted(count - 1, "other package", "other packages")),
    };
    let verb = match (count, word) {
        (1, "new") => "depends on it",
        (_, "new") => "depend on it",
        _ => "depended on it",
    };
    Some(Cause::new(CauseKind::Dependency, format!("{word}: {first}{others} {verb}")))
}

/// Returns the cause of a package that one lock has and the other has not: who asked for it.
fn asked(locked: &LockedPackage, lock: &Lock, other: &Lock, word: &str) -> Cause {
    let mut chain = Vec::new();
    let mut askers: Vec<String> = Vec::new();
    let mut at = locked;
    while chain.len() < MAX_CHAIN {
        chain.push(format!("{}: {}", shown::name(&at.name), shown::line(&at.because)));
        let asker = at.because.rsplit_once(" of ").and_then(|(_, asker)| lock.get(asker));
        let Some(next) = asker else { break };
        askers.push(shown::name(&next.name));
        // What both have is no cause any more, whoever asked for it.
        if other.get(&next.name).is_some() {
            break;
        }
        at = next;
    }
    let is_requested = at.because == "requested" && askers.len() + 1 == chain.len();
    let verb = if word == "new" { "asks" } else { "asked" };
    let text = match &askers[..] {
        [] if is_requested => format!("{word}: the recipe {verb} for it"),
        [] => format!("{word}: {}", shown::line(&locked.because)),
        [first] if is_requested => format!("{word}: {first} (requested) {verb} for it"),
        [first] => format!("{word}: {first} {verb} for it"),
        [first, .., last] => {
            let requested = if is_requested { " (requested)" } else { "" };
            format!("{word}: {first} {verb} for it, for {last}{requested}")
        }
    };
    let kind = if askers.is_empty() && is_requested { CauseKind::Request } else { CauseKind::Dependency };
    Cause { kind, text, chain }
}

/// Returns for each package the cause that changed most bytes of its paths; none where what has no cause
/// changed more.
fn strongest(paths: &[PathChange]) -> BTreeMap<String, Cause> {
    /// The bytes of each cause; of none, too.
    type Sums<'a> = BTreeMap<Option<(CauseKind, &'a str)>, u64>;
    let mut sums: BTreeMap<&str, Sums<'_>> = BTreeMap::new();
    for path in paths.iter().filter(|path| !matches!(path.change, Change::Metadata | Change::Same)) {
        let cause = path.cause.as_ref().map(|cause| (cause.kind, &cause.text[..]));
        let (before, after) = path.sizes.deciding();
        *sums.entry(&path.package).or_default().entry(cause).or_default() += before.abs_diff(after);
    }
    let most = |(package, sums): (&str, Sums<'_>)| {
        // Of equal sums the last is taken, so one that has a cause.
        let (kind, text) = sums.into_iter().max_by_key(|(_, bytes)| *bytes)?.0?;
        Some((package.to_owned(), Cause::new(kind, text.to_owned())))
    };
    sums.into_iter().filter_map(most).collect()
}
