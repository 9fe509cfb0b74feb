//! How a command ends when it does not end well, and how that is told.

use super::output::say;

use std::{error::Error, fmt, process::ExitCode};

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
    Status(u8),
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

    /// Ends with another program's status and prints nothing.
    pub fn status(code: u8) -> Self {
        Failure { kind: Kind::Status(code), hint: None }
    }

    /// Adds what one can do about it.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure { kind: Kind::Error(Box::new(error)), hint: None }
    }
}

impl fmt::Display for Failure {
    /// The error and its sources, one a line, and the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Error(error) => {
                write!(f, "error: {}", indented(error))?;
                let mut source = error.source();
                while let Some(cause) = source {
                    write!(f, "\n  because {}", indented(cause))?;
                    source = cause.source();
                }
            }
            Kind::Exceeded(text) => write!(f, "limit exceeded: {}", indented(text))?,
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

/// Prints a failure to stderr and chooses the exit code.
pub(super) fn conclude(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    let text = failure.to_string();
    if !text.is_empty() {
        say(&text);
    }
    match failure.kind {
        Kind::Error(_) => ExitCode::from(1),
        Kind::Exceeded(_) => ExitCode::from(3),
        Kind::Status(code) => ExitCode::from(code),
    }
}
