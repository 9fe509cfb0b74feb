//! Changes to recipe.toml that leave all else in it as its author wrote it.

use std::{collections::BTreeSet, fs, path::Path};

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::{RecipeError, error};

/// Adds globs to `prune.keep` of a recipe.toml, each on a line of its own, unless they are there; returns how many
/// are new.
///
/// # Errors
/// A file that cannot be read or written, or whose `prune.keep` is no list.
pub fn add_keep(path: &Path, globs: &BTreeSet<String>) -> Result<usize, RecipeError> {
    let text = String::from_utf8(error::read(path)?)
        .map_err(|_| RecipeError::NotText { path: path.to_path_buf() })?;
    let (text, count) = with_keep(&text, globs).ok_or_else(|| RecipeError::Rule {
        path: path.to_path_buf(),
        line: 1,
        column: 1,
        rule: "prune.keep must be a list of globs".to_owned(),
    })?;
    if count > 0 {
        fs::write(path, text).map_err(|source| RecipeError::Write { path: path.to_path_buf(), source })?;
    }
    Ok(count)
}

/// Returns the text with the globs, and how many are new; `None` where there is no place for them.
fn with_keep(text: &str, globs: &BTreeSet<String>) -> Option<(String, usize)> {
    let mut document: DocumentMut = text.parse().ok()?;
    let prune = document.entry("prune").or_insert_with(|| Item::Table(Table::new()));
    let keep = prune.as_table_like_mut()?.entry("keep").or_insert_with(|| Item::Value(Array::new().into()));
    let keep = keep.as_array_mut()?;
    let there: BTreeSet<String> = keep.iter().filter_map(|glob| glob.as_str().map(str::to_owned)).collect();
    let new: Vec<&String> = globs.iter().filter(|glob| !there.contains(*glob)).collect();
    for glob in &new {
        let mut value = Value::from(glob.as_str());
        value.decor_mut().set_prefix("\n    ");
        keep.push_formatted(value);
    }
    if !new.is_empty() {
        keep.set_trailing_comma(true);
        keep.set_trailing("\n");
    }
    Some((document.to_string(), new.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str, globs: &[&str]) -> Option<(String, usize)> {
        with_keep(text, &globs.iter().map(|glob| (*glob).to_owned()).collect())
    }

    #[test]
    fn globs_are_added_and_nothing_else_changes() {
        let before = "# A wiki.\n[app]\nname = \"wiki\" # short\n\n[prune]\n# what nobody clicks\nkeep = [\"/a\"]\n\n[budget]\nartifact = '1 MB'\n";
        let after = "# A wiki.\n[app]\nname = \"wiki\" # short\n\n[prune]\n# what nobody clicks\nkeep = [\"/a\",\n    \"/b\",\n    \"/c\",\n]\n\n[budget]\nartifact = '1 MB'\n";
        assert_eq!(added(before, &["/a", "/b", "/c"]), Some((after.to_owned(), 2)));
        assert_eq!(added(after, &["/c"]), Some((after.to_owned(), 0)));
    }

    #[test]
    fn a_recipe_without_the_table_gets_one() {
        let (text, count) = added("[app]\nname = \"wiki\"\n", &["/b"]).expect("has a place");
        assert_eq!(text, "[app]\nname = \"wiki\"\n\n[prune]\nkeep = [\n    \"/b\",\n]\n");
        assert_eq!(count, 1);
        assert_eq!(added("prune = 1\n", &["/b"]), None);
    }
}
