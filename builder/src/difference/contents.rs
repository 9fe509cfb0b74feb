//! Two contents, and where they first differ: from the outside in.

use std::io;

use super::{
    elf, members,
    place::{Part, Place, first_difference},
};
use crate::store::Blob;

/// Larger contents are compared byte by byte only.
const MOST_BYTES: u64 = 128 << 20;

/// An archive in an archive, and so on, is opened so often.
const DEEPEST: usize = 8;

/// How many lines are shown, and how many letters of each.
const LINES: usize = 5;
const LETTERS: usize = 200;

/// How many bytes are shown.
const BYTES: usize = 16;

/// Where two contents first differ.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Contents {
    /// The first byte of the file that differs.
    pub offset: u64,
    /// The parts that hold the difference, outermost first.
    pub places: Vec<Place>,
    /// What is there.
    #[serde(flatten)]
    pub shown: Shown,
}

/// The first difference itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Of texts: the lines.
    Lines {
        /// The number of the first differing line, from 1.
        line: usize,
        /// The lines of the first from there on that the second has not, few of them.
        first: Vec<String>,
        /// The lines of the second.
        second: Vec<String>,
    },
    /// Of anything else: the bytes, in hex.
    Bytes {
        /// Of the first.
        first: String,
        /// Of the second.
        second: String,
    },
    /// What is around them: a clause.
    Said(String),
}

/// Compares contents of a store; `None` if they are the same.
///
/// # Errors
/// Contents that cannot be read.
pub(super) fn of_blobs(first: &Blob, second: &Blob) -> io::Result<Option<Contents>> {
    if first.size_bytes().max(second.size_bytes()) <= MOST_BYTES {
        return Ok(of_bytes(&first.read()?, &second.read()?));
    }
    let (mut one, mut two) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    let mut at = 0;
    loop {
        let (a, b) = (first.read_at(&mut one, at)?, second.read_at(&mut two, at)?);
        if let Some(offset) = first_difference(&one[..a], &two[..b]) {
            let shown = bytes(&one[..a], &two[..b], offset);
            return Ok(Some(Contents { offset: at + offset as u64, places: Vec::new(), shown }));
        }
        if a == 0 {
            return Ok(None);
        }
        at += a as u64;
    }
}

/// Compares contents; `None` if they are the same.
pub fn of_bytes(first: &[u8], second: &[u8]) -> Option<Contents> {
    let offset = first_difference(first, second)? as u64;
    let mut places = Vec::new();
    let shown = look(first, second, &mut places, 0);
    Some(Contents { offset, places, shown })
}

/// Goes down to the difference of two contents that are not the same.
fn look(first: &[u8], second: &[u8], places: &mut Vec<Place>, depth: usize) -> Shown {
    if depth < DEEPEST {
        match members::difference(first, second).or_else(|| elf::difference(first, second)) {
            Some(Part::Contents(place, one, two)) => {
                places.push(place);
                return look(&one, &two, places, depth + 1);
            }
            Some(Part::Slices(place, one, two)) => {
                places.push(place);
                return shown(one, two);
            }
            Some(Part::Said(further, text)) => {
                places.extend(further);
                return Shown::Said(text);
            }
            None => {}
        }
    }
    shown(first, second)
}

/// Shows contents that have no parts.
fn shown(first: &[u8], second: &[u8]) -> Shown {
    match (text(first), text(second)) {
        (Some(one), Some(two)) => lines(one, two),
        _ => bytes(first, second, first_difference(first, second).unwrap_or_default()),
    }
}

/// Returns contents as text, if they are.
fn text(bytes: &[u8]) -> Option<&str> {
    let is_of_text = |byte: &u8| *byte >= b' ' || matches!(byte, b'\n' | b'\t' | b'\r' | 0x0c | 0x1b);
    std::str::from_utf8(bytes).ok().filter(|_| bytes.iter().all(is_of_text))
}

fn lines(first: &str, second: &str) -> Shown {
    // With the ends of lines, so that a last line without one differs.
    let (one, two): (Vec<&str>, Vec<&str>) =
        (first.split_inclusive('\n').collect(), second.split_inclusive('\n').collect());
    let same = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
    let (one, two) = (&one[same..], &two[same..]);
    let same_end = one.iter().rev().zip(two.iter().rev()).take_while(|(a, b)| a == b).count();
    let (one, two) = (&one[..one.len() - same_end], &two[..two.len() - same_end]);
    // A line that is the same again ends the first difference, and others follow.
    let again = one.iter().zip(two).position(|(a, b)| a == b).unwrap_or(LINES).min(LINES);
    let clipped = |lines: &[&str]| lines.iter().take(again).map(|line| clip(line)).collect::<Vec<_>>();
    Shown::Lines { line: same + 1, first: clipped(one), second: clipped(two) }
}

fn clip(line: &str) -> String {
    let (line, end) = match line.strip_suffix('\n') {
        Some(line) => (line, ""),
        None => (line, " (without an end of line)"),
    };
    match line.char_indices().nth(LETTERS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => format!("{line}{end}"),
    }
}

fn bytes(first: &[u8], second: &[u8], offset: usize) -> Shown {
    let hex = |bytes: &[u8]| {
        let here = bytes.get(offset..).unwrap_or_default();
        let texts = here.iter().take(BYTES).map(|byte| format!("{byte:02x}"));
        match here.is_empty() {
            true => "(end)".to_owned(),
            false => texts.collect::<Vec<_>>().join(" "),
        }
    };
    Shown::Bytes { first: hex(first), second: hex(second) }
}
