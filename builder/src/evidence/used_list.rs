//! `used.list`: the evidence of a trace as text that is reviewed and committed.
//!
//! ```text
//! # comment
//! PATH KINDS PROGRAM PACKAGE SERVICE STEP
//! /usr/bin/git executed /usr/lib/cgit/cgit.cgi git web get:/repo/
//! ```
//!
//! One line a path of the stage root, sorted by the path's bytes; fields separated by one space. Kinds as
//! [`Kinds`] prints them, strongest first. `PROGRAM` used it first in the strongest way, for `SERVICE`, while
//! `STEP` of the exercise, or a person's request, was current. `PACKAGE` is the Debian package that the path
//! came from, `recipe` for what the recipe laid down. What is unknown is `-`. Words are escaped as in a
//! tree's text. No numbers of processes, no times: two traces of one recipe on one lock give the same text.
//! What was looked for and is absent is left out: it keeps nothing, and some of those names are made up anew
//! in each run.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{Kinds, UnknownKind};
use crate::{
    atomic,
    error::{At as _, Hint, PathError},
    files,
    tree::{TreePath, escape, unescape},
};

const HEADER: &str = "\
# What the app used of its root, by tinyroot trace: read it in review, do not edit.
# PATH KINDS PROGRAM PACKAGE SERVICE STEP
";

/// Longest list that is read; a root of a million paths has half of it.
const LIMIT_BYTES: u64 = 1 << 28;

/// A fault of `used.list`.
#[derive(Debug, thiserror::Error)]
pub enum UsedListError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A line breaks a rule.
    #[error("{}:{line}: {reason}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Line number from 1.
        line: usize,
        /// The rule.
        reason: String,
    },
    /// The file is too long to be a list.
    #[error("{}: is longer than {LIMIT_BYTES} bytes", _0.display())]
    TooLong(PathBuf),
}

impl Hint for UsedListError {}

/// How one path was used, and by whom first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedLine {
    /// How; never empty.
    pub kinds: Kinds,
    /// The program that used it first in the strongest way, as an escaped path; empty if unknown.
    pub program: String,
    /// The Debian package that owns it, or `recipe`; empty if neither.
    pub package: String,
    /// The service that program worked for; empty if unknown.
    pub service: String,
    /// The exercise step, or a person's request, that was current; empty if unknown.
    pub step: String,
}

/// The evidence of a trace: paths of the stage root and how they were used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsedList {
    lines: BTreeMap<TreePath, UsedLine>,
}

impl UsedList {
    /// Returns a list without lines.
    pub fn new() -> Self {
        UsedList::default()
    }

    /// Returns the lines in path order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&TreePath, &UsedLine)> {
        self.lines.iter()
    }

    /// Returns the number of paths.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Returns true if nothing was used.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns a path's line.
    pub fn get(&self, path: &[u8]) -> Option<&UsedLine> {
        self.lines.get(path)
    }

    /// Returns how a path was used; nothing for a path without a line.
    pub fn kinds(&self, path: &[u8]) -> Kinds {
        self.get(path).map_or_else(Kinds::none, |line| line.kinds)
    }

    /// Returns true if a path has a line.
    pub fn contains(&self, path: &[u8]) -> bool {
        self.lines.contains_key(path)
    }

    /// Adds a line. Where the path has one, kinds are joined, and who was first stays, except that an
    /// unknown field gets the new value.
    pub fn insert(&mut self, path: TreePath, line: UsedLine) {
        let Some(old) = self.lines.get_mut(&path) else {
            self.lines.insert(path, line);
            return;
        };
        old.kinds = old.kinds.union(line.kinds);
        // Used otherwise by one run, it is not merely found by stat.
        let others = old.kinds.without(Kinds::STAT);
        old.kinds = if others.is_empty() { Kinds::STAT } else { others };
        let fields = [
            (&mut old.program, line.program),
            (&mut old.package, line.package),
            (&mut old.service, line.service),
            (&mut old.step, line.step),
        ];
        for (old, new) in fields {
            if old.is_empty() {
                *old = new;
            }
        }
    }

    /// Adds another list's lines: several runs, exercises and people make one list.
    pub fn merge(&mut self, other: UsedList) {
        for (path, line) in other.lines {
            self.insert(path, line);
        }
    }

    /// Returns the text form.
    pub fn to_text(&self) -> String {
        let word = |text: &str| if text.is_empty() { "-".to_owned() } else { escape(text.as_bytes()) };
        let mut out = HEADER.to_owned();
        for (path, line) in &self.lines {
            let UsedLine { kinds, program, package, service, step } = line;
            // A program's path is escaped already.
            let program = if program.is_empty() { "-" } else { program };
            out += &format!("/{path} {kinds} {program} {} {} {}\n", word(package), word(service), word(step));
        }
        out
    }

    /// Reads the text form; `file` is for messages.
    ///
    /// # Errors
    /// [`UsedListError::Line`] for the first line that breaks a rule.
    pub fn parse(text: &str, file: &Path) -> Result<Self, UsedListError> {
        let mut list = UsedList::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (path, line) = parse_line(line).map_err(|reason| UsedListError::Line {
                file: file.into(),
                line: index + 1,
                reason,
            })?;
            list.insert(path, line);
        }
        Ok(list)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`UsedListError`].
    pub fn read(path: &Path) -> Result<Self, UsedListError> {
        if fs::metadata(path).at("read", path)?.len() > LIMIT_BYTES {
            return Err(UsedListError::TooLong(path.into()));
        }
        UsedList::parse(&files::read_to_string(path)?, path)
    }

    /// Writes a file in one step.
    ///
    /// # Errors
    /// [`UsedListError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), UsedListError> {
        Ok(atomic::replace(path, self.to_text().as_bytes()).at("write", path)?)
    }

    /// Returns what is new in this list, what is gone, and what was used in other ways, compared to an older
    /// one.
    pub fn changes_since(&self, old: &UsedList) -> Changes {
        let paths = |wanted: &dyn Fn(&TreePath, &UsedLine) -> bool, list: &UsedList| {
            let found = list.lines.iter().filter(|(path, line)| wanted(path, line));
            found.map(|(path, _)| path.clone()).collect()
        };
        Changes {
            added: paths(&|path, _| !old.lines.contains_key(path), self),
            gone: paths(&|path, _| !self.lines.contains_key(path), old),
            otherwise: paths(&|path, line| old.lines.get(path).is_some_and(|o| o.kinds != line.kinds), self),
        }
    }
}

/// How a list differs from an older one; paths in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Used now and not before.
    pub added: Vec<TreePath>,
    /// Used before and not now.
    pub gone: Vec<TreePath>,
    /// Used in other ways than before.
    pub otherwise: Vec<TreePath>,
}

fn parse_line(line: &str) -> Result<(TreePath, UsedLine), String> {
    let mut words = line.split(' ');
    let mut word = |what: &str| {
        let word = words.next().filter(|word| !word.is_empty());
        word.ok_or_else(|| format!("{what} is missing"))
    };
    let path = word("the path")?;
    let bytes = path.strip_prefix('/').ok_or_else(|| format!("`{path}` does not begin with `/`"))?;
    let bytes = unescape(bytes).ok_or("the path is badly escaped")?;
    let path = TreePath::new(&bytes).map_err(|error| error.to_string())?;
    if path.as_bytes() != bytes {
        return Err("the path is not normal".into());
    }
    let kinds: Kinds = word("the kind of evidence")?.parse().map_err(|e: UnknownKind| e.to_string())?;
    let program = word("the program")?;
    unescape(program).ok_or("the program is badly escaped")?;
    let mut text = |what: &str| {
        let word = word(what)?;
        let bytes = unescape(if word == "-" { "" } else { word });
        bytes.and_then(|b| String::from_utf8(b).ok()).ok_or_else(|| format!("{what} is badly escaped"))
    };
    let line = UsedLine {
        kinds,
        program: if program == "-" { String::new() } else { program.to_owned() },
        package: text("the package")?,
        service: text("the service")?,
        step: text("the step")?,
    };
    match words.next() {
        Some(more) => Err(format!("`{more}` is one field too many")),
        None => Ok((path, line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kinds: Kinds, program: &str, step: &str) -> UsedLine {
        let (package, service) = ("git".into(), String::new());
        UsedLine { kinds, program: program.into(), package, service, step: step.into() }
    }

    fn path(bytes: &[u8]) -> TreePath {
        TreePath::new(bytes).expect("a good path")
    }

    fn parse(text: &str) -> Result<UsedList, String> {
        UsedList::parse(text, Path::new("used.list")).map_err(|error| error.to_string())
    }

    #[test]
    fn prints_sorted_and_reads_back() {
        let mut list = UsedList::new();
        list.insert(path(b"usr/bin/git"), line(Kinds::EXECUTED, "/usr/bin/dash", "get:/a b"));
        list.insert(path(b"bin"), line(Kinds::READ_LINK, "", "start"));
        let text = list.to_text();
        assert_eq!(
            text.strip_prefix(HEADER),
            Some("/bin read-link - git - start\n/usr/bin/git executed /usr/bin/dash git - get:/a\\x20b\n")
        );
        assert_eq!(parse(&text), Ok(list));
    }

    #[test]
    fn merging_joins_kinds_and_keeps_who_was_first() {
        let mut list = UsedList::new();
        list.insert(path(b"a"), line(Kinds::STAT, "/one", "start"));
        let mut other = UsedList::new();
        other.insert(path(b"a"), line(Kinds::OPENED, "/two", "get:/"));
        other.insert(path(b"b"), line(Kinds::STAT, "/two", "get:/"));
        list.merge(other);
        assert_eq!(list.get(b"a"), Some(&line(Kinds::OPENED, "/one", "start")));
        assert_eq!(list.kinds(b"b"), Kinds::STAT);
        assert_eq!(list.kinds(b"c"), Kinds::none());
    }

    #[test]
    fn writes_reads_and_compares() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("used.list");
        let mut old = UsedList::new();
        old.insert(path(b"gone"), line(Kinds::STAT, "/one", "start"));
        old.insert(path(b"same"), line(Kinds::STAT, "/one", "start"));
        old.insert(path(b"more"), line(Kinds::STAT, "/one", "start"));
        old.write(&file).expect("writes");
        assert_eq!(UsedList::read(&file).expect("reads"), old);
        let mut new = UsedList::new();
        new.insert(path(b"more"), line(Kinds::OPENED, "/one", "start"));
        new.insert(path(b"new"), line(Kinds::OPENED, "/one", "start"));
        new.insert(path(b"same"), line(Kinds::STAT, "/two", "other"));
        let (added, gone, otherwise) = (vec![path(b"new")], vec![path(b"gone")], vec![path(b"more")]);
        assert_eq!(new.changes_since(&old), Changes { added, gone, otherwise });
        assert_eq!(fs::read_dir(directory.path()).expect("lists").count(), 1);
    }

    #[test]
    fn names_file_line_and_rule() {
        let rows = [
            ("# c\n\nusr opened - - - -\n", "used.list:3: `usr` does not begin with `/`"),
            ("<<<<<<< HEAD\n", "used.list:1: `<<<<<<<` does not begin with `/`"),
            ("/usr\n", "used.list:1: the kind of evidence is missing"),
            ("/usr  - - - -\n", "used.list:1: the kind of evidence is missing"),
            ("/usr mapped - - - -\n", "used.list:1: `mapped` is not a kind of evidence"),
            ("/usr/../etc opened - - - -\n", "used.list:1: path `usr/../etc` has a `..` component"),
            ("/usr//bin opened - - - -\n", "used.list:1: the path is not normal"),
            ("/u\\xzz opened - - - -\n", "used.list:1: the path is badly escaped"),
            ("/usr opened - - - - -\n", "used.list:1: `-` is one field too many"),
            ("/usr opened - - -\n", "used.list:1: the step is missing"),
            ("/usr opened - \\xff - -\n", "used.list:1: the package is badly escaped"),
        ];
        for (text, message) in rows {
            assert_eq!(parse(text), Err(message.to_owned()), "{text:?}");
        }
    }
}
