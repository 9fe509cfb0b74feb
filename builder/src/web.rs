//! HTTP/1.1 as pages on the loopback speak it (RFC 9112): heads that are read and written, answers, and text
//! that becomes HTML.
//!
//! Comes in: bytes of a client or of an app, both of which may be hostile. Goes out: a [`Head`], whose fields
//! are named tokens and whose framing is known, or nothing. Nothing here listens, and nothing decides who may
//! see what.

mod body;
mod guard;
mod host;
mod response;

pub use body::Body;
pub use guard::{guard, is_from_itself};
pub use host::Authorities;
pub use response::{Response, TEXT, policy};

use std::io::{self, BufRead, Read as _};

/// Longest head that is read.
const HEAD_LIMIT: u64 = 64 << 10;

/// Most fields of a head.
const FIELD_LIMIT: usize = 128;

/// The first line of a request or a response, and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first line, without its end.
    pub line: String,
    /// Names as they were sent, and values.
    pub fields: Vec<(String, Vec<u8>)>,
}

/// Reads a head to the empty line behind it; nothing if there is none before the end, or none within the
/// limit.
///
/// # Errors
/// As reading.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    Ok(read_head_into(reader, &mut head)?.then_some(head))
}

/// Reads a head as [`read_head`] does, and returns whether it is whole. What was read is in `head` in any
/// case.
///
/// # Errors
/// As reading.
pub(crate) fn read_head_into(reader: &mut impl BufRead, head: &mut Vec<u8>) -> io::Result<bool> {
    let mut reader = reader.take(HEAD_LIMIT);
    loop {
        if reader.read_until(b'\n', head)? == 0 {
            return Ok(false);
        }
        if head.as_slice() == b"\r\n" || head.as_slice() == b"\n" {
            // Empty lines before a request are passed over (RFC 9112, 2.2).
            head.clear();
        }
        if head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n") {
            return Ok(true);
        }
    }
}

impl Head {
    /// Reads the head of a request; nothing if it is none of HTTP/1.
    pub fn of_request(bytes: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; FIELD_LIMIT];
        let mut request = httparse::Request::new(&mut fields);
        if !request.parse(bytes).ok()?.is_complete() {
            return None;
        }
        let line = format!("{} {} HTTP/1.{}", request.method?, request.path?, request.version?);
        Some(Head { line, fields: owned(request.headers) })
    }

    /// Reads the head of a response; nothing if it is none of HTTP/1, or has no status as RFC 9110, 15, knows
    /// them.
    pub fn of_answer(bytes: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; FIELD_LIMIT];
        let mut response = httparse::Response::new(&mut fields);
        if !response.parse(bytes).ok()?.is_complete() {
            return None;
        }
        let code = response.code.filter(|code| *code >= 100)?;
        let line = format!("HTTP/1.{} {code} {}", response.version?, response.reason.unwrap_or_default());
        Some(Head { line, fields: owned(response.headers) })
    }

    /// Returns the method of a request.
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// Returns the target of a request.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// Returns the path of a request's target, and its query.
    pub fn path_and_query(&self) -> (&str, &str) {
        self.target().split_once('?').unwrap_or((self.target(), ""))
    }

    /// Returns the status of a response.
    pub fn status(&self) -> u16 {
        self.target().parse().unwrap_or(0)
    }

    /// Returns the values of a field.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let same = move |(given, _): &&(String, Vec<u8>)| given.eq_ignore_ascii_case(name);
        self.fields.iter().filter(same).map(|(_, value)| value.as_slice())
    }

    /// Returns the value of a field that stands there once and is text.
    pub fn field<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.values(name);
        let value = values.next()?;
        let text = std::str::from_utf8(value).ok()?;
        values.next().is_none().then_some(text.trim())
    }

    /// Returns whether a field that lists words has one of them.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.values(name).any(|value| {
            let words = value.split(|byte| *byte == b',');
            words.map(<[u8]>::trim_ascii).any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
        })
    }

    /// Removes a field.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
    }

    /// Adds a field.
    pub fn add(&mut self, name: &str, value: &str) {
        self.fields.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    /// Returns the value of a cookie (RFC 6265, 5.4).
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.values("cookie").filter_map(|value| std::str::from_utf8(value).ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
        pairs.find(|(given, _)| given.trim() == name).map(|(_, value)| value.trim())
    }

    /// Removes a cookie; the others stay as they are.
    pub fn remove_cookie(&mut self, name: &str) {
        for (field, value) in &mut self.fields {
            if field.eq_ignore_ascii_case("cookie") {
                let is_other = |pair: &&[u8]| {
                    let given = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
                    given.trim_ascii() != name.as_bytes()
                };
                let others: Vec<&[u8]> =
                    value.split(|b| *b == b';').filter(is_other).map(<[u8]>::trim_ascii).collect();
                *value = others.join(&b"; "[..]);
            }
        }
        self.fields.retain(|(field, value)| !field.eq_ignore_ascii_case("cookie") || !value.is_empty());
    }

    /// Returns the head as it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.line.trim_end().as_bytes().to_vec();
        for (name, value) in &self.fields {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
        }
        out.extend_from_slice(b"\r\n\r\n");
        out
    }
}

fn owned(fields: &[httparse::Header<'_>]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect()
}

/// Returns the name of a `Host` field, and ":" with its port if it has one; `None` for a malformed
/// field.
pub fn host_and_port(host: &str) -> Option<(&str, &str)> {
    let at = host.find(':').unwrap_or(host.len());
    let (name, port) = host.split_at(at);
    let is_port = port.is_empty() || port.len() > 1 && port.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    is_port.then_some((name, port))
}

/// Returns whether a `Host` field names this machine to itself, at whatever port: it may be forwarded.
pub fn is_loopback(host: &str) -> bool {
    host_and_port(host).is_some_and(|(name, _)| name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost"))
}

/// Text as HTML has it, in attributes too.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Head {
        Head::of_request(text.as_bytes()).expect("a head")
    }

    #[test]
    fn a_head_is_read_to_its_end_and_no_further() {
        let mut sent = &b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest"[..];
        let head = read_head(&mut sent).expect("reads").expect("a head");
        assert_eq!((&head[..], sent), (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &b"rest"[..]));
        for cut in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            assert_eq!(read_head(&mut cut.as_bytes()).expect("reads"), None, "{cut}");
        }
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD_LIMIT as usize));
        assert_eq!(read_head(&mut long.as_bytes()).expect("reads"), None);
    }

    #[test]
    fn what_is_no_request_is_none() {
        for bad in [
            "nonsense\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET / HTTP/1.1\r\nno field\r\n\r\n",
            "GET / HTTP/1.1\r\nX : y\r\n\r\n",
            "GET / HTTP/1.1\r\nX: y\r\n folded\r\n\r\n",
        ] {
            assert_eq!(Head::of_request(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_response_is_none() {
        for bad in
            ["nonsense\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 032 OK\r\n\r\n"]
        {
            assert_eq!(Head::of_answer(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn fields_are_found_and_one_cookie_is_taken_out() {
        let mut head = request(
            "GET /a?b=c HTTP/1.1\r\nHost: x\r\nhost: y\r\nConnection: keep-alive, Upgrade\r\nCookie: a=1; own=2;b=3\r\n\
             cookie: own=4\r\n\r\n",
        );
        assert_eq!((head.method(), head.path_and_query()), ("GET", ("/a", "b=c")));
        assert_eq!((head.field("host"), head.field("connection")), (None, Some("keep-alive, Upgrade")));
        assert!(head.lists("connection", "upgrade") && !head.lists("connection", "close"));
        assert_eq!((head.cookie("own"), head.cookie("ow")), (Some("2"), None));
        head.remove_cookie("own");
        head.remove("Host");
        head.add("Host", "z");
        let text = String::from_utf8(head.to_bytes()).expect("text");
        assert_eq!(
            text,
            "GET /a?b=c HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nCookie: a=1; b=3\r\nHost: z\r\n\r\n"
        );
    }

    #[test]
    fn hosts_have_a_name_and_perhaps_a_port() {
        for (host, expected) in [
            ("a.localhost:80", Some(("a.localhost", ":80"))),
            ("a", Some(("a", ""))),
            ("a:", None),
            ("a:80@b", None),
            ("[::1]:80", None),
        ] {
            assert_eq!(host_and_port(host), expected, "{host}");
        }
    }
}
