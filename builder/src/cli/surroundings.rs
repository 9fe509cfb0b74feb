//! The surroundings that change how a command behaves: a CI job, a terminal.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, IsTerminal as _},
};

use crate::{
    digest::Digest,
    error::{At as _, PathError},
    files,
};

/// When errors and warnings have colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal outside of CI, unless NO_COLOR is set; also where CLICOLOR_FORCE is
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Progress {
    /// Live on a terminal outside of CI, else as lines
    Auto,
    /// A line for each step that took a second or more
    Plain,
    /// Not at all
    None,
}

impl Color {
    /// Returns whether stderr is coloured: by the conventions of no-color.org and bixense.com/clicolors.
    pub fn is_wanted(self) -> bool {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if variable("NO_COLOR").is_some() => false,
            Color::Auto if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            Color::Auto => variable("CLICOLOR").is_none_or(|value| value != "0") && is_lively(),
        }
    }

    /// Returns what a command line asks for, before it is known whether it holds; the last one counts.
    pub fn asked(arguments: &[OsString]) -> Self {
        let words = || arguments.iter().filter_map(|word| word.to_str());
        let apart =
            words().zip(words().skip(1)).filter(|(name, _)| *name == "--color").map(|(_, value)| value);
        let joined = words().filter_map(|word| word.strip_prefix("--color="));
        let asked = joined.chain(apart).last();
        asked.and_then(|word| clap::ValueEnum::from_str(word, false).ok()).unwrap_or(Color::Auto)
    }
}

/// Returns the digest of the program that runs.
///
/// # Errors
/// A program that cannot be found or read any more.
pub(super) fn program_digest() -> Result<Digest, PathError> {
    let path = env::current_exe().at("find", "the running program")?;
    let (digest, _) = Digest::of_reader(files::open(&path)?).at("read", &path)?;
    Ok(digest)
}

impl Progress {
    /// Returns whether bars move on stderr.
    pub fn is_live(self) -> bool {
        self == Progress::Auto && is_lively()
    }
}

/// Returns whether a person looks at stderr, on a terminal that can move its cursor.
fn is_lively() -> bool {
    io::stderr().is_terminal() && !is_ci() && env::var_os("TERM").is_none_or(|name| name != "dumb")
}

/// Returns whether this is a job of a CI service: they all set `CI`, commonly to `true`. A person may set it
/// to `false`, `0` or nothing.
pub(super) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| says_yes(&value))
}

fn says_yes(value: &OsStr) -> bool {
    !value.is_empty() && value != "0" && !value.eq_ignore_ascii_case("false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ci_is_what_is_not_denied() {
        for (value, expected) in
            [("true", true), ("1", true), ("woodpecker", true), ("", false), ("0", false), ("False", false)]
        {
            assert_eq!(says_yes(OsStr::new(value)), expected, "{value}");
        }
    }
}
