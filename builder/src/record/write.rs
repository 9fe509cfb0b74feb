//! Steps as text of recipe.toml.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::Value;

use super::{BodyDraft, StepDraft, braced, sent::encoded};

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
        "GET" | "POST" | "PUT" | "DELETE" | "HEAD" => {
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
    out
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
