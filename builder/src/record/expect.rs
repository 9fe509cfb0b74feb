//! What a step's response is expected to have: the title of its page, and texts that the person wrote before.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use super::{Exchange, Expectation, choose::Kind, secrets::Secrets, sent};
use crate::{attempt::title, exercise::Response, formats::html};

/// Texts of one request that are looked for later.
const TEXTS: usize = 20;

/// Written texts that one step expects.
const EXPECTED: usize = 2;

/// Longest text that is expected, in characters.
const LENGTH: usize = 80;

/// Responses before a request that are searched: what they show, the person did not write.
const SEEN: usize = 300;

/// Text without markup and without what apps change in a text, such as quotation marks.
static RUN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{L}\p{N}_](?:[\p{L}\p{N}_ ]|[,:!?.-][\p{L}\p{N}_ ])*").expect("compiles")
});

/// What was written and shown so far.
pub struct Expected<'a> {
    secrets: &'a Secrets,
    seen: Vec<&'a [u8]>,
    written: Vec<String>,
}

impl<'a> Expected<'a> {
    /// Begins with nothing.
    pub fn new(secrets: &'a Secrets) -> Self {
        Expected { secrets, seen: Vec::new(), written: Vec::new() }
    }

    /// Returns what a step is to expect. `end` is the end of its redirects, `captured` what differs from run to run.
    pub fn of(
        &mut self,
        exchange: &'a Exchange,
        end: Option<&'a Response>,
        captured: &BTreeSet<&str>,
    ) -> Vec<Expectation> {
        self.note(exchange, captured);
        let last = end.unwrap_or(&exchange.response);
        let host = exchange.header("host").unwrap_or_default();
        let is_shown = |text: &str| memchr::memmem::find(&last.body, text.as_bytes()).is_some();
        let differs = |text: &str| {
            captured.iter().any(|value| text.contains(value)) || !host.is_empty() && text.contains(host)
        };
        let mut out = Vec::new();
        let is_page = last.status == 200 && last.kind().contains("html");
        if let Some(text) = title(&last.body).filter(|text| is_page && is_shown(text) && !differs(text)) {
            out.push(Expectation { text, is_written: false });
        }
        let mut read: Vec<&String> = self.written.iter().filter(|text| is_shown(text)).collect();
        // The longest say most.
        read.sort_by_key(|text| std::cmp::Reverse(text.len()));
        for text in read {
            let is_there = out.iter().any(|known: &Expectation| known.text.contains(text.as_str()));
            if !is_there && out.iter().filter(|known| known.is_written).count() < EXPECTED {
                out.push(Expectation { text: text.clone(), is_written: true });
            }
        }
        for response in std::iter::once(&exchange.response).chain(end) {
            self.seen.push(&response.body);
        }
        out
    }

    /// Notes the texts that a request sends and no page has shown before.
    fn note(&mut self, exchange: &Exchange, captured: &BTreeSet<&str>) {
        let mut texts: Vec<String> = sent::fields(exchange).into_iter().map(|(_, value)| value).collect();
        texts.extend(sent::uploaded(exchange));
        if exchange.kind() == "text/plain" {
            texts.extend(std::str::from_utf8(&exchange.body).map(str::to_owned));
        }
        self.note_texts(&texts, captured);
    }

    /// Notes the texts of a message that is sent. Single words are those of a protocol.
    pub fn note_message(&mut self, payload: &[u8], captured: &BTreeSet<&str>) {
        let values = sent::message_fields(payload).into_iter().map(|(_, value)| value);
        let texts: Vec<String> = values.filter(|value| value.trim().contains(' ')).collect();
        self.note_texts(&texts, captured);
    }

    fn note_texts(&mut self, texts: &[String], captured: &BTreeSet<&str>) {
        let texts =
            texts.iter().filter(|text| !self.secrets.is_in(text) && !captured.contains(text.as_str()));
        let mut runs: Vec<String> = texts.flat_map(|text| text.lines().flat_map(runs).take(TEXTS)).collect();
        runs.retain(|run| !captured.iter().any(|value| run.contains(value)));
        for run in runs.into_iter().take(TEXTS) {
            let mut seen = self.seen.iter().rev().take(SEEN);
            let is_seen = seen.any(|body| memchr::memmem::find(body, run.as_bytes()).is_some());
            if !is_seen && !self.written.contains(&run) {
                self.written.push(run);
            }
        }
    }
}

/// Returns the plain texts of a line.
fn runs(line: &str) -> impl Iterator<Item = String> + '_ {
    let texts = RUN.find_iter(line).map(|found| {
        let text: String = found.as_str().trim().chars().take(LENGTH).collect();
        text.trim().to_owned()
    });
    texts.filter(|text| text.chars().filter(|c| c.is_alphabetic()).count() >= 4)
}

/// Returns the comment of a page: its title, or its path.
pub fn heading(exchange: &Exchange, last: &Response, kind: Kind) -> Vec<String> {
    if kind != Kind::Page {
        return Vec::new();
    }
    let path = exchange.path_and_query().0;
    let named = title(&last.body).filter(|_| last.kind().contains("html"));
    vec![match named {
        Some(title) => html::unescape(&title),
        None => path.to_owned(),
    }]
}
