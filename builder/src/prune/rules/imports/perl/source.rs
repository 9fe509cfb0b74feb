//! The modules that a Perl source names, found without running it.
//!
//! Perl can be parsed by perl alone; this cuts a source into words and texts as perlop(1) quotes them and
//! looks for `use`, `require`, `do` and the calls that load modules by name. Where a guess is wrong (`/` that
//! divides), what follows is misread up to the next line end or quote, and passed over. Each byte is looked
//! at a bounded number of times.

use super::{
    super::{
        Need,
        tokens::{Token, at, is_name_byte, text_of},
    },
    lexer::tokens,
};

/// Something that a source names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Named {
    /// A module, `A::B`.
    Module(String, Need),
    /// A file, as `require "x.pl"` and `do "x.pl"` name it.
    File(String, Need),
    /// A directory that `use lib` or a change of `@INC` adds; may begin with `$FindBin::Bin`.
    Directory(String),
    /// The package that the source says it is, `A::B`.
    Package(String),
}

/// Returns the names in a source, in its order.
pub(in super::super) fn names(source: &[u8]) -> Vec<Named> {
    let mut scan = Scan::default();
    scan.source(source, Need::Sure, true);
    scan.found
}

#[derive(Default)]
struct Scan {
    found: Vec<Named>,
    /// The meaning of each open block for the loads in it.
    blocks: Vec<Need>,
}

impl Scan {
    /// Scans a source; `is_whole`: no text that another one evaluates.
    fn source(&mut self, source: &[u8], least: Need, is_whole: bool) {
        let tokens = tokens(source);
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
