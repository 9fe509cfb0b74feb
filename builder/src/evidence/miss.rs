//! A pruned path that the app lacked, and how that is known.

use std::fmt;

use super::{Missed, PrunedAccess};
use crate::{layout::ImagePath, sandbox::Unavailable, tree::TreePath};

/// A pruned path that was asked for or named, or a directory that was listed without its pruned names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The path in the stage root.
    pub path: TreePath,
    /// The Debian package that it belongs to.
    pub package: Option<String>,
    /// The program that asked for it first; empty where that is not known.
    pub program: String,
    /// At which step of the exercise; empty where there is none.
    pub step: String,
    /// How it is known.
    pub cause: Cause,
}

/// How a miss is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// The path was looked up.
    #[default]
    Asked,
    /// The path was looked up when listings showed pruned names, and not before.
    Shown,
    /// The app's output says that it is not there: that line. Empty where it was not kept.
    Said(String),
    /// The path is a directory that is there. It was listed, and so many of its names were pruned: what is
    /// not listed is often never looked up.
    Listed(usize),
    /// The path is below `/var`, was to be written, and is not the grain's own: a link into the read-only
    /// root.
    Written,
}

impl Miss {
    /// Returns a miss at a path of the image: asked for, nothing known of by whom.
    pub(crate) fn at(path: &ImagePath, package: Option<String>) -> Self {
        Miss {
            path: path.to_stage(),
            package,
            program: String::new(),
            step: String::new(),
            cause: Cause::Asked,
        }
    }

    /// Returns an access that a view recorded in the words of the stage.
    pub fn of(access: &PrunedAccess) -> Self {
        Miss {
            program: access.program.to_string(),
            step: access.step.to_string(),
            cause: match access.how {
                Missed::Absent => Cause::Asked,
                Missed::Listed(names) => Cause::Listed(names),
                Missed::Refused => Cause::Written,
            },
            ..Miss::at(&access.path, access.package.clone())
        }
    }

    /// Returns true for a directory that was listed. It is there: nothing has to be kept for it.
    pub fn is_listing(&self) -> bool {
        matches!(self.cause, Cause::Listed(_))
    }

    /// Returns how many names a listing lacked; 0 for what is none.
    fn pruned_names(&self) -> usize {
        match self.cause {
            Cause::Listed(names) => names,
            _ => 0,
        }
    }

    /// Returns true for shipped state that was to be written. It is there, read-only.
    pub fn is_write(&self) -> bool {
        matches!(self.cause, Cause::Written)
    }

    /// Returns what to add to the recipe.
    pub fn remedy(&self) -> String {
        match self.cause {
            Cause::Written => format!("[app] state = [\"{}\"]", self.keep_glob()),
            _ => self.keep_line(),
        }
    }

    /// Returns the glob for the recipe's `prune.keep` that matches the path alone.
    pub fn keep_glob(&self) -> String {
        format!("/{}", globset::escape(&self.path.to_string()))
    }

    /// Returns the line for the recipe's `[prune]` that would keep the path.
    pub fn keep_line(&self) -> String {
        format!("keep = [\"{}\"]", self.keep_glob())
    }

    /// Returns the miss and what to add to the recipe as one line for a person.
    pub fn warning(&self) -> String {
        match self.cause {
            Cause::Written => format!("{self}; add `{}`", self.remedy()),
            _ => format!("pruned: {self}; to have it, add {}", self.remedy()),
        }
    }

    /// Returns the miss as text and, on a line of its own that begins with `indent`, what to add to the
    /// recipe.
    pub fn with_remedy(&self, indent: &str) -> String {
        if self.is_listing() {
            return self.to_string();
        }
        format!("{self}\n{indent}add {}", self.remedy())
    }
}

/// Returns the warning that misses cannot be seen on this host.
pub fn unseen(why: &Unavailable) -> String {
    format!(
        "pruned paths that the app asks for, and shipped state that it writes to, cannot be seen here: {why}"
    )
}

/// How many directories that were listed are named at once: every program lists some.
const LISTED_SHOWN: usize = 3;

/// Returns of directories that were listed those that lack most names, and how many there are besides.
pub fn most_pruned(mut listed: Vec<&Miss>) -> (Vec<&Miss>, usize) {
    listed.sort_by_key(|miss| std::cmp::Reverse(miss.pruned_names()));
    let more = listed.len().saturating_sub(LISTED_SHOWN);
    listed.truncate(LISTED_SHOWN);
    (listed, more)
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Cause::Listed(names) = self.cause {
            write!(f, "listed /{}, {names} names pruned", self.path)?;
            if !self.program.is_empty() {
                write!(f, ", by {}", self.program)?;
            }
        } else {
            write!(f, "/{}", self.path)?;
            if let Some(package) = &self.package {
                write!(f, " of {package}")?;
            }
        }
        match &self.cause {
            Cause::Asked => write!(f, ", asked for by {}", self.program)?,
            Cause::Shown => write!(f, ", asked for by {} where listings show it", self.program)?,
            Cause::Said(line) if line.is_empty() => f.write_str(", named in the app's output")?,
            Cause::Said(line) => {
                let line: String = line.chars().filter(|letter| !letter.is_control()).take(300).collect();
                write!(f, ", named in the app's output: {line}")?;
            }
            Cause::Written => {
                f.write_str(": written, but shipped read-only")?;
                if !self.program.is_empty() {
                    write!(f, ", by {}", self.program)?;
                }
            }
            Cause::Listed(_) => {}
        }
        if self.step.is_empty() { Ok(()) } else { write!(f, " at {}", self.step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_its_path_alone() {
        let path = ImagePath::in_image(TreePath::new(b"usr/share/a[1]*.php").expect("a good path"));
        assert_eq!(Miss::at(&path, None).keep_line(), "keep = [\"/usr/share/a[[]1[]][*].php\"]");
    }

    #[test]
    fn a_miss_says_how_it_is_known() {
        let path = ImagePath::in_image(TreePath::new(b"usr/lib/python3.11/decimal.py").expect("a good path"));
        let miss = Miss::at(&path, Some("libpython3.11-stdlib".to_owned()));
        let rows = [
            (
                Cause::Asked,
                "/usr/lib/python3.11/decimal.py of libpython3.11-stdlib, asked for by /usr/bin/x at start",
            ),
            (
                Cause::Said("No module named 'decimal'".to_owned()),
                "/usr/lib/python3.11/decimal.py of libpython3.11-stdlib, named in the app's output: No module named 'decimal' at \
                 start",
            ),
            (
                Cause::Written,
                "/usr/lib/python3.11/decimal.py of libpython3.11-stdlib: written, but shipped read-only, by /usr/bin/x at start",
            ),
            (
                Cause::Listed(412),
                "listed /usr/lib/python3.11/decimal.py, 412 names pruned, by /usr/bin/x at start",
            ),
        ];
        for (cause, expected) in rows {
            let (program, step) = ("/usr/bin/x".to_owned(), "start".to_owned());
            assert_eq!(Miss { cause, program, step, ..miss.clone() }.to_string(), expected);
        }
    }
}
