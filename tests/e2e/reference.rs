//! `docs/recipe.md`, the reference of recipe keys: generated from the doc comments of
//! `builder/src/recipe.rs`, and held to them and to the keys that the parser accepts.

mod schema;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The variable that makes the test write the file.
const WRITE: &str = "TINYROOT_WRITE_DOCS";

const HEAD: &str = "\
# recipe.toml

<!-- Generated from the doc comments of builder/src/recipe.rs. To write it again, edit those and run
TINYROOT_WRITE_DOCS=1 cargo test --test e2e reference -->

A recipe is a folder with `recipe.toml`, written by a person, `recipe.lock` and `used.list`, written by `tinyroot lock` and
`tinyroot trace`, and sources below `files/`. All of them are committed.

`recipe.toml` is a TOML file. An unknown key or a wrong value is an error with file, line and column, and the nearest key.
Sizes are texts: `\"4 MB\"`, `\"200k\"`, `\"0 B\"`. Paths of sources are relative to the recipe folder.

This text is `tinyroot docs recipe`, and recipe(5). `tinyroot docs recipe --format schema` prints a JSON Schema
([recipe.schema.json](schemas/recipe.schema.json)). Editors with a language server for TOML, such as taplo, complete and check a recipe with it if its
first line names the file: `#:schema ../recipe.schema.json`.
";

/// Keys that the parser knows only to refuse them.
const REFUSED: [(&str, &str); 1] = [("debian", "foreign")];

/// A struct or enum of the recipe, as its source has it.
#[derive(Clone, Debug, Default)]
struct Item {
    doc: Vec<String>,
    is_enum: bool,
    /// Fields or variants, with those of a variant behind it.
    members: Vec<Member>,
}

#[derive(Clone, Debug, Default)]
struct Member {
    name: String,
    /// The type of a field, or the payload of a variant.
    kind: String,
    doc: Vec<String>,
    attributes: String,
    /// Whether it is a field of the variant before it.
    is_inner: bool,
}

impl Member {
    fn is_no_key(&self) -> bool {
        self.doc.first().is_some_and(|line| line.starts_with("No key"))
    }

    /// Returns its paragraphs, each with the keys that it documents.
    fn entries(&self) -> Vec<(Vec<String>, String)> {
        let paragraphs = self.doc.split(|line| line.is_empty());
        paragraphs.map(|lines| self.entry(&lines.join(" "))).collect()
    }

    fn entry(&self, text: &str) -> (Vec<String>, String) {
        let is_key = |key: &String| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let named = text.split_once(": ").and_then(|(head, rest)| {
            let keys =
                head.split(", ").map(|word| Some(word.strip_prefix('`')?.strip_suffix('`')?.to_owned()));
            let keys: Vec<String> = keys.collect::<Option<_>>()?;
            keys.iter().all(is_key).then(|| (keys, rest.to_owned()))
        });
        named.unwrap_or_else(|| (vec![self.name.clone()], text.to_owned()))
    }
}

/// Reads the structs and enums of formatted Rust.
fn items(source: &str) -> BTreeMap<String, Item> {
    let mut out = BTreeMap::new();
    let (mut doc, mut attributes) = (Vec::new(), String::new());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            continue;
        }
        if line.starts_with("#[") {
            attributes += line;
            continue;
        }
        let plain = line.trim_start_matches("pub(super) ").trim_start_matches("pub ");
        let head = plain.strip_suffix(" {").and_then(|head| head.split_once(' '));
        if let Some((word @ ("struct" | "enum"), name)) = head {
            let item = Item {
                doc: std::mem::take(&mut doc),
                is_enum: word == "enum",
                members: members(&mut lines, attributes.contains("default)")),
            };
            out.insert(name.to_owned(), item);
        }
        doc.clear();
        attributes.clear();
    }
    out
}

/// Reads members up to the end of their item.
fn members<'a>(lines: &mut impl Iterator<Item = &'a str>, has_defaults: bool) -> Vec<Member> {
    let mut out = Vec::new();
    let mut member = Member::default();
    for line in lines.take_while(|line| *line != "}") {
        let text = line.trim();
        if let Some(text) = text.strip_prefix("///") {
            member.doc.push(text.trim().to_owned());
        } else if text.starts_with("#[") {
            member.attributes += text;
        } else if !text.starts_with('}') {
            let text =
                text.trim_start_matches("pub(super) ").trim_start_matches("pub ").trim_end_matches(',');
            let (name, kind) = text.split_once([':', '(', ' ']).unwrap_or((text, ""));
            member.name = name.to_owned();
            member.kind = kind.trim().trim_end_matches([')', '{']).to_owned();
            member.is_inner = line.starts_with("        ");
            if has_defaults {
                member.attributes += "default";
            }
            out.push(std::mem::take(&mut member));
        }
    }
    out
}

/// Returns the last name of a type: `NpmKeys` of `Vec<npm::NpmKeys>`.
fn innermost(kind: &str) -> &str {
    kind.split(['<', '>', ':', ',', ' ']).rfind(|word| !word.is_empty()).unwrap_or_default()
}

fn sources() -> BTreeMap<String, Item> {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![room.join("recipe.rs")];
    let listed = fs::read_dir(room.join("recipe")).expect("lists");
    files.extend(listed.map(|entry| entry.expect("lists").path()).filter(|path| path.is_file()));
    let text = |path: &PathBuf| fs::read_to_string(path).expect("reads");
    files.iter().flat_map(|path| items(&text(path))).collect()
}

/// Returns the keys of each table that the parser accepts, and whether they are required.
fn parsed(all: &BTreeMap<String, Item>) -> BTreeMap<String, BTreeMap<String, bool>> {
    let mut out = BTreeMap::new();
    let mut todo = vec![(String::new(), "RecipeKeys".to_owned())];
    while let Some((table, name)) = todo.pop() {
        let mut keys = BTreeMap::new();
        for member in &all[&name].members {
            let renamed =
                member.attributes.split("rename = \"").nth(1).and_then(|rest| rest.split('"').next());
            let key = renamed.unwrap_or(&member.name).to_owned();
            let place = [&table[..], &key].join(".").trim_start_matches('.').to_owned();
            let is_table = member.kind.contains("Keys") || member.kind == "SandboxTable";
            if is_table && (table.is_empty() || innermost(&member.kind) == "ArchiveKeys") {
                todo.push((place, innermost(&member.kind).to_owned()));
            }
            let is_required = !member.kind.starts_with("Option") && !member.attributes.contains("default");
            keys.insert(key, is_required);
        }
        if !table.is_empty() {
            keys.retain(|key, _| !REFUSED.contains(&(&table[..], &key[..])));
            out.insert(table, keys);
        }
    }
    out
}

/// Splits a text at blanks outside of code.
fn words(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut is_code = false;
    for letter in text.chars() {
        is_code ^= letter == '`';
        match letter {
            ' ' if !is_code => out.push(String::new()),
            letter => out.last_mut().expect("has one").push(letter),
        }
    }
    out.retain(|word| !word.is_empty());
    out
}

/// Breaks a text into lines.
fn wrapped(out: &mut String, first: &str, rest: &str, text: &str) {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in words(text) {
        if !is_empty && line.chars().count() + word.chars().count() >= 118 {
            writeln!(out, "{line}").expect("writes");
            line = rest.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += &word;
        is_empty = false;
    }
    writeln!(out, "{line}").expect("writes");
}

/// Writes the paragraphs of a doc comment; fences stay as they are.
fn paragraphs(out: &mut String, doc: &[String]) {
    for block in doc.split(|line| line.is_empty()) {
        out.push('\n');
        match block.first() {
            Some(line) if line.starts_with("```") => writeln!(out, "{}", block.join("\n")).expect("writes"),
            _ => wrapped(out, "", "", &block.join(" ")),
        }
    }
}

/// What a reference is made of.
struct Reference<'a> {
    all: &'a BTreeMap<String, Item>,
    parsed: BTreeMap<String, BTreeMap<String, bool>>,
    text: String,
    faults: Vec<String>,
}

impl Reference<'_> {
    fn table(&mut self, item: &Item) {
        let mut doc = item.doc.clone();
        let (heading, first) =
            doc[0].split_once(": ").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("has a colon");
        doc[0] = first;
        write!(self.text, "\n## {heading}\n").expect("writes");
        paragraphs(&mut self.text, &doc);
        let table = heading.trim_matches(['`', '[', ']']).to_owned();
        let Some(known) = self.parsed.get(&table).cloned() else { return };
        self.text.push('\n');
        let mut seen = BTreeSet::new();
        self.keys(item, &known, &mut seen);
        let known: BTreeSet<String> = known.into_keys().collect();
        for key in known.difference(&seen) {
            self.faults.push(format!("{table}.{key} is parsed and not documented"));
        }
        for key in seen.difference(&known) {
            self.faults.push(format!("{table}.{key} is documented and not parsed"));
        }
        for member in &item.members {
            let below = self.all.get(innermost(&member.kind)).filter(|below| has_table(below)).cloned();
            if let Some(below) = below.filter(|below| below.doc[0].contains(&format!("[{table}."))) {
                self.table(&below);
            }
        }
    }

    fn keys(&mut self, item: &Item, known: &BTreeMap<String, bool>, seen: &mut BTreeSet<String>) {
        for member in item.members.iter().filter(|member| !member.is_inner) {
            let inner = self.all.get(innermost(&member.kind)).filter(|inner| !has_table(inner)).cloned();
            if member.is_no_key() {
                // A variant whose keys are those of its payload.
                if let Some(inner) = inner.filter(|_| item.is_enum) {
                    self.keys(&inner, known, seen);
                }
                continue;
            }
            for (keys, text) in member.entries() {
                let names: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                let required = match keys.iter().any(|key| known.get(key) == Some(&true)) {
                    true => " (required)",
                    false => "",
                };
                seen.extend(keys);
                let line = format!("**{}**{required}: {text}", names.join(", "));
                wrapped(&mut self.text, "- ", "  ", &line);
            }
            if let Some(inner) = inner.filter(|inner| inner.is_enum) {
                self.choices(&inner);
            }
        }
    }

    /// Lists the forms of a value.
    fn choices(&mut self, item: &Item) {
        for member in item.members.iter().filter(|member| !member.is_no_key()) {
            let (first, rest) = if member.is_inner { ("    - ", "      ") } else { ("  - ", "    ") };
            let text = member.doc.join(" ");
            let text = if member.is_inner { format!("`{}`: {text}", member.name) } else { text };
            wrapped(&mut self.text, first, rest, &text);
        }
    }
}

fn has_table(item: &Item) -> bool {
    item.doc.first().is_some_and(|line| line.starts_with("`["))
}

/// Makes the reference of the keys in sources.
fn made(all: &BTreeMap<String, Item>) -> Reference<'_> {
    let mut reference = Reference { parsed: parsed(all), all, text: HEAD.to_owned(), faults: Vec::new() };
    for member in &all["Recipe"].members {
        match all.get(innermost(&member.kind)).filter(|item| has_table(item)) {
            Some(item) => reference.table(&item.clone()),
            None if member.doc[0].starts_with('`') && !member.doc[0].starts_with("`[") => {
                reference.text.push('\n');
                for (keys, text) in member.entries() {
                    wrapped(&mut reference.text, "- ", "  ", &format!("**`{}`**: {text}", keys.join("`, `")));
                }
            }
            None if member.doc[0].starts_with("`[") => {
                let doc = Item { doc: member.doc.clone(), ..Item::default() };
                reference.table(&doc);
            }
            None => {}
        }
    }
    reference
}

#[test]
fn the_reference_of_recipe_keys_is_that_of_their_doc_comments() {
    let all = sources();
    let reference = made(&all);
    assert!(reference.faults.is_empty(), "{}", reference.faults.join("\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recipe.md");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &reference.text).expect("writes");
    }
    let found = fs::read_to_string(&path).expect("reads");
    let differs = reference.text.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    assert!(
        found == reference.text,
        "docs/recipe.md is not what the doc comments of builder/src/recipe.rs give, first here: {differs:?}\n\
         to write it again: {WRITE}=1 cargo test --test e2e reference"
    );
}
