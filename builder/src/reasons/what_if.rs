//! Changes that are weighed without a build: `drop PATTERN`, `drop package NAME`.

use std::{borrow::Cow, str::FromStr};

use super::{Cause, Drop, Gone, Graph, gather::TINYROOT};
use crate::{
    error::Hint,
    layout::ImagePath,
    tree::{Globs, InvalidGlob},
};

/// A change.
#[derive(Clone, Debug)]
pub enum Change {
    /// Files go, as by `prune.drop` of a recipe.
    Pattern {
        /// As it was written.
        text: String,
        /// The same.
        globs: Globs,
    },
    /// A package goes.
    Package(String),
}

/// A change that cannot be weighed.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// A text that is not a change.
    #[error("`{0}` is not a change: write \"drop /usr/share/doc/**\" or \"drop package NAME\"")]
    Text(String),
    /// A pattern that cannot be read.
    #[error("cannot read the pattern")]
    Glob(#[from] InvalidGlob),
    /// Patterns that match no file that pruning kept, and packages of which nothing is there: a clause each.
    #[error("{}", .0.join("; "))]
    Nothing(Vec<String>),
}

impl Hint for WhatIfError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            WhatIfError::Nothing(_) => {
                Some("`tinyroot inspect --files` lists paths and packages; papers and tinyroot's own files cannot be dropped".into())
            }
            WhatIfError::Text(_) | WhatIfError::Glob(_) => None,
        }
    }
}

impl FromStr for Change {
    type Err = WhatIfError;

    fn from_str(text: &str) -> Result<Self, WhatIfError> {
        let wrong = || WhatIfError::Text(text.to_owned());
        let what = text.trim().strip_prefix("drop ").ok_or_else(wrong)?.trim();
        match what.strip_prefix("package ").map(str::trim) {
            Some(name) if !name.is_empty() && !name.contains(char::is_whitespace) => {
                Ok(Change::Package(name.to_owned()))
            }
            None if what.starts_with('/') => {
                Ok(Change::Pattern { text: what.to_owned(), globs: Globs::new([what])? })
            }
            _ => Err(wrong()),
        }
    }
}

impl Change {
    /// Returns it as it is written.
    pub fn text(&self) -> String {
        match self {
            Change::Pattern { text, .. } => format!("drop {text}"),
            Change::Package(name) => format!("drop package {name}"),
        }
    }
}

/// What changes come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatIf {
    /// What goes in all.
    pub gone: Gone,
    /// The part of it that the changes name; the rest follows.
    pub named: Gone,
}

impl Graph {
    /// Returns what goes by changes.
    ///
    /// # Errors
    /// [`WhatIfError::Nothing`] for all changes that would change nothing.
    pub fn what_if(&self, changes: &[Change]) -> Result<WhatIf, WhatIfError> {
        let mut drop = Drop::default();
        let mut named = Gone::default();
        let mut nothing = Vec::new();
        for change in changes {
            match change {
                Change::Package(name) => match self.by_heading.get(name) {
                    Some((sum, paths)) if sum.files > 0 => {
                        drop.packages.insert(name.clone());
                        named.packages.insert(name.clone());
                        named.paths.extend(paths.iter().cloned());
                    }
                    _ => nothing.push(format!("nothing of the package `{name}` is in it")),
                },
                Change::Pattern { text, globs } => {
                    let mut is_there = false;
                    for (path, file) in &self.facts.files {
                        let is_own =
                            |cause: &Cause| matches!(cause, Cause::Rule { rule, .. } if **rule == *TINYROOT);
                        let stage = ImagePath::in_image(path.clone()).to_stage();
                        if !file.is_file || file.causes.iter().any(is_own) || globs.find(&stage).is_none() {
                            continue;
                        }
                        is_there = true;
                        drop.causes.insert(Cause::File(path.clone()));
                        named.paths.insert(path.clone());
                    }
                    if !is_there {
                        nothing.push(format!("`{text}` matches nothing"));
                    }
                }
            }
        }
        if !nothing.is_empty() {
            return Err(WhatIfError::Nothing(nothing));
        }
        Ok(WhatIf { gone: self.gone(&drop), named })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        reasons::{Facts, FileFacts},
        tree::TreePath,
    };

    #[test]
    fn changes_are_read_and_must_change_something() {
        for text in
            ["", "drop", "drop tea", "drop package", "drop package a b", "keep /usr", "drop package /usr x"]
        {
            assert!(matches!(text.parse::<Change>(), Err(WhatIfError::Text(_))), "{text}");
        }
        assert!(matches!("drop /[".parse::<Change>(), Err(WhatIfError::Glob(_))));
        let mut facts = Facts::default();
        let path = |text: &str| TreePath::new(text.as_bytes()).expect("a good path");
        let mut add = |at: &str, heading: &str, cause: Cause| {
            let file = FileFacts {
                packed_bytes: 1,
                is_file: true,
                heading: heading.to_owned(),
                causes: vec![cause],
                ..FileFacts::default()
            };
            facts.files.insert(path(at), file);
        };
        add("usr/tea", "tea", Cause::Step("start".to_owned()));
        add("usr/leaf", "leaves", Cause::File(path("usr/tea")));
        add("tinyroot/var/lib/pot", "tea", Cause::Step("start".to_owned()));
        add("usr/own", "(tinyroot)", Cause::Rule { rule: TINYROOT.into(), text: "own".into() });
        let graph = Graph::new(facts);
        let what_if = |texts: &[&str]| {
            let changes: Vec<Change> = texts.iter().map(|text| text.parse().expect("is a change")).collect();
            graph.what_if(&changes).map_err(|error| error.to_string()).map(|what_if| {
                (
                    what_if.named.paths.len(),
                    what_if.gone.paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
                )
            })
        };
        assert_eq!(what_if(&["drop /usr/t*"]), Ok((1, vec!["usr/leaf".to_owned(), "usr/tea".to_owned()])));
        assert_eq!(what_if(&["drop /var/lib/pot", "drop package leaves"]).map(|found| found.0), Ok(2));
        // Two that name the same are both right.
        assert_eq!(what_if(&["drop /usr/leaf", "drop /usr/le*"]).map(|found| found.0), Ok(1));
        let refused = "`/usr/own` matches nothing; nothing of the package `milk` is in it";
        assert_eq!(
            what_if(&["drop /usr/own", "drop package milk", "drop /usr/tea"]),
            Err(refused.to_owned())
        );
    }
}
