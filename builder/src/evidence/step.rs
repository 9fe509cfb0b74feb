//! The words that stand for a step of the exercise, or for a request of a person's browser, in messages and
//! in evidence.
//!
//! ```text
//! GET /repo/         a step in words: messages, the exercise's warnings, proof.json
//! GET:/repo/         its mark: one word, which evidence carries; long ones are cut in used.list
//! start              before the first step ([`START`])
//! run                a grain in use ([`RUN`])
//! ```
//!
//! Words and marks are the recipe's own, before any capture is filled in, so that evidence does not differ
//! from run to run.

use crate::recipe::{Opening, Step};

/// The mark of all that an app does before its first step.
pub const START: &str = "start";

/// The mark of all that an app does before the first request of a browser.
pub const BROWSER: &str = "browser";

/// The mark in `used.list` of a miss of a grain in use, which is at no step.
pub const RUN: &str = "run";

/// Characters of a mark that a line of `used.list` shows: programs that a recipe runs can have long
/// arguments.
const MARK_LENGTH: usize = 60;

/// Returns a step in the recipe's words, which no capture changes.
pub fn words(step: &Step) -> String {
    words_with(step, str::to_owned)
}

/// Returns a step in words, its path in the given form.
pub fn words_with(step: &Step, form: impl Fn(&str) -> String) -> String {
    match step {
        Step::Request(request) => format!("{} {}", request.method, form(&request.path)),
        Step::Stream(stream) => match &stream.opening {
            Opening::WebSocket(path) => format!("websocket {}", form(path)),
            Opening::Events(path) => format!("sse {}", form(path)),
            Opening::Open(name) => format!("stream {name}"),
        },
        Step::Restart => "restart".to_owned(),
        Step::Sleep { millis } => format!("sleep {millis} ms"),
        Step::Run { command, .. } => format!("run {}", command.join(" ")),
    }
}

/// Returns the mark of a step.
pub fn mark(step: &Step) -> String {
    mark_of(&words(step))
}

/// Returns the mark of a step in words.
pub fn mark_of(words: &str) -> String {
    words.replace(' ', ":")
}

/// Returns the mark of a browser's request. The values in a query differ from run to run, and may be private:
/// only their names are kept.
pub fn mark_of_request(method: &str, target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return mark_of(&format!("{method} {target}")) };
    let fields = query.split_inclusive(['&', ';']).map(|field| {
        let (field, end) = field.split_at(field.trim_end_matches(['&', ';']).len());
        let name = field.find('=').map_or("", |equals| &field[..=equals]);
        if field.is_empty() { end.to_owned() } else { format!("{name}…{end}") }
    });
    mark_of(&format!("{method} {path}?{}", fields.collect::<String>()))
}

/// Returns a mark as a field of a line, at most 60 characters long.
pub fn cut(mark: &str) -> String {
    if mark.chars().count() <= MARK_LENGTH {
        return mark.to_owned();
    }
    mark.chars().take(MARK_LENGTH - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_steps_without_the_values_of_their_queries() {
        for (method, target, step) in [
            ("GET", "/a/b", "GET:/a/b"),
            ("POST", "/doku.php?id=start&sectok=5f1c=?", "POST:/doku.php?id=…&sectok=…"),
            ("GET", "/?p=tea.git;a=summary", "GET:/?p=…;a=…"),
            ("GET", "/a.css?5f1c", "GET:/a.css?…"),
            ("GET", "/a?&x=1&", "GET:/a?&x=…&"),
            ("GET", "/a?", "GET:/a?"),
        ] {
            assert_eq!(mark_of_request(method, target), step);
        }
    }

    #[test]
    fn a_mark_is_one_word_and_its_field_is_short() {
        let long = Step::Run {
            command: vec!["printf".into(), "x".repeat(80)],
            contains: Vec::new(),
            capture: Default::default(),
        };
        let field = cut(&mark(&long));
        assert!(field.starts_with("run:printf:xxx") && field.ends_with("x…"), "{field}");
        assert_eq!((field.chars().count(), mark(&Step::Sleep { millis: 5 })), (60, "sleep:5:ms".to_owned()));
    }
}
