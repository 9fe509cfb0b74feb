//! A WebSocket or an event stream of an app, open: messages come in and wait until a step expects them.
//!
//! Each call ends at its deadline, whatever the app does; what it sent unasked is kept within bounds, the
//! newest of it.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::formats::{
    stream::Form,
    websocket::{Opcode, Received, frame},
};

/// How long an app may take to read what is sent, or a pong.
const SENDING: Duration = Duration::from_secs(10);

/// How long an app may take to say goodbye, too.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long is waited, between two steps, for what has come already.
const GLANCE: Duration = Duration::from_millis(1);

/// Reads between two steps: an app that floods a page is not read empty.
const GLANCES: usize = 256;

/// Most messages that wait.
const WAITING: usize = 20_000;

/// Messages that are told of where one was expected that did not come.
const OTHERS: usize = 500;

/// Most bytes of messages that wait.
const WAITING_BYTES: usize = 16 << 20;

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    form: Form,
    /// Messages that nothing has expected yet, each with its number.
    waiting: VecDeque<(u64, Vec<u8>)>,
    waiting_bytes: usize,
    /// Messages that came so far.
    came: u64,
    /// How it ended.
    end: Option<String>,
}

/// Why a message that is expected does not come.
#[derive(Debug)]
pub(super) struct Missing {
    /// How the stream ended, if it did.
    end: Option<String>,
    /// Messages that wait, and the last one.
    others: usize,
    last: Option<Vec<u8>>,
}

/// A socket up to a point in time.
pub(super) struct Until<'a>(pub &'a TcpStream, pub Instant);

impl Until<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.1.saturating_duration_since(Instant::now()) {
            // A socket takes zero for no limit.
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.set_read_timeout(self.left()?)?;
        (&*self.0).read(buffer)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.set_write_timeout(self.left()?)?;
        (&*self.0).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    /// Begins with the bytes that came behind the head of the response.
    pub fn new(socket: TcpStream, form: Form, bytes: &[u8]) -> Self {
        let waiting = VecDeque::new();
        let mut stream = Stream { socket, form, waiting, waiting_bytes: 0, came: 0, end: None };
        stream.take_in(bytes);
        stream
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Words for why it cannot.
    pub fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), String> {
        match (&self.end, &self.form) {
            (Some(end), _) => Err(end.clone()),
            // A recipe that sends there is refused.
            (None, Form::Events(..)) => Err("nothing can be sent over an event stream".to_owned()),
            (None, Form::WebSocket(_)) => {
                let sent = Until(&self.socket, Instant::now() + SENDING).write_all(&frame(opcode, payload));
                sent.map_err(|error| format!("cannot send: {error}"))
            }
        }
    }

    /// Returns the first message that nothing has taken so far for which `is_it` holds, as soon as it is
    /// there.
    pub fn expect(&mut self, is_it: impl Fn(&[u8]) -> bool, patience: Duration) -> Result<Vec<u8>, Missing> {
        let deadline = Instant::now() + patience;
        let mut seen = 0;
        loop {
            let found = self.waiting.iter().position(|(number, message)| *number > seen && is_it(message));
            if let Some((_, message)) = found.and_then(|at| self.waiting.remove(at)) {
                self.waiting_bytes -= message.len();
                return Ok(message);
            }
            seen = self.came;
            if self.end.is_some() || !self.wait(deadline) {
                return Err(Missing {
                    end: self.end.clone(),
                    others: self.waiting.len(),
                    last: self.waiting.back().map(|(_, message)| message.clone()),
                });
            }
        }
    }

    /// Returns the messages that nothing has expected so far, the newest ones.
    pub fn others(&self) -> Vec<Vec<u8>> {
        let first = self.waiting.len().saturating_sub(OTHERS);
        self.waiting.iter().skip(first).map(|(_, message)| message.clone()).collect()
    }

    /// Returns whether anything may still come.
    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Takes in what has come by now, and answers its pings.
    pub fn listen(&mut self) {
        for _ in 0..GLANCES {
            if self.end.is_some() || !self.wait(Instant::now() + GLANCE) {
                break;
            }
        }
    }

    /// Says goodbye, and waits a moment for the app to do so: what it does then belongs to the present step,
    /// and an app whose page is cut off may log that as an error.
    pub fn close(mut self) {
        let is_socket = matches!(self.form, Form::WebSocket(_));
        if is_socket && self.send(Opcode::Close, &1000_u16.to_be_bytes()).is_ok() {
            let deadline = Instant::now() + GOODBYE;
            while self.end.is_none() && self.wait(deadline) {}
        }
    }

    /// Waits for bytes and takes them in; false where none came before the deadline.
    fn wait(&mut self, deadline: Instant) -> bool {
        let mut buffer = [0; 1 << 14];
        match Until(&self.socket, deadline).read(&mut buffer) {
            Ok(0) => self.end = Some("the app closed the connection".to_owned()),
            Ok(length) => self.take_in(buffer.get(..length).unwrap_or_default()),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return false,
                io::ErrorKind::Interrupted => {}
                _ => self.end = Some(format!("cannot read: {error}")),
            },
        }
        true
    }

    fn take_in(&mut self, bytes: &[u8]) {
        let (messages, end) = self.form.read(bytes);
        let mut pings = Vec::new();
        for received in messages {
            match received {
                Received::Text(message) | Received::Binary(message) => self.keep(message),
                Received::Ping(payload) => pings.extend(frame(Opcode::Pong, &payload)),
                Received::Pong => {}
                Received::Close { code, reason } => {
                    let code = code.map(|code| format!(" with code {code}")).unwrap_or_default();
                    let reason = if reason.is_empty() { reason } else { format!(", {reason:?}") };
                    self.end = Some(format!("the app closed it{code}{reason}"));
                    break;
                }
            }
        }
        if let Some(end) = end {
            self.end.get_or_insert(end.to_string());
        }
        if !pings.is_empty() && self.end.is_none() {
            let sent = Until(&self.socket, Instant::now() + SENDING).write_all(&pings);
            self.end = sent.err().map(|error| format!("cannot answer a ping: {error}"));
        }
    }

    fn keep(&mut self, message: Vec<u8>) {
        self.came += 1;
        self.waiting_bytes += message.len();
        self.waiting.push_back((self.came, message));
        while self.waiting.len() > WAITING || self.waiting_bytes > WAITING_BYTES {
            let Some((_, oldest)) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= oldest.len();
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            Some(end) => f.write_str(end)?,
            None => f.write_str("not found in time")?,
        }
        match self.others {
            0 => f.write_str("; no other message came"),
            1 => f.write_str("; another message came:"),
            others => write!(f, "; {others} other messages came, the last one:"),
        }?;
        let lines = super::excerpt(self.last.as_deref().unwrap_or_default());
        lines.iter().take(2).try_for_each(|line| write!(f, " {line}"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::formats::{chunked::Chunks, event_stream::Events, websocket::Messages};

    /// A stream, and the app's end of it.
    fn pair(form: Form) -> (Stream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
        let socket = TcpStream::connect(listener.local_addr().expect("has one")).expect("connects");
        (Stream::new(socket, form, b""), listener.accept().expect("accepts").0)
    }

    const SOON: Duration = Duration::from_millis(50);

    fn is(text: &str) -> impl Fn(&[u8]) -> bool {
        move |message| message == text.as_bytes()
    }

    #[test]
    fn messages_wait_until_they_are_expected_in_whatever_order_they_come() {
        let (mut stream, mut app) = pair(Form::WebSocket(Messages::default()));
        app.write_all(b"\x81\x01a\x81\x01b\x89\x02hi\x81\x01c").expect("writes");
        for text in ["b", "a", "c"] {
            assert_eq!(stream.expect(is(text), SENDING).expect(text), text.as_bytes());
        }
        let missing = stream.expect(is("a"), SOON).expect_err("each once");
        assert_eq!(missing.to_string(), "not found in time; no other message came");
        let mut pong = [0; 8];
        app.read_exact(&mut pong).expect("was answered");
        assert_eq!(pong[..], frame(Opcode::Pong, b"hi"));
        app.write_all(b"\x81\x01d\x81\x01e\x88\x05\x03\xf1bye").expect("writes");
        let missing = stream.expect(is("f"), SENDING).expect_err("is none").to_string();
        assert_eq!(
            missing,
            "the app closed it with code 1009, \"bye\"; 2 other messages came, the last one: e"
        );
        assert_eq!(stream.expect(is("d"), SOON).expect("had come before"), b"d");
        assert!(stream.send(Opcode::Text, b"x").is_err());
    }

    #[test]
    fn a_flood_ends_at_the_deadline_and_takes_no_memory() {
        let (mut stream, mut app) = pair(Form::WebSocket(Messages::default()));
        let flood = std::thread::spawn(move || {
            let frames = [&b"\x81\x7e\x10\x00"[..], &[b'x'; 4096]].concat();
            while app.write_all(&frames).is_ok() {}
        });
        let began = Instant::now();
        let missing = stream.expect(is("y"), Duration::from_millis(300)).expect_err("is none");
        assert!(missing.end.is_none() && began.elapsed() < SENDING);
        assert!(stream.waiting_bytes <= WAITING_BYTES && stream.waiting.len() <= WAITING);
        drop(stream);
        flood.join().expect("ends with the connection");
    }

    #[test]
    fn a_goodbye_is_returned() {
        let (stream, mut app) = pair(Form::WebSocket(Messages::default()));
        let replied = std::thread::spawn(move || {
            let mut goodbye = [0; 8];
            app.read_exact(&mut goodbye).expect("comes");
            assert_eq!(goodbye[..], frame(Opcode::Close, &1000_u16.to_be_bytes()));
            std::thread::sleep(SOON);
            app.write_all(b"\x81\x03bye\x88\x02\x03\xe8").expect("is open");
            // Neither reset nor closed before.
            assert_eq!(app.read(&mut goodbye).expect("is not reset"), 0);
        });
        let began = Instant::now();
        stream.close();
        assert!(began.elapsed() >= SOON && began.elapsed() < GOODBYE);
        replied.join().expect("all was read");
        let (stream, _app) = pair(Form::WebSocket(Messages::default()));
        stream.close();
    }

    #[test]
    fn a_damaged_stream_ends() {
        let (mut stream, mut app) = pair(Form::WebSocket(Messages::default()));
        app.write_all(b"\x81\x81").expect("writes");
        let missing = stream.expect(is("y"), SENDING).expect_err("is none").to_string();
        assert_eq!(missing, "a frame is masked, which a server's never is; no other message came");
    }

    #[test]
    fn events_come_in_chunks_or_without() {
        for (chunks, sent) in [
            (Some(Chunks::default()), "5\r\ndata:\r\n6\r\n tick\n\r\n1\r\n\n\r\n0\r\n\r\n"),
            (None, ": hello\n\ndata: tick\n\n"),
        ] {
            let (mut stream, mut app) = pair(Form::Events(Events::default(), chunks));
            app.write_all(sent.as_bytes()).expect("writes");
            drop(app);
            assert_eq!(stream.expect(is("tick"), SENDING).expect("came"), b"tick");
            let end = stream.expect(is("tock"), SENDING).expect_err("is none").end.expect("ended");
            assert!(["the app ended it", "the app closed the connection"].contains(&&end[..]), "{end}");
        }
    }
}
