//! The reader.

use std::cell::Cell;

use super::{CapnpError, Source, WORD};

/// Segments that a message may have. The largest packages have some thousands (one a large file).
const MAX_SEGMENTS: u64 = 1 << 20;

/// Nesting of structs and lists, as in the C++ library. Callers that walk a deep tree count for themselves.
const MAX_DEPTH: u32 = 256;

#[derive(Clone, Copy, Debug)]
struct Segment {
    /// In bytes from the start of the source.
    offset: u64,
    words: u64,
}

/// A message: its segments, and the rest of the read budget.
pub struct Message<'a> {
    source: &'a dyn Source,
    segments: Vec<Segment>,
    end: u64,
    budget_words: Cell<u64>,
}

/// Bytes of a message, by their place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// In bytes from the start of the source.
    pub offset: u64,
    /// Length.
    pub size_bytes: u64,
}

/// A place in a message.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u32,
    word: u64,
}

/// The target of a list pointer.
struct List {
    at: Place,
    code: u8,
    count: u64,
}

impl<'a> Message<'a> {
    /// Reads the segment table at an offset of the source.
    ///
    /// `budget_words` is the read budget; `None` allows each byte of the source once.
    ///
    /// # Errors
    /// [`CapnpError::Truncated`] and [`CapnpError::TooManySegments`].
    pub fn new(source: &'a dyn Source, offset: u64, budget_words: Option<u64>) -> Result<Self, CapnpError> {
        let left = source.size_bytes().checked_sub(offset).ok_or(CapnpError::Truncated)?;
        if left < WORD {
            return Err(CapnpError::Truncated);
        }
        let mut first = [0; 4];
        source.read_exact_at(&mut first, offset).map_err(CapnpError::Source)?;
        let count = u64::from(u32::from_le_bytes(first)) + 1;
        if count > MAX_SEGMENTS {
            return Err(CapnpError::TooManySegments(count));
        }
        let table_bytes = (4 + 4 * count).next_multiple_of(WORD);
        if table_bytes > left {
            return Err(CapnpError::Truncated);
        }
        let mut table = vec![0; 4 * count as usize];
        source.read_exact_at(&mut table, offset + 4).map_err(CapnpError::Source)?;
        let mut end = offset + table_bytes;
        let mut segments = Vec::with_capacity(count as usize);
        for size in table.chunks_exact(4) {
            let words = u64::from(u32::from_le_bytes(size.try_into().expect("four bytes")));
            segments.push(Segment { offset: end, words });
            end += words * WORD;
        }
        if end > source.size_bytes() {
            return Err(CapnpError::Truncated);
        }
        let budget_words = Cell::new(budget_words.unwrap_or(left / WORD));
        Ok(Message { source, segments, end, budget_words })
    }

    /// Returns the offset in the source at which the message ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Returns the root struct; an empty one where the root pointer is null.
    ///
    /// # Errors
    /// A root pointer that is missing or bad.
    pub fn root(&'a self) -> Result<Struct<'a>, CapnpError> {
        let at = Place { segment: 0, word: 0 };
        self.charge(at, 1)?;
        self.structure(at, MAX_DEPTH).map(|root| root.unwrap_or_else(|| self.empty()))
    }

    /// Reads bytes that a field led to.
    ///
    /// # Errors
    /// The source's error.
    pub fn read(&self, span: Span) -> Result<Vec<u8>, CapnpError> {
        let size = usize::try_from(span.size_bytes).map_err(|_| CapnpError::OutOfBounds)?;
        let mut out = vec![0; size];
        self.source.read_exact_at(&mut out, span.offset).map_err(CapnpError::Source)?;
        Ok(out)
    }

    fn empty(&'a self) -> Struct<'a> {
        let at = Place { segment: 0, word: 0 };
        Struct { message: self, at, data_bytes: 0, pointers: 0, depth: 0 }
    }

    /// Checks that words lie in their segment and takes them off the budget.
    fn charge(&self, at: Place, words: u64) -> Result<(), CapnpError> {
        let segment = self.segments.get(at.segment as usize).ok_or(CapnpError::OutOfBounds)?;
        let end = at.word.checked_add(words).ok_or(CapnpError::OutOfBounds)?;
        if end > segment.words {
            return Err(CapnpError::OutOfBounds);
        }
        let left = self.budget_words.get().checked_sub(words).ok_or(CapnpError::Budget)?;
        self.budget_words.set(left);
        Ok(())
    }

    /// Reads a word that has been charged.
    fn word(&self, at: Place) -> Result<u64, CapnpError> {
        let mut word = [0; 8];
        self.source.read_exact_at(&mut word, self.offset(at)).map_err(CapnpError::Source)?;
        Ok(u64::from_le_bytes(word))
    }

    fn offset(&self, at: Place) -> u64 {
        self.segments[at.segment as usize].offset + at.word * WORD
    }

    /// Follows far pointers. Returns the pointer or tag that describes the object, and where the object
    /// begins; `None` for null.
    fn follow(&self, at: Place) -> Result<Option<(u64, Place)>, CapnpError> {
        let pointer = self.word(at)?;
        if pointer == 0 {
            return Ok(None);
        }
        if pointer & 3 != 2 {
            return near(pointer, at).map(|place| Some((pointer, place)));
        }
        let pad = Place { segment: (pointer >> 32) as u32, word: (pointer as u32 >> 3).into() };
        if pointer & 4 == 0 {
            self.charge(pad, 1)?;
            let landed = self.word(pad)?;
            if landed & 3 == 2 {
                return Err(CapnpError::WrongKind("landing pad"));
            }
            return if landed == 0 { Ok(None) } else { near(landed, pad).map(|p| Some((landed, p))) };
        }
        self.charge(pad, 2)?;
        let start = self.word(pad)?;
        let tag = self.word(Place { word: pad.word + 1, ..pad })?;
        if start & 7 != 2 || (tag as u32) >> 2 != 0 {
            return Err(CapnpError::WrongKind("landing pad"));
        }
        Ok(Some((tag, Place { segment: (start >> 32) as u32, word: (start as u32 >> 3).into() })))
    }

    /// Reads a struct pointer.
    fn structure(&'a self, at: Place, depth: u32) -> Result<Option<Struct<'a>>, CapnpError> {
        let Some((tag, place)) = self.follow(at)? else { return Ok(None) };
        if tag & 3 != 0 {
            return Err(CapnpError::WrongKind("struct"));
        }
        let depth = depth.checked_sub(1).ok_or(CapnpError::Nesting)?;
        let (data_words, pointers) = sizes(tag);
        self.charge(place, u64::from(data_words) + u64::from(pointers))?;
        Ok(Some(Struct { message: self, at: place, data_bytes: u32::from(data_words) * 8, pointers, depth }))
    }

    /// Reads a list pointer. A composite list is charged whole, with `at` at its tag word.
    fn list(&self, at: Place) -> Result<Option<List>, CapnpError> {
        let Some((tag, place)) = self.follow(at)? else { return Ok(None) };
        if tag & 3 != 1 {
            return Err(CapnpError::WrongKind("list"));
        }
        let (code, count) = ((tag >> 32 & 7) as u8, tag >> 35);
        let words = match code {
            0 => 0,
            1 => count.div_ceil(64),
            2 => count.div_ceil(8),
            3 => count.div_ceil(4),
            4 => count.div_ceil(2),
            5 | 6 => count,
            _ => count + 1,
        };
        self.charge(place, words)?;
        Ok(Some(List { at: place, code, count }))
    }
}

/// Returns the target of a struct or list pointer inside its own segment.
fn near(pointer: u64, at: Place) -> Result<Place, CapnpError> {
    let offset = i64::from(pointer as u32 as i32 >> 2);
    let word = (at.word + 1).checked_add_signed(offset).ok_or(CapnpError::OutOfBounds)?;
    Ok(Place { word, ..at })
}

fn sizes(tag: u64) -> (u16, u16) {
    ((tag >> 32) as u16, (tag >> 48) as u16)
}

/// A struct of a message.
#[derive(Clone, Copy)]
pub struct Struct<'a> {
    message: &'a Message<'a>,
    at: Place,
    data_bytes: u32,
    pointers: u16,
    depth: u32,
}

impl<'a> Struct<'a> {
    fn bytes<const N: usize>(&self, offset: u32) -> Result<[u8; N], CapnpError> {
        let mut out = [0; N];
        if offset + N as u32 <= self.data_bytes {
            let start = self.message.offset(self.at) + u64::from(offset);
            self.message.source.read_exact_at(&mut out, start).map_err(CapnpError::Source)?;
        }
        Ok(out)
    }

    /// Returns two bytes of the data section, zero if it is shorter.
    ///
    /// # Errors
    /// The source's error.
    pub fn u16(&self, offset: u32) -> Result<u16, CapnpError> {
        self.bytes(offset).map(u16::from_le_bytes)
    }

    /// Returns four bytes of the data section, zero if it is shorter.
    ///
    /// # Errors
    /// The source's error.
    pub fn u32(&self, offset: u32) -> Result<u32, CapnpError> {
        self.bytes(offset).map(u32::from_le_bytes)
    }

    /// Returns eight bytes of the data section, zero if it is shorter.
    ///
    /// # Errors
    /// The source's error.
    pub fn u64(&self, offset: u32) -> Result<u64, CapnpError> {
        self.bytes(offset).map(u64::from_le_bytes)
    }

    fn pointer(&self, index: u16) -> Option<Place> {
        let word = self.at.word + u64::from(self.data_bytes / 8) + u64::from(index);
        (index < self.pointers).then_some(Place { word, ..self.at })
    }

    /// Returns the struct behind a pointer; `None` for null.
    ///
    /// # Errors
    /// A pointer that is bad or points to something else.
    pub fn structure(&self, index: u16) -> Result<Option<Struct<'a>>, CapnpError> {
        match self.pointer(index) {
            Some(at) => self.message.structure(at, self.depth),
            None => Ok(None),
        }
    }

    /// Returns where the bytes behind a pointer lie; `None` for null.
    ///
    /// # Errors
    /// A pointer that is bad or points to something else than a list of bytes.
    pub fn data(&self, index: u16) -> Result<Option<Span>, CapnpError> {
        let Some(at) = self.pointer(index) else { return Ok(None) };
        let Some(list) = self.message.list(at)? else { return Ok(None) };
        if list.code != 2 {
            return Err(CapnpError::WrongKind("list of bytes"));
        }
        Ok(Some(Span { offset: self.message.offset(list.at), size_bytes: list.count }))
    }

    /// Returns the text behind a pointer without its NUL, in bytes; `None` for null.
    ///
    /// # Errors
    /// As [`Struct::data`], and [`CapnpError::Unterminated`].
    pub fn text(&self, index: u16) -> Result<Option<Vec<u8>>, CapnpError> {
        let Some(span) = self.data(index)? else { return Ok(None) };
        let mut bytes = self.message.read(span)?;
        match bytes.pop() {
            Some(0) => Ok(Some(bytes)),
            _ => Err(CapnpError::Unterminated),
        }
    }

    /// Returns the text behind a pointer as UTF-8, empty for null.
    ///
    /// # Errors
    /// As [`Struct::text`], and [`CapnpError::NotUtf8`].
    pub fn string(&self, index: u16) -> Result<String, CapnpError> {
        String::from_utf8(self.text(index)?.unwrap_or_default()).map_err(|_| CapnpError::NotUtf8)
    }

    /// Returns the list behind a pointer as structs; empty for null. A list of numbers or pointers reads as
    /// structs of one field, as the format's rules for growing schemas have it.
    ///
    /// # Errors
    /// A pointer that is bad or points to something else than a list.
    pub fn list(&self, index: u16) -> Result<StructList<'a>, CapnpError> {
        let message = self.message;
        let nothing = StructList { first: message.empty(), stride_bytes: 0, count: 0 };
        let Some(at) = self.pointer(index) else { return Ok(nothing) };
        let Some(list) = message.list(at)? else { return Ok(nothing) };
        let depth = self.depth.checked_sub(1).ok_or(CapnpError::Nesting)?;
        let first = |at, data_bytes, pointers| Struct { message, at, data_bytes, pointers, depth };
        let start = list.at;
        match list.code {
            1 => Err(CapnpError::WrongKind("list of structs")),
            7 => {
                let tag = message.word(start)?;
                let count = u64::from(tag as u32 >> 2);
                let (data_words, pointers) = sizes(tag);
                let stride = u64::from(data_words) + u64::from(pointers);
                if tag & 3 != 0 {
                    return Err(CapnpError::WrongKind("list of structs"));
                }
                if count * stride > list.count {
                    return Err(CapnpError::OutOfBounds);
                }
                if stride == 0 {
                    // Elements without a size cost nothing to write; charge them for the memory that they
                    // take.
                    let words = count * KEPT_WORDS;
                    let left = message.budget_words.get().checked_sub(words).ok_or(CapnpError::Budget)?;
                    message.budget_words.set(left);
                }
                let start = Place { word: start.word + 1, ..start };
                let first = first(start, u32::from(data_words) * 8, pointers);
                Ok(StructList { first, stride_bytes: stride * WORD, count })
            }
            6 => Ok(StructList { first: first(start, 0, 1), stride_bytes: WORD, count: list.count }),
            // Elements of less than a word could begin inside one; no schema here ever was such a list.
            5 => Ok(StructList { first: first(start, 8, 0), stride_bytes: WORD, count: list.count }),
            _ => Err(CapnpError::WrongKind("list of structs")),
        }
    }
}

/// About how many words of memory an element becomes, whatever it is: names and lists of it, though empty.
const KEPT_WORDS: u64 = 8;

/// A list of structs.
#[derive(Clone, Copy)]
pub struct StructList<'a> {
    first: Struct<'a>,
    stride_bytes: u64,
    count: u64,
}

impl<'a> StructList<'a> {
    /// Returns the number of elements.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Struct<'a>> + use<'a> {
        let (first, stride_words) = (self.first, self.stride_bytes / WORD);
        (0..self.count).map(move |index| {
            let word = first.at.word + index * stride_words;
            Struct { at: Place { word, ..first.at }, ..first }
        })
    }
}
