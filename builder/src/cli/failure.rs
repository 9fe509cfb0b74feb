//! How a command fails, and how that is reported.

mod document;

use std::{any::Any, borrow::Cow, error::Error, fmt, process::ExitCode};

use super::{
    exit,
    output::{self, say},
};
use crate::{
    error::{Hint, causes},
    line::LineError,
};
pub(super) use document::of_usage;

/// Why a command did not end with 0.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    hint: Option<String>,
}

#[derive(Debug)]
enum Kind {
    Error(Box<dyn Error + Send + Sync>),
    Exceeded(String),
    Drifted(String),
    Usage(clap::Error),
    Status(u8),
}

impl Kind {
    fn status(&self) -> u8 {
        match self {
            Kind::Error(_) => exit::FAILED,
            Kind::Usage(_) => exit::USAGE,
            Kind::Exceeded(_) | Kind::Drifted(_) => exit::BEYOND,
            Kind::Status(code) => *code,
        }
    }
}

impl Failure {
    /// The work failed: one lower-case clause.
    pub fn new(text: impl Into<String>) -> Self {
        Failure { kind: Kind::Error(text.into().into()), hint: None }
    }

    /// Done, but a limit that was asked for is exceeded (exit 3).
    pub fn exceeded(text: impl Into<String>) -> Self {
        Failure { kind: Kind::Exceeded(text.into()), hint: None }
    }

    /// A lock that is not what the recipe or the archive now gives (exit 3, whichever command finds it).
    pub fn drifted(text: impl Into<String>) -> Self {
        Failure { kind: Kind::Drifted(text.into()), hint: None }
    }

    /// A command line that is wrong beyond its grammar (exit 2).
    pub fn usage(error: clap::Error) -> Self {
        Failure { kind: Kind::Usage(error), hint: None }
    }

    /// As [`Failure::usage`], of options that exclude each other.
    pub fn conflict(text: &str) -> Self {
        let kind = clap::error::ErrorKind::ArgumentConflict;
        Failure::usage(clap::Error::raw(kind, format!("{text}\n")))
    }

    /// As [`Failure::usage`], of a value that is wrong, with what one can do about it.
    pub fn wrong_value(text: &str, hint: &str) -> Self {
        let kind = clap::error::ErrorKind::ValueValidation;
        Failure::usage(clap::Error::raw(kind, format!("{text}\n"))).hint(hint)
    }

    /// Ends with another program's status and prints nothing.
    pub fn status(code: u8) -> Self {
        Failure { kind: Kind::Status(code), hint: None }
    }

    /// Returns the status that the program would end with.
    pub(super) fn exit_status(&self) -> u8 {
        self.kind.status()
    }

    /// Returns whether the work is done and a limit exceeded.
    pub(super) fn is_exceeded(&self) -> bool {
        matches!(self.kind, Kind::Exceeded(_))
    }

    /// Returns it in a line, without its sources and its hint.
    pub(super) fn clause(&self) -> String {
        let text = match &self.kind {
            Kind::Error(error) => error.to_string(),
            Kind::Exceeded(text) | Kind::Drifted(text) => text.clone(),
            Kind::Usage(error) => error.to_string(),
            Kind::Status(_) => String::new(),
        };
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Returns it as the value of `error` in a document.
    pub(super) fn document(&self) -> serde_json::Value {
        document::of(self)
    }

    /// Adds what one can do about it.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// Changes what one can do about it.
    #[must_use]
    pub fn map_hint(mut self, change: impl FnOnce(Option<String>) -> Option<String>) -> Self {
        self.hint = change(self.hint);
        self
    }
}

impl<E: Hint + Send + Sync + 'static> From<E> for Failure {
    /// Takes an error with its hint. An error of another kind, such as a bare `io::Error`, has to be given an
    /// operation and an object first.
    fn from(error: E) -> Self {
        let hint = error.hint().map(Cow::into_owned);
        let known: &dyn Any = &error;
        if known.downcast_ref().is_some_and(LineError::is_drift) {
            return Failure { kind: Kind::Drifted(error.to_string()), hint };
        }
        Failure { kind: Kind::Error(Box::new(error)), hint }
    }
}

impl fmt::Display for Failure {
    /// The error and its sources, one a line, and the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Error(error) => {
                write!(f, "error: {}", indented(error))?;
                for cause in causes(&**error).skip(1) {
                    write!(f, "\n  cause: {}", indented(cause))?;
                }
            }
            Kind::Exceeded(text) => write!(f, "limit exceeded: {}", indented(text))?,
            Kind::Drifted(text) => write!(f, "error: {}", indented(text))?,
            Kind::Usage(error) => f.write_str(error.to_string().trim_end())?,
            Kind::Status(_) => return Ok(()),
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", indented(hint)),
            None => Ok(()),
        }
    }
}

/// Returns a text whose further lines are indented, so that none of them passes for a line of its own.
fn indented(text: impl fmt::Display) -> String {
    let text = text.to_string();
    let mut lines = text.split('\n');
    let mut out = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        out += if line.starts_with(' ') { "\n" } else { "\n  " };
        out += line;
    }
    out
}

/// Prints a failure to stderr, with `--json` also to stdout, and returns the exit status. What the command
/// has left to be printed as its document comes first.
pub(super) fn conclude(result: Result<(), Failure>, is_json: bool) -> ExitCode {
    let failed = result.as_ref().err();
    // The app's own status alone needs no report.
    let error = failed.filter(|failure| is_json && !matches!(failure.kind, Kind::Status(_)));
    let printed = output::print_document(error.map(document::of));
    let Err(failure) = result.and(printed) else { return ExitCode::SUCCESS };
    let text = failure.to_string();
    if !text.is_empty() {
        say(&text);
    }
    ExitCode::from(failure.kind.status())
}
