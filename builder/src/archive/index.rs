//! Packages indexes: from the store, or fetched, decompressed within bounds, and checked.

use std::{
    fs,
    io::{self, Read, Write as _},
    path::PathBuf,
    sync::mpsc,
    thread,
};

use super::{
    ArchiveError, Dated, Opening,
    kept_index::{self, Text},
    release::{Form, ListedIndex},
};
use crate::{
    download::{Length, Wanted, url_below},
    formats::{
        digest::{Digest, Hasher},
        packages::{Reducer, table::Table},
    },
    progress::{Task, Unit},
    store::StoreError,
};

/// What decompressing may use; Debian's indexes are packed with a dictionary of 8 MiB.
const XZ_MEMORY_BYTES: u64 = 128 << 20;

/// The largest window of zstd that is taken, as a power of two: the same 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;

impl Opening<'_> {
    /// Returns the texts of indexes, in their order, fetching side by side what is not in the store.
    pub(super) fn texts(&self, listed: &[(&Dated, &ListedIndex)]) -> Result<Vec<Text>, ArchiveError> {
        let mut texts: Vec<Option<Text>> = Vec::new();
        for (_, index) in listed {
            texts.push(self.kept_text(index));
        }
        let missing =
            || listed.iter().zip(&texts).filter(|(_, text)| text.is_none()).map(|(listed, _)| listed);
        let total = missing().map(|(_, index)| index.fetched.size_bytes).sum();
        if total > 0 {
            let task = self.progress.task("fetching package indexes", total, Unit::Bytes);
            let fetched: Result<Vec<Text>, ArchiveError> = thread::scope(|scope| {
                let fetch =
                    |(release, index): &(&Dated, &ListedIndex)| self.fetch_text(release, index, &task);
                let threads: Vec<_> = missing().map(|one| scope.spawn(move || fetch(one))).collect();
                threads.into_iter().map(|t| t.join().expect("no panic in a thread")).collect()
            });
            let mut fetched = fetched?.into_iter();
            for text in texts.iter_mut().filter(|text| text.is_none()) {
                *text = fetched.next();
            }
        }
        Ok(texts.into_iter().flatten().collect())
    }

    /// Returns where a text is kept: with a table for one architecture, of which an index of `all` can have several.
    fn text_path(&self, index: &ListedIndex) -> PathBuf {
        let name = format!("{}-{}", index.plain.digest, self.architecture);
        self.store.root().join("indexes/packages").join(name)
    }

    /// Returns a text that is in the store and whole.
    fn kept_text(&self, index: &ListedIndex) -> Option<Text> {
        if index.plain.size_bytes == 0 {
            return Some(Text::default());
        }
        kept_index::read(&self.text_path(index)).ok().flatten()
    }

    fn fetch_text(&self, release: &Dated, index: &ListedIndex, task: &Task) -> Result<Text, ArchiveError> {
        let directory = format!("dists/{}", release.suite);
        let names = index.fetched.by_hash.iter().chain([&index.fetched.path]);
        let paths: Vec<String> = names.map(|name| format!("{directory}/{name}")).collect();
        let what = format!("{directory}/{}", index.fetched.path);
        let bases = self.mirrors.of(&release.suite).iter();
        let wanted = Wanted {
            what: what.clone(),
            urls: bases.flat_map(|base| paths.iter().filter_map(|path| url_below(base, path))).collect(),
            length: Length::Exactly(index.fetched.size_bytes),
            checksum: index.fetched.digest.into(),
        };
        let file = self.downloader.fetch(&wanted, &self.store.tmp(), &|bytes| task.add(bytes))?;
        let source = |source| ArchiveError::Decompress { what: what.clone(), source };
        let limit = index.plain.size_bytes + 1;
        let read = file.reopen().and_then(|file| read_reduced(index.form, file, limit));
        let (found, size_bytes, reducer) = read.map_err(source)?;
        let expected = index.plain.digest;
        if size_bytes != index.plain.size_bytes || found != expected {
            return Err(ArchiveError::WrongText { what, expected, found });
        }
        let text = reducer.finish();
        // A text that is not sound is told of where it is used, with its suite.
        let table = Table::make(&text, self.architecture).ok();
        let path = self.text_path(index);
        self.store.write_file(&path, &kept_index::to_bytes(&text, table.as_ref()))?;
        let changed = || io::Error::other("what was just written reads otherwise");
        let kept = kept_index::read(&path).and_then(|text| text.ok_or_else(changed));
        kept.map_err(|source| StoreError::Io { operation: "read", path, source }.into())
    }
}

/// How much is decompressed before it is handed on.
const PIECE_BYTES: u64 = 256 << 10;
/// How many such pieces may wait.
const WAITING: usize = 8;

/// Decompresses a text on one thread, and digests and reduces it on another, up to a limit. Returns digest
/// and length of the whole.
fn read_reduced(form: Form, file: fs::File, limit: u64) -> io::Result<(Digest, u64, Reducer)> {
    let mut reader = decoder(form, file)?.take(limit);
    let mut hasher = Hasher::new(Reducer::default());
    thread::scope(|scope| {
        let (sender, pieces) = mpsc::sync_channel::<io::Result<Vec<u8>>>(WAITING);
        scope.spawn(move || {
            loop {
                let mut piece = Vec::new();
                let read = reader.by_ref().take(PIECE_BYTES).read_to_end(&mut piece);
                let ended = !matches!(read, Ok(1..));
                // No one listens any more after a fault.
                if sender.send(read.map(|_| piece)).is_err() || ended {
                    return;
                }
            }
        });
        for piece in pieces {
            hasher.write_all(&piece?)?;
        }
        Ok(hasher.finish())
    })
}

fn decoder(form: Form, file: fs::File) -> io::Result<Box<dyn Read + Send>> {
    Ok(match form {
        Form::Plain => Box::new(file),
        Form::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(file)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Form::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(file))),
        Form::Xz => {
            let stream = xz2::stream::Stream::new_stream_decoder(XZ_MEMORY_BYTES, xz2::stream::CONCATENATED)?;
            Box::new(xz2::read::XzDecoder::new_stream(file, stream))
        }
    })
}
