//! Cuts a Perl source into words, texts and signs, as perlop(1) quotes them.

use super::super::tokens::{Cursor, HereDocuments, Token, closing, is_name_byte, starts_name, text_of};

/// Returns the tokens of a source.
pub(super) fn tokens(source: &[u8]) -> Vec<Token<'_>> {
    Lexer::tokens(source)
}

/// Cuts a source into tokens.
struct Lexer<'a> {
    cursor: Cursor<'a>,
    before: Token<'a>,
    documents: HereDocuments<'a>,
    /// Up to here `/` divides: no regular expression ends in this line.
    divides_until: usize,
}

impl<'a> Lexer<'a> {
    fn tokens(source: &'a [u8]) -> Vec<Token<'a>> {
        let cursor = Cursor::new(source);
        let mut lexer = Lexer {
            cursor,
            before: Token::Sign(b';'),
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
            match cursor.peek(0) {
                b'\n' => {
                    cursor.skip(1);
                    self.documents.skip_bodies(cursor);
                }
                b'#' => {
                    cursor.line();
                }
                b'=' if cursor.starts_line() && cursor.peek(1).is_ascii_alphabetic() => {
                    // POD: perlpod(1).
                    cursor.skip_past(b"\n=cut");
                    cursor.line();
                }
                byte if byte.is_ascii_whitespace() => cursor.skip(1),
                _ => return self.token(),
            }
        }
    }

    fn token(&mut self) -> Option<Token<'a>> {
        let byte = self.cursor.peek(0);
        let next = self.cursor.peek(1);
        match byte {
            b'$' | b'@' => return Some(self.variable()),
            b'%' | b'&' if self.wants_operand() && (starts_name(next) || b"$:".contains(&next)) => {
                return Some(self.variable());
            }
            b'\'' | b'"' | b'`' => {
                self.cursor.skip(1);
                return Some(Token::Text(self.cursor.quoted(byte, byte)));
            }
            b'0'..=b'9' => {
                self.cursor.skip_while(|byte| is_name_byte(byte) || byte == b'.');
                return Some(Token::Other);
            }
            b'/' if self.wants_operand() && self.cursor.at >= self.divides_until => {
                self.cursor.skip(1);
                if self.before == Token::Sign(b'~') {
                    self.cursor.quoted(b'/', b'/');
                } else if !self.cursor.regex(true) {
                    let mut line = self.cursor;
                    line.line();
                    self.divides_until = line.at;
                    return Some(Token::Sign(b'/'));
                }
                return Some(Token::Other);
            }
            b'<' if next == b'<' && self.here_document() => return Some(Token::Other),
            _ if starts_name(byte) => return self.word(),
            _ => {}
        }
        let (token, length) = match (byte, next) {
            (b'=', b'>') => (Token::Pair, 2),
            (b'-', b'>') => (Token::Member, 2),
            _ => (Token::Sign(byte), 1),
        };
        self.cursor.skip(length);
        Some(token)
    }

    /// Returns true where an operand is expected, so that `/` begins a regular expression and `%` a hash.
    fn wants_operand(&self) -> bool {
        const TAKE_ONE: &[&str] = &[
            "and", "cmp", "eq", "ge", "gt", "if", "le", "lt", "ne", "not", "or", "x", "return", "split",
            "grep", "map", "join", "unless", "until", "while", "when", "print", "push", "unshift", "keys",
            "values", "each", "delete", "exists", "defined", "ref", "scalar", "my", "our", "local",
        ];
        match self.before {
            Token::Word(word) => TAKE_ONE.contains(&word),
            Token::Sign(sign) => !b")]}".contains(&sign),
            Token::Pair | Token::Member => true,
            Token::Text(_) | Token::Variable(_) | Token::Other => false,
        }
    }

    /// Takes a variable. Braces stay, for they close where others do.
    fn variable(&mut self) -> Token<'a> {
        let start = self.cursor.at;
        let sigil = self.cursor.peek(0);
        self.cursor.skip(1);
        if sigil == b'$' && self.cursor.peek(0) == b'#' && b"{$".contains(&self.cursor.peek(1)) {
            self.cursor.skip(1);
        }
        let is_part = |byte| is_name_byte(byte) || byte == b':' || byte == b'^';
        while self.cursor.peek(0) == b'$'
            && (is_part(self.cursor.peek(1)) || b"{$".contains(&self.cursor.peek(1)))
        {
            self.cursor.skip(1);
        }
        if sigil == b'$' && self.cursor.peek(0) == b'#' && starts_name(self.cursor.peek(1)) {
            self.cursor.skip(1);
        }
        let is_joined = self.cursor.peek(0) == b':' && self.cursor.peek(1) == b':';
        if starts_name(self.cursor.peek(0)) || is_joined {
            loop {
                self.cursor.skip_while(is_name_byte);
                if !(self.cursor.peek(0) == b':' && self.cursor.peek(1) == b':') {
                    break;
                }
                self.cursor.skip(2);
            }
        } else if sigil == b'$' && !b"{ \t\r\n".contains(&self.cursor.peek(0)) {
            self.cursor.skip(1);
        }
        Token::Variable(&self.cursor.source[start..self.cursor.at])
    }

    fn word(&mut self) -> Option<Token<'a>> {
        let start = self.cursor.at;
        loop {
            self.cursor.skip_while(is_name_byte);
            if !(self.cursor.peek(0) == b':' && self.cursor.peek(1) == b':') {
                break;
            }
            self.cursor.skip(2);
        }
        let word = text_of(&self.cursor.source[start..self.cursor.at]);
        if matches!(word, "__END__" | "__DATA__") && self.before != Token::Member {
            self.cursor.at = self.cursor.source.len();
            return None;
        }
        let parts = match word {
            "q" | "qq" | "qw" | "qx" | "m" | "qr" => 1,
            "s" | "tr" | "y" => 2,
            _ => return Some(Token::Word(word)),
        };
        let is_name = self.before == Token::Member
            || self.before.is_word("sub")
            || start.checked_sub(1).is_some_and(|at| b"-&".contains(&self.cursor.source[at]));
        let mut after = self.cursor;
        after.skip_blanks();
        let open = after.peek(0);
        let is_key =
            open == b'=' && after.peek(1) == b'>' || open == b'}' && self.before == Token::Sign(b'{');
        let has_blank = after.at > self.cursor.at;
        let is_other = is_name || is_key || is_name_byte(open) || has_blank && open == b'#';
        if after.is_at_end() || is_other || b",;)".contains(&open) {
            return Some(Token::Word(word));
        }
        self.cursor = after;
        self.cursor.skip(1);
        let text = self.cursor.quoted(open, closing(open));
        if parts == 2 {
            let mut second = open;
            if closing(open) != open {
                self.cursor.skip_blanks();
                second = self.cursor.peek(0);
                self.cursor.skip(1);
            }
            self.cursor.quoted(second, closing(second));
        }
        Some(if matches!(word, "q" | "qq" | "qw") { Token::Text(text) } else { Token::Other })
    }

    /// Takes the head of a here-document, if this is one.
    fn here_document(&mut self) -> bool {
        let mut cursor = self.cursor;
        cursor.skip(2);
        let is_indented = cursor.peek(0) == b'~';
        cursor.skip(usize::from(is_indented));
        let quote = cursor.peek(0);
        let end = if quote == b'"' || quote == b'\'' {
            cursor.skip(1);
            cursor.quoted(quote, quote)
        } else if starts_name(quote) {
            cursor.skip_while(is_name_byte)
        } else {
            return false;
        };
        if matches!(self.before, Token::Other | Token::Sign(b')')) || end.len() > 80 {
            return false;
        }
        self.cursor = cursor;
        self.documents.note(end, is_indented);
        true
    }
}
