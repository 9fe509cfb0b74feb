//! The report of misses that lies beside a grain: what its app asked for and does not have because it was
//! pruned.
//!
//! ```text
//! # comment
//! PATH PACKAGE PROGRAM TIME [HOW]
//! /usr/share/php-geshi/geshi/java.php php-geshi /usr/sbin/php-fpm8.2 2026-11-26T12:14:04Z
//! /usr/lib/python3.11 - /usr/bin/python3.11 2026-11-26T12:14:05Z listed:412
//! /usr/lib/python3.11/decimal.py libpython3.11-stdlib - 2026-11-26T12:14:06Z said
//! ```
//!
//! HOW is left out where the path was looked up. `said`: the app's output says that it is not there. `shown`:
//! it was looked up where listings show pruned names. `listed:N`: the path is a directory that is there; it
//! was listed, and N of its names were pruned. A reader passes over such a line when it looks for what to
//! keep. `written`: the path is there, was to be written, and is shipped read-only.
//!
//! One line a path of the stage root, in the order of the first time that each was asked for, over all runs
//! of the grain; words are escaped as in a tree's text, and what is unknown is `-`. The file is there only if
//! something was missed.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Cause, Miss};
use crate::error::{Hint, PathError};
use crate::files;
use crate::tree::{TreePath, escape, unescape};

const HEADER: &str = "\
# What the app asked for and does not have because it was pruned, by tinyroot run.
# PATH PACKAGE PROGRAM TIME [HOW]
";

/// A report that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A line that is none of a report.
    #[error("{}:{line}: not a line of a report of misses", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
    },
}

impl Hint for ReportError {}

/// A line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The miss; at no step.
    pub miss: Miss,
    /// When it was first asked for.
    pub time: jiff::Timestamp,
}

/// A report that grows.
#[derive(Debug)]
pub struct MissReport {
    path: PathBuf,
    /// Opened at the first miss, with the misses of earlier runs.
    open: Option<(File, BTreeSet<TreePath>)>,
}

impl MissReport {
    /// Returns the report at a path. Nothing is opened before something is missed.
    pub fn new(path: PathBuf) -> Self {
        MissReport { path, open: None }
    }

    /// Adds a miss, unless its path is there already.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn add(&mut self, miss: &Miss, time: SystemTime) -> io::Result<()> {
        let (file, told) = match &mut self.open {
            Some(open) => open,
            none => none.insert(open(&self.path)?),
        };
        if !told.insert(miss.path.clone()) {
            return Ok(());
        }
        file.write_all(line(miss, time).as_bytes())
    }
}

fn open(path: &Path) -> io::Result<(File, BTreeSet<TreePath>)> {
    let text = match files::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let told = text.lines().filter_map(parse_line).map(|reported| reported.miss.path).collect();
    let mut file = File::options().create(true).append(true).mode(0o600).open(path)?;
    if text.is_empty() {
        file.write_all(HEADER.as_bytes())?;
    }
    Ok((file, told))
}

fn line(miss: &Miss, time: SystemTime) -> String {
    let time_s = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let time = jiff::Timestamp::from_second(i64::try_from(time_s).unwrap_or_default()).unwrap_or_default();
    let word = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let package = escape(miss.package.as_deref().unwrap_or_default().as_bytes());
    // A program's path is escaped already.
    let how = match &miss.cause {
        Cause::Asked => String::new(),
        Cause::Said(_) => " said".to_owned(),
        Cause::Shown => " shown".to_owned(),
        Cause::Listed(names) => format!(" listed:{names}"),
        Cause::Written => " written".to_owned(),
    };
    format!("/{} {} {} {time}{how}\n", miss.path, word(&package), word(&miss.program))
}

fn parse_line(line: &str) -> Option<Reported> {
    let words: Vec<&str> = line.split(' ').collect();
    let (path, package, program, time, cause) = match words[..] {
        [path, package, program, time] => (path, package, program, time, Cause::Asked),
        [path, package, program, time, how] => (path, package, program, time, parse_how(how)?),
        _ => return None,
    };
    let time = time.parse().ok()?;
    let path = TreePath::new(&unescape(path.strip_prefix('/')?)?).ok()?;
    unescape(program)?;
    let known = |word: &str| if word == "-" { String::new() } else { word.to_owned() };
    let package =
        String::from_utf8(unescape(package)?).ok().filter(|package| !["", "-"].contains(&&package[..]));
    let miss = Miss { path, package, program: known(program), step: String::new(), cause };
    Some(Reported { miss, time })
}

/// Asserts that lines which can be read are read again as they were written.
#[cfg(feature = "testing")]
pub(super) fn assert_lines_come_back(text: &str) {
    for Reported { miss, time } in text.lines().filter_map(parse_line) {
        let written = line(&miss, SystemTime::from(time));
        let again = parse_line(written.trim_end_matches('\n')).expect("what was written can be read");
        assert_eq!(again.miss, miss);
    }
}

fn parse_how(word: &str) -> Option<Cause> {
    match word.split_once(':') {
        None if word == "said" => Some(Cause::Said(String::new())),
        None if word == "shown" => Some(Cause::Shown),
        None if word == "written" => Some(Cause::Written),
        Some(("listed", names)) => names.parse().ok().map(Cause::Listed),
        _ => None,
    }
}

/// Reads a report.
///
/// # Errors
/// [`ReportError`].
pub fn read_report(path: &Path) -> Result<Vec<Reported>, ReportError> {
    let text = files::read_to_string(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            let fault = || ReportError::Line { path: path.to_path_buf(), line: index + 1 };
            parse_line(line).ok_or_else(fault)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    fn miss(path: &[u8], package: Option<&str>, program: &str) -> Miss {
        let path = TreePath::new(path).expect("a good path");
        let package = package.map(str::to_owned);
        Miss { path, package, program: program.to_owned(), step: String::new(), cause: Cause::Asked }
    }

    #[test]
    fn each_path_is_told_once_over_all_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("misses");
        let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let (a, b) = (miss(b"usr/a b", Some("a"), "/usr/bin/x"), miss(b"etc/b", None, ""));
        for misses in [[&a, &a], [&b, &a]] {
            let mut report = MissReport::new(path.clone());
            misses.iter().for_each(|miss| report.add(miss, time).expect("writes"));
        }
        let text = fs::read_to_string(&path).expect("reads");
        assert_eq!(
            text.strip_prefix(HEADER),
            Some("/usr/a\\x20b a /usr/bin/x 2023-11-14T22:13:20Z\n/etc/b - - 2023-11-14T22:13:20Z\n")
        );
        let read = read_report(&path).expect("reads");
        assert!(read.iter().all(|reported| reported.time.as_second() == 1_700_000_000));
        assert_eq!(read.into_iter().map(|reported| reported.miss).collect::<Vec<_>>(), [a, b]);
    }

    #[test]
    fn a_report_keeps_how_each_miss_is_known() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("misses");
        let rows = [
            (Cause::Said("No module named 'decimal'".to_owned()), Cause::Said(String::new()), " said"),
            (Cause::Shown, Cause::Shown, " shown"),
            (Cause::Written, Cause::Written, " written"),
            (Cause::Listed(412), Cause::Listed(412), " listed:412"),
        ];
        for (cause, read_back, word) in rows {
            let _ = fs::remove_file(&path);
            let miss = Miss { cause, ..miss(b"usr/lib/python3.11", None, "") };
            MissReport::new(path.clone()).add(&miss, UNIX_EPOCH).expect("writes");
            let text = fs::read_to_string(&path).expect("reads");
            assert!(
                text.ends_with(&format!("/usr/lib/python3.11 - - 1970-01-01T00:00:00Z{word}\n")),
                "{text}"
            );
            let read = read_report(&path).expect("reads");
            assert_eq!(read[0].miss, Miss { cause: read_back, ..miss });
        }
    }

    #[test]
    fn nothing_is_written_where_nothing_is_missed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("misses");
        drop(MissReport::new(path.clone()));
        assert!(!path.exists());
    }

    #[test]
    fn a_line_of_something_else_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("misses");
        for bad in [
            "/a b /c yesterday",
            "a - - 2023-11-14T22:13:20Z",
            "/a - 2023-11-14T22:13:20Z",
            "/a/../b \\x - -",
            "/a - - 2023-11-14T22:13:20Z listed:many",
            "/a - - 2023-11-14T22:13:20Z asked",
        ] {
            fs::write(&path, format!("# head\n{bad}\n")).expect("writes");
            let text = read_report(&path).expect_err("is refused").to_string();
            assert!(text.ends_with("misses:2: not a line of a report of misses"), "{text}");
        }
    }
}
