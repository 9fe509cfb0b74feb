//! Reading .debs, and the bytes around the members of an uncompressed one.
//!
//! ```text
//! !<arch>\n
//! NAME(16) TIME(12) UID(6) GID(6) MODE(8) SIZE(10) `\n    60 bytes of ASCII, blanks behind
//! CONTENTS [\n]                                             padded to an even length
//! ```
//!
//! Source: deb(5), ar(5), and what dpkg-deb does. Members: `debian-binary` (`2.` and a minor
//! number, later lines ignored), `control.tar`, `data.tar`, in this order, the latter two plain
//! or with `.gz`, `.xz`, `.zst`. Members whose names begin with `_` may stand between; what follows
//! `data.tar` is ignored; any other member is refused. `.bz2` and `.lzma`, which Debian's archive
//! has not taken for a decade, are refused by name.
//!
//! Read here and not by the `ar` crate, which allocates whatever GNU and BSD name tables claim;
//! dpkg knows neither, and a name table is just a wrong member to it.

use std::{
    fmt,
    io::{self, BufReader, Read, Seek, SeekFrom},
    ops::Range,
};

/// The first bytes of an ar archive.
pub const MAGIC: &[u8; 8] = b"!<arch>\n";
/// Length of a member's header.
pub const HEADER_BYTES: usize = 60;
/// The largest size that a header has digits for.
pub const MEMBER_BYTES_MAX: u64 = 9_999_999_999;
/// An xz stream of the highest preset needs 65 MiB; one that needs more than this is refused.
const XZ_MEMORY_BYTES: u64 = 256 << 20;

/// A .deb that is damaged or of a kind that is not read.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The file breaks off or cannot be read.
    #[error("cannot read the .deb")]
    Read(#[from] io::Error),
    /// It is not an ar archive, or is damaged.
    #[error("the .deb {0}")]
    Damaged(&'static str),
    /// A member is missing, or another stands in its place.
    #[error("the .deb has {found} where {expected} should be")]
    Member {
        /// The value in deb(5).
        expected: &'static str,
        /// The value found.
        found: String,
    },
    /// A format version that is not 2.
    #[error("the .deb has format version `{}`, not 2", .0.escape_debug())]
    Version(String),
    /// A compression that is not read.
    #[error("the .deb is compressed in a way that is not read: {0}")]
    Compression(String),
}

/// One of the two tars in a .deb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Control file, maintainer scripts and the like.
    Control,
    /// The files.
    Data,
}

impl Part {
    /// Returns the name of the member when it is not compressed.
    pub fn name(self) -> &'static str {
        match self {
            Part::Control => "control.tar",
            Part::Data => "data.tar",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a .deb from front to back: [`Deb::open`], [`Deb::part`] for the control part, then for
/// the data part, [`Deb::finish`].
pub struct Deb<R> {
    reader: R,
    /// Bytes of the present member's contents that are not read yet.
    left: u64,
    /// Whether a byte of padding follows them.
    padded: bool,
}

struct Header {
    name: Vec<u8>,
    size_bytes: u64,
}

impl<R: Read> Deb<R> {
    /// Reads the beginning of a .deb: magic and format version.
    ///
    /// # Errors
    /// A file that is not a .deb of format 2.
    pub fn open(mut reader: R) -> Result<Self, DebError> {
        let mut magic = [0; MAGIC.len()];
        read_or(&mut reader, &mut magic, "is not an ar archive")?;
        if magic != *MAGIC {
            return Err(DebError::Damaged("is not an ar archive"));
        }
        let mut deb = Deb { reader, left: 0, padded: false };
        let found = deb.next_member()?;
        let expected = "debian-binary";
        match found {
            Some(header) if header.name == b"debian-binary" && header.size_bytes <= 4096 => {}
            found => return Err(wrong_member(expected, found)),
        }
        let mut version = Vec::new();
        Body { deb: &mut deb }.read_to_end(&mut version)?;
        let line = version.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let minor = line.strip_prefix(b"2.").filter(|m| !m.is_empty() && m.iter().all(u8::is_ascii_digit));
        if minor.is_none() || !version.contains(&b'\n') {
            return Err(DebError::Version(line.escape_ascii().to_string()));
        }
        Ok(deb)
    }

    /// Returns the decompressed contents of the next part, which must be read to their end.
    ///
    /// # Errors
    /// Another member in its place; a compression that is not read.
    pub fn part(&mut self, part: Part) -> Result<Box<dyn Read + '_>, DebError> {
        let header = loop {
            match self.next_member()? {
                Some(header) if header.name.starts_with(b"_") => continue,
                found => break found,
            }
        };
        let extension = header.as_ref().and_then(|h| h.name.strip_prefix(part.name().as_bytes()));
        let Some(extension) = extension.map(<[u8]>::to_vec) else {
            return Err(wrong_member(part.name(), header));
        };
        let body = BufReader::with_capacity(1 << 16, Body { deb: self });
        Ok(match &extension[..] {
            b"" => Box::new(body),
            b".gz" => Box::new(flate2::bufread::MultiGzDecoder::new(body)),
            b".xz" => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY_BYTES,
                    liblzma::stream::CONCATENATED,
                );
                let stream = stream.map_err(io::Error::from)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(body, stream))
            }
            b".zst" => Box::new(zstd::stream::read::Decoder::with_buffer(body)?),
            b".bz2" | b".lzma" => {
                return Err(DebError::Compression(format!("{part}{}", extension.escape_ascii())));
            }
            _ => return Err(wrong_member(part.name(), header)),
        })
    }

    /// Reads what is left, whatever it is, and gives the reader back.
    ///
    /// # Errors
    /// The reader's error.
    pub fn finish(mut self) -> Result<R, DebError> {
        io::copy(&mut self.reader, &mut io::sink())?;
        Ok(self.reader)
    }

    /// Passes over the rest of the present member; `None` at the end of the file.
    fn next_member(&mut self) -> Result<Option<Header>, DebError> {
        let padding = u64::from(self.padded);
        let rest = self.left + padding;
        let passed = io::copy(&mut self.reader.by_ref().take(rest), &mut io::sink())?;
        // dpkg takes a file whose last byte of padding is missing.
        if passed < self.left {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        (self.left, self.padded) = (0, false);
        let mut header = [0; HEADER_BYTES];
        let mut got = 0;
        while got < HEADER_BYTES {
            match self.reader.read(&mut header[got..])? {
                0 if got == 0 => return Ok(None),
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                count => got += count,
            }
        }
        if header[58..] != *b"`\n" {
            return Err(DebError::Damaged("has a damaged member header"));
        }
        let name = header[..16].trim_ascii_end();
        let size = header[48..58].trim_ascii_end();
        let digits = std::str::from_utf8(size).ok().filter(|s| s.bytes().all(|b| b.is_ascii_digit()));
        let size_bytes = digits.and_then(|s| s.parse().ok());
        let size_bytes = size_bytes.ok_or(DebError::Damaged("has a member of impossible size"))?;
        (self.left, self.padded) = (size_bytes, size_bytes % 2 == 1);
        Ok(Some(Header { name: name.strip_suffix(b"/").unwrap_or(name).to_vec(), size_bytes }))
    }
}

/// Returns where the contents of `data.tar` lie in a .deb, compressed as they are, for one that was read before;
/// `None` if there is none.
///
/// # Errors
/// The reader's error.
pub fn data_place(mut reader: impl Read + Seek) -> io::Result<Option<Range<u64>>> {
    let mut at = MAGIC.len() as u64;
    loop {
        reader.seek(SeekFrom::Start(at))?;
        let mut header = [0; HEADER_BYTES];
        if reader.read_exact(&mut header).is_err() {
            return Ok(None);
        }
        let size =
            std::str::from_utf8(header[48..58].trim_ascii_end()).ok().and_then(|size| size.parse().ok());
        let Some(size_bytes) = size.filter(|size: &u64| *size <= MEMBER_BYTES_MAX) else { return Ok(None) };
        let start = at + HEADER_BYTES as u64;
        if header.starts_with(Part::Data.name().as_bytes()) {
            return Ok(Some(start..start + size_bytes));
        }
        at = start + size_bytes + size_bytes % 2;
    }
}

fn read_or(reader: &mut impl Read, buffer: &mut [u8], reason: &'static str) -> Result<(), DebError> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => DebError::Damaged(reason),
        _ => error.into(),
    })
}

fn wrong_member(expected: &'static str, found: Option<Header>) -> DebError {
    let found = found.map_or_else(|| "nothing".into(), |h| format!("`{}`", h.name.escape_ascii()));
    DebError::Member { expected, found }
}

/// The contents of the present member.
struct Body<'a, R> {
    deb: &'a mut Deb<R>,
}

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.deb.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.deb.reader.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.deb.left -= count as u64;
        Ok(count)
    }
}

/// Returns the header of a member; `size_bytes` is at most [`MEMBER_BYTES_MAX`].
pub fn header(name: &str, size_bytes: u64) -> [u8; HEADER_BYTES] {
    let text = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size_bytes:<10}`\n", 0, 0, 0, "100644");
    text.into_bytes().try_into().expect("a short name and a size of ten digits fill 60 bytes")
}

#[cfg(test)]
mod tests;
