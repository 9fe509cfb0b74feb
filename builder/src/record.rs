//! What a person did in a browser, as steps of an exercise.
//!
//! Comes in: the exchanges between a browser and an app on its full root, and the messages of their streams, in their
//! order ([`Take`]s). Goes out: a
//! [`Draft`]: [`StepDraft`]s with what they send, what they capture of what was answered, and what they expect; as
//! text for recipe.toml. After a replay, [`mend`] changes the steps that did not hold, or names them. Nothing here
//! reads or writes a file, speaks to an app, or asks a person.
//!
//! ```text
//! read      takes       → exchanges           exchange.rs
//! choose    exchanges   → those that matter   choose.rs: page loads, forms, uploads, what changes something
//!                                             messages.rs: of streams, what is sent and what answers
//! order     those       → items               item.rs: requests and messages as they came
//! capture   items       → what is sent back   tokens.rs, place.rs: nonces, CSRF fields, ids
//! expect    items       → `contains`          expect.rs: titles, texts that the person wrote
//!                         `expect`            pieces.rs: what of a message does not vary
//! text      steps       → [[exercise]]        write.rs; streams.rs: their steps
//! ```

mod choose;
mod exchange;
mod expect;
mod inputs;
mod item;
mod mend;
mod messages;
mod pieces;
mod place;
mod secrets;
mod sent;
mod streams;
mod tokens;
mod write;

pub use exchange::{Exchange, read};
pub use mend::{mend, named};
pub use secrets::fields as secret_fields;
pub use streams::{ExpectDraft, KnownBy, MessageDraft, StreamDraft};
pub use write::{again, text};

use std::collections::{BTreeMap, BTreeSet};

use item::Part;

/// What decides what is written of a recording.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Fields whose passwords are written as they were typed; those of others are replaced.
    pub secrets: BTreeSet<String>,
    /// Names of files in the recipe's folder that are there already, such as `files/recorded-1.body`.
    pub taken: BTreeSet<String>,
}

/// The steps of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// In the order of their requests.
    pub steps: Vec<StepDraft>,
    /// What was recorded and is no step, and why: for the person.
    pub notes: Vec<String>,
}

impl Draft {
    /// Returns the files that the steps name, by their paths in the recipe's folder.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.steps.iter().filter_map(|step| match &step.body {
            BodyDraft::File { name, bytes, .. } => Some((name.as_str(), bytes.as_slice())),
            BodyDraft::FormFile { name, text } => Some((name.as_str(), text.as_bytes())),
            _ => None,
        })
    }
}

/// A step that is to be written.
///
/// In path, headers and body, what a capture gives stands between [`OPEN`] and [`CLOSE`], so that braces of the app's
/// own stay apart; files and texts have `{name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepDraft {
    /// Lines above the step.
    pub comment: Vec<String>,
    /// The method; of a stream the step's key: `websocket`, `sse`, or `stream` of one that is open.
    pub method: String,
    /// Path and query; of a stream that is open its name.
    pub path: String,
    /// Accepted statuses.
    pub status: Vec<u16>,
    /// Expected texts.
    pub contains: Vec<Expectation>,
    /// Headers beside those that the exercise sends.
    pub header: BTreeMap<String, String>,
    /// The body.
    pub body: BodyDraft,
    /// Captured values.
    pub capture: BTreeMap<String, String>,
    /// The values that were captured in the recording, by name; the app's own URL in them is a capture, too.
    pub values: BTreeMap<String, String>,
    /// The messages of a stream; such a step has none of status, contains, body and capture.
    pub stream: Option<StreamDraft>,
}

impl StepDraft {
    /// Returns the messages that are waited for.
    fn expected_mut(&mut self) -> impl Iterator<Item = &mut ExpectDraft> {
        let messages = self.stream.iter_mut().flat_map(|stream| &mut stream.messages);
        messages.filter_map(|message| match message {
            MessageDraft::Expect(expected) => Some(expected),
            MessageDraft::Text(_) | MessageDraft::Binary(_) => None,
        })
    }
}

/// A text that a step's response has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The text.
    pub text: String,
    /// Whether the person wrote it before: that it is read back is what proves the app.
    pub is_written: bool,
}

/// The body of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BodyDraft {
    /// None.
    #[default]
    Empty,
    /// `form = { … }`.
    Form(Vec<(String, String)>),
    /// `form = "files/…"`, for long ones.
    FormFile {
        /// Its path in the recipe's folder.
        name: String,
        /// The encoded form, a field a line.
        text: String,
    },
    /// `body = { text = … }`.
    Text {
        /// Its Content-Type.
        content_type: String,
        /// The text.
        text: String,
    },
    /// `body = { source = "files/…" }`.
    File {
        /// Its path in the recipe's folder.
        name: String,
        /// Its Content-Type.
        content_type: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// Stands before the name of a captured value. Of the private use area, so that no app writes it.
pub const OPEN: char = '\u{f8f0}';
/// Stands behind the name of a captured value.
pub const CLOSE: char = '\u{f8f1}';

/// Makes steps of exchanges.
pub fn draft(exchanges: &[Exchange], wishes: &Wishes) -> Draft {
    let mut notes = Vec::new();
    let kept = choose::choose(exchanges, &mut notes);
    let secrets = secrets::Secrets::of(exchanges, &wishes.secrets);
    let mut items = item::items(exchanges, &kept, &mut notes);
    let mut streams = streams::Streams::new(exchanges, &items);
    let captured = tokens::find(&mut items, &secrets);
    let differing = captured.values();
    let mut names = write::Names::new(&wishes.taken);
    let mut expected = expect::Expected::new(&secrets);
    let mut steps: Vec<StepDraft> = Vec::with_capacity(items.len());
    for (number, item) in items.iter().enumerate() {
        let tokens = captured.sent_by(number);
        let (capture, values) = captured.taken_by(number);
        let one = match item.part {
            Part::Request(one) => one,
            Part::Open(of) => {
                steps.push(streams.open(of, &tokens, &secrets));
                continue;
            }
            Part::Message(of, at) => {
                let message = streams.message((of, at), &tokens, &secrets, &differing, capture);
                let Some(message) = message else { continue };
                if let MessageDraft::Text(_) = message {
                    expected.note_message(&exchanges[of].messages[at].payload, &differing);
                }
                streams::add(&mut steps, of, message);
                if let Some(step) = steps.last_mut() {
                    let with_base = |value: String| sent::with_base(&exchanges[of], &value);
                    step.values.extend(values.into_iter().map(|(name, value)| (name, with_base(value))));
                }
                continue;
            }
        };
        let exchange = &exchanges[one.first];
        streams.requested(exchange);
        let end = one.end.map(|end| &exchanges[end].response);
        let mut comment = expect::heading(exchange, end.unwrap_or(&exchange.response), item.kind);
        let (body, replaced) = sent::body(exchange, &tokens, &secrets, &mut names);
        comment.extend(replaced.into_iter().map(|field| {
            format!("TODO: the password of `{field}` was not written: another one is in its place.")
        }));
        steps.push(StepDraft {
            comment,
            method: exchange.method.clone(),
            path: sent::path(exchange, &tokens, &secrets),
            status: vec![exchange.response.status],
            contains: expected.of(exchange, end, &differing),
            header: sent::headers(exchange, item.kind, &tokens, &secrets),
            body,
            capture,
            values: values
                .into_iter()
                .map(|(name, value)| (name, sent::with_base(exchange, &value)))
                .collect(),
            stream: None,
        });
    }
    streams::name(&mut steps);
    Draft { steps, notes }
}

/// Returns what stands for a captured value.
fn placeholder(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// Returns a text with braces around the names of captured values.
fn braced(text: &str) -> String {
    text.replace(OPEN, "{").replace(CLOSE, "}")
}

/// Replaces a value where it stands by itself: neither before nor behind it is a letter, a digit or an underscore.
fn replace_whole(text: &str, value: &str, with: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut from = 0;
    for (at, found) in text.match_indices(value) {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        if at < from || before.is_some_and(is_word) || after.is_some_and(is_word) {
            continue;
        }
        out += &text[from..at];
        out += with;
        from = at + found.len();
    }
    out + &text[from..]
}

#[cfg(test)]
mod tests;
