//! Debian's control syntax: stanzas of fields, apart by blank lines.
//!
//! ```text
//! Package: hello
//! Description: one line
//!  a continuation line begins with a blank or a tab
//!
//! Package: next
//! ```
//!
//! Source: deb822(5), Debian Policy 5.1. Choices where these leave room: a line that begins with
//! `#` is a comment everywhere; a line of only blanks and tabs ends a stanza, as apt has it; a carriage
//! return at the end of a line counts as a blank, as apt has it too; NUL is refused; nothing is copied, so a
//! value holds its continuation lines as they stand, with their newlines and first blanks.

use memchr::{memchr, memchr2};

/// A fault of a text, and its line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// One lower-case clause.
    pub reason: String,
}

impl Fault {
    /// Makes a fault.
    pub fn new(line: usize, reason: impl Into<String>) -> Self {
        Fault { line, reason: reason.into() }
    }
}

/// The next find of a [`Reader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A field of the present stanza.
    Field(Field<'a>),
    /// The end of a stanza; never of an empty one.
    End,
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// As written; names are compared without regard to case.
    pub name: &'a str,
    /// Without blanks at both ends; continuation lines are within, as written, so a value whose
    /// first line is empty begins with a newline.
    pub value: &'a str,
    /// The line of the name, counted from 1.
    pub line: usize,
}

impl Field<'_> {
    /// Returns whether the field has that name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Reads a text from front to back without copying.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    position: usize,
    line: usize,
    in_stanza: bool,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning.
    pub fn new(text: &'a str) -> Self {
        Reader { text, position: 0, line: 1, in_stanza: false }
    }

    /// Returns where the text that is read next begins.
    pub fn position(&self) -> usize {
        self.position.min(self.text.len())
    }

    /// Returns the number of the line that is read next, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the next field or end of a stanza; `None` at the end of the text. After an error the next line
    /// is read, in the same stanza.
    ///
    /// # Errors
    /// A line that is neither field, continuation, comment nor blank; a NUL.
    pub fn next_item(&mut self) -> Result<Option<Item<'a>>, Fault> {
        let bytes = self.text.as_bytes();
        while let Some(&first) = bytes.get(self.position) {
            let start = self.position;
            let end = line_end(bytes, start);
            match first {
                b'#' => self.skip_line(end),
                b'\n' | b' ' | b'\t' | b'\r' if is_blank(&bytes[start..end]) => {
                    self.skip_line(end);
                    if std::mem::take(&mut self.in_stanza) {
                        return Ok(Some(Item::End));
                    }
                }
                b' ' | b'\t' => return Err(self.pass_over(end, "continues no field")),
                _ => return self.field(start, end).map(|field| Some(Item::Field(field))),
            }
        }
        Ok(std::mem::take(&mut self.in_stanza).then_some(Item::End))
    }

    fn skip_line(&mut self, end: usize) {
        self.position = end + 1;
        self.line += 1;
    }

    /// Skips a bad line and returns its fault.
    fn pass_over(&mut self, end: usize, reason: &str) -> Fault {
        let fault = Fault::new(self.line, reason);
        self.skip_line(end);
        self.in_stanza = true;
        fault
    }

    /// Reads a field that begins at `start` and whose first line ends before `end`.
    fn field(&mut self, start: usize, mut end: usize) -> Result<Field<'a>, Fault> {
        let bytes = self.text.as_bytes();
        let line = self.line;
        let colon = match memchr2(b':', 0, &bytes[start..end]) {
            Some(at) if bytes[start + at] == b':' => start + at,
            Some(_) => return Err(self.pass_over(end, "holds a NUL")),
            None => return Err(self.pass_over(end, "is not a field: it has no colon")),
        };
        let name = &self.text[start..colon];
        if !is_field_name(name) {
            return Err(self.pass_over(end, "is not a field: its name is not one word"));
        }
        self.skip_line(end);
        while let Some(b' ' | b'\t') = bytes.get(self.position) {
            let next_end = line_end(bytes, self.position);
            if is_blank(&bytes[self.position..next_end]) {
                break;
            }
            end = next_end;
            self.skip_line(end);
        }
        self.in_stanza = true;
        if memchr(0, &bytes[colon + 1..end]).is_some() {
            return Err(Fault::new(line, format!("{name} holds a NUL")));
        }
        let value = self.text[colon + 1..end].trim_start_matches([' ', '\t']);
        let value = value.trim_end_matches([' ', '\t', '\n', '\r']);
        Ok(Field { name, value, line })
    }
}

/// Returns whether a line has nothing in it that is seen.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r'))
}

/// Returns where the line that holds `start` ends: at its newline or the end of the text.
fn line_end(bytes: &[u8], start: usize) -> usize {
    memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at)
}

/// Returns whether a name is one of printable ASCII without blanks, and does not begin with `-`.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Result<Vec<String>, Fault> {
        let mut reader = Reader::new(text);
        let mut out = Vec::new();
        while let Some(item) = reader.next_item()? {
            out.push(match item {
                Item::Field(f) => format!("{} {}={}", f.line, f.name, f.value.escape_debug()),
                Item::End => "end".into(),
            });
        }
        Ok(out)
    }

    #[test]
    fn reads_stanzas() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[]),
            ("\n\n \n", &[]),
            ("A: b", &["1 A=b", "end"]),
            ("A: b\n\n\n\nC:d\n", &["1 A=b", "end", "5 C=d", "end"]),
            ("A:\n x\n\ty\nB: z\n \nC: w", &["1 A=\\n x\\n\\ty", "4 B=z", "end", "6 C=w", "end"]),
            ("# note\nA: b: c\n# note\nD:\n", &["2 A=b: c", "4 D=", "end"]),
            ("A:  b \n", &["1 A=b", "end"]),
            ("A: b\r\nB:\r\n c\r\n\r\nD: e\r\n", &["1 A=b", "2 B=\\r\\n c", "end", "5 D=e", "end"]),
        ];
        for (text, expected) in rows {
            assert_eq!(items(text).expect(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn names_the_line_of_a_fault() {
        let rows = [
            ("A: b\nnonsense\n", "line 2: is not a field: it has no colon"),
            (" x\n", "line 1: continues no field"),
            ("A: b\n\n x\n", "line 3: continues no field"),
            ("A: b\n: x\n", "line 2: is not a field: its name is not one word"),
            ("A b: c\n", "line 1: is not a field: its name is not one word"),
            ("A: b\0c\n", "line 1: A holds a NUL"),
            ("A\0: b\n", "line 1: holds a NUL"),
        ];
        for (text, expected) in rows {
            assert_eq!(items(text).expect_err(text).to_string(), expected);
        }
    }

    #[test]
    fn goes_on_behind_a_fault() {
        let text = "A: b\nnonsense\n c d\nE: f\0\nG: h\n\n x\n\nI: j\n";
        let mut reader = Reader::new(text);
        let mut out = Vec::new();
        loop {
            out.push(match reader.next_item() {
                Ok(None) => break,
                Ok(Some(Item::Field(field))) => format!("{}={}", field.name, field.value),
                Ok(Some(Item::End)) => "end".into(),
                Err(fault) => fault.line.to_string(),
            });
        }
        assert_eq!(out, ["A=b", "2", "3", "4", "G=h", "end", "7", "end", "I=j", "end"]);
    }
}
