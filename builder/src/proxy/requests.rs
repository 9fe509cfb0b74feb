//! The requests in what a client of a web server sends (RFC 9112), to be told of: nothing depends on them.
//!
//! A body with a length is passed over. Behind one in chunks, which browsers do not send, behind an upgrade and behind
//! what is no HTTP, a connection is not looked at any further.

/// Longest head that is read; servers take less.
const HEAD_LIMIT: usize = 64 << 10;

/// How far a connection has been read.
#[derive(Debug)]
pub(super) enum Requests {
    /// In a head, of which this much is known.
    Head(Vec<u8>),
    /// So many bytes before the next head.
    Body(u64),
    /// No more requests are known.
    Unknown,
}

impl Default for Requests {
    fn default() -> Self {
        Requests::Head(Vec::new())
    }
}

impl Requests {
    /// Takes in what was sent next; `tell` is given method and target of each request whose head is whole by now.
    pub fn take_in(&mut self, mut bytes: &[u8], mut tell: impl FnMut(&str, &str)) {
        while !bytes.is_empty() {
            match self {
                Requests::Unknown => return,
                Requests::Body(left) => {
                    let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[passed..];
                    *left -= passed as u64;
                    if *left == 0 {
                        *self = Requests::default();
                    }
                }
                Requests::Head(known) => {
                    let line =
                        bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
                    known.extend_from_slice(&bytes[..line]);
                    bytes = &bytes[line..];
                    if known.ends_with(b"\n\r\n") || known.ends_with(b"\n\n") {
                        *self = told(known, &mut tell);
                    } else if known == b"\r\n" || known == b"\n" {
                        // Empty lines before a request are passed over (RFC 9112, 2.2).
                        known.clear();
                    } else if known.len() > HEAD_LIMIT {
                        *self = Requests::Unknown;
                    }
                }
            }
        }
    }
}

/// Tells of a head and returns what follows it.
fn told(head: &[u8], tell: &mut impl FnMut(&str, &str)) -> Requests {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version] = words[..] else { return Requests::Unknown };
    if !version.starts_with("HTTP/1.") {
        return Requests::Unknown;
    }
    tell(method, target);
    let mut next = Requests::default();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "transfer-encoding" | "upgrade" => return Requests::Unknown,
            "content-length" => match value.trim().parse() {
                Ok(0) => {}
                Ok(length) => next = Requests::Body(length),
                Err(_) => return Requests::Unknown,
            },
            _ => {}
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a connection that sends its bytes in pieces of that many.
    fn told(text: &str, piece: usize) -> Vec<String> {
        let (mut requests, mut found) = (Requests::default(), Vec::new());
        for bytes in text.as_bytes().chunks(piece) {
            requests.take_in(bytes, |method, target| found.push(format!("{method} {target}")));
        }
        found
    }

    #[test]
    fn each_request_of_a_connection_is_told_once() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "x".repeat(HEAD_LIMIT));
        let rows: [(&str, &[&str]); 8] = [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n\r\nHEAD /b?c=d HTTP/1.0\n\n", &["GET /", "HEAD /b?c=d"]),
            (
                "POST /a HTTP/1.1\r\ncontent-Length: 16\r\n\r\nGET /x HTTP/1.1\nGET /b HTTP/1.1\r\n\r\n",
                &["POST /a", "GET /b"],
            ),
            ("POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /b HTTP/1.1\r\n\r\n", &["POST /a", "GET /b"]),
            ("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\nGET /b HTTP/1.1\r\n\r\n", &["GET /ws"]),
            (
                "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
                &["POST /a"],
            ),
            ("SSH-2.0-x\r\n\r\nGET /b HTTP/1.1\r\n\r\n", &[]),
            ("GET / HTTP/1.1\r\nHost: x\r\n", &[]),
            (&long, &[]),
        ];
        for (text, expected) in rows {
            for piece in [1, 7, text.len()] {
                assert_eq!(told(text, piece), expected, "{piece} bytes at a time of {:.100}", text);
            }
        }
    }
}
