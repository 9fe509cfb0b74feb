//! Texts of packages, archives and apps, made fit to be shown on a terminal.
//!
//! A terminal takes more than text: sequences that hide what follows, change its title or put something on
//! the clipboard; and some characters change the order of others, or are not seen. All of these are written
//! as JSON writes them (`\u001b`), so that JSON stays what it is.

use std::{borrow::Cow, fmt::Write as _};

/// Returns a text as one line: also ends of lines are escaped, so that none can pass for a line of ours.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_harmful(c) || c == '\n')
}

/// Returns a text of several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// How many letters of a name are shown. A longer one, or one with blanks up to the edge, would seem to be
/// several lines of a terminal.
const NAME_LETTERS: usize = 100;

/// Returns a foreign name, such as a title, as part of a line: no longer than that, and with single blanks.
pub fn name(text: &str) -> String {
    let text = line(text);
    let blank = |c: char| c.is_whitespace() || c == '\u{2800}' || c == '\u{3164}';
    let words = text.split(blank).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join(" ");
    match joined.char_indices().nth(NAME_LETTERS) {
        Some((end, _)) => format!("{}…", &joined[..end]),
        None => joined,
    }
}

/// How many letters of a path are shown in an error. A longer one, of which an archive can have 4095, would be a
/// page of a terminal.
const PATH_LETTERS: (usize, usize) = (120, 80);

/// Returns a path for an error: of a long one the start and the end.
pub fn path(text: &str) -> Cow<'_, str> {
    let (first, last) = PATH_LETTERS;
    let count = text.chars().count();
    if count <= first + last + 1 {
        return Cow::Borrowed(text);
    }
    let start: String = text.chars().take(first).collect();
    let end: String = text.chars().skip(count - last).collect();
    Cow::Owned(format!("{start}…{end}"))
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

/// Returns true for an invisible character: controls but ends of lines and tabs, what changes directions
/// (UAX #9) or separates lines (UAX #14), what has no width (`Default_Ignorable_Code_Point` of UAX #44),
/// marks that are drawn around or before what follows them, and letters that look like blanks.
fn is_harmful(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
                | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
                | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
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
        assert_eq!(line("a\u{34f}\u{115f}\u{2800}\u{3164}\u{fe0f}\u{e0100}").matches("\\u").count(), 7);
        let json = serde_json::json!({ "title": "a\n\u{202e}b\u{1b}" }).to_string();
        let read: serde_json::Value = serde_json::from_str(&lines(&json)).expect("stays JSON");
        assert_eq!(read["title"], "a\n\u{202e}b\u{1b}");
    }

    #[test]
    fn a_name_is_no_longer_than_a_line() {
        assert_eq!(name("Tea  &\u{a0}\tmilk "), "Tea & milk");
        let forged = name(&format!("Wiki{}app id      {}", " ".repeat(76), "forged".repeat(100)));
        assert!(forged.starts_with("Wiki app id forged") && forged.ends_with('…'), "{forged}");
        assert_eq!(forged.chars().count(), NAME_LETTERS + 1);
        assert_eq!(name("a\nb\u{1b}[8m"), "a\\nb\\u001b[8m");
    }

    #[test]
    fn of_a_long_path_start_and_end_are_shown() {
        let short = "d/".repeat(100);
        assert_eq!(path(&short), short);
        let long = path(&format!("start{}end", "\u{e4}/".repeat(2000))).into_owned();
        assert!(long.starts_with("start") && long.ends_with("end") && long.chars().count() == 201, "{long}");
    }
}
