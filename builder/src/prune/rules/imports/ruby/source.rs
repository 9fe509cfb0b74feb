//! The files that a Ruby source names, found without running it.
//!
//! The source is cut into words, texts and signs as Ruby's own documentation, "Literals", has them; whether `/` divides
//! is guessed by what is before it. Blocks are told by the words that open them and `end`.

use super::super::{
    Need,
    tokens::{Cursor, HereDocuments, Token, at, closing, is_name_byte, starts_name, text_of},
};

/// How a file is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Looked for in the load path.
    LoadPath,
    /// Beside the source.
    Beside,
    /// Relative to the source as if it were a directory: `File.expand_path("../x", __FILE__)`.
    Inside,
}

/// A file that is named, as a rule without its ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub name: String,
    pub from: From,
    pub need: Need,
}

/// Returns what a source names, in its order.
pub(super) fn names(source: &[u8]) -> Vec<Named> {
    let tokens = Lexer::tokens(source);
    let mut scan = Scan::default();
    for index in 0..tokens.len() {
        scan.token(&tokens, index);
    }
    scan.found
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

#[derive(Default)]
struct Scan {
    found: Vec<Named>,
    /// What each open block means for what is loaded in it, with how many files were named before it.
    blocks: Vec<(Need, usize)>,
    /// Whether a `do` of this line belongs to a loop that is open already.
    is_loop: bool,
}

impl Scan {
    fn token(&mut self, tokens: &[Token<'_>], index: usize) {
        let before = at(tokens, index.wrapping_sub(1));
        let is_start = index == 0
            || matches!(
                before,
                Token::Sign(b'\n' | b';' | b'(' | b'=' | b'|' | b'{' | b'&' | b'[' | b',') | Token::Pair
            )
            || matches!(before, Token::Word("return" | "then" | "else" | "do" | "begin" | "ensure" | "not"));
        let Token::Word(word) = tokens[index] else {
            self.is_loop &= tokens[index] != Token::Sign(b'\n');
            return;
        };
        if before == Token::Member || before.is_word("def") || before == Token::Sign(b':') {
            return;
        }
        let need = match word {
            "def" => Need::Late,
            "begin" | "case" | "class" | "module" => Need::Sure,
            "for" => {
                self.is_loop = true;
                Need::Sure
            }
            "if" | "unless" if is_start => Need::Sure,
            "while" | "until" if is_start => {
                self.is_loop = true;
                Need::Sure
            }
            "do" if !std::mem::take(&mut self.is_loop) => Need::Sure,
            "end" => {
                self.blocks.pop();
                return;
            }
            "rescue" => return self.rescue(&tokens[index + 1..], is_start),
            _ => return self.named(word, &tokens[index + 1..]),
        };
        self.blocks.push((need.max(self.need()), self.found.len()));
    }

    /// Takes `rescue LoadError`: what its block named so far is optional, and so is what comes instead.
    fn rescue(&mut self, after: &[Token<'_>], is_start: bool) {
        let catches = after
            .iter()
            .take(20)
            .take_while(|token| !matches!(token, Token::Sign(b'\n' | b';')) && !token.is_word("then"))
            .any(|token| matches!(token.word(), "LoadError" | "ScriptError" | "Exception"));
        let count = self.found.len();
        if let Some((need, start)) = self.blocks.last_mut().filter(|_| catches && is_start) {
            *need = Need::Optional;
            for named in self.found.iter_mut().skip(std::mem::replace(start, count)) {
                named.need = Need::Optional;
            }
        }
    }

    fn need(&self) -> Need {
        self.blocks.last().map_or(Need::Sure, |(need, _)| *need)
    }

    fn named(&mut self, word: &str, after: &[Token<'_>]) {
        let mut from = match word {
            "require" | "load" | "autoload" => From::LoadPath,
            "require_relative" => From::Beside,
            _ => return,
        };
        let after = if after.first() == Some(&Token::Sign(b'(')) { &after[1..] } else { after };
        let text = match (word, at(after, 0)) {
            // autoload :Name, "path"
            ("autoload", _) => at(after, 2),
            (_, Token::Word("File")) if at(after, 2).is_word("expand_path") => {
                let (open, last) = (at(after, 3), at(after, 6));
                from = match last {
                    Token::Word("__FILE__") => From::Inside,
                    Token::Word("__dir__") => From::Beside,
                    _ => return,
                };
                if open != Token::Sign(b'(') {
                    return;
                }
                at(after, 4)
            }
            (_, first) => first,
        };
        let name = match text {
            Token::Text(text) if text.starts_with(b"#{__dir__}/") => {
                from = From::Beside;
                Token::Text(&text[11..]).plain()
            }
            text => text.plain(),
        };
        let need = if word == "autoload" { self.need().max(Need::Late) } else { self.need() };
        if let Some(name) = name.filter(|name| !name.contains("#{")) {
            self.found.push(Named { name: name.to_owned(), from, need });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &str) -> Vec<String> {
        let text = |named: Named| {
            let mark = match named.need {
                Need::Sure => "",
                Need::Late => "~",
                Need::Optional => "?",
            };
            let from = match named.from {
                From::LoadPath => "",
                From::Beside => "./",
                From::Inside => "//",
            };
            format!("{mark}{from}{}", named.name)
        };
        names(source.as_bytes()).into_iter().map(text).collect()
    }

    #[test]
    fn files_are_found_wherever_they_are_named() {
        let rows: &[(&str, &[&str])] = &[
            ("require 'a'\nrequire \"b/c\"\nrequire('d'); load 'e.rb'\n", &["a", "b/c", "d", "e.rb"]),
            ("require_relative 'a'\nrequire \"#{__dir__}/b\"\nrequire \"#{x}/no\"\n", &["./a", "./b"]),
            (
                "require File.expand_path('../a', __FILE__)\nrequire File.expand_path(\"b\", __dir__)\n",
                &["//../a", "./b"],
            ),
            (
                "module A\n  autoload :B, 'a/b'\n  autoload(:C, \"a/c\")\n  autoload :D\nend\n",
                &["~a/b", "~a/c"],
            ),
            (
                "class A\n  def f\n    require 'a' if x\n    if x then require 'b' end\n  end\n  require 'c'\nend\n",
                &["~a", "~b", "c"],
            ),
            ("begin\n  require 'a'\nrescue LoadError\n  require 'b'\nend\nrequire 'c'\n", &["?a", "?b", "c"]),
            ("def f\n  require 'a'\nrescue LoadError => e\nend\n", &["?a"]),
            ("begin\n  require 'a'\nrescue KeyError\nend\n", &["a"]),
            ("while x do\n y\nend\nx.each do |y|\n require 'a'\nend\ndef f; end\nrequire 'b'\n", &["a", "b"]),
            (
                "x = if y\n  1\nend\ndef f\n  z = case y when 1 then 2 end\n require 'a'\nend\nrequire 'b'\n",
                &["~a", "b"],
            ),
            ("def self.f(if: 1)\n  self.class.new\nend\nrequire 'a'\n", &["a"]),
        ];
        for (source, expected) in rows {
            assert_eq!(told(source), *expected, "{source}");
        }
    }

    #[test]
    fn comments_texts_and_data_do_not_count() {
        for source in [
            "# require 'a'\n",
            "=begin\nrequire 'a'\n=end\n",
            "x = \"require 'a'\"\ny = 'require \"b\"'\nz = %q(require 'c')\n",
            "x = <<~A + <<-'B'\n  require 'a'\n  A\n  require 'b'\n  B\n",
            "1\n__END__\nrequire 'a'\n",
            "x.require 'a'\ndef require(x); end\n{ require: 'a' }\nx = :require\n",
            "x = %w[require 'a']\ny = /require 'a'/\n",
        ] {
            assert_eq!(told(source), [] as [&str; 0], "{source}");
        }
        for source in [
            "x = a / b; require 'a' # / '\n",
            "x = ?\"; require 'a'\n",
            "x = \"a#{h[\"b\"]}c\"; require 'a'\n",
            "x =~ /'/; require 'a'\n",
            "x % 3; require 'a'\n",
            "class << self\nend\nrequire 'a'\n",
            "x << 'y'; require 'a'\n",
            "x = $'; require 'a'\n",
        ] {
            assert_eq!(told(source), ["a"], "{source}");
        }
    }

    #[test]
    fn sources_cut_anywhere_and_hostile_ones_end_soon() {
        let all = "require 'a'\ndef f; x = \"a#{b}\" =~ /c/; %w[d e]; <<~F; end\n F\n=begin\n=end\nautoload :X, 'y'\n$: ?x @@y";
        for end in 0..all.len() {
            told(&all[..end]);
            told(&all[end..]);
        }
        let started = std::time::Instant::now();
        for piece in [
            "\"#{",
            "<<A\n",
            "/\\/",
            "def ",
            "end ",
            "%q(",
            "=begin\n",
            "__END__ \n",
            "?",
            "$",
            "autoload ",
            "rescue ",
        ] {
            names(piece.repeat(200_000 / piece.len()).as_bytes());
        }
        assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
    }
}
