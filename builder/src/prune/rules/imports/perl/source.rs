//! The modules that a Perl source names, found without running it.
//!
//! Perl can be parsed by perl alone; this cuts a source into words and texts as perlop(1) quotes them and looks for
//! `use`, `require`, `do` and the calls that load modules by name. Where a guess is wrong (`/` that divides), what
//! follows is misread up to the next line end or quote, and passed over. Each byte is looked at a bounded number of times.

use super::super::{
    Need,
    tokens::{Cursor, HereDocuments, Token, at, closing, is_name_byte, starts_name, text_of},
};

/// Something that a source names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A module, `A::B`.
    Module(String, Need),
    /// A file, as `require "x.pl"` and `do "x.pl"` name it.
    File(String, Need),
    /// A directory that `use lib` or a change of `@INC` adds; may begin with `$FindBin::Bin`.
    Directory(String),
    /// The package that the source says it is, `A::B`.
    Package(String),
}

/// Returns what a source names, in its order.
pub(super) fn names(source: &[u8]) -> Vec<Named> {
    let mut scan = Scan::default();
    scan.source(source, Need::Sure, true);
    scan.found
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

#[derive(Default)]
struct Scan {
    found: Vec<Named>,
    /// What each open block means for what is loaded in it.
    blocks: Vec<Need>,
}

impl Scan {
    /// Scans a source; `is_whole`: no text that another one evaluates.
    fn source(&mut self, source: &[u8], least: Need, is_whole: bool) {
        let tokens = Lexer::tokens(source);
        let depth = self.blocks.len();
        let (mut is_start, mut is_function) = (true, false);
        for (index, token) in tokens.iter().enumerate() {
            let before = at(&tokens, index.wrapping_sub(1));
            let was_start = std::mem::replace(&mut is_start, false);
            match *token {
                Token::Sign(b'{') => {
                    let need = match before {
                        Token::Word("eval" | "try") => Need::Optional,
                        _ if std::mem::take(&mut is_function) => Need::Late,
                        _ => Need::Sure,
                    };
                    self.blocks.push(self.need().max(need));
                    is_start = true;
                }
                Token::Sign(b'}') => {
                    if self.blocks.len() > depth {
                        self.blocks.pop();
                    }
                    is_start = true;
                }
                Token::Sign(b';') => (is_start, is_function) = (true, false),
                Token::Word(word) if before != Token::Member && at(&tokens, index + 1) != Token::Pair => {
                    is_function |= matches!(word, "sub" | "method");
                    let need = self.need().max(least);
                    self.word(word, &tokens[index + 1..], need, was_start, is_whole);
                }
                Token::Variable(b"@INC") => {
                    if let [Token::Sign(b','), Token::Text(text), ..] = &tokens[index + 1..] {
                        self.directory(text);
                    }
                }
                _ => {}
            }
        }
        self.blocks.truncate(depth);
    }

    fn need(&self) -> Need {
        self.blocks.last().copied().unwrap_or(Need::Sure)
    }

    /// Takes a word and what follows it.
    fn word(&mut self, word: &str, after: &[Token<'_>], need: Need, is_start: bool, is_whole: bool) {
        const LOAD: &[&str] = &[
            "load_class",
            "load_module",
            "require_module",
            "try_load_class",
            "use_module",
            "use_package_optimistically",
        ];
        match word {
            "use" if is_start => self.used(after, if need == Need::Late { Need::Sure } else { need }),
            "package" if is_start => self.found.push(Named::Package(at(after, 0).word().to_owned())),
            "require" => match at(after, 0) {
                Token::Word(module) => self.module(module, need),
                text => self.file(text, need),
            },
            "do" => self.file(at(after, 0), need),
            "eval" if is_whole => {
                if let Token::Text(text) = at(after, 0)
                    && [&b"require"[..], b"use"].iter().any(|word| memchr::memmem::find(text, word).is_some())
                {
                    self.source(text, Need::Optional, false);
                }
            }
            "extends" | "with" if is_start => self.modules_in(after, need),
            _ if LOAD.contains(&word) || LOAD.iter().any(|name| word.ends_with(&format!("::{name}"))) => {
                let first = if at(after, 0) == Token::Sign(b'(') { 1 } else { 0 };
                if let Some(module) = at(after, first).plain() {
                    self.module(module, need);
                }
            }
            _ => {}
        }
    }

    /// Takes what follows `use`.
    fn used(&mut self, after: &[Token<'_>], need: Need) {
        let module = at(after, 0).word();
        let arguments = after.get(1..).unwrap_or_default();
        self.module(module, need);
        match module {
            "parent" | "base" | "aliased" => self.modules_in(arguments, need),
            "lib" => {
                for token in statement(arguments) {
                    if let Token::Text(text) = token {
                        text.split(u8::is_ascii_whitespace).for_each(|text| self.directory(text));
                    }
                }
            }
            "if" => {
                let mut rest = statement(arguments).skip_while(|token| **token != Token::Sign(b','));
                let named = rest.nth(1).map(|token| token.plain().unwrap_or(token.word()));
                self.module(named.unwrap_or_default(), Need::Optional);
            }
            _ => {}
        }
    }

    /// Takes the modules that the texts of a statement name, up to `-norequire`.
    fn modules_in(&mut self, tokens: &[Token<'_>], need: Need) {
        for (index, token) in statement(tokens).enumerate() {
            if at(tokens, index + 1).is_word("norequire") {
                break;
            }
            let Token::Text(text) = token else { continue };
            for name in text.split(u8::is_ascii_whitespace).map(text_of) {
                if name == "-norequire" {
                    return;
                }
                self.module(name, need);
            }
        }
    }

    fn module(&mut self, name: &str, need: Need) {
        let is_part =
            |part: &str| part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let is_version =
            name.len() > 1 && name.starts_with('v') && name[1..].bytes().all(|b| b.is_ascii_digit());
        let is_name = name.len() <= 200 && name.split("::").all(is_part);
        if is_name && !is_version && name.bytes().all(|byte| is_name_byte(byte) || byte == b':') {
            self.found.push(Named::Module(name.to_owned(), need));
        }
    }

    fn file(&mut self, token: Token<'_>, need: Need) {
        if let Some(path) = token.plain().filter(|path| path.contains('.')) {
            self.found.push(Named::File(path.to_owned(), need));
        }
    }

    fn directory(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        if !text.is_empty() && text.len() <= 300 {
            self.found.push(Named::Directory(text.into_owned()));
        }
    }
}

/// Returns the tokens of a statement, not more than its beginning.
fn statement<'a, 'b>(tokens: &'b [Token<'a>]) -> impl Iterator<Item = &'b Token<'a>> {
    tokens.iter().take(200).take_while(|token| !matches!(token, Token::Sign(b';' | b'}')))
}

#[cfg(test)]
mod tests;
