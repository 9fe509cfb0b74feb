//! The names in a PHP source: files that it includes, classes that an autoloader finds, and the maps of
//! autoloaders.
//!
//! The source is cut into words, texts and signs (PHP manual, "Basic syntax", "Strings"); names of classes
//! are resolved by `namespace` and `use` as "Name resolution rules" has it. A word that is not a class is in
//! no map, and leads nowhere.

use std::collections::{BTreeMap, HashMap};

use super::super::{
    Need,
    tokens::{Cursor, Token, at, text_of},
};

/// A path that a source writes down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Location {
    /// How many directories above that of the source it begins in; `None`: looked for in the include path.
    pub up: Option<usize>,
    pub path: String,
}

/// A name in a source.
#[derive(Debug, Default)]
pub(in super::super) struct Names {
    /// Files of `require` and `include`.
    pub files: Vec<(Location, Need)>,
    /// Classes, by their whole names.
    pub classes: BTreeMap<String, Need>,
}

/// Returns the names in a source.
pub(in super::super) fn names(source: &[u8]) -> Names {
    let tokens = tokens(source);
    let mut scan = Scan::default();
    for index in 0..tokens.len() {
        scan.token(&tokens, index);
    }
    scan.names
}

/// Returns the pairs of a text and a path in a source: the map of an autoloader from classes, or beginnings
/// of their names, to files or directories.
pub(in super::super) fn map(source: &[u8]) -> Vec<(String, Location)> {
    let tokens = tokens(source);
    let mut out = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let (Token::Text(key), Token::Pair) = (token, at(&tokens, index + 1)) else { continue };
        let mut start = index + 2;
        // array(…), […], array(0 => …)
        start += usize::from(at(&tokens, start).is_word("array"));
        start += usize::from(matches!(at(&tokens, start), Token::Sign(b'(' | b'[')));
        start += 2 * usize::from(at(&tokens, start) == Token::Other && at(&tokens, start + 1) == Token::Pair);
        if let Some((location, end)) = location(&tokens, start)
            && at(&tokens, end) != Token::Pair
        {
            out.push((unescaped(key), location));
        }
    }
    out
}

/// Words that stand before, after or in place of names of classes.
const KEYWORDS: &[&str] = &[
    "abstract",
    "and",
    "array",
    "as",
    "bool",
    "break",
    "callable",
    "case",
    "catch",
    "clone",
    "const",
    "continue",
    "declare",
    "default",
    "do",
    "echo",
    "else",
    "elseif",
    "false",
    "final",
    "finally",
    "float",
    "for",
    "foreach",
    "global",
    "goto",
    "if",
    "instanceof",
    "int",
    "isset",
    "iterable",
    "list",
    "match",
    "mixed",
    "never",
    "new",
    "null",
    "object",
    "or",
    "parent",
    "php",
    "print",
    "private",
    "protected",
    "public",
    "readonly",
    "return",
    "self",
    "static",
    "string",
    "switch",
    "throw",
    "true",
    "try",
    "unset",
    "var",
    "void",
    "while",
    "xor",
    "yield",
];

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'\\'
}

fn tokens(source: &[u8]) -> Vec<Token<'_>> {
    let mut cursor = Cursor::new(source);
    let mut out = Vec::new();
    cursor.skip_past(b"<?");
    while !cursor.is_at_end() {
        let (byte, next) = (cursor.peek(0), cursor.peek(1));
        let (token, length) = match byte {
            _ if byte.is_ascii_whitespace() => {
                cursor.skip(1);
                continue;
            }
            b'?' if next == b'>' => {
                cursor.skip_past(b"<?");
                (Token::Sign(b';'), 0)
            }
            b'#' if next != b'[' => {
                comment(&mut cursor);
                continue;
            }
            b'/' if next == b'/' => {
                comment(&mut cursor);
                continue;
            }
            b'/' if next == b'*' => {
                cursor.skip(2);
                cursor.skip_past(b"*/");
                continue;
            }
            b'\'' | b'"' | b'`' => {
                cursor.skip(1);
                (Token::Text(cursor.quoted(byte, byte)), 0)
            }
            b'<' if cursor.rest().starts_with(b"<<<") => {
                cursor.skip(3);
                here_document(&mut cursor);
                (Token::Other, 0)
            }
            b'$' => {
                let start = cursor.at;
                cursor.skip(1);
                cursor.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80);
                (Token::Variable(&source[start..cursor.at]), 0)
            }
            b'0'..=b'9' => {
                cursor.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                (Token::Other, 0)
            }
            _ if is_name_byte(byte) => (Token::Word(text_of(cursor.skip_while(is_name_byte))), 0),
            b'=' if next == b'>' => (Token::Pair, 2),
            b'-' if next == b'>' => (Token::Member, 2),
            b':' if next == b':' => (Token::Member, 2),
            _ => (Token::Sign(byte), 1),
        };
        cursor.skip(length);
        out.push(token);
    }
    out
}

/// Skips a comment that ends with its line, or with the code.
fn comment(cursor: &mut Cursor<'_>) {
    let start = cursor.at;
    let line = cursor.line();
    if let Some(end) = memchr::memmem::find(line, b"?>") {
        cursor.at = start + end;
    }
}

/// Skips a here-document behind its `<<<`: its end may be indented, and code may follow in the same line.
fn here_document(cursor: &mut Cursor<'_>) {
    cursor.skip_while(|byte| b" '\"".contains(&byte));
    let end = cursor.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    cursor.line();
    while !end.is_empty() && !cursor.is_at_end() {
        cursor.skip(1);
        cursor.skip_while(|byte| byte == b' ' || byte == b'\t');
        let after = cursor.rest().strip_prefix(end);
        if after.is_some_and(|after| after.first().is_none_or(|byte| !is_name_byte(*byte))) {
            return cursor.skip(end.len());
        }
        cursor.line();
    }
}

/// Returns a text as PHP reads it, as far as names and paths need.
fn unescaped(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace("\\\\", "\\")
}

/// Returns the path that an expression stands for, and the index behind it: texts joined to `__DIR__`,
/// `dirname(__FILE__)` and the variables of Composer's maps.
fn location(tokens: &[Token<'_>], start: usize) -> Option<(Location, usize)> {
    let mut index = start;
    let mut found = Location { up: None, path: String::new() };
    let mut calls = 0;
    while at(tokens, index).is_word("dirname") && at(tokens, index + 1) == Token::Sign(b'(') && calls < 16 {
        (calls, index) = (calls + 1, index + 2);
    }
    found.up = match at(tokens, index) {
        Token::Word("__DIR__") => Some(calls),
        Token::Word("__FILE__") => Some(calls.checked_sub(1)?),
        Token::Variable(b"$vendorDir") if calls == 0 => Some(1),
        Token::Variable(b"$baseDir") if calls == 0 => Some(2),
        Token::Text(_) if calls == 0 => None,
        _ => return None,
    };
    if found.up.is_some() {
        index += 1;
        for _ in 0..calls {
            if at(tokens, index) != Token::Sign(b')') {
                return None;
            }
            index += 1;
        }
        if at(tokens, index) != Token::Sign(b'.') {
            return Some((found, index));
        }
        index += 1;
    }
    while let Token::Text(_) = at(tokens, index) {
        // In quotes of its own, a variable may be part of the text.
        found.path.push_str(at(tokens, index).plain()?);
        index += 1;
        if at(tokens, index) != Token::Sign(b'.') {
            return Some((found, index)).filter(|(found, _)| found.path.len() <= 1000);
        }
        index += 1;
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Plain,
    Class,
}

#[derive(Default)]
struct Scan {
    names: Names,
    namespace: String,
    /// The full names behind the short names of `use`, these in lower case.
    aliases: HashMap<String, String>,
    blocks: Vec<(Block, Need)>,
    /// The meaning of the next `{`.
    pending: Option<(Block, Need)>,
    /// Whether the words of a statement are what a class is made of: `extends`, `implements`, `use` within a
    /// class.
    is_made_of: bool,
    /// Up to here tokens belong to a `use` that was taken.
    taken_until: usize,
}

impl Scan {
    fn token(&mut self, tokens: &[Token<'_>], index: usize) {
        if index < self.taken_until {
            return;
        }
        let before = at(tokens, index.wrapping_sub(1));
        let next = at(tokens, index + 1);
        match tokens[index] {
            Token::Sign(b'{') => {
                let (block, need) = self.pending.take().unwrap_or((Block::Plain, Need::Sure));
                self.blocks.push((block, self.need().max(need)));
                self.is_made_of = false;
            }
            Token::Sign(b'}') => {
                self.blocks.pop();
                self.is_made_of = false;
            }
            Token::Sign(b';') => (self.pending, self.is_made_of) = (None, false),
            // The keys of maps are what they know, not what is needed.
            Token::Text(text) if next != Token::Pair && memchr::memchr(b'\\', text).is_some() => {
                let is_question = before == Token::Sign(b'(')
                    && at(tokens, index.wrapping_sub(2)).word().ends_with("_exists");
                let name = unescaped(text);
                self.class(
                    name.trim_start_matches('\\'),
                    if is_question { Need::Optional } else { Need::Late },
                );
            }
            Token::Word(word) if before != Token::Member && next != Token::Pair => {
                self.word(word, tokens, index)
            }
            _ => {}
        }
    }

    fn word(&mut self, word: &str, tokens: &[Token<'_>], index: usize) {
        let (before, next) = (at(tokens, index.wrapping_sub(1)), at(tokens, index + 1));
        match &word.to_ascii_lowercase()[..] {
            "namespace" => {
                self.namespace = next.word().trim_matches('\\').to_owned();
                self.taken_until = index + if self.namespace.is_empty() { 1 } else { 2 };
            }
            "use" if next == Token::Sign(b'(') => {}
            "use" if self.blocks.last().is_some_and(|(block, _)| *block == Block::Class) => {
                self.is_made_of = true
            }
            "use" => self.aliased(tokens, index + 1),
            "class" | "interface" | "trait" | "enum"
                if matches!(next, Token::Word(_)) || before.is_word("new") =>
            {
                self.pending = Some((Block::Class, Need::Sure));
            }
            "extends" | "implements" => self.is_made_of = true,
            "function" | "fn" => self.pending = Some((Block::Plain, Need::Late)),
            "require" | "require_once" | "include" | "include_once" => {
                let start = index + 1 + usize::from(next == Token::Sign(b'('));
                if let Some((location, _)) = location(tokens, start) {
                    self.names.files.push((location, self.need()));
                }
            }
            word if KEYWORDS.contains(&word) => {}
            // A function that is called.
            _ if next == Token::Sign(b'(') && !before.is_word("new") => {}
            _ => {
                let pending = self.pending.map_or(Need::Sure, |(_, need)| need);
                let need = if self.is_made_of { Need::Sure } else { self.need().max(pending) };
                let name = self.whole_name(word);
                self.class(&name, need);
            }
        }
    }

    fn need(&self) -> Need {
        self.blocks.last().map_or(Need::Sure, |(_, need)| *need)
    }

    /// Takes `use A\B as C, D\{E, F}`.
    fn aliased(&mut self, tokens: &[Token<'_>], start: usize) {
        let (mut prefix, mut name, mut alias) = (String::new(), String::new(), "");
        let mut index = start;
        loop {
            match at(tokens, index) {
                Token::Word("function" | "const") => {}
                Token::Word(word) if at(tokens, index.wrapping_sub(1)).is_word("as") => alias = word,
                Token::Word("as") => {}
                Token::Word(word) => name = format!("{prefix}{}", word.trim_start_matches('\\')),
                Token::Sign(b'{') => prefix = std::mem::take(&mut name),
                sign @ Token::Sign(b',' | b'}' | b';') => {
                    let short =
                        if alias.is_empty() { name.rsplit('\\').next().unwrap_or_default() } else { alias };
                    if !name.is_empty() && name.len() <= 300 {
                        self.aliases.insert(short.to_ascii_lowercase(), std::mem::take(&mut name));
                    }
                    (name, alias) = (String::new(), "");
                    if sign == Token::Sign(b';') {
                        break;
                    }
                }
                _ => break,
            }
            index += 1;
        }
        self.taken_until = index;
    }

    /// Returns the whole name that a name in the source stands for.
    fn whole_name(&self, name: &str) -> String {
        if let Some(whole) = name.strip_prefix('\\') {
            return whole.to_owned();
        }
        let (first, rest) = name.split_at(name.find('\\').unwrap_or(name.len()));
        match self.aliases.get(&first.to_ascii_lowercase()) {
            Some(whole) => format!("{whole}{rest}"),
            None if self.namespace.is_empty() => name.to_owned(),
            None if first.eq_ignore_ascii_case("namespace") => format!("{}{rest}", self.namespace),
            None => format!("{}\\{name}", self.namespace),
        }
    }

    fn class(&mut self, name: &str, need: Need) {
        let is_part =
            |part: &str| part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if name.len() <= 300 && name.split('\\').all(is_part) && name.bytes().all(is_name_byte) {
            let known = self.names.classes.entry(name.to_owned()).or_insert(need);
            *known = need.min(*known);
        }
    }
}

#[cfg(test)]
mod tests;
