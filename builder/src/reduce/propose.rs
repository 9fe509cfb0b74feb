//! Reductions that a recipe could have, each with the size that it would save.
//!
//! Only existing files that are not yet reduced are proposed, and only where there is a sign that the app
//! does not need it: whether it does is for the author and the proof. The saving of a reduction is measured:
//! the changed files are compressed as it was and as it would be. That is done once for the same contents.

use std::collections::BTreeSet;

use super::{Reductions, icu, java, reduce, stubs, symbol_uses::Names};
use crate::{
    digest::Digest,
    evidence::UsedList,
    formats::xz,
    prune::Pruned,
    recipe::{Icu, Java, Recipe, Reduce, is_icu_language},
    store::Store,
    tree::TreePath,
};

/// Kind of the notes of compressed sizes.
const NOTE: &str = "compressed";

/// Smaller savings are not proposed.
const LEAST_BYTES: u64 = 50_000;

/// The modules of the specification of Java SE, and others that servers use.
const JAVA: [&str; 4] = ["java.se", "jdk.crypto.ec", "jdk.unsupported", "jdk.zipfs"];

/// A line of `[reduce]` that a recipe could have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `icu`.
    Icu(Icu),
    /// `java`.
    Java(Java),
    /// `bytecode = true`.
    Bytecode,
    /// More names in `stubs`.
    Stubs(Vec<String>),
}

/// A reduction, and its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The line for the recipe.
    pub change: Change,
    /// The files that it reduces, in short.
    pub files: String,
    /// Why the app may not need it, or its cost, as a clause.
    pub why: String,
    /// The compressed size of the files.
    pub takes_bytes: u64,
    /// The size that they would save.
    pub saves_bytes: u64,
}

impl Change {
    /// Returns the line of `[reduce]`, with the values that the recipe has there already.
    pub fn line(&self, recipe: &Recipe) -> String {
        let list = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            format!("[{}]", names.join(", "))
        };
        match self {
            Change::Icu(Icu::Empty) => "icu = { empty = true }".to_owned(),
            Change::Icu(Icu::Kept { languages, .. }) => {
                format!("icu = {{ languages = {} }}", list(languages))
            }
            Change::Java(java) => format!("java = {{ modules = {} }}", list(&java.modules)),
            Change::Bytecode => "bytecode = true".to_owned(),
            Change::Stubs(names) => format!("stubs = {}", list(&[&recipe.reduce.stubs[..], names].concat())),
        }
    }

    /// Returns the names by which `reduce.not` has it.
    pub fn names(&self) -> Vec<String> {
        match self {
            Change::Icu(_) => vec!["icu".to_owned()],
            Change::Java(_) => vec!["java".to_owned()],
            Change::Bytecode => vec!["bytecode".to_owned()],
            Change::Stubs(names) => names.clone(),
        }
    }

    /// Returns the keys that do this and nothing else.
    fn alone(&self) -> Reduce {
        let mut keys = Reduce { symbols: Some(false), ..Reduce::default() };
        match self.clone() {
            Change::Icu(icu) => keys.icu = Some(icu),
            Change::Java(java) => keys.java = Some(java),
            Change::Bytecode => keys.bytecode = true,
            Change::Stubs(names) => keys.stubs = names,
        }
        keys
    }

    /// The filter that suits the contents best.
    fn filter(&self) -> xz::Filter {
        match self {
            Change::Icu(_) | Change::Java(_) => xz::Filter::DATA,
            Change::Bytecode => xz::Filter::TEXT,
            Change::Stubs(_) => xz::Filter::X86,
        }
    }
}

/// Returns further reductions of a pruned tree that was reduced by the recipe's keys; the largest saving goes
/// first. What the recipe says no to (`reduce.not`) is left out.
pub fn propose(pruned: &Pruned, recipe: &Recipe, used: &UsedList, store: &Store) -> Vec<Proposal> {
    let names = Names::of(&pruned.tree, store).ok();
    let mut candidates: Vec<(Change, String)> = Vec::new();
    let may = |name: &str| !recipe.reduce.not.iter().any(|not| not == name);
    if may("icu") && recipe.reduce.icu.is_none() && has(pruned, |path| icu::is_library(path.file_name())) {
        candidates.extend(names.as_ref().and_then(|names| icu_for(names, recipe, store)));
    }
    if may("java") && recipe.reduce.java.is_none() {
        candidates.extend(java_for(pruned, recipe, store));
    }
    if may("bytecode") && !recipe.reduce.bytecode && has(pruned, |path| path.file_name().ends_with(b".py")) {
        candidates.push((Change::Bytecode, "its tracebacks would show no lines of code".to_owned()));
    }
    if let Some(names) = &names {
        let new = |(stubs, why): (Vec<String>, String)| {
            let is_new = |name: &String| may(name) && !recipe.reduce.stubs.contains(name);
            (Change::Stubs(stubs.into_iter().filter(is_new).collect()), why)
        };
        candidates.extend(stubs::never_called(names, &pruned.tree, store).into_iter().map(new));
    }
    // A file that cannot be reduced is not proposed.
    let proposals =
        candidates.into_iter().filter_map(|(change, why)| measure(change, why, pruned, recipe, used, store));
    let mut proposals: Vec<Proposal> =
        proposals.filter(|proposal| proposal.saves_bytes >= LEAST_BYTES).collect();
    proposals.sort_by_key(|proposal| std::cmp::Reverse(proposal.saves_bytes));
    proposals
}

fn has(pruned: &Pruned, is_one: impl Fn(&TreePath) -> bool) -> bool {
    pruned.tree.iter().any(|(path, _)| is_one(path))
}

/// Where only libxml2 uses ICU, no data are needed; else those of English and of the recipe's locales.
fn icu_for(names: &Names, recipe: &Recipe, store: &Store) -> Option<(Change, String)> {
    let mut users = BTreeSet::new();
    for (digest, image) in &names.images {
        let bytes = store.read(digest).ok()?;
        let own = String::from_utf8_lossy(image.soname(&bytes).unwrap_or(b"a program")).into_owned();
        let uses = image.needed(&bytes).any(|needed| needed.starts_with(b"libicu"));
        if uses && !own.starts_with("libicu") {
            users.insert(own);
        }
    }
    if users.iter().all(|user| user.starts_with("libxml2.so")) {
        let why = match users.into_iter().next() {
            Some(user) => format!("only {user} uses it"),
            None => "no library or program is linked to it".to_owned(),
        };
        return Some((Change::Icu(Icu::Empty), why));
    }
    let asked = recipe.prune.locales.iter().filter_map(|locale| locale.split(['_', '-', '@', '.']).next());
    let languages: BTreeSet<&str> =
        asked.filter(|language| is_icu_language(language)).chain(["en"]).collect();
    let languages: Vec<String> = languages.into_iter().map(str::to_owned).collect();
    let why =
        format!("{} would speak {}", users.into_iter().collect::<Vec<_>>().join(", "), languages.join(", "));
    Some((Change::Icu(Icu::Kept { languages, converters: true }), why))
}

/// The modules that the app limits itself to, and all that it could use otherwise.
fn java_for(pruned: &Pruned, recipe: &Recipe, store: &Store) -> Option<(Change, String)> {
    let (_, entry) = pruned.tree.iter().find(|(path, _)| java::is_modules(path))?;
    let (digest, _) = entry.kind.content()?;
    let there = java::module_names(&store.read(&digest).ok()?)?;
    let limited = limited_modules(recipe);
    if !limited.is_empty() && limited.is_subset(&there) {
        let why = "the app's own `--limit-modules` hides all others from it".to_owned();
        return Some((Change::Java(Java { modules: limited.into_iter().collect() }), why));
    }
    let modules: Vec<String> =
        JAVA.into_iter().filter(|name| there.contains(*name)).map(str::to_owned).collect();
    let why = "an app needs its compiler and tools for developers rarely".to_owned();
    Some((Change::Java(Java { modules }), why))
}

/// Returns the modules that commands and variables of a recipe give to `java --limit-modules`.
fn limited_modules(recipe: &Recipe) -> BTreeSet<String> {
    const OPTION: &str = "--limit-modules";
    let setup = recipe.setup.iter().map(|setup| (&setup.command, &setup.env));
    let started = setup.chain(recipe.services.iter().map(|service| (&service.command, &service.env)));
    let mut lists = Vec::new();
    for (command, env) in started {
        // Also inside `sh -c "…"`, and in JDK_JAVA_OPTIONS.
        let texts = command.iter().chain(env.values()).chain(recipe.env.values());
        let words: Vec<&str> = texts.flat_map(|text| text.split_whitespace()).collect();
        let behind = words.windows(2).filter(|pair| pair[0] == OPTION).map(|pair| pair[1]);
        let within = words.iter().filter_map(|word| word.strip_prefix(OPTION)?.strip_prefix('='));
        lists.extend(behind.chain(within).map(str::to_owned));
    }
    lists.iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Compresses the changed files, before and after.
fn measure(
    change: Change,
    why: String,
    pruned: &Pruned,
    recipe: &Recipe,
    used: &UsedList,
    store: &Store,
) -> Option<Proposal> {
    let alone = Recipe { reduce: change.alone(), ..recipe.clone() };
    let reduced = reduce(pruned.clone(), &alone, used, store).ok()?;
    if reduced.files.is_empty() {
        return None;
    }
    let filter = change.filter();
    let size = |of: fn(&super::Reduction) -> Digest| {
        let digests: BTreeSet<Digest> = reduced.files.values().map(of).collect();
        compressed(&digests, &filter, store)
    };
    let (takes, left) = std::thread::scope(|scope| {
        let takes = scope.spawn(|| size(|file| file.before));
        let left = size(|file| file.after);
        (takes.join().ok().flatten(), left)
    });
    let (takes_bytes, left_bytes) = (takes?, left?);
    let saves_bytes = takes_bytes.saturating_sub(left_bytes);
    Some(Proposal { files: in_short(&reduced.files), change, why, takes_bytes, saves_bytes })
}

/// Returns the compressed size of contents together; measured once.
fn compressed(digests: &BTreeSet<Digest>, filter: &xz::Filter, store: &Store) -> Option<u64> {
    let all: String = digests.iter().map(|digest| format!("{digest}\n")).collect();
    let key = format!("{}-{}-{}", Digest::of(all.as_bytes()), filter.name(), xz::ESTIMATE);
    let noted = store.noted(NOTE, &key).and_then(|note| String::from_utf8(note).ok()?.parse().ok());
    if noted.is_some() {
        return noted;
    }
    let mut plain = Vec::new();
    for digest in digests {
        plain.extend(store.read(digest).ok()?);
    }
    let size_bytes = xz::estimate(&plain, filter).ok()?;
    // Without the note it is measured again.
    let _ = store.note(NOTE, &key, size_bytes.to_string().as_bytes());
    Some(size_bytes)
}

/// Returns the name of the only file, of a few, or how many there are.
fn in_short(files: &Reductions) -> String {
    let names: Vec<String> =
        files.keys().map(|path| String::from_utf8_lossy(path.file_name()).into_owned()).collect();
    match &names[..] {
        [.., last] if names.len() > 4 => format!("{} files such as {last}", names.len()),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_an_app_limits_itself_to_are_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let limited = |service: &str| -> Vec<String> {
            let text = format!(
                "[app]\nname = \"tea\"\nversion = \"1\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n[[service]]\nname = \
                 \"a\"\n{service}"
            );
            let recipe = crate::recipe::read_text(directory.path(), text).expect("a good recipe");
            limited_modules(&recipe).into_iter().collect()
        };
        for (service, expected) in [
            (
                "command = [\"/j\", \"--limit-modules\", \"java.sql,java.base\"]",
                &["java.base", "java.sql"][..],
            ),
            ("command = [\"/bin/sh\", \"-c\", \"exec java --limit-modules=java.sql -jar a\"]", &["java.sql"]),
            (
                "command = [\"/j\"]\nenv = { JDK_JAVA_OPTIONS = \"-Xmx9m --limit-modules=java.sql\" }",
                &["java.sql"],
            ),
            ("command = [\"/j\", \"--limit-modules\"]", &[]),
        ] {
            assert_eq!(limited(service), expected, "{service}");
        }
    }
}
