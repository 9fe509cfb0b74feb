//! Which messages of a stream matter: what the page sends but heartbeats, and of what the app sends that which answers,
//! or says something new. The steps wait for few messages, so that they are quick and hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Exchange, choose::Kind, pieces};
use crate::proxy::Heard;

/// Messages of one stream that steps send.
const SENT: usize = 500;

/// Messages of one stream that steps wait for.
const EXPECTED: usize = 100;

/// Messages that are waited for behind one that was sent.
const ANSWERS: usize = 3;

/// Messages that are waited for at once, however many were sent before.
const AT_ONCE: usize = 6;

/// Messages of an app that are looked at.
const LOOKED_AT: usize = 2000;

/// Messages from which on those that differ in numbers alone are a flood.
const FLOOD: usize = 10;

/// Longest message that a step sends, in bytes: as text, and as digits.
const SENT_BYTES: (usize, usize) = (16 << 10, 512);

/// Shortest pause between messages that a page repeats by its clock.
const BEAT: Duration = Duration::from_secs(4);

/// What pages send to say that they are still there.
const BEATS: [&str; 12] =
    ["", "2", "3", "ping", "pong", "heartbeat", "keepalive", "keep-alive", "keep_alive", "h", "{}", "[]"];

/// Keys whose value says what a message is.
const TYPES: [&str; 8] = ["type", "event", "action", "cmd", "command", "op", "msg", "method"];

/// What earlier streams of the same path have said, so that one that was opened again says only what is new.
pub type Known<'a> = BTreeMap<(&'a str, bool), BTreeSet<String>>;

/// A message that is one of a step, or could be: its number among those of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picked {
    /// Its number.
    pub number: usize,
    /// [`Kind::Stream`], or [`Kind::Source`] of one that only matters if something of it is sent back.
    pub kind: Kind,
}

/// Returns the messages of a stream, in their order; none of a stream that was opened again and says nothing new.
/// `steps` are the places of the requests that may make an app say something.
pub fn choose<'a>(
    exchange: &'a Exchange,
    steps: &[u64],
    known: &mut Known<'a>,
    notes: &mut Vec<String>,
) -> Option<Vec<Picked>> {
    let path = exchange.path_and_query().0;
    let (sent, unsent) = sent(&exchange.messages);
    let expected = expected(&exchange.messages, &sent, steps);
    let all =
        sent.iter().chain(expected.iter().filter(|one| one.kind == Kind::Stream).map(|one| &one.number));
    let says: Vec<(bool, String)> = all
        .map(|number| &exchange.messages[*number])
        .map(|message| (message.is_from_app, pieces::skeleton(&message.payload)))
        .collect();
    let mut is_new = !known.contains_key(&(path, true));
    known.entry((path, true)).or_default();
    for (is_from_app, text) in says {
        is_new |= known.entry((path, is_from_app)).or_default().insert(text);
    }
    if !is_new {
        return None;
    }
    if unsent > 0 {
        notes
            .push(format!("{path}: {unsent} messages that were sent are too long or too many for its steps"));
    }
    if exchange.is_stream_cut {
        notes.push(format!("{path}: more messages came than are recorded"));
    }
    let sent = sent.into_iter().map(|number| Picked { number, kind: Kind::Stream });
    let mut picked: Vec<Picked> = sent.chain(expected).collect();
    picked.sort_by_key(|one| one.number);
    Some(picked)
}

/// Returns the messages that the page sends, and how many are left out.
fn sent(messages: &[Heard]) -> (Vec<usize>, usize) {
    let own = || messages.iter().enumerate().filter(|(_, message)| !message.is_from_app);
    let mut same: BTreeMap<&[u8], Vec<Duration>> = BTreeMap::new();
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    let alike_of = |message: &Heard| pieces::bare(&pieces::skeleton(&message.payload));
    for (_, message) in own() {
        same.entry(&message.payload).or_default().push(message.at);
        // Keys of a terminal are each one.
        if message.payload.len() > 8 {
            *alike.entry(alike_of(message)).or_default() += 1;
        }
    }
    let (mut out, mut left) = (Vec::new(), 0);
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for (number, message) in own() {
        let times = &same[&message.payload[..]];
        let is_beat = message.is_text && is_beat(&String::from_utf8_lossy(&message.payload))
            || times.len() >= 3 && times.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) >= BEAT);
        let form = alike_of(message);
        let is_flood = alike.get(&form).is_some_and(|count| *count > 2 * FLOOD);
        let longest = if message.is_text { SENT_BYTES.0 } else { SENT_BYTES.1 };
        if is_beat || is_flood && !taken.insert(form) {
            continue;
        }
        match message.is_cut || message.payload.len() > longest || out.len() == SENT {
            true => left += 1,
            false => out.push(number),
        }
    }
    (out, left)
}

/// Returns whether a message only says that its sender is there.
fn is_beat(text: &str) -> bool {
    let is_word = |word: &str| BEATS.contains(&word.trim().to_ascii_lowercase().as_str());
    if is_word(text) {
        return true;
    }
    let Some(value) = pieces::json(text).filter(|_| text.len() <= 200) else { return false };
    TYPES.iter().any(|key| value.get(key).and_then(|value| value.as_str()).is_some_and(is_word))
}

/// Returns the messages of the app that are waited for, and as sources the others that differ from all before them.
fn expected(messages: &[Heard], sent: &[usize], steps: &[u64]) -> Vec<Picked> {
    // Those that say the same as an earlier one are left out.
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    let mut fresh: Vec<(usize, String)> = Vec::new();
    for (number, message) in messages.iter().enumerate().filter(|(_, message)| message.is_from_app) {
        let text = pieces::skeleton(&message.payload);
        let form = pieces::bare(&text);
        *alike.entry(form.clone()).or_default() += 1;
        let is_beat = message.is_text && is_beat(&String::from_utf8_lossy(&message.payload));
        if !is_beat && fresh.len() < LOOKED_AT && seen.insert(text) {
            fresh.push((number, form));
        }
    }
    let all: Vec<&Heard> = fresh.iter().map(|(number, _)| &messages[*number]).collect();
    let others = Others::new(&all);
    let mut out: Vec<Picked> = Vec::new();
    let mut group: Vec<(usize, &str)> = Vec::new();
    let mut causes = 1;
    let places: BTreeSet<u64> =
        sent.iter().map(|number| messages[*number].order).chain(steps.iter().copied()).collect();
    // Of an app that only ticks, one is waited for.
    let is_flood = |form: &str| alike[form] > FLOOD && alike[form] > 3 * places.len();
    let is_all_flood = fresh.iter().all(|(_, form)| is_flood(form));
    let Some((first, _)) = fresh.first() else { return Vec::new() };
    let mut last = 0;
    let mut pick = |group: &mut Vec<(usize, &str)>, causes: usize| {
        let mut ranked: Vec<(Rank, usize)> = group
            .drain(..)
            .filter_map(|(number, _)| Some((others.rank(&messages[number])?, number)))
            .collect();
        ranked.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
        // What tells nothing apart matters only where nothing else does.
        let is_told = ranked.first().is_some_and(|(rank, _)| rank.is_own);
        ranked.retain(|(rank, _)| rank.is_own || !is_told);
        ranked.truncate((ANSWERS * causes).min(AT_ONCE));
        out.extend(ranked.into_iter().map(|(_, number)| Picked { number, kind: Kind::Stream }));
    };
    for (number, form) in &fresh {
        let order = messages[*number].order;
        let between = places.range(last..order).count();
        if between > 0 {
            pick(&mut group, causes);
            causes = between;
        }
        last = order;
        let is_there = group.iter().any(|(_, known)| known == form);
        if !is_there && (!is_flood(form) || is_all_flood && number == first) {
            group.push((*number, form));
        }
    }
    pick(&mut group, causes);
    out.truncate(EXPECTED);
    let picked: BTreeSet<usize> = out.iter().map(|one| one.number).collect();
    let rest = fresh.iter().map(|(number, _)| *number).filter(|number| !picked.contains(number));
    out.extend(rest.map(|number| Picked { number, kind: Kind::Source }));
    out
}

/// How much a message matters, most last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Whether no other message has its piece.
    is_own: bool,
    says: u8,
    fewest: std::cmp::Reverse<usize>,
    letters: usize,
}

/// Messages of a stream, to find pieces by which one is told from the others.
#[derive(Debug)]
pub struct Others<'a>(Vec<&'a Heard>);

/// Other messages in which a piece is looked for.
const COMPARED: usize = 300;

/// Pieces of a message that are compared.
const COMPARED_PIECES: usize = 40;

impl<'a> Others<'a> {
    /// Takes the messages that say something of their own.
    pub fn new(all: &[&'a Heard]) -> Self {
        Others(all.iter().take(COMPARED).copied().collect())
    }

    fn rank(&self, message: &Heard) -> Option<Rank> {
        self.ranked(message, &[]).into_iter().next().map(|(rank, _)| rank)
    }

    /// Returns the pieces by which a message is known, the best first.
    pub fn pieces(&self, message: &Heard, differing: &[&str]) -> Vec<pieces::Piece> {
        self.ranked(message, differing).into_iter().map(|(_, piece)| piece).collect()
    }

    fn ranked(&self, message: &Heard, differing: &[&str]) -> Vec<(Rank, pieces::Piece)> {
        let found = pieces::pieces(&message.payload, message.is_cut, differing);
        let ranked = found.into_iter().take(COMPARED_PIECES).map(|piece| {
            let finder = memchr::memmem::Finder::new(piece.text.as_bytes());
            let others = self.0.iter().filter(|other| other.order != message.order);
            let count = others.filter(|other| finder.find(&other.payload).is_some()).count();
            let (says, letters) = piece.says;
            let fewest = std::cmp::Reverse(count);
            (Rank { is_own: count == 0, says, fewest, letters }, piece)
        });
        let mut ranked: Vec<(Rank, pieces::Piece)> = ranked.collect();
        ranked.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        ranked
    }
}
