//! A recipe over another one: `base = "../cgit"`.
//!
//! The tables of all of them become one, from which the recipe is read. A place in it is a byte offset, as in
//! one text: the base's begin behind those of the recipe over it, so that each leads back to its file.

use std::{
    ops::Range,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer},
};

use super::{MAX_BYTES, RecipeError, error};

/// The most recipes over each other.
const MOST: usize = 4;

/// Where the base of a recipe may lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Allowed<'a> {
    /// Where it is named.
    Anywhere,
    /// At or below a directory.
    Below(&'a Path),
    /// Nowhere: a package encloses one recipe, merged.
    Nowhere,
}

/// The text of a recipe or of a base.
#[derive(Debug)]
struct Layer {
    directory: PathBuf,
    file: PathBuf,
    /// The text behind as many blanks as there are bytes in all texts before it: what it has, has its place
    /// among all of them.
    padded: String,
    start: usize,
}

/// A recipe, its base, the base of that, and so on.
#[derive(Debug)]
pub(super) struct Layers(Vec<Layer>);

impl Layers {
    /// Reads the bases of a recipe's text.
    ///
    /// # Errors
    /// What is no TOML; a base that is not allowed or cannot be read.
    pub(super) fn read(directory: &Path, text: &str, allowed: Allowed<'_>) -> Result<Self, RecipeError> {
        let mut layers = Layers(Vec::new());
        layers.push(directory.to_path_buf(), text);
        while let Some((span, name)) = layers.base()? {
            let directory = layers.allowed(&span, &name, allowed)?;
            let file = directory.join("recipe.toml");
            let text = match error::read_bounded(&file, MAX_BYTES).map(String::from_utf8) {
                Ok(Ok(text)) => text,
                Ok(Err(_)) => return Err(RecipeError::NotText { path: file }),
                Err(RecipeError::Io(fault)) => {
                    let why = format!("{} cannot be read: {}", file.display(), fault.source);
                    return Err(layers.rule(span, format!("base `{name}`: {why}")));
                }
                Err(fault) => return Err(fault),
            };
            layers.push(directory, &text);
        }
        Ok(layers)
    }

    fn push(&mut self, directory: PathBuf, text: &str) {
        let start = self.0.last().map_or(0, |last| last.padded.len());
        let padded = " ".repeat(start) + text;
        self.0.push(Layer { file: directory.join("recipe.toml"), directory, padded, start });
    }

    /// Returns the base that the last layer names, and where.
    fn base(&self) -> Result<Option<(Range<usize>, String)>, RecipeError> {
        let Some(last) = self.0.last() else { return Ok(None) };
        let table = self.table(last)?;
        let Some(value) = table.get_ref().get("base") else { return Ok(None) };
        match value.get_ref().as_str() {
            Some(name) => Ok(Some((value.span(), name.to_owned()))),
            None => Err(self.rule(value.span(), "base must be the path of a recipe folder")),
        }
    }

    /// Returns the folder of a base, if it may lie there.
    fn allowed(&self, span: &Range<usize>, name: &str, allowed: Allowed<'_>) -> Result<PathBuf, RecipeError> {
        let refuse = |rule: &str| Err(self.rule(span.clone(), format!("base `{name}`: {rule}")));
        let path = Path::new(name);
        if name.is_empty() || path.is_absolute() || name.contains('\0') {
            return refuse("it must be a path relative to this folder, such as ../cgit");
        }
        if self.0.len() == MOST {
            return refuse(&format!("more than {MOST} recipes are over each other"));
        }
        let above = self.0.last().map(|last| &*last.directory).unwrap_or(Path::new(""));
        let directory = above.join(path);
        match allowed {
            Allowed::Anywhere => Ok(directory),
            Allowed::Below(top) if plain(&directory).starts_with(plain(top)) => Ok(directory),
            Allowed::Below(_) => refuse("it lies outside of the repository"),
            Allowed::Nowhere => refuse("a package encloses its whole recipe, which has no base"),
        }
    }

    fn table<'a>(&self, layer: &'a Layer) -> Result<Spanned<DeTable<'a>>, RecipeError> {
        DeTable::parse(&layer.padded).map_err(|fault| self.fault(&fault))
    }

    /// Returns the tables of all layers as one.
    ///
    /// # Errors
    /// What is no TOML.
    pub(super) fn merged(&self) -> Result<Spanned<DeTable<'_>>, RecipeError> {
        let tables = self.0.iter().map(|layer| self.table(layer)).collect::<Result<Vec<_>, _>>()?;
        let mut tables = tables.into_iter();
        let Some(mut merged) = tables.next() else { return Ok(Spanned::new(0..0, DeTable::new())) };
        tables.for_each(|base| merge(merged.get_mut(), base.into_inner()));
        merged.get_mut().remove("base");
        Ok(merged)
    }

    /// Returns the text of a recipe that has all of it and no base; `None` if there is none.
    pub(super) fn whole_text(&self, merged: &Spanned<DeTable<'_>>) -> Option<String> {
        if self.0.len() == 1 {
            return None;
        }
        let table = toml::Table::deserialize(Deserializer::from(merged.clone())).ok()?;
        toml::to_string(&table).ok()
    }

    /// Returns the folders of the bases, the nearest first.
    pub(super) fn bases(&self) -> Vec<PathBuf> {
        self.0.iter().skip(1).map(|layer| layer.directory.clone()).collect()
    }

    /// Returns the place of a file of the recipe: in its folder, else in that of a base.
    pub(super) fn find(&self, relative: &Path) -> PathBuf {
        let mut places = self.0.iter().map(|layer| layer.directory.join(relative));
        let first = places.next().unwrap_or_default();
        match first.exists() {
            true => first,
            false => places.find(|place| place.exists()).unwrap_or(first),
        }
    }

    /// Returns an error of the text at a place.
    pub(super) fn rule(&self, span: Range<usize>, rule: impl Into<String>) -> RecipeError {
        let layer = self.0.iter().rev().find(|layer| layer.start <= span.start);
        let (path, text, start) = layer.map_or((PathBuf::new(), "", 0), |layer| {
            (layer.file.clone(), &layer.padded[layer.start..], layer.start)
        });
        let (line, column) = error::position(text, span.start.saturating_sub(start));
        RecipeError::Rule { path, line, column, rule: rule.into() }
    }

    /// Puts a fault of the TOML reader in our words.
    pub(super) fn fault(&self, fault: &toml::de::Error) -> RecipeError {
        self.rule(fault.span().unwrap_or(0..0), error::reword(fault.message()))
    }
}

/// Lays a table over its base. A key of a table counts as the recipe has it, else as its base has it. Files and
/// services are the base's, then the recipe's; one of the same path or name takes the place of the base's. All
/// other lists count as a whole.
fn merge<'a>(over: &mut DeTable<'a>, base: DeTable<'a>) {
    for (key, below) in base {
        let name = identity(key.get_ref());
        let Some(above) = over.get_mut(&**key.get_ref()) else {
            over.insert(key, below);
            continue;
        };
        match (above.get_mut(), below.into_inner(), name) {
            (DeValue::Table(above), DeValue::Table(below), _) => {
                for (key, value) in below {
                    if !above.contains_key(&**key.get_ref()) {
                        above.insert(key, value);
                    }
                }
            }
            (DeValue::Array(above), DeValue::Array(below), Some(name)) => {
                *above = joined(below, above.clone(), name);
            }
            _ => {}
        }
    }
}

/// Returns the key that tells the elements of a list from each other; `None` for lists that count as a whole.
fn identity(list: &str) -> Option<&'static str> {
    match list {
        "file" => Some("path"),
        "service" => Some("name"),
        _ => None,
    }
}

fn joined<'a>(below: DeArray<'a>, above: DeArray<'a>, name: &str) -> DeArray<'a> {
    let named = |value: &Spanned<DeValue<'a>>| {
        value.get_ref().as_table().and_then(|table| Some(table.get(name)?.get_ref().as_str()?.to_owned()))
    };
    let mut out: Vec<Spanned<DeValue<'a>>> = below.into_iter().collect();
    for value in above {
        let own = named(&value);
        match out.iter_mut().find(|other| own.is_some() && named(other) == own) {
            Some(other) => *other = value,
            None => out.push(value),
        }
    }
    out.into_iter().collect()
}

/// Returns the folder of the base that the recipe.toml of a folder names, as far as its text alone tells.
pub fn base_folder(folder: &Path, text: &[u8]) -> Option<PathBuf> {
    let table = DeTable::parse(std::str::from_utf8(text).ok()?).ok()?;
    Some(plain(&folder.join(table.get_ref().get("base")?.get_ref().as_str()?)))
}

/// Returns a path without `.` and `..`, as far as its text alone tells.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !out.pop() {
                    return PathBuf::from("..");
                }
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}
