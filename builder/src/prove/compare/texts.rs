//! Texts of several whole runs and of a pruned one: what the pruned one lacks, and what is new in it.
//!
//! Each text is a set of lines, since order and repetition change by themselves. Words with a digit (times,
//! counters, identifiers) are folded. A line that all whole runs give must be there; of lines that only one
//! run gives, those that mean the same are found, and made a [`Pattern`] that must be there too. All other
//! lines of the whole runs may be there.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::pattern::{Pattern, Token, fold_digits, tokens};
use crate::prove::side_effects::tells_failure;

/// Longest line that is shown.
const SHOWN_CHARS: usize = 200;

/// Least likeness of two lines that are taken for one.
const ALIKE: f64 = 0.5;

/// Most pairs of lines whose likeness is measured.
const PAIRS_LIMIT: usize = 40_000;

/// Most patterns that are learned of one folded line.
const IDENTIFIERS_LIMIT: usize = 8;

/// A text as its lines, each once, without blanks around them; empty ones are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(Vec<String>);

impl Text {
    /// Splits a text into lines. Documents without line breaks are split between tags and between members of
    /// lists.
    pub fn new(text: &str) -> Self {
        let mut known = BTreeSet::new();
        let lines = text.lines().flat_map(parts).map(str::trim).filter(|line| !line.is_empty());
        Text(lines.filter(|line| known.insert(*line)).map(str::to_owned).collect())
    }
}

/// Splits a line at `><`, and after a comma that a string, list or table follows.
fn parts(line: &str) -> Vec<&str> {
    let bytes = line.as_bytes();
    let mut out = Vec::new();
    let mut from = 0;
    for at in 1..bytes.len() {
        let is_end = match bytes[at - 1] {
            b'>' => bytes[at] == b'<',
            b',' => {
                let next = bytes[at..].iter().find(|byte| **byte != b' ');
                matches!(next, Some(b'"' | b'{' | b'['))
            }
            _ => false,
        };
        // Both neighbours are ASCII, so this is a boundary between characters.
        if is_end && let Some(part) = line.get(from..at) {
            out.push(part);
            from = at;
        }
    }
    out.extend(line.get(from..));
    out
}

/// The missing and the additional words of a pruned text, as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Lines that each whole run gives and the pruned one does not.
    pub lacking: Vec<String>,
    /// Lines that no whole run gives.
    pub new: Vec<String>,
}

impl Changes {
    /// Returns true if nothing differs.
    pub fn is_empty(&self) -> bool {
        self.lacking.is_empty() && self.new.is_empty()
    }
}

/// Compares a pruned text with those of whole runs.
pub(super) fn changes(whole: &[Text], pruned: &Text) -> Changes {
    let known = Known::of(whole);
    let found: BTreeSet<String> = pruned.0.iter().map(|line| fold_digits(line)).collect();
    let mut changes = Changes::default();
    // Words that all runs on the full root give stand for themselves, and satisfy no pattern.
    let own: Vec<(&String, Vec<Token>)> = pruned
        .0
        .iter()
        .filter(|line| !known.constant.contains(*line))
        .map(|line| (line, tokens(line)))
        .collect();
    let mut matched = vec![0; known.varying.len()];
    for (line, tokens) in &own {
        let mut fits = false;
        for (varying, count) in known.varying.iter().zip(&mut matched) {
            if varying.has_room(*count) && varying.takes(line, tokens) {
                *count += 1;
                fits = true;
            }
        }
        let folded = fold_digits(line);
        if !fits && !known.folded.contains_key(&folded) {
            changes.new.push(folded);
        }
    }
    for (line, runs) in &known.folded {
        let replaced = known
            .varying
            .iter()
            .zip(&matched)
            .any(|(varying, count)| *count > 0 && varying.folded.as_deref() == Some(line));
        if *runs == whole.len() && !found.contains(line) && !replaced {
            changes.lacking.push(line.clone());
        }
    }
    for (varying, count) in known.varying.iter().zip(matched) {
        if varying.is_needed() && count == 0 {
            changes.lacking.push(varying.pattern.to_string());
        }
    }
    changes.new.dedup();
    for lines in [&mut changes.lacking, &mut changes.new] {
        lines.iter_mut().for_each(|line| *line = line.chars().take(SHOWN_CHARS).collect());
    }
    changes
}

/// The knowledge from runs on the full root.
struct Known {
    /// Each folded line, and how many runs give it.
    folded: BTreeMap<String, usize>,
    /// Lines that all runs give word for word.
    constant: BTreeSet<String>,
    /// Lines that vary.
    varying: Vec<Varying>,
}

/// Lines of several runs that mean the same.
struct Varying {
    pattern: Pattern,
    /// How many lines of each run are of this pattern.
    counts: Vec<usize>,
    /// The folded line, where the lines differ in words with digits alone.
    folded: Option<String>,
    /// Where the first was found: the constant line before it.
    place: Option<String>,
    /// The last run whose line it has taken in.
    run: usize,
    /// One of the lines reports a failure.
    is_failure: bool,
}

impl Varying {
    fn of(line: &str, place: Option<&String>, run: usize) -> Self {
        Varying {
            pattern: Pattern::of(line),
            counts: Vec::new(),
            folded: None,
            place: place.cloned(),
            run,
            is_failure: tells_failure(line),
        }
    }

    /// Returns true if a line of the pruned app may be one of these.
    fn takes(&self, line: &str, tokens: &[Token]) -> bool {
        // A pattern with hardly a fixed word takes all else.
        let is_new_failure = self.pattern.is_weak() && !self.is_failure && tells_failure(line);
        !is_new_failure && self.pattern.matches(tokens)
    }

    /// Returns true if one line more can be of this pattern.
    fn has_room(&self, count: usize) -> bool {
        let most = self.counts.iter().copied().max().unwrap_or_default();
        let is_constant = self.counts.iter().all(|count| *count == most);
        count < most || !(self.pattern.is_weak() || is_constant)
    }

    /// Returns true if each whole run has such a line.
    fn is_needed(&self) -> bool {
        self.folded.is_none() && self.counts.iter().all(|count| *count > 0)
    }
}

/// A line of a run that is not of any pattern yet.
struct Loose<'a> {
    line: &'a str,
    tokens: Vec<Token>,
    place: Option<&'a String>,
}

impl Known {
    fn of(whole: &[Text]) -> Self {
        // Each folded line with the lines of each run that it stands for.
        let mut raw: BTreeMap<String, Vec<BTreeSet<&str>>> = BTreeMap::new();
        for (run, text) in whole.iter().enumerate() {
            for line in &text.0 {
                let runs = raw.entry(fold_digits(line)).or_insert_with(|| vec![BTreeSet::new(); whole.len()]);
                runs[run].insert(line);
            }
        }
        let runs_with = |runs: &[BTreeSet<&str>]| runs.iter().filter(|lines| !lines.is_empty()).count();
        let constant = raw.values().flat_map(|runs| {
            let (first, others) = runs.split_first()?;
            Some(first.iter().filter(|line| others.iter().all(|lines| lines.contains(*line))))
        });
        let constant = constant.flatten().map(|line| (*line).to_owned()).collect();
        let folded = raw.iter().map(|(line, runs)| (line.clone(), runs_with(runs))).collect();
        let mut known = Known { folded, constant, varying: Vec::new() };
        known.learn_identifiers(&raw);
        for (run, text) in whole.iter().enumerate() {
            known.learn_lines(run, &text.0, whole.len());
        }
        known.count(whole);
        known
    }

    /// Finds words with letters and digits that differ from run to run: the next time they may have no digit.
    fn learn_identifiers(&mut self, raw: &BTreeMap<String, Vec<BTreeSet<&str>>>) {
        for (folded, runs) in raw.iter().filter(|(_, runs)| runs.iter().all(|lines| !lines.is_empty())) {
            let vary: BTreeSet<&&str> =
                runs.iter().flatten().filter(|line| !self.constant.contains(**line)).collect();
            let Some(first) = vary.first() else { continue };
            let patterns = vary.iter().skip(1).map(|other| Pattern::of_two(first, other));
            for pattern in patterns.filter(Pattern::has_gap).take(IDENTIFIERS_LIMIT) {
                let varying = Varying::of(first, None, 0);
                self.varying.push(Varying { pattern, folded: Some(folded.clone()), ..varying });
            }
        }
    }

    /// Finds the pattern of each line of a run that other runs do not give.
    fn learn_lines(&mut self, run: usize, lines: &[String], runs: usize) {
        let mut place = None;
        let mut loose: Vec<Loose<'_>> = Vec::new();
        for line in lines {
            if self.constant.contains(line) {
                place = Some(line);
                continue;
            }
            let tokens = tokens(line);
            let known = self.varying.iter_mut().find(|varying| varying.pattern.matches(&tokens));
            match known {
                Some(varying) => varying.run = run,
                None if self.folded.get(&fold_digits(line)) == Some(&runs) => {}
                None => loose.push(Loose { line, tokens, place }),
            }
        }
        let mut taken = BTreeSet::new();
        for (index, varying) in self.pairs(run, &loose) {
            let (line, varying) = (loose[index].line, &mut self.varying[varying]);
            varying.pattern = varying.pattern.with(line);
            varying.run = run;
            varying.is_failure |= tells_failure(line);
            taken.insert(index);
        }
        let alone = loose.iter().enumerate().filter(|(index, _)| !taken.contains(index));
        self.varying.extend(alone.map(|(_, loose)| Varying::of(loose.line, loose.place, run)));
    }

    /// Returns which loose line of a run means the same as which lines of earlier runs: those that are most
    /// alike, then those that stand in the same order between the same constant lines.
    fn pairs(&self, run: usize, loose: &[Loose<'_>]) -> Vec<(usize, usize)> {
        let is_free = |varying: &Varying| varying.folded.is_none() && varying.run != run;
        let free: Vec<usize> = (0..self.varying.len()).filter(|at| is_free(&self.varying[*at])).collect();
        let is_here = |line: usize, varying: usize| self.varying[varying].place.as_ref() == loose[line].place;
        let only_here = loose.len().saturating_mul(free.len()) > PAIRS_LIMIT;
        let mut found: Vec<(u32, usize, usize)> = Vec::new();
        for (line, own) in loose.iter().enumerate() {
            for (order, varying) in free.iter().enumerate() {
                let is_here = is_here(line, *varying);
                if only_here && !is_here {
                    continue;
                }
                let likeness = self.varying[*varying].pattern.likeness(&own.tokens);
                if likeness >= ALIKE {
                    let score = likeness * 1000.0 + if is_here { 250.0 } else { 0.0 };
                    let apart = order.abs_diff(line).min(100);
                    found.push((score as u32 * 1000 - apart as u32, line, *varying));
                }
            }
        }
        found.sort_by_key(|(score, line, varying)| (Reverse(*score), *line, *varying));
        let (mut lines, mut taken) = (BTreeSet::new(), BTreeSet::new());
        let mut out = Vec::new();
        for (_, line, varying) in found {
            if !lines.contains(&line) && !taken.contains(&varying) {
                out.push((line, varying));
                lines.insert(line);
                taken.insert(varying);
            }
        }
        let mut places: BTreeMap<Option<&String>, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for line in (0..loose.len()).filter(|line| !lines.contains(line)) {
            places.entry(loose[line].place).or_default().0.push(line);
        }
        for varying in free.into_iter().filter(|varying| !taken.contains(varying)) {
            places.entry(self.varying[varying].place.as_ref()).or_default().1.push(varying);
        }
        let in_order = places.into_values().filter(|(lines, varying)| lines.len() == varying.len());
        out.extend(in_order.flat_map(|(lines, varying)| lines.into_iter().zip(varying)));
        out
    }

    /// Counts the lines of each pattern in each run, and drops patterns that are there twice.
    fn count(&mut self, whole: &[Text]) {
        let mut known = BTreeSet::new();
        self.varying.retain(|varying| known.insert((varying.pattern.clone(), varying.folded.clone())));
        for text in whole {
            let vary = text.0.iter().filter(|line| !self.constant.contains(*line));
            let vary: Vec<Vec<Token>> = vary.map(|line| tokens(line)).collect();
            for varying in &mut self.varying {
                let count = vary.iter().filter(|tokens| varying.pattern.matches(tokens)).count();
                varying.counts.push(count);
            }
        }
    }
}

#[cfg(test)]
mod tests;
