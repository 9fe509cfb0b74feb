//! Sandstorm's package format, below its compression.
//!
//! ```text
//! file      = MAGIC · xz( Signature message · Archive message )
//! Signature (0 data, 2 pointers)  publicKey: Data, 32 bytes · signature: Data, 128 bytes =
//!                                 Ed25519 signature · SHA-512 of the archive message, to the end of the stream
//! Archive   (0, 1)                files: List(File)
//! File      (2, 2)                u16 tag @0 · i64 mtime in ns @8 · name: Text · content by tag:
//!                                 0 regular: Data · 1 executable: Data · 2 symlink: Text · 3 directory: List(File)
//! ```
//!
//! Sandstorm's own `verify` and `unpack` each accept packages that the other refuses. Here is one verdict,
//! which covers the needs of an install: a package that either refuses is refused. Three rules are stricter
//! than both: a link target with a NUL, a path over 4095 bytes, and an xz layer with slack (see
//! [`super::xz`]).
//!
//! Not kept: Sandstorm's list of replaced app ids, five apps whose keys were lost or changed. It is compiled
//! into its tool, names apps that were packed by others, and matters only to programs that show those under
//! their first id.
//!
//! mtimes go in as whole seconds; before 1970 Sandstorm's tool unpacks them wrongly, so those become 1970.

mod archive;
mod signature;

pub use archive::{Item, ItemKind, LateContent, WrittenArchive, read_archive, write_archive};
pub use signature::{Signature, SignatureError, read_signature, sign, signature_length};

/// The first bytes of a package file.
pub const MAGIC: [u8; 8] = [0x8f, 0xc6, 0xcd, 0xef, 0x45, 0x1a, 0xea, 0x96];

/// The largest archive, decompressed; exactly this much passes.
pub const MAX_ARCHIVE_BYTES: u64 = 1 << 30;
/// The longest file of a package: the largest archive, which xz makes longer by far less than a sixteenth
/// where it cannot be compressed.
pub const MAX_PACKAGE_BYTES: u64 = MAX_ARCHIVE_BYTES + MAX_ARCHIVE_BYTES / 16;

/// The largest file: the element limit of a byte list.
pub const MAX_FILE_BYTES: u64 = super::capnp::MAX_ELEMENTS;

/// How many directories an entry may lie below, from Cap'n Proto's nesting limit as `unpack` meets it.
pub const MAX_DIRECTORIES: usize = 62;

/// How many bytes a name may have (`NAME_MAX`).
pub const MAX_NAME_BYTES: usize = 255;

/// An archive that cannot be installed, or a tree that cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum SpkError {
    /// The archive is over its limit.
    #[error("the archive takes {size_bytes} bytes (at most {MAX_ARCHIVE_BYTES} can be installed)")]
    TooLarge {
        /// Its size, or the size at which counting ended.
        size_bytes: u64,
    },
    /// More entries, or more bytes in their paths, than a reader has memory for.
    #[error(
        "the archive has too many entries, or too long paths: 200000 entries and 16 MiB of paths are the limits, \
        reached after {entries} entries"
    )]
    TooMany {
        /// How many were read.
        entries: usize,
    },
    /// A part of the archive message is broken.
    #[error("cannot read the entry after `{after}`")]
    Message {
        /// The last path that was read; empty at the start.
        after: String,
        /// The fault.
        source: super::capnp::CapnpError,
    },
    /// An entry that no installer takes.
    #[error("`{path}` {rule}")]
    Entry {
        /// The path, or the directory and the bad name in it.
        path: String,
        /// The rule that is broken.
        rule: EntryRule,
    },
}

/// A rule for entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryRule {
    /// Without a name.
    #[error("has an entry without a name in it")]
    NoName,
    /// Named `.` or `..`.
    #[error("is named as a directory's own or parent entry")]
    DotName,
    /// `/` or NUL in a name.
    #[error("has a slash or NUL in its name")]
    BadName,
    /// A name over [`MAX_NAME_BYTES`].
    #[error("has a name longer than 255 bytes")]
    LongName,
    /// A path over 4095 bytes.
    #[error("is a path longer than 4095 bytes")]
    LongPath,
    /// Two entries of one name.
    #[error("is there twice")]
    Duplicate,
    /// A tag of no known kind.
    #[error("is of unknown kind {0}")]
    Kind(u16),
    /// A link to nowhere.
    #[error("is a symbolic link without a target")]
    NoTarget,
    /// A link target that no system call can take.
    #[error("is a symbolic link whose target has a NUL")]
    BadTarget,
    /// A link target longer than `PATH_MAX` allows.
    #[error("is a symbolic link whose target is longer than 4095 bytes")]
    LongTarget,
    /// Below too many directories.
    #[error("lies below more than 62 directories")]
    Nesting,
    /// A file over [`MAX_FILE_BYTES`].
    #[error("is larger than 536870911 bytes")]
    LargeFile,
    /// Neither file, directory nor link.
    #[error("is a device or named pipe, which a package cannot hold")]
    Special,
    /// An entry below something that is not a directory.
    #[error("lies below something that is not a directory")]
    NotInDirectory,
    /// A time that does not fit.
    #[error("has a modification time after the year 2262")]
    Time,
}
