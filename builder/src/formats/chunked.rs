//! The chunked coding (RFC 9112, 7.1), of a body that is read as it comes.

/// Longest line before a chunk, and longest trailing field.
const LINE_BYTES: usize = 4 << 10;

/// Something that is no chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its body is not in chunks, as its head says")]
pub struct NotChunked;

/// Where in the coding the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// In the line with a length.
    #[default]
    Length,
    /// In a chunk, of which this much is left.
    Chunk(u64),
    /// In the empty line behind a chunk.
    Behind,
    /// In trailing fields.
    Trailer,
    /// Behind all of it.
    End,
}

/// Bytes of a chunked body, as they come.
#[derive(Debug, Default)]
pub struct Chunks {
    at: At,
    line: Vec<u8>,
}

impl Chunks {
    /// Takes bytes in, and returns those of the body.
    ///
    /// # Errors
    /// [`NotChunked`], after which no bytes mean anything.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, NotChunked> {
        let mut out = Vec::new();
        while let Some(first) = bytes.first() {
            match self.at {
                At::End => break,
                At::Chunk(left) => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    out.extend_from_slice(&bytes[..length]);
                    bytes = &bytes[length..];
                    let left = left - length as u64;
                    self.at = if left == 0 { At::Behind } else { At::Chunk(left) };
                }
                At::Length | At::Behind | At::Trailer => {
                    bytes = &bytes[1..];
                    if *first != b'\n' {
                        self.line.push(*first);
                        if self.line.len() > LINE_BYTES {
                            return Err(NotChunked);
                        }
                        continue;
                    }
                    let line = std::mem::take(&mut self.line);
                    let line = line.strip_suffix(b"\r").unwrap_or(&line);
                    self.at = match self.at {
                        At::Length => match length(line).ok_or(NotChunked)? {
                            0 => At::Trailer,
                            length => At::Chunk(length),
                        },
                        At::Behind if line.is_empty() => At::Length,
                        At::Trailer if line.is_empty() => At::End,
                        At::Trailer => At::Trailer,
                        _ => return Err(NotChunked),
                    };
                }
            }
        }
        Ok(out)
    }

    /// Returns whether the body is there whole.
    pub fn is_at_end(&self) -> bool {
        self.at == At::End
    }
}

/// Returns the length in the line before a chunk, extensions passed over.
fn length(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_number)?, 16).ok()
}

/// Anything, in pieces of any length: what comes out does not depend on them.
#[cfg(feature = "testing")]
pub(crate) fn read_anything(bytes: &[u8]) {
    let all = |size: usize| {
        let mut chunks = Chunks::default();
        let pieces = bytes.chunks(size).map(|piece| chunks.push(piece)).collect::<Result<Vec<_>, _>>();
        pieces.map(|pieces| (pieces.concat(), chunks.is_at_end()))
    };
    let whole = all(bytes.len().max(1));
    assert_eq!(whole, all(3));
    if let Ok((body, _)) = whole {
        assert!(body.len() <= bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_out_whole_in_whatever_pieces_it_comes() {
        let sent = b"2\r\nhi\r\nA ;x=y\n0123456789\n0\r\nT: x\r\n\r\nmore";
        for size in 1..=sent.len() {
            let mut chunks = Chunks::default();
            let body: Vec<u8> =
                sent.chunks(size).flat_map(|piece| chunks.push(piece).expect("is sound")).collect();
            assert_eq!((body, chunks.is_at_end()), (b"hi0123456789".to_vec(), true));
        }
        let mut chunks = Chunks::default();
        assert_eq!(chunks.push(b"5\r\nhel"), Ok(b"hel".to_vec()));
        assert!(!chunks.is_at_end());
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for bytes in [&b"x\r\n"[..], b"\r\n", b"+1\r\n", b"11111111111111111\r\n", b"1\r\nab\r\n"] {
            assert_eq!(Chunks::default().push(bytes), Err(NotChunked), "{}", bytes.escape_ascii());
        }
        assert_eq!(Chunks::default().push(&[b'0'; LINE_BYTES + 1]), Err(NotChunked));
    }
}
