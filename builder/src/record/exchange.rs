//! Exchanges as they were recorded, read: heads, and bodies without their framing.

use std::time::Duration;

use crate::{
    exercise::{Response, read_response},
    proxy::{Heard, Take},
    web::{Body, Head},
};

/// A request and its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The request's headers as they came, in order.
    pub headers: Vec<(String, String)>,
    /// The request's body, without its framing.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub is_whole: bool,
    /// The response; its body is empty where it is no text or too long.
    pub response: Response,
    /// Where the request stands among all requests and messages.
    pub order: u64,
    /// When it came, since the first one.
    pub at: Duration,
    /// The messages of a WebSocket or an event stream.
    pub messages: Vec<Heard>,
    /// Whether there were more.
    pub is_stream_cut: bool,
}

/// A stream of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A WebSocket.
    Socket,
    /// An event stream, as `EventSource` opens it.
    Events,
    /// One that no step can open.
    Other,
}

impl Exchange {
    /// Returns the first header of the request of a name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the media type of the request's body, in lower case and without parameters.
    pub fn kind(&self) -> String {
        let kind = self.header("content-type").unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Returns what stream this has opened, if it has.
    pub fn stream(&self) -> Option<Stream> {
        let upgrade = self.response.header("upgrade").unwrap_or_default();
        match (self.response.status, &self.method[..]) {
            (101, "GET") if upgrade.trim().eq_ignore_ascii_case("websocket") => Some(Stream::Socket),
            (101, _) => Some(Stream::Other),
            (200, "GET") if self.response.kind() == "text/event-stream" => Some(Stream::Events),
            _ => None,
        }
    }

    /// Returns path and query.
    pub fn path_and_query(&self) -> (&str, &str) {
        self.target.split_once('?').unwrap_or((&self.target, ""))
    }
}

/// Reads takes; those without a response are left out. Returns how many those are, too.
pub fn read(takes: &[Take]) -> (Vec<Exchange>, usize) {
    let read: Vec<Exchange> = takes.iter().filter_map(exchange).collect();
    let lost = takes.len() - read.len();
    (read, lost)
}

fn exchange(take: &Take) -> Option<Exchange> {
    let response = take.response.as_ref()?;
    let mut bytes = response.to_bytes();
    let whole = match take.is_response_cut {
        true => None,
        false => {
            bytes.extend_from_slice(&take.response_body);
            read_response(&bytes[..], take.request.method()).ok()
        }
    };
    let bare = || Response { status: response.status(), headers: fields(response), body: Vec::new() };
    let body = body(take);
    Some(Exchange {
        method: take.request.method().to_owned(),
        target: take.request.target().to_owned(),
        headers: fields(&take.request),
        is_whole: body.is_some(),
        body: body.unwrap_or_default(),
        response: whole.unwrap_or_else(bare),
        order: take.order,
        at: take.at,
        messages: take.messages.clone(),
        is_stream_cut: take.is_stream_cut,
    })
}

fn fields(head: &Head) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
    head.fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Returns the body of a request without its framing, if all of it is there.
fn body(take: &Take) -> Option<Vec<u8>> {
    if take.is_request_cut {
        return None;
    }
    match Body::of_request(&take.request)? {
        Body::Length(length) => (take.body.len() as u64 == length).then(|| take.body.clone()),
        Body::Chunks => {
            // Chunks are the same in both directions.
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            bytes.extend_from_slice(&take.body);
            Some(read_response(&bytes[..], "GET").ok()?.body)
        }
    }
}
