//! A line of text whose changing parts are known, because several runs of the same app gave it.
//!
//! Comes in: lines, one a run, that mean the same. Goes out: a [`Pattern`]: their common words in order, with
//! a gap where they differ. A gap knows the values that it was seen with, so that it does not swallow a
//! sentence where a token was.

use std::collections::BTreeSet;

/// A word, or one character between words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(String);

impl Token {
    fn is_word(&self) -> bool {
        self.0.chars().next().is_some_and(char::is_alphanumeric)
    }

    /// Returns true for words such as `12` and `8f3a`: times, counters, identifiers.
    fn has_digit(&self) -> bool {
        self.0.chars().any(char::is_numeric)
    }

    fn is_number(&self) -> bool {
        self.0.chars().all(char::is_numeric)
    }

    fn length(&self) -> usize {
        self.0.chars().count()
    }
}

/// Splits a line into words of any alphabet and the single characters between them.
pub(super) fn tokens(line: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = match first.is_alphanumeric() {
            true => rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (token, after) = rest.split_at(end);
        out.push(Token(token.to_owned()));
        rest = after;
    }
    out
}

/// Returns a line with `#` for each word that has a digit.
pub(super) fn fold_digits(line: &str) -> String {
    tokens(line).iter().map(|token| if token.has_digit() { "#" } else { &token.0[..] }).collect()
}

/// The text in a gap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    /// Its shortest and its longest value so far, in characters.
    lengths: (usize, usize),
    /// Characters other than letters and digits that were seen in it.
    marks: BTreeSet<char>,
}

/// From this length on, a value is taken for a token in base64 or a part of a URL.
const LONG_TOKEN: usize = 16;

impl Gap {
    fn of<'a>(values: impl Iterator<Item = &'a Token>) -> Self {
        let (mut length, mut marks) = (0, BTreeSet::new());
        for token in values {
            length += token.length();
            marks.extend(token.0.chars().filter(|c| !c.is_alphanumeric()));
        }
        Gap { lengths: (length, length), marks }
    }

    /// Returns a gap that holds the values of this one followed by those of the other.
    fn then(self, next: Gap) -> Self {
        let lengths = (self.lengths.0 + next.lengths.0, self.lengths.1 + next.lengths.1);
        Gap { lengths, marks: self.marks.into_iter().chain(next.marks).collect() }
    }

    /// Returns a gap that holds the values of both.
    fn or(self, other: Gap) -> Self {
        let lengths = (self.lengths.0.min(other.lengths.0), self.lengths.1.max(other.lengths.1));
        Gap { lengths, marks: self.marks.into_iter().chain(other.marks).collect() }
    }

    fn allows(&self, token: &Token) -> bool {
        token.0.chars().all(|c| {
            c.is_alphanumeric()
                || self.marks.contains(&c)
                || matches!(c, '-' | '_')
                || (self.lengths.1 >= LONG_TOKEN && matches!(c, '+' | '/' | '=' | '%' | '.' | '~'))
        })
    }

    /// Returns the lengths that a value may have: about those seen. Sentences have any.
    fn bounds(&self) -> (usize, usize) {
        match self.marks.iter().any(|c| c.is_whitespace()) {
            true => (usize::from(self.lengths.0 > 0), usize::MAX),
            false => (self.lengths.0.div_ceil(2), self.lengths.1.saturating_mul(2)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    /// The same in all runs.
    Text(Token),
    /// A word with a digit, as it was first: any will do.
    Digits(Token),
    /// Other in each run.
    Gap(Gap),
}

/// A line as several runs gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern(Vec<Piece>);

/// Up to this product of lengths two lines are aligned in full; longer ones by their beginnings and ends.
const ALIGN_LIMIT: usize = 4_000_000;

impl Pattern {
    /// Returns the pattern of one line.
    pub fn of(line: &str) -> Self {
        let piece = |token: Token| if token.has_digit() { Piece::Digits(token) } else { Piece::Text(token) };
        Pattern(tokens(line).into_iter().map(piece).collect())
    }

    /// Returns the pattern of two lines that differ in words with digits alone: those with letters in them
    /// become gaps.
    pub fn of_two(one: &str, other: &str) -> Self {
        let (one, other) = (tokens(one), tokens(other));
        let piece = |(a, b): (&Token, &Token)| match (a == b, a.has_digit() && b.has_digit()) {
            (true, true) => Piece::Digits(a.clone()),
            (true, false) => Piece::Text(a.clone()),
            (false, true) if a.is_number() && b.is_number() => Piece::Digits(a.clone()),
            (false, _) => Piece::Gap(Gap::of([a].into_iter()).or(Gap::of([b].into_iter()))),
        };
        Pattern(one.iter().zip(&other).map(piece).collect()).joined()
    }

    /// Returns true if the pattern has a gap.
    pub fn has_gap(&self) -> bool {
        self.0.iter().any(is_gap)
    }

    /// Returns true if there is hardly a word in it that is the same in all runs.
    pub fn is_weak(&self) -> bool {
        letters(&self.0) < 3
    }

    /// Returns the pattern of the lines of this one and one line more.
    pub fn with(&self, line: &str) -> Self {
        let tokens = tokens(line);
        let matched = align(&self.0, &tokens);
        let mut out = Pattern(Vec::new());
        let (mut at, mut to) = (0, 0);
        for (piece, token) in matched.into_iter().chain([(self.0.len(), tokens.len())]) {
            out.push_gap(&self.0[at..piece], &tokens[to..token]);
            if let Some(same) = self.0.get(piece) {
                out.0.push(same.clone());
            }
            (at, to) = (piece + 1, token + 1);
        }
        out.joined()
    }

    fn push_gap(&mut self, pieces: &[Piece], tokens: &[Token]) {
        if pieces.is_empty() && tokens.is_empty() {
            return;
        }
        self.0.push(Piece::Gap(gap_of(pieces).or(Gap::of(tokens.iter()))));
    }

    /// Joins gaps that only marks of tokens lie between (`ab-cd` and `xy-z` are one token each), and all gaps
    /// of sentences that have hardly a word in common.
    fn joined(self) -> Self {
        let gaps = (self.0.iter().position(is_gap), self.0.iter().rposition(is_gap));
        if let (Some(first), Some(last)) = gaps {
            let middle = &self.0[first..=last];
            let all = gap_of(middle);
            let blanks = middle.iter().filter(|piece| matches!(piece, Piece::Text(token) if token.0 == " "));
            let is_sentence = blanks.count() >= 2 || all.marks.contains(&' ') && first < last;
            if is_sentence && letters(middle) * 2 < all.lengths.1 {
                return Pattern([&self.0[..first], &[Piece::Gap(all)], &self.0[last + 1..]].concat());
            }
        }
        let mut out: Vec<Piece> = Vec::new();
        for piece in self.0 {
            // Only behind a gap: a line may be nothing but marks.
            let before = match is_gap(&piece) {
                true => out.iter().rposition(|earlier| !is_mark_of_token(earlier)),
                false => None,
            };
            match before {
                Some(before) if is_gap(&out[before]) => {
                    let joined = gap_of(&out[before..]).then(gap_of(&[piece]));
                    out.truncate(before);
                    out.push(Piece::Gap(joined));
                }
                _ => out.push(piece),
            }
        }
        Pattern(out)
    }

    /// Returns true if a line is one of the pattern.
    pub fn matches(&self, line: &[Token]) -> bool {
        // How far the pieces so far may reach: all places, in order.
        let mut places = vec![0];
        for piece in &self.0 {
            places = match piece {
                Piece::Text(text) => after(&places, line, |token| token == text),
                Piece::Digits(_) => after(&places, line, Token::has_digit),
                Piece::Gap(gap) => after_gap(&places, line, gap),
            };
            if places.is_empty() {
                return false;
            }
        }
        places.last() == Some(&line.len())
    }

    /// Returns how much of a line is in the pattern, from 0 to 1.
    pub fn likeness(&self, line: &[Token]) -> f64 {
        let mut own: Vec<&str> = self.0.iter().filter_map(Piece::shown).collect();
        let mut theirs: Vec<&str> = line.iter().map(shown).collect();
        let all = own.len() + theirs.len();
        own.sort_unstable();
        theirs.sort_unstable();
        let (mut same, mut rest) = (0, &theirs[..]);
        for word in own {
            rest = &rest[rest.partition_point(|other| *other < word)..];
            if rest.first() == Some(&word) {
                same += 1;
                rest = &rest[1..];
            }
        }
        if all == 0 { 1.0 } else { f64::from(2 * same) / all as f64 }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| f.write_str(piece.shown().unwrap_or("\u{2026}")))
    }
}

impl Piece {
    fn shown(&self) -> Option<&str> {
        match self {
            Piece::Text(token) => Some(&token.0),
            Piece::Digits(_) => Some("#"),
            Piece::Gap(_) => None,
        }
    }
}

fn shown(token: &Token) -> &str {
    if token.has_digit() { "#" } else { &token.0 }
}

/// Returns the gap that takes the place of pieces in a row.
fn gap_of(pieces: &[Piece]) -> Gap {
    let empty = Gap::of([].into_iter());
    pieces.iter().fold(empty, |gap, piece| {
        gap.then(match piece {
            Piece::Text(token) => Gap::of([token].into_iter()),
            Piece::Digits(token) => Gap::of([token].into_iter()),
            Piece::Gap(gap) => gap.clone(),
        })
    })
}

/// Returns how many letters of words are the same in all runs.
fn letters(pieces: &[Piece]) -> usize {
    let letters = pieces.iter().map(|piece| match piece {
        Piece::Text(token) if token.is_word() => token.length(),
        _ => 0,
    });
    letters.sum()
}

fn is_gap(piece: &Piece) -> bool {
    matches!(piece, Piece::Gap(_))
}

fn is_mark_of_token(piece: &Piece) -> bool {
    matches!(piece, Piece::Text(Token(text)) if matches!(&text[..], "-" | "_" | "+" | "/" | "=" | "." | "~" | "%"))
}

fn after(places: &[usize], line: &[Token], fits: impl Fn(&Token) -> bool) -> Vec<usize> {
    places.iter().filter(|place| line.get(**place).is_some_and(&fits)).map(|place| place + 1).collect()
}

fn after_gap(places: &[usize], line: &[Token], gap: &Gap) -> Vec<usize> {
    let (least, most) = gap.bounds();
    let mut ends = BTreeSet::new();
    for place in places {
        let mut length = 0;
        for end in *place..=line.len() {
            if length >= least && length <= most {
                ends.insert(end);
            }
            match line.get(end) {
                Some(token) if gap.allows(token) && length <= most => length += token.length(),
                _ => break,
            }
        }
    }
    ends.into_iter().collect()
}

/// Returns the places of what is the same in a pattern and a line, in order: a longest common subsequence.
fn align(pieces: &[Piece], tokens: &[Token]) -> Vec<(usize, usize)> {
    let same = |piece: usize, token: usize| match &pieces[piece] {
        Piece::Text(text) => *text == tokens[token],
        // Other letters and digits are another identifier, other digits another time.
        Piece::Digits(word) => *word == tokens[token] || (word.is_number() && tokens[token].is_number()),
        Piece::Gap(_) => false,
    };
    let shorter = pieces.len().min(tokens.len());
    let head = (0..shorter).take_while(|at| same(*at, *at)).count();
    let (mut piece_end, mut token_end) = (pieces.len(), tokens.len());
    while piece_end > head && token_end > head && same(piece_end - 1, token_end - 1) {
        (piece_end, token_end) = (piece_end - 1, token_end - 1);
    }
    let (rows, columns) = (piece_end - head, token_end - head);
    let mut out: Vec<(usize, usize)> = (0..head).map(|at| (at, at)).collect();
    if rows.saturating_mul(columns) <= ALIGN_LIMIT {
        // best[i][j]: how much is the same from piece i and token j on.
        let width = columns + 1;
        let mut best = vec![0_u32; (rows + 1) * width];
        for i in (0..rows).rev() {
            for j in (0..columns).rev() {
                best[i * width + j] = match same(head + i, head + j) {
                    true => best[(i + 1) * width + j + 1] + 1,
                    false => best[(i + 1) * width + j].max(best[i * width + j + 1]),
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < rows && j < columns {
            if same(head + i, head + j) {
                out.push((head + i, head + j));
                (i, j) = (i + 1, j + 1);
            } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
                i += 1;
            } else {
                j += 1;
            }
        }
    }
    out.extend((piece_end..pieces.len()).zip(token_end..tokens.len()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(lines: &[&str]) -> Pattern {
        let (first, others) = lines.split_first().expect("has a line");
        others.iter().fold(Pattern::of(first), |pattern, line| pattern.with(line))
    }

    #[test]
    fn lines_of_marks_alone_are_soon_compared() {
        let line = "/".repeat(100_000);
        assert!(!pattern(&[&line, &line]).has_gap());
        assert!(pattern(&[&format!("a{line}b"), &format!("c{line}b")]).has_gap());
    }

    #[test]
    fn what_differs_becomes_a_gap_that_takes_a_token_and_no_sentence() {
        for (lines, shown, fits, others) in [
            (
                &["<a href='/s/qkzjw'>go</a>", "<a href='/s/pmxnb'>go</a>"][..],
                "<a href='/s/…'>go</a>",
                &["<a href='/s/aaaaa'>go</a>", "<a href='/s/a7k-b'>go</a>"][..],
                &[
                    "<a href='/s/'>go</a>",
                    "<a href='/s/not found'>go</a>",
                    "<a href='/s/aaaaa'>gone</a>",
                    "<a href='/s/aaaaabbbbbccccc'>go</a>",
                ][..],
            ),
            (
                &["key Zm9v-YmFy_eHh4eA end", "key aGVsbG93b3JsZGQ= end"],
                "key … end",
                &["key MT+kkkkkkkkkkkkk/w end"],
                &["key end", "key no key here end"],
            ),
            (
                &["у слова рыба хвост", "у слова кошка хвост"],
                "у слова … хвост",
                &["у слова птица хвост"],
                &["у слова"],
            ),
            (
                &["Guten Tag, abc", "Guten Tag, "],
                "Guten Tag, …",
                &["Guten Tag, xy", "Guten Tag, "],
                &["Guten , xy"],
            ),
            (&["at 10:11 by abc", "at 12:59 by xyz"], "at #:# by …", &["at 1:1 by foo"], &["at x:1 by foo"]),
        ] {
            let pattern = pattern(lines);
            assert_eq!(pattern.to_string(), shown);
            for line in lines.iter().chain(fits) {
                assert!(pattern.matches(&tokens(line)), "{shown} and {line}");
            }
            for line in others {
                assert!(!pattern.matches(&tokens(line)), "{shown} and {line}");
            }
        }
    }

    #[test]
    fn lines_with_little_in_common_have_one_gap() {
        let pattern = pattern(&["<q>the sea is the sky</q>", "<q>of all the men I ever met in town</q>"]);
        assert_eq!(pattern.to_string(), "<q>…</q>");
        assert!(pattern.matches(&tokens("<q>never</q>")) && !pattern.matches(&tokens("<q></q>")));
    }

    #[test]
    fn mixed_words_that_differ_may_be_letters_alone_and_numbers_may_not() {
        let pattern = Pattern::of_two("id a8x3 after 12 ms", "id 9bqq after 15 ms");
        assert!(pattern.matches(&tokens("id abcd after 1 ms")));
        assert!(!pattern.matches(&tokens("id abcd after NaN ms")));
        assert!(!Pattern::of("version 8").matches(&tokens("version unknown")));
    }

    #[test]
    fn very_long_lines_are_aligned_by_their_ends() {
        let line = |word: &str| format!("begin {} end", format!("{word} ").repeat(3000));
        let pattern = pattern(&[&line("abc"), &line("xyz")]);
        assert!(pattern.matches(&tokens(&line("foo"))));
        assert!(!pattern.matches(&tokens("begin abc")));
    }
}
