//! WebSocket (RFC 6455), as a client speaks it: the response to its key, the frames that it sends, and the
//! messages in the bytes of a server; for those that listen to both, in the bytes of a client, too.
//!
//! ```text
//! byte 0   FIN 1 bit, reserved 3 bits, opcode 4 bits
//! byte 1   mask 1 bit, length 7 bits; 126: 2 bytes of length follow, 127: 8 (big endian, as few as hold it)
//!          4 bytes of mask, of clients alone
//!          payload, of clients each byte XOR its byte of the mask
//! ```
//!
//! No extension is spoken, so the reserved bits are 0. Where browsers close the connection, so does this.

use sha1::{Digest as _, Sha1};

use super::base64;

/// Longest message that is read or sent, all its fragments together.
pub const MESSAGE_BYTES: usize = 1 << 20;

/// Longest payload of a control frame (5.5).
const CONTROL_BYTES: usize = 125;

/// What a server adds to the client's key (1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The mask of all that is sent. RFC 6455 wants one that no page can foresee, against caches between the two;
/// here is nothing between them, and the same bytes are sent each time.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The kind of a frame (5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// UTF-8.
    Text = 1,
    /// Bytes.
    Binary = 2,
    /// The end of the connection.
    Close = 8,
    /// To be answered by a pong with the same payload.
    Ping = 9,
    /// The answer.
    Pong = 10,
}

/// Something that one side sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message of text, whole: UTF-8.
    Text(Vec<u8>),
    /// A message of bytes, whole.
    Binary(Vec<u8>),
    /// A ping, with its payload.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// The end: nothing comes after it.
    Close {
        /// The status code (7.4), if one was given.
        code: Option<u16>,
        /// Its reason, for people.
        reason: String,
    },
}

/// The fault of frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebSocketError {
    /// Only clients mask.
    #[error("a frame is masked, which a server's never is")]
    Masked,
    /// All frames of a client are masked.
    #[error("a frame of a client is not masked")]
    Unmasked,
    /// No extension was offered.
    #[error("a frame has reserved bits, of an extension that was not agreed on")]
    Reserved,
    /// An opcode that means nothing.
    #[error("a frame has the unknown opcode {0}")]
    Opcode(u8),
    /// Fragmented, or longer than 125 bytes.
    #[error("a control frame is fragmented or longer than {CONTROL_BYTES} bytes")]
    Control,
    /// A length in more bytes than it takes.
    #[error("the length of a frame is not written in its shortest form")]
    Length,
    /// More than is read.
    #[error("a message is longer than {MESSAGE_BYTES} bytes")]
    Long,
    /// A fragment of no message, or a message inside of another.
    #[error("the fragments of messages are out of order")]
    Order,
    /// A text or a reason that is none.
    #[error("a text is not UTF-8")]
    Text,
    /// One byte, where a code has two.
    #[error("a close frame has half of a status code")]
    Close,
}

/// Returns the `Sec-WebSocket-Accept` of a server that was sent this `Sec-WebSocket-Key` (4.2.2).
pub fn accept_of(key: &str) -> String {
    base64::encode(&Sha1::digest(format!("{key}{GUID}")))
}

/// Returns a client's frame with a whole message.
pub fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 14);
    out.push(0x80 | opcode as u8);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// Bytes of a server, as they come, and the messages in them; or those of a client.
///
/// Holds no more than a message and what was pushed since [`Messages::take_next`] last gave nothing.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    /// Where the first frame that was not read begins.
    at: usize,
    /// The message of which fragments came: whether it is text, and its payload so far.
    begun: Option<(bool, Vec<u8>)>,
    /// Whether they are a client's.
    is_masked: bool,
}

/// A frame in the bytes.
struct Frame {
    is_last: bool,
    opcode: u8,
    mask: [u8; 4],
    payload: std::ops::Range<usize>,
}

impl Messages {
    /// Begins with the first byte of a client.
    pub fn of_client() -> Self {
        Messages { is_masked: true, ..Messages::default() }
    }

    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next message or control frame, or nothing until more bytes come.
    ///
    /// # Errors
    /// A fault, after which no bytes mean anything.
    pub fn take_next(&mut self) -> Result<Option<Received>, WebSocketError> {
        while let Some(Frame { is_last, opcode, mask, payload }) = self.frame()? {
            self.at = payload.end;
            let payload = &mut self.bytes[payload];
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            let payload = &*payload;
            match opcode {
                0 => {
                    let (_, begun) = self.begun.as_mut().ok_or(WebSocketError::Order)?;
                    if begun.len() + payload.len() > MESSAGE_BYTES {
                        return Err(WebSocketError::Long);
                    }
                    begun.extend_from_slice(payload);
                }
                1 | 2 if self.begun.is_some() => return Err(WebSocketError::Order),
                1 | 2 => self.begun = Some((opcode == 1, payload.to_vec())),
                8 => return close(payload).map(Some),
                9 => return Ok(Some(Received::Ping(payload.to_vec()))),
                10 => return Ok(Some(Received::Pong)),
                other => return Err(WebSocketError::Opcode(other)),
            }
            if let Some((is_text, message)) = self.begun.take_if(|_| is_last) {
                if is_text && std::str::from_utf8(&message).is_err() {
                    return Err(WebSocketError::Text);
                }
                return Ok(Some(if is_text { Received::Text(message) } else { Received::Binary(message) }));
            }
        }
        Ok(None)
    }

    /// Reads the frame at the front, if it is there whole.
    fn frame(&self) -> Result<Option<Frame>, WebSocketError> {
        let rest = &self.bytes[self.at..];
        let [first, second, after @ ..] = rest else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(WebSocketError::Reserved);
        }
        match (second & 0x80 != 0, self.is_masked) {
            (true, false) => return Err(WebSocketError::Masked),
            (false, true) => return Err(WebSocketError::Unmasked),
            _ => {}
        }
        let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
        let (length, head) = match second & 0x7f {
            126 => match after.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match after.first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            length => (u64::from(length), 2),
        };
        let is_shortest = match head {
            2 => true,
            4 => length > 125,
            _ => length > 0xffff,
        };
        if opcode >= 8 && (!is_last || head > 2) {
            return Err(WebSocketError::Control);
        }
        if !is_shortest {
            return Err(WebSocketError::Length);
        }
        // What is longer than a message is refused before it comes.
        let length = usize::try_from(length).ok().filter(|length| *length <= MESSAGE_BYTES);
        let length = length.ok_or(WebSocketError::Long)?;
        let (mask, head) = match (self.is_masked, rest.get(head..head + 4).and_then(<[u8]>::first_chunk)) {
            (false, _) => ([0; 4], head),
            (true, Some(mask)) => (*mask, head + 4),
            (true, None) => return Ok(None),
        };
        let begin = self.at + head;
        let end = begin + length;
        Ok((end <= self.bytes.len()).then_some(Frame { is_last, opcode, mask, payload: begin..end }))
    }
}

fn close(payload: &[u8]) -> Result<Received, WebSocketError> {
    let (code, reason) = match payload {
        [] => (None, &[][..]),
        [_] => return Err(WebSocketError::Close),
        [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), reason),
    };
    let reason = std::str::from_utf8(reason).map_err(|_| WebSocketError::Text)?.to_owned();
    Ok(Received::Close { code, reason })
}

/// Anything, in pieces of any length: what comes out does not depend on them.
#[cfg(feature = "testing")]
pub(crate) fn read_anything(bytes: &[u8]) {
    let all = |is_masked: bool, size: usize| {
        let (mut messages, mut out) = (Messages { is_masked, ..Messages::default() }, Vec::new());
        for piece in bytes.chunks(size) {
            messages.push(piece);
            loop {
                match messages.take_next() {
                    Ok(Some(received)) => out.push(received),
                    Ok(None) => break,
                    Err(error) => return (out, Some(error)),
                }
            }
        }
        (out, None)
    };
    let length = |received: &Received| match received {
        Received::Text(payload) | Received::Binary(payload) | Received::Ping(payload) => payload.len(),
        Received::Pong | Received::Close { .. } => 0,
    };
    for is_masked in [false, true] {
        let whole = all(is_masked, bytes.len().max(1));
        assert_eq!(whole, all(is_masked, 3));
        assert!(whole.0.iter().map(length).sum::<usize>() <= bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Received>, WebSocketError> {
        read_by(Messages::default(), bytes)
    }

    fn read_by(mut messages: Messages, bytes: &[u8]) -> Result<Vec<Received>, WebSocketError> {
        let mut out = Vec::new();
        // Byte by byte, as a slow network brings them.
        for byte in bytes {
            messages.push(&[*byte]);
            while let Some(received) = messages.take_next()? {
                out.push(received);
            }
        }
        Ok(out)
    }

    fn message(text: &str) -> Received {
        Received::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        // 5.7: a masked text of the client, with the mask that this client has, too.
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(frame(Opcode::Text, b"Hello"), masked);
        let hello = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        assert_eq!(read(&hello), Ok(vec![message("Hello")]));
        let fragments = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
        assert_eq!(read(&fragments), Ok(vec![message("Hello")]));
        let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        assert_eq!(read(&ping), Ok(vec![Received::Ping(b"Hello".to_vec())]));
        let between = [&fragments[..5], &ping, &fragments[5..]].concat();
        assert_eq!(read(&between), Ok(vec![Received::Ping(b"Hello".to_vec()), message("Hello")]));
        for length in [256_usize, 0x1_0000] {
            let bytes = vec![7; length];
            let head = match length {
                256 => vec![0x82, 0x7e, 1, 0],
                _ => vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0],
            };
            let mut messages = Messages::default();
            messages.push(&[head, bytes.clone()].concat());
            assert_eq!(messages.take_next(), Ok(Some(Received::Binary(bytes))));
        }
    }

    #[test]
    fn frames_that_are_sent_have_the_shortest_length() {
        for (length, head) in [(0, 2), (125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10)] {
            assert_eq!(frame(Opcode::Binary, &vec![0; length]).len(), head + 4 + length);
        }
    }

    #[test]
    fn messages_of_a_client_are_unmasked() {
        let long = vec![7; 70_000];
        let sent = [
            frame(Opcode::Text, b"Hello"),
            frame(Opcode::Ping, b"hi"),
            frame(Opcode::Binary, &long[..300]),
            frame(Opcode::Binary, &long),
            frame(Opcode::Close, &1000_u16.to_be_bytes()),
        ];
        let read = read_by(Messages::of_client(), &sent.concat());
        let close = Received::Close { code: Some(1000), reason: String::new() };
        let binary = |length| Received::Binary(long[..length].to_vec());
        let expected = [message("Hello"), Received::Ping(b"hi".to_vec()), binary(300), binary(70_000), close];
        assert_eq!(read.as_deref(), Ok(&expected[..]));
        assert_eq!(read_by(Messages::of_client(), b"\x81\x01a"), Err(WebSocketError::Unmasked));
    }

    #[test]
    fn a_close_has_a_code_and_a_reason_or_nothing() {
        let close = |code, reason: &str| vec![Received::Close { code, reason: reason.to_owned() }];
        assert_eq!(read(&[0x88, 0]), Ok(close(None, "")));
        assert_eq!(read(b"\x88\x05\x03\xe8bye"), Ok(close(Some(1000), "bye")));
        assert_eq!(read(b"\x88\x01\x03"), Err(WebSocketError::Close));
        assert_eq!(read(b"\x88\x03\x03\xe8\xff"), Err(WebSocketError::Text));
    }

    #[test]
    fn damaged_frames_are_refused_as_soon_as_they_show() {
        for (bytes, expected) in [
            (&b"\x81\x80"[..], WebSocketError::Masked),
            (b"\xc1\x00", WebSocketError::Reserved),
            (b"\x83\x00", WebSocketError::Opcode(3)),
            (b"\x8f\x00", WebSocketError::Opcode(15)),
            (b"\x09\x00", WebSocketError::Control),
            (b"\x89\x7e\x00\x7e", WebSocketError::Control),
            (b"\x81\x7e\x00\x7d", WebSocketError::Length),
            (b"\x81\x7f\0\0\0\0\0\0\xff\xff", WebSocketError::Length),
            (b"\x81\x7f\x80\0\0\0\0\0\0\0", WebSocketError::Long),
            (b"\x81\x7f\0\0\0\0\0\x10\0\x01", WebSocketError::Long),
            (b"\x80\x00", WebSocketError::Order),
            (b"\x01\x00\x81\x00", WebSocketError::Order),
            (b"\x81\x01\xff", WebSocketError::Text),
            (b"\x01\x01\xc3\x80\x00", WebSocketError::Text),
        ] {
            assert_eq!(read(bytes), Err(expected), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn fragments_are_no_way_around_the_limit() {
        let mut messages = Messages::default();
        let part = [&[0x02, 0x7f, 0, 0, 0, 0, 0, 8, 0, 0][..], &vec![0; 1 << 19]].concat();
        messages.push(&part);
        assert_eq!(messages.take_next(), Ok(None));
        let part = [&[0x00][..], &part[1..]].concat();
        messages.push(&part);
        assert_eq!(messages.take_next(), Ok(None));
        messages.push(b"\x80\x01x");
        assert_eq!(messages.take_next(), Err(WebSocketError::Long));
    }
}
