//! The writer: one segment, objects in preorder, so that one value has one encoding.
//!
//! Each object follows the object that points to it, depth first, in the order of the pointers; a list of
//! structs is complete before the targets of its elements. Contents that are ranked are left out of that
//! order and come at the end, by rank, so that like contents are compressed together.

use super::{MAX_ELEMENTS, WORD};

/// The target of a pointer.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// A struct.
    Struct {
        /// The data section in words.
        data: Vec<u64>,
        /// The pointer section.
        pointers: Vec<Value>,
    },
    /// Bytes.
    Data(Vec<u8>),
    /// Bytes to which a NUL is added.
    Text(Vec<u8>),
    /// Structs of one size.
    StructList {
        /// Data words of each element.
        data_words: u16,
        /// Pointer words of each element.
        pointer_words: u16,
        /// The elements: data and pointers, of just these sizes.
        elements: Vec<(Vec<u64>, Vec<Value>)>,
    },
    /// Pointers, for a list of texts.
    PointerList(Vec<Value>),
    /// Bytes that are not in memory.
    Content {
        /// The caller's name for them.
        id: usize,
        /// Length, at most [`MAX_ELEMENTS`].
        size_bytes: u64,
        /// 0 lies where it is met; others after all else, by rank.
        rank: u32,
    },
}

impl Value {
    /// Returns text, or nothing for an empty one.
    pub fn text(text: &str) -> Self {
        if text.is_empty() { Value::Null } else { Value::Text(text.as_bytes().to_vec()) }
    }
}

/// A part of a written message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// Contents that the caller has; zeros up to the next word follow as [`Piece::Bytes`].
    Content {
        /// As given in [`Value::Content`].
        id: usize,
        /// As given in [`Value::Content`].
        size_bytes: u64,
        /// As given in [`Value::Content`].
        rank: u32,
    },
}

/// A message, laid out.
#[derive(Clone, Debug)]
pub struct Written {
    /// The parts, in order.
    pub pieces: Vec<Piece>,
    /// The length of all parts, with the segment table.
    pub size_bytes: u64,
}

/// Contents that have their place: after how many bytes of all else.
struct Hole {
    after: usize,
    id: usize,
    size_bytes: u64,
    rank: u32,
}

#[derive(Clone, Copy)]
struct Place {
    word: u64,
    byte: usize,
}

#[derive(Default)]
struct Segment {
    bytes: Vec<u8>,
    holes: Vec<Hole>,
    hole_words: u64,
    late: Vec<(u32, Place, usize, u64)>,
}

/// Lays out a message.
///
/// # Panics
/// If a size does not fit its field: contents over [`MAX_ELEMENTS`], or a message over 4 GiB. Callers check
/// their limits first, which are lower.
pub fn write(root: &Value) -> Written {
    let mut segment = Segment::default();
    let at = segment.allocate(1);
    segment.put(at, root);
    let mut late = std::mem::take(&mut segment.late);
    late.sort_by_key(|(rank, ..)| *rank);
    for (rank, at, id, size_bytes) in late {
        segment.content(at, id, size_bytes, rank);
    }
    let words = segment.end().word;
    let mut head = vec![0; 4];
    head.extend(u32::try_from(words).expect("a message is shorter than 4 GiB").to_le_bytes());
    let mut pieces = Vec::with_capacity(2 * segment.holes.len() + 1);
    let mut from = 0;
    for hole in &segment.holes {
        head.extend_from_slice(&segment.bytes[from..hole.after]);
        from = hole.after;
        if !head.is_empty() {
            pieces.push(Piece::Bytes(std::mem::take(&mut head)));
        }
        pieces.push(Piece::Content { id: hole.id, size_bytes: hole.size_bytes, rank: hole.rank });
        head.resize((hole.size_bytes.next_multiple_of(WORD) - hole.size_bytes) as usize, 0);
    }
    head.extend_from_slice(&segment.bytes[from..]);
    if !head.is_empty() {
        pieces.push(Piece::Bytes(head));
    }
    Written { pieces, size_bytes: (words + 1) * WORD }
}

/// Returns a message that has no [`Value::Content`] in it.
///
/// # Panics
/// As [`write`], and if there is one.
pub fn message_bytes(root: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in write(root).pieces {
        match piece {
            Piece::Bytes(bytes) => out.extend(bytes),
            Piece::Content { .. } => panic!("a value in memory has no contents elsewhere"),
        }
    }
    out
}

impl Segment {
    fn end(&self) -> Place {
        Place { word: self.bytes.len() as u64 / WORD + self.hole_words, byte: self.bytes.len() }
    }

    fn allocate(&mut self, words: u64) -> Place {
        let place = self.end();
        self.bytes.resize(self.bytes.len() + (words * WORD) as usize, 0);
        place
    }

    fn set(&mut self, at: Place, word: u64) {
        self.bytes[at.byte..at.byte + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// Sets a pointer's offset and kind with its upper half.
    fn point(&mut self, at: Place, to: Place, kind: u64, upper: u64) {
        let offset = i64::try_from(to.word).expect("small") - i64::try_from(at.word).expect("small") - 1;
        assert!(offset < 1 << 29, "a message is shorter than 4 GiB");
        self.set(at, upper << 32 | (offset as u64 & 0x3fff_ffff) << 2 | kind);
    }

    fn point_list(&mut self, at: Place, to: Place, code: u64, count: u64) {
        assert!(count <= MAX_ELEMENTS, "a list has at most 2^29-1 elements");
        self.point(at, to, 1, count << 3 | code);
    }

    fn put(&mut self, at: Place, value: &Value) {
        match value {
            Value::Null => {}
            Value::Struct { data, pointers } => {
                let place = self.allocate((data.len() + pointers.len()) as u64);
                // The offset -1 distinguishes a struct of no size from null.
                if data.is_empty() && pointers.is_empty() {
                    return self.set(at, 0xffff_fffc);
                }
                self.point(at, place, 0, struct_size(data.len(), pointers.len()));
                self.fill(place, data);
                self.put_pointers(place, data.len(), pointers);
            }
            Value::Data(bytes) => self.put_bytes(at, bytes, 0),
            Value::Text(bytes) => self.put_bytes(at, bytes, 1),
            Value::StructList { data_words, pointer_words, elements } => {
                let stride = usize::from(*data_words) + usize::from(*pointer_words);
                let words = (stride * elements.len()) as u64;
                let tag = self.allocate(words + 1);
                self.point_list(at, tag, 7, words);
                let size = struct_size((*data_words).into(), (*pointer_words).into());
                self.set(tag, size << 32 | (elements.len() as u64) << 2);
                let place = |index: usize| Place {
                    word: tag.word + 1 + (index * stride) as u64,
                    byte: tag.byte + (1 + index * stride) * 8,
                };
                for (index, (data, pointers)) in elements.iter().enumerate() {
                    debug_assert_eq!(data.len() + pointers.len(), stride, "elements are of one size");
                    self.fill(place(index), data);
                }
                for (index, (data, pointers)) in elements.iter().enumerate() {
                    self.put_pointers(place(index), data.len(), pointers);
                }
            }
            Value::PointerList(values) => {
                let place = self.allocate(values.len() as u64);
                self.point_list(at, place, 6, values.len() as u64);
                self.put_pointers(place, 0, values);
            }
            Value::Content { id, size_bytes, rank: 0 } => self.content(at, *id, *size_bytes, 0),
            Value::Content { id, size_bytes, rank } => self.late.push((*rank, at, *id, *size_bytes)),
        }
    }

    fn fill(&mut self, at: Place, data: &[u64]) {
        for (index, word) in data.iter().enumerate() {
            self.set(Place { word: at.word + index as u64, byte: at.byte + 8 * index }, *word);
        }
    }

    fn put_pointers(&mut self, at: Place, data_words: usize, pointers: &[Value]) {
        for (index, value) in pointers.iter().enumerate() {
            let skip = data_words + index;
            self.put(Place { word: at.word + skip as u64, byte: at.byte + 8 * skip }, value);
        }
    }

    fn put_bytes(&mut self, at: Place, bytes: &[u8], nul: usize) {
        let size = (bytes.len() + nul) as u64;
        let place = self.allocate(size.div_ceil(WORD));
        self.point_list(at, place, 2, size);
        self.bytes[place.byte..place.byte + bytes.len()].copy_from_slice(bytes);
    }

    fn content(&mut self, at: Place, id: usize, size_bytes: u64, rank: u32) {
        let place = self.end();
        self.point_list(at, place, 2, size_bytes);
        self.holes.push(Hole { after: place.byte, id, size_bytes, rank });
        self.hole_words += size_bytes.div_ceil(WORD);
    }
}

fn struct_size(data_words: usize, pointers: usize) -> u64 {
    let half = |n| u64::from(u16::try_from(n).expect("structs have few fields"));
    half(pointers) << 16 | half(data_words)
}
