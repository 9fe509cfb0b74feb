//! `docs/schemas/recipe.schema.json`, for editors: generated from the keys that the parser accepts, with the
//! words of the reference.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use boon::{Compiler, Schemas};
use serde_json::{Map, Value, json};

use super::{Item, Member, WRITE, made, sources};
use crate::support::{Home, assert_says};

/// What the reference says of a table: of itself, and of each key.
#[derive(Default)]
struct Words {
    table: String,
    keys: BTreeMap<String, Said>,
}

/// What the reference says of a key.
#[derive(Clone, Default)]
struct Said {
    text: String,
    choices: Vec<String>,
}

impl Said {
    /// Returns the values that a text can have, if it has no others.
    fn values(&self) -> Option<Vec<&str>> {
        let value = |choice: &'_ String| -> Option<usize> {
            let value = choice.strip_prefix("`\"")?.split("\"`").next()?;
            value.bytes().all(|byte| byte.is_ascii_lowercase()).then_some(value.len())
        };
        let lengths: Option<Vec<usize>> = self.choices.iter().map(value).collect();
        let lengths = lengths.filter(|lengths| !lengths.is_empty())?;
        Some(self.choices.iter().zip(lengths).map(|(choice, length)| &choice[2..2 + length]).collect())
    }

    fn description(&self) -> String {
        self.choices.iter().fold(self.text.clone(), |text, choice| text + "\n- " + choice)
    }
}

/// Reads the reference, by the names of tables; the empty one is the top.
fn words(reference: &str) -> BTreeMap<String, Words> {
    let mut out: BTreeMap<String, Words> = BTreeMap::new();
    let (mut table, mut keys, mut is_said) = (String::new(), Vec::new(), false);
    for line in reference.lines() {
        let text = line.trim();
        let words = out.entry(table.clone()).or_default();
        if let Some(heading) = line.strip_prefix("## ") {
            table = heading.trim_matches(['`', '[', ']']).to_owned();
            keys.clear();
            is_said = false;
        } else if let Some((head, text)) = line.strip_prefix("- **").and_then(|line| line.split_once("**")) {
            keys = head.split(", ").map(|key| key.trim_matches('`').to_owned()).collect();
            let text = text.split_once(": ").map_or("", |(_, text)| text);
            for key in &keys {
                words.keys.insert(key.clone(), Said { text: text.to_owned(), choices: Vec::new() });
            }
        } else if text.is_empty() {
            // The first paragraph of a table says what it is.
            is_said = !words.table.is_empty();
        } else if keys.is_empty() {
            if !is_said && !table.is_empty() {
                words.table += &format!("{text} ");
            }
        } else {
            for key in &keys {
                let Some(said) = words.keys.get_mut(key) else { continue };
                match (text.strip_prefix("- "), said.choices.last_mut()) {
                    (Some(choice), _) => said.choices.push(choice.to_owned()),
                    (None, Some(choice)) => *choice += &format!(" {text}"),
                    (None, None) => said.text += &format!(" {text}"),
                }
            }
        }
    }
    out
}

/// What a schema is made of.
struct Maker<'a> {
    all: &'a BTreeMap<String, Item>,
    words: BTreeMap<String, Words>,
}

impl Maker<'_> {
    /// Returns the schema of a type; `table` is the name of the table that it is, if it is one.
    fn of(&self, kind: &str, table: &str) -> Value {
        let (outer, inner) = match kind.split_once('<') {
            Some((outer, rest)) => (outer, rest.strip_suffix('>').unwrap_or(rest)),
            None => (kind, "String"),
        };
        let list = |items: Value| json!({ "type": "array", "items": items });
        match outer.rsplit("::").next().unwrap_or_default() {
            "Option" | "Spanned" => self.of(inner, table),
            "Vec" => list(self.of(inner, table)),
            "OneOrMany" => {
                let one = self.of(inner, table);
                json!({ "anyOf": [one.clone(), list(one)] })
            }
            "BTreeMap" => {
                let value = inner.split_once(", ").map_or("String", |(_, value)| value);
                json!({ "type": "object", "additionalProperties": self.of(value, "") })
            }
            "String" => json!({ "type": "string" }),
            "bool" => json!({ "type": "boolean" }),
            "f64" => json!({ "type": "number" }),
            "i32" => json!({ "type": "integer" }),
            "u16" => json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX }),
            "u32" => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            // What a form has, and what answers questions.
            "Table" => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            "Value" => {
                json!({ "type": ["string", "boolean", "integer", "array"], "items": { "type": "string" } })
            }
            name => match &self.all.get(name) {
                Some(item) if item.is_enum => {
                    json!({ "anyOf": item.members.iter().map(|form| self.of(&form.kind, "")).collect::<Vec<_>>() })
                }
                Some(item) => self.table(item, table),
                None => panic!("the schema does not know the type {kind}"),
            },
        }
    }

    /// Returns the schema of a table.
    fn table(&self, item: &Item, table: &str) -> Value {
        let words = self.words.get(table);
        let mut properties = Map::new();
        let mut required = Vec::new();
        for member in &item.members {
            let key = name_of(member);
            let place = [table, &key].join(".").trim_start_matches('.').to_owned();
            let is_known = self.words.contains_key(&place);
            let mut schema = self.of(&member.kind, if is_known { &place } else { "\0" });
            if let Some(said) = words.and_then(|words| words.keys.get(&key)) {
                if let (Some(values), true) = (said.values(), schema == json!({ "type": "string" })) {
                    schema["enum"] = json!(values);
                }
                schema["description"] = said.description().into();
            } else if let Some(own) = self.words.get(&place) {
                schema["description"] = own.table.trim().into();
            }
            if !member.kind.starts_with("Option") && !member.attributes.contains("default") {
                required.push(key.clone());
            }
            properties.insert(key, schema);
        }
        let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    /// Returns the whole schema. What a recipe over another one lacks, that may have.
    fn whole(&self) -> Value {
        let mut schema = self.table(&self.all["RecipeKeys"], "");
        let mut needed = json!({ "required": schema["required"].take(), "properties": {} });
        for (key, table) in schema["properties"].as_object_mut().expect("has some") {
            if let Some(required) = table.as_object_mut().and_then(|table| table.remove("required")) {
                needed["properties"][key] = json!({ "required": required });
            }
        }
        let object = schema.as_object_mut().expect("is one");
        object.remove("required");
        object.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
        object.insert("title".into(), "recipe.toml of tinyroot".into());
        object.insert("if".into(), json!({ "required": ["base"] }));
        object.insert("then".into(), json!(true));
        object.insert("else".into(), needed);
        schema
    }
}

fn name_of(member: &Member) -> String {
    let renamed = member.attributes.split("rename = \"").nth(1).and_then(|rest| rest.split('"').next());
    renamed.unwrap_or(&member.name).to_owned()
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Returns what the schema has against a recipe.
fn fault(text: &str) -> Option<String> {
    let recipe: Value = toml::from_str(text).expect("is TOML");
    let mut schemas = Schemas::new();
    let file = path("docs/schemas/recipe.schema.json");
    let index = Compiler::new().compile(file.to_str().expect("UTF-8"), &mut schemas).expect("is a schema");
    schemas.validate(&recipe, index).err().map(|error| format!("{error:#}"))
}

#[test]
fn the_schema_of_recipes_is_that_of_the_parsers_keys() {
    let mut all = sources();
    // debian.foreign is known only to be refused.
    all.get_mut("DebianKeys").expect("is there").members.retain(|member| member.name != "foreign");
    let schema = Maker { all: &all, words: words(&made(&all).text) }.whole();
    let text = format!("{schema:#}\n");
    let file = path("docs/schemas/recipe.schema.json");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&file, &text).expect("writes");
    }
    assert!(
        fs::read_to_string(&file).expect("reads") == text,
        "docs/schemas/recipe.schema.json is not what the keys of the parser and their doc comments give\n\
         to write it again: {WRITE}=1 cargo test --test e2e reference"
    );
    let said = |table: &str, key: &str| {
        schema["properties"][table]["properties"][key]["description"].as_str().unwrap_or_default().to_owned()
    };
    assert_says(
        &said("app", "noun"),
        &["The noun for one grain (\"wiki\" in \"New wiki\"). Default: \"document\"."],
    );
    assert_says(
        &said("app", "prune"),
        &["How much of these packages is kept", "\n- `\"folders\"`: those folders"],
    );
    assert_eq!(schema["properties"]["app"]["properties"]["prune"]["enum"], json!(["whole", "folders"]));
    for (key, table) in schema["properties"].as_object().expect("has some") {
        assert!(table["description"].as_str().is_some_and(|text| text.len() > 5), "{key} says nothing");
        let keys = table["properties"].as_object().or(table["items"]["properties"].as_object());
        for (name, value) in keys.into_iter().flatten() {
            assert!(value["description"].is_string(), "{key}.{name} says nothing");
        }
    }
}

#[test]
fn all_recipes_are_as_the_schema_says_and_what_the_parser_refuses_is_not() {
    let mut count = 0;
    let shared = path("recipes/_shared");
    for folder in [path("recipes"), shared.clone()] {
        for entry in fs::read_dir(&folder).expect("lists") {
            let file = entry.expect("lists").path().join("recipe.toml");
            let Ok(mut text) = fs::read_to_string(&file) else { continue };
            if folder == shared {
                // It is no whole recipe, and becomes one over something else.
                text = format!("base = \"x\"\n{text}");
            }
            assert_eq!(fault(&text), None, "{}", file.display());
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
    let head = "[app]\nname = \"tea\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n";
    assert_eq!(fault(head), None);
    assert_eq!(fault("base = \"../tea\"\n[app]\nname = \"pot\"\n"), None);
    for (text, said) in [
        (format!("{head}sweet = 1\n"), "'sweet' not allowed"),
        ("[app]\nname = \"pot\"\n".to_owned(), "missing properties 'debian'"),
        (head.replace("suite", "snapshot"), "missing properties 'suite'"),
        (format!("{head}[web]\nport = \"x\"\n"), "want integer"),
        (head.replace("[debian]", "prune = \"half\"\n[debian]"), "value must be one of 'whole', 'folders'"),
        (format!("base = \"x\"\n{head}[[file]]\ncontent = \"\"\n"), "missing properties 'path'"),
    ] {
        let fault = fault(&text).unwrap_or_default();
        assert_says(&fault, &[said]);
    }
}

#[test]
fn the_program_prints_the_reference_and_the_schema() {
    let home = Home::new();
    let read = |name: &str| fs::read_to_string(path(name)).expect("reads");
    let text = home.done(&["docs", "recipe"]).stdout;
    assert!(text.starts_with("# recipe.toml\n\nA recipe is a folder with"), "{}", &text[..100]);
    assert!(read("docs/recipe.md").ends_with(text.trim_start_matches("# recipe.toml\n")));
    let schema = home.done(&["docs", "recipe", "--format", "schema"]).stdout;
    assert_eq!(schema, read("docs/schemas/recipe.schema.json"));
    assert_eq!(home.run(&["docs", "nonsense"]).code, Some(2));
}
