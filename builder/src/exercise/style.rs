//! Style sheets: the addresses in `@import` and `url()` (CSS Syntax, CSS Values).

use super::found::{Found, Role, Want};

/// Returns the addresses of a style sheet, in their order; fragments and namespaces are none.
pub(crate) fn read(css: &str) -> Vec<Found> {
    let mut scanner = Scanner { css, at: 0, line: 1, line_at: 0 };
    let mut found = Vec::new();
    let mut rule = String::new();
    while let Some(byte) = scanner.peek() {
        match byte {
            b'/' if scanner.rest().starts_with("/*") => scanner.skip_past("*/"),
            b'"' | b'\'' => {
                let text = scanner.quoted();
                // `@import "x.css"`; any other text is none of ours.
                if rule == "import" {
                    scanner.add(&mut found, text, "@import");
                }
                rule.clear();
            }
            b'@' => {
                scanner.at += 1;
                rule = scanner.word().to_ascii_lowercase();
            }
            b';' | b'{' | b'}' => {
                rule.clear();
                scanner.at += 1;
            }
            _ if is_name(byte) => {
                let word = scanner.word();
                if word.eq_ignore_ascii_case("url") && scanner.rest().starts_with('(') {
                    let text = scanner.url();
                    match rule.as_str() {
                        "import" => scanner.add(&mut found, text, "@import"),
                        "namespace" | "document" => {}
                        _ => scanner.add(&mut found, text, "url()"),
                    }
                }
            }
            _ => scanner.at += 1,
        }
    }
    found
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'\\') || byte >= 0x80
}

struct Scanner<'a> {
    css: &'a str,
    at: usize,
    /// The line at `line_at`.
    line: usize,
    line_at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.css.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.css.get(self.at..).unwrap_or_default()
    }

    fn skip_past(&mut self, end: &str) {
        self.at = self.rest().find(end).map_or(self.css.len(), |found| self.at + found + end.len());
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let mut length = 0;
        let bytes = rest.as_bytes();
        while length < bytes.len() && is_name(bytes[length]) {
            // A character behind a backslash belongs to the name.
            length += if bytes[length] == b'\\' {
                1 + rest[length + 1..].chars().next().map_or(0, char::len_utf8)
            } else {
                1
            };
        }
        self.at += length;
        &rest[..length]
    }

    /// Reads a text in quotes; one that is not closed ends with its line.
    fn quoted(&mut self) -> String {
        let mut letters = self.rest().char_indices();
        let Some((_, quote)) = letters.next() else { return String::new() };
        let mut text = String::new();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => {
                    text.extend(letters.next().map(|(_, letter)| letter).filter(|letter| *letter != '\n'))
                }
                '\n' => {
                    self.at += at;
                    return text;
                }
                _ if letter == quote => {
                    self.at += at + 1;
                    return text;
                }
                _ => text.push(letter),
            }
        }
        self.at = self.css.len();
        text
    }

    /// Reads what follows `url`.
    fn url(&mut self) -> String {
        self.at += 1;
        self.at += self.rest().len() - self.rest().trim_start().len();
        let text = match self.peek() {
            Some(b'"' | b'\'') => self.quoted(),
            _ => {
                let rest = self.rest();
                let end = rest.find(')').unwrap_or(rest.len());
                self.at += end;
                rest[..end].trim().replace('\\', "")
            }
        };
        self.skip_past(")");
        text
    }

    fn add(&mut self, found: &mut Vec<Found>, address: String, element: &str) {
        let passed = self.css.get(self.line_at..self.at).unwrap_or_default();
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.line_at = self.at;
        // Fonts for Internet Explorer alone: other browsers pass them over.
        let is_passed_over = address.split(['?', '#']).next().is_some_and(|path| path.ends_with(".eot"));
        if address.is_empty() || address.starts_with('#') || is_passed_over {
            return;
        }
        let want = if element == "@import" { Want::Style } else { Want::Other };
        let element = element.to_owned();
        found.push(Found { address, role: Role::Load(want), line: self.line, element, is_idle: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_style_sheet_are_found() {
        let css = "@charset 'utf-8';@import url(\"a.css\") screen;\n@IMPORT 'b.css';/* url(no.png) */\n\
            @namespace svg url(http://www.w3.org/2000/svg);\n\
            a { content: 'url(no.png)'; background: URL( c.png ), url(d\\ d.png) }\n\
            b { fill: url(#no); src: url(e.eot?#x), url('e.woff2') format('woff2'), url(data:font/x,abc) }\n\
            c { x: myurl(no.png); cursor: url(f.cur";
        let shown: Vec<String> = read(css)
            .iter()
            .map(|found| format!("{} {} {}", found.line, found.element, found.address))
            .collect();
        assert_eq!(
            shown,
            [
                "1 @import a.css",
                "2 @import b.css",
                "4 url() c.png",
                "4 url() d d.png",
                "5 url() e.woff2",
                "5 url() data:font/x,abc",
                "6 url() f.cur",
            ]
        );
    }

    #[test]
    fn odd_style_sheets_are_read_to_their_end() {
        for css in ["url(", "'", "\\", "@import", "@import url(", "/*", "url('a\n)", "\\\u{e4}", "\u{e4}\\"] {
            read(css);
        }
    }
}
