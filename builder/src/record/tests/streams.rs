//! Recordings of WebSockets and event streams.

use std::{path::Path, time::Duration};

use super::*;
use crate::{
    exercise::{Miss, MissedMessage, Transcript},
    proxy::Heard,
};

/// A request at its place in the recording.
fn at(order: u64, exchange: Exchange) -> Exchange {
    Exchange { order, ..exchange }
}

/// A WebSocket with messages: place, time in milliseconds, whether the app says it, and what.
fn socket(order: u64, path: &str, fields: &[(&str, &str)], messages: &[(u64, u64, bool, &str)]) -> Exchange {
    let request = sent("websocket", &format!("GET {path}"), fields, b"");
    let switched = [&[("Upgrade", "websocket"), ("Connection", "Upgrade")][..], fields].concat();
    Exchange { order, messages: heard(messages), ..answered(request, 101, &switched, "") }
}

fn events(order: u64, path: &str, messages: &[(u64, u64, bool, &str)]) -> Exchange {
    let request = sent("script", &format!("GET {path}"), &[("Last-Event-ID", "4")], b"");
    let kind = [("Content-Type", "text/event-stream; charset=utf-8")];
    Exchange { order, messages: heard(messages), ..answered(request, 200, &kind, "") }
}

fn heard(messages: &[(u64, u64, bool, &str)]) -> Vec<Heard> {
    let one = |(order, millis, is_from_app, text): &(u64, u64, bool, &str)| Heard {
        order: *order,
        at: Duration::from_millis(*millis),
        is_from_app: *is_from_app,
        is_text: true,
        payload: text.as_bytes().to_vec(),
        is_cut: false,
    };
    messages.iter().map(one).collect()
}

/// A chat with a ticket of its page, a session of its own, an event stream, and a request that it answers to.
fn chat() -> Vec<Exchange> {
    let ticks: Vec<(u64, u64, bool, String)> =
        (0..20).map(|n| (30 + n, 100 + n, true, format!(r#"{{"type":"tick","n":{n}}}"#))).collect();
    let mut messages = vec![
        (10, 10, false, r#"{"type":"join","room":"green"}"#),
        (11, 40, true, r#"{"type":"joined","session":"77aa88bb99","at":1700000001}"#),
        (12, 40, true, r#"{"type":"mood","mood":"qwertzui"}"#),
        (13, 50, false, r#"{"type":"ping"}"#),
        (14, 60, false, r#"{"type":"say","session":"77aa88bb99","text":"a kettle of tin"}"#),
        (15, 2060, true, r#"{"type":"said","id":"11cc22dd33","text":"a kettle of tin"}"#),
        (16, 2061, true, r#"{"type":"mood","mood":"qwertzui"}"#),
        (61, 4061, true, r#"{"type":"topic","topic":"tin kettles","by":"77aa88bb99"}"#),
    ];
    messages.extend(ticks.iter().map(|(order, at, app, text)| (*order, *at, *app, text.as_str())));
    messages.sort_unstable();
    let kind = [("Content-Type", "application/json")];
    let topic = sent("script", "POST /topic", &kind, br#"{"topic":"tin kettles"}"#);
    let topic = Exchange { at: Duration::from_millis(4000), ..answered(topic, 204, &[], "") };
    vec![
        at(1, opened("/room", "<title>Room</title><body data-ticket=\"0a1b2c3d4e\">")),
        events(2, "/events", &[(62, 4061, true, "event: topic\ntin kettles")]),
        socket(3, "/ws/0a1b2c3d4e", &[("Sec-WebSocket-Protocol", "tea, milk")], &messages),
        at(60, topic),
    ]
}

#[test]
fn messages_are_steps_in_the_order_of_the_requests() {
    let (text, draft) = written(&chat(), &[]);
    let expected = r#"
# Room
[[exercise]]
get = "/room"
status = 200
contains = "Room"
capture.id = 'data\-ticket="([^"]*)"'
[[exercise]]
sse = "/events"
open = "events"
[[exercise]]
websocket = "/ws/{id}"
protocol = "tea, milk"
open = "ws"
messages = [
    { send = '{"type":"join","room":"green"}' },
    { expect = { regex = '"type":"joined"' }, capture.session = '"session":"([^"]+)"' },
    { expect = { regex = '"mood":"qwertzui"' } },
    { send = '{"type":"say","session":"{session}","text":"a kettle of tin"}' },
    { expect = { regex = '"text":"a kettle of tin"' }, timeout_s = 60 },
]
[[exercise]]
post = "/topic"
status = 204
body = { text = '{"topic":"tin kettles"}', type = "application/json" }
[[exercise]]
stream = "ws"
messages = [{ expect = { regex = '"topic":"tin kettles"' } }]
close = true
[[exercise]]
stream = "events"
messages = [{ expect = { regex = "tin kettles" } }]
close = true
"#;
    assert_eq!(text, expected);
    assert_eq!(draft.notes, Vec::<String>::new());
    let recipe = "[app]\nname = \"tea\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n";
    crate::recipe::read_text(Path::new("."), format!("{recipe}{text}")).expect("a recipe");
}

#[test]
fn a_stream_that_is_opened_again_and_says_nothing_new_is_one_step() {
    let news = |order, text| events(order, "/news?t=1", &[(order + 1, 0, true, text)]);
    let exchanges = [news(1, "data 1700000001"), news(3, "data 1700000002"), news(5, "all is new")];
    let (text, _) = written(&exchanges, &[]);
    let expected = "[[exercise]]\nsse = \"/news?t=1\"\nmessages = [{ expect = { regex = \"data\" } }]\n\
        [[exercise]]\nsse = \"/news?t=1\"\nmessages = [{ expect = \"all is new\" }]\n";
    assert_eq!(text, expected);
}

#[test]
fn what_cannot_be_sent_is_told_and_the_rest_is() {
    let long = "x".repeat(20_000);
    let keys: Vec<(u64, u64, bool, &str)> = (0..600).map(|n| (n + 10, n * 10, false, "k")).collect();
    let mut terminal = socket(1, "/tty", &[], &[(2, 0, false, "0ls\r"), (3, 1, false, &long)]);
    terminal.messages[0].is_text = false;
    terminal.messages.extend(heard(&[(4, 2, true, "cup \u{1b}[1mkettle\u{1b}[0m\r\n")]));
    let exchanges = [
        terminal,
        socket(9, "/keys", &[], &keys),
        at(700, answered(sent("x", "GET /h2", &[], b""), 101, &[("Upgrade", "h2c")], "")),
    ];
    let (text, draft) = written(&exchanges, &[]);
    assert_eq!(
        draft.notes,
        [
            "/h2: no step can speak what it upgrades to",
            "/tty: 1 messages that were sent are too long or too many for its steps",
            "/keys: 100 messages that were sent are too long or too many for its steps",
        ]
    );
    let expected = "[[exercise]]\nwebsocket = \"/tty\"\nmessages = [\n    { send = { hex = \"30 6c 73 0d\" } },\n    \
        { expect = { regex = \"kettle\" } },\n]\n";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(text.matches("{ send = \"k\" }").count(), 500);
}

#[test]
fn passwords_in_messages_are_replaced() {
    let login = r#"42["login",{"user":"verena","password":"open sesame"}]"#;
    let messages = [(2, 0, false, login), (3, 1, true, "42[\"welcome\"]")];
    let exchanges = [socket(1, "/socket.io/?EIO=4", &[], &messages)];
    assert_eq!(secret_fields(&exchanges), ["password"]);
    let (text, _) = written(&exchanges, &[]);
    let sent = r#"{ send = '42["login",{"user":"verena","password":"tea-for-two"}]' }"#;
    assert!(text.contains(sent) && text.contains(r#"{ expect = { regex = '"welcome"' } }"#), "{text}");
}

#[test]
fn messages_that_do_not_come_are_known_by_others_or_expected_no_more() {
    let (_, Draft { mut steps, .. }) = written(&chat(), &[]);
    let mut mended = |message: MissedMessage| {
        let miss = Miss {
            step: 3,
            what: "websocket /ws".to_owned(),
            problems: vec!["expected".to_owned()],
            excerpt: Vec::new(),
            message: Some(message),
        };
        let changes = mend(&mut steps, 0, &[miss], &Transcript::default());
        (changes, text(&steps))
    };
    let absent = |number: usize, others: &[&str]| MissedMessage {
        number,
        is_absent: true,
        others: others.iter().map(|text| text.as_bytes().to_vec()).collect(),
    };
    let (changes, _) = mended(absent(3, &[r#"{"type":"mood","mood":"asdfghjk"}"#]));
    assert_eq!(changes, [r#"step 3, websocket /ws: message 3: `"type":"mood"` is expected instead"#]);
    // A session is not given any more: what was recorded is sent.
    let (changes, written) = mended(absent(2, &["{}"]));
    let gone =
        |number, text| format!("step 3, websocket /ws: message {number}: `{text}` is expected no more");
    assert_eq!(changes, [gone(2, r#""type":"joined""#), gone(3, r#""type":"mood""#)]);
    assert!(
        written.contains(r#""session":"77aa88bb99""#) && !written.contains("capture.session"),
        "{written}"
    );
    // Where nothing is left of what answers, that is said.
    let (changes, written) = mended(absent(3, &[]));
    assert_eq!(changes, [gone(3, r#""text":"a kettle of tin""#)]);
    assert!(written.contains("# TODO: nothing that the app says to this is expected\n"), "{written}");
    // Of a stream that the app has ended, nothing is changed.
    let (changes, written) = mended(MissedMessage { is_absent: false, ..absent(2, &[]) });
    assert_eq!(changes, Vec::<String>::new());
    assert!(written.contains("# TODO: on a new grain this step does not hold: expected\n"), "{written}");
}
