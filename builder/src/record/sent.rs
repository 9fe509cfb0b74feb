//! What a request sends: its values by name, and how path, headers and body are written with captures in them.

use std::{collections::BTreeMap, ops::Range};

use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::form_urlencoded;

use super::{
    BodyDraft, CLOSE, Exchange, OPEN, choose::Kind, pieces, placeholder, replace_whole, secrets::Secrets,
    tokens::Token, write::Names,
};
use crate::exercise::form_encode;

/// Headers that the exercise sends by itself, or that say nothing to an app.
const BROWSERS_OWN: [&str; 29] = [
    "host",
    "user-agent",
    "accept",
    "accept-language",
    "accept-encoding",
    "accept-charset",
    "cookie",
    "connection",
    "keep-alive",
    "proxy-connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "expect",
    "te",
    "origin",
    "referer",
    "cache-control",
    "pragma",
    "priority",
    "upgrade",
    "upgrade-insecure-requests",
    "if-none-match",
    "if-modified-since",
    "dnt",
    "save-data",
    "range",
    "if-range",
    "x-forwarded-for",
];

/// Longest text of a body that stands in recipe.toml itself, in bytes.
const INLINE_BYTES: usize = 400;

/// Longest value in which a token is looked for that is only a part of it, in bytes: longer ones are a person's texts.
const COMPOSED_BYTES: usize = 200;

/// A part of a `multipart/form-data` body (RFC 7578).
struct Part {
    name: String,
    is_file: bool,
    head: Range<usize>,
    body: Range<usize>,
}

/// Returns the values that a request sends, with their names: of its query, its form, the texts and numbers in its JSON.
pub fn fields(exchange: &Exchange) -> Vec<(String, String)> {
    let owned = |pairs: form_urlencoded::Parse<'_>| pairs.into_owned().collect::<Vec<_>>();
    let mut out = owned(form_urlencoded::parse(exchange.path_and_query().1.as_bytes()));
    match &exchange.kind()[..] {
        "application/x-www-form-urlencoded" => out.extend(owned(form_urlencoded::parse(&exchange.body))),
        "multipart/form-data" => out.extend(
            parts(exchange)
                .into_iter()
                .filter(|part| !part.is_file)
                .map(|part| (part.name, String::from_utf8_lossy(&exchange.body[part.body]).into_owned())),
        ),
        _ => {
            if let Ok(value) = serde_json::from_slice(&exchange.body) {
                leaves("value", &value, &mut out);
            }
        }
    }
    out
}

/// Returns all values in which a request may send something back, with their names: its fields, what scripts set as
/// headers, and the segments of its path.
pub fn values(exchange: &Exchange) -> Vec<(String, String)> {
    let headers = own_headers(exchange).filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let path = percent_decode_str(exchange.path_and_query().0).decode_utf8_lossy().into_owned();
    let segments = path.split('/').map(|segment| ("id".to_owned(), segment.to_owned()));
    fields(exchange).into_iter().chain(headers).chain(segments).collect()
}

/// Returns the values of a message of text, with their names: the texts and numbers in its JSON, else its words.
pub fn message_fields(payload: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(payload);
    let mut out = Vec::new();
    match pieces::json(&text) {
        Some(value) => leaves("value", &value, &mut out),
        None => out.extend(text.split_whitespace().map(|word| ("value".to_owned(), word.to_owned()))),
    }
    out
}

/// Returns a message as a step sends it: with captures, and without passwords that are not to be written.
pub fn message(exchange: &Exchange, text: &str, tokens: &[Token], secrets: &Secrets) -> String {
    let text = match pieces::json(text) {
        Some(value) => json(text, &value, secrets),
        None => secrets.replaced(text),
    };
    with_base(exchange, &with_tokens(&text, tokens))
}

/// Returns the names of files that a request uploads.
pub fn uploaded(exchange: &Exchange) -> Vec<String> {
    let parts = parts(exchange).into_iter().filter(|part| part.is_file);
    let head = |part: Part| String::from_utf8_lossy(&exchange.body[part.head]).into_owned();
    parts.filter_map(|part| parameter(&head(part), "filename")).filter(|name| !name.is_empty()).collect()
}

fn leaves(key: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => out.push((key.to_owned(), text.clone())),
        Value::Number(number) => out.push((key.to_owned(), number.to_string())),
        Value::Array(items) => items.iter().for_each(|item| leaves(key, item, out)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| leaves(key, value, out)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Returns the parts of a multipart body; none where it is no such body.
fn parts(exchange: &Exchange) -> Vec<Part> {
    let kind = exchange.header("content-type").unwrap_or_default();
    let Some(boundary) = parameter(kind, "boundary").filter(|boundary| !boundary.is_empty()) else {
        return Vec::new();
    };
    let body = &exchange.body;
    let line = format!("--{boundary}");
    let starts: Vec<usize> = memchr::memmem::find_iter(body, line.as_bytes()).collect();
    let mut out = Vec::new();
    for pair in starts.windows(2) {
        let (from, to) = (pair[0] + line.len(), pair[1]);
        let Some(end) = memchr::memmem::find(&body[from..to], b"\r\n\r\n") else { continue };
        let head = from..from + end;
        let content = from + end + 4..to.saturating_sub(2).max(from + end + 4);
        let text = String::from_utf8_lossy(&body[head.clone()]).into_owned();
        let name = parameter(&text, "name").unwrap_or_default();
        out.push(Part { name, is_file: parameter(&text, "filename").is_some(), head, body: content });
    }
    out
}

/// Returns a parameter of a header, such as `name="x"`.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let at = rest.find(name)?;
        let is_own = rest[..at].ends_with([' ', ';', '\t']);
        rest = &rest[at + name.len()..];
        let Some(value) = rest.strip_prefix('=').filter(|_| is_own) else { continue };
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => value.split([';', '\r', '\n']).next(),
        };
        return value.map(|value| value.trim().to_owned());
    }
}

/// Returns path and query with the captures that they send.
pub fn path(exchange: &Exchange, tokens: &[Token], secrets: &Secrets) -> String {
    let (path, query) = exchange.path_and_query();
    let fields = query.split('&').map(|field| {
        let pair = form_urlencoded::parse(field.as_bytes()).next();
        let instead = pair.and_then(|(name, value)| secrets.instead(&name, &value));
        match (instead, field.split_once('=')) {
            (Some(instead), Some((name, _))) => format!("{name}={}", form_encode(instead)),
            _ => field.to_owned(),
        }
    });
    let query = fields.collect::<Vec<_>>().join("&");
    let target = if exchange.target.contains('?') { format!("{path}?{query}") } else { path.to_owned() };
    let mut path = filled(&target, tokens);
    if let Some((host, port)) = exchange.header("host").and_then(|host| host.split_once(':')) {
        let encoded = format!("{}%3A{}", placeholder("host"), placeholder("port"));
        path = path.replace(&format!("{host}%3A{port}"), &encoded);
        path = path.replace(&format!("{host}%3a{port}"), &encoded);
    }
    with_base(exchange, &path)
}

/// Returns the headers that a step sends beside those of all.
pub fn headers(
    exchange: &Exchange,
    kind: Kind,
    tokens: &[Token],
    secrets: &Secrets,
) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (name, value) in own_headers(exchange) {
        let value = match name.eq_ignore_ascii_case("authorization") {
            true => secrets.authorization(value),
            false => value.to_owned(),
        };
        out.insert(name.to_owned(), with_base(exchange, &filled(&value, tokens)));
    }
    let accept = exchange.header("accept").filter(|accept| !accept.contains("*/*"));
    if let Some(accept) = accept.filter(|_| matches!(kind, Kind::Change | Kind::Data)) {
        out.insert("Accept".to_owned(), accept.to_owned());
    }
    // The exercise sends it with POST.
    if !matches!(&exchange.method[..], "GET" | "HEAD" | "POST") && exchange.header("origin").is_some() {
        out.insert("Origin".to_owned(), placeholder("base"));
    }
    out
}

/// Returns the headers that a page's script has set.
pub fn own_headers(exchange: &Exchange) -> impl Iterator<Item = (&str, &str)> {
    let is_own = |name: &str| {
        let name = name.to_ascii_lowercase();
        !BROWSERS_OWN.contains(&name.as_str()) && !name.starts_with("sec-")
    };
    exchange
        .headers
        .iter()
        .filter(move |(name, _)| is_own(name))
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Returns the body of a step, and the fields whose passwords were replaced.
pub fn body(
    exchange: &Exchange,
    tokens: &[Token],
    secrets: &Secrets,
    names: &mut Names,
) -> (BodyDraft, Vec<String>) {
    let mut replaced: Vec<String> = Vec::new();
    for (name, value) in fields(exchange) {
        if secrets.instead(&name, &value).is_some() && !replaced.contains(&name) {
            replaced.push(name);
        }
    }
    let content_type = exchange.header("content-type").unwrap_or("application/octet-stream").to_owned();
    let body = match (&exchange.kind()[..], std::str::from_utf8(&exchange.body)) {
        _ if exchange.body.is_empty() => BodyDraft::Empty,
        ("application/x-www-form-urlencoded", Ok(text)) => form(exchange, text, tokens, secrets, names),
        ("multipart/form-data", _) => BodyDraft::File {
            name: names.next("body"),
            content_type,
            bytes: multipart(exchange, tokens, secrets),
        },
        (kind, Ok(text)) => {
            let value = serde_json::from_str(text).ok().filter(|_| kind.contains("json"));
            let text = match value {
                Some(value) => json(text, &value, secrets),
                None => secrets.replaced(text),
            };
            let text = with_base(exchange, &filled(&text, tokens));
            match text.len() <= INLINE_BYTES && !text.contains(|c: char| c.is_control() && c != '\n') {
                true => BodyDraft::Text { content_type, text },
                false => {
                    let bytes = super::braced(&text).into_bytes();
                    BodyDraft::File { name: names.next("body"), content_type, bytes }
                }
            }
        }
        (_, Err(_)) => {
            BodyDraft::File { name: names.next("body"), content_type, bytes: exchange.body.clone() }
        }
    };
    (body, replaced)
}

fn form(
    exchange: &Exchange,
    text: &str,
    tokens: &[Token],
    secrets: &Secrets,
    names: &mut Names,
) -> BodyDraft {
    let pairs = form_urlencoded::parse(text.as_bytes()).into_owned();
    let pairs: Vec<(String, String)> = pairs
        .map(|(name, value)| {
            let value = match secrets.instead(&name, &value) {
                Some(instead) => instead.to_owned(),
                None => with_base(exchange, &filled(&value, tokens)),
            };
            (name, value)
        })
        .collect();
    let is_once = |name: &str| pairs.iter().filter(|(other, _)| other == name).count() == 1;
    // Braces of a person's own would be taken for a name.
    let is_plain = |text: &str| !text.contains(|c: char| c.is_control() || c == '{');
    let size: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    if size <= INLINE_BYTES && pairs.iter().all(|(name, value)| is_once(name) && is_plain(value)) {
        return BodyDraft::Form(pairs);
    }
    let lines = pairs.iter().enumerate().map(|(number, (name, value))| {
        let and = if number == 0 { "" } else { "&" };
        format!("{and}{}={}\n", form_encode(name), encoded(value))
    });
    BodyDraft::FormFile { name: names.next("form"), text: lines.collect() }
}

/// Encodes a text around the captures in it.
pub(super) fn encoded(value: &str) -> String {
    let mut out = String::new();
    for (number, piece) in value.split([OPEN, CLOSE]).enumerate() {
        match number % 2 {
            0 => out += &form_encode(piece),
            _ => out += &format!("{{{piece}}}"),
        }
    }
    out
}

/// Returns a text that has JSON in it, whose value is given, without passwords that are not to be written.
fn json(text: &str, value: &Value, secrets: &Secrets) -> String {
    let mut texts = Vec::new();
    leaves("value", value, &mut texts);
    let mut out = text.to_owned();
    for (name, value) in texts {
        if let Some(instead) = secrets.instead(&name, &value) {
            // As scripts write it, whose quotes and escapes are those of this program, too.
            let (found, written) = (Value::from(value), Value::from(instead));
            out = out.replace(&found.to_string(), &written.to_string());
        }
    }
    out
}

/// Returns a multipart body with captures in its fields; what is uploaded stays as it is.
fn multipart(exchange: &Exchange, tokens: &[Token], secrets: &Secrets) -> Vec<u8> {
    let mut out = Vec::with_capacity(exchange.body.len());
    let mut from = 0;
    for part in parts(exchange).into_iter().filter(|part| !part.is_file) {
        let Ok(value) = std::str::from_utf8(&exchange.body[part.body.clone()]) else { continue };
        let value = match secrets.instead(&part.name, value) {
            Some(instead) => instead.to_owned(),
            None => with_base(exchange, &filled(value, tokens)),
        };
        out.extend_from_slice(&exchange.body[from..part.body.start]);
        out.extend_from_slice(super::braced(&value).as_bytes());
        from = part.body.end;
    }
    out.extend_from_slice(&exchange.body[from..]);
    out
}

/// Returns a text with the captured values in it replaced by their names.
fn filled(text: &str, tokens: &[Token]) -> String {
    if let Some(token) = tokens.iter().find(|token| token.value == text) {
        return placeholder(&token.name);
    }
    if text.len() > COMPOSED_BYTES && !text.starts_with(['{', '[', '/']) {
        return text.to_owned();
    }
    with_tokens(text, tokens)
}

/// Returns a text with the captured values in it replaced, where they stand by themselves.
fn with_tokens(text: &str, tokens: &[Token]) -> String {
    tokens
        .iter()
        .fold(text.to_owned(), |text, token| replace_whole(&text, &token.value, &placeholder(&token.name)))
}

/// Returns a text with the authority of the app in it replaced.
pub(super) fn with_base(exchange: &Exchange, text: &str) -> String {
    let Some(host) = exchange.header("host").filter(|host| host.contains(':')) else {
        return text.to_owned();
    };
    let text = text.replace(&format!("http://{host}"), &placeholder("base"));
    text.replace(host, &format!("{}:{}", placeholder("host"), placeholder("port")))
}
