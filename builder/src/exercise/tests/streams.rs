//! Steps with messages.

use std::{net::SocketAddr, time::Duration};

use super::*;
use crate::{
    formats::websocket::{Messages, Received, accept_of},
    recipe::{Expected, Message, Opening, Payload, StreamStep, Wanted},
};

/// An app that hands each connection, whose request it has read, to a function.
struct App {
    at: SocketAddr,
    restarts: usize,
}

fn app(respond: impl Fn(String, TcpStream) + Send + Sync + 'static) -> App {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
    let at = listener.local_addr().expect("has one");
    let respond = Arc::new(respond);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, respond) = (stream.expect("accepts"), respond.clone());
            let request = read_request(&stream);
            thread::spawn(move || respond(request, stream));
        }
    });
    App { at, restarts: 0 }
}

impl Target for App {
    fn connect(&mut self) -> io::Result<TcpStream> {
        TcpStream::connect(self.at)
    }

    fn restart(&mut self) -> Result<(), BoxError> {
        self.restarts += 1;
        Ok(())
    }

    fn run(&mut self, _: &[String]) -> Result<CommandOutput, BoxError> {
        Err("it runs nothing".into())
    }
}

fn exercise(steps: &[Step], app: &mut App) -> Result<Transcript, ExerciseError> {
    let authority = Authority { host: "127.0.0.1".into(), port: app.at.port() };
    run(&Visit { steps, web: None, authority: &authority }, app)
}

fn step(opening: Opening, messages: Vec<Message>) -> StreamStep {
    StreamStep {
        opening,
        protocol: None,
        open: None,
        close: false,
        messages,
        header: BTreeMap::new(),
        fold: Vec::new(),
    }
}

fn socket(messages: Vec<Message>) -> StreamStep {
    step(Opening::WebSocket("/ws".into()), messages)
}

fn send(text: &str) -> Message {
    Message::Send(Payload::Text(text.into()))
}

fn expect(text: &str) -> Message {
    Message::Expect(Expected { wanted: Wanted::Text(text.into()), timeout_s: 10, capture: BTreeMap::new() })
}

fn expect_match(regex: &str, name: &str, pattern: &str) -> Message {
    let capture = BTreeMap::from([(name.to_owned(), pattern.to_owned())]);
    Message::Expect(Expected { wanted: Wanted::Regex(regex.into()), timeout_s: 10, capture })
}

/// The head of a good opening, with another line.
fn switched(more: &str) -> String {
    let accept = accept_of("dGhlIHNhbXBsZSBub25jZQ==");
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// Returns the next message of a client, until it closes.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    loop {
        match unmasked(stream)? {
            Received::Text(message) | Received::Binary(message) => return Some(message),
            Received::Close { .. } => return None,
            Received::Ping(_) | Received::Pong => {}
        }
    }
}

/// Returns what a client sends next, unmasked, as a server would read it.
fn unmasked(stream: &mut TcpStream) -> Option<Received> {
    let mut head = [0; 6];
    stream.read_exact(&mut head).ok()?;
    assert_eq!(head[1] & 0x80, 0x80, "clients mask");
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut payload).ok()?;
    let payload: Vec<u8> = payload.iter().zip(head[2..].iter().cycle()).map(|(a, b)| a ^ b).collect();
    let mut frame = vec![head[0], head[1] & 0x7f];
    frame.extend(payload);
    let mut messages = Messages::default();
    messages.push(&frame);
    messages.take_next().expect("is sound")
}

/// Says hello, then echoes each message behind one that nothing asked for.
fn chat(request: &str, mut stream: TcpStream) {
    let is_good = ["GET /ws HTTP/1.1\r\n", "Origin: http://127.0.0.1:", "Cookie: id=7\r\n", "X-Who: 42\r\n"];
    if !is_good.iter().all(|part| request.contains(part)) {
        let _ = stream.write_all(page("403 Forbidden", "", "who is it?").as_bytes());
        return;
    }
    let mut first = switched("Sec-WebSocket-Protocol: tea\r\n").into_bytes();
    first.extend_from_slice(b"\x81\x0chello, id 42");
    let _ = stream.write_all(&first);
    while let Some(message) = message(&mut stream) {
        let mut frames = b"\x89\x00\x81\x04tick\x82".to_vec();
        frames.push(5 + message.len() as u8);
        frames.extend_from_slice(b"echo ");
        frames.extend(message);
        if stream.write_all(&frames).is_err() {
            break;
        }
    }
}

#[test]
fn a_stream_stays_open_over_steps_until_it_is_closed() {
    let mut app = app(|request, mut stream| match request.starts_with("GET /login ") {
        true => {
            let _ = stream.write_all(page("200 OK", "Set-Cookie: id=7; path=/\r\n", "you are 42").as_bytes());
        }
        false => chat(&request, stream),
    });
    let mut login = get("/login");
    login.capture.insert("who".into(), r"are (\d+)".into());
    let mut first = socket(vec![
        expect_match(r"hello, i", "greeting", r"^(\w+)"),
        send("one {who} {greeting}"),
        send("two"),
        // In another order than they come in.
        expect("two"),
        expect("echo one 42 hello"),
    ]);
    first.protocol = Some("coffee, tea".into());
    first.header.insert("X-Who".into(), "{who}".into());
    first.open = Some("chat".into());
    let mut later = step(Opening::Open("chat".into()), vec![send("three"), expect("three")]);
    later.close = true;
    let steps =
        [Step::Request(login.clone()), Step::Stream(first), Step::Request(login), Step::Stream(later)];
    let transcript = exercise(&steps, &mut app).expect("all as expected");
    let said: Vec<String> = transcript
        .steps
        .iter()
        .map(|record| format!("{}: {}", record.what, String::from_utf8_lossy(record.outcome.bytes())))
        .collect();
    assert_eq!(said[1], "websocket /ws: Sec-WebSocket-Protocol: tea\nhello, i\necho two\necho one 42 hello");
    assert_eq!(said[3], "stream chat: echo three");
}

#[test]
fn what_is_no_opening_of_a_websocket_is_told() {
    let key =
        "header Sec-WebSocket-Accept: expected `s3pPLMBiTxaQ9kYGzzhZRbK+xOo=`, which belongs to the key sent";
    for (response, protocol, expected) in [
        (
            page("404 Not Found", "", "no such page"),
            None,
            "expected status 101, found 404\n    | no such page",
        ),
        (switched("").replace("s3pP", "S3pP"), None, key),
        (switched("").replace("Upgrade: WebSocket\r\n", ""), None, "header Upgrade: expected `websocket`"),
        (
            switched("").replace("keep-alive, upgrade", "keep-alive"),
            None,
            "header Connection: expected `Upgrade`",
        ),
        (
            switched("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
            None,
            "header Sec-WebSocket-Extensions: `permessage-deflate` was not offered",
        ),
        (
            switched("Sec-WebSocket-Protocol: x\r\n"),
            Some("tea"),
            "header Sec-WebSocket-Protocol: `x` was not offered",
        ),
        (switched(""), Some("tea"), "header Sec-WebSocket-Protocol: expected one of the protocols"),
    ] {
        let sent = response.clone();
        let mut app = app(move |_, mut stream| {
            let _ = stream.write_all(sent.as_bytes());
        });
        let mut socket = socket(Vec::new());
        socket.protocol = protocol.map(str::to_owned);
        let error = exercise(&[Step::Stream(socket)], &mut app).expect_err(&response).to_string();
        let head = "a step did not respond as expected\n  step 1, websocket /ws\n    ";
        assert_eq!(error, format!("{head}{expected}"));
    }
}

#[test]
fn a_message_that_does_not_come_is_told_with_its_number_and_ends_the_stream() {
    let mut app = app(|_, mut stream| {
        let frames = &b"\x81\x05hello\x81\x05sorry"[..];
        let _ = stream.write_all(&[switched("").as_bytes(), frames].concat());
        thread::sleep(Duration::from_secs(3));
    });
    let Message::Expect(mut late) = expect("welcome") else { panic!("is one") };
    late.timeout_s = 1;
    let mut first = socket(vec![expect("hello"), Message::Expect(late), send("x")]);
    first.open = Some("chat".into());
    let steps =
        [Step::Stream(first), Step::Stream(step(Opening::Open("chat".into()), Vec::new())), Step::Restart];
    let error = exercise(&steps, &mut app).expect_err("is missed").to_string();
    let expected = "2 steps did not respond as expected\n  step 1, websocket /ws\n    \
        message 2: expected text \"welcome\", not found in time; another message came: sorry\n    \
        | hello\n  step 2, stream chat\n    \
        stream `chat` is not open, as the step before it failed";
    assert_eq!((error.as_str(), app.restarts), (expected, 0));
}

#[test]
fn events_are_waited_for() {
    let mut app = app(|request, mut stream| {
        if !request.contains("Accept: text/event-stream\r\n") {
            let _ = stream
                .write_all(page("200 OK", "Content-Type: text/html\r\n", "<p>no events</p>").as_bytes());
            return;
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        for event in ["data: one\n\n", "event: add\ndata: two 12\n\n"] {
            let _ = stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
        }
        let _ = stream.read(&mut [0]);
    });
    let events = step(
        Opening::Events("/events".into()),
        vec![expect("event: add"), expect("one"), expect_match(r"x|\bone", "never", "(x)")],
    );
    let mut good = events.clone();
    good.messages.pop();
    let transcript = exercise(&[Step::Stream(good)], &mut app).expect("they come");
    assert_eq!(transcript.steps[0].outcome.bytes(), b"event: add\ntwo 12\none");
    let mut plain = events;
    plain.header.insert("Accept".into(), "*/*".into());
    let error = exercise(&[Step::Stream(plain)], &mut app).expect_err("is a page").to_string();
    assert!(error.contains("expected content type `text/event-stream`, found `text/html`"), "{error}");
}
