//! The steps of streams: a WebSocket or an event stream is opened, and messages are sent and waited for; where a request
//! falls between two of them, it stays open.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Exchange, StepDraft,
    choose::Kind,
    exchange::Stream,
    item::{Item, Part},
    messages::Others,
    pieces::Piece,
    secrets::Secrets,
    sent,
    tokens::{Token, name_of},
};
use crate::proxy::Heard;

/// Pieces of a message that are tried, one after the other, where a replay does not find it.
const TRIED: usize = 6;

/// The messages of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamDraft {
    /// The exchange that opened the stream, by its number in the recording.
    pub of: usize,
    /// Subprotocols that are offered.
    pub protocol: Option<String>,
    /// The name by which it stays open.
    pub open: Option<String>,
    /// Whether it is closed.
    pub close: bool,
    /// What is sent, and waited for.
    pub messages: Vec<MessageDraft>,
}

/// A message of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageDraft {
    /// `send = "text"`, with captures as a path has them.
    Text(String),
    /// `send = { hex = "…" }`.
    Binary(Vec<u8>),
    /// `expect = …`.
    Expect(ExpectDraft),
}

/// A message that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectDraft {
    /// What it is known by, the best first; never empty.
    pub known_by: Vec<KnownBy>,
    /// How long it may take, if that is longer than usual.
    pub timeout_s: Option<u32>,
    /// Captured values.
    pub capture: BTreeMap<String, String>,
}

/// What a message is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// All of it, which is compared.
    Whole(String),
    /// A text in it, which alone is compared.
    Part(String),
    /// A match of a regular expression.
    Match(String),
}

impl KnownBy {
    /// Returns it in words.
    pub fn text(&self) -> String {
        match self {
            KnownBy::Whole(text) | KnownBy::Part(text) => format!("`{text}`"),
            KnownBy::Match(regex) => format!("a match of `{regex}`"),
        }
    }
}

/// Streams of a recording, while their steps are made.
#[derive(Debug)]
pub struct Streams<'a> {
    exchanges: &'a [Exchange],
    others: BTreeMap<usize, Others<'a>>,
    /// When the app was last given a cause to say something.
    asked: Duration,
}

impl<'a> Streams<'a> {
    /// Begins with all messages of a recording that are told apart.
    pub fn new(exchanges: &'a [Exchange], items: &[Item]) -> Self {
        let mut all: BTreeMap<usize, Vec<&Heard>> = BTreeMap::new();
        for item in items {
            if let Part::Message(of, number) = item.part {
                let message = &exchanges[of].messages[number];
                all.entry(of).or_default().extend(Some(message).filter(|message| message.is_from_app));
            }
        }
        let others = all.into_iter().map(|(of, all)| (of, Others::new(&all))).collect();
        Streams { exchanges, others, asked: Duration::ZERO }
    }

    /// Notes a request, which may make the app say something.
    pub fn requested(&mut self, exchange: &Exchange) {
        self.asked = exchange.at;
    }

    /// Returns the step that opens a stream.
    pub fn open(&mut self, of: usize, tokens: &[Token], secrets: &Secrets) -> StepDraft {
        let exchange = &self.exchanges[of];
        self.requested(exchange);
        let method = match exchange.stream() {
            Some(Stream::Events) => "sse",
            _ => "websocket",
        };
        let mut header = sent::headers(exchange, Kind::Stream, tokens, secrets);
        // What a page was at when the recording's connection broke.
        header.retain(|name, _| !name.eq_ignore_ascii_case("last-event-id"));
        let offered = exchange.header("sec-websocket-protocol");
        // An app that chooses none was offered none that the exercise would accept.
        let is_chosen = exchange.response.header("sec-websocket-protocol").is_some();
        let protocol = offered.filter(|_| is_chosen && method == "websocket").map(str::to_owned);
        StepDraft {
            method: method.to_owned(),
            path: sent::path(exchange, tokens, secrets),
            header,
            stream: Some(StreamDraft { of, protocol, ..StreamDraft::default() }),
            ..StepDraft::default()
        }
    }

    /// Returns a message of a step; nothing for one of the app that has nothing by which another run would know it.
    pub fn message(
        &mut self,
        (of, number): (usize, usize),
        tokens: &[Token],
        secrets: &Secrets,
        differing: &BTreeSet<&str>,
        capture: BTreeMap<String, String>,
    ) -> Option<MessageDraft> {
        let exchange = &self.exchanges[of];
        let message = &exchange.messages[number];
        if !message.is_from_app {
            self.asked = message.at;
            return Some(match (message.is_text, std::str::from_utf8(&message.payload)) {
                (true, Ok(text)) => MessageDraft::Text(sent::message(exchange, text, tokens, secrets)),
                _ => MessageDraft::Binary(message.payload.clone()),
            });
        }
        let host = exchange.header("host").unwrap_or_default();
        let differing: Vec<&str> =
            differing.iter().copied().chain([host]).filter(|text| !text.is_empty()).collect();
        let pieces = self.others.get(&of)?.pieces(message, &differing);
        let pieces = pieces.into_iter().filter(|piece| !secrets.is_in(&piece.text));
        let of_piece = |piece: Piece| match piece.is_whole && !message.is_cut {
            true => KnownBy::Whole(piece.text),
            false => KnownBy::Part(piece.text),
        };
        // What is captured of it is in it.
        let captured = capture.values().next().cloned().map(KnownBy::Match);
        let known_by: Vec<KnownBy> = pieces.take(TRIED).map(of_piece).chain(captured).collect();
        let timeout_s = timeout_s(message.at.saturating_sub(self.asked));
        (!known_by.is_empty()).then_some(MessageDraft::Expect(ExpectDraft { known_by, timeout_s, capture }))
    }
}

/// Returns how long a message is waited for that took so long in the recording: the machine of another run may be slower.
fn timeout_s(took: Duration) -> Option<u32> {
    [(500, None), (1_500, Some(30)), (4_000, Some(60))]
        .into_iter()
        .find(|(millis, _)| took <= Duration::from_millis(*millis))
        .map_or(Some(120), |(_, timeout_s)| timeout_s)
}

/// Adds a message to the last step if that is of the same stream, else to a new one.
pub fn add(steps: &mut Vec<StepDraft>, of: usize, message: MessageDraft) {
    if let Some(stream) =
        steps.last_mut().and_then(|step| step.stream.as_mut()).filter(|stream| stream.of == of)
    {
        stream.messages.push(message);
        return;
    }
    let stream = StreamDraft { of, messages: vec![message], ..StreamDraft::default() };
    steps.push(StepDraft { method: "stream".to_owned(), stream: Some(stream), ..StepDraft::default() });
}

/// Names the streams that stay open for later steps, and closes them in the last of these.
pub fn name(steps: &mut [StepDraft]) {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let first: Vec<(usize, usize)> =
        of_streams(steps).filter(|(_, step)| steps[*step].method != "stream").collect();
    for (of, at) in first {
        let later: Vec<usize> = of_streams(&steps[at + 1..])
            .filter(|(other, _)| *other == of)
            .map(|(_, step)| at + 1 + step)
            .collect();
        let Some(last) = later.last() else { continue };
        let path = steps[at].path.split('?').next().unwrap_or_default();
        let word =
            path.rsplit('/').find(|word| word.contains(char::is_alphabetic) && !word.contains(super::OPEN));
        let plain = name_of(word.unwrap_or_default());
        let name =
            (1..).map(|number: usize| if number == 1 { plain.clone() } else { format!("{plain}_{number}") });
        // One of as many names and one more is free.
        let Some(name) = name.take(names.len() + 1).find(|name| !names.contains(name)) else { continue };
        names.insert(name.clone());
        for step in later.iter().copied() {
            steps[step].path.clone_from(&name);
        }
        if let Some(stream) = &mut steps[*last].stream {
            stream.close = true;
        }
        if let Some(stream) = &mut steps[at].stream {
            stream.open = Some(name);
        }
    }
}

/// Returns the streams of steps, each with the step's number.
fn of_streams(steps: &[StepDraft]) -> impl Iterator<Item = (usize, usize)> + '_ {
    steps.iter().enumerate().filter_map(|(number, step)| Some((step.stream.as_ref()?.of, number)))
}
