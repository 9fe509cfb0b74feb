//! Steps with messages: a WebSocket or an event stream is opened as a page opens it, and its messages are
//! sent and waited for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{Conversation, judge::contains, send::Sent};
use crate::{
    exercise::{
        ExerciseError, MissedMessage, Outcome, Response, Target, compile, http,
        stream::{Stream, Until},
    },
    formats::{
        chunked::Chunks,
        event_stream::Events,
        stream::Form,
        websocket::{Messages, Opcode, accept_of},
    },
    recipe::{Expected, Message, Opening, Payload, StreamStep, Wanted},
};

/// How long the opening of a stream may take: as long as the first byte of a response.
const OPENING: Duration = Duration::from_secs(120);

/// The key of all WebSockets: that of RFC 6455, 1.2. It need not be secret, only 16 bytes.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// An opened stream, or the response that opened none, and what is wrong with it.
enum Opened {
    Yes { stream: Stream, protocol: Option<String> },
    No(Response, Vec<String>),
}

impl Conversation<'_> {
    /// Takes a step with messages: opens its stream if that is not open, sends, and waits for what is
    /// expected.
    pub(in crate::exercise) fn stream(
        &mut self,
        step: usize,
        what: &str,
        keys: &StreamStep,
        target: &mut dyn Target,
    ) -> Result<(Outcome, Vec<String>), ExerciseError> {
        let lacking = self.lacking_in_stream(keys);
        if !lacking.is_empty() {
            self.stuck = true;
            let problems = lacking.iter().map(|name| format!("needs `{name}`, which no step has captured"));
            return Ok((Outcome::Done, problems.collect()));
        }
        let mut said = Vec::new();
        let (mut stream, name) = match &keys.opening {
            Opening::Open(name) => match self.streams.remove(name) {
                Some(stream) => (stream, Some(name)),
                None => {
                    self.stuck = true;
                    let problem = format!("stream `{name}` is not open, as the step before it failed");
                    return Ok((Outcome::Done, vec![problem]));
                }
            },
            Opening::WebSocket(path) | Opening::Events(path) => {
                match self.open(step, what, path, keys, target)? {
                    Opened::No(response, problems) => return Ok((Outcome::Responded(response), problems)),
                    Opened::Yes { stream, protocol } => {
                        said.extend(protocol.map(|protocol| format!("Sec-WebSocket-Protocol: {protocol}")));
                        (stream, keys.open.as_ref())
                    }
                }
            }
        };
        let mut problems = Vec::new();
        for (index, message) in keys.messages.iter().enumerate() {
            let number = index + 1;
            let mut found = Vec::new();
            let mut is_absent = false;
            match message {
                Message::Send(payload) => found.extend(self.send_message(&mut stream, payload).err()),
                Message::Expect(expected) => {
                    let came = self.expect_message(step, &mut stream, expected, &mut found)?;
                    is_absent = came.is_none() && stream.is_open();
                    said.extend(came);
                }
            }
            problems.extend(found.into_iter().map(|problem| format!("message {number}: {problem}")));
            if !problems.is_empty() {
                let others = stream.others();
                self.missed_message = Some(MissedMessage { number, is_absent, others });
                break;
            }
        }
        match name.filter(|_| problems.is_empty() && !keys.close) {
            Some(name) => {
                self.streams.insert(name.clone(), stream);
            }
            None => stream.close(),
        }
        Ok((Outcome::Streamed(said.join("\n").into_bytes()), problems))
    }

    /// Takes in what open streams have got between two steps.
    pub(in crate::exercise) fn listen(&mut self) {
        self.streams.values_mut().for_each(Stream::listen);
    }

    /// Closes all streams, as a page that is left does.
    pub(in crate::exercise) fn close_all(&mut self) {
        std::mem::take(&mut self.streams).into_values().for_each(Stream::close);
    }

    /// Returns the captured names that a step needs before it captures them itself, and that have no value.
    fn lacking_in_stream(&self, keys: &StreamStep) -> BTreeSet<String> {
        let path = match &keys.opening {
            Opening::WebSocket(path) | Opening::Events(path) => Some(&path[..]),
            Opening::Open(_) => None,
        };
        let mut lacking: BTreeSet<String> =
            self.lacking_in(keys.header.values().map(String::as_str).chain(path)).into_iter().collect();
        let mut captured = BTreeSet::new();
        for message in &keys.messages {
            let (text, capture) = match message {
                Message::Send(Payload::Text(text)) => (text, None),
                Message::Expect(Expected { wanted: Wanted::Text(text), capture, .. }) => {
                    (text, Some(capture))
                }
                Message::Expect(Expected { wanted: Wanted::Regex(_), capture, .. }) => {
                    captured.extend(capture.keys());
                    continue;
                }
                Message::Send(Payload::Binary(_)) => continue,
            };
            let needs = self.lacking_in([&text[..]]);
            lacking.extend(needs.into_iter().filter(|name| !captured.contains(name)));
            captured.extend(capture.into_iter().flat_map(BTreeMap::keys));
        }
        lacking
    }

    fn open(
        &mut self,
        step: usize,
        what: &str,
        path: &str,
        keys: &StreamStep,
        target: &mut dyn Target,
    ) -> Result<Opened, ExerciseError> {
        let is_socket = matches!(keys.opening, Opening::WebSocket(_));
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = match is_socket {
            true => vec![
                own("Connection", "Upgrade"),
                own("Upgrade", "websocket"),
                own("Origin", &self.visit.authority.base()),
                own("Sec-WebSocket-Version", "13"),
                own("Sec-WebSocket-Key", KEY),
            ],
            false => vec![own("Accept", "text/event-stream"), own("Cache-Control", "no-cache")],
        };
        headers.extend(keys.protocol.iter().map(|protocol| own("Sec-WebSocket-Protocol", protocol)));
        for (name, value) in &keys.header {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), self.fill_in(value, str::to_owned)));
        }
        let sent = Sent {
            method: "GET".to_owned(),
            path: self.fill_in(path, str::to_owned),
            headers,
            content_type: None,
            body: Vec::new(),
        };
        let connect = |source| ExerciseError::Connect { step, what: what.to_owned(), source };
        let socket = target.connect().map_err(connect)?;
        let begins = |response: &Response| match is_socket {
            true => response.status == 101,
            false => response.status == 200 && response.kind() == "text/event-stream",
        };
        let until = Until(&socket, Instant::now() + OPENING);
        let (mut response, rest) = http::open(until, &sent.path, &self.headers(&sent), begins)
            .map_err(|source| ExerciseError::Response { step, what: what.to_owned(), source })?;
        self.take(&sent, &mut response);
        let problems = match is_socket {
            true => faults_of_socket(&response, keys.protocol.as_deref()),
            false => faults_of_events(&response),
        };
        let form = match (is_socket, response.is_chunked()) {
            (true, _) => Form::WebSocket(Messages::default()),
            (false, is_chunked) => Form::Events(Events::default(), is_chunked.then(Chunks::default)),
        };
        Ok(match rest.filter(|_| problems.is_empty()) {
            Some(bytes) => Opened::Yes {
                stream: Stream::new(socket, form, &bytes),
                protocol: response.header("sec-websocket-protocol").map(str::to_owned),
            },
            None => Opened::No(response, problems),
        })
    }

    fn send_message(&self, stream: &mut Stream, payload: &Payload) -> Result<(), String> {
        match payload {
            Payload::Text(text) => stream.send(Opcode::Text, self.fill_in(text, str::to_owned).as_bytes()),
            Payload::Binary(bytes) => stream.send(Opcode::Binary, bytes),
        }
    }

    /// Waits for a message and takes its captures; returns what is compared of it.
    fn expect_message(
        &mut self,
        step: usize,
        stream: &mut Stream,
        expected: &Expected,
        problems: &mut Vec<String>,
    ) -> Result<Option<String>, ExerciseError> {
        let patience = Duration::from_secs(expected.timeout_s.into());
        let (found, compared) = match &expected.wanted {
            Wanted::Text(text) => {
                let text = self.fill_in(text, str::to_owned);
                let found = stream.expect(|message| contains(message, text.as_bytes()), patience);
                (found.map_err(|missing| format!("expected text {text:?}, {missing}")), None)
            }
            Wanted::Regex(pattern) => {
                let regex = compile(step, pattern)?;
                let found = stream.expect(|message| regex.is_match(message), patience);
                (found.map_err(|missing| format!("expected a match of `{pattern}`, {missing}")), Some(regex))
            }
        };
        let message = match found {
            Ok(message) => message,
            Err(problem) => {
                problems.push(problem);
                return Ok(None);
            }
        };
        let said = std::slice::from_ref(&message);
        self.capture(step, &expected.capture, said, str::to_owned, problems)?;
        let part = compared.and_then(|regex| regex.find(&message).map(|found| found.range()));
        let compared = part.and_then(|part| message.get(part)).unwrap_or(&message);
        Ok(Some(String::from_utf8_lossy(compared).into_owned()))
    }
}

/// Returns why a browser would not take a response for the opening of a WebSocket (RFC 6455, 4.1).
fn faults_of_socket(response: &Response, offered: Option<&str>) -> Vec<String> {
    let mut out = Vec::new();
    if response.status != 101 {
        out.push(format!("expected status 101, found {}", response.status));
        return out;
    }
    let has = |name: &str, word: &str| {
        let values = response.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut words = values.flat_map(|(_, value)| value.split(','));
        words.any(|found| found.trim().eq_ignore_ascii_case(word))
    };
    for (name, word) in [("Upgrade", "websocket"), ("Connection", "Upgrade")] {
        if !has(name, word) {
            out.push(format!("header {name}: expected `{word}`"));
        }
    }
    let accept = accept_of(KEY);
    if response.header("sec-websocket-accept") != Some(&accept) {
        out.push(format!("header Sec-WebSocket-Accept: expected `{accept}`, which belongs to the key sent"));
    }
    if let Some(extension) = response.header("sec-websocket-extensions") {
        out.push(format!("header Sec-WebSocket-Extensions: `{extension}` was not offered"));
    }
    let chosen = response.header("sec-websocket-protocol");
    let mut offered = offered.into_iter().flat_map(|names| names.split(',')).map(str::trim).peekable();
    match chosen {
        None if offered.peek().is_some() => {
            out.push("header Sec-WebSocket-Protocol: expected one of the protocols".to_owned());
        }
        Some(chosen) if !offered.any(|name| name == chosen) => {
            out.push(format!("header Sec-WebSocket-Protocol: `{chosen}` was not offered"));
        }
        _ => {}
    }
    out
}

/// Returns why a page would not take a response for an event stream (HTML standard, 9.2.3).
fn faults_of_events(response: &Response) -> Vec<String> {
    let mut out = Vec::new();
    if response.status != 200 {
        out.push(format!("expected status 200, found {}", response.status));
    } else if response.kind() != "text/event-stream" {
        out.push(format!("expected content type `text/event-stream`, found `{}`", response.kind()));
    }
    out
}
