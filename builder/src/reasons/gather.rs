//! The reasons of an artifact, out of its papers and its files.
//!
//! Read are prune.list, used.list, the lock and the recipe, dpkg's status, and which libraries each program
//! and library needs. A library that a kept file needs was opened by the loader for it, so what the trace saw
//! of it is no reason of its own; it counts for what nothing needs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Facts, FileFacts};
use crate::{
    artifact::{Artifact, Papers, Prices},
    formats::{
        elf::linkage::Linkage,
        prune_list::{Listed, PruneList},
        relation,
    },
    layout::ImagePath,
    lock::Lock,
    papers,
    store::Store,
    tree::{Entry, Globs, Kind, Tree, TreePath},
};

/// Most needs of libraries that are followed. WordPress with its MariaDB has 2000.
const MAX_NEEDS: usize = 500_000;

/// The rule of what tinyroot itself adds to a tree.
pub const TINYROOT: &str = "tinyroot";

/// Most paths at which a needed library is looked for.
const MAX_PLACES: usize = 16;

/// Reads the reasons of an artifact. What it lacks, or what cannot be read, is named in [`Facts::missing`].
pub fn facts(artifact: &Artifact, prices: Option<&Prices>, store: &Store) -> Facts {
    let tree = &artifact.tree;
    let owners = Papers::read(tree, store);
    let list = papers::prune_list(tree, store);
    let used = papers::used_list(tree, store);
    let recipe = RecipeRules::read(tree, store);
    let mut facts = Facts { is_packed: prices.is_some(), ..Facts::default() };
    let mut lacks = |is_missing: bool, text: &str| {
        if is_missing {
            facts.missing.push(text.to_owned());
        }
    };
    lacks(prices.is_none(), "what files take compressed is not known, so sizes are those of contents");
    lacks(list.is_none(), "it has no prune.list, so the rules that keep files are not known");
    lacks(used.is_none(), "it has no used.list, so the steps that use files are not known");
    facts.app_packages = recipe.app_packages.clone();
    for (path, entry) in tree.iter() {
        let heading = owners.heading(path);
        let mut file = sizes(path, entry, prices);
        let stage = ImagePath::in_image(path.clone()).to_stage();
        let line = used.as_ref().and_then(|used| used.get(stage.as_bytes()));
        file.steps.extend(line.map(|line| step_name(&line.step).to_owned()));
        if let Some(list) = &list {
            causes(&stage, &heading, list, line.map(|line| &line.step[..]), &recipe, &mut file);
        }
        file.heading = heading;
        facts.files.insert(path.clone(), file);
    }
    if !add_needs(&mut facts, tree, store) {
        facts.missing.push(format!("only {MAX_NEEDS} needs of libraries were followed"));
    }
    add_packages(&mut facts, tree, store);
    facts
}

fn sizes(path: &TreePath, entry: &Entry, prices: Option<&Prices>) -> FileFacts {
    let (size_bytes, contents) = match &entry.kind {
        Kind::File { size_bytes, digest, hard_link: None, .. } => (*size_bytes, Some(*digest)),
        other => (0, other.content().map(|(digest, _)| digest)),
    };
    let packed_bytes = match prices {
        Some(prices) => prices.files.get(path).copied().unwrap_or_default(),
        None => size_bytes,
    };
    let is_file = entry.kind.counts_as_file();
    FileFacts { packed_bytes, size_bytes, contents, is_file, ..FileFacts::default() }
}

/// Returns the name of a step as people see it.
fn step_name(step: &str) -> &str {
    if step.is_empty() { "(a time that the trace does not name)" } else { step }
}

/// Adds what keeps a path.
fn causes(
    stage: &TreePath,
    heading: &str,
    list: &PruneList,
    step: Option<&str>,
    recipe: &RecipeRules,
    file: &mut FileFacts,
) {
    let Some(listed) = list.paths.get(stage).filter(|listed| listed.kept) else {
        let text = if heading == "(tinyroot)" { "tinyroot's own" } else { "added with the papers" };
        file.causes.push(Cause::Rule { rule: TINYROOT.into(), text: text.into() });
        return;
    };
    let own = cause_of(listed, step);
    file.causes.extend(recipe.causes(stage, heading));
    if !file.causes.contains(&own) {
        file.causes.push(own);
    }
}

/// Returns the reason that a prune.list names.
fn cause_of(listed: &Listed, step: Option<&str>) -> Cause {
    match (&listed.because, step) {
        (Some(because), _) => Cause::File(ImagePath::of_stage(because).in_tree().clone()),
        (None, Some(step)) if *listed.rule == *"traced" => Cause::Step(step_name(step).to_owned()),
        (None, _) => Cause::Rule { rule: listed.rule.clone(), text: listed.reason.clone() },
    }
}

/// The recipe's own rules, of which prune.list names one a path.
#[derive(Default)]
struct RecipeRules {
    app_packages: BTreeSet<String>,
    keep: Globs,
    state: Globs,
    /// By package, or by the section, the key and the glob.
    texts: BTreeMap<String, Cause>,
}

impl RecipeRules {
    /// Reads them; what cannot be read is left out.
    fn read(tree: &Tree, store: &Store) -> Self {
        let Some(table) = papers::recipe_table(tree, store) else { return RecipeRules::default() };
        let words = |section: &str, key: &str| -> Vec<String> {
            let list = table.get(section).and_then(|section| section.get(key)?.as_array());
            list.into_iter().flatten().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
        };
        let rule = |rule: &str, text: String| Cause::Rule { rule: rule.into(), text: text.into() };
        let (app, keep_package) = (words("app", "packages"), words("prune", "keep_package"));
        let (keep, state) = (words("prune", "keep"), words("app", "state"));
        let mut texts = BTreeMap::new();
        // Which folders of an app are used follows from the trace, which is a reason of its own.
        if table.get("app").and_then(|app| app.get("prune")?.as_str()) != Some("folders") {
            let whole = |name: &String| rule("app", format!("part of {name}, the app, which is kept whole"));
            texts.extend(app.iter().map(|name| (name.clone(), whole(name))));
        }
        for name in keep_package {
            let text = format!("prune.keep_package \"{name}\"");
            texts.insert(name, rule("app", text));
        }
        for (key, globs) in [("prune.keep", &keep), ("app.state", &state)] {
            for glob in globs {
                let text = format!("{key} \"{glob}\"");
                texts.insert(text.clone(), rule("recipe", text));
            }
        }
        RecipeRules {
            app_packages: app.into_iter().collect(),
            keep: Globs::new(keep).unwrap_or_default(),
            state: Globs::new(state).unwrap_or_default(),
            texts,
        }
    }

    /// Returns those that keep a path, as prune.list words them.
    fn causes(&self, stage: &TreePath, heading: &str) -> Vec<Cause> {
        let keep = self.keep.find(stage).map(|glob| format!("prune.keep \"{glob}\""));
        let state = self.state.find(stage).map(|glob| format!("app.state \"{glob}\""));
        let own = self.texts.get(heading).into_iter();
        own.chain([keep, state].iter().flatten().filter_map(|text| self.texts.get(text))).cloned().collect()
    }
}

/// Adds the needs of programs and libraries; returns whether all were followed.
fn add_needs(facts: &mut Facts, tree: &Tree, store: &Store) -> bool {
    let mut by_name: BTreeMap<&[u8], Vec<&TreePath>> = BTreeMap::new();
    for (path, _) in tree.iter().filter(|(_, entry)| !entry.kind.is_directory()) {
        by_name.entry(path.file_name()).or_default().push(path);
    }
    let mut needed: BTreeMap<TreePath, BTreeSet<TreePath>> = BTreeMap::new();
    let mut count = 0;
    for (path, entry) in tree.iter() {
        let Some((digest, _)) = entry.kind.content().filter(|(_, size_bytes)| *size_bytes >= 64) else {
            continue;
        };
        let Some(elf) = store.blob(&digest).ok().and_then(|blob| Linkage::read(blob.reader())) else {
            continue;
        };
        let names: BTreeSet<&[u8]> = elf.needed.iter().map(|name| &name[..]).collect();
        let libraries = names.iter().flat_map(|name| match name.contains(&b'/') {
            true => vec![name.to_vec()],
            false => {
                let places = by_name.get(name).map_or(&[][..], |places| &places[..]);
                places.iter().take(MAX_PLACES).map(|place| place.as_bytes().to_vec()).collect()
            }
        });
        for library in libraries.chain(elf.interpreter.clone()) {
            let mut on_the_way: Vec<TreePath> = Vec::new();
            let Some(end) = tree.resolve(&library, |link| on_the_way.push(link.clone())) else { continue };
            on_the_way.push(end);
            for found in on_the_way.into_iter().filter(|found| found != path) {
                if count == MAX_NEEDS {
                    return false;
                }
                count += usize::from(needed.entry(found).or_default().insert(path.clone()));
            }
        }
    }
    for (path, by) in needed {
        let Some(file) = facts.files.get_mut(&path) else { continue };
        if let Some(at) = file.causes.iter().position(|cause| matches!(cause, Cause::Step(_))) {
            file.spare = Some(file.causes.remove(at));
        }
        file.needed_by.extend(by.iter().cloned());
        for by in by.into_iter().map(Cause::File) {
            if !file.causes.contains(&by) {
                file.causes.push(by);
            }
        }
    }
    true
}

/// Adds which package asks for which.
fn add_packages(facts: &mut Facts, tree: &Tree, store: &Store) {
    let lock = papers::lock(tree, store);
    let stanzas = papers::stanzas(tree, store).unwrap_or_default();
    if lock.is_none() {
        let text = match stanzas.is_empty() {
            true => "it has neither a recipe.lock nor dpkg's status, so what packages depend on is not known",
            false => {
                "it has no recipe.lock, so what depends on a package of which nothing is kept is not known"
            }
        };
        facts.missing.push(text.to_owned());
    }
    if let Some(lock) = &lock {
        add_lock(facts, lock);
    }
    let mut providers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let architecture = lock.as_ref().map(|lock| &lock.architecture[..]).or_else(|| {
        stanzas.iter().map(|control| control.architecture()).find(|architecture| *architecture != "all")
    });
    let architecture = architecture.unwrap_or("amd64");
    let relations = |field: Option<&str>| -> Vec<Vec<String>> {
        let groups = relation::parse(field.unwrap_or_default(), architecture).unwrap_or_default();
        let names = |group: &relation::Group<'_>| {
            group.alternatives.iter().map(|relation| relation.name.to_owned()).collect()
        };
        groups.iter().map(names).collect()
    };
    let provided: Vec<(&str, Vec<Vec<String>>)> =
        stanzas.iter().map(|control| (control.package(), relations(control.get("Provides")))).collect();
    for (package, names) in &provided {
        providers.entry(package).or_default().insert(package);
        for name in names.iter().flatten() {
            providers.entry(name).or_default().insert(package);
        }
    }
    let locked = lock.iter().flat_map(|lock| lock.packages.iter().map(|package| &package.name[..]));
    for name in locked {
        providers.entry(name).or_default().insert(name);
    }
    let fields: &[&str] = match lock.as_ref().is_some_and(|lock| lock.request.recommends) {
        true => &["Pre-Depends", "Depends", "Recommends"],
        false => &["Pre-Depends", "Depends"],
    };
    for control in &stanzas {
        for name in fields.iter().flat_map(|field| relations(control.get(field))).flatten() {
            for provider in providers.get(&name[..]).into_iter().flatten().take(MAX_PLACES) {
                let dependents = facts.dependents.entry((*provider).to_owned()).or_default();
                dependents.insert(control.package().to_owned());
            }
        }
    }
}

/// Adds what a lock says brought each package.
fn add_lock(facts: &mut Facts, lock: &Lock) {
    for name in &lock.request.packages {
        facts.requested.insert(name.clone(), "requested".to_owned());
    }
    for package in &lock.packages {
        match package.because.rsplit_once(" of ") {
            Some((_, by)) if lock.get(by).is_some() => {
                facts.dependents.entry(package.name.clone()).or_default().insert(by.to_owned());
            }
            _ => drop(facts.requested.insert(package.name.clone(), package.because.clone())),
        }
    }
}
