//! Errors of a grain.

use std::{borrow::Cow, io, path::PathBuf};

use super::Remedy;
use crate::{
    error::Hint,
    sandbox::{Exit, SandboxError},
    threads,
    view::fuse::ViewError,
};

/// Why a grain does not start, or fails later.
#[derive(Debug, thiserror::Error)]
pub enum GrainError {
    /// Its `/var` cannot be made.
    #[error("cannot make the grain's /var at {}", path.display())]
    Var {
        /// On the host.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// Its `/var` belongs to another user than the grain's.
    #[error("the grain's /var at {} belongs to user {owner}, and the grain would be user {expected}", path.display())]
    Owner {
        /// On the host.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user that the grain would be.
        expected: u32,
    },
    /// The sandbox could not be made.
    #[error("cannot start the grain's sandbox")]
    Sandbox(#[source] SandboxError),
    /// The root could not be served.
    #[error("cannot serve the grain's root")]
    View(#[source] ViewError),
    /// The root could not be rendered.
    #[error("cannot render the grain's root")]
    Render(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// It ended before all its services were ready.
    #[error("the grain ended with {exit} before it was ready{}{}", tail_text(.tail), fact_text(.remedy.as_deref()))]
    Ended {
        /// How.
        exit: Exit,
        /// The last lines of its output.
        tail: Vec<String>,
        /// Whether it had `/proc`.
        proc: bool,
        /// The cause, if one is known.
        remedy: Option<Box<Remedy>>,
    },
}

/// The loader's message for a library that is not found.
const NO_LIBRARY: &str = "error while loading shared libraries";

impl GrainError {
    /// Returns true if the host is at fault and the app did not begin.
    pub fn is_of_host(&self) -> bool {
        match self {
            GrainError::Var { .. }
            | GrainError::Sandbox(_)
            | GrainError::View(_)
            | GrainError::Render(_)
            | GrainError::Thread(_) => true,
            GrainError::Owner { .. } | GrainError::Ended { .. } => false,
        }
    }
}

impl Hint for GrainError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        let text = match self {
            GrainError::Sandbox(error) => return error.hint(),
            GrainError::Owner { .. } => "run it as that user, or under another name with --grain",
            // The loader learns `$ORIGIN` of a program from /proc/self/exe (ld.so(8)).
            GrainError::Ended { tail, proc: false, .. }
                if tail.iter().any(|line| line.contains(NO_LIBRARY)) =>
            {
                "programs that have libraries beside them, as Java does, find them by /proc: add [sandbox] proc = true"
            }
            GrainError::Ended { remedy: Some(remedy), .. } => &remedy.hint,
            GrainError::Thread(_) => threads::HINT,
            _ => return None,
        };
        Some(text.into())
    }
}

fn fact_text(remedy: Option<&Remedy>) -> String {
    remedy.map(|remedy| format!("\n  {}", remedy.fact)).unwrap_or_default()
}

fn tail_text(tail: &[String]) -> String {
    tail.iter().map(|line| format!("\n  | {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_found_hints_at_proc() {
        let ended = |line: &str, proc| GrainError::Ended {
            exit: Exit::Code(127),
            tail: vec![line.to_owned()],
            proc,
            remedy: None,
        };
        let line = "java: error while loading shared libraries: libjli.so: cannot open shared object file";
        assert!(ended(line, false).hint().is_some_and(|hint| hint.contains("proc = true")));
        assert_eq!(ended(line, true).hint(), None);
        assert_eq!(ended("java: no such class", false).hint(), None);
    }
}
