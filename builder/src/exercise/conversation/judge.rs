//! Whether a step came out as the recipe expects, and what is captured of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Conversation;
use crate::{
    exercise::{CommandOutput, ExerciseError, Response, compile, text},
    formats::html,
    recipe::{Body, Request},
};

impl Conversation<'_> {
    /// Returns what is not as expected, and takes the captures: from the response, or, if they are not there,
    /// from the end of its redirects. The status is that of the response.
    pub(super) fn judge(
        &mut self,
        step: usize,
        request: &Request,
        response: &Response,
        end: Option<&Response>,
    ) -> Result<Vec<String>, ExerciseError> {
        let mut problems = Vec::new();
        if !accepts(request, response) {
            problems.push(format!(
                "expected status {}, found {}",
                statuses(&request.status),
                response.status
            ));
            if let Some(location) = response.header("location") {
                problems.push(format!("it leads to {location}"));
            }
        }
        let said: Vec<Vec<u8>> = std::iter::once(response).chain(end).map(Response::full).collect();
        for text in &request.contains {
            let text = self.fill_in(text, str::to_owned);
            if !said.iter().any(|said| contains(said, text.as_bytes())) {
                problems.push(format!("expected text {text:?}, not found"));
            }
        }
        self.capture(step, &request.capture, &said, html::unescape, &mut problems)?;
        Ok(problems)
    }

    /// Judges what a program printed.
    pub(in crate::exercise) fn judge_run(
        &mut self,
        step: usize,
        ran: &CommandOutput,
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
        self.capture(step, capture, std::slice::from_ref(&ran.output), str::to_owned, &mut problems)?;
        Ok(problems)
    }

    pub(super) fn capture(
        &mut self,
        step: usize,
        patterns: &BTreeMap<String, String>,
        said: &[Vec<u8>],
        plain: impl Fn(&str) -> String,
        problems: &mut Vec<String>,
    ) -> Result<(), ExerciseError> {
        for (name, pattern) in patterns {
            let regex = compile(step, pattern)?;
            let found = said.iter().find_map(|said| regex.captures(said).and_then(|groups| groups.get(1)));
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

    /// Returns the captured names that a request needs and that have no value.
    pub(super) fn lacking(&self, request: &Request) -> Vec<String> {
        let mut texts = vec![request.path.as_str()];
        texts.extend(request.header.values().map(String::as_str));
        texts.extend(request.contains.iter().map(String::as_str));
        match &request.body {
            Body::Form(fields) => texts.extend(fields.iter().map(|(_, value)| value.as_str())),
            Body::FormText(text) => texts.push(text),
            Body::Bytes { bytes, .. } => texts.extend(std::str::from_utf8(bytes)),
            Body::Empty => {}
        }
        let mut lacking = self.lacking_in(texts);
        // Its fields are filled in though it is no text.
        if let Body::Bytes { content_type, bytes } = &request.body
            && content_type.starts_with("multipart/")
            && std::str::from_utf8(bytes).is_err()
        {
            let is_lacking = |name: &&String| {
                let text = format!("{{{name}}}");
                !self.values.contains_key(*name) && memchr::memmem::find(bytes, text.as_bytes()).is_some()
            };
            lacking.extend(self.names.iter().filter(is_lacking).cloned());
        }
        lacking
    }

    /// As [`Conversation::lacking`], of texts.
    pub(super) fn lacking_in<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
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
}

pub(super) fn accepts(request: &Request, response: &Response) -> bool {
    match request.status.as_slice() {
        [] => response.status < 500,
        list => list.contains(&response.status),
    }
}

fn statuses(accepted: &[u16]) -> String {
    match accepted {
        [] => "below 500".to_owned(),
        list => list.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
    }
}

pub(super) fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || memchr::memmem::find(bytes, wanted).is_some()
}
