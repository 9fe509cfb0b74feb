//! Cap'n Proto messages in stream framing: reading hostile ones, writing one-segment ones.
//!
//! ```text
//! u32 segments−1 · u32 words of each segment · zeros up to 8 bytes · the segments
//! pointer word, low 2 bits:
//!   0 struct  2–31 signed offset in words from the next word · 32–47 data words · 48–63 pointer words
//!   1 list    2–31 signed offset · 32–34 element code · 35–63 count (code 7: words after the tag word)
//!   2 far     2 double-far · 3–31 word of the landing pad · 32–63 segment
//! ```
//!
//! A message is read where it lies, through a [`Source`], so that a package of a gibibyte need not be in
//! memory. Every pointer is checked against its segment before it is followed. As in the C++ library, each
//! object that is looked at is charged to a traversal budget, so that many pointers to one object
//! cannot make a small message do much work; and structs and lists nest only so deep. Missing words
//! read as zero and null pointers as absent, because sizes are the writer's choice; left-over words are
//! skipped.
//!
//! Capabilities, canonical form and packed messages are not read.

mod read;
mod source;
mod write;

pub use read::{Message, Span, Struct, StructList};
pub use source::{FileSource, ReadAt, Source};
pub use write::{Piece, Value, Written, message_bytes, write};

use std::io;

/// The size of a word.
pub const WORD: u64 = 8;

/// The element limit of a list: 29 bits. One byte list, so one file, is shorter than 512 MiB.
pub const MAX_ELEMENTS: u64 = (1 << 29) - 1;

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CapnpError {
    /// The source itself failed.
    #[error("cannot read the message")]
    Source(#[source] io::Error),
    /// The segment table or a segment reaches past the end.
    #[error("the message is cut off")]
    Truncated,
    /// More segments than any writer makes.
    #[error("the message has {0} segments")]
    TooManySegments(u64),
    /// A pointer points out of its segment, or to a missing segment.
    #[error("a pointer points out of its segment")]
    OutOfBounds,
    /// A pointer of another kind than the schema has there, or of no kind.
    #[error("a pointer is not a {0}")]
    WrongKind(&'static str),
    /// Structs and lists inside each other, too deep.
    #[error("objects nest too deep")]
    Nesting,
    /// The objects that were read are larger than the budget, in sum.
    #[error("the same bytes are used more than once")]
    Budget,
    /// A text that does not end in NUL.
    #[error("a text does not end in NUL")]
    Unterminated,
    /// A text that has to be UTF-8 and is not.
    #[error("a text is not UTF-8")]
    NotUtf8,
}

#[cfg(test)]
mod tests;
