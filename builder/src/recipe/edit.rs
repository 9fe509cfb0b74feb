//! Changes to recipe.toml that leave all else in it as its author wrote it.

use std::{collections::BTreeSet, ops::Range, path::Path};

use toml_edit::{Array, ArrayOfTables, Document, DocumentMut, Item, Table, Value};

use super::{RecipeError, error};
use crate::{atomic, error::At as _};

/// A list of globs in a recipe that a program may add to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobList {
    /// `prune.keep`: paths that are kept without evidence.
    Keep,
    /// `app.state`: files that a grain gets copies of.
    State,
}

impl GlobList {
    /// Returns its table and its key.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            GlobList::Keep => ("prune", "keep"),
            GlobList::State => ("app", "state"),
        }
    }
}

/// Adds globs to a list of a recipe.toml, each on a line of its own, unless they are there; returns how many
/// are new. A list that is not there yet begins with what the recipe has from its base, which it hides.
///
/// # Errors
/// A file that cannot be read or written, or that has something else in the list's place.
pub fn add_globs(
    path: &Path,
    list: GlobList,
    globs: &BTreeSet<String>,
    inherited: &[String],
) -> Result<usize, RecipeError> {
    let text = String::from_utf8(error::read(path)?)
        .map_err(|_| RecipeError::NotText { path: path.to_path_buf() })?;
    let (table, key) = list.place();
    let (text, count) = with_globs(&text, list, globs, inherited).ok_or_else(|| RecipeError::Rule {
        path: path.to_path_buf(),
        line: 1,
        column: 1,
        rule: format!("{table}.{key} must be a list of globs"),
    })?;
    if count > 0 {
        atomic::replace(path, text.as_bytes()).at("write", path)?;
    }
    Ok(count)
}

/// Returns the text with the globs, and how many are new; `None` where there is no place for them.
fn with_globs(
    text: &str,
    list: GlobList,
    globs: &BTreeSet<String>,
    inherited: &[String],
) -> Option<(String, usize)> {
    let mut document: DocumentMut = text.parse().ok()?;
    let (table, key) = list.place();
    let array = list_in(&mut document, table, key, inherited)?;
    let there: BTreeSet<String> = array.iter().filter_map(|glob| glob.as_str().map(str::to_owned)).collect();
    let new: Vec<&String> = globs.iter().filter(|glob| !there.contains(*glob)).collect();
    new.iter().for_each(|glob| push_line(array, "", glob));
    Some((document.to_string(), new.len()))
}

/// Returns a list of a table; a new one has what the recipe has from its base.
fn list_in<'a>(
    document: &'a mut DocumentMut,
    table: &str,
    key: &str,
    inherited: &[String],
) -> Option<&'a mut Array> {
    let table = document.entry(table).or_insert_with(|| Item::Table(Table::new())).as_table_like_mut()?;
    let list = table.entry(key).or_insert_with(|| {
        let mut list = Array::new();
        inherited.iter().for_each(|text| push_line(&mut list, "", text));
        Item::Value(list.into())
    });
    list.as_array_mut()
}

/// Returns the line of each step of the exercise in the text of a recipe, from 1; nothing of a text that is
/// no recipe.
pub fn exercise_lines(text: &str) -> Vec<usize> {
    let Ok(document) = Document::parse(text) else { return Vec::new() };
    let spans: Vec<Option<Range<usize>>> = match document.get("exercise") {
        Some(Item::ArrayOfTables(steps)) => steps.iter().map(Table::span).collect(),
        Some(Item::Value(Value::Array(steps))) => steps.iter().map(Value::span).collect(),
        _ => Vec::new(),
    };
    spans.into_iter().map(|span| error::position(text, span.map_or(0, |span| span.start)).0).collect()
}

/// Returns the text of a recipe with more steps, given as text of `[[exercise]]`, and how many steps stand before them;
/// `None` if it is not a recipe.
///
/// They take the place of steps that only ask for `/`, and restart, as `init` writes them; else they stand behind those that are
/// there. Comments, order and spelling of all else stay.
pub fn with_exercise(text: &str, steps: &str) -> Option<(String, usize)> {
    let mut document: DocumentMut = text.parse().ok()?;
    let new: DocumentMut = steps.parse().ok()?;
    let list = document.entry("exercise").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let list = list.as_array_of_tables_mut()?;
    let is_draft = |step: &Table| {
        if step.len() == 1 && step.contains_key("restart") {
            return true;
        }
        let known = step.iter().all(|(key, _)| matches!(key, "get" | "status" | "contains"));
        known && step.get("get").and_then(Item::as_str) == Some("/")
    };
    let mut place = list.iter().filter_map(Table::position).max();
    let mut before = None;
    if list.iter().all(is_draft) {
        // What stands above the first, such as what an exercise is, is the author's.
        before = list.iter().next().and_then(|step| Some(step.decor().prefix()?.as_str()?.to_owned()));
        list.clear();
    }
    let first = list.len();
    // At the end, where the recipe has no step.
    let others = document_end(text);
    let place = *place.get_or_insert(others);
    for step in new.get("exercise")?.as_array_of_tables()?.iter() {
        let mut step = step.clone();
        step.set_position(Some(place));
        if let Some(before) = before.take() {
            let own = step.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
            step.decor_mut().set_prefix(before + own.trim_start_matches('\n'));
        }
        list.push(step);
    }
    Some((document.to_string(), first))
}

/// Returns a position behind all tables of a document.
fn document_end(text: &str) -> isize {
    isize::try_from(text.lines().count()).unwrap_or(isize::MAX - 1)
}

/// Returns the text of a recipe with a line of `[reduce]`, such as `icu = { empty = true }`, in place of the
/// one that has its key; `None` if there is no place for it.
///
/// Comments, order and spelling of all else stay.
pub fn with_reduction(text: &str, line: &str) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let line: DocumentMut = line.parse().ok()?;
    let reduce = document.entry("reduce").or_insert_with(|| Item::Table(Table::new())).as_table_like_mut()?;
    for (key, new) in line.iter() {
        match reduce.get_mut(key).and_then(Item::as_value_mut) {
            // The text before and behind it on its line is the author's.
            Some(value) => {
                let decor = value.decor().clone();
                *value = new.as_value()?.clone();
                *value.decor_mut() = decor;
            }
            None => {
                reduce.insert(key, new.clone());
            }
        }
    }
    Some(document.to_string())
}

/// Returns the text of a recipe with names in `reduce.not`, behind a comment with the reason; `None` if there
/// is no place for them.
///
/// Comments, order and spelling of all else stay.
pub fn without_reduction(text: &str, names: &[String], reason: &str, inherited: &[String]) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let list = list_in(&mut document, "reduce", "not", inherited)?;
    // Text from an app must not end the comment.
    let reason: String =
        reason.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    let mut comment = format!("\n    # {}", reason.trim());
    for name in names {
        push_line(list, &comment, name);
        comment.clear();
    }
    Some(document.to_string())
}

/// Adds a text to a list on a line of its own, behind a comment.
pub(crate) fn push_line(list: &mut Array, comment: &str, text: &str) {
    // A comment behind the last comma is the author's.
    let before = list.trailing().as_str().unwrap_or_default().trim_end().to_owned();
    let mut value = Value::from(text);
    value.decor_mut().set_prefix(format!("{before}{comment}\n    "));
    list.push_formatted(value);
    list.set_trailing_comma(true);
    list.set_trailing("\n");
}

/// Returns the text of a recipe with more names in `debian.exclude`; `None` if it is not a recipe.
///
/// Comments, order and spelling stay. Names that are there already are not added again.
pub fn exclude(text: &str, names: &[String], inherited: &[String]) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    if document.get("debian").is_none() && document.get("base").is_none() {
        return None;
    }
    let list = list_in(&mut document, "debian", "exclude", inherited)?;
    let there: Vec<String> = list.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    for name in names.iter().filter(|name| !there.contains(name)) {
        list.push(name.as_str());
    }
    // One a line, once they would make a long line.
    if list.to_string().len() > 100 {
        for name in list.iter_mut() {
            name.decor_mut().set_prefix("\n    ");
        }
        list.set_trailing("\n");
        list.set_trailing_comma(true);
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str, globs: &[&str]) -> Option<(String, usize)> {
        with_globs(text, GlobList::Keep, &globs.iter().map(|glob| (*glob).to_owned()).collect(), &[])
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

    #[test]
    fn steps_go_behind_those_that_are_there_or_in_the_place_of_a_draft() {
        let steps =
            "\n# Two\n[[exercise]]\nget = \"/two\"\ncapture.a = 'b'\n[[exercise]]\nget = \"/three\"\n";
        let rest = "\n[prune]\nkeep = [] # none\n";
        for (before, after, first) in [
            (
                format!(
                    "[app]\n\n# What users do.\n[[exercise]]\nget = \"/\"\nstatus = 200\ncontains = \"x\"\n\
                     [[exercise]]\nrestart = true\n{rest}"
                ),
                format!(
                    "[app]\n\n# What users do.\n# Two\n[[exercise]]\nget = \"/two\"\ncapture.a = 'b'\n[[exercise]]\nget = \"/three\"\n{rest}"
                ),
                0,
            ),
            (
                format!("[app]\n[[exercise]]\nget = \"/one\"\n{rest}"),
                format!("[app]\n[[exercise]]\nget = \"/one\"\n{steps}{rest}"),
                1,
            ),
            (format!("[app]\n{rest}"), format!("[app]\n{rest}{steps}"), 0),
        ] {
            assert_eq!(with_exercise(&before, steps), Some((after, first)), "{before}");
        }
        assert_eq!(with_exercise("exercise = 1", steps), None);
    }

    #[test]
    fn state_is_added_and_comments_in_the_list_stay() {
        let before = "[app]\nname = \"wiki\" # short\nstate = [\n    \"/var/lib/a\", # the index\n    # nothing else\n]\n[web]\nport = 1\n";
        let new = BTreeSet::from(["/var/lib/b".to_owned(), "/var/lib/c".to_owned()]);
        let (text, count) = with_globs(before, GlobList::State, &new, &[]).expect("has a place");
        assert_eq!(count, 2);
        assert_eq!(text, before.replace("else\n]", "else\n    \"/var/lib/b\",\n    \"/var/lib/c\",\n]"));
        let (text, _) = with_globs("[app]\nname = \"wiki\"\n\n[web]\nport = 1\n", GlobList::State, &new, &[])
            .expect("has a place");
        assert_eq!(
            text,
            "[app]\nname = \"wiki\"\nstate = [\n    \"/var/lib/b\",\n    \"/var/lib/c\",\n]\n\n[web]\nport = 1\n"
        );
    }

    #[test]
    fn a_list_that_hides_the_bases_begins_with_it() {
        let text = "base = \"../wiki\"\n\n[app]\nname = \"new\"\n";
        let inherited = ["/a".to_owned()];
        let globs = BTreeSet::from(["/a".to_owned(), "/b".to_owned()]);
        let expected = format!("{text}\n[prune]\nkeep = [\n    \"/a\",\n    \"/b\",\n]\n");
        assert_eq!(with_globs(text, GlobList::Keep, &globs, &inherited), Some((expected.clone(), 1)));
        let more = with_globs(&expected, GlobList::Keep, &globs, &inherited);
        assert_eq!(more, Some((expected, 0)));
        let excluded = exclude(text, &["x".to_owned()], &["php".to_owned()]).expect("has a base");
        assert_eq!(
            excluded.parse::<DocumentMut>().expect("is TOML")["debian"]["exclude"].as_array().map(Array::len),
            Some(2)
        );
    }

    #[test]
    fn a_reduction_is_set_and_all_else_stays() {
        let before = "# A wiki.\n[app]\nname = \"wiki\"\n\n# Small.\n[reduce]\nstubs = [\"a\"] # never called\n\n[budget]\nartifact = '1 MB'\n";
        let once = with_reduction(before, "icu = { empty = true }").expect("has a place");
        assert_eq!(once, before.replace("called\n", "called\nicu = { empty = true }\n"));
        let twice = with_reduction(&once, "stubs = [\"a\", \"b\"]").expect("has a place");
        assert_eq!(twice, once.replace("[\"a\"]", "[\"a\", \"b\"]"));
        let none = with_reduction("[app]\nname = \"wiki\"\n", "bytecode = true").expect("has a place");
        assert_eq!(none, "[app]\nname = \"wiki\"\n\n[reduce]\nbytecode = true\n");
        assert_eq!(with_reduction("reduce = 1\n", "bytecode = true"), None);
    }

    #[test]
    fn what_did_not_prove_is_noted_with_the_reason() {
        let before = "[app]\nname = \"wiki\"\n\n[reduce] # small\nsymbols = true\n";
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let once =
            without_reduction(before, &names(&["bytecode"]), "differs: step 3\u{7}, GET /\n- a\n+ b", &[])
                .expect("has a place");
        assert_eq!(once, format!("{before}not = [\n    # differs: step 3, GET /\n    \"bytecode\",\n]\n"));
        let twice = without_reduction(&once, &names(&["liba.so.1", "libb.so.2"]), "it ends", &[])
            .expect("has a place");
        let more = "\"bytecode\",\n    # it ends\n    \"liba.so.1\",\n    \"libb.so.2\",\n]";
        assert_eq!(twice, once.replace("\"bytecode\",\n]", more));
        assert_eq!(without_reduction("reduce = 1\n", &names(&["icu"]), "", &[]), None);
    }

    #[test]
    fn names_are_added_and_all_else_stays() {
        let text =
            "# An app.\n[app]\nname   =  \"wiki\" # odd\n[debian]\nsuite = \"bookworm\"\n\n[web]\nport = 1\n";
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let once = exclude(text, &names(&["apache2", "php"]), &[]).expect("a recipe");
        assert_eq!(once, text.replace("\"bookworm\"\n", "\"bookworm\"\nexclude = [\"apache2\", \"php\"]\n"));
        let twice = exclude(&once, &names(&["php", "x"]), &[]).expect("a recipe");
        assert_eq!(twice, once.replace("\"php\"]", "\"php\", \"x\"]"));
        let many: Vec<String> = (0..12).map(|n| format!("package-{n}")).collect();
        let long = exclude(text, &many, &[]).expect("a recipe");
        assert!(long.contains("exclude = [\n    \"package-0\",\n    \"package-1\",\n"), "{long}");
        assert!(long.contains("    \"package-11\",\n]\n\n[web]\n"), "{long}");
        assert_eq!(exclude("[app]\n", &many, &[]), None);
    }
}
