//! A table of contents of a Packages index: which stanza is about which package, and who provides what, so
//! that the few stanzas that a request touches are read alone out of 60 000.
//!
//! It is made for one architecture; stanzas for others but `all` are not in it. All stanzas are read and
//! checked while it is made, so whoever has a table of a text need not expect faults in it.
//!
//! Its bytes are ours alone, for a cache: little-endian words of 32 bits, first how many stanzas, names provided and
//! Essential packages there are, then these. They are checked for their bounds; that they belong to the
//! text is for the cache to know.

use crate::formats::{
    deb822::Fault,
    packages::{self, Package},
    relation, version,
};

/// A table of contents; stanzas are numbered in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    stanzas: Vec<Stanza>,
    /// Hash of the name, and stanza; sorted.
    by_name: Vec<(u32, u32)>,
    /// Sorted by the hash of the name, then by stanza.
    provided: Vec<Provided>,
    essential: Vec<u32>,
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
    fn of(piece: &str, text: &[u8]) -> Span {
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
    /// The first stanza that is not sound, with its line.
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
            if let Some(fault) = piece.fault {
                return Err(Fault { line: fault.line + lines_before, ..fault });
            }
            lines_before += piece.lines;
        }
        table.by_name.sort_unstable();
        table.provided.sort_unstable();
        Ok(table)
    }

    fn add(&mut self, found: Found<'_>, lines_before: usize, text: &[u8]) {
        let number = word(self.stanzas.len());
        let name = Span::of(found.name, text);
        self.by_name.push((hash(found.name), number));
        if found.essential {
            self.essential.push(number);
        }
        self.provided.extend(found.provides.into_iter().map(|(virtual_name, version)| Provided {
            hash: hash(virtual_name),
            stanza: number,
            name: Span::of(virtual_name, text),
            version: version.map_or(Span::NONE, |version| Span::of(version, text)),
        }));
        self.stanzas.push(Stanza {
            start: Span::of(found.stanza, text).start,
            length: word(found.stanza.len()),
            name,
            line: word(found.line + lines_before),
        });
    }

    /// Returns how many stanzas there are.
    pub fn len(&self) -> usize {
        self.stanzas.len()
    }

    /// Tells whether there is no stanza.
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
        // It was read when the table was made.
        let _ = packages::read(Span { start, length }.slice(text), |package, _| out = package);
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

    /// Returns the stanzas of packages marked `Essential: yes`, in their order.
    pub fn essential(&self) -> &[u32] {
        &self.essential
    }

    /// Returns the bytes to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = [self.stanzas.len(), self.provided.len(), self.essential.len()];
        let names = self.by_name.iter().flat_map(|(hash, stanza)| [*hash, *stanza]);
        let stanzas =
            self.stanzas.iter().flat_map(|s| [s.start, s.length, s.name.start, s.name.length, s.line]);
        let provided = self
            .provided
            .iter()
            .flat_map(|p| [p.hash, p.stanza, p.name.start, p.name.length, p.version.start, p.version.length]);
        let words = counts.map(word).into_iter().chain(names).chain(stanzas).chain(provided);
        words.chain(self.essential.iter().copied()).flat_map(u32::to_le_bytes).collect()
    }

    /// Reads what [`Table::to_bytes`] returned for a text; `None` if that cannot be.
    pub fn from_bytes(bytes: &[u8], text: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<4>() else { return None };
        let ([stanzas, provided, essential], mut words) = take(words)?;
        let mut table = Table::default();
        for _ in 0..stanzas {
            let (found, rest) = take(words)?;
            table.by_name.push(found.into());
            words = rest;
        }
        for _ in 0..stanzas {
            let ([start, length, name, name_length, line], rest) = take(words)?;
            table.stanzas.push(Stanza {
                start,
                length,
                name: Span { start: name, length: name_length },
                line,
            });
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
            && table.stanzas.iter().all(within))
        .then_some(table)
    }
}

/// Takes words off a list.
fn take<const N: usize>(words: &[[u8; 4]]) -> Option<([u32; N], &[[u8; 4]])> {
    let (first, rest) = words.split_first_chunk::<N>()?;
    Some((first.map(u32::from_le_bytes), rest))
}

/// FNV-1a: the same everywhere and always, as what is kept must be. Names that share a hash cost a comparison.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// In how many pieces a long text is read, side by side; it never shows in the result.
const PIECES: usize = 4;
/// Shorter ones are read by one thread.
const WORTH_A_THREAD_BYTES: usize = 1 << 20;

/// What the table says of one stanza.
struct Found<'a> {
    stanza: &'a str,
    name: &'a str,
    line: usize,
    essential: bool,
    provides: Vec<(&'a str, Option<&'a str>)>,
}

/// What a piece of a text holds.
struct Piece<'a> {
    found: Vec<Found<'a>>,
    /// What is wrong with the stanza that follows these.
    fault: Option<Fault>,
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
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            pieces.iter().map(|piece| scope.spawn(|| read_piece(piece, architecture))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic in a thread")).collect()
    })
}

fn read_piece<'a>(text: &'a [u8], architecture: &str) -> Piece<'a> {
    let (sound, not_text) = match std::str::from_utf8(text) {
        Ok(text) => (text, None),
        Err(error) => {
            let (good, _) = text.split_at(error.valid_up_to());
            let line = memchr::memchr_iter(b'\n', good).count() + 1;
            ("", Some(Fault::new(line, "is not UTF-8")))
        }
    };
    let mut found = Vec::with_capacity(text.len() / 400);
    let mut unsound = None;
    let read = packages::read(sound, |package, stanza| {
        if unsound.is_none() && (package.architecture == architecture || package.architecture == "all") {
            match provides(&package, architecture) {
                Ok(provides) => found.push(Found {
                    stanza,
                    name: package.name,
                    line: package.line,
                    essential: package.essential,
                    provides,
                }),
                Err(fault) => unsound = Some(fault),
            }
        }
    });
    let lines = memchr::memchr_iter(b'\n', text).count();
    Piece { found, fault: not_text.or(unsound).or(read.err()), lines }
}

/// Returns what a package provides, and in which versions.
fn provides<'a>(package: &Package<'a>, architecture: &str) -> Result<Vec<(&'a str, Option<&'a str>)>, Fault> {
    if package.provides.is_empty() {
        return Ok(Vec::new());
    }
    let groups = relation::parse(package.provides, architecture)
        .map_err(|invalid| Fault::new(package.line, format!("{}: Provides: {invalid}", package.name)))?;
    let relations = groups.iter().flat_map(|group| &group.alternatives);
    let version = |relation: &relation::Relation<'a>| match relation.versions {
        Some((version::Operator::Equal, version)) => Some(version),
        _ => None,
    };
    Ok(relations.map(|relation| (relation.name, version(relation))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let stanza = |name: &str, rest: &str| format!("Package: {name}\nVersion: 1\n{rest}\n\n");
        [
            stanza("a", "Architecture: amd64\nProvides: virtual (= 2), other\nEssential: yes"),
            stanza("b", "Architecture: arm64"),
            stanza("c", "Architecture: all\nProvides: virtual\nDepends: a,\n b"),
            stanza("a", "Architecture: amd64\nSize: 7"),
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
        assert_eq!((c.name, c.depends, c.line), ("c", "a,\n b", 11));
        assert_eq!((last.name, last.size, last.line, kept.name(2, text)), ("a", "7", 18, "a"));
    }

    #[test]
    fn faults_name_their_line() {
        let unsound = text().replace("Provides: virtual\n", "Provides: virtual (>\n");
        let fault = Table::make(unsound.as_bytes(), "amd64").expect_err("is unsound").to_string();
        assert!(fault.starts_with("line 11: c: Provides: "), "{fault}");
        // In a later piece lines go on counting.
        let many = text().repeat(20_000);
        assert!(many.len() > WORTH_A_THREAD_BYTES);
        assert_eq!(Table::make(many.as_bytes(), "amd64").expect("sound").len(), 60_000);
        let broken = format!("{many}Package: x\n");
        let line = many.lines().count() + 1;
        let fault = Table::make(broken.as_bytes(), "amd64").expect_err("has no version").to_string();
        assert!(fault.starts_with(&format!("line {line}: Version")), "{fault}");
        let fault = Table::make(&[broken.as_bytes(), &[0xff]].concat(), "amd64").expect_err("is no text");
        assert_eq!(fault.to_string(), format!("line {}: is not UTF-8", line + 1));
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
