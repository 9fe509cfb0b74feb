//! What comes over a WebSocket or an event stream, as it comes: the messages in its bytes, and its end.

use std::fmt;

use super::{
    chunked::Chunks,
    event_stream::Events,
    websocket::{Messages, Received},
};

/// The form of what comes.
#[derive(Debug)]
pub enum Form {
    /// Frames of a WebSocket.
    WebSocket(Messages),
    /// Events, in a body with chunks or without.
    Events(Events, Option<Chunks>),
}

/// Why nothing comes any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The body is at its end.
    Ended,
    /// No bytes mean anything after a fault.
    Fault(String),
}

impl Form {
    /// Returns what bytes complete, and how the stream ends with them, if it does. Events are texts.
    pub fn read(&mut self, bytes: &[u8]) -> (Vec<Received>, Option<End>) {
        let mut out = Vec::new();
        let fault = |error: &dyn fmt::Display| Some(End::Fault(error.to_string()));
        match self {
            Form::WebSocket(messages) => {
                messages.push(bytes);
                loop {
                    match messages.take_next() {
                        Ok(Some(received)) => out.push(received),
                        Ok(None) => return (out, None),
                        Err(error) => return (out, fault(&error)),
                    }
                }
            }
            Form::Events(events, chunks) => {
                let body = match chunks {
                    Some(chunks) => match chunks.push(bytes) {
                        Ok(body) => body,
                        Err(error) => return (out, fault(&error)),
                    },
                    None => bytes.to_vec(),
                };
                let end = match events.push(&body) {
                    Ok(events) => {
                        out.extend(events.into_iter().map(Received::Text));
                        let is_at_end = chunks.as_ref().is_some_and(Chunks::is_at_end);
                        is_at_end.then_some(End::Ended)
                    }
                    Err(error) => fault(&error),
                };
                (out, end)
            }
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Ended => f.write_str("the app ended it"),
            End::Fault(fault) => f.write_str(fault),
        }
    }
}
