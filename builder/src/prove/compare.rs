//! Two transcripts side by side: what is answered otherwise, apart from what no two runs share.
//!
//! Statuses and content types are compared as they are. Of texts, matches of the recipe's `fold`
//! patterns, captured values, and words with a digit in them (times, counters, tokens) are folded
//! first; then they are compared line by line. Where runs of the full root differ, the pruned app may
//! differ at the same place ([`texts`]). Other bodies must be equal where several runs of the full root are,
//! else, as archives with times in them, nearly of a length.

mod pattern;
#[cfg(feature = "testing")]
pub(super) mod readers;
mod texts;

use std::fmt;

use regex::Regex;

use self::{pattern::fold_digits, texts::Text};
use crate::{
    evidence::Miss,
    exercise::{Authority, Outcome, Record, Response, Transcript},
    recipe::Step,
};

/// How much lengths of two bodies that are no texts may differ: what a time in an archive makes out.
const LENGTH_SLACK_BYTES: usize = 256;

/// Lines shown of each side of a difference.
const LINES_SHOWN: usize = 3;

/// Pruned paths shown with a difference.
const MISSES_SHOWN: usize = 12;

/// A step that the pruned app answers otherwise than the whole one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its number, from 1; 0: it is about what was left after the last.
    pub step: usize,
    /// Its words.
    pub what: String,
    /// The difference ("status 200 is 500").
    pub clause: String,
    /// First lines that only the full root gives (`-`) or only the pruned one (`+`), folded.
    pub lines: Vec<String>,
    /// Pruned paths that were asked for first while this step was taken; where there are none, all before it.
    pub misses: Vec<Miss>,
    /// Under which authorities it shows; empty: under all.
    pub at: Vec<Authority>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            0 => write!(f, "afterwards, {}: {}", self.what, self.clause)?,
            step => write!(f, "step {step}, {}: {}", self.what, self.clause)?,
        }
        self.lines.iter().try_for_each(|line| write!(f, "\n  {line}"))?;
        let told = self.misses.iter().take(MISSES_SHOWN);
        told.clone().try_for_each(|miss| {
            write!(f, "\n  {}{}", if miss.is_write() { "" } else { "pruned: " }, miss.with_remedy("    "))
        })?;
        match self.misses.len() - told.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more pruned paths"),
        }
    }
}

/// Returns the differences of a pruned app's transcript from those of the whole one: one, or two to
/// tell what differs from run to run.
pub fn compare(steps: &[Step], whole: &[&Transcript], pruned: &Transcript) -> Vec<Difference> {
    let folds: Vec<Vec<Regex>> = steps.iter().map(folds_of).collect();
    let mut out = Vec::new();
    let steps = pruned.steps.iter().enumerate().map(|(index, record)| {
        let of_whole: Vec<Said<'_>> = whole.iter().filter_map(|t| Some((t.steps.get(index)?, *t))).collect();
        (record, of_whole, folds.get(index).map(Vec::as_slice).unwrap_or_default())
    });
    let left = pruned.left.iter().enumerate().map(|(index, record)| {
        let of_whole: Vec<Said<'_>> = whole.iter().filter_map(|t| Some((t.left.get(index)?, *t))).collect();
        (record, of_whole, &[][..])
    });
    let beside = pruned.beside.iter().enumerate().map(|(index, record)| {
        let of_whole: Vec<Said<'_>> =
            whole.iter().filter_map(|t| Some((counterpart(t, pruned, index)?, *t))).collect();
        (record, of_whole, record.step.checked_sub(1).and_then(|step| folds.get(step)).map_or(&[][..], |f| f))
    });
    for (record, of_whole, folds) in steps.chain(beside).chain(left) {
        let told = difference(&of_whole, (record, pruned), folds);
        out.extend(told.map(|(clause, lines)| Difference {
            step: record.step,
            what: record.what.clone(),
            clause,
            lines,
            misses: Vec::new(),
            at: Vec::new(),
        }));
    }
    out
}

/// Returns what another run asked for at the place of a request beside the steps: of all requests of the step
/// whose words are the same once folded, the one of the same rank.
fn counterpart<'a>(other: &'a Transcript, own: &Transcript, index: usize) -> Option<&'a Record> {
    let key = |of: &Transcript, record: &Record| (record.step, fold_digits(&of.folded(&record.what)));
    let sought = key(own, own.beside.get(index)?);
    let rank = own.beside.iter().take(index).filter(|record| key(own, record) == sought).count();
    other.beside.iter().filter(|record| key(other, record) == sought).nth(rank)
}

fn folds_of(step: &Step) -> Vec<Regex> {
    match step {
        // A pattern that does not compile has been refused with the recipe.
        Step::Request(request) => {
            request.fold.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
        }
        Step::Stream(stream) => stream.fold.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect(),
        _ => Vec::new(),
    }
}

type Said<'a> = (&'a Record, &'a Transcript);

fn difference(whole: &[Said<'_>], pruned: Said<'_>, folds: &[Regex]) -> Option<(String, Vec<String>)> {
    let (first, _) = whole.first()?;
    match (&first.outcome, &pruned.0.outcome) {
        (Outcome::Responded(expected), Outcome::Responded(found)) => {
            // If the baseline response varies between runs, any of these responses counts, and no other.
            let alike: Vec<Said<'_>> =
                whole.iter().copied().filter(|(record, _)| is_like(found, record)).collect();
            if alike.is_empty() {
                if expected.status != found.status {
                    return Some((format!("status {} is {}", expected.status, found.status), Vec::new()));
                }
                let (a, b) = (kind_of(expected), kind_of(found));
                return Some((format!("content type `{a}` is `{b}`"), Vec::new()));
            }
            bodies_differ(&alike, pruned, found, folds)
        }
        (Outcome::Ran(expected), Outcome::Ran(found)) => {
            let alike: Vec<Said<'_>> = whole
                .iter()
                .copied()
                .filter(
                    |(record, _)| matches!(&record.outcome, Outcome::Ran(ran) if ran.status == found.status),
                )
                .collect();
            if alike.is_empty() {
                return Some((format!("exit status {} is {}", expected.status, found.status), Vec::new()));
            }
            texts_differ(&alike, pruned, folds)
        }
        (Outcome::Streamed(_), Outcome::Streamed(_)) => texts_differ(whole, pruned, folds),
        _ => None,
    }
}

/// Returns true if another run responded with the same status and kind.
fn is_like(response: &Response, other: &Record) -> bool {
    match &other.outcome {
        Outcome::Responded(other) => other.status == response.status && kind_of(other) == kind_of(response),
        _ => false,
    }
}

/// Returns the content type without its parameters' spelling.
fn kind_of(response: &Response) -> String {
    response.header("content-type").unwrap_or_default().to_ascii_lowercase().replace(' ', "")
}

fn is_text(kind: &str, body: &[u8]) -> bool {
    let named = ["text/", "json", "xml", "javascript", "x-www-form"].iter().any(|word| kind.contains(word));
    (named || kind.is_empty()) && std::str::from_utf8(body).is_ok()
}

fn bodies_differ(
    whole: &[Said<'_>],
    pruned: Said<'_>,
    found: &Response,
    folds: &[Regex],
) -> Option<(String, Vec<String>)> {
    let kind = kind_of(found);
    let bodies: Vec<&[u8]> = whole.iter().map(|(record, _)| record.outcome.bytes()).collect();
    if is_text(&kind, &found.body) && bodies.iter().all(|body| is_text(&kind, body)) {
        return texts_differ(whole, pruned, folds);
    }
    if bodies.contains(&&found.body[..]) {
        return None;
    }
    let first = bodies.first()?;
    // Several runs gave the same bytes: nothing in them changes by itself.
    if bodies.len() > 1 && bodies.iter().all(|body| body == first) {
        let text = format!("the bytes of its body differ ({} are {})", first.len(), found.body.len());
        return Some((text, Vec::new()));
    }
    let near = |body: &&[u8]| body.len().abs_diff(found.body.len()) <= LENGTH_SLACK_BYTES + body.len() / 50;
    let differs = !bodies.iter().any(near);
    differs.then(|| (format!("a body of {} bytes has {}", first.len(), found.body.len()), Vec::new()))
}

fn texts_differ(whole: &[Said<'_>], pruned: Said<'_>, folds: &[Regex]) -> Option<(String, Vec<String>)> {
    let found = text_of(pruned, folds);
    let texts: Vec<Text> = whole.iter().map(|said| text_of(*said, folds)).collect();
    if texts.contains(&found) {
        return None;
    }
    let changes = texts::changes(&texts, &found);
    if changes.is_empty() {
        return None;
    }
    let shown = |sign: char, lines: &[String]| -> Vec<String> {
        lines.iter().take(LINES_SHOWN).map(|line| format!("{sign} {line}")).collect()
    };
    let lines = [shown('-', &changes.lacking), shown('+', &changes.new)].concat();
    let (lacking, new) = (changes.lacking.len(), changes.new.len());
    Some((format!("its text differs ({lacking} lines gone, {new} new)"), lines))
}

/// Returns the text of a response or of an output, with what the recipe folds and what was captured replaced.
/// Where a response leads to is a line of it.
fn text_of((record, transcript): Said<'_>, folds: &[Regex]) -> Text {
    let mut text = String::from_utf8_lossy(record.outcome.bytes()).into_owned();
    if let Outcome::Responded(response) = &record.outcome
        && let Some(location) = response.header("location")
    {
        text = format!("Location: {location}\n{text}");
    }
    for fold in folds {
        text = fold.replace_all(&text, "\u{2026}").into_owned();
    }
    Text::new(&transcript.folded(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> Transcript {
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        answered(200, headers, body.as_bytes())
    }

    fn answered(status: u16, headers: Vec<(String, String)>, body: &[u8]) -> Transcript {
        let outcome = Outcome::Responded(Response { status, headers, body: body.to_vec() });
        let steps = vec![Record { step: 1, what: "GET /".into(), outcome }];
        Transcript {
            steps,
            captured: vec![(
                "tok".into(),
                body.get(..4).map_or(String::new(), |b| String::from_utf8_lossy(b).into()),
            )],
            ..Transcript::default()
        }
    }

    #[test]
    fn what_is_left_is_compared_as_answers_are() {
        let left = |lines: &str| Transcript {
            left: vec![Record {
                step: 0,
                what: "files left in /var".into(),
                outcome: Outcome::Ran(crate::exercise::CommandOutput { status: 0, output: lines.into() }),
            }],
            ..Transcript::default()
        };
        assert_eq!(shown(&[&left("file /var/a1\nfile /var/b")], &left("file /var/a2\nfile /var/b")), "");
        assert_eq!(
            shown(&[&left("file /var/a\nfile /var/b")], &left("file /var/a")),
            "afterwards, files left in /var: its text differs (1 lines gone, 0 new)\n  - file /var/b"
        );
    }

    fn shown(whole: &[&Transcript], pruned: &Transcript) -> String {
        compare(&[], whole, pruned).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_no_two_runs_share_is_folded() {
        for (whole, pruned) in [
            ("abcd\n<a href=\"?t=abcd\">", "wxyz\n<a href=\"?t=wxyz\">"),
            ("tok_\nat 2026-11-24 05:01:02, id 8f3a9c", "tok_\nat 2026-11-25 15:11:22, id 77aa01"),
        ] {
            assert_eq!(shown(&[&said(whole)], &said(pruned)), "");
        }
    }

    #[test]
    fn another_text_is_told_with_its_lines() {
        let whole = said("tok_ <p>Guten Tag</p>\n<p>Bis bald</p>");
        let pruned = said("tok_ <p>Good day</p>\n<p>Bis bald</p>");
        assert_eq!(
            shown(&[&whole], &pruned),
            "step 1, GET /: its text differs (1 lines gone, 1 new)\n  \
             - {tok} <p>Guten Tag</p>\n  + {tok} <p>Good day</p>"
        );
    }

    #[test]
    fn words_in_which_the_whole_root_differs_from_itself_count_for_nothing() {
        let (one, two) = (said("tok_ red"), said("tok_ blue"));
        assert_eq!(shown(&[&one, &two], &said("tok_ green")), "");
        let (one, two) = (said("tok_\nstays\nred"), said("tok_\nstays\nblue"));
        assert_eq!(
            shown(&[&one, &two], &said("tok_\ngreen")),
            "step 1, GET /: its text differs (1 lines gone, 0 new)\n  - stays"
        );
    }

    #[test]
    fn messages_that_were_expected_are_compared_as_texts_are() {
        let said = |text: &str| {
            let outcome = Outcome::Streamed(text.as_bytes().to_vec());
            let steps = vec![Record { step: 1, what: "websocket /ws".into(), outcome }];
            Transcript { steps, ..Transcript::default() }
        };
        assert_eq!(shown(&[&said("hello at 12:01\nbye")], &said("hello at 17:48\nbye")), "");
        assert_eq!(
            shown(&[&said("hello\nbye")], &said("hello\nsorry")),
            "step 1, websocket /ws: its text differs (1 lines gone, 1 new)\n  - bye\n  + sorry"
        );
    }

    #[test]
    fn statuses_that_change_by_themselves_count_for_nothing() {
        let status = |status| answered(status, Vec::new(), b"");
        let (one, two, pruned) = (status(200), status(412), status(500));
        assert_eq!(shown(&[&one, &two], &two), "");
        assert_eq!(shown(&[&one, &two], &pruned), "step 1, GET /: status 200 is 500");
    }

    #[test]
    fn statuses_types_and_lengths_are_compared() {
        let plain = |status, kind: &str, body: &[u8]| {
            answered(status, vec![("content-type".into(), kind.into())], body)
        };
        for (whole, pruned, expected) in [
            (plain(200, "text/html", b""), plain(500, "text/html", b""), "step 1, GET /: status 200 is 500"),
            (
                plain(200, "text/html; charset=utf-8", b""),
                plain(200, "text/plain", b""),
                "step 1, GET /: content type `text/html;charset=utf-8` is `text/plain`",
            ),
            (plain(200, "image/png", &[1; 5000]), plain(200, "image/png", &[2; 5010]), ""),
            (
                plain(200, "image/png", &[1; 5000]),
                plain(200, "image/png", &[2; 50]),
                "step 1, GET /: a body of 5000 bytes has 50",
            ),
        ] {
            assert_eq!(shown(&[&whole], &pruned), expected);
        }
        let image = |byte: u8| plain(200, "image/png", &[byte; 5000]);
        assert_eq!(shown(&[&image(1), &image(2)], &image(3)), "");
        assert_eq!(
            shown(&[&image(1), &image(1)], &image(3)),
            "step 1, GET /: the bytes of its body differ (5000 are 5000)"
        );
    }

    #[test]
    fn where_a_response_leads_to_is_compared() {
        let to = |place: &str| answered(302, vec![("Location".into(), place.into())], b"tok_");
        assert_eq!(shown(&[&to("/start?t=8f3a")], &to("/start?t=77aa")), "");
        assert_eq!(
            shown(&[&to("/start")], &to("/login")),
            "step 1, GET /: its text differs (1 lines gone, 1 new)\n  - Location: /start\n  + Location: /login"
        );
    }
}
