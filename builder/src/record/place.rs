//! The place of a value in a response, as a regular expression that finds the value of another run there.

use std::sync::LazyLock;

use regex::Regex;

use crate::{exercise::compile, formats::html};

/// Longest text before a value that an expression has, in characters.
const CONTEXT: usize = 80;

/// Longest tag that is looked at.
const TAG_BYTES: usize = 4096;

/// An attribute that begins right before a value.
static ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"([\w:.-]+)\s*=\s*(["'])$"#).expect("compiles"));

/// The name of an element.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\s((?:name|property|id)\s*=\s*(?:"[^"]+"|'[^']+'|[^\s"'>=]+))"#).expect("compiles")
});

/// A key of JSON, or a variable of a script, right before a value.
static KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"((?:"[\w.-]+"|'[\w.-]+'|\b[\w.]+)\s*[:=]\s*["']?)$"#).expect("compiles"));

static DIGITS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d{4,}").expect("compiles"));

/// Returns an expression that gives a value of a step's responses, as the exercise looks for it: in the first response,
/// else in the last.
///
/// `host` is the app's authority, which is another one at a replay.
pub fn pattern(said: &[Vec<u8>], value: &str, host: &str) -> Option<String> {
    let texts: Vec<String> = said.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    let places =
        || texts.iter().flat_map(|text| places(text, value).map(move |place| (text.as_str(), place)));
    // A name says more than what stands by chance before a value, wherever it is.
    let fields = places().flat_map(|(text, (at, length))| in_tag(&text[..at], &text[at + length..]));
    let keys = places()
        .filter_map(|(text, (at, length))| of_key(&text[..at], &text[at..at + length], &text[at + length..]));
    let others = places().flat_map(|(text, (at, length))| by_context(text, at, length, host));
    fields.chain(keys).chain(others).find(|pattern| gives(pattern, said, value))
}

/// Returns an expression for the value of a cookie.
pub fn cookie_pattern(said: &[Vec<u8>], value: &str) -> Option<String> {
    for bytes in said {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines().take_while(|line| !line.is_empty()) {
            let Some((header, cookie)) = line.split_once(": ") else { continue };
            let name = cookie.split_once('=').filter(|(_, rest)| rest.split(';').next() == Some(value));
            if let Some((name, _)) = name.filter(|_| header.eq_ignore_ascii_case("set-cookie")) {
                let pattern = format!(r"{header}: {}=([^;\n]+)", regex::escape(name));
                if gives(&pattern, said, value) {
                    return Some(pattern);
                }
            }
        }
    }
    None
}

/// Returns whether responses have a value, cookies aside.
pub fn has(said: &[Vec<u8>], value: &str) -> bool {
    // Most have it nowhere.
    let start = value.as_bytes();
    let escaped = crate::web::escaped(value);
    said.iter().any(|bytes| {
        let is_there = memchr::memmem::find(bytes, start).is_some()
            || escaped != value && memchr::memmem::find(bytes, escaped.as_bytes()).is_some();
        is_there && places(&String::from_utf8_lossy(bytes), value).next().is_some()
    })
}

/// Returns where a value stands, by itself and not in a cookie: its start and its length.
fn places<'a>(text: &'a str, value: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    let escaped = crate::web::escaped(value);
    let other = (escaped != value).then_some(escaped);
    let forms: Vec<String> = std::iter::once(value.to_owned()).chain(other).collect();
    forms.into_iter().flat_map(move |form| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let starts: Vec<usize> = text.match_indices(form.as_str()).map(|(at, _)| at).take(1000).collect();
        let length = form.len();
        starts.into_iter().filter_map(move |at| {
            let line = &text[text[..at].rfind('\n').map_or(0, |end| end + 1)..at];
            let is_cookie = line.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("set-cookie:"));
            let before = text[..at].chars().next_back();
            let after = text[at + length..].chars().next();
            let is_whole = !before.is_some_and(is_word) && !after.is_some_and(is_word);
            (is_whole && !is_cookie).then_some((at, length))
        })
    })
}

/// Returns expressions for a place by the text before it, the shortest first.
fn by_context<'a>(
    text: &'a str,
    at: usize,
    length: usize,
    host: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let (before, behind) = (&text[..at], &text[at + length..]);
    let line = &before[before.rfind('\n').map_or(0, |end| end + 1)..];
    let starts: Vec<usize> = line.char_indices().rev().map(|(start, _)| start).take(CONTEXT).collect();
    let class = class_of(&text[at..at + length]);
    starts.into_iter().filter(|start| line.len() - start >= 4).flat_map(move |start| {
        let is_word = |c: char| c.is_alphanumeric();
        let cuts_word =
            line[..start].chars().next_back().is_some_and(is_word) && line[start..].starts_with(is_word);
        let context = context(&line[start..], host);
        let after: String = behind.chars().take(1).filter(|c| !c.is_control()).collect();
        let after = regex::escape(&after);
        let both = [format!("{context}({class})"), format!("{context}({class}){after}")];
        both.into_iter().filter(move |_| !cuts_word)
    })
}

/// Returns an expression for text that stands before a value: what differs from run to run is left open.
fn context(text: &str, host: &str) -> String {
    let escaped = regex::escape(text);
    let escaped = match host.is_empty() {
        true => escaped,
        false => escaped.replace(&regex::escape(host), "[^/]+"),
    };
    DIGITS.replace_all(&escaped, r"\d+").into_owned()
}

/// Returns expressions for the value of an attribute: by the name of its element, and by that of the attribute.
fn in_tag(before: &str, behind: &str) -> Vec<String> {
    let Some(open) = before.rfind('<').filter(|open| before.len() - open < TAG_BYTES) else {
        return Vec::new();
    };
    let start = &before[open..];
    let Some(found) = ATTRIBUTE.captures(start).filter(|_| !start.contains('>')) else { return Vec::new() };
    let (whole, attribute, quote) = (&found[0], &found[1], &found[2]);
    if !behind.starts_with(quote) {
        return Vec::new();
    }
    let value = format!("([^{quote}]*){quote}");
    let attribute = format!("{}={quote}", regex::escape(attribute));
    let attribute = match whole.contains(char::is_whitespace) {
        true => regex::escape(whole),
        false => attribute,
    };
    let mut out = Vec::new();
    let head = &start[..start.len() - whole.len()];
    let end = behind.find('>').filter(|end| *end < TAG_BYTES).unwrap_or(0);
    if let Some(name) = NAME.captures_iter(head).last() {
        let between = &head[name.get(1).map_or(0, |name| name.end())..];
        let between = match between.trim().is_empty() {
            true => between.to_owned(),
            false => r"[^>]*?\s".to_owned(),
        };
        out.push(format!("{}{between}{attribute}{value}", regex::escape(&name[1])));
    } else if let Some(name) = NAME.captures(&behind[..end]) {
        out.push(format!(r"{attribute}{value}[^>]*?\s{}", regex::escape(&name[1])));
    }
    out.push(format!("{attribute}{value}"));
    out
}

/// Returns an expression for the value of a key of JSON.
fn of_key(before: &str, value: &str, behind: &str) -> Option<String> {
    let start = before.len().saturating_sub(CONTEXT);
    let start = (start..before.len()).find(|at| before.is_char_boundary(*at))?;
    let key = KEY.captures(&before[start..])?;
    let key = &key[1];
    let quote = key.chars().next_back().filter(|c| matches!(c, '"' | '\'') && key.contains([':', '=']));
    let quote = quote.filter(|quote| behind.starts_with(*quote) && !key.trim_end().ends_with([':', '=']));
    let key = context(key, "");
    match quote {
        Some(quote) => Some(format!("{key}([^{quote}]+){quote}")),
        None => Some(format!("{key}({})", class_of(value))),
    }
}

/// Returns the class of characters of a value's kind, repeated.
fn class_of(value: &str) -> String {
    let all = |is: fn(char) -> bool| value.chars().all(is);
    if all(|c| c.is_ascii_digit()) {
        return r"\d+".to_owned();
    }
    if value.len() >= 8 && all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
        return "[0-9a-f]+".to_owned();
    }
    let mut others: Vec<char> = value.chars().filter(|c| !c.is_ascii_alphanumeric()).collect();
    others.sort_unstable();
    others.dedup();
    let others: String = others.into_iter().map(|c| regex::escape(&c.to_string())).collect();
    format!("[0-9A-Za-z{others}]+")
}

/// Returns whether an expression gives a value as the exercise captures it.
pub fn gives(pattern: &str, said: &[Vec<u8>], value: &str) -> bool {
    let Ok(regex) = compile(0, pattern) else { return false };
    let found = said.iter().find_map(|said| regex.captures(said).and_then(|groups| groups.get(1)));
    found.is_some_and(|found| html::unescape(&String::from_utf8_lossy(found.as_bytes())) == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, value: &str) -> Option<String> {
        pattern(&[text.as_bytes().to_vec()], value, "127.0.0.1:8000")
    }

    #[test]
    fn a_place_is_told_by_the_names_around_it() {
        for (text, value, expected) in [
            (
                r#"<input type="hidden" name="sectok" value="0a1b2c3d" /><input name="date" value="1700000000">"#,
                "0a1b2c3d",
                r#"name="sectok" value="([^"]*)""#,
            ),
            (
                r#"<input name="a" value="1"><input name='csrf' type=hidden value='x&amp;9-yz'>"#,
                "x&9-yz",
                r"name='csrf'[^>]*?\svalue='([^']*)'",
            ),
            (
                r#"<meta content="Ab3/9+z=" name="csrf-token">"#,
                "Ab3/9+z=",
                r#"content="([^"]*)"[^>]*?\sname="csrf\-token""#,
            ),
            (
                r#"<a href="/x?sectok=0a1b2c3d">x</a><input type="hidden" name="sectok" value="0a1b2c3d" />"#,
                "0a1b2c3d",
                r#"name="sectok" value="([^"]*)""#,
            ),
            (r#"<body data-nonce="77aa88bb">"#, "77aa88bb", r#"data\-nonce="([^"]*)""#),
            (r#"{"other": 123456, "id": "f00dcafe77"}"#, "f00dcafe77", r#""id": "([^"]+)""#),
            (r#"{"other": 123456, "id": 654321}"#, "654321", r#""id": (\d+)"#),
            ("var nonce = 'ab12cd34';", "ab12cd34", "nonce = '([^']+)'"),
            ("Location: http://127.0.0.1:8000/pad/x7Yz93qq\nX: y\n\n", "x7Yz93qq", "pad/([0-9A-Za-z]+)"),
            ("<a href='/edit/11223344'>e</a><a href='/del/55667788'>d</a>", "55667788", r"del/(\d+)"),
        ] {
            assert_eq!(of(text, value).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn cookies_are_no_place_but_by_their_names() {
        let said = [b"Set-Cookie: a=1\nSet-Cookie: csrf=abc123def; Path=/\n\nno".to_vec()];
        assert_eq!(pattern(&said, "abc123def", ""), None);
        assert!(!has(&said, "abc123def"));
        assert_eq!(cookie_pattern(&said, "abc123def").as_deref(), Some(r"Set-Cookie: csrf=([^;\n]+)"));
        assert_eq!(cookie_pattern(&said, "abc123"), None);
    }
}
