//! The names by which files of a root may look up symbols of each other.
//!
//! A grain's root is read-only and nothing is added to it, so every user of a symbol is in it: another ELF
//! file that has the name among its own symbols, to be bound at start, or a program that passes a name to
//! `dlsym(3)`. Such a name stands as a word in some file. Or it is put together: lighttpd adds `_plugin_init`
//! to the name of a module. So a name also stays that begins or ends with a piece, a word with `_` at its own
//! end or start, of a file that calls `dlsym`; and names that scripts put together begin in known ways
//! ([`BY_SCRIPTS`]).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::ReduceError;
use crate::{
    digest::Digest,
    formats::elf::image::{Image, Symbol},
    store::Store,
    tree::Tree,
};

/// How names begin that languages make of the name of a module, in code that may itself be a script.
const BY_SCRIPTS: [&[u8]; 7] =
    [b"Init_", b"JNI_", b"Java_", b"PyInit_", b"boot_", b"luaopen_", b"napi_register_"];

/// Functions that find a symbol by a name that is made while the program runs: the C library's, and wrappers
/// of libraries.
const FINDERS: [&[u8]; 6] =
    [b"apr_dso_sym", b"dlsym", b"dlvsym", b"g_module_symbol", b"lt_dlsym", b"uv_dlsym"];

/// Shorter words with `_` at an end are chance.
const LEAST_PIECE_BYTES: usize = 4;

/// Who has a name among its symbols.
enum Holder {
    One(Digest),
    Several,
}

/// A root's ELF files and the names in them.
pub(super) struct Names {
    /// The ELF files with something for the loader, by their contents.
    pub images: BTreeMap<Digest, Image>,
    holders: HashMap<Vec<u8>, Holder>,
    /// Names that another file than their only holder may look up by a word.
    words: HashSet<Vec<u8>>,
    /// The possible beginnings and ends of such a name.
    pieces: HashSet<Vec<u8>>,
    needed: HashMap<Vec<u8>, Holder>,
    imported: HashSet<Vec<u8>>,
}

impl Names {
    /// Reads all files of a root.
    pub fn of(tree: &Tree, store: &Store) -> Result<Self, ReduceError> {
        let mut out = Names {
            images: BTreeMap::new(),
            holders: HashMap::new(),
            words: HashSet::new(),
            pieces: HashSet::new(),
            needed: HashMap::new(),
            imported: HashSet::new(),
        };
        let mut seen = HashSet::new();
        let mut contents = Vec::new();
        for (path, entry) in tree.iter() {
            let Some((digest, _)) = entry.kind.content().filter(|(digest, _)| seen.insert(*digest)) else {
                continue;
            };
            let bytes = store.read(&digest);
            let bytes = bytes.map_err(|source| ReduceError::Contents { path: path.clone(), source })?;
            let image = Image::read(&bytes);
            let image = image.map_err(|source| ReduceError::Names { path: path.clone(), source })?;
            contents.push((path, digest));
            if let Some(image) = image {
                out.add(digest, &image, &bytes);
                out.images.insert(digest, image);
            }
        }
        // A name of which there are several holders stays anyhow.
        let single = |holder: &Holder| matches!(holder, Holder::One(_));
        let wanted: HashSet<&[u8]> =
            out.holders.iter().filter(|(_, holder)| single(holder)).map(|(name, _)| &name[..]).collect();
        let sieve = Sieve::of(&wanted);
        let (mut words, mut pieces) = (HashSet::new(), HashSet::new());
        for (path, digest) in contents {
            let bytes = store.read(&digest);
            let bytes = bytes.map_err(|source| ReduceError::Contents { path: path.clone(), source })?;
            let image = out.images.get(&digest);
            let names = image.map_or(0..0, Image::strings);
            for part in [&bytes[..names.start], &bytes[names.end..]] {
                sieve.words(part, |word| {
                    if wanted.contains(word) && !words.contains(word) {
                        words.insert(word.to_vec());
                    }
                });
                if image.is_some_and(|image| finds(image, &bytes)) {
                    pieces.extend(pieces_of(part).map(<[u8]>::to_vec));
                }
            }
        }
        (out.words, out.pieces) = (words, pieces);
        Ok(out)
    }

    fn add(&mut self, digest: Digest, image: &Image, bytes: &[u8]) {
        for symbol in &image.symbols {
            let name = image.name(bytes, symbol);
            hold(&mut self.holders, name, digest);
            if !symbol.defined && !self.imported.contains(name) {
                self.imported.insert(name.to_vec());
            }
        }
        image.needed(bytes).for_each(|name| hold(&mut self.needed, name, digest));
    }

    /// Returns true if the loader brings a file in for others, or starts it: not only by `dlopen(3)`.
    pub fn is_linked(&self, digest: &Digest, bytes: &[u8]) -> bool {
        let image = &self.images[digest];
        image.is_program()
            || image.soname(bytes).is_some_and(|name| is_of_another(&self.needed, name, digest))
    }

    /// Returns true if another file than the symbol's own may use it, or that file itself by a word.
    pub fn may_be_asked(&self, digest: &Digest, name: &[u8]) -> bool {
        is_of_another(&self.holders, name, digest)
            || self.words.contains(name)
            || BY_SCRIPTS.iter().any(|start| name.starts_with(start))
            || self.is_of_pieces(name)
    }

    /// Returns true if a file has a symbol's name as a word, or pieces of it: it may look it up while it
    /// runs.
    pub fn may_be_looked_up(&self, name: &[u8]) -> bool {
        self.words.contains(name) || self.is_of_pieces(name)
    }

    fn is_of_pieces(&self, name: &[u8]) -> bool {
        let mut ends = name.iter().enumerate().filter(|(_, byte)| **byte == b'_').map(|(at, _)| at);
        ends.any(|at| self.pieces.contains(&name[at..]) || self.pieces.contains(&name[..=at]))
    }

    /// Returns true if some file has a symbol of this name that it expects of others.
    pub fn is_imported(&self, name: &[u8]) -> bool {
        self.imported.contains(name)
    }

    /// Returns which of a file's symbols have to stay though only other files use them.
    pub fn asked(&self, digest: &Digest, bytes: &[u8], also: impl Fn(usize, &Symbol) -> bool) -> Vec<bool> {
        let image = &self.images[digest];
        let asked = |symbol: &Symbol| self.may_be_asked(digest, image.name(bytes, symbol));
        image.symbols.iter().enumerate().map(|(i, symbol)| also(i, symbol) || asked(symbol)).collect()
    }
}

/// Returns true if a file looks symbols up by itself.
fn finds(image: &Image, bytes: &[u8]) -> bool {
    image.symbols.iter().any(|symbol| !symbol.defined && FINDERS.contains(&image.name(bytes, symbol)))
}

/// Returns the words that are pieces of names. The placeholder of a format is not part of a name.
fn pieces_of(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = bytes.split(|byte| !is_of_word(*byte)).filter(|word| word.len() >= LEAST_PIECE_BYTES);
    words.filter_map(|word| {
        let word = word.strip_prefix(b"s_").map_or(word, |_| &word[1..]);
        (word.len() >= LEAST_PIECE_BYTES && (word.starts_with(b"_") || word.ends_with(b"_"))).then_some(word)
    })
}

fn hold(holders: &mut HashMap<Vec<u8>, Holder>, name: &[u8], digest: Digest) {
    match holders.get_mut(name) {
        None => {
            holders.insert(name.to_vec(), Holder::One(digest));
        }
        Some(holder) => match holder {
            Holder::One(first) if *first == digest => {}
            _ => *holder = Holder::Several,
        },
    }
}

fn is_of_another(holders: &HashMap<Vec<u8>, Holder>, name: &[u8], digest: &Digest) -> bool {
    match holders.get(name) {
        None => false,
        Some(Holder::Several) => true,
        Some(Holder::One(holder)) => holder != digest,
    }
}

/// Skips most words that are not looked for, so that a root is searched in a second.
struct Sieve {
    bits: Vec<u64>,
    longest: usize,
}

const SIEVE_BITS: usize = 1 << 20;

impl Sieve {
    fn of(words: &HashSet<&[u8]>) -> Self {
        let mut bits = vec![0; SIEVE_BITS / 64];
        for word in words {
            let bit = word.iter().fold(SEED, |value, byte| mix(value, *byte)) as usize % SIEVE_BITS;
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Sieve { bits, longest: words.iter().map(|word| word.len()).max().unwrap_or(0) }
    }

    /// Calls for each word that may be one of those looked for.
    fn words(&self, bytes: &[u8], mut found: impl FnMut(&[u8])) {
        let (mut start, mut value) = (0, SEED);
        for (at, byte) in bytes.iter().chain(&[0]).enumerate() {
            if is_of_word(*byte) {
                value = mix(value, *byte);
                continue;
            }
            if at > start {
                let bit = value as usize % SIEVE_BITS;
                if self.bits[bit / 64] >> (bit % 64) & 1 == 1 && at - start <= self.longest {
                    found(&bytes[start..at]);
                }
            }
            (start, value) = (at + 1, SEED);
        }
    }
}

/// FNV-1a.
const SEED: u32 = 0x811c_9dc5;

fn mix(value: u32, byte: u8) -> u32 {
    (value ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

/// Letters of names: those of C, and those that compilers add.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}
