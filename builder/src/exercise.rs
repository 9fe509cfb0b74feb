//! The conversation with an app: the recipe's steps, driven against a grain.
//!
//! Comes in: a [`Visit`] (the steps, and the authority in the user's browser), and a [`Target`] that connects
//! to the app, restarts it and runs programs in it. Goes out: a [`Transcript`] of what was answered, or every
//! step that was not answered as the recipe expects. Cookies and captured values last for the whole
//! conversation, restarts included. Redirects are followed to their end, and what a browser would load with a
//! page is loaded. Knows no sandbox and starts nothing itself.

mod authority;
mod conversation;
mod cookies;
mod disguise;
mod elsewhere;
mod found;
mod http;
mod links;
mod log;
mod modules;
mod page;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod stream;
mod style;
mod text;

pub use authority::Authority;
pub(crate) use http::read_response;
pub use http::{HttpError, Response};
pub(crate) use links::Leads;
pub(crate) use page::PageForm;
pub(crate) use text::{form_encode, replaced};

use std::{error::Error, fmt, io, net::TcpStream, time::Duration};

use regex::bytes::{Regex, RegexBuilder};

use self::{conversation::Conversation, text::excerpt};
use crate::{
    evidence::step,
    recipe::{Recipe, Step, Web},
};

/// The error of failed restarts and runs.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An exercise as one user takes it.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The user's steps.
    pub steps: &'a [Step],
    /// The recipe's keys for the app's web server.
    pub web: Option<&'a Web>,
    /// Where the user's browser finds the app.
    pub authority: &'a Authority,
}

impl<'a> Visit<'a> {
    /// Returns the exercise of a recipe.
    pub fn of(recipe: &'a Recipe, authority: &'a Authority) -> Self {
        Visit { steps: &recipe.exercise, web: recipe.web.as_ref(), authority }
    }
}

/// The app under exercise.
pub trait Target {
    /// Connects to the web port.
    ///
    /// # Errors
    /// The kernel's error.
    fn connect(&mut self) -> io::Result<TcpStream>;

    /// Stops the app and starts it again on the same data, until it is ready.
    ///
    /// # Errors
    /// Whatever kept it from stopping or getting ready.
    fn restart(&mut self) -> Result<(), BoxError>;

    /// Runs a program beside the app to its end.
    ///
    /// # Errors
    /// A program that cannot be started.
    fn run(&mut self, command: &[String]) -> Result<CommandOutput, BoxError>;

    /// Returns the lines that the app has printed since this was asked last.
    fn said(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Waits until the app rests, as far as that can be seen: what it does behind a response belongs to its
    /// step.
    fn settle(&mut self) {}

    /// Called with each step before it is run: its number, from 1, and its words as the recipe has
    /// them ("GET /page/{id}").
    fn begin(&mut self, _step: usize, _what: &str) {}
}

/// The output of a program that a step ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// Exit status; 128 + the signal's number if one killed it.
    pub status: i32,
    /// Its stdout and stderr.
    pub output: Vec<u8>,
}

/// The requests and responses, step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The steps that were taken.
    pub steps: Vec<Record>,
    /// What a browser asked for besides: ends of redirects, and what pages load. Each has the number of its
    /// step.
    pub beside: Vec<Record>,
    /// Warnings for the user, though no expectation failed; one a step at most.
    pub warnings: Vec<Warning>,
    /// Every value captured, in order; a name may be there several times.
    pub captured: Vec<(String, String)>,
    /// The findings after the last step, once the app had been stopped; of no step.
    pub left: Vec<Record>,
    /// Where the user's browser found the app.
    pub authority: Option<Authority>,
}

impl Transcript {
    /// Replaces in a text of this transcript what another run has otherwise: captured values and the
    /// authority, by names.
    pub fn folded(&self, text: &str) -> String {
        let mut text = match &self.authority {
            Some(authority) => authority.folded(text),
            None => text.to_owned(),
        };
        for (name, value) in self.captured.iter().filter(|(_, value)| value.len() >= 4) {
            text = text.replace(value.as_str(), &format!("{{{name}}}"));
        }
        text
    }
}

/// A warning for the user: an error in disguise, a step that expects nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The number of its step, from 1.
    pub step: usize,
    /// The step's words, as the recipe has them.
    pub what: String,
    /// The finding.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, {}: {}", self.step, self.what, self.text)
    }
}

/// One step of a [`Transcript`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1.
    pub step: usize,
    /// Its words: "GET /start", "restart", "run git fsck".
    pub what: String,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A request was answered.
    Responded(Response),
    /// A program ended.
    Ran(CommandOutput),
    /// All messages that were expected of a stream came: the subprotocol of a WebSocket, and of each message
    /// what is compared, each from a line of its own on.
    Streamed(Vec<u8>),
    /// A restart or a pause is over.
    Done,
}

/// A step that was not answered as the recipe expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Its number, from 1.
    pub step: usize,
    /// Its words.
    pub what: String,
    /// Each expectation and what was found instead.
    pub problems: Vec<String>,
    /// The first lines of what was answered.
    pub excerpt: Vec<String>,
    /// The message at which a step with messages ended.
    pub message: Option<MissedMessage>,
}

/// A message of a stream that could not be sent, or did not come as it is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedMessage {
    /// Its number in the step, from 1.
    pub number: usize,
    /// Whether it was waited for in vain, and the stream is open.
    pub is_absent: bool,
    /// The messages that came and that nothing has expected, in their order, the newest ones.
    pub others: Vec<Vec<u8>>,
}

/// Why an exercise failed.
#[derive(Debug, thiserror::Error)]
pub enum ExerciseError {
    /// The app does not accept a connection.
    #[error("step {step}, {what}: cannot connect to the app")]
    Connect {
        /// Number of the step, from 1.
        step: usize,
        /// Its words.
        what: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// The app's response is no HTTP, or not whole.
    #[error("step {step}, {what}: cannot get a complete response")]
    Response {
        /// Number of the step, from 1.
        step: usize,
        /// Its words.
        what: String,
        /// Its fault.
        source: HttpError,
    },
    /// A restart failed, or a program could not be started.
    #[error("step {step}: cannot {what}")]
    Act {
        /// Number of the step, from 1.
        step: usize,
        /// Its words.
        what: String,
        /// Why.
        source: BoxError,
    },
    /// A regular expression of the recipe that does not compile.
    #[error("step {step}: `{pattern}` is not a regular expression")]
    Pattern {
        /// Number of the step, from 1.
        step: usize,
        /// As the recipe has it.
        pattern: String,
        /// Where it is wrong.
        source: regex::Error,
    },
    /// Steps were answered otherwise than expected.
    #[error("{}", misses_text(.misses))]
    Missed {
        /// Which, in order.
        misses: Vec<Miss>,
        /// All that was said.
        transcript: Box<Transcript>,
    },
}

fn misses_text(misses: &[Miss]) -> String {
    let mut text = match misses {
        [_] => String::from("a step did not respond as expected"),
        _ => format!("{} steps did not respond as expected", misses.len()),
    };
    for miss in misses {
        text += &format!("\n{miss}");
    }
    text
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  step {}, {}", self.step, self.what)?;
        for problem in &self.problems {
            write!(f, "\n    {problem}")?;
        }
        for line in &self.excerpt {
            write!(f, "\n    | {line}")?;
        }
        Ok(())
    }
}

/// Steps missed before an exercise is given up: further steps then show nothing new.
const MISSES_LIMIT: usize = 5;

/// How long the last words of an app may be on their way.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Takes all steps in order.
///
/// A step that is not answered as expected does not end the conversation at once, so that all
/// such steps are reported together; one that needs a value which was not captured does.
///
/// # Errors
/// [`ExerciseError::Missed`] if an expectation did not hold; the others if a step could not be taken.
pub fn run(visit: &Visit<'_>, target: &mut dyn Target) -> Result<Transcript, ExerciseError> {
    let mut talk = Conversation::new(*visit);
    target.said();
    for (index, step) in visit.steps.iter().enumerate() {
        let number = index + 1;
        target.begin(number, &step::words(step));
        let what = step::words_with(step, |text| talk.fill_in(text, str::to_owned));
        let (outcome, problems) = match step {
            Step::Request(request) => talk.request(number, &what, request, target)?,
            Step::Stream(stream) => talk.stream(number, &what, stream, target)?,
            Step::Restart => {
                talk.close_all();
                let act =
                    |source| ExerciseError::Act { step: number, what: "restart the grain".into(), source };
                target.restart().map_err(act)?;
                (Outcome::Done, Vec::new())
            }
            Step::Sleep { millis } => {
                std::thread::sleep(Duration::from_millis(*millis));
                (Outcome::Done, Vec::new())
            }
            Step::Run { command, contains, capture } => {
                let act = |source| ExerciseError::Act { step: number, what: what.clone(), source };
                let command: Vec<String> =
                    command.iter().map(|word| talk.fill_in(word, str::to_owned)).collect();
                let ran = target.run(&command).map_err(act)?;
                let problems = talk.judge_run(number, &ran, contains, capture)?;
                (Outcome::Ran(ran), problems)
            }
        };
        target.settle();
        talk.listen();
        if number == visit.steps.len() {
            std::thread::sleep(LAST_WORDS);
        }
        talk.end_step(number, step, &outcome, &target.said());
        if !problems.is_empty() {
            let excerpt = excerpt(outcome.bytes());
            let message = talk.missed_message.take();
            talk.misses.push(Miss { step: number, what: what.clone(), problems, excerpt, message });
        }
        talk.transcript.steps.push(Record { step: number, what, outcome });
        if talk.misses.len() >= MISSES_LIMIT || talk.stuck {
            break;
        }
    }
    talk.close_all();
    if talk.misses.is_empty() {
        return Ok(talk.transcript);
    }
    Err(ExerciseError::Missed { misses: talk.misses, transcript: Box::new(talk.transcript) })
}

impl Outcome {
    /// Returns what was answered or printed.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Outcome::Responded(response) => &response.body,
            Outcome::Ran(ran) => &ran.output,
            Outcome::Streamed(text) => text,
            Outcome::Done => &[],
        }
    }
}

/// Compiles a recipe's regular expression: it looks at bytes, and `.` takes newlines, as bodies have many.
pub(crate) fn compile(step: usize, pattern: &str) -> Result<Regex, ExerciseError> {
    let built = RegexBuilder::new(pattern).dot_matches_new_line(true).build();
    built.map_err(|source| ExerciseError::Pattern { step, pattern: pattern.to_owned(), source })
}

#[cfg(test)]
mod tests;
