//! The modules that a JavaScript or TypeScript source names, found without running it.
//!
//! The source is cut into words, texts and signs (ECMA-262, "Lexical Grammar"); whether `/` divides is
//! guessed by what is before it, and texts other than templates end with their line, so that a wrong guess
//! does not reach far.

use super::super::{
    Need,
    tokens::{Cursor, Token, at, text_of},
};

/// A module that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Named {
    /// As it is written: `./x`, `x/y`, `@x/y`.
    pub name: String,
    pub need: Need,
    /// Whether `import` names it rather than `require`.
    pub is_import: bool,
}

/// How many tokens the names between `import` and `from` may have.
const MAX_CLAUSE: usize = 400;

/// Returns the names in a source, in its order.
pub(in super::super) fn names(source: &[u8]) -> Vec<Named> {
    let tokens = tokens(source);
    let mut scan = Scan::default();
    for index in 0..tokens.len() {
        scan.token(&tokens, index);
    }
    scan.found
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn tokens(source: &[u8]) -> Vec<Token<'_>> {
    let mut cursor = Cursor::new(source);
    let mut out: Vec<Token<'_>> = Vec::new();
    if cursor.rest().starts_with(b"#!") {
        cursor.line();
    }
    // Up to here `/` divides: no regular expression ends in this line.
    let mut divides_until = 0;
    while !cursor.is_at_end() {
        let before = out.last().copied().unwrap_or(Token::Sign(b';'));
        let (byte, next) = (cursor.peek(0), cursor.peek(1));
        let token = match byte {
            _ if byte.is_ascii_whitespace() => {
                cursor.skip(1);
                continue;
            }
            b'/' if next == b'/' => {
                cursor.line();
                continue;
            }
            b'/' if next == b'*' => {
                cursor.skip(2);
                cursor.skip_past(b"*/");
                continue;
            }
            b'\'' | b'"' => {
                cursor.skip(1);
                cursor.quoted_in_line(byte).map_or(Token::Other, Token::Text)
            }
            b'`' => {
                cursor.skip(1);
                Token::Text(cursor.interpolated(0, b'`', b'$'))
            }
            b'0'..=b'9' => {
                cursor.skip_while(|byte| is_name_byte(byte) || byte == b'.');
                Token::Other
            }
            b'/' if wants_operand(&before) && cursor.at >= divides_until => {
                cursor.skip(1);
                if cursor.regex(false) {
                    Token::Other
                } else {
                    let mut line = cursor;
                    line.line();
                    divides_until = line.at;
                    Token::Sign(b'/')
                }
            }
            b'=' if next == b'>' => {
                cursor.skip(2);
                Token::Pair
            }
            b'.' if next == b'.' => {
                cursor.skip_while(|byte| byte == b'.');
                Token::Sign(b'.')
            }
            b'.' => {
                cursor.skip(1);
                Token::Member
            }
            _ if is_name_byte(byte) => Token::Word(text_of(cursor.skip_while(is_name_byte))),
            _ => {
                cursor.skip(1);
                Token::Sign(byte)
            }
        };
        out.push(token);
    }
    out
}

/// Returns true where an operand is expected, so that `/` begins a regular expression.
fn wants_operand(before: &Token<'_>) -> bool {
    const TAKE_ONE: &[&str] = &[
        "await",
        "case",
        "delete",
        "do",
        "else",
        "in",
        "instanceof",
        "new",
        "of",
        "return",
        "throw",
        "typeof",
        "void",
        "yield",
    ];
    match before {
        Token::Word(word) => TAKE_ONE.contains(word),
        Token::Sign(sign) => !b")]}".contains(sign),
        Token::Pair => true,
        _ => false,
    }
}

#[derive(Default)]
struct Scan<'a> {
    found: Vec<Named>,
    /// The meaning of each open block for the loads in it.
    blocks: Vec<Need>,
    /// The word before each open parenthesis, and that before the one closed last.
    parentheses: Vec<&'a str>,
    closed: &'a str,
}

impl<'a> Scan<'a> {
    fn token(&mut self, tokens: &[Token<'a>], index: usize) {
        let before = at(tokens, index.wrapping_sub(1));
        let next = |ahead: usize| at(tokens, index + ahead);
        match tokens[index] {
            Token::Sign(b'(') => self.parentheses.push(before.word()),
            Token::Sign(b')') => self.closed = self.parentheses.pop().unwrap_or_default(),
            Token::Sign(b'{') => {
                const PLAIN: &[&str] = &["if", "for", "while", "switch", "with", "await"];
                let need = match before {
                    Token::Word("try") => Need::Optional,
                    Token::Sign(b')') if self.closed == "catch" => Need::Optional,
                    Token::Sign(b')') if !PLAIN.contains(&self.closed) => Need::Late,
                    Token::Pair => Need::Late,
                    // `catch {`
                    Token::Word("catch") => Need::Optional,
                    _ => Need::Sure,
                };
                self.blocks.push(self.need().max(need));
            }
            Token::Sign(b'}') => {
                self.blocks.pop();
            }
            _ if before == Token::Member => {}
            Token::Word("require") if next(1) == Token::Sign(b'(') => self.add(next(2), self.need(), false),
            Token::Word("require") if next(1) == Token::Member && next(2).is_word("resolve") => {
                self.add(next(4), self.need(), false);
            }
            Token::Word("import") if next(1) == Token::Sign(b'(') => self.add(next(2), self.need(), true),
            // Types are for the compiler alone.
            Token::Word("import" | "export") if next(1).is_word("type") && !next(2).is_word("from") => {}
            Token::Word("import") => match next(1) {
                Token::Text(_) => self.add(next(1), Need::Sure, true),
                _ => self.clause(tokens, index + 1),
            },
            Token::Word("export") if matches!(next(1), Token::Sign(b'{' | b'*')) => {
                self.clause(tokens, index + 1)
            }
            _ => {}
        }
    }

    /// Takes the module after the names that are imported of it.
    fn clause(&mut self, tokens: &[Token<'a>], start: usize) {
        for index in start..start + MAX_CLAUSE {
            match at(tokens, index) {
                Token::Word("from") if matches!(at(tokens, index + 1), Token::Text(_)) => {
                    return self.add(at(tokens, index + 1), Need::Sure, true);
                }
                Token::Word(_) | Token::Sign(b'{' | b'}' | b',' | b'*') | Token::Text(_) => {}
                _ => return,
            }
        }
    }

    fn need(&self) -> Need {
        self.blocks.last().copied().unwrap_or(Need::Sure)
    }

    fn add(&mut self, text: Token<'_>, need: Need, is_import: bool) {
        if let Some(name) = text.plain().filter(|name| !name.contains('\\')) {
            self.found.push(Named { name: name.to_owned(), need, is_import });
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
            format!("{mark}{}{}", if named.is_import { "import " } else { "" }, named.name)
        };
        names(source.as_bytes()).into_iter().map(text).collect()
    }

    #[test]
    fn modules_are_found_wherever_they_are_named() {
        let rows: &[(&str, &[&str])] = &[
            ("#!/usr/bin/node\nconst a = require('a'), b = require(\"./b\");", &["a", "./b"]),
            (
                "function f() { return require('a') }\nconst g = () => { require('b') }; require('c')",
                &["~a", "~b", "c"],
            ),
            ("class A { f(x) { if (x) { require('a') } } }\nif (x) { require('b') }", &["~a", "b"]),
            (
                "try { require('a') } catch (e) { require('b') }\ntry { require('c') } catch { require('d') }",
                &["?a", "?b", "?c", "?d"],
            ),
            (
                "require.resolve('a/b.js'); x.require('no'); require(x); require(`c`); require(`c/${d}`)",
                &["a/b.js", "c"],
            ),
            (
                "import a, { b as c } from '@x/y';\nimport 'z'\nimport * as d from \"d\"",
                &["import @x/y", "import z", "import d"],
            ),
            (
                "export * from 'a'; export { b as default } from './b.mjs'; export const x = 'c', from = 'd';",
                &["import a", "import ./b.mjs"],
            ),
            ("import type { A } from 'a'; export type B = 'b'; import c = require('c');", &["c"]),
            (
                "async function f() { await import('a') }\nconst x = import.meta.url; await import(\"b\")",
                &["~import a", "import b"],
            ),
            ("var x=a/b;require('a');y=c/d", &["a"]),
            ("x = /'/.test(y) ; require('a'); z = [/[/'\"]/, /\\/'/]; return /`/; require('b')", &["a", "b"]),
            ("x = `a${ {b: `}`}.b }c`; require('a')", &["a"]),
        ];
        for (source, expected) in rows {
            assert_eq!(told(source), *expected, "{source}");
        }
    }

    #[test]
    fn comments_and_texts_do_not_count() {
        for source in [
            "// require('a')\n/* require('b')\n import 'c' */",
            "x = \"require('a')\"; y = 'import \"b\"'; z = `require('c')\n import 'd'`",
            "x = /require('a')/; y = { require: 1, import: 2 }; y.import('z')",
            "important('a'); x.require('b'); requires('c')",
        ] {
            assert_eq!(told(source), [] as [&str; 0], "{source}");
        }
    }

    #[test]
    fn sources_cut_anywhere_and_hostile_ones_end_soon() {
        let all = "import { a } from 'b'; x = `a${b}` + /[/]x/ / 2; try { require('c') } catch (e) {}\n/* x */ // y";
        for end in 0..all.len() {
            told(&all[..end]);
            told(&all[end..]);
        }
        let started = std::time::Instant::now();
        for piece in [
            "`${",
            "/\\/",
            "import ",
            "export{",
            "import{a,",
            "(",
            "{",
            "}",
            ")",
            "'",
            "\\",
            "/*",
            "=/[",
            "`",
        ] {
            names(piece.repeat(200_000 / piece.len()).as_bytes());
        }
        assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
    }
}
