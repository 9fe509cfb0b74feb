//! What a browser and an app say to each other, kept in memory: whole exchanges, in the order of their requests,
//! and the messages of WebSockets and event streams, in theirs.
//!
//! Both sides may be hostile, so every part has a bound. A body that is longer is left out, and its take is cut;
//! the bytes that pass are the same with and without a tape.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::web::Head;

/// Longest body of a request that is kept: a picture or a document that is uploaded.
const REQUEST_BYTES: usize = 16 << 20;

/// Longest body of a response that is kept: pages and data, not files.
const RESPONSE_BYTES: usize = 4 << 20;

/// Most bytes of all bodies.
const ALL_BYTES: usize = 192 << 20;

/// Most exchanges: an hour of clicks in an app that polls each second has fewer.
const TAKES: usize = 20_000;

/// Most messages of all streams.
const MESSAGES: usize = 50_000;

/// Longest message that is kept whole; of a longer one, the beginning.
const MESSAGE_BYTES: usize = 64 << 10;

/// Media types whose bodies are text that a later request may send back.
const TEXTS: [&str; 5] = ["text/", "json", "xml", "javascript", "x-www-form-urlencoded"];

/// The exchanges of one recording.
#[derive(Debug, Default)]
pub struct Tape {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    takes: Vec<Take>,
    bytes: usize,
    /// Messages of all streams.
    messages: usize,
    /// Requests beyond [`TAKES`].
    lost: usize,
    /// Requests and messages so far.
    order: u64,
    /// When the first request came.
    begun: Option<Instant>,
}

/// One request, and what became of it.
#[derive(Clone, Debug)]
pub struct Take {
    /// The request as the client sent it.
    pub request: Head,
    /// Its body in its framing.
    pub body: Vec<u8>,
    /// The response as the client got it; none if the app gave none.
    pub response: Option<Head>,
    /// The body of the response in its framing; empty for media that are no text.
    pub response_body: Vec<u8>,
    /// Whether the body of the request is not whole.
    pub is_request_cut: bool,
    /// Whether the body of the response is not whole: it is too long, no text, or its end did not come.
    pub is_response_cut: bool,
    /// Where the request stands among all requests and messages.
    pub order: u64,
    /// When it came, since the first one.
    pub at: Duration,
    /// The messages of a WebSocket, in both directions, or of an event stream, in the order in which they came.
    pub messages: Vec<Heard>,
    /// Whether there were more: too many, or behind something that cannot be read.
    pub is_stream_cut: bool,
}

/// A message of a stream. Pings, and fragments apart, are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where it stands among all requests and messages.
    pub order: u64,
    /// When it came, since the first request.
    pub at: Duration,
    /// Whether the app has sent it; else the client has.
    pub is_from_app: bool,
    /// Whether it was sent as text: UTF-8, as far as it is there.
    pub is_text: bool,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Whether those are only its beginning.
    pub is_cut: bool,
}

/// What is kept of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Its head.
    Head,
    /// Its body, too.
    Body,
    /// The events in its body.
    Events,
}

impl Tape {
    /// Returns all exchanges so far, in the order of their requests, and how many more there were.
    pub fn takes(&self) -> (Vec<Take>, usize) {
        let inner = self.lock();
        (inner.takes.clone(), inner.lost)
    }

    /// Begins an exchange; nothing if there are too many.
    pub(super) fn begin(self: &Arc<Self>, request: &Head) -> Option<Recorder> {
        let mut inner = self.lock();
        if inner.takes.len() >= TAKES {
            inner.lost += 1;
            return None;
        }
        let at = inner.begun.get_or_insert_with(Instant::now).elapsed();
        inner.order += 1;
        let order = inner.order;
        inner.takes.push(Take {
            request: request.clone(),
            body: Vec::new(),
            response: None,
            response_body: Vec::new(),
            is_request_cut: false,
            is_response_cut: true,
            order,
            at,
            messages: Vec::new(),
            is_stream_cut: false,
        });
        Some(Recorder { tape: self.clone(), number: inner.takes.len() - 1 })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One exchange that is being recorded.
#[derive(Debug)]
pub(crate) struct Recorder {
    tape: Arc<Tape>,
    number: usize,
}

impl Recorder {
    /// Takes away what asks for a response or for messages that are compressed, or for one that is left out as the
    /// client has it.
    pub(super) fn plain(head: &mut Head) {
        let names = ["accept-encoding", "if-none-match", "if-modified-since", "sec-websocket-extensions"];
        names.iter().for_each(|name| head.remove(name));
    }

    /// Notes the head of a response; returns what is to be kept of it.
    pub(super) fn respond(&self, head: &Head) -> Kept {
        let kind = head.field("content-type").unwrap_or_default().to_ascii_lowercase();
        let take = &mut self.tape.lock().takes[self.number];
        take.response = Some(head.clone());
        // A script may read the answer to a POST as a stream, which the exercise reads as a response.
        match kind.starts_with("text/event-stream") && take.request.method() == "GET" {
            true => Kept::Events,
            false if TEXTS.iter().any(|text| kind.contains(text)) => Kept::Body,
            false => Kept::Head,
        }
    }

    /// Notes a message.
    pub(super) fn hear(&self, side: Side, is_text: bool, payload: &[u8]) {
        let inner = &mut *self.tape.lock();
        let length = payload.len().min(MESSAGE_BYTES);
        let take = &mut inner.takes[self.number];
        if take.is_stream_cut || inner.messages == MESSAGES || inner.bytes + length > ALL_BYTES {
            take.is_stream_cut = true;
            return;
        }
        inner.messages += 1;
        inner.bytes += length;
        inner.order += 1;
        take.messages.push(Heard {
            order: inner.order,
            at: inner.begun.map_or(Duration::ZERO, |begun| begun.elapsed()),
            is_from_app: side == Side::Response,
            is_text,
            payload: payload[..length].to_vec(),
            is_cut: length < payload.len(),
        });
    }

    /// Notes that nothing more of a stream is heard, though it goes on.
    pub(super) fn lose(&self) {
        self.tape.lock().takes[self.number].is_stream_cut = true;
    }

    /// Notes that the response has come to its end.
    pub(super) fn end(&self) {
        let mut inner = self.tape.lock();
        let take = &mut inner.takes[self.number];
        take.is_response_cut = take.response_body.len() >= RESPONSE_BYTES;
    }

    fn add_request(&self, bytes: &[u8]) {
        let inner = &mut *self.tape.lock();
        let take = &mut inner.takes[self.number];
        let fits = take.body.len() + bytes.len() <= REQUEST_BYTES && inner.bytes + bytes.len() <= ALL_BYTES;
        match fits && !take.is_request_cut {
            true => {
                take.body.extend_from_slice(bytes);
                inner.bytes += bytes.len();
            }
            false => {
                take.is_request_cut = true;
                inner.bytes -= std::mem::take(&mut take.body).len();
            }
        }
    }

    fn add_response(&self, bytes: &[u8]) {
        let inner = &mut *self.tape.lock();
        let take = &mut inner.takes[self.number];
        let room = RESPONSE_BYTES.saturating_sub(take.response_body.len()).min(ALL_BYTES - inner.bytes);
        let kept = &bytes[..bytes.len().min(room)];
        take.response_body.extend_from_slice(kept);
        inner.bytes += kept.len();
    }
}

/// A direction of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// A writer that notes what it writes, where there is a recorder.
pub(super) struct Noted<'a, W> {
    pub to: W,
    pub recorder: Option<&'a Recorder>,
    pub side: Side,
}

impl<W: Write> Write for Noted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        match (self.recorder, self.side) {
            (None, _) => {}
            (Some(recorder), Side::Request) => recorder.add_request(&bytes[..written]),
            (Some(recorder), Side::Response) => recorder.add_response(&bytes[..written]),
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(tape: &Arc<Tape>) -> Recorder {
        begun_by(tape, "POST")
    }

    fn begun_by(tape: &Arc<Tape>, method: &str) -> Recorder {
        let text = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        tape.begin(&Head::of_request(text.as_bytes()).expect("a head")).expect("there is room")
    }

    fn responding(kind: &str) -> Head {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n");
        Head::of_answer(text.as_bytes()).expect("a head")
    }

    fn pass(recorder: &Recorder, side: Side, bytes: &[u8]) {
        let mut passed = Vec::new();
        let mut noted = Noted { to: &mut passed, recorder: Some(recorder), side };
        noted.write_all(bytes).expect("passes");
        assert_eq!(passed.len(), bytes.len());
    }

    #[test]
    fn bodies_are_kept_within_their_bounds_and_pass_whole() {
        let tape = Arc::new(Tape::default());
        for (request, response, is_request_cut, is_response_cut) in [
            (10, 10, false, false),
            (REQUEST_BYTES, RESPONSE_BYTES - 1, false, false),
            (REQUEST_BYTES + 1, RESPONSE_BYTES + 1, true, true),
        ] {
            let recorder = begun(&tape);
            pass(&recorder, Side::Request, &vec![b'a'; request]);
            assert_eq!(recorder.respond(&responding("text/html")), Kept::Body);
            pass(&recorder, Side::Response, &vec![b'b'; response]);
            recorder.end();
            let take = tape.takes().0.pop().expect("a take");
            assert_eq!((take.is_request_cut, take.is_response_cut), (is_request_cut, is_response_cut));
            assert!(take.body.len() <= REQUEST_BYTES && take.response_body.len() <= RESPONSE_BYTES);
        }
        // In all, too.
        for _ in 0..ALL_BYTES / REQUEST_BYTES + 1 {
            pass(&begun(&tape), Side::Request, &vec![b'a'; REQUEST_BYTES]);
        }
        assert!(tape.lock().bytes <= ALL_BYTES);
        assert!(tape.takes().0.pop().expect("a take").is_request_cut);
    }

    #[test]
    fn only_texts_are_kept_of_responses_and_only_so_many_exchanges() {
        let tape = Arc::new(Tape::default());
        for (method, kind, kept) in [
            ("POST", "text/html; charset=utf-8", Kept::Body),
            ("POST", "application/json", Kept::Body),
            ("POST", "image/png", Kept::Head),
            ("GET", "text/event-stream", Kept::Events),
            ("POST", "text/event-stream", Kept::Body),
            ("POST", "application/octet-stream", Kept::Head),
        ] {
            let recorder = begun_by(&tape, method);
            assert_eq!(recorder.respond(&responding(kind)), kept, "{kind}");
            assert!(tape.takes().0.pop().expect("a take").is_response_cut, "{kind}: it has not ended");
        }
        let head = begun(&tape).tape.takes().0[0].request.clone();
        let begun = (0..TAKES).filter(|_| tape.begin(&head).is_some()).count();
        let (takes, lost) = tape.takes();
        assert_eq!((takes.len(), lost), (TAKES, TAKES - begun));
    }
    #[test]
    fn messages_are_kept_in_order_and_within_their_bounds() {
        let tape = Arc::new(Tape::default());
        let (one, other) = (begun(&tape), begun(&tape));
        one.hear(Side::Request, true, b"a");
        other.hear(Side::Response, false, &vec![b'b'; MESSAGE_BYTES + 1]);
        one.hear(Side::Response, true, b"c");
        let orders = |take: &Take| take.messages.iter().map(|heard| heard.order).collect::<Vec<_>>();
        let (takes, _) = tape.takes();
        assert_eq!((takes[0].order, orders(&takes[0])), (1, vec![3, 5]));
        assert_eq!((takes[1].order, orders(&takes[1])), (2, vec![4]));
        let long = &takes[1].messages[0];
        assert!(long.is_cut && long.payload.len() == MESSAGE_BYTES && long.is_from_app && !long.is_text);
        assert!(!takes[0].messages[0].is_from_app && !takes[0].is_stream_cut);
        (0..MESSAGES).for_each(|_| one.hear(Side::Response, true, b"tick"));
        other.lose();
        let (takes, _) = tape.takes();
        assert_eq!(takes.iter().map(|take| take.messages.len()).sum::<usize>(), MESSAGES);
        assert!(takes.iter().all(|take| take.is_stream_cut));
    }
}
