//! Members of a tar stream: a header of 512 bytes, and contents up to the next multiple of that (`tar(5)`).

use std::{
    io::{self, Read},
    ops::Range,
};

use tar::Header;

pub(super) const BLOCK_BYTES: usize = 512;

const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const SUM: Range<usize> = 148..156;
pub(super) const MODE: Range<usize> = 100..108;
pub(super) const MAJOR: Range<usize> = 329..337;
pub(super) const MINOR: Range<usize> = 337..345;

/// Cuts a stream into members.
pub(super) struct Members<R> {
    inner: R,
    position: u64,
    /// Of the member's contents.
    left: u64,
    padding: u64,
}

impl<R: Read> Members<R> {
    pub fn new(inner: R) -> Self {
        Members { inner, position: 0, left: 0, padding: 0 }
    }

    /// Returns the header of the next member; `None` at the end, which is a block of zeros, or that of the stream.
    /// What was not read of the member before is passed over.
    pub fn next(&mut self) -> io::Result<Option<Header>> {
        let rest = self.left + self.padding;
        if io::copy(&mut (&mut self.inner).take(rest), &mut io::sink())? != rest {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += rest;
        (self.left, self.padding) = (0, 0);
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? || header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if !has_sum(&header) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a header has another sum than it says"));
        }
        self.left = number_or_zero(&header, SIZE, header.entry_size())?;
        self.padding = self.left.wrapping_neg() % BLOCK_BYTES as u64;
        // No stream is as long.
        if self.left > u64::MAX / 2 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a header has an impossible size"));
        }
        Ok(Some(header))
    }

    /// Reads a block; false at the end of the stream.
    fn block(&mut self, block: &mut [u8; BLOCK_BYTES]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += BLOCK_BYTES as u64;
        Ok(true)
    }

    /// Reads a block that stands between a header and the contents.
    pub fn extra_block(&mut self) -> io::Result<[u8; BLOCK_BYTES]> {
        let mut block = [0; BLOCK_BYTES];
        match self.block(&mut block)? {
            true => Ok(block),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Returns how much of the member's contents is not read yet.
    pub fn body_bytes(&self) -> u64 {
        self.left
    }

    /// Returns the place in the stream.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns a reader of the member's contents.
    pub fn body(&mut self) -> Body<'_, R> {
        Body(self)
    }

    /// Reads all of the member's contents.
    pub fn read_body(&mut self) -> io::Result<Vec<u8>> {
        let (mut body, size_bytes) = (Vec::new(), self.left);
        self.body().read_to_end(&mut body)?;
        match body.len() as u64 == size_bytes {
            true => Ok(body),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Returns the stream.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

/// Reads the contents of a member.
pub(super) struct Body<'m, R>(&'m mut Members<R>);

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.0.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let got = self.0.inner.read(&mut buffer[..wanted])?;
        self.0.left -= got as u64;
        self.0.position += got as u64;
        Ok(got)
    }
}

/// Returns whether bytes begin as a tar does: with a header that has its sum. Those of before 1988 say nothing more.
pub(super) fn begins(start: &[u8]) -> bool {
    let mut header = Header::new_old();
    let Some(first) = start.first_chunk() else { return false };
    *header.as_mut_bytes() = *first;
    // A name and a sum of nothing would do for many a file.
    first[0] != 0 && first[SUM].iter().any(u8::is_ascii_digit) && has_sum(&header)
}

/// Returns whether a header has the sum that it says, of its bytes as numbers without a sign, or with one, as some
/// old programs had it.
fn has_sum(header: &Header) -> bool {
    let Ok(said) = header.cksum() else { return false };
    let bytes = header.as_bytes();
    let all = bytes[..SUM.start].iter().chain(&[b' '; 8]).chain(&bytes[SUM.end..]);
    let (plain, signed) = all.fold((0_i64, 0_i64), |(plain, signed), byte| {
        (plain + i64::from(*byte), signed + i64::from(byte.cast_signed()))
    });
    [plain, signed].contains(&i64::from(said))
}

/// Returns a number of a header. An empty field is 0, as GNU tar, bsdtar and dpkg have it.
pub(super) fn number_or_zero(header: &Header, field: Range<usize>, read: io::Result<u64>) -> io::Result<u64> {
    match header.as_bytes()[field].iter().all(|byte| matches!(byte, 0 | b' ')) {
        true => Ok(0),
        false => read,
    }
}

/// Returns the owner of a header.
pub(super) fn uid(header: &Header) -> io::Result<u64> {
    number_or_zero(header, UID, header.uid())
}

/// Returns the group of a header.
pub(super) fn gid(header: &Header) -> io::Result<u64> {
    number_or_zero(header, GID, header.gid())
}

/// Returns the time of a header.
pub(super) fn mtime(header: &Header) -> io::Result<u64> {
    number_or_zero(header, MTIME, header.mtime())
}

/// Returns the mode of a header.
pub(super) fn mode(header: &Header) -> io::Result<u32> {
    number_or_zero(header, MODE, header.mode().map(u64::from)).map(|mode| mode as u32)
}
