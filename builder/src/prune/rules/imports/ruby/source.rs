//! The files that a Ruby source names, found without running it.
//!
//! The source is cut into words, texts and signs as Ruby's own documentation, "Literals", has them; whether
//! `/` divides is guessed by what is before it. Blocks are recognised by the words that open them and `end`.

use super::{
    super::{
        Need,
        tokens::{Token, at},
    },
    lexer::tokens,
};

/// How a file is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum From {
    /// Looked for in the load path.
    LoadPath,
    /// Beside the source.
    Beside,
    /// Relative to the source as if it were a directory: `File.expand_path("../x", __FILE__)`.
    Inside,
}

/// A file that is named, as a rule without its ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Named {
    pub name: String,
    pub from: From,
    pub need: Need,
}

/// Returns the names in a source, in its order.
pub(in super::super) fn names(source: &[u8]) -> Vec<Named> {
    let tokens = tokens(source);
    let mut scan = Scan::default();
    for index in 0..tokens.len() {
        scan.token(&tokens, index);
    }
    scan.found
}

#[derive(Default)]
struct Scan {
    found: Vec<Named>,
    /// The meaning of each open block for the loads in it, with the number of files that were named before
    /// it.
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
mod tests;
