//! Packages indexes without the fields that are not read.

use std::io;

use crate::formats::deb822::is_blank;

/// The fields that [`read`](super::read) looks at.
const FIELDS: [&[u8]; 23] = [
    b"architecture",
    b"breaks",
    b"conflicts",
    b"depends",
    b"essential",
    b"filename",
    b"important",
    b"installed-size",
    b"multi-arch",
    b"package",
    b"pre-depends",
    b"priority",
    b"protected",
    b"provides",
    b"recommends",
    b"replaces",
    b"section",
    b"sha256",
    b"sha512",
    b"size",
    b"source",
    b"suggests",
    b"version",
];

/// Takes an index in pieces, and leaves out the fields that [`read`](super::read) passes over, which are two
/// fifths of Debian's. All else stays as it is, faults among it.
#[derive(Debug)]
pub struct Reducer {
    out: Vec<u8>,
    /// A line of which the end is still to come.
    begun: Vec<u8>,
    /// Whether the field is one that stays.
    kept: bool,
}

impl Default for Reducer {
    fn default() -> Self {
        Reducer { out: Vec::new(), begun: Vec::new(), kept: true }
    }
}

impl Reducer {
    /// Returns the fields that stay.
    pub fn finish(mut self) -> Vec<u8> {
        let last = std::mem::take(&mut self.begun);
        self.line(&last);
        self.out
    }

    fn line(&mut self, line: &[u8]) {
        if !matches!(line.first(), Some(b' ' | b'\t')) || is_blank(line.strip_suffix(b"\n").unwrap_or(line)) {
            self.kept = match memchr::memchr(b':', line) {
                Some(colon) => {
                    let name = &line[..colon];
                    let odd = !name.iter().all(u8::is_ascii_graphic) || name.is_empty();
                    odd || FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
                }
                None => true,
            };
        }
        if self.kept {
            self.out.extend_from_slice(line);
        }
    }
}

impl io::Write for Reducer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            if self.begun.is_empty() {
                self.line(line);
            } else {
                self.begun.extend_from_slice(line);
                let whole = std::mem::take(&mut self.begun);
                self.line(&whole);
            }
            rest = after;
        }
        self.begun.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a whole index without the fields that [`read`](super::read) passes over.
#[cfg(test)]
pub fn reduce(text: &[u8]) -> Vec<u8> {
    let mut reducer = Reducer::default();
    // In pieces of odd lengths, as they may come.
    text.chunks(7).for_each(|piece| io::Write::write_all(&mut reducer, piece).expect("memory takes it"));
    reducer.finish()
}

#[cfg(test)]
mod tests {
    use super::{super::Package, *};

    #[test]
    fn what_is_not_read_goes() {
        let text = "Package: a\nMaintainer: b\n c\nversion: 1\nDescription: d\n e\n .\nArchitecture: all\n\
                    Depends: x,\n y\nMD5sum: 0\nTag: t\n\nPackage: b\nVersion: 2\nArchitecture: amd64\n";
        let reduced = reduce(text.as_bytes());
        let expected = "Package: a\nversion: 1\nArchitecture: all\nDepends: x,\n y\n\n\
                        Package: b\nVersion: 2\nArchitecture: amd64\n";
        assert_eq!(std::str::from_utf8(&reduced), Ok(expected));
        let fields = |text: &str| {
            let mut out = Vec::new();
            super::super::read(text, |package, _, _| {
                out.push(format!("{:?}", Package { line: 0, ..package }));
            });
            out
        };
        assert_eq!(fields(text), fields(expected));
        // A line of blanks ends a stanza, behind a field that goes as well.
        let blank = "Package: a\nTag: t\n \nPackage: b\nTag: t\r\n\r\nPackage: c\n";
        assert_eq!(reduce(blank.as_bytes()), b"Package: a\n \nPackage: b\n\r\nPackage: c\n");
        for odd in ["no colon\n", "two words: x\n", ": x\n", " first\n", "# note\n"] {
            assert_eq!(reduce(odd.as_bytes()), odd.as_bytes());
        }
    }
}
