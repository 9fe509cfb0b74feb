//! A conversation as it goes: what it knows, one request from its sending to its judgement, and the warnings
//! of each step.

mod follow;
mod judge;
mod load;
mod look;
mod send;
mod stream;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use self::send::path_of;
use self::{
    follow::End,
    judge::accepts,
    load::Loaded,
    look::{Content, disguised},
};
use super::{
    ExerciseError, Miss, MissedMessage, Outcome, Response, Target, Transcript, Visit, Warning,
    cookies::Cookies, log, stream::Stream, text,
};
use crate::{
    evidence::step,
    recipe::{Message, Request, Step},
};

/// A conversation, from its first step to its last.
pub(super) struct Conversation<'a> {
    pub(super) visit: Visit<'a>,
    cookies: Cookies,
    /// Names that any step captures; other braces are text.
    names: BTreeSet<String>,
    values: BTreeMap<String, String>,
    /// Streams that steps have left open, by name.
    streams: BTreeMap<String, Stream>,
    pub(super) transcript: Transcript,
    pub(super) misses: Vec<Miss>,
    /// The message at which the present step ended.
    pub(super) missed_message: Option<MissedMessage>,
    /// A capture failed, and later steps need it.
    pub(super) stuck: bool,
    /// The files loaded with pages so far.
    pub(super) loaded: Loaded,
    /// Hosts of links out, each reported once.
    links_told: BTreeSet<String>,
    /// Warnings of the present step; only the gravest is reported.
    warnings: Vec<(Grade, String)>,
}

/// How grave a warning is, gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// An error in disguise.
    Disguise,
    /// A line of the log.
    Log,
    /// Something that a page loads and does not get.
    Load,
    /// An address that the recipe allows, and that a sealed app still should not load.
    Address,
    /// Nothing is expected of the page.
    Unasked,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(visit: Visit<'a>) -> Self {
        let captures = visit.steps.iter().flat_map(|step| match step {
            Step::Request(Request { capture, .. }) | Step::Run { capture, .. } => vec![capture],
            Step::Stream(stream) => {
                let expected = stream.messages.iter().filter_map(|message| match message {
                    Message::Expect(expected) => Some(&expected.capture),
                    Message::Send(_) => None,
                });
                expected.collect()
            }
            Step::Restart | Step::Sleep { .. } => Vec::new(),
        });
        let values = BTreeMap::from([
            ("base".to_owned(), visit.authority.base()),
            ("host".to_owned(), visit.authority.host.clone()),
            ("port".to_owned(), visit.authority.port.to_string()),
        ]);
        Conversation {
            visit,
            cookies: Cookies::default(),
            names: captures.flat_map(BTreeMap::keys).cloned().collect(),
            values,
            streams: BTreeMap::new(),
            transcript: Transcript { authority: Some(visit.authority.clone()), ..Transcript::default() },
            misses: Vec::new(),
            missed_message: None,
            stuck: false,
            loaded: Loaded::default(),
            links_told: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    /// Replaces each `{name}` by its value in the given form; unknown names stay as they are.
    pub(super) fn fill_in(&self, text: &str, form: impl Fn(&str) -> String) -> String {
        text::fill_in(text, |name| self.values.get(name).map(|value| form(value)))
    }

    /// Makes a request of the exercise, follows it to its end, loads what its page needs, and judges all of
    /// it.
    pub(super) fn request(
        &mut self,
        step: usize,
        what: &str,
        request: &Request,
        target: &mut dyn Target,
    ) -> Result<(Outcome, Vec<String>), ExerciseError> {
        let lacking = self.lacking(request);
        if !lacking.is_empty() {
            self.stuck = true;
            let problems = lacking.iter().map(|name| format!("needs `{name}`, which no step has captured"));
            return Ok((Outcome::Done, problems.collect()));
        }
        let sent = self.sent(request);
        let url = self.url(&sent.path);
        let first = self.send(step, what, &sent, target)?;
        if request.is_explored {
            return Ok((Outcome::Responded(first), Vec::new()));
        }
        let mut problems = Vec::new();
        let content = self.look_at(&first, &url, None, &mut problems);
        let end = match request.follow && accepts(request, &first) {
            true => self.follow(step, what, &sent, (&first, &url), target, &mut problems)?,
            false => None,
        };
        problems.splice(0..0, self.judge(step, request, &first, end.as_ref().map(|end| &end.response))?);
        let is_page =
            |response: &Response| response.status == 200 && matches!(&request.method[..], "GET" | "POST");
        let (response, url, content) = match end {
            Some(End { response, url, content }) => (Some(response), url, content),
            None => (None, url, content),
        };
        let last = response.as_ref().unwrap_or(&first);
        if let Content::Page(page) = &content
            && is_page(last)
        {
            if request.load.unwrap_or(self.visit.web.is_none_or(|web| web.load)) {
                self.load(step, &url, page, target, &mut problems)?;
            }
            if response.is_none() && request.contains.is_empty() && request.capture.is_empty() {
                let text = "nothing is expected of this page (`contains`)";
                self.warnings.push((Grade::Unasked, text.to_owned()));
            }
        }
        if (200..400).contains(&last.status) && request.method != "HEAD" {
            self.warnings.extend(disguised(last, &content).map(|text| (Grade::Disguise, text)));
        }
        Ok((Outcome::Responded(first), problems))
    }

    /// Notes what the present step is to be warned of.
    pub(super) fn warn(&mut self, grade: Grade, text: String) {
        self.warnings.push((grade, text));
    }

    /// Reports the gravest warning of a step; the log of its time is part of it.
    pub(super) fn end_step(&mut self, number: usize, step: &Step, outcome: &Outcome, said: &[String]) {
        let status = match outcome {
            Outcome::Responded(response) => Some(response.status),
            Outcome::Ran(_) | Outcome::Streamed(_) | Outcome::Done => None,
        };
        let is_explored = matches!(step, Step::Request(request) if request.is_explored);
        if let Some(line) = log::told(said, status).filter(|_| !is_explored) {
            self.warn(Grade::Log, line);
        }
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort_by_key(|(grade, _)| *grade);
        let more = warnings.len().saturating_sub(1);
        let Some((_, mut text)) = warnings.into_iter().next() else { return };
        if more > 0 {
            text += &format!(" (and {more} more)");
        }
        self.transcript.warnings.push(Warning { step: number, what: step::words(step), text });
    }
}
