//! Cuts a Ruby source into words, texts and signs, as Ruby's documentation, "Literals", has them.

use super::super::tokens::{Cursor, HereDocuments, Token, closing, is_name_byte, starts_name, text_of};

/// Returns the tokens of a source.
pub(super) fn tokens(source: &[u8]) -> Vec<Token<'_>> {
    Lexer::tokens(source)
}

struct Lexer<'a> {
    cursor: Cursor<'a>,
    before: Token<'a>,
    documents: HereDocuments<'a>,
    /// Up to here `/` divides: no regular expression ends in this line.
    divides_until: usize,
}

impl<'a> Lexer<'a> {
    fn tokens(source: &'a [u8]) -> Vec<Token<'a>> {
        let mut lexer = Lexer {
            cursor: Cursor::new(source),
            before: Token::Sign(b'\n'),
            documents: HereDocuments::default(),
            divides_until: 0,
        };
        let mut out = Vec::new();
        while let Some(token) = lexer.next() {
            lexer.before = token;
            out.push(token);
        }
        out
    }

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let cursor = &mut self.cursor;
            if cursor.is_at_end() {
                return None;
            }
            if cursor.starts_line() && cursor.rest().starts_with(b"=begin") {
                cursor.skip_past(b"\n=end");
                cursor.line();
                continue;
            }
            if cursor.starts_line() && cursor.rest().starts_with(b"__END__") {
                let mut line = *cursor;
                if line.line().trim_ascii_end() == b"__END__" {
                    return None;
                }
            }
            match cursor.peek(0) {
                b'\n' => {
                    cursor.skip(1);
                    self.documents.skip_bodies(cursor);
                    return Some(Token::Sign(b'\n'));
                }
                b'\\' if cursor.peek(1) == b'\n' => cursor.skip(2),
                b'#' => {
                    cursor.line();
                }
                byte if byte.is_ascii_whitespace() => cursor.skip(1),
                _ => return Some(self.token()),
            }
        }
    }

    fn token(&mut self) -> Token<'a> {
        let (byte, next) = (self.cursor.peek(0), self.cursor.peek(1));
        let length = match byte {
            b'\'' => {
                self.cursor.skip(1);
                return Token::Text(self.cursor.quoted(byte, byte));
            }
            b'"' | b'`' => {
                self.cursor.skip(1);
                return Token::Text(self.cursor.interpolated(0, byte, b'#'));
            }
            b'0'..=b'9' => {
                self.cursor.skip_while(is_name_byte);
                return Token::Other;
            }
            // A single sign as a text: ?" and ?a.
            b'?' if self.wants_operand()
                && !next.is_ascii_whitespace()
                && !is_name_byte(self.cursor.peek(2)) =>
            {
                2
            }
            b':' if b"\"'".contains(&next) && self.before != Token::Sign(b':') => {
                self.cursor.skip(2);
                self.cursor.quoted(next, next);
                return Token::Other;
            }
            b':' if starts_name(next) && self.before != Token::Sign(b':') => {
                self.cursor.skip(1);
                self.cursor.skip_while(|byte| is_name_byte(byte) || byte == b'?' || byte == b'!');
                return Token::Other;
            }
            b'$' | b'@' => {
                let start = self.cursor.at;
                self.cursor.skip_while(|byte| byte == b'@' || byte == b'$');
                if self.cursor.skip_while(is_name_byte).is_empty() && byte == b'$' {
                    self.cursor.skip(1);
                }
                return Token::Variable(&self.cursor.source[start..self.cursor.at]);
            }
            b'/' if self.wants_operand() && self.cursor.at >= self.divides_until => return self.regex(),
            b'%' if self.wants_operand() => match self.percent() {
                Some(token) => return token,
                None => 1,
            },
            b'<' if next == b'<' && self.here_document() => return Token::Other,
            _ if starts_name(byte) => return self.word(),
            b'=' if next == b'>' => {
                self.cursor.skip(2);
                return Token::Pair;
            }
            b'.' if next != b'.' => {
                self.cursor.skip(1);
                return Token::Member;
            }
            _ => 1,
        };
        self.cursor.skip(length);
        if length > 1 { Token::Other } else { Token::Sign(byte) }
    }

    /// Returns true where an operand is expected.
    fn wants_operand(&self) -> bool {
        const TAKE_ONE: &[&str] = &[
            "and",
            "elsif",
            "else",
            "if",
            "in",
            "not",
            "or",
            "puts",
            "raise",
            "return",
            "then",
            "unless",
            "until",
            "when",
            "while",
            "split",
            "gsub",
            "sub",
            "scan",
            "match",
            "do",
            "assert_match",
            "require",
            "print",
        ];
        match self.before {
            Token::Word(word) => TAKE_ONE.contains(&word),
            Token::Sign(sign) => !b")]}".contains(&sign),
            Token::Pair => true,
            _ => false,
        }
    }

    fn regex(&mut self) -> Token<'a> {
        self.cursor.skip(1);
        if self.before == Token::Sign(b'~') {
            self.cursor.interpolated(0, b'/', b'#');
        } else if !self.cursor.regex(true) {
            let mut line = self.cursor;
            line.line();
            self.divides_until = line.at;
            return Token::Sign(b'/');
        }
        Token::Other
    }

    /// Takes `%w[…]`, `%q(…)`, `%(…)` and the like.
    fn percent(&mut self) -> Option<Token<'a>> {
        let kind = self.cursor.peek(1);
        let has_kind = b"qQwWiIrxs".contains(&kind);
        let open = self.cursor.peek(1 + usize::from(has_kind));
        if !b"([{<|!/-^".contains(&open) {
            return None;
        }
        self.cursor.skip(2 + usize::from(has_kind));
        let text = self.cursor.quoted(open, closing(open));
        Some(if matches!(kind, b'q' | b'Q') || !has_kind { Token::Text(text) } else { Token::Other })
    }

    fn here_document(&mut self) -> bool {
        let mut cursor = self.cursor;
        cursor.skip(2);
        let is_indented = b"~-".contains(&cursor.peek(0));
        cursor.skip(usize::from(is_indented));
        let quote = cursor.peek(0);
        let end = if b"\"'`".contains(&quote) {
            cursor.skip(1);
            cursor.quoted_in_line(quote).unwrap_or_default()
        } else if quote.is_ascii_uppercase() || quote == b'_' {
            cursor.skip_while(is_name_byte)
        } else {
            return false;
        };
        // `class << X` and `list <<NAME` are none.
        if end.is_empty() || end.len() > 80 || self.before.is_word("class") {
            return false;
        }
        self.cursor = cursor;
        self.documents.note(end, is_indented);
        true
    }

    fn word(&mut self) -> Token<'a> {
        let start = self.cursor.at;
        loop {
            self.cursor.skip_while(is_name_byte);
            if !(self.cursor.peek(0) == b':'
                && self.cursor.peek(1) == b':'
                && starts_name(self.cursor.peek(2)))
            {
                break;
            }
            self.cursor.skip(2);
        }
        let word = text_of(&self.cursor.source[start..self.cursor.at]);
        let (sign, after) = (self.cursor.peek(0), self.cursor.peek(1));
        if b"?!".contains(&sign) && after != b'=' {
            self.cursor.skip(1);
            return Token::Other;
        }
        // `if: x` is the name of an argument.
        if sign == b':' && after != b':' && self.before != Token::Sign(b'?') {
            self.cursor.skip(1);
            return Token::Pair;
        }
        Token::Word(word)
    }
}
