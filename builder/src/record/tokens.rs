//! Values that an app gave and a browser sends back: nonces, CSRF fields, ids. Each becomes a capture of the step that
//! showed it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use regex::Regex;

use super::{choose::Kind, item::Item, place, secrets::Secrets};

/// Shortest value that is a token.
const SHORTEST: usize = 6;

/// Longest value that is a token, in bytes.
const LONGEST: usize = 1024;

/// Values of one request or message that are looked for.
const VALUES: usize = 300;

/// Bytes of responses that are searched for values in all: a recording in which one response is long and much is sent
/// ends with fewer captures, not late.
const SEARCHED_BYTES: u64 = 16 << 30;

/// Names of fields that say that their values are tokens, however they look.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)csrf|xsrf|token|nonce|sectok|authenticity|formkey|form_?id").expect("compiles")
});

/// A captured value that a step sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// What it was in the recording.
    pub value: String,
}

/// The captures of all steps.
#[derive(Debug, Default)]
pub struct Captured {
    bindings: Vec<Binding>,
    sends: BTreeMap<usize, Vec<Token>>,
}

/// One capture.
#[derive(Clone, Debug)]
struct Binding {
    name: String,
    value: String,
    pattern: String,
    /// The step that captures it.
    step: usize,
    /// The last step that sends it.
    last: usize,
}

/// A value that a step sends and an earlier one has shown.
struct Use {
    step: usize,
    source: usize,
    hint: String,
    value: String,
    pattern: String,
}

impl Captured {
    /// Returns what a step sends.
    pub fn sent_by(&self, step: usize) -> Vec<Token> {
        self.sends.get(&step).cloned().unwrap_or_default()
    }

    /// Returns what a step captures, by name: expressions, and the values of the recording.
    pub fn taken_by(&self, step: usize) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let own = || self.bindings.iter().filter(|binding| binding.step == step);
        let patterns = own().map(|binding| (binding.name.clone(), binding.pattern.clone()));
        let values = own().map(|binding| (binding.name.clone(), binding.value.clone()));
        (patterns.collect(), values.collect())
    }

    /// Returns all values.
    pub fn values(&self) -> BTreeSet<&str> {
        self.bindings.iter().map(|binding| binding.value.as_str()).collect()
    }
}

/// Finds the captures. Items that only matter as their sources become steps; others of their kind are left out of
/// `items`.
pub fn find(items: &mut Vec<Item>, secrets: &Secrets) -> Captured {
    let mut kinds: Vec<Kind> = items.iter().map(|item| item.kind).collect();
    let uses = uses(items, &mut kinds, secrets);
    // Without those that remain sources, steps have other numbers.
    let mut numbers = BTreeMap::new();
    for (old, _) in kinds.iter().enumerate().filter(|(_, kind)| **kind != Kind::Source) {
        numbers.insert(old, numbers.len());
    }
    items.iter_mut().zip(kinds).for_each(|(item, kind)| item.kind = kind);
    items.retain(|item| item.kind != Kind::Source);
    let mut captured = Captured::default();
    for one in uses {
        let (Some(step), Some(source)) = (numbers.get(&one.step), numbers.get(&one.source)) else { continue };
        captured.bind(*step, *source, one);
    }
    captured
}

/// Returns what items send of what earlier ones have shown, in their order.
fn uses(items: &[Item], kinds: &mut [Kind], secrets: &Secrets) -> Vec<Use> {
    let mut search = Search { items, left: SEARCHED_BYTES, found: BTreeMap::new() };
    let mut uses: Vec<Use> = Vec::new();
    let mut first_sent: BTreeMap<String, usize> = BTreeMap::new();
    for (step, item) in items.iter().enumerate() {
        for candidate in candidates(item) {
            first_sent.entry(candidate.value).or_insert(step);
        }
    }
    // From the last one on: what becomes a step as a source is asked in its turn what it sends itself.
    for step in (0..items.len()).rev() {
        if kinds[step] == Kind::Source {
            continue;
        }
        let item = &items[step];
        for Candidate { hint, value, whole } in candidates(item) {
            let is_used = uses.iter().any(|known| known.step == step && known.value == whole);
            if is_used || secrets.is_in(&value) {
                continue;
            }
            let shown = search.shown(&value);
            // What the person typed, and pages show then, is no token.
            if shown.first().is_none_or(|first| *first >= first_sent[&value]) {
                if let Some((source, pattern)) = cookie(items, step, &value, kinds) {
                    uses.push(Use { step, source, hint, value, pattern });
                }
                continue;
            }
            let before: Vec<usize> = shown.iter().rev().copied().filter(|source| *source < step).collect();
            let steps = before.iter().filter(|source| kinds[**source] != Kind::Source);
            let others = before.iter().filter(|source| kinds[**source] == Kind::Source);
            let found = steps
                .chain(others)
                .take(8)
                .find_map(|source| Some((*source, place::pattern(&items[*source].said, &value, item.host)?)));
            let Some((source, pattern)) = found else { continue };
            if kinds[source] == Kind::Source {
                kinds[source] = Kind::Data;
            }
            uses.push(Use { step, source, hint, value, pattern });
        }
    }
    uses.sort_by_key(|one| one.step);
    uses
}

impl Captured {
    fn bind(&mut self, step: usize, source: usize, one: Use) {
        let plain = name_of(&one.hint);
        let name = (1..).find_map(|number: usize| {
            let name = if number == 1 { plain.clone() } else { format!("{plain}_{number}") };
            // A capture of the same name gives another value from its step on.
            let is_free = self.bindings.iter().filter(|known| known.name == name).all(|known| {
                known.step == source && known.pattern == one.pattern
                    || known.value == one.value && known.step < source
                    || known.last <= source
                    || step <= known.step
            });
            let is_held = self
                .bindings
                .iter()
                .any(|known| known.name == name && known.step == source && known.pattern != one.pattern);
            (is_free && !is_held).then_some(name)
        });
        // Every number up to that of the bindings could be taken, and no more.
        let name = name.unwrap_or(plain);
        let same = |known: &&mut Binding| known.name == name && known.step == source;
        match self.bindings.iter_mut().find(same) {
            Some(known) => known.last = known.last.max(step),
            None => self.bindings.push(Binding {
                name: name.clone(),
                value: one.value.clone(),
                pattern: one.pattern,
                step: source,
                last: step,
            }),
        }
        self.sends.entry(step).or_default().push(Token { name, value: one.value });
    }
}

/// Which steps have shown a value.
struct Search<'a> {
    items: &'a [Item<'a>],
    left: u64,
    found: BTreeMap<String, Vec<usize>>,
}

impl Search<'_> {
    fn shown(&mut self, value: &str) -> Vec<usize> {
        if let Some(found) = self.found.get(value) {
            return found.clone();
        }
        let mut out = Vec::new();
        for (step, item) in self.items.iter().enumerate() {
            let size: usize = item.said.iter().map(Vec::len).sum();
            let Some(left) = self.left.checked_sub(size as u64) else { break };
            self.left = left;
            if place::has(&item.said, value) {
                out.push(step);
            }
        }
        self.found.insert(value.to_owned(), out.clone());
        out
    }
}

/// Returns the cookie that a value is sent of besides, as scripts do that read a cookie to prove their origin.
fn cookie(items: &[Item], step: usize, value: &str, kinds: &[Kind]) -> Option<(usize, String)> {
    let steps = (0..step).rev().filter(|source| kinds[*source] != Kind::Source);
    steps.take(200).find_map(|source| Some((source, place::cookie_pattern(&items[source].said, value)?)))
}

/// A value of a request that looks like a token.
struct Candidate {
    /// The name of its field.
    hint: String,
    value: String,
    /// What it is a part of.
    whole: String,
}

/// Returns the values of an item that look like tokens, those of which others are a part before these.
fn candidates(item: &Item) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    let mut add = |hint: &str, value: &str, whole: &str| {
        let is_known = out.iter().any(|known| known.value == value);
        if !is_known && out.len() < VALUES && is_token(hint, value) {
            let (hint, value, whole) = (hint.to_owned(), value.to_owned(), whole.to_owned());
            out.push(Candidate { hint, value, whole });
        }
    };
    for (hint, value) in &item.sends {
        add(hint, value, value);
        // Texts of a person hold numbers of their own.
        if value.len() <= 200 && !value.contains(char::is_whitespace) {
            value.split(|c: char| !c.is_ascii_alphanumeric()).for_each(|piece| add(hint, piece, value));
        }
    }
    out
}

/// Returns whether a value looks as if a program had made it.
fn is_token(hint: &str, value: &str) -> bool {
    if !(SHORTEST..=LONGEST).contains(&value.len())
        || value.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return false;
    }
    let count = |is: fn(&char) -> bool| value.chars().filter(is).count();
    let digits = count(char::is_ascii_digit);
    let is_mixed = count(char::is_ascii_uppercase) >= 3 && count(char::is_ascii_lowercase) >= 3;
    NAMED.is_match(hint) || digits >= 2 || is_mixed && value.len() >= 16
}

/// Returns the name of a capture or of a stream, of that of a field, a header or a path.
pub fn name_of(hint: &str) -> String {
    let mut name = String::new();
    let hint = hint.strip_prefix("X-").or_else(|| hint.strip_prefix("x-")).unwrap_or(hint);
    for letter in hint.chars() {
        match letter {
            _ if letter.is_ascii_alphanumeric() => name.push(letter.to_ascii_lowercase()),
            _ if name.is_empty() || name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    name.truncate(30);
    let name = name.trim_end_matches('_');
    match name {
        "" => "value".to_owned(),
        "base" | "host" | "port" => format!("{name}_value"),
        _ => name.to_owned(),
    }
}
