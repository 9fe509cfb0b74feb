//! Checks that the rules of recipe.toml share: positions in the text, files of the folder, names.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::{RecipeError, base::Layers};
use crate::{
    files,
    formats::{size::parse_size, suite},
    tree::TreePath,
};

#[derive(Deserialize)]
#[serde(untagged, expecting = "one value or a list of such values: texts in quotes, numbers without")]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(super) fn list(value: Option<Self>) -> Vec<T> {
        match value {
            None => Vec::new(),
            Some(OneOrMany::One(one)) => vec![one],
            Some(OneOrMany::Many(many)) => many,
        }
    }
}

/// Turns spans into file, line and column, and reads files of the recipe folder.
pub(super) struct Checker<'a> {
    pub(super) layers: &'a Layers,
}

impl Checker<'_> {
    pub(super) fn rule(&self, span: Range<usize>, rule: impl Into<String>) -> RecipeError {
        self.layers.rule(span, rule)
    }

    /// Reads a file that the recipe names; it must lie inside the folder.
    pub(super) fn source(&self, span: Range<usize>, key: &str, name: &str) -> Result<Vec<u8>, RecipeError> {
        let inside = TreePath::new(name.as_bytes()).ok().filter(|_| !name.starts_with('/'));
        let Some(relative) = inside else {
            return Err(self.rule(span, format!("{key} `{name}` must be a path inside the recipe folder")));
        };
        files::read(self.layers.find(relative.as_path()))
            .map_err(|error| self.rule(span, format!("{key} `{name}` cannot be read: {}", error.source)))
    }

    pub(super) fn root_path(&self, path: &Spanned<String>, key: &str) -> Result<TreePath, RecipeError> {
        let text = path.get_ref();
        match TreePath::new(text.as_bytes()) {
            Ok(good) if text.starts_with('/') && !good.is_root() => Ok(good),
            Ok(_) => {
                Err(self.rule(path.span(), format!("{key} `{text}` must begin with / and name something")))
            }
            Err(fault) => Err(self.rule(path.span(), format!("{key}: {fault}"))),
        }
    }

    pub(super) fn package(&self, name: &Spanned<String>, key: &str) -> Result<String, RecipeError> {
        self.package_name(name.span(), name.get_ref(), key)
    }

    /// Policy 5.6.1: lower-case letters, digits, `+`, `-`, `.`; at least two, first alphanumeric.
    pub(super) fn package_name(
        &self,
        span: Range<usize>,
        name: &str,
        key: &str,
    ) -> Result<String, RecipeError> {
        let good = name.len() >= 2
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        if good {
            return Ok(name.to_owned());
        }
        Err(self.rule(span, format!("{key} `{name}` is not a Debian package name")))
    }

    /// A suite's name becomes part of a URL and of a path in the cache.
    pub(super) fn suite(&self, suite: &Spanned<String>, key: &str) -> Result<String, RecipeError> {
        let given = suite.get_ref();
        suite::canonical(given)
            .map_err(|reason| self.rule(suite.span(), format!("{key} `{given}` is not a suite: it {reason}")))
    }

    pub(super) fn command(
        &self,
        command: Spanned<Vec<String>>,
        key: &str,
    ) -> Result<Vec<String>, RecipeError> {
        let span = command.span();
        let command = command.into_inner();
        match command.first() {
            Some(program) if program.starts_with('/') && !command.iter().any(|a| a.contains('\0')) => {
                Ok(command)
            }
            _ => Err(self.rule(span, format!("{key} must begin with the absolute path of a program"))),
        }
    }

    pub(super) fn size(&self, size: Option<Spanned<String>>, key: &str) -> Result<Option<u64>, RecipeError> {
        size.map(|size| {
            parse_size(size.get_ref()).map_err(|fault| self.rule(size.span(), format!("{key}: {fault}")))
        })
        .transpose()
    }

    pub(super) fn timeout(
        &self,
        key: &str,
        span: Range<usize>,
        value: Option<u32>,
        default: u32,
    ) -> Result<u32, RecipeError> {
        match value.unwrap_or(default) {
            0 => Err(self.rule(span, format!("{key} is 0 (must be 1 or more)"))),
            seconds => Ok(seconds),
        }
    }
}
