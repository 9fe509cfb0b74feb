//! What may differ, and why: a line each, `WHAT GLOB REASON`; `#` begins a comment.

use std::{error::Error, fmt, fs, path::Path};

use globset::{GlobBuilder, GlobMatcher};

/// Two roots differ here.
pub struct Difference {
    /// `ours` and `theirs`: only one has the path; `order`: the same lines otherwise ordered; else the aspect
    /// that differs.
    pub what: &'static str,
    /// Where.
    pub path: String,
    /// Both sides of it.
    pub detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DIFFERS {:8} {} {}", self.what, self.path, self.detail)
    }
}

struct Line {
    what: String,
    glob: GlobMatcher,
    text: String,
    count: usize,
}

/// All lines, with how much each accounted for.
pub struct Allowed {
    lines: Vec<Line>,
}

impl Allowed {
    /// Reads the file. A line without a reason is refused.
    pub fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let mut lines = Vec::new();
        for text in fs::read_to_string(path)?.lines().filter(|line| !line.starts_with('#')) {
            let mut words = text.split_whitespace();
            let (Some(what), Some(glob), Some(_reason)) = (words.next(), words.next(), words.next()) else {
                if text.trim().is_empty() {
                    continue;
                }
                return Err(format!("{}: {text:?} is not WHAT GLOB REASON", path.display()).into());
            };
            let glob = GlobBuilder::new(glob).literal_separator(true).build()?.compile_matcher();
            lines.push(Line { what: what.into(), glob, text: text.into(), count: 0 });
        }
        Ok(Allowed { lines })
    }

    /// Tells whether a difference is listed, and counts it.
    pub fn admits(&mut self, difference: &Difference) -> bool {
        let fits = |line: &&mut Line| {
            line.what.split(',').any(|what| what == difference.what) && line.glob.is_match(&difference.path)
        };
        let found = self.lines.iter_mut().find(fits);
        found.map(|line| line.count += 1).is_some()
    }

    /// Returns the lines that were needed, with how often.
    pub fn used(&self) -> Vec<(&str, usize)> {
        self.lines.iter().filter(|l| l.count > 0).map(|line| (line.text.as_str(), line.count)).collect()
    }
}
