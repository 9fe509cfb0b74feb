//! The one place that prints. All that is printed is text: what would be more on a terminal is escaped.

use std::{
    fmt,
    io::{self, BufWriter, StdoutLock, Write as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;
use serde_json::{Value, json};

use super::Failure;
use crate::{error::PathError, report::Page, shown, sys::stdout};

/// Whether the words that begin lines of ours on stderr are coloured.
static COLOR: AtomicBool = AtomicBool::new(false);

/// The JSON document of a command, or its text if it has one though it failed, printed at its end: only then is
/// it known whether it failed.
static DOCUMENT: Mutex<Option<String>> = Mutex::new(None);

/// Colours errors, warnings and hints from now on, or not.
pub(super) fn set_color(color: bool) {
    COLOR.store(color, Ordering::Relaxed);
}

/// Leaves the one JSON document of a command to be printed when it ends. Another one replaces it.
pub fn finish_json(document: &impl Serialize) {
    finish_text(serde_json::to_string_pretty(document).expect("names of fields are texts") + "\n");
}

/// As [`finish_json`], of a command's text.
pub(super) fn finish_text(text: String) {
    *DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
}

/// Forgets the document of a command that is done again.
pub(super) fn forget_document() {
    *DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Prints what was left, a document with `error` in it if there is one.
///
/// # Errors
/// As [`print`].
pub(super) fn print_document(error: Option<Value>) -> Result<(), Failure> {
    let left = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(error) = error else { return left.map_or(Ok(()), |text| print(&text)) };
    let mut document = left.and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or(json!({}));
    if let Value::Object(fields) = &mut document {
        fields.insert("error".into(), error);
    }
    print(&format!("{document:#}\n"))
}

/// Prints a result to stdout. A reader that closes it early (`| head`) is not an error.
///
/// # Errors
/// What the kernel says, such as a full disk; no stdout.
pub fn print(text: &str) -> Result<(), Failure> {
    match text.is_empty() {
        true => Ok(()),
        false => print_bytes(shown::lines(text).as_bytes()),
    }
}

/// Prints a page as it is written.
///
/// # Errors
/// As [`print`].
pub fn print_page(page: &Page) -> Result<(), Failure> {
    let mut out = Stdout { out: BufWriter::new(io::stdout().lock()), error: None };
    let is_whole = page.write_html(&mut out).is_ok();
    let Stdout { mut out, error } = out;
    written(error.map_or(Ok(()), Err).and_then(|()| if is_whole { out.flush() } else { Ok(()) }))
}

/// Stdout as it takes text.
struct Stdout {
    out: BufWriter<StdoutLock<'static>>,
    error: Option<io::Error>,
}

impl fmt::Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(shown::lines(text).as_bytes()).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}

/// Prints bytes to stdout that are not text.
///
/// # Errors
/// As [`print`].
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Returns how writing to stdout ended.
pub(super) fn written(result: io::Result<()>) -> Result<(), Failure> {
    must_be_open()?;
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(PathError::new("write to", "standard output", error).into())
        }
        _ => Ok(()),
    }
}

/// Refuses a stdout that is closed.
pub(super) fn must_be_open() -> Result<(), Failure> {
    match stdout::was_closed() {
        true => Err(Failure::new("cannot write to standard output: it is closed")),
        false => Ok(()),
    }
}

/// Prints lines to stderr that are not a result. Where stderr is closed they are lost.
pub(super) fn say(text: &str) {
    let text = shown::lines(text);
    let _ = match COLOR.load(Ordering::Relaxed) {
        true => writeln!(io::stderr(), "{}", colored(&text)),
        false => writeln!(io::stderr(), "{text}"),
    };
}

/// Words that begin a line of ours, and how they look: bold, red, yellow and cyan, as cargo and gcc have
/// them.
const WORDS: [(&str, &str); 4] =
    [("error:", "1;31"), ("limit exceeded:", "1;31"), ("warning:", "1;33"), ("hint:", "1;36")];

/// Colours the word that begins a text, and that of its hint. What others say never begins a line of a text
/// of ours but the first.
fn colored(text: &str) -> String {
    let paint = |(index, line): (usize, &str)| {
        let known = WORDS.iter().find(|(word, _)| line.starts_with(word));
        match known.filter(|(word, _)| index == 0 || *word == "hint:") {
            Some((word, look)) => format!("\u{1b}[{look}m{word}\u{1b}[0m{}", &line[word.len()..]),
            None => line.to_owned(),
        }
    };
    text.split('\n').enumerate().map(paint).collect::<Vec<_>>().join("\n")
}

/// Prints a question to stderr; the cursor stays behind it.
pub(super) fn ask(text: &str) {
    let _ = write!(io::stderr(), "{}", shown::line(text));
}

/// Prints a line of an app to stderr, marked, so that it is not taken for one of ours.
pub(super) fn say_for_app(line: &[u8]) {
    // One write a line: others print there too.
    let marked = format!("| {}\n", shown::line(&String::from_utf8_lossy(line)));
    let _ = io::stderr().write_all(marked.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_and_the_hint_are_coloured() {
        let text = "error: no tea\n  cause: hint: none\nwarning: x\nhint: buy some";
        let expected = "\u{1b}[1;31merror:\u{1b}[0m no tea\n  cause: hint: none\nwarning: x\n\u{1b}[1;36mhint:\u{1b}[0m buy some";
        assert_eq!(colored(text), expected);
        assert_eq!(colored("no warning: here"), "no warning: here");
    }
}
