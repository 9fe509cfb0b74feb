//! Receives a package with accounting: one pass gives its contents and what they take.
//!
//! Which bytes are of which file stands in the archive itself. Our packages have all names in their first block, so
//! from the second one on it is known; the first one is read again then. Of a package that has its names at the
//! end, nearly all is read twice.

use std::{
    fs::File,
    io::{self, Read},
};

use super::{Ending, Fault, Receiver};
use crate::{
    artifact::{
        prices::{Meter, places_of},
        source::{Source, SpanReader},
    },
    formats::{
        capnp::{FileSource, Source as Bytes, Span},
        spk::{self, MAX_ARCHIVE_BYTES},
        xz::accounted::{Stream, XzError},
    },
};

/// Receives the stream after the magic, and returns what its bytes took.
pub(super) fn receive(
    file: &Source<'_>,
    mut tee: impl Read,
    receiver: &mut Receiver<'_, '_>,
) -> Result<Meter, Ending> {
    // The magic, which was looked at before.
    tee.read_exact(&mut [0; spk::MAGIC.len()]).map_err(compression)?;
    let mut stream = Stream::new(tee).map_err(ending)?;
    let mut meter: Option<Meter> = None;
    let (mut blocks, mut tried_bytes) = (0, 0);
    loop {
        let mut charge = |count, price| {
            if let Some(meter) = &mut meter {
                meter.charge(count, price);
            }
        };
        let is_block = stream.block(&mut charge, &mut |bytes| receiver.take(bytes)).map_err(ending)?;
        blocks += u64::from(is_block);
        let position = receiver.bundle.position();
        // Each time twice as much, so that all attempts together cost no more than two.
        if meter.is_none() && (!is_block || position >= 2 * tried_bytes) {
            tried_bytes = position;
            meter = meter_of(file, receiver, blocks, !is_block)?;
        }
        if !is_block {
            return meter.ok_or(Ending::Fault(Fault::Contents));
        }
    }
}

/// Begins a meter with the blocks that were read so far; `None` if the archive is not known from them.
fn meter_of(
    file: &Source<'_>,
    receiver: &mut Receiver<'_, '_>,
    blocks: u64,
    is_all: bool,
) -> Result<Option<Meter>, Ending> {
    let Some((_, offset)) = &receiver.signature else { return Ok(None) };
    let pack = receiver.bundle.reader().map_err(Ending::Write)?;
    let known_bytes = receiver.bundle.position();
    let size_bytes = if is_all { known_bytes } else { offset + MAX_ARCHIVE_BYTES };
    let Ok(items) = spk::read_archive(&Start::new(&pack, size_bytes).map_err(Ending::Write)?, *offset) else {
        return Ok(None);
    };
    let mut meter = Meter::new(places_of(&items));
    let span = Span { offset: spk::MAGIC.len() as u64, size_bytes: u64::MAX };
    let mut stream = Stream::new(SpanReader { file: &file.file, span }).map_err(ending)?;
    for _ in 0..blocks {
        let is_block = stream.block(&mut |count, price| meter.charge(count, price), &mut |_| Ok(()));
        if !is_block.map_err(ending)? {
            break;
        }
    }
    Ok((meter.position() == known_bytes).then_some(meter))
}

fn compression(source: io::Error) -> Ending {
    Ending::Fault(Fault::Compression(source))
}

fn ending(error: XzError<Ending>) -> Ending {
    match error {
        XzError::Taker(ending) => ending,
        XzError::Read(source) => compression(source),
        other => compression(io::Error::other(other.to_string())),
    }
}

/// The start of a stream that was not read to its end yet: what is behind it cannot be read, but may be there.
struct Start<'a> {
    known: FileSource<'a>,
    size_bytes: u64,
}

impl<'a> Start<'a> {
    fn new(known: &'a File, size_bytes: u64) -> io::Result<Self> {
        Ok(Start { known: FileSource::new(known)?, size_bytes })
    }
}

impl Bytes for Start<'_> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.known.read_exact_at(buffer, offset)
    }
}
