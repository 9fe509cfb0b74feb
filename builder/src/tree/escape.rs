//! Any bytes as one word of printable text: blanks, control characters, backslashes and bytes that are not
//! UTF-8 as `\xHH`.

use std::fmt::Write as _;

/// Returns bytes as one word of printable text.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == ' ' || c == '\\' || c.is_control() || c.is_whitespace() {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    write!(out, "\\x{byte:02x}").expect("writing to a string");
                }
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("writing to a string");
        }
    }
    out
}

/// Returns the bytes that [`escape`] made a word of.
pub(crate) fn unescape(word: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(word.len());
    let mut bytes = word.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        if bytes.next() != Some(b'x') {
            return None;
        }
        let high = (bytes.next()? as char).to_digit(16)?;
        let low = (bytes.next()? as char).to_digit(16)?;
        out.push((high * 16 + low) as u8);
    }
    Some(out)
}
