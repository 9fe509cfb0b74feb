//! What a browser and an app say to each other, kept in memory: whole exchanges, in the order of their requests.
//!
//! Both sides may be hostile, so every part has a bound. A body that is longer is left out, and its take is cut;
//! the bytes that pass are the same with and without a tape.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    /// Requests beyond [`TAKES`].
    lost: usize,
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
        inner.takes.push(Take {
            request: request.clone(),
            body: Vec::new(),
            response: None,
            response_body: Vec::new(),
            is_request_cut: false,
            is_response_cut: true,
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
    /// Takes away what asks for a response that is compressed, or that is left out as the client has it.
    pub(super) fn plain(head: &mut Head) {
        ["accept-encoding", "if-none-match", "if-modified-since"].iter().for_each(|name| head.remove(name));
    }

    /// Notes the head of a response; returns whether its body is to be kept.
    pub(super) fn respond(&self, head: &Head) -> bool {
        let kind = head.field("content-type").unwrap_or_default().to_ascii_lowercase();
        self.tape.lock().takes[self.number].response = Some(head.clone());
        !kind.starts_with("text/event-stream") && TEXTS.iter().any(|text| kind.contains(text))
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
        let head = Head::of_request(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a head");
        tape.begin(&head).expect("there is room")
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
            assert!(recorder.respond(&responding("text/html")));
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
        for (kind, is_kept) in [
            ("text/html; charset=utf-8", true),
            ("application/json", true),
            ("image/png", false),
            ("text/event-stream", false),
            ("application/octet-stream", false),
        ] {
            let recorder = begun(&tape);
            assert_eq!(recorder.respond(&responding(kind)), is_kept, "{kind}");
            assert!(tape.takes().0.pop().expect("a take").is_response_cut, "{kind}: it has not ended");
        }
        let head = begun(&tape).tape.takes().0[0].request.clone();
        let begun = (0..TAKES).filter(|_| tape.begin(&head).is_some()).count();
        let (takes, lost) = tape.takes();
        assert_eq!((takes.len(), lost), (TAKES, TAKES - begun));
    }
}
