//! Errors in disguise: pages with a good status that show an interpreter's error, a stack trace or nothing.
//!
//! Pages also *write about* errors. So what stands in `<pre>`, `<code>` and text areas counts only where the
//! page has little else; titles and headings count only if they say nothing but the error.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::page::{Page, TextKind};

/// Letters beside a quoted error up to which a page is about nothing else: a heading and a line of
/// navigation.
const LITTLE: usize = 400;

/// Longest excerpt of a line.
const WIDTH: usize = 160;

/// Texts that programs print when they fail.
static ERRORS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        // PHP's own (display_errors), in text; its HTML has the same words.
        r"(?:Fatal error|Parse error|Recoverable fatal error|Warning|Notice|Deprecated): {1,2}\S[^\n]* in /\S+ on line \d+",
        r"Fatal error: {1,2}Uncaught [^\n]* in /\S+:\d+",
        r"PHP (?:Fatal|Parse) error: ",
        // A traceback of Python with a file of the root.
        r#"File "/[^"]+", line \d+, in "#,
        // Java, Kotlin, Scala.
        r"(?m)^\s*at [\w$.<>/]+\([\w$]+\.(?:java|kt|scala):\d+\)",
        // Node.
        r"(?m)^\s+at (?:[^\n(]+ \()?(?:file://|node:|/)[^\s)]+:\d+:\d+\)?",
        // Ruby.
        r"/\S+\.rb:\d+:in [`']",
        // Perl.
        r"(?m) at /\S+\.(?:pl|pm|cgi) line \d+\.$",
        // Go and Rust.
        r"(?m)^goroutine \d+ \[running\]:",
        r"thread '[^']*' panicked at ",
        // Databases, as programs repeat them.
        r"SQLSTATE\[\w{5}\]",
        r"You have an error in your SQL syntax; check the manual",
    ])
    .expect("are good patterns")
});

/// Texts of titles, headings and short responses that fail, with nothing else beside them.
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)^ (?: (?:error|http) \s+ )? (?: 50[0-4] \s* [-:\u{2013}|]? \s* )? (?:
          internal \s+ (?:server \s+)? error | (?:server|application|database|fatal) \s+ error
        | error \s+ establishing \s+ a \s+ database \s+ connection
        | (?:service|site) \s+ (?:is \s+)? (?:currently|temporarily)? \s* (?:unavailable|not \s+ available)
        | bad \s+ gateway | gateway \s+ time-?out | software \s+ error | unhandled \s+ (?:exception|error)
        | (?:whoops|oops) [\s,!.:]* (?: (?:looks \s+ like \s+)? something \s+ went \s+ wrong | an \s+ error \s+ (?:has \s+)? occurr?ed )?
        | something \s+ went \s+ wrong | an \s+ (?:unexpected \s+)? error \s+ (?:has \s+)? occurr?ed
        ) [\s.!:]* $",
    )
    .expect("is a good pattern")
});

/// Returns what is wrong with a page that has a good status, with its line.
pub(super) fn of_page(page: &Page, html: &[u8]) -> Option<String> {
    if html.iter().all(u8::is_ascii_whitespace) {
        return Some("an empty page".to_owned());
    }
    let of_kind = |kind| page.texts.iter().filter(move |text| text.kind == kind);
    let name = of_kind(TextKind::Heading).find(|text| NAMES.is_match(text.text.trim()));
    if let Some(text) = name {
        return Some(told("the page is called an error", text.line, &text.text));
    }
    // A text with elements in it comes in pieces: they are put together, with the line that each begins at.
    let plain = joined(page, &[TextKind::Plain]);
    let quoted = joined(page, &[TextKind::Quoted]);
    let said = letters(&plain.text);
    // A short page that says nothing else.
    if said + letters(&quoted.text) < LITTLE
        && let Some(text) = of_kind(TextKind::Plain).find(|text| NAMES.is_match(text.text.trim()))
    {
        return Some(told("the page says that something failed", text.line, &text.text));
    }
    if let Some(found) = plain.error() {
        return Some(found);
    }
    if said < LITTLE { quoted.error() } else { None }
}

/// Returns what is wrong with another text that has a good status: JSON, plain text.
pub(super) fn of_text(text: &str) -> Option<String> {
    let whole = Joined { text: text.to_owned(), lines: vec![(0, 1)] };
    if letters(text) >= LITTLE {
        // A download, a log, a document: whatever it says, the app was asked for it.
        return None;
    }
    let words = text.split(['"', '\n', '{', '}', ':', ',']);
    let name = words.map(str::trim).find(|word| NAMES.is_match(word));
    whole.error().or_else(|| Some(told("the response says that something failed", 1, name?)))
}

/// Texts put together.
struct Joined {
    text: String,
    /// Offsets, and the lines of the page that begin there.
    lines: Vec<(usize, usize)>,
}

fn joined(page: &Page, kinds: &[TextKind]) -> Joined {
    let mut out = Joined { text: String::new(), lines: Vec::new() };
    for text in page.texts.iter().filter(|text| kinds.contains(&text.kind)) {
        out.lines.push((out.text.len(), text.line));
        out.text += &text.text;
    }
    out
}

impl Joined {
    fn error(&self) -> Option<String> {
        let patterns = ERRORS.patterns();
        let first = ERRORS.matches(&self.text).into_iter().next()?;
        let found = Regex::new(patterns.get(first)?).ok()?.find(&self.text)?;
        let at = self.lines.partition_point(|(offset, _)| *offset <= found.start()).checked_sub(1)?;
        let (offset, line) = self.lines.get(at)?;
        let between = self.text.get(*offset..found.start()).unwrap_or_default();
        let line = line + between.bytes().filter(|byte| *byte == b'\n').count();
        Some(told("the page shows an error", line, found.as_str()))
    }
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

fn told(what: &str, line: usize, text: &str) -> String {
    format!("{what}, line {line}: {}", excerpt(text))
}

pub(super) fn excerpt(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.trim().chars().take(WIDTH).map(plain).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::page;

    fn found(html: &str) -> Option<String> {
        of_page(&page::read(html.as_bytes()), html.as_bytes())
    }

    #[test]
    fn errors_in_disguise_are_found_with_their_line() {
        let long = "<p>".to_owned() + &"word ".repeat(200);
        for (html, expected) in [
            (" \n", "an empty page"),
            (
                "<html>\n<h1>Internal Server Error</h1>",
                "the page is called an error, line 2: Internal Server Error",
            ),
            (
                "<title>500 - Internal Error</title>",
                "the page is called an error, line 1: 500 - Internal Error",
            ),
            ("<p>Internal Error</p>", "the page says that something failed, line 1: Internal Error"),
            (
                &format!(
                    "{long}\n<br />\n<b>Fatal error</b>:  Uncaught Error: x in /usr/share/a.php:3\nStack trace:\n#0 {{main}}\n  thrown in <b>/usr/share/a.php</b> on line <b>3</b><br />"
                ),
                "",
            ),
            (
                &format!(
                    "{long}\n<br />\n<b>Warning</b>:  Undefined variable $x in <b>/usr/share/a.php</b> on line <b>3</b><br />"
                ),
                "the page shows an error, line 3: Warning: Undefined variable $x in /usr/share/a.php on line 3",
            ),
            (
                "<h1>A page</h1><pre>\nTraceback (most recent call last):\n  File \"/usr/bin/x\", line 3, in main\n",
                "the page shows an error, line 3: File \"/usr/bin/x\", line 3, in",
            ),
            ("<h1>Software error:</h1><pre>no", "the page is called an error, line 1: Software error:"),
        ] {
            match expected {
                "" => assert!(found(html).is_some_and(|text| text.contains("Fatal error")), "{html}"),
                expected => assert_eq!(found(html).as_deref(), Some(expected), "{html}"),
            }
        }
        let json = r#"{"status": 500, "error": "Internal Server Error"}"#;
        assert_eq!(
            of_text(json).as_deref(),
            Some("the response says that something failed, line 1: Internal Server Error")
        );
    }

    #[test]
    fn pages_that_write_about_errors_are_none() {
        let long = "<p>".to_owned() + &"word ".repeat(200);
        for html in [
            "<h1>How to read an Internal Server Error</h1><p>Look into the log.",
            "<title>Internal Server Error - My wiki</title><h1>Errors</h1><p>text",
            &format!(
                "{long}<pre>Traceback (most recent call last):\n  File \"/usr/bin/x\", line 3, in main</pre>"
            ),
            &format!("{long}<code>Warning: x in /usr/share/a.php on line 3</code>"),
            &format!("{long}<p>Internal Server Error</p>"),
            "<p>Warning: this cannot be undone.</p>",
            "<script>throw 'Internal Server Error'</script><p>Hello",
        ] {
            assert_eq!(found(html), None, "{html}");
        }
        assert_eq!(of_text(r#"{"errors": 0, "warning": "none"}"#), None);
    }
}
