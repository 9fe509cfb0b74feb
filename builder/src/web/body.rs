//! The body of a request, by the framing in its head (RFC 9112, 6.3).

use std::io::{self, BufRead, Read, Write};

use super::Head;

/// Longest line before a chunk.
const CHUNK_LINE_LIMIT: u64 = 4 << 10;

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// That many bytes.
    Length(u64),
    /// Pieces, each with its length before it.
    Chunks,
}

impl Body {
    /// Returns what the head of a request says; nothing where it could be read in two ways.
    pub fn of_request(head: &Head) -> Option<Self> {
        let mut lengths = head.values("content-length").peekable();
        let mut codings = head.values("transfer-encoding").peekable();
        match (lengths.peek().is_some(), codings.peek().is_some()) {
            (false, false) => Some(Body::Length(0)),
            (false, true) => {
                let coding = head.field("transfer-encoding")?;
                coding.eq_ignore_ascii_case("chunked").then_some(Body::Chunks)
            }
            (true, false) => {
                let length = head.field("content-length")?;
                let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
                is_number.then(|| length.parse().ok().map(Body::Length)).flatten()
            }
            (true, true) => None,
        }
    }

    /// Copies a body as it is, and nothing that follows it.
    ///
    /// # Errors
    /// As reading and writing; invalid data for a malformed chunk; unexpected end.
    pub fn copy(self, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
        match self {
            Body::Length(length) => copy_exactly(length, from, to),
            Body::Chunks => copy_chunks(from, to),
        }
    }
}

fn copy_exactly(length: u64, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let copied = io::copy(&mut from.take(length), to)?;
    if copied == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn copy_chunks(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    loop {
        let line = copy_line(from, to)?;
        let digits = line.split(|byte| matches!(byte, b';' | b' ' | b'\t' | b'\r' | b'\n')).next();
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let length = is_number.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
        match length.ok_or(io::ErrorKind::InvalidData)? {
            0 => break,
            length => copy_exactly(length, from, to)?,
        }
        if !matches!(&copy_line(from, to)?[..], b"\r\n" | b"\n") {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    // Trailing fields, to the empty line.
    while !matches!(&copy_line(from, to)?[..], b"\r\n" | b"\n") {}
    Ok(())
}

fn copy_line(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(CHUNK_LINE_LIMIT).read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\n") {
        return Err(io::ErrorKind::InvalidData.into());
    }
    to.write_all(&line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_that_could_be_read_in_two_ways_is_refused() {
        for (fields, expected) in [
            ("", Some(Body::Length(0))),
            ("Content-Length: 12\r\n", Some(Body::Length(12))),
            ("Transfer-Encoding: chunked\r\n", Some(Body::Chunks)),
            ("Content-Length: 12\r\ncontent-length: 12\r\n", None),
            ("Content-Length: +12\r\n", None),
            ("Content-Length: 12, 13\r\n", None),
            ("Content-Length: 99999999999999999999999\r\n", None),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", None),
            ("Transfer-Encoding: gzip, chunked\r\n", None),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", None),
        ] {
            let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
            let head = Head::of_request(text.as_bytes()).expect("a head");
            assert_eq!(Body::of_request(&head), expected, "{fields}");
        }
    }

    #[test]
    fn a_body_is_copied_to_its_end() {
        for (body, sent) in [
            (Body::Length(4), "abcd"),
            (Body::Length(0), ""),
            (Body::Chunks, "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"),
            (Body::Chunks, "0\r\nTrailer: x\r\n\r\n"),
        ] {
            let all = format!("{sent}GET / HTTP/1.1\r\n\r\n");
            let (mut from, mut to) = (all.as_bytes(), Vec::new());
            body.copy(&mut from, &mut to).expect("copies");
            assert_eq!((to, from), (sent.as_bytes().to_vec(), &b"GET / HTTP/1.1\r\n\r\n"[..]));
        }
        for (body, sent) in [
            (Body::Length(4), "abc"),
            (Body::Chunks, "x\r\n"),
            (Body::Chunks, "-1\r\n"),
            (Body::Chunks, "3\r\nabcd\r\n0\r\n\r\n"),
            (Body::Chunks, "3\r\nabc\r\n0\r\n"),
        ] {
            body.copy(&mut sent.as_bytes(), &mut Vec::new()).expect_err(sent);
        }
    }
}
