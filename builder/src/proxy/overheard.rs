//! Bytes of a stream on their way, and the messages in them, which a recorder notes. What passes is the same, whatever the
//! messages are.

use std::io::{self, Write};

use super::tape::{Recorder, Side};
use crate::{
    formats::{
        chunked::Chunks,
        event_stream::Events,
        stream::{End, Form},
        websocket::{Messages, Received},
    },
    web::Head,
};

/// A writer that notes the messages in what it writes, each before its last byte is written: what answers it is noted
/// later.
pub(super) struct Overheard<'a, W> {
    to: W,
    recorder: &'a Recorder,
    side: Side,
    /// None once nothing more can be read.
    form: Option<Form>,
}

impl<'a, W: Write> Overheard<'a, W> {
    /// Begins with the first byte of one direction of a WebSocket.
    pub fn socket(to: W, recorder: &'a Recorder, side: Side) -> Self {
        let messages = match side {
            Side::Request => Messages::of_client(),
            Side::Response => Messages::default(),
        };
        Overheard { to, recorder, side, form: Some(Form::WebSocket(messages)) }
    }

    /// Begins with the body of an event stream.
    pub fn events(to: W, recorder: &'a Recorder, head: &Head) -> Self {
        let chunks = head.lists("transfer-encoding", "chunked").then(Chunks::default);
        let form = Some(Form::Events(Events::default(), chunks));
        Overheard { to, recorder, side: Side::Response, form }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let Some(form) = &mut self.form else { return };
        let (received, end) = form.read(bytes);
        for one in received {
            match one {
                Received::Text(payload) => self.recorder.hear(self.side, true, &payload),
                Received::Binary(payload) => self.recorder.hear(self.side, false, &payload),
                Received::Ping(_) | Received::Pong => {}
                // Nothing comes behind it.
                Received::Close { .. } => self.form = None,
            }
        }
        if let Some(end) = end {
            self.form = None;
            if end != End::Ended {
                self.recorder.lose();
            }
        }
    }
}

impl<W: Write> Write for Overheard<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hear(bytes);
        self.to.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        formats::websocket::{Opcode, frame},
        proxy::Tape,
    };

    /// What a recorder hears of bytes that pass in pieces, and whether it lost the rest.
    fn heard(bytes: &[u8], of: impl Fn(&Recorder) -> Overheard<'_, Vec<u8>>) -> (Vec<String>, bool) {
        let tape = Arc::new(Tape::default());
        let request = Head::of_request(b"GET / HTTP/1.1\r\n\r\n").expect("a head");
        let recorder = tape.begin(&request).expect("there is room");
        let mut overheard = of(&recorder);
        bytes.chunks(3).for_each(|piece| overheard.write_all(piece).expect("passes"));
        assert_eq!(overheard.to, bytes);
        let take = tape.takes().0.remove(0);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (take.messages.iter().map(|heard| text(&heard.payload)).collect(), take.is_stream_cut)
    }

    fn of_client(recorder: &Recorder) -> Overheard<'_, Vec<u8>> {
        Overheard::socket(Vec::new(), recorder, Side::Request)
    }

    fn of_app(recorder: &Recorder) -> Overheard<'_, Vec<u8>> {
        Overheard::socket(Vec::new(), recorder, Side::Response)
    }

    #[test]
    fn messages_are_heard_as_bytes_pass_unchanged() {
        let sent = [frame(Opcode::Text, b"one"), frame(Opcode::Ping, b"hi"), frame(Opcode::Binary, b"two")];
        assert_eq!(heard(&sent.concat(), of_client), (vec!["one".into(), "two".into()], false));
        assert_eq!(heard(b"\x01\x01a\x80\x01b\x88\0what is no frame", of_app), (vec!["ab".into()], false));
        assert_eq!(heard(b"\x81\x01a\xc1\x01b\x81\x01c", of_app), (vec!["a".into()], true));
        let (plain, chunked) = ("data: tick\n\nevent: a\ndata: b\n\n", "c\r\ndata: tick\n\n\r\n0\r\n\r\n");
        for (head, body, expected) in [
            ("", plain, &["tick", "event: a\nb"][..]),
            ("Transfer-Encoding: chunked\r\n", chunked, &["tick"]),
        ] {
            let head = Head::of_answer(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes()).expect("a head");
            let (found, is_cut) =
                heard(body.as_bytes(), |recorder| Overheard::events(Vec::new(), recorder, &head));
            assert_eq!(
                (found.iter().map(String::as_str).collect::<Vec<_>>(), is_cut),
                (expected.to_vec(), false)
            );
        }
    }
}
