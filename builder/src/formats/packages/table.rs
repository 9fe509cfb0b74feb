//! A table of contents of a Packages index: which stanza is about which package, and the providers of each
//! name, so that the few stanzas that a request touches are read alone out of 60 000.
//!
//! It is made for one architecture; stanzas for others but `all` are not in it. All stanzas are read and
//! checked while it is made; those that cannot be used are noted apart, and all others are sound.
//!
//! Its bytes are ours alone, for a cache: little-endian words of 32 bits, first how many stanzas, stanzas
//! left out, names provided and Essential packages there are, then these. They are checked for their bounds;
//! that they belong to the text is for the cache to know.

use crate::formats::{
    deb822::Fault,
    packages::{
        self, LeftOut, Package,
        left_out::{Provided as Provides, stanzas, usable},
    },
};
use crate::threads;

/// A table of contents; stanzas are numbered in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    stanzas: Vec<Stanza>,
    /// Hash of the name, and stanza; sorted.
    by_name: Vec<(u32, u32)>,
    /// Sorted by the hash of the name, then by stanza.
    provided: Vec<Provided>,
    essential: Vec<u32>,
    /// Stanzas that cannot be used, in the order of the text.
    left_out: Vec<Stanza>,
}

/// Where a stanza and the name in it are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stanza {
    start: u32,
    length: u32,
    name: Span,
    line: u32,
}

/// A virtual name that a stanza provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Provided {
    hash: u32,
    stanza: u32,
    name: Span,
    /// Of length 0: none is said.
    version: Span,
}

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    start: u32,
    length: u32,
}

impl Span {
    const NONE: Span = Span { start: 0, length: 0 };

    /// Returns where a piece of a text stands in it.
    fn of(piece: &[u8], text: &[u8]) -> Span {
        let start = piece.as_ptr().addr() - text.as_ptr().addr();
        Span { start: word(start), length: word(piece.len()) }
    }

    fn slice<'a>(&self, text: &'a [u8]) -> &'a str {
        let start = self.start as usize;
        let bytes = text.get(start..start + self.length as usize);
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// The longest text that a table can be made of.
const MAX_TEXT_BYTES: usize = u32::MAX as usize;

fn word(number: usize) -> u32 {
    u32::try_from(number).expect("the text's length was checked")
}

impl Table {
    /// Reads a whole text.
    ///
    /// # Errors
    /// A text that is too long.
    pub fn make(text: &[u8], architecture: &str) -> Result<Self, Fault> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Fault::new(1, "the index is longer than 4 GiB"));
        }
        let mut table = Table::default();
        let mut lines_before = 0;
        for piece in read_pieces(text, architecture) {
            for found in piece.found {
                table.add(found, lines_before, text);
            }
            for (stanza, line) in piece.left_out {
                let Span { start, length } = Span::of(stanza, text);
                table.left_out.push(Stanza {
                    start,
                    length,
                    name: Span::NONE,
                    line: word(line + lines_before),
                });
            }
            lines_before += piece.lines;
        }
        table.by_name.sort_unstable();
        table.provided.sort_unstable();
        Ok(table)
    }

    fn add(&mut self, found: Found<'_>, lines_before: usize, text: &[u8]) {
        let number = word(self.stanzas.len());
        let name = Span::of(found.name.as_bytes(), text);
        self.by_name.push((hash(found.name), number));
        if found.essential {
            self.essential.push(number);
        }
        self.provided.extend(found.provides.into_iter().map(|(virtual_name, version)| Provided {
            hash: hash(virtual_name),
            stanza: number,
            name: Span::of(virtual_name.as_bytes(), text),
            version: version.map_or(Span::NONE, |version| Span::of(version.as_bytes(), text)),
        }));
        self.stanzas.push(Stanza {
            start: Span::of(found.stanza.as_bytes(), text).start,
            length: word(found.stanza.len()),
            name,
            line: word(found.line + lines_before),
        });
    }

    /// Returns how many stanzas there are.
    pub fn len(&self) -> usize {
        self.stanzas.len()
    }

    /// Returns whether there is no stanza.
    pub fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }

    /// Returns the package that a stanza is about.
    pub fn name<'a>(&self, stanza: u32, text: &'a [u8]) -> &'a str {
        self.stanzas[stanza as usize].name.slice(text)
    }

    /// Reads a stanza.
    pub fn package<'a>(&self, stanza: u32, text: &'a [u8]) -> Package<'a> {
        let Stanza { start, length, line, .. } = self.stanzas[stanza as usize];
        let mut out = Package::default();
        // It was found good when the table was made.
        packages::read(Span { start, length }.slice(text), |package, _, _| out = package);
        out.line = line as usize;
        out
    }

    /// Returns the stanzas about a package, in their order.
    pub fn about<'t>(&'t self, name: &'t str, text: &'t [u8]) -> impl Iterator<Item = u32> + 't {
        let hash = hash(name);
        let from = self.by_name.partition_point(|(other, _)| *other < hash);
        let same = self.by_name[from..].iter().take_while(move |(other, _)| *other == hash);
        same.map(|(_, stanza)| *stanza).filter(move |stanza| self.name(*stanza, text) == name)
    }

    /// Returns the stanzas that provide a name, in their order, each with the version that it says.
    pub fn providing<'t, 'a: 't>(
        &'t self,
        name: &'t str,
        text: &'a [u8],
    ) -> impl Iterator<Item = (u32, Option<&'a str>)> + 't {
        let hash = hash(name);
        let from = self.provided.partition_point(|other| other.hash < hash);
        let same = self.provided[from..].iter().take_while(move |other| other.hash == hash);
        same.filter(move |one| one.name.slice(text) == name).map(move |one| {
            let version = Some(one.version.slice(text)).filter(|version| !version.is_empty());
            (one.stanza, version)
        })
    }

    /// Returns how many stanzas for the architecture cannot be used.
    pub fn count_left_out(&self) -> usize {
        self.left_out.len()
    }

    /// Returns the stanzas that cannot be used, in their order, with the reason of each; for the architecture
    /// that the table was made for.
    pub fn left_out<'t>(
        &'t self,
        text: &'t [u8],
        architecture: &'t str,
    ) -> impl Iterator<Item = LeftOut> + 't {
        let bytes = |stanza: &Stanza| {
            let start = stanza.start as usize;
            text.get(start..start + stanza.length as usize).unwrap_or_default()
        };
        self.left_out.iter().map(move |stanza| LeftOut::of(bytes(stanza), architecture))
    }

    /// Returns the stanzas of packages marked `Essential: yes`, in their order.
    pub fn essential(&self) -> &[u32] {
        &self.essential
    }

    /// Returns the bytes to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = [self.stanzas.len(), self.left_out.len(), self.provided.len(), self.essential.len()];
        let names = self.by_name.iter().flat_map(|(hash, stanza)| [*hash, *stanza]);
        let all = self.stanzas.iter().chain(&self.left_out);
        let stanzas = all.flat_map(|s| [s.start, s.length, s.name.start, s.name.length, s.line]);
        let provided = self
            .provided
            .iter()
            .flat_map(|p| [p.hash, p.stanza, p.name.start, p.name.length, p.version.start, p.version.length]);
        let words = counts.map(word).into_iter().chain(names).chain(stanzas).chain(provided);
        words.chain(self.essential.iter().copied()).flat_map(u32::to_le_bytes).collect()
    }

    /// Reads the result of [`Table::to_bytes`] for a text; `None` if that cannot be.
    pub fn from_bytes(bytes: &[u8], text: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<4>() else { return None };
        let ([stanzas, left_out, provided, essential], mut words) = take(words)?;
        let mut table = Table::default();
        for _ in 0..stanzas {
            let (found, rest) = take(words)?;
            table.by_name.push(found.into());
            words = rest;
        }
        for number in 0..u64::from(stanzas) + u64::from(left_out) {
            let ([start, length, name, name_length, line], rest) = take(words)?;
            let name = Span { start: name, length: name_length };
            let list = if number < u64::from(stanzas) { &mut table.stanzas } else { &mut table.left_out };
            list.push(Stanza { start, length, name, line });
            words = rest;
        }
        for _ in 0..provided {
            let ([hash, stanza, name, name_length, version, version_length], rest) = take(words)?;
            table.provided.push(Provided {
                hash,
                stanza,
                name: Span { start: name, length: name_length },
                version: Span { start: version, length: version_length },
            });
            words = rest;
        }
        table.essential = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let numbers = table.by_name.iter().map(|(_, stanza)| stanza);
        let mut numbers = numbers.chain(&table.essential).chain(table.provided.iter().map(|one| &one.stanza));
        let within =
            |stanza: &Stanza| u64::from(stanza.start) + u64::from(stanza.length) <= text.len() as u64;
        (table.essential.len() == essential as usize
            && numbers.all(|stanza| *stanza < stanzas)
            && table.stanzas.iter().chain(&table.left_out).all(within))
        .then_some(table)
    }
}

/// Takes words off a list.
fn take<const N: usize>(words: &[[u8; 4]]) -> Option<([u32; N], &[[u8; 4]])> {
    let (first, rest) = words.split_first_chunk::<N>()?;
    Some((first.map(u32::from_le_bytes), rest))
}

/// FNV-1a: the same everywhere and always, as stored values must be. Names that share a hash cost a
/// comparison.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// In how many pieces a long text is read, side by side; it never shows in the result.
const PIECES: usize = 4;
/// Shorter ones are read by one thread.
const WORTH_A_THREAD_BYTES: usize = 1 << 20;

/// The table's entry of one stanza.
struct Found<'a> {
    stanza: &'a str,
    name: &'a str,
    line: usize,
    essential: bool,
    provides: Provides<'a>,
}

/// The contents of a piece of a text.
struct Piece<'a> {
    found: Vec<Found<'a>>,
    /// Stanzas that cannot be used, each with its line.
    left_out: Vec<(&'a [u8], usize)>,
    /// How many lines the piece has.
    lines: usize,
}

/// Reads a text in pieces that begin where stanzas do.
fn read_pieces<'a>(text: &'a [u8], architecture: &str) -> Vec<Piece<'a>> {
    let mut pieces: Vec<&[u8]> = Vec::new();
    let mut rest = text;
    for left in (2..=PIECES).rev().filter(|_| text.len() > WORTH_A_THREAD_BYTES) {
        let from = rest.len() / left;
        let Some(blank) = memchr::memmem::find(&rest[from..], b"\n\n") else { break };
        let (piece, after) = rest.split_at(from + blank + 2);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    if let [only] = pieces[..] {
        return vec![read_piece(only, architecture)];
    }
    threads::map(pieces.len(), &pieces, |piece| read_piece(piece, architecture))
}

fn read_piece<'a>(text: &'a [u8], architecture: &str) -> Piece<'a> {
    let found = Vec::with_capacity(text.len() / 400);
    let lines = memchr::memchr_iter(b'\n', text).count();
    let mut piece = Piece { found, left_out: Vec::new(), lines };
    if let Ok(text) = std::str::from_utf8(text) {
        piece.read(text, 0, architecture);
        return piece;
    }
    for (lines_before, stanza) in stanzas(text) {
        match std::str::from_utf8(stanza) {
            Ok(text) => piece.read(text, lines_before, architecture),
            Err(_) => {
                let mut ours = true;
                packages::read(&String::from_utf8_lossy(stanza), |package, _, _| {
                    ours = is_ours(package.architecture, architecture);
                });
                if ours {
                    piece.left_out.push((stanza, lines_before + 1));
                }
            }
        }
    }
    piece
}

/// Returns whether a stanza counts for an architecture; one that says none has its fault there.
fn is_ours(of_stanza: &str, architecture: &str) -> bool {
    of_stanza == architecture || of_stanza == "all" || of_stanza.is_empty()
}

impl<'a> Piece<'a> {
    fn read(&mut self, text: &'a str, lines_before: usize, architecture: &str) {
        packages::read(text, |package, fault, stanza| {
            if !is_ours(package.architecture, architecture) {
                return;
            }
            let line = package.line + lines_before;
            match fault.map_or_else(|| usable(&package, architecture), Err) {
                Ok(provides) => self.found.push(Found {
                    stanza,
                    name: package.name,
                    line,
                    essential: package.essential,
                    provides,
                }),
                Err(_) => self.left_out.push((stanza.as_bytes(), line)),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let digest = "0".repeat(64);
        let stanza = |name: &str, rest: &str| {
            format!(
                "Package: {name}\nVersion: 1\nFilename: {name}.deb\nSHA256: {digest}\nSize: 7\n{rest}\n\n"
            )
        };
        [
            stanza("a", "Architecture: amd64\nProvides: virtual (= 2), other\nEssential: yes"),
            stanza("b", "Architecture: arm64"),
            stanza("c", "Architecture: all\nProvides: virtual\nDepends: a,\n b"),
            stanza("a", "Architecture: amd64\nSection: x"),
        ]
        .concat()
    }

    #[test]
    fn finds_what_the_text_says() {
        let text = text();
        let text = text.as_bytes();
        let made = Table::make(text, "amd64").expect("sound");
        let kept = Table::from_bytes(&made.to_bytes(), text).expect("its own bytes");
        assert_eq!(kept, made);
        assert_eq!((kept.len(), kept.is_empty()), (3, false));
        let about = |name| kept.about(name, text).collect::<Vec<_>>();
        assert_eq!((about("a"), about("c"), about("b")), (vec![0, 2], vec![1], vec![]));
        let providing = |name| kept.providing(name, text).collect::<Vec<_>>();
        assert_eq!(providing("virtual"), [(0, Some("2")), (1, None)]);
        assert_eq!((providing("other"), providing("a")), (vec![(0, None)], vec![]));
        assert_eq!(kept.essential(), [0]);
        let (c, last) = (kept.package(1, text), kept.package(2, text));
        assert_eq!((c.name, c.depends, c.line), ("c", "a,\n b", 17));
        assert_eq!((last.name, last.section, last.line, kept.name(2, text)), ("a", "x", 27, "a"));
    }

    /// Returns how many stanzas there are, and those left out.
    fn made(text: &[u8]) -> (usize, Vec<String>) {
        let made = Table::make(text, "amd64").expect("is short");
        let kept = Table::from_bytes(&made.to_bytes(), text).expect("its own bytes");
        assert_eq!((&kept, kept.count_left_out()), (&made, made.left_out(text, "amd64").count()));
        (kept.len(), kept.left_out(text, "amd64").map(|left| left.to_string()).collect())
    }

    #[test]
    fn a_stanza_that_cannot_be_used_is_left_out_alone() {
        let good = text();
        let rows = [
            (
                "Version: 1",
                "Version: testing",
                "a testing is left out: its Version `testing` is not a version: it does not begin with a digit",
            ),
            ("Version: 1", "Version: 1\nVersion: 2", "a 1 is left out: its Version comes twice"),
            ("Package: a\n", "", "a stanza without a name is left out: it has no Package"),
            ("Architecture: amd64\n", "", "a 1 is left out: it has no Architecture"),
            ("Filename: a.deb\n", "", "a 1 is left out: it has no Filename"),
            ("a.deb", "../a.deb", "a 1 is left out: its Filename `../a.deb` leaves its place"),
            ("Size: 7", "Size: big", "a 1 is left out: its Size is not a number"),
            ("SHA256", "MD5sum", "a 1 is left out: it has neither SHA256 nor SHA512"),
            (
                "other\n",
                "other (>\n",
                "a 1 is left out: `other (>` in its Provides is not a relation between packages",
            ),
            (
                "Size: 7",
                "Size: 7\nDepends: ${x}",
                "a 1 is left out: `${x}` in its Depends is not a relation between packages",
            ),
            ("Size: 7", "Size: 7\n<html>", "a 1 is left out: a line of it is not a field: it has no colon"),
        ];
        for (from, to, expected) in rows {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good, "{from}");
            assert_eq!(made(text.as_bytes()), (2, vec![expected.to_owned()]));
            // The bad one may be last, too.
            let text = format!("{}{text}", good.replace("Package: a", "Package: x"));
            assert_eq!(made(text.as_bytes()), (5, vec![expected.to_owned()]));
        }
        // A stanza for another architecture is ignored, whatever is in it.
        let other = good.replace("arm64", "arm64\nVersion: testing");
        assert_eq!(made(other.as_bytes()), (3, Vec::new()));
    }

    #[test]
    fn a_stanza_of_other_bytes_is_left_out_alone() {
        let text = text().replace("Package: c\n", "Package: c\nSource: caf?\n");
        let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect();
        let left_out = vec!["c 1 is left out: it is not UTF-8".to_owned()];
        assert_eq!(made(&bytes), (2, left_out.clone()));
        let windows: Vec<u8> = bytes
            .iter()
            .flat_map(|b| if *b == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(b) })
            .copied()
            .collect();
        assert_eq!(made(&windows), (2, left_out));
        let table = Table::make(&windows, "amd64").expect("is short");
        assert_eq!(table.about("a", &windows).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(table.package(1, &windows).line, 28);
    }

    #[test]
    fn lines_are_counted_through_all_pieces() {
        let many = text().repeat(8_000);
        assert!(many.len() > WORTH_A_THREAD_BYTES);
        let table = Table::make(many.as_bytes(), "amd64").expect("is short");
        assert_eq!((table.len(), table.count_left_out()), (24_000, 0));
        let line = many[..many.rfind("Package: ").expect("is there")].lines().count() + 1;
        assert_eq!(table.package(23_999, many.as_bytes()).line, line);
        let broken = format!("{many}Package: x\nArchitecture: all\n");
        assert_eq!(made(broken.as_bytes()), (24_000, vec!["x is left out: it has no Version".to_owned()]));
    }

    #[test]
    fn what_cannot_be_a_table_is_none() {
        let text = text();
        let bytes = Table::make(text.as_bytes(), "amd64").expect("sound").to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(Table::from_bytes(&bytes[..length], text.as_bytes()), None, "{length}");
        }
        assert_eq!(Table::from_bytes(&[&bytes[..], &[0; 4]].concat(), text.as_bytes()), None);
        assert_eq!(Table::from_bytes(&bytes, &text.as_bytes()[..100]), None);
        // Whatever a byte says, nothing panics.
        for (at, value) in (0..bytes.len()).flat_map(|at| [(at, 0xff), (at, 1), (at, 0)]) {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            let Some(table) = Table::from_bytes(&damaged, text.as_bytes()) else { continue };
            for stanza in 0..3 {
                let _ = (table.name(stanza, text.as_bytes()), table.package(stanza, text.as_bytes()));
            }
            let _ = table.providing("virtual", text.as_bytes()).count();
            let _ = table.about("a", text.as_bytes()).count();
        }
    }
}
