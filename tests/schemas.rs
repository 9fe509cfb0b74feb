//! The JSON of commands, held to the schemas in `docs/schemas`.

use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use serde_json::Value;

/// Commands whose own commands print different documents.
const PARTED: [&str; 3] = ["cache", "grains", "key"];

/// Asserts that the document which a command printed is as its schema says. A text that is not JSON is none
/// of ours: `end` is given whole command lines of shells too.
pub fn hold(args: &[String], stdout: &str) {
    let Ok(document) = serde_json::from_str::<Value>(stdout) else { return };
    let name = name_of(args).filter(|name| file(name).exists());
    // A command line that is refused has the document of a failure, and no name of its own.
    let name = match name {
        Some(name) => name,
        None if document.get("error").is_some() => "failure".into(),
        None => panic!("{args:?} prints JSON, and docs/schemas has no schema for it:\n{document:#}"),
    };
    hold_to(&name, &document);
}

/// Asserts that a document is as a schema says.
pub fn hold_to(name: &str, document: &Value) {
    let path = file(name);
    let path = path.to_str().expect("a path in UTF-8");
    let mut schemas = Schemas::new();
    let index =
        Compiler::new().compile(path, &mut schemas).unwrap_or_else(|error| panic!("{path}: {error:#}"));
    if let Err(error) = schemas.validate(document, index) {
        panic!("docs/schemas/{name}.json has it otherwise: {error:#}\n{document:#}");
    }
}

/// Returns the name of the schema for a command line.
fn name_of(args: &[String]) -> Option<String> {
    let mut words = args.iter().filter(|word| !word.starts_with('-'));
    let command = words.find(|word| PARTED.contains(&word.as_str()) || file(word).exists())?;
    match PARTED.contains(&command.as_str()) {
        true => Some(format!("{command}-{}", words.next()?)),
        false => Some(command.clone()),
    }
}

fn file(name: &str) -> PathBuf {
    let name = if name.contains('/') { "" } else { name };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas").join(format!("{name}.json"))
}
