//! Texts of packages, archives and apps, made fit to be shown on a terminal.
//!
//! A terminal takes more than text: sequences that hide what follows, change its title or put something on the clipboard; and
//! some characters change the order of others, or are not seen. All of these are written as JSON writes them (`\u001b`), so that
//! JSON stays what it is.

use std::{borrow::Cow, fmt::Write as _};

/// Returns a text as one line: also ends of lines are escaped, so that none can pass for a line of ours.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_harmful(c) || c == '\n')
}

/// Returns a text of several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' if is_escaped(c) => out.push_str("\\n"),
            c if is_escaped(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}").expect("writing to a string");
                }
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Returns true for what is no visible character: controls but ends of lines and tabs, what changes directions
/// (UAX #9) or separates lines (UAX #14), what has no width, and tags.
fn is_harmful(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_escaped_and_all_else_stays() {
        let plain = "Grain Wiki 1.0 – café, 日本\n\tand more";
        assert_eq!(lines(plain), plain);
        assert_eq!(line("a\nb\tc"), "a\\nb\tc");
        assert_eq!(lines("\x1b[8mhidden\x1b]52;c;x\x07\r"), "\\u001b[8mhidden\\u001b]52;c;x\\u0007\\u000d");
        assert_eq!(line("gpj\u{202e}x\u{200b}\u{85}\u{e0041}"), "gpj\\u202ex\\u200b\\u0085\\udb40\\udc41");
        let json = serde_json::json!({ "title": "a\n\u{202e}b\u{1b}" }).to_string();
        let read: serde_json::Value = serde_json::from_str(&lines(&json)).expect("stays JSON");
        assert_eq!(read["title"], "a\n\u{202e}b\u{1b}");
    }
}
