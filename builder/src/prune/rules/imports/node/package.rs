//! The entry of a package: what its `package.json` says of its main module and its exports (Node's
//! documentation, "Modules: Packages").

use std::collections::HashMap;

use serde_json::Value;

use super::{
    super::{end_of, joined},
    file,
};
use crate::{
    prune::{PruneError, rules::Facts},
    tree::TreePath,
};

/// Largest `package.json` that is looked into.
const MAX_BYTES: u64 = 1 << 20;

/// The entries of each directory that was read.
pub(super) type Manifests = HashMap<Vec<u8>, Value>;

/// How deep conditions within exports may lie.
const MAX_DEPTH: usize = 8;

/// Returns the file of a module of the package in a directory; `inside` is empty for its main module.
pub(super) fn entry(
    root: &[u8],
    inside: &str,
    is_import: bool,
    manifests: &mut Manifests,
    facts: &Facts<'_>,
) -> Result<Option<TreePath>, PruneError> {
    let is_directory =
        |path: &TreePath| facts.tree.get(path.as_bytes()).is_some_and(|entry| entry.kind.is_directory());
    if !facts.tree.resolve(root, |_| {}).is_some_and(|end| is_directory(&end)) {
        return Ok(None);
    }
    if !manifests.contains_key(root) {
        manifests.insert(root.to_vec(), manifest(root, facts)?);
    }
    let manifest = &manifests[root];
    if let Some(exports) = manifest.get("exports").filter(|exports| !exports.is_null()) {
        let target = export(exports, inside, is_import);
        if let Some(found) = target.and_then(|target| end_of(&joined(root, &target)?, facts)) {
            return Ok(Some(found));
        }
    }
    if !inside.is_empty() {
        let Some(path) = joined(root, inside) else { return Ok(None) };
        return Ok(file(&path, facts).filter(|path| !is_directory(path)).or_else(|| index(&path, facts)));
    }
    let main = manifest.get("main").and_then(Value::as_str).and_then(|main| joined(root, main));
    let found = main.and_then(|main| file(&main, facts).or_else(|| index(&main, facts)));
    Ok(found.or_else(|| index(root, facts)))
}

fn manifest(root: &[u8], facts: &Facts<'_>) -> Result<Value, PruneError> {
    let end = facts.tree.resolve(&[root, b"/package.json"].concat(), |_| {});
    let Some(candidate) = end.as_ref().and_then(|end| facts.lookup(end.as_bytes())) else {
        return Ok(Value::Null);
    };
    if candidate.entry.kind.content().is_none_or(|(_, size_bytes)| size_bytes > MAX_BYTES) {
        return Ok(Value::Null);
    }
    Ok(serde_json::from_slice(&facts.contents(&candidate)?).unwrap_or(Value::Null))
}

fn index(directory: &[u8], facts: &Facts<'_>) -> Option<TreePath> {
    file(&[directory, b"/index"].concat(), facts)
}

/// Returns the target of a module in `exports`.
pub(in super::super) fn export(exports: &Value, inside: &str, is_import: bool) -> Option<String> {
    let wanted = if inside.is_empty() { ".".to_owned() } else { format!("./{inside}") };
    let modules = exports.as_object().filter(|map| map.keys().any(|key| key.starts_with('.')));
    let Some(modules) = modules else {
        return target(exports, is_import, 0).filter(|_| inside.is_empty()).map(str::to_owned);
    };
    if let Some(found) = modules.get(&wanted) {
        return target(found, is_import, 0).map(str::to_owned);
    }
    modules.iter().find_map(|(key, value)| {
        let (before, after) = key.split_once('*')?;
        let part = wanted.strip_prefix(before)?.strip_suffix(after)?;
        Some(target(value, is_import, 0)?.replace('*', part)).filter(|path| path.len() <= 1000)
    })
}

/// Returns the target whose conditions Node has, the more special one first: a map has lost the order in
/// which they stand.
fn target(value: &Value, is_import: bool, depth: usize) -> Option<&str> {
    let conditions = ["node", if is_import { "import" } else { "require" }, "module-sync", "default"];
    match value {
        Value::String(target) => Some(target),
        Value::Array(all) if depth < MAX_DEPTH => {
            all.iter().find_map(|value| target(value, is_import, depth + 1))
        }
        Value::Object(map) if depth < MAX_DEPTH => {
            let mut held = conditions.iter().filter_map(|condition| map.get(*condition));
            held.find_map(|value| target(value, is_import, depth + 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_lead_where_their_conditions_say() {
        let rows = [
            (r#""./a.js""#, "", "./a.js"),
            (r#"{"import":"./a.mjs","require":"./a.cjs","default":"./a.js"}"#, "", "./a.cjs"),
            (
                r#"{".":{"browser":"./b.js","node":{"import":"./n.mjs","default":"./n.js"}},"./x":"./y.js"}"#,
                "",
                "./n.js",
            ),
            (r#"{".":"./a.js","./x":["./y.js"]}"#, "x", "./y.js"),
            (r#"{"./lib/*":"./dist/*.js","./p":null}"#, "lib/a/b", "./dist/a/b.js"),
            (r#"{"./p":null}"#, "p", "-"),
            (r#"{".":"./a.js"}"#, "x", "-"),
            (r#"{"./*":"./*/*/*"}"#, "a", "./a/a/a"),
        ];
        for (text, inside, expected) in rows {
            let exports: Value = serde_json::from_str(text).expect("is JSON");
            assert_eq!(
                export(&exports, inside, false).unwrap_or("-".to_owned()),
                expected,
                "{text} {inside}"
            );
        }
    }
}
