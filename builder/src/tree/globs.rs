//! The recipe's globs: absolute paths in which `*` and `?` stop at a slash and `**` does not. One
//! without special characters takes a directory with all below it.

use globset::{GlobBuilder, GlobMatcher};

use super::{Tree, TreePath};

/// A glob that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{glob}` is not a glob")]
pub struct InvalidGlob {
    /// As it was written.
    pub glob: String,
    /// The fault.
    pub source: globset::Error,
}

/// A list of globs, in the recipe's order.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    list: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    matcher: GlobMatcher,
    /// The path, where no character of the glob is special.
    plain: Option<Vec<u8>>,
}

impl Pattern {
    fn matches(&self, path: &TreePath) -> bool {
        match &self.plain {
            Some(plain) => path.is_at_or_below(plain),
            None => self.matcher.is_match(path.as_path()),
        }
    }
}

impl Globs {
    /// Reads globs.
    ///
    /// # Errors
    /// [`InvalidGlob`] names the first bad one.
    pub fn new<S: AsRef<str>>(globs: impl IntoIterator<Item = S>) -> Result<Self, InvalidGlob> {
        let mut list = Vec::new();
        for glob in globs {
            let glob = glob.as_ref();
            let relative = glob.trim_matches('/');
            let built = GlobBuilder::new(relative).literal_separator(true).build();
            let built = built.map_err(|source| InvalidGlob { glob: glob.to_owned(), source })?;
            let plain = !relative.contains(['*', '?', '[', '{', '\\']);
            list.push(Pattern {
                text: glob.to_owned(),
                matcher: built.compile_matcher(),
                plain: plain.then(|| relative.as_bytes().to_vec()),
            });
        }
        Ok(Globs { list })
    }

    /// Returns the first glob that matches a path.
    pub fn find(&self, path: &TreePath) -> Option<&str> {
        self.list.iter().find(|pattern| pattern.matches(path)).map(|pattern| &pattern.text[..])
    }

    /// Returns the globs that match no path of a tree.
    pub fn unmatched(&self, tree: &Tree) -> Vec<&str> {
        let missing = |pattern: &&Pattern| !tree.iter().any(|(path, _)| pattern.matches(path));
        self.list.iter().filter(missing).map(|pattern| &pattern.text[..]).collect()
    }
}
