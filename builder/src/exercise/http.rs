//! HTTP/1.1 over a connected stream: one request, one answer, then closed (RFC 9112).
//!
//! Bodies come with a length, in chunks, or until the connection ends. No compression is asked for.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Sent unless the recipe says otherwise: apps serve their plain pages to what looks like a browser.
pub(super) const USER_AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0 tinyroot";

/// How long an app may be silent: a first page that fills caches takes its time on a busy machine.
const SILENCE: Duration = Duration::from_secs(120);

/// Longest header section read.
const HEAD_LIMIT: u64 = 256 << 10;

/// Longest body read.
const BODY_LIMIT: u64 = 64 << 20;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers as they came, in order.
    pub headers: Vec<(String, String)>,
    /// The body, whole and without its framing.
    pub body: Vec<u8>,
}

/// The fault of a response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request could not be sent.
    #[error("cannot send the request")]
    Send(#[source] io::Error),
    /// The connection failed, or the app was silent for two minutes.
    #[error("cannot read the response")]
    Read(#[source] io::Error),
    /// The app closed the connection without a word.
    #[error("the connection was closed without a response")]
    Silent,
    /// Something that is no HTTP.
    #[error("`{0}` is not a line of an HTTP response")]
    Line(String),
    /// The end came too early.
    #[error("the response was cut off: {found_bytes} of {expected_bytes} bytes")]
    Cut {
        /// Bytes of the body that came.
        found_bytes: u64,
        /// Bytes that were announced, at least.
        expected_bytes: u64,
    },
    /// More than this client takes.
    #[error("the response is longer than {0} bytes")]
    Long(u64),
}

impl Response {
    /// Returns the first header of a name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the media type, in lower case and without parameters; empty if it has none.
    pub fn kind(&self) -> String {
        let kind = self.header("content-type").unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Returns whether its body comes in chunks.
    pub(super) fn is_chunked(&self) -> bool {
        let coding = self.header("transfer-encoding").map(str::to_ascii_lowercase);
        coding.is_some_and(|coding| coding.ends_with("chunked"))
    }

    /// Returns headers and body as one text, as expectations and captures see them.
    pub fn full(&self) -> Vec<u8> {
        let mut full = Vec::with_capacity(self.body.len() + 512);
        for (name, value) in &self.headers {
            full.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
        full.push(b'\n');
        full.extend_from_slice(&self.body);
        full
    }
}

/// Sends a request and reads its response.
pub(super) fn send(
    stream: &mut TcpStream,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Response, HttpError> {
    stream.set_read_timeout(Some(SILENCE)).map_err(HttpError::Send)?;
    stream.set_write_timeout(Some(SILENCE)).map_err(HttpError::Send)?;
    let mut request = head(method, path, headers);
    request.extend_from_slice(body);
    // An app that responds before it has read a large body closes early; its response still counts.
    let sent = stream.write_all(&request);
    match (read_response(stream, method), sent) {
        (Err(HttpError::Silent | HttpError::Read(_)), Err(error)) => Err(HttpError::Send(error)),
        (response, _) => response,
    }
}

/// Returns the head of a request.
fn head(method: &str, path: &str, headers: &[(String, String)]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    request.into_bytes()
}

/// Asks for a stream. Where the response begins one, as the function says, the bytes behind its head that
/// were read already are returned, too; any other response is read whole.
pub(super) fn open(
    mut stream: impl Read + Write,
    path: &str,
    headers: &[(String, String)],
    begins: impl Fn(&Response) -> bool,
) -> Result<(Response, Option<Vec<u8>>), HttpError> {
    stream.write_all(&head("GET", path, headers)).map_err(HttpError::Send)?;
    let mut reader = BufReader::new(stream);
    let response = read_last_head(&mut reader)?;
    match begins(&response) {
        true => Ok((response, Some(reader.buffer().to_vec()))),
        false => Ok((read_body(reader, "GET", response)?, None)),
    }
}

/// Reads one answer, those with status 1xx passed over.
pub(crate) fn read_response(stream: impl Read, method: &str) -> Result<Response, HttpError> {
    let mut reader = BufReader::new(stream);
    let response = read_last_head(&mut reader)?;
    read_body(reader, method, response)
}

/// Reads heads up to one that is not of status 1xx, or is of 101. Its body is not read.
fn read_last_head(reader: &mut impl BufRead) -> Result<Response, HttpError> {
    loop {
        let (status, headers) = read_head(reader)?;
        if !(100..200).contains(&status) || status == 101 {
            return Ok(Response { status, headers, body: Vec::new() });
        }
    }
}

fn read_body(mut reader: impl BufRead, method: &str, mut response: Response) -> Result<Response, HttpError> {
    if method == "HEAD" || matches!(response.status, 101 | 204 | 304) {
        return Ok(response);
    }
    response.body = if response.is_chunked() {
        read_chunks(&mut reader)?
    } else if let Some(length) = response.header("content-length") {
        let wrong = |_| HttpError::Line(format!("Content-Length: {length}"));
        let length = length.trim().parse().map_err(wrong)?;
        read_exactly(&mut reader, length)?
    } else {
        read_to_end(reader)?
    };
    Ok(response)
}

fn read_to_end(reader: impl Read) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    let found = reader.take(BODY_LIMIT + 1).read_to_end(&mut body).map_err(HttpError::Read)?;
    if found as u64 > BODY_LIMIT { Err(HttpError::Long(BODY_LIMIT)) } else { Ok(body) }
}

type Head = (u16, Vec<(String, String)>);

fn read_head(reader: &mut impl BufRead) -> Result<Head, HttpError> {
    let mut left = HEAD_LIMIT;
    let wrong = |line: &str| HttpError::Line(line.chars().take(80).collect());
    let first = read_line(reader, &mut left)?;
    if first.is_empty() {
        return Err(HttpError::Silent);
    }
    let code = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    let status = code.filter(|code| code.len() == 3).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| wrong(&first))?;
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let line = read_line(reader, &mut left)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| wrong(&line))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}

/// Reads a line without its end; empty at the end of the stream.
fn read_line(reader: &mut impl BufRead, left: &mut u64) -> Result<String, HttpError> {
    let mut line = Vec::new();
    let count = reader.take(*left).read_until(b'\n', &mut line).map_err(HttpError::Read)? as u64;
    *left -= count;
    if *left == 0 {
        return Err(HttpError::Long(HEAD_LIMIT));
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn read_exactly(reader: &mut impl Read, length: u64) -> Result<Vec<u8>, HttpError> {
    if length > BODY_LIMIT {
        return Err(HttpError::Long(BODY_LIMIT));
    }
    let mut body = Vec::new();
    let found = reader.take(length).read_to_end(&mut body).map_err(HttpError::Read)? as u64;
    if found < length {
        return Err(HttpError::Cut { found_bytes: found, expected_bytes: length });
    }
    Ok(body)
}

fn read_chunks(reader: &mut impl BufRead) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    let mut left = BODY_LIMIT;
    loop {
        let line = read_line(reader, &mut left)?;
        if line.is_empty() {
            let found_bytes = body.len() as u64;
            return Err(HttpError::Cut { found_bytes, expected_bytes: found_bytes + 1 });
        }
        let digits = line.split(';').next().unwrap_or_default().trim();
        let wrong = |_| HttpError::Line(line.chars().take(80).collect());
        let length = u64::from_str_radix(digits, 16).map_err(wrong)?;
        if length.saturating_add(body.len() as u64) > BODY_LIMIT {
            return Err(HttpError::Long(BODY_LIMIT));
        }
        body.extend(read_exactly(reader, length)?);
        if length > 0 {
            read_line(reader, &mut left)?;
            continue;
        }
        // Trailers, up to an empty line.
        while !read_line(reader, &mut left)?.is_empty() {}
        return Ok(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_each_framing() {
        let chunked = "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n\
            2\r\nhi\r\nA;x=y\r\n0123456789\r\n0\r\nT: x\r\n\r\n";
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", 200, "hi"),
            ("HTTP/1.0 404 Not Found\r\n\r\nuntil the end", 404, "until the end"),
            (chunked, 200, "hi0123456789"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, ""),
            ("HTTP/1.1 302 Found\nLocation: /x\nContent-Length: 0\n\n", 302, ""),
        ] {
            let response = read_response(text.as_bytes(), "GET").expect(text);
            assert_eq!((response.status, String::from_utf8_lossy(&response.body).as_ref()), (status, body));
        }
        let head =
            read_response(&b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"[..], "HEAD").expect("reads");
        assert_eq!(head.header("CONTENT-length"), Some("9"));
        assert!(head.body.is_empty());
    }

    #[test]
    fn broken_answers_are_told() {
        const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (text, expected) in [
            ("".to_owned(), "the connection was closed without a response"),
            ("SSH-2.0-x\r\n".to_owned(), "`SSH-2.0-x` is not a line of an HTTP response"),
            ("HTTP/1.1 2 OK\r\n\r\n".to_owned(), "`HTTP/1.1 2 OK` is not a line of an HTTP response"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi".to_owned(),
                "the response was cut off: 2 of 5 bytes",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_owned(),
                "`Content-Length: x` is not a line of an HTTP response",
            ),
            (format!("{CHUNKED}2\r\nhi\r\n"), "the response was cut off: 2 of 3 bytes"),
            (format!("{CHUNKED}zz\r\n"), "`zz` is not a line of an HTTP response"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_owned(),
                "the response is longer than 67108864 bytes",
            ),
        ] {
            let error = read_response(text.as_bytes(), "GET").expect_err(&text);
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }
}
