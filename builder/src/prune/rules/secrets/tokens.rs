//! Secrets in settings: `password = …` with a value that looks like chance, as maintainer scripts fill in.

use std::collections::{BTreeMap, HashSet};

/// Parts of a setting's name that say that its value is a secret; or it ends in "key".
const NAMES: [&str; 6] = ["password", "passwd", "secret", "token", "salt", "cookie"];

/// Longer lines are no settings.
const MAX_LINE_BYTES: usize = 1000;

/// Lengths of random texts.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=512;

/// A secret in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::prune) struct Token {
    /// The setting's name.
    pub name: String,
    /// Its line, from 1.
    pub line: usize,
}

/// Returns the first setting with a secret in a text that the text as it was shipped does not have.
pub(super) fn token(now: &[u8], shipped: &[u8]) -> Option<Token> {
    let text = std::str::from_utf8(now).ok()?;
    let shipped = String::from_utf8_lossy(shipped);
    let shipped: HashSet<&str> = shipped.lines().map(str::trim).collect();
    let is_comment = |line: &str| ["#", ";", "//", "*", "--"].iter().any(|start| line.starts_with(start));
    text.lines().enumerate().find_map(|(index, line)| {
        let line = line.trim();
        if line.len() > MAX_LINE_BYTES || is_comment(line) || shipped.contains(line) {
            return None;
        }
        in_line(line).map(|name| Token { name, line: index + 1 })
    })
}

/// Returns the name of a setting that has a secret as its value: `name = value`, `'name' => 'value'`, `name:
/// value`, `define('NAME', 'value')`, `name value`.
fn in_line(line: &str) -> Option<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|c| !is_of_name(c));
        let end = rest.find(|c| !is_of_name(c))?;
        let (name, after) = rest.split_at(end);
        let lower = name.to_ascii_lowercase();
        if lower.ends_with("key") || NAMES.iter().any(|word| lower.contains(word)) {
            let value = after.trim_start_matches(['"', '\'', ']', ')', ' ', '\t', '=', '>', ':', ',']);
            let before = after[..after.len() - value.len()].chars().next_back();
            let end = match before.filter(|c| ['"', '\''].contains(c)) {
                Some(quote) => value.find(quote),
                None => value.find([' ', '\t', ';', ',', ')', '<']),
            };
            let end = end.unwrap_or(value.len());
            if is_chance(&value[..end]) {
                return Some(name.to_owned());
            }
        }
        rest = after;
    }
}

/// Returns whether a value looks as if it was made by chance: letters and digits mixed, few of them twice.
fn is_chance(value: &str) -> bool {
    if !LENGTHS.contains(&value.len()) || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    if value.starts_with(['/', '$', '{', '<', '%', '@']) || value.contains("://") || value.contains("${") {
        return false;
    }
    let count = |is: fn(&u8) -> bool| value.bytes().filter(is).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    digits >= 2 && letters >= 2 && digits + letters >= 12 && entropy_bits(value) >= 3.0
}

/// Returns Shannon's entropy of a text's letters, in bits for each.
fn entropy_bits(text: &str) -> f64 {
    let mut counts: BTreeMap<u8, f64> = BTreeMap::new();
    text.bytes().for_each(|byte| *counts.entry(byte).or_default() += 1.0);
    let whole: f64 = counts.values().sum();
    counts.values().map(|count| -(count / whole) * (count / whole).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_with_a_secret_are_told_from_others() {
        for (line, expected) in [
            ("password = 'x7Gh2kLq9ZpR4tVb'", Some("password")),
            ("$dbpass='x'; $dbpassword='x7Gh2kLq9ZpR4tVb';", Some("dbpassword")),
            ("define('AUTH_KEY', 'k3)8sdfJ#kw92hfh4hKQpw');", Some("AUTH_KEY")),
            ("  \"session-secret\": \"9f86d081884c7d659a2feaa0c55ad015\",", Some("session-secret")),
            ("$cfg['blowfish_secret'] => \"9f86d081884c7d659a2feaa0c55ad015\"", Some("blowfish_secret")),
            ("requirepassword 9f86d081884c7d659a2feaa0c55ad015", Some("requirepassword")),
            ("SECRET_KEY=9f86d081884c7d659a2feaa0c55ad015", Some("SECRET_KEY")),
            ("password = changeme", None),
            ("password = the-password-of-the-administrator", None),
            ("secret_file = /var/lib/tea/9f86d081884c7d659a2feaa0c55ad015", None),
            ("token_url = https://example.org/9f86d081884c7d659a2feaa0c55ad015", None),
            ("secret = ${TEA_9f86d081884c7d659a2feaa0c55ad015}", None),
            ("secret = aaaaaaaaaaaaaaaaaa11", None),
            ("checksum = 9f86d081884c7d659a2feaa0c55ad015", None),
            ("password", None),
            ("", None),
        ] {
            assert_eq!(in_line(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn what_was_shipped_so_and_comments_are_no_secrets() {
        let now =
            b"a\n# token = 9f86d081884c7d659a2feaa0c55ad015\n secret = 9f86d081884c7d659a2feaa0c55ad015\n";
        assert_eq!(token(now, b"a\n"), Some(Token { name: "secret".to_owned(), line: 3 }));
        assert_eq!(token(now, b"secret = 9f86d081884c7d659a2feaa0c55ad015"), None);
        // Blanks and line ends of any kind around it say nothing.
        assert_eq!(token("secret = 9f86d081884c7d659a2feaa0c55ad015\u{2003}".as_bytes(), now), None);
        assert_eq!(token(now, "\u{2003}secret = 9f86d081884c7d659a2feaa0c55ad015\r\n".as_bytes()), None);
        assert_eq!(token(b"\xff secret = 9f86d081884c7d659a2feaa0c55ad015", b""), None);
        let long = format!("secret = 9f86d081884c7d659a2feaa0c55ad015{}", " ".repeat(2000) + "x");
        assert_eq!(token(long.as_bytes(), b""), None);
    }
}
