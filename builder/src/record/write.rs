//! Steps as text of recipe.toml.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::Value;

use super::{BodyDraft, KnownBy, MessageDraft, StepDraft, StreamDraft, braced, sent::encoded};

/// Names of files of a recording: `files/recorded-1.form`.
#[derive(Debug)]
pub struct Names<'a> {
    taken: &'a BTreeSet<String>,
    number: usize,
}

impl<'a> Names<'a> {
    /// Begins with the first number.
    pub fn new(taken: &'a BTreeSet<String>) -> Self {
        Names { taken, number: 0 }
    }

    /// Returns a name that no file has.
    pub fn next(&mut self, ending: &str) -> String {
        loop {
            self.number += 1;
            let name = format!("files/recorded-{}.{ending}", self.number);
            if !self.taken.contains(&name) {
                return name;
            }
        }
    }
}

/// Returns steps as `[[exercise]]` of a recipe.
pub fn text(steps: &[StepDraft]) -> String {
    steps.iter().map(step).collect()
}

/// Returns steps that stop and start the grain, and read the last page that shows what the person wrote; nothing where
/// none does.
pub fn again(steps: &[StepDraft]) -> Option<String> {
    let shows = |step: &&StepDraft| step.method == "GET" && step.contains.iter().any(|one| one.is_written);
    let mut last = steps.iter().rfind(shows)?.clone();
    last.comment.clear();
    last.capture.clear();
    Some(format!(
        "\n# What was written is there after a restart.\n[[exercise]]\nrestart = true\n{}",
        step(&last)
    ))
}

fn step(step: &StepDraft) -> String {
    let mut out = String::new();
    if !step.comment.is_empty() {
        out += "\n";
    }
    for line in &step.comment {
        // Text of an app must not end the comment.
        let line: String = line.chars().filter(|c| !c.is_control()).take(160).collect();
        out += &format!("# {}\n", line.trim());
    }
    out += "[[exercise]]\n";
    match &step.method[..] {
        "GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "websocket" | "sse" | "stream" => {
            out += &line(&step.method.to_ascii_lowercase(), quoted(&step.path));
        }
        method => out += &line("request", quoted(&format!("{method} {}", step.path))),
    }
    match &step.status[..] {
        [] => {}
        [one] => out += &line("status", one.to_string()),
        several => out += &line("status", list(several.iter().map(u16::to_string))),
    }
    match &step.contains[..] {
        [] => {}
        [one] => out += &line("contains", quoted(&one.text)),
        several => out += &line("contains", list(several.iter().map(|one| quoted(&one.text)))),
    }
    if !step.header.is_empty() {
        out += &line("header", table(step.header.iter()));
    }
    match &step.body {
        BodyDraft::Empty => {}
        BodyDraft::Form(fields) => {
            out += &line("form", table(fields.iter().map(|(name, value)| (name, value))));
        }
        BodyDraft::FormFile { name, .. } => out += &line("form", quoted(name)),
        BodyDraft::Text { content_type, text } => {
            out += &line("body", table([("text", text), ("type", content_type)].into_iter()));
        }
        BodyDraft::File { name, content_type, .. } => {
            out += &line("body", table([("source", name), ("type", content_type)].into_iter()));
        }
    }
    for (name, pattern) in &step.capture {
        out += &line(&format!("capture.{name}"), quoted(pattern));
    }
    out + &step.stream.as_ref().map(stream).unwrap_or_default()
}

fn stream(stream: &StreamDraft) -> String {
    let mut out = String::new();
    for (key, value) in [("protocol", &stream.protocol), ("open", &stream.open)] {
        out += &value.as_ref().map(|value| line(key, quoted(value))).unwrap_or_default();
    }
    let messages: Vec<String> = stream.messages.iter().map(message).collect();
    match &messages[..] {
        [] => {}
        [one] => out += &line("messages", format!("[{one}]")),
        several => {
            let lines: String = several.iter().map(|message| format!("    {message},\n")).collect();
            out += &line("messages", format!("[\n{lines}]"));
        }
    }
    if stream.close {
        out += &line("close", "true".to_owned());
    }
    out
}

fn message(message: &MessageDraft) -> String {
    let expected = match message {
        MessageDraft::Text(text) => return format!("{{ send = {} }}", quoted(text)),
        MessageDraft::Binary(bytes) => {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return format!("{{ send = {{ hex = {} }} }}", quoted(&digits.join(" ")));
        }
        MessageDraft::Expect(expected) => expected,
    };
    let of_match = |regex: &str| format!("{{ expect = {{ regex = {} }}", quoted(regex));
    let mut out = match expected.known_by.first() {
        Some(KnownBy::Whole(text)) => format!("{{ expect = {}", quoted(text)),
        Some(KnownBy::Part(text)) => of_match(&regex::escape(text)),
        Some(KnownBy::Match(regex)) => of_match(regex),
        None => of_match(""),
    };
    if let Some(timeout_s) = expected.timeout_s {
        out += &format!(", timeout_s = {timeout_s}");
    }
    for (name, pattern) in &expected.capture {
        out += &format!(", capture.{name} = {}", quoted(pattern));
    }
    out + " }"
}

fn line(key: &str, value: String) -> String {
    format!("{key} = {value}\n")
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn table<K: AsRef<str>, V: AsRef<str>>(fields: impl Iterator<Item = (K, V)>) -> String {
    let fields = fields.map(|(name, value)| format!("{} = {}", key(name.as_ref()), quoted(value.as_ref())));
    let fields = fields.collect::<Vec<_>>();
    if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
}

/// Returns a key, quoted where it has to be.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// Returns a text as a string of TOML, on one line.
fn quoted(text: &str) -> String {
    let text = braced(text);
    match text.contains(|c: char| c.is_control()) {
        // As JSON escapes it, whose escapes are all known to TOML, too, but that of DEL.
        true => serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f"),
        false => Value::from(text).to_string(),
    }
}

/// Replaces the name of a captured value by a value, in all of a step.
pub(super) fn inline(step: &mut StepDraft, name: &str, value: &str) {
    let mark = super::placeholder(name);
    let plain = |text: &mut String| *text = text.replace(&mark, value);
    plain(&mut step.path);
    let header: &mut BTreeMap<String, String> = &mut step.header;
    header.values_mut().for_each(plain);
    for message in step.stream.iter_mut().flat_map(|stream| &mut stream.messages) {
        if let MessageDraft::Text(text) = message {
            plain(text);
        }
    }
    match &mut step.body {
        BodyDraft::Empty => {}
        BodyDraft::Form(fields) => fields.iter_mut().for_each(|(_, value)| plain(value)),
        BodyDraft::Text { text, .. } => plain(text),
        BodyDraft::FormFile { text, .. } => {
            *text = text.replace(&braced(&mark), &encoded(value));
        }
        BodyDraft::File { bytes, .. } => {
            *bytes = crate::exercise::replaced(bytes, braced(&mark).as_bytes(), braced(value).as_bytes());
        }
    }
}
