//! Parts that the scanners of several languages share: a place in a source, and the pieces that they cut it
//! into.

/// Largest source that is scanned.
pub(super) const MAX_BYTES: u64 = 2 << 20;

/// A piece of a source. Blanks and comments are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name or keyword; with what joins names (`::`, `\`) where the language has that.
    Word(&'a str),
    /// The text between quotes, as it is written there.
    Text(&'a [u8]),
    /// A variable with its sign.
    Variable(&'a [u8]),
    /// `=>`.
    Pair,
    /// `->`, `?->` or `.`, before the name of a member.
    Member,
    /// Any other sign.
    Sign(u8),
    /// A number, a regular expression: what ends an operand and says nothing.
    Other,
}

impl<'a> Token<'a> {
    /// Returns true for a certain word.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(found) if *found == word)
    }

    /// Returns the word; empty for anything else.
    pub fn word(&self) -> &'a str {
        if let Token::Word(word) = self { word } else { "" }
    }

    /// Returns the text, if it is one that a program can mean a module by: short, printable, with nothing put
    /// in.
    pub fn plain(&self) -> Option<&'a str> {
        let Token::Text(text) = self else { return None };
        let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"$`\"'*<>|{}".contains(byte);
        let is_short = (1..=300).contains(&text.len()) && text.iter().all(is_plain);
        std::str::from_utf8(text).ok().filter(|_| is_short)
    }
}

/// Returns the token at an index; past the end a sign that no language has.
pub(super) fn at<'a>(tokens: &[Token<'a>], index: usize) -> Token<'a> {
    tokens.get(index).copied().unwrap_or(Token::Sign(0))
}

/// A place in a source.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub source: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(source: &'a [u8]) -> Self {
        let at = if source.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Cursor { source, at }
    }

    /// Returns the byte so many places on; 0 past the end.
    pub fn peek(&self, ahead: usize) -> u8 {
        self.source.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.source.len()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// Returns true at the first byte of a line.
    pub fn starts_line(&self) -> bool {
        self.at == 0 || self.source.get(self.at - 1) == Some(&b'\n')
    }

    pub fn skip(&mut self, count: usize) {
        self.at = (self.at + count).min(self.source.len());
    }

    pub fn skip_while(&mut self, is_in: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while !self.is_at_end() && is_in(self.source[self.at]) {
            self.at += 1;
        }
        &self.source[start..self.at]
    }

    /// Skips blanks, line ends among them.
    pub fn skip_blanks(&mut self) {
        self.skip_while(|byte| byte.is_ascii_whitespace());
    }

    /// Takes what is left of the line; stays before its end.
    pub fn line(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.skip(end);
        &rest[..end]
    }

    /// Skips to behind a text; to the end if it is not there.
    pub fn skip_past(&mut self, text: &[u8]) {
        let rest = self.rest();
        self.skip(memchr::memmem::find(rest, text).map_or(rest.len(), |found| found + text.len()));
    }

    /// Takes what is between quotes, the first of which was passed: up to the closing one, which is passed,
    /// too. A backslash hides what follows it; where `open` is another sign, both nest. What is not closed
    /// goes to the end.
    pub fn quoted(&mut self, open: u8, close: u8) -> &'a [u8] {
        let (start, mut depth) = (self.at, 0_usize);
        while !self.is_at_end() {
            let byte = self.source[self.at];
            if byte == b'\\' {
                self.skip(2);
                continue;
            }
            self.at += 1;
            if byte == close && depth == 0 {
                return &self.source[start..self.at - 1];
            } else if byte == close {
                depth -= 1;
            } else if byte == open {
                depth += 1;
            }
        }
        &self.source[start..]
    }

    /// Takes what is between quotes that must close in the same line; a backslash hides a line end, too.
    pub fn quoted_in_line(&mut self, close: u8) -> Option<&'a [u8]> {
        let start = self.at;
        while !self.is_at_end() && self.source[self.at] != b'\n' {
            let byte = self.source[self.at];
            if byte == close {
                self.at += 1;
                return Some(&self.source[start..self.at - 1]);
            }
            self.skip(if byte == b'\\' { 2 } else { 1 });
        }
        None
    }

    /// Takes what is between quotes into which code can be put (`"a#{b["c"]}"`): after `mark` and `{` up to
    /// `}`, with quotes and braces of its own. What is not closed goes to the end.
    pub fn interpolated(&mut self, open: u8, close: u8, mark: u8) -> &'a [u8] {
        let start = self.at;
        // The end of each text and each piece of code that the cursor is in.
        let mut inside = vec![(true, close)];
        while let Some((is_text, close)) = inside.last().copied() {
            if self.is_at_end() {
                return &self.source[start..];
            }
            let byte = self.source[self.at];
            let next = self.peek(1);
            self.at += 1;
            if byte == b'\\' {
                self.skip(1);
            } else if byte == close {
                inside.pop();
            } else if is_text && byte == mark && next == b'{' {
                self.skip(1);
                inside.push((false, b'}'));
            } else if is_text && inside.len() == 1 && byte == open {
                inside.push((true, close));
            } else if !is_text && b"\"'`".contains(&byte) {
                inside.push((true, byte));
            } else if !is_text && byte == b'{' {
                inside.push((false, b'}'));
            }
        }
        &self.source[start..self.at - 1]
    }

    /// Skips a regular expression whose `/` was passed, if it ends in this line; a `/` in brackets counts
    /// where `in_brackets` says so.
    pub fn regex(&mut self, in_brackets: bool) -> bool {
        let (mut at, mut is_in_brackets) = (self.at, false);
        while let Some(byte) = self.source.get(at).filter(|byte| **byte != b'\n') {
            match byte {
                b'\\' => at += 1,
                b'[' if !in_brackets => is_in_brackets = true,
                b']' => is_in_brackets = false,
                b'/' if !is_in_brackets => {
                    self.at = at + 1;
                    return true;
                }
                _ => {}
            }
            at += 1;
        }
        false
    }
}

/// Returns the sign that closes a bracket; other signs close themselves.
pub(super) fn closing(open: u8) -> u8 {
    match open {
        b'(' => b')',
        b'[' => b']',
        b'{' => b'}',
        b'<' => b'>',
        other => other,
    }
}

/// Returns a name of ASCII letters as text.
pub(super) fn text_of(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Bodies of here-documents, which begin in the line after that which names them (shell, Perl, PHP, Ruby).
#[derive(Default)]
pub(super) struct HereDocuments<'a> {
    /// The end of each, and whether that may be indented.
    pending: Vec<(&'a [u8], bool)>,
    /// How often an end was looked for in vain: each time is a walk to the end of the source.
    lacking: usize,
}

/// After so many here-documents without an end, `<<` is taken for an operator.
const MAX_LACKING: usize = 32;

impl<'a> HereDocuments<'a> {
    /// Notes a here-document; its body is skipped at the end of the line.
    pub fn note(&mut self, end: &'a [u8], is_indented: bool) {
        if self.pending.len() < 16 {
            self.pending.push((end, is_indented));
        }
    }

    /// Skips the bodies that begin at the cursor, the first byte of a line.
    pub fn skip_bodies(&mut self, cursor: &mut Cursor<'a>) {
        for (end, is_indented) in std::mem::take(&mut self.pending) {
            if self.lacking >= MAX_LACKING {
                return;
            }
            let start = cursor.at;
            loop {
                if cursor.is_at_end() {
                    // Then it was none.
                    cursor.at = start;
                    self.lacking += 1;
                    break;
                }
                let line = cursor.line();
                cursor.skip(1);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if (if is_indented { line.trim_ascii_start() } else { line }) == end {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_nest_and_end_with_the_source() {
        let mut cursor = Cursor::new(br"a(b)\)c)d");
        assert_eq!(cursor.quoted(b'(', b')'), br"a(b)\)c");
        assert_eq!(cursor.rest(), b"d");
        for open in [&b""[..], b"\\", b"a\\", b"((", b"(\\)"] {
            let mut cursor = Cursor::new(open);
            cursor.quoted(b'(', b')');
            assert!(cursor.is_at_end());
        }
    }

    #[test]
    fn here_documents_without_an_end_are_none() {
        let mut cursor = Cursor::new(b"x\n  END\ny\n");
        let mut documents = HereDocuments::default();
        documents.note(b"END", true);
        documents.skip_bodies(&mut cursor);
        assert_eq!(cursor.rest(), b"y\n");
        documents.note(b"END", true);
        documents.skip_bodies(&mut cursor);
        assert_eq!(cursor.rest(), b"y\n");
    }
}
