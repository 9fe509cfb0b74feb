//! The conversation with an app: the recipe's steps, driven against a grain.
//!
//! Comes in: steps, and a [`Subject`] that connects to the app, restarts it and runs programs in
//! it. Goes out: a [`Transcript`] of what was answered, or every step that was not answered as
//! the recipe expects. Cookies and captured values last for the whole conversation, restarts
//! included; redirects are not followed. Knows no sandbox and starts nothing itself.

mod cookies;
mod http;
mod text;

pub use http::{Answer, HttpError};
pub(crate) use text::html_unescape;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt, io,
    net::TcpStream,
    time::Duration,
};

use regex::bytes::{Regex, RegexBuilder};

use self::{
    cookies::Cookies,
    text::{excerpt, form_encode},
};
use crate::recipe::{Body, Request, Step};

/// What restarts and runs answer with when they fail.
pub type Cause = Box<dyn Error + Send + Sync>;

/// The app under exercise.
pub trait Subject {
    /// Returns the port of the app's web server, as its pages and cookies know it.
    fn port(&self) -> u16;

    /// Connects to the web port.
    ///
    /// # Errors
    /// What the kernel says.
    fn connect(&mut self) -> io::Result<TcpStream>;

    /// Stops the app and starts it again on the same data, until it is ready.
    ///
    /// # Errors
    /// Whatever kept it from stopping or getting ready.
    fn restart(&mut self) -> Result<(), Cause>;

    /// Runs a program beside the app to its end.
    ///
    /// # Errors
    /// A program that cannot be started.
    fn run(&mut self, command: &[String]) -> Result<Ran, Cause>;

    /// Is told of each step before it is taken: its number, from 1, and its words as the recipe has
    /// them ("GET /page/{id}").
    fn begin(&mut self, _step: usize, _what: &str) {}
}

/// What a program run by a step left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Exit status; 128 + the signal's number if one killed it.
    pub status: i32,
    /// Its stdout and stderr.
    pub output: Vec<u8>,
}

/// What was asked and answered, step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The steps that were taken.
    pub steps: Vec<Record>,
    /// Every value captured, in order; a name may be there several times.
    pub captured: Vec<(String, String)>,
    /// What was found after the last step, once the app had been stopped; of no step.
    pub left: Vec<Record>,
}

/// One step of a [`Transcript`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1.
    pub step: usize,
    /// Its words: "GET /start", "restart", "run git fsck".
    pub what: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A request was answered.
    Answered(Answer),
    /// A program ended.
    Ran(Ran),
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
        /// What the kernel said.
        source: io::Error,
    },
    /// The app's answer is no HTTP, or not whole.
    #[error("step {step}, {what}: cannot get a whole answer")]
    Answer {
        /// Number of the step, from 1.
        step: usize,
        /// Its words.
        what: String,
        /// What is wrong with it.
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
        source: Cause,
    },
    /// A regular expression of the recipe that does not compile.
    #[error("step {step}: `{pattern}` is no regular expression")]
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
        [_] => String::from("a step was not answered as expected"),
        _ => format!("{} steps were not answered as expected", misses.len()),
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

/// Steps missed before an exercise is given up: what follows then tells nothing new.
const MISSES_LIMIT: usize = 5;

/// Takes all steps in order.
///
/// A step that is not answered as expected does not end the conversation at once, so that all
/// such steps are told together; one that needs a value which was not captured does.
///
/// # Errors
/// [`ExerciseError::Missed`] if an expectation did not hold; the others if a step could not be taken.
pub fn run(steps: &[Step], subject: &mut dyn Subject) -> Result<Transcript, ExerciseError> {
    let mut talk = Conversation::new(steps, subject.port());
    for (index, step) in steps.iter().enumerate() {
        let number = index + 1;
        subject.begin(number, &recipe_words(step));
        let what = words(step, |text| talk.fill_in(text, str::to_owned));
        let (outcome, problems) = match step {
            Step::Request(request) => talk.request(number, &what, request, subject)?,
            Step::Restart => {
                let act =
                    |source| ExerciseError::Act { step: number, what: "restart the grain".into(), source };
                subject.restart().map_err(act)?;
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
                let ran = subject.run(&command).map_err(act)?;
                let problems = talk.judge_run(number, &ran, contains, capture)?;
                (Outcome::Ran(ran), problems)
            }
        };
        if !problems.is_empty() {
            let excerpt = excerpt(outcome.bytes());
            talk.misses.push(Miss { step: number, what: what.clone(), problems, excerpt });
        }
        talk.transcript.steps.push(Record { step: number, what, outcome });
        if talk.misses.len() >= MISSES_LIMIT || talk.stuck {
            break;
        }
    }
    if talk.misses.is_empty() {
        return Ok(talk.transcript);
    }
    Err(ExerciseError::Missed { misses: talk.misses, transcript: Box::new(talk.transcript) })
}

impl Outcome {
    /// Returns what was answered or printed.
    fn bytes(&self) -> &[u8] {
        match self {
            Outcome::Answered(answer) => &answer.body,
            Outcome::Ran(ran) => &ran.output,
            Outcome::Done => &[],
        }
    }
}

/// The state of a conversation.
struct Conversation {
    port: u16,
    cookies: Cookies,
    /// Names that any step captures; other braces are text.
    names: BTreeSet<String>,
    values: BTreeMap<String, String>,
    transcript: Transcript,
    misses: Vec<Miss>,
    /// A capture failed, and later steps need it.
    stuck: bool,
}

impl Conversation {
    fn new(steps: &[Step], port: u16) -> Self {
        let captures = steps.iter().filter_map(|step| match step {
            Step::Request(Request { capture, .. }) | Step::Run { capture, .. } => {
                Some(capture.keys().cloned())
            }
            _ => None,
        });
        let values = BTreeMap::from([
            ("base".to_owned(), format!("http://127.0.0.1:{port}")),
            ("port".to_owned(), port.to_string()),
        ]);
        Conversation {
            port,
            cookies: Cookies::default(),
            names: captures.flatten().collect(),
            values,
            transcript: Transcript::default(),
            misses: Vec::new(),
            stuck: false,
        }
    }

    /// Replaces each `{name}` by its value in the given form; unknown names stay as they are.
    fn fill_in(&self, text: &str, form: impl Fn(&str) -> String) -> String {
        text::fill_in(text, |name| self.values.get(name).map(|value| form(value)))
    }

    /// Returns the captured names that a request needs and that have no value.
    fn lacking(&self, request: &Request) -> Vec<String> {
        let mut texts = vec![request.path.as_str()];
        texts.extend(request.header.values().map(String::as_str));
        texts.extend(request.contains.iter().map(String::as_str));
        match &request.body {
            Body::Form(fields) => texts.extend(fields.iter().map(|(_, value)| value.as_str())),
            Body::FormText(text) => texts.push(text),
            Body::Bytes { bytes, .. } => texts.extend(std::str::from_utf8(bytes)),
            Body::Empty => {}
        }
        let mut lacking = BTreeSet::new();
        for text in texts {
            text::fill_in(text, |name| {
                if self.names.contains(name) && !self.values.contains_key(name) {
                    lacking.insert(name.to_owned());
                }
                None
            });
        }
        lacking.into_iter().collect()
    }

    fn request(
        &mut self,
        step: usize,
        what: &str,
        request: &Request,
        subject: &mut dyn Subject,
    ) -> Result<(Outcome, Vec<String>), ExerciseError> {
        let lacking = self.lacking(request);
        if !lacking.is_empty() {
            self.stuck = true;
            let problems = lacking.iter().map(|name| format!("needs `{name}`, which no step has captured"));
            return Ok((Outcome::Done, problems.collect()));
        }
        let path = self.fill_in(&request.path, str::to_owned);
        let (content_type, body) = self.body(&request.body);
        let mut headers: Vec<(String, String)> = vec![
            ("Host".into(), format!("127.0.0.1:{}", self.port)),
            ("User-Agent".into(), http::USER_AGENT.into()),
            ("Accept".into(), "*/*".into()),
            ("Connection".into(), "close".into()),
        ];
        headers.extend(self.cookies.header(&path).map(|value| ("Cookie".into(), value)));
        headers.extend(content_type.map(|value| ("Content-Type".into(), value)));
        if !body.is_empty() || matches!(&request.method[..], "POST" | "PUT") {
            headers.push(("Content-Length".into(), body.len().to_string()));
        }
        for (name, value) in &request.header {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), self.fill_in(value, str::to_owned)));
        }
        let connect = |source| ExerciseError::Connect { step, what: what.to_owned(), source };
        let mut stream = subject.connect().map_err(connect)?;
        let answer = http::ask(&mut stream, &request.method, &path, &headers, &body)
            .map_err(|source| ExerciseError::Answer { step, what: what.to_owned(), source })?;
        for value in answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            self.cookies.set(&value.1, &path);
        }
        let problems = self.judge(step, request, &answer)?;
        Ok((Outcome::Answered(answer), problems))
    }

    fn body(&self, body: &Body) -> (Option<String>, Vec<u8>) {
        const FORM: &str = "application/x-www-form-urlencoded";
        match body {
            Body::Empty => (None, Vec::new()),
            Body::Form(fields) => {
                let pairs = fields.iter().map(|(name, value)| {
                    let value = self.fill_in(value, str::to_owned);
                    format!("{}={}", form_encode(name), form_encode(&value))
                });
                (Some(FORM.into()), pairs.collect::<Vec<_>>().join("&").into_bytes())
            }
            Body::FormText(text) => {
                let joined: String = text.trim().lines().collect();
                (Some(FORM.into()), self.fill_in(&joined, form_encode).into_bytes())
            }
            Body::Bytes { content_type, bytes } => {
                let filled = match std::str::from_utf8(bytes) {
                    Ok(text) => self.fill_in(text, str::to_owned).into_bytes(),
                    Err(_) => bytes.clone(),
                };
                (Some(content_type.clone()), filled)
            }
        }
    }

    /// Returns what is not as expected, and takes the captures.
    fn judge(
        &mut self,
        step: usize,
        request: &Request,
        answer: &Answer,
    ) -> Result<Vec<String>, ExerciseError> {
        let mut problems = Vec::new();
        let accepted = match request.status.as_slice() {
            [] => answer.status < 500,
            list => list.contains(&answer.status),
        };
        if !accepted {
            problems.push(format!("expected status {}, found {}", statuses(&request.status), answer.status));
            if let Some(location) = answer.header("location") {
                problems.push(format!("it leads to {location}"));
            }
        }
        let full = answer.full();
        for text in &request.contains {
            let text = self.fill_in(text, str::to_owned);
            if !contains(&full, text.as_bytes()) {
                problems.push(format!("expected text {text:?}, not found"));
            }
        }
        self.capture(step, &request.capture, &full, html_unescape, &mut problems)?;
        Ok(problems)
    }

    fn capture(
        &mut self,
        step: usize,
        patterns: &BTreeMap<String, String>,
        said: &[u8],
        plain: impl Fn(&str) -> String,
        problems: &mut Vec<String>,
    ) -> Result<(), ExerciseError> {
        for (name, pattern) in patterns {
            let regex = compile(step, pattern)?;
            let found = regex.captures(said).and_then(|groups| groups.get(1));
            match found {
                Some(group) => {
                    let value = plain(&String::from_utf8_lossy(group.as_bytes()));
                    self.transcript.captured.push((name.clone(), value.clone()));
                    self.values.insert(name.clone(), value);
                }
                None => problems.push(format!("nothing to capture as `{name}` by {pattern}")),
            }
        }
        Ok(())
    }

    fn judge_run(
        &mut self,
        step: usize,
        ran: &Ran,
        expected: &[String],
        capture: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, ExerciseError> {
        let mut problems = Vec::new();
        if ran.status != 0 {
            problems.push(format!("expected exit status 0, found {}", ran.status));
        }
        for text in expected {
            let text = self.fill_in(text, str::to_owned);
            if !contains(&ran.output, text.as_bytes()) {
                problems.push(format!("expected text {text:?}, not found"));
            }
        }
        self.capture(step, capture, &ran.output, str::to_owned, &mut problems)?;
        Ok(problems)
    }
}

/// Returns a step in the recipe's words, which no capture changes.
pub(crate) fn recipe_words(step: &Step) -> String {
    words(step, str::to_owned)
}

/// Returns a step in words, its path in the given form.
fn words(step: &Step, form: impl Fn(&str) -> String) -> String {
    match step {
        Step::Request(request) => format!("{} {}", request.method, form(&request.path)),
        Step::Restart => "restart".to_owned(),
        Step::Sleep { millis } => format!("sleep {millis} ms"),
        Step::Run { command, .. } => format!("run {}", command.join(" ")),
    }
}

/// Compiles a recipe's regular expression: it looks at bytes, and `.` takes newlines, as bodies have many.
pub(crate) fn compile(step: usize, pattern: &str) -> Result<Regex, ExerciseError> {
    let built = RegexBuilder::new(pattern).dot_matches_new_line(true).build();
    built.map_err(|source| ExerciseError::Pattern { step, pattern: pattern.to_owned(), source })
}

fn statuses(accepted: &[u16]) -> String {
    match accepted {
        [] => "below 500".to_owned(),
        list => list.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|part| part == wanted)
}

#[cfg(test)]
mod tests;
