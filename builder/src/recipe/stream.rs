//! Steps of `[[exercise]]` with messages: WebSockets and event streams, their keys and rules.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde::Deserialize;

use super::{RecipeError, Step, check::Checker, step::patterns};
use crate::formats::websocket::MESSAGE_BYTES;

/// Messages between a page and the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStep {
    /// `websocket`: The path of a WebSocket (RFC 6455), which is opened with the cookies and the `Origin` of
    /// a page of the app.
    ///
    /// `sse`: The path of an event stream (`text/event-stream`), as `EventSource` opens it. Each event is a
    /// message: its data, below a line `event: NAME` if it has a name.
    ///
    /// `stream`: The name of a WebSocket or event stream that an earlier step has left open.
    pub opening: Opening,
    /// Subprotocols of a WebSocket, by commas; the app must choose one of them. Default: none.
    pub protocol: Option<String>,
    /// The name by which the WebSocket or event stream stays open for later steps with `stream`, until one of
    /// them has `close = true`, until a restart, or to the end. Default: it is closed after its messages.
    pub open: Option<String>,
    /// Whether a step with `stream` closes it after its messages. Default: `false`.
    pub close: bool,
    /// The messages to send and to wait for, in order:
    /// `[{ send = "hello" }, { expect = "welcome" }]`. Each is one of:
    pub messages: Vec<Message>,
    /// No key: as of a request.
    pub header: BTreeMap<String, String>,
    /// No key: as of a request, of the messages that were expected.
    pub fold: Vec<String>,
}

/// The stream of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// No key: the path of a WebSocket.
    WebSocket(String),
    /// No key: the path of an event stream.
    Events(String),
    /// No key: the name of one that is open.
    Open(String),
}

/// One message of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `{ send = "text" }`, or `{ send = { hex = "30 6c 0a" } }` as binary.
    Send(Payload),
    /// `{ expect = "text" }`: waits for a message, text or binary, that contains the text. The two roots are
    /// compared by the whole message. `{ expect = { regex = "…" } }` waits for one that matches, and only the
    /// match is compared: for terminals and others whose output comes in pieces of any length. Messages that
    /// nothing has expected yet count, too, whenever they came; others are not compared. With `timeout_s`
    /// (1 to 120; default: 10) and `capture`, as of a request, from this message.
    Expect(Expected),
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// As text.
    Text(String),
    /// As binary.
    Binary(Vec<u8>),
}

/// A message to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What it is known by.
    pub wanted: Wanted,
    /// How long to wait for it.
    pub timeout_s: u32,
    /// Values for later messages and steps: name → regular expression whose group 1 counts.
    pub capture: BTreeMap<String, String>,
}

/// What a message is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It contains this text.
    Text(String),
    /// It matches this regular expression.
    Regex(String),
}

/// The default of `timeout_s`.
const TIMEOUT_S: u32 = 10;

/// The longest `timeout_s`: that of a silent response.
const MAX_TIMEOUT_S: u32 = 120;

/// The keys of a step with messages.
pub(super) struct StreamKeys {
    pub websocket: Option<String>,
    pub sse: Option<String>,
    pub stream: Option<String>,
    pub protocol: Option<String>,
    pub open: Option<String>,
    pub close: bool,
    pub messages: Vec<MessageKeys>,
    pub header: BTreeMap<String, String>,
    pub fold: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageKeys {
    send: Option<SendKeys>,
    expect: Option<ExpectKeys>,
    timeout_s: Option<u32>,
    #[serde(default)]
    capture: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "send is a text or { hex = \"30 6c\" }")]
enum SendKeys {
    Text(String),
    Binary(HexKeys),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HexKeys {
    hex: String,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expect is a text or { regex = \"…\" }")]
enum ExpectKeys {
    Text(String),
    Regex(RegexKeys),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegexKeys {
    regex: String,
}

/// Reads a step with messages.
pub(super) fn stream(
    check: &Checker,
    span: &Range<usize>,
    keys: StreamKeys,
) -> Result<StreamStep, RecipeError> {
    let rule = |rule: String| check.rule(span.clone(), rule);
    let opening = match (keys.websocket, keys.sse, keys.stream) {
        (Some(path), ..) => Opening::WebSocket(path),
        (_, Some(path), _) => Opening::Events(path),
        (.., name) => Opening::Open(name.unwrap_or_default()),
    };
    let is_open = match &opening {
        Opening::WebSocket(path) | Opening::Events(path) if !path.starts_with('/') => {
            return Err(rule(format!("`{path}` must begin with /")));
        }
        Opening::Open(_) => true,
        Opening::WebSocket(_) | Opening::Events(_) => false,
    };
    if keys.protocol.is_some() && !matches!(opening, Opening::WebSocket(_)) {
        return Err(rule("protocol: only a websocket has it".into()));
    }
    // RFC 9110, 5.6.2.
    let is_token = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    if let Some(protocol) = &keys.protocol
        && !protocol.split(',').all(|word| is_token(word.trim()))
    {
        return Err(rule(format!("protocol `{protocol}` is not a list of names, by commas")));
    }
    if is_open && (keys.open.is_some() || !keys.header.is_empty()) {
        return Err(rule("a stream that is open has neither open nor header".into()));
    }
    if !is_open && keys.close {
        return Err(rule(
            "close: only a step with stream has it; without open, others close by themselves".into(),
        ));
    }
    patterns(check, span, &BTreeMap::new(), &keys.fold)?;
    let messages = keys.messages.into_iter().enumerate();
    let messages = messages
        .map(|(index, keys)| message(check, span, &format!("message {}", index + 1), keys))
        .collect::<Result<_, _>>()?;
    Ok(StreamStep {
        opening,
        protocol: keys.protocol,
        open: keys.open,
        close: keys.close,
        messages,
        header: keys.header,
        fold: keys.fold,
    })
}

fn message(
    check: &Checker,
    span: &Range<usize>,
    which: &str,
    keys: MessageKeys,
) -> Result<Message, RecipeError> {
    let rule = |rule: &str| check.rule(span.clone(), format!("{which}: {rule}"));
    match (keys.send, keys.expect) {
        (Some(_), None) if keys.timeout_s.is_some() || !keys.capture.is_empty() => {
            Err(rule("only one with expect has timeout_s or capture"))
        }
        (Some(send), None) => {
            let payload = match send {
                SendKeys::Text(text) => Payload::Text(text),
                SendKeys::Binary(HexKeys { hex }) => {
                    let bytes =
                        bytes_of(&hex).ok_or_else(|| rule("send.hex has two digits for each byte"))?;
                    Payload::Binary(bytes)
                }
            };
            match &payload {
                Payload::Text(text) if text.len() <= MESSAGE_BYTES => Ok(Message::Send(payload)),
                Payload::Binary(bytes) if bytes.len() <= MESSAGE_BYTES => Ok(Message::Send(payload)),
                _ => Err(rule("send is longer than 1 MiB")),
            }
        }
        (None, Some(expect)) => {
            let wanted = match expect {
                ExpectKeys::Text(text) => Wanted::Text(text),
                ExpectKeys::Regex(RegexKeys { regex }) => Wanted::Regex(regex),
            };
            let regex = match &wanted {
                Wanted::Regex(regex) => Some(regex),
                Wanted::Text(_) => None,
            };
            patterns(check, span, &keys.capture, regex)?;
            match keys.timeout_s.unwrap_or(TIMEOUT_S) {
                timeout_s @ 1..=MAX_TIMEOUT_S => {
                    Ok(Message::Expect(Expected { wanted, timeout_s, capture: keys.capture }))
                }
                _ => Err(rule("timeout_s must be 1 to 120")),
            }
        }
        _ => Err(rule("it has one of send, expect")),
    }
}

/// Returns the bytes of hexadecimal digits; blanks may stand between bytes.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = |word: &str| -> Option<Vec<u8>> {
        let is_whole = word.len().is_multiple_of(2) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let pairs = word.as_bytes().chunks(2).filter(|_| is_whole).map(std::str::from_utf8);
        let bytes = pairs.map(|pair| u8::from_str_radix(pair.ok()?, 16).ok()).collect();
        if is_whole { bytes } else { None }
    };
    let words = hex.split_whitespace().map(digits).collect::<Option<Vec<_>>>()?;
    Some(words.concat())
}

/// Checks that each step with `stream` finds one open, to which it may send if it sends.
pub(super) fn open_ones(check: &Checker, steps: &[Step], spans: &[Range<usize>]) -> Result<(), RecipeError> {
    let mut open: BTreeMap<&str, bool> = BTreeMap::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (step, span) in steps.iter().zip(spans) {
        let rule = |rule: String| Err(check.rule(span.clone(), rule));
        let stream = match step {
            Step::Restart => {
                open.clear();
                continue;
            }
            Step::Stream(stream) => stream,
            _ => continue,
        };
        let is_events = match &stream.opening {
            Opening::WebSocket(_) => false,
            Opening::Events(_) => true,
            Opening::Open(name) => match (open.get(&name[..]), known.contains(&name[..])) {
                (Some(is_events), _) => *is_events,
                (None, true) => {
                    return rule(format!("stream `{name}` is closed, by a step or a restart before"));
                }
                (None, false) => {
                    return rule(format!("stream `{name}`: no step before has `open = \"{name}\"`"));
                }
            },
        };
        if is_events && stream.messages.iter().any(|message| matches!(message, Message::Send(_))) {
            return rule("send: nothing can be sent over an event stream".into());
        }
        if let (Opening::Open(name), true) = (&stream.opening, stream.close) {
            open.remove(&name[..]);
        }
        if let Some(name) = &stream.open {
            known.insert(name);
            if open.insert(name, is_events).is_some() {
                return rule(format!("open `{name}`: this name is that of a stream which is open"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(steps: &str) -> Result<Vec<Step>, String> {
        let head = "[app]\nname = \"tea\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n";
        let recipe = crate::recipe::read_text(std::path::Path::new("x"), format!("{head}{steps}"));
        recipe.map(|recipe| recipe.exercise).map_err(|error| error.to_string())
    }

    #[test]
    fn messages_are_sent_and_expected() {
        let steps = parsed(
            r#"[[exercise]]
websocket = "/ws"
protocol = "tty, other"
open = "chat"
header."X-A" = "b"
messages = [
    { send = "hello" },
    { send = { hex = "30 6c 73 0a00ff" } },
    { expect = "prompt", timeout_s = 30, capture.id = 'id=(\d+)' },
    { expect = { regex = 'total \d+' } },
]
[[exercise]]
sse = "/events"
fold = 'at \S+'
[[exercise]]
stream = "chat"
close = true
"#,
        );
        let steps = steps.expect("is good");
        let Step::Stream(first) = &steps[0] else { panic!("a stream") };
        assert_eq!(first.opening, Opening::WebSocket("/ws".into()));
        assert_eq!(first.messages[0], Message::Send(Payload::Text("hello".into())));
        assert_eq!(first.messages[1], Message::Send(Payload::Binary(b"0ls\n\0\xff".to_vec())));
        let Message::Expect(prompt) = &first.messages[2] else { panic!("is expected") };
        assert_eq!((prompt.timeout_s, &prompt.capture["id"][..]), (30, r"id=(\d+)"));
        let Message::Expect(total) = &first.messages[3] else { panic!("is expected") };
        assert_eq!((total.timeout_s, &total.wanted), (10, &Wanted::Regex(r"total \d+".into())));
        assert!(matches!(&steps[1], Step::Stream(events) if events.fold == [r"at \S+"]));
        assert!(matches!(&steps[2], Step::Stream(last) if last.opening == Opening::Open("chat".into())));
    }

    #[test]
    fn rules_of_steps_with_messages() {
        let ws = "[[exercise]]\nwebsocket = \"/ws\"\n";
        let opened = "[[exercise]]\nwebsocket = \"/ws\"\nopen = \"a\"\n";
        let other = "[[exercise]]\nstream = \"a\"\n";
        let messages = |one: &str| format!("{ws}messages = [{one}]\n");
        for (steps, expected) in [
            (
                format!("{ws}get = \"/\"\n"),
                "a step has one of get, post, put, delete, head, request, websocket, sse, stream, restart, sleep, run",
            ),
            (format!("{ws}status = 101\n"), "status: a step with messages has no such key"),
            (
                "[[exercise]]\nget = \"/\"\nmessages = []\n".into(),
                "messages: only steps with websocket, sse or stream have it",
            ),
            ("[[exercise]]\nwebsocket = \"ws\"\n".into(), "`ws` must begin with /"),
            ("[[exercise]]\nsse = \"/e\"\nprotocol = \"x\"\n".into(), "protocol: only a websocket has it"),
            (format!("{ws}protocol = \"a b\"\n"), "protocol `a b` is not a list of names, by commas"),
            (
                format!("{ws}close = true\n"),
                "close: only a step with stream has it; without open, others close by themselves",
            ),
            (format!("{opened}{other}open = \"b\"\n"), "a stream that is open has neither open nor header"),
            (other.into(), "stream `a`: no step before has `open = \"a\"`"),
            (
                format!("{opened}{other}close = true\n{other}"),
                "stream `a` is closed, by a step or a restart before",
            ),
            (
                format!("{opened}[[exercise]]\nrestart = true\n{other}"),
                "stream `a` is closed, by a step or a restart before",
            ),
            (format!("{opened}{opened}"), "open `a`: this name is that of a stream which is open"),
            (
                "[[exercise]]\nsse = \"/e\"\nmessages = [{ send = \"x\" }]\n".into(),
                "send: nothing can be sent over an event stream",
            ),
            (messages("{ send = \"x\", expect = \"y\" }"), "message 1: it has one of send, expect"),
            (messages("{ send = \"x\" }, {}"), "message 2: it has one of send, expect"),
            (messages("{ send = { hex = \"3\" } }"), "message 1: send.hex has two digits for each byte"),
            (messages("{ send = { hex = \"+1\" } }"), "message 1: send.hex has two digits for each byte"),
            (
                messages("{ send = \"x\", timeout_s = 3 }"),
                "message 1: only one with expect has timeout_s or capture",
            ),
            (messages("{ expect = \"x\", timeout_s = 0 }"), "message 1: timeout_s must be 1 to 120"),
            (messages("{ expect = { regex = \"(\" } }"), "`(` is not a regular expression"),
            (
                messages("{ expect = \"x\", capture.host = \"(.)\" }"),
                "capture.host: this name is that of the URL in the browser",
            ),
        ] {
            let found = parsed(&steps).expect_err(&steps);
            assert!(found.ends_with(&format!(": {expected}")), "{found}\n{steps}");
        }
    }
}
