//! The pieces of an app's message by which it is known again in another run: the keys of its JSON with their values, or its
//! words, without what varies.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

/// Longest piece, in characters.
const LENGTH: usize = 80;

/// Pieces of one message that are looked at.
const PIECES: usize = 400;

/// A key of JSON, also of JSON in a text of JSON, with its value.
static KEYED: LazyLock<Regex> = LazyLock::new(|| {
    let value = r#"(?:\\*"((?:[^"\\]|\\[^"])*?)\\*"|(-?\d[\d.eE+-]*|true|false))"#;
    Regex::new(&format!(r#"\\*"([^"\\]{{1,60}})\\*"\s*:\s*{value}"#)).expect("compiles")
});

/// A text of JSON.
static TEXT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""((?:[^"\\]|\\.){2,})"\s*(:?)"#).expect("compiles"));

/// Keys of what an app has to say, rather than of how it says it.
static CONTENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^(text|text/[\w.+-]+|data|content|message|msg|body|value|result|output|stdout|html|title|answer|reply|words|line|said|code|source|description|subject)$",
    )
    .expect("compiles")
});

/// Keys of what differs from run to run.
static PASSING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(^|[_.-])(id|uid|uuid|guid|pid|ts|time|timestamp|date|seq|sequence|port|uptime|duration|elapsed|expires|modified|created|token|nonce|hash|etag|session|key|rev|sid)$|[a-z](Id|At|Time|Date)$",
    )
    .expect("compiles")
});

/// What differs from run to run: ids, times, long numbers, fractions.
static VARYING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        \d{4}-\d\d-\d\d(?:[T\ ][\d:.]+)?(?:Z|[+-]\d\d:?\d\d)?
        | \d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?
        | \b[0-9a-fA-F]{8,}(?:[-_][0-9a-fA-F]+)*\b
        | \d+\.\d{3,}
        | \d{5,}
        | /tmp/\S+
        # Colours of a terminal.
        | \x1b\[[0-9;?]*[A-Za-z]",
    )
    .expect("compiles")
});

static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d+").expect("compiles"));

/// A run of plain text.
static RUN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{L}\p{N}_](?:[\p{L}\p{N}_ ]|[,:;!?./+=-][\p{L}\p{N}_ ])*").expect("compiles")
});

/// A text that a message has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// It, as the message has it.
    pub text: String,
    /// Whether that is all of the message.
    pub is_whole: bool,
    /// How much it says, most first: whether it is what the app has to say, letters and digits.
    pub says: (u8, usize),
}

/// Returns the values of a message that is JSON, also behind a few letters as some protocols have it (`42["said",{}]`).
pub fn json(text: &str) -> Option<Value> {
    let start = text.find(['{', '[']).filter(|start| *start <= 100)?;
    // Not a sentence.
    if text[..start].contains(' ') && !text.starts_with("event:") {
        return None;
    }
    serde_json::from_str(&text[start..]).ok()
}

/// Returns the pieces of a message that another run should have, too, those that say most first. Texts in `differing` are
/// known to differ.
pub fn pieces(payload: &[u8], is_cut: bool, differing: &[&str]) -> Vec<Piece> {
    let text = match std::str::from_utf8(payload) {
        Ok(text) => text,
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&payload[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return of_bytes(payload, differing),
    };
    let mut out = match json(text).is_some() || is_cut && text.starts_with(['{', '[']) {
        true => of_json(text),
        false => of_text(text, differing),
    };
    let differs = |piece: &str| differing.iter().any(|text| piece.contains(text));
    out.retain(|piece| !differs(&piece.text));
    out.sort_by_key(|piece| std::cmp::Reverse(piece.says));
    out.dedup_by(|one, other| one.text == other.text);
    out
}

fn of_json(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    for found in KEYED.captures_iter(text).take(PIECES) {
        let (Some(key), Some(whole)) = (found.get(1), found.get(0)) else { continue };
        let string = found.get(2);
        let value = string.or_else(|| found.get(3)).map_or("", |value| value.as_str());
        if PASSING.is_match(key.as_str()) || varies(value) || value.trim().is_empty() {
            continue;
        }
        let grade = match string {
            Some(_) if CONTENT.is_match(key.as_str()) => 3,
            Some(_) if value.contains(char::is_alphabetic) => 2,
            _ => 1,
        };
        // A message may have its JSON as a text of JSON, whose quotation marks stay as they are.
        out.extend(piece(text, whole.range(), grade, value));
    }
    for found in TEXT.captures_iter(text).take(PIECES) {
        let (Some(whole), Some(value)) = (found.get(0), found.get(1)) else { continue };
        let is_key = found.get(2).is_some_and(|colon| !colon.is_empty());
        let is_of_key = text[..whole.start()].trim_end().ends_with(':');
        if is_key || is_of_key || varies(value.as_str()) || value.as_str().contains("\\\"") {
            continue;
        }
        let end = value.end() + 1;
        out.extend(piece(text, whole.start()..end, 2, value.as_str()));
    }
    out
}

/// Returns what words there are; all of a short message if nothing of it varies.
fn of_text(text: &str, differing: &[&str]) -> Vec<Piece> {
    let mut out = Vec::new();
    let is_plain = !text.contains(|c: char| c.is_control());
    if is_plain && text.chars().count() <= LENGTH && !text.trim().is_empty() && !varies(text) {
        out.push(Piece { text: text.to_owned(), is_whole: true, says: (3, usize::MAX) });
    }
    let known = differing.iter().filter(|known| !known.is_empty());
    let known = known.flat_map(|known| text.match_indices(known).map(|(at, _)| (at, at + known.len())));
    let mut cuts: Vec<(usize, usize)> =
        VARYING.find_iter(text).map(|found| (found.start(), found.end())).chain(known).take(PIECES).collect();
    cuts.sort_unstable();
    cuts.push((text.len(), text.len()));
    let mut from = 0;
    for (start, end) in cuts {
        let between = text.get(from..start).unwrap_or_default();
        for run in RUN.find_iter(between).take(PIECES) {
            let (start, run) = (run.start(), run.as_str().trim_end());
            // The name of an event says less than its data.
            let is_name = from == 0 && start == 0 && run.starts_with("event: ");
            out.extend(piece(between, start..start + run.len(), if is_name { 1 } else { 2 }, run));
            // What counts may be counted otherwise.
            for words in NUMBER.split(run).filter(|words| *words != run) {
                let words = words.trim();
                if let Some(at) = run.find(words).filter(|_| words.len() >= 3) {
                    let at = start + at;
                    out.extend(piece(between, at..at + words.len(), 1, words));
                }
            }
        }
        from = from.max(end);
    }
    out
}

/// Returns the readable runs of bytes that are no text.
fn of_bytes(payload: &[u8], differing: &[&str]) -> Vec<Piece> {
    let runs = payload.split(|byte| !(b' '..=b'~').contains(byte)).filter(|run| run.len() >= 6);
    let texts = runs.take(PIECES).filter_map(|run| std::str::from_utf8(run).ok());
    let mut out: Vec<Piece> = texts
        .flat_map(|text| of_text(text, differing))
        .map(|piece| Piece { is_whole: false, ..piece })
        .collect();
    out.sort_by_key(|piece| std::cmp::Reverse(piece.says));
    out
}

/// Returns a part of a text as a piece, cut to its length; nothing where it says nothing.
fn piece(text: &str, range: Range<usize>, grade: u8, value: &str) -> Option<Piece> {
    let part: String = text[range].chars().take(LENGTH).collect();
    // Half an escape would be another text.
    let part = part.trim_end_matches('\\');
    let says = value.chars().filter(|c| c.is_alphanumeric()).take(LENGTH).count();
    let is_plain = !part.contains(|c: char| c.is_control());
    (says > 0 && is_plain).then(|| Piece { text: part.to_owned(), is_whole: false, says: (grade, says) })
}

/// Returns whether a value differs from run to run by its looks.
fn varies(value: &str) -> bool {
    let count = |is: fn(&char) -> bool| value.chars().filter(is).count();
    let is_random = value.len() >= 16
        && !value.contains(char::is_whitespace)
        && count(char::is_ascii_uppercase) >= 3
        && count(char::is_ascii_lowercase) >= 3
        && count(char::is_ascii_digit) >= 1;
    is_random || VARYING.is_match(value)
}

/// Returns a message without what varies: two that differ in that alone say the same.
pub fn skeleton(payload: &[u8]) -> String {
    VARYING.replace_all(&String::from_utf8_lossy(payload), "…").into_owned()
}

/// Returns a message without any number: those of a clock, or of a mouse that is moved, are the same.
pub fn bare(skeleton: &str) -> String {
    NUMBER.replace_all(skeleton, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Option<(String, bool)> {
        let found = pieces(text.as_bytes(), false, &["4711aa"]);
        found.first().map(|piece| (piece.text.clone(), piece.is_whole))
    }

    #[test]
    fn the_piece_that_says_most_stands_first_and_nothing_that_varies() {
        for (text, expected) in [
            ("red: reddish", Some(("red: reddish", true))),
            ("1700000123 ticks", Some(("ticks", false))),
            ("1700000123", None),
            ("room 4711aa is open", Some(("is open", false))),
            (
                r#"{"msg_type": "stream", "msg_id": "a1b2c3d4-1111-2222-3333-444455556666_1", "content": {"name": "stdout", "text": "42\n"}}"#,
                { Some((r#""text": "42\n""#, false)) },
            ),
            (r#"{"id": "tea", "time": "12:01:02", "at": 12.0625, "n": 3}"#, Some((r#""n": 3"#, false))),
            (r#"42["chat message","a kettle"]"#, Some((r#""chat message""#, false))),
            (r#"a["{\"msg\":\"added\",\"id\":\"Xk9\"}"]"#, Some((r#"\"msg\":\"added\""#, false))),
            ("event: cup\ntin", Some(("tin", false))),
            ("event: cup\n{\"words\":\"green tea\"}", Some((r#""words":"green tea""#, false))),
            ("\u{1b}[1mroot@tea\u{1b}[0m:/# ", Some(("root", false))),
            ("{\"date\": \"2026-11-30T19:11:59.123Z\", \"x\": \"0a1b2c3d4e\"}", None),
        ] {
            let expected = expected.map(|(text, is_whole)| (text.to_owned(), is_whole));
            assert_eq!(first(text), expected, "{text}");
        }
        let long = format!("{{\"text\": \"{}\"}}", "a\\n".repeat(100));
        let found = pieces(long.as_bytes(), false, &[]);
        assert!(long.contains(&found[0].text) && found[0].text.len() <= LENGTH, "{found:?}");
        let found = pieces(b"\x00\x01\xffhello tea\xfe\x00", false, &[]);
        assert_eq!((found[0].text.as_str(), found[0].is_whole), ("hello tea", false));
    }

    #[test]
    fn messages_that_differ_in_ids_and_times_say_the_same() {
        let one = skeleton(br#"{"id":"77aa88bb99","at":"2026-11-30T10:00:00Z","n":1}"#);
        let other = skeleton(br#"{"id":"11cc22dd33","at":"2026-11-30T10:00:05Z","n":2}"#);
        assert_ne!(one, other);
        assert_eq!(bare(&one), bare(&other));
        assert_eq!(skeleton(b"t=1700000001"), skeleton(b"t=1700000002"));
        // As Jupyter numbers its messages, and a UUID.
        for id in ["d2fa1147-106e349d4358f027776abd98_4_5", "a1b2c3d4-1111-2222-3333-444455556666"] {
            assert_eq!(skeleton(format!("<{id}>").as_bytes()), "<…>");
        }
    }
}
