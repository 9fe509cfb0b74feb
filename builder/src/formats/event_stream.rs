//! `text/event-stream`, as pages read it (HTML standard, 9.2.6): the events in the bytes of a server.

/// Longest event that is read.
pub const EVENT_BYTES: usize = 1 << 20;

/// An event that is longer than [`EVENT_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {EVENT_BYTES} bytes")]
pub struct Long;

/// Bytes of a server, as they come, and the events in them.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    /// The last byte was a carriage return: a newline behind it ends no other line.
    is_after_return: bool,
    /// A line was there, before which a byte order mark may stand.
    is_past_first_line: bool,
    name: Vec<u8>,
    data: Vec<u8>,
}

impl Events {
    /// Takes bytes in, and returns the events that they complete: the data of each, below a line
    /// `event: NAME` if it has a name.
    ///
    /// # Errors
    /// [`Long`], after which no bytes mean anything.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Long> {
        let mut out = Vec::new();
        for byte in bytes {
            let is_second = std::mem::replace(&mut self.is_after_return, *byte == b'\r') && *byte == b'\n';
            match byte {
                _ if is_second => {}
                b'\r' | b'\n' => out.extend(self.end_line()),
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.data.len() + self.name.len() > EVENT_BYTES {
                return Err(Long);
            }
        }
        Ok(out)
    }

    /// Takes a line in; an empty one ends an event.
    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let is_first = !std::mem::replace(&mut self.is_past_first_line, true);
        let line = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| is_first).unwrap_or(&line);
        if line.is_empty() {
            return self.end_event();
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.name = value.to_vec(),
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            // Comments, `id`, `retry`, and what browsers pass over, too.
            _ => {}
        }
        None
    }

    /// Returns the event, if it has data: one without is none.
    fn end_event(&mut self) -> Option<Vec<u8>> {
        let (name, mut data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        data.pop()?;
        if name.is_empty() {
            return Some(data);
        }
        Some([b"event: ", &name[..], b"\n", &data].concat())
    }
}

/// Anything, in pieces of any length: what comes out does not depend on them.
#[cfg(feature = "testing")]
pub(crate) fn read_anything(bytes: &[u8]) {
    let all = |size: usize| {
        let mut events = Events::default();
        let pieces = bytes.chunks(size).map(|piece| events.push(piece)).collect::<Result<Vec<_>, _>>();
        pieces.map(|pieces| pieces.concat())
    };
    let whole = all(bytes.len().max(1));
    assert_eq!(whole, all(3));
    if let Ok(events) = whole {
        assert!(events.iter().map(Vec::len).sum::<usize>() <= 2 * bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        for (stream, expected) in [
            ("data: YHOO\ndata: +2\ndata: 10\n\n", &["YHOO\n+2\n10"][..]),
            (": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event", {
                &["first event", "second event"]
            }),
            ("data\n\ndata\ndata\n\ndata:", &["", "\n"]),
            ("data:test\n\ndata: test\n\n", &["test", "test"]),
            ("event: add\ndata: 73857293\n\nevent: x\n\ndata: y\r\r\n\r\n", &["event: add\n73857293", "y"]),
            ("\u{feff}data: a\r\n\r\n\u{feff}data: b\r\n\r\n", &["a"]),
        ] {
            for size in [1, 2, stream.len()] {
                let mut events = Events::default();
                let pieces = stream.as_bytes().chunks(size).map(|piece| events.push(piece));
                let found: Vec<Vec<u8>> = pieces.flat_map(|found| found.expect("is short")).collect();
                let found: Vec<String> =
                    found.iter().map(|event| String::from_utf8_lossy(event).into_owned()).collect();
                assert_eq!(found, expected, "{stream:?}");
            }
        }
    }

    #[test]
    fn an_event_without_an_end_is_refused() {
        let mut events = Events::default();
        let line = format!("data: {}\n", "x".repeat(1 << 16));
        let results: Vec<_> = (0..17).map(|_| events.push(line.as_bytes())).collect();
        assert_eq!(results.last(), Some(&Err(Long)));
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 2, "the end of line 16 is over");
    }
}
