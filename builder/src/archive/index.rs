//! Packages indexes: from the store, or fetched, decompressed within bounds, and checked.

use std::{
    fs,
    io::{self, Read, Write as _},
    path::PathBuf,
    sync::mpsc,
    thread,
};

use super::{
    ArchiveError, Opener, VerifiedRelease,
    kept_index::{self, Text},
    listed::{Form, ListedIndex},
};
use crate::{
    digest::{Digest, Hasher},
    download::{Length, Wanted, url_below},
    error::PathError,
    formats::{
        checksum::{self, Checksum},
        packages::{Reducer, table::Table},
        suite,
    },
    progress::{Task, Unit},
    store::StoreError,
    threads,
};

/// The limit of memory for decompression; Debian's indexes are packed with a dictionary of 8 MiB.
const XZ_MEMORY_BYTES: u64 = 128 << 20;

/// The longest text that is read where the Release file lists none; Debian's longest index has 60 MB.
const MOST_UNLISTED_BYTES: u64 = 1 << 30;

/// The largest window of zstd that is taken, as a power of two: the same 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;

impl Opener<'_> {
    /// Returns the texts of indexes, in their order, fetching missing ones in parallel.
    pub(super) fn texts(
        &self,
        listed: &[(&VerifiedRelease, &ListedIndex)],
    ) -> Result<Vec<Text>, ArchiveError> {
        let mut texts: Vec<Option<Text>> = Vec::new();
        for (_, index) in listed {
            texts.push(self.kept_text(index));
        }
        let missing =
            || listed.iter().zip(&texts).filter(|(_, text)| text.is_none()).map(|(listed, _)| listed);
        let total = missing().map(|(_, index)| index.fetched.size_bytes).sum();
        if total > 0 {
            let task = self.progress.task("fetching package indexes", total, Unit::Bytes);
            let wanted: Vec<_> = missing().collect();
            let fetch = |one: &&(&VerifiedRelease, &ListedIndex)| self.fetch_text(one.0, one.1, &task);
            let fetched: Result<Vec<Text>, ArchiveError> =
                threads::map(threads::for_downloads(wanted.len()), &wanted, fetch).into_iter().collect();
            let mut fetched = fetched?.into_iter();
            for text in texts.iter_mut().filter(|text| text.is_none()) {
                *text = fetched.next();
            }
        }
        Ok(texts.into_iter().flatten().collect())
    }

    /// Returns where a text is kept: with a table for one architecture, of which an index of `all` can have
    /// several.
    fn text_path(&self, index: &ListedIndex) -> PathBuf {
        let known_by = index.plain.as_ref().unwrap_or(&index.fetched).checksum;
        let name = format!("{}-{}", known_by.hex(), self.architecture);
        self.store.root().join("indexes/texts").join(name)
    }

    /// Returns a text that is in the store and whole.
    fn kept_text(&self, index: &ListedIndex) -> Option<Text> {
        if index.plain.as_ref().is_some_and(|plain| plain.size_bytes == 0) {
            return Some(Text::default());
        }
        kept_index::read(self.store, &self.text_path(index)).ok().flatten()
    }

    /// Returns the files to fetch for an index.
    pub(super) fn wanted(&self, release: &VerifiedRelease, index: &ListedIndex) -> Wanted {
        let directory = suite::directory(&release.suite);
        let names = index.fetched.by_hash.iter().chain([&index.fetched.path]);
        let paths: Vec<String> = names.map(|name| format!("{directory}{name}")).collect();
        let bases = self.mirrors.of(&release.suite).iter();
        Wanted {
            what: format!("{directory}{}", index.fetched.path),
            urls: bases.flat_map(|base| paths.iter().filter_map(|path| url_below(base, path))).collect(),
            past: Vec::new(),
            length: Length::Exactly(index.fetched.size_bytes),
            checksum: index.fetched.checksum,
            mode: Wanted::OWN,
        }
    }

    fn fetch_text(
        &self,
        release: &VerifiedRelease,
        index: &ListedIndex,
        task: &Task,
    ) -> Result<Text, ArchiveError> {
        let wanted = self.wanted(release, index);
        let what = wanted.what.clone();
        let file = self.downloader.fetch(&wanted, &self.store.tmp(), &|bytes| task.add(bytes))?;
        let source = |source| ArchiveError::Decompress { what: what.clone(), source };
        let limit = index.plain.as_ref().map_or(MOST_UNLISTED_BYTES, |plain| plain.size_bytes) + 1;
        let wanted = index.plain.as_ref().map(|plain| plain.checksum);
        let read = file.reopen().and_then(|file| read_reduced(index.form, file, limit, wanted));
        let Whole { digest, checksum: found, size_bytes, reducer } = read.map_err(source)?;
        match &index.plain {
            Some(plain) if size_bytes != plain.size_bytes || found != plain.checksum => {
                let expected = Box::new(plain.checksum);
                return Err(ArchiveError::WrongText { what, expected, found: Box::new(found) });
            }
            None if size_bytes == limit => {
                return Err(source(io::Error::other(format!(
                    "it is longer than {MOST_UNLISTED_BYTES} bytes"
                ))));
            }
            _ => {}
        }
        let text = reducer.finish();
        // A text that is too long is reported by its user, with its suite.
        let table = Table::make(&text, self.architecture).ok();
        let path = self.text_path(index);
        let bytes = kept_index::to_bytes(&text, &digest, table.as_ref(), |head| self.store.seal(&path, head));
        self.store.write_file(&path, &bytes)?;
        let changed = || io::Error::other("what was just written reads otherwise");
        let kept = kept_index::read(self.store, &path).and_then(|text| text.ok_or_else(changed));
        kept.map_err(|source| StoreError::from(PathError::new("read", path, source)).into())
    }
}

/// How much is decompressed before it is handed on.
const PIECE_BYTES: u64 = 256 << 10;
/// How many such pieces may wait.
const WAITING: usize = 8;

/// The properties of a text that was read.
struct Whole {
    digest: Digest,
    /// Its digest of the kind that its Release file lists, or its SHA-256.
    checksum: Checksum,
    size_bytes: u64,
    reducer: Reducer,
}

/// A reducer, and a digest of its input, beside SHA-256.
struct Digested {
    reducer: Reducer,
    beside: Option<checksum::State>,
}

impl io::Write for Digested {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(state) = &mut self.beside {
            state.update(bytes);
        }
        self.reducer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decompresses a text on one thread, and digests and reduces it on another, up to a limit.
fn read_reduced(form: Form, file: fs::File, limit: u64, wanted: Option<Checksum>) -> io::Result<Whole> {
    let mut reader = decoder(form, file)?.take(limit);
    let beside = wanted.filter(|wanted| matches!(wanted, Checksum::Sha512(_))).map(|wanted| wanted.begin());
    let mut hasher = Hasher::new(Digested { reducer: Reducer::default(), beside });
    thread::scope(|scope| {
        let (sender, pieces) = mpsc::sync_channel::<io::Result<Vec<u8>>>(WAITING);
        let decompress = thread::Builder::new().name("decompress".into());
        decompress.spawn_scoped(scope, move || {
            loop {
                let mut piece = Vec::new();
                let read = reader.by_ref().take(PIECE_BYTES).read_to_end(&mut piece);
                let ended = !matches!(read, Ok(1..));
                // No one listens any more after a fault.
                if sender.send(read.map(|_| piece)).is_err() || ended {
                    return;
                }
            }
        })?;
        for piece in pieces {
            hasher.write_all(&piece?)?;
        }
        let (digest, size_bytes, Digested { reducer, beside }) = hasher.finish();
        let checksum = beside.map_or(digest.into(), checksum::State::finish);
        Ok(Whole { digest, checksum, size_bytes, reducer })
    })
}

pub(super) fn decoder<'r>(form: Form, file: impl Read + Send + 'r) -> io::Result<Box<dyn Read + Send + 'r>> {
    Ok(match form {
        Form::Plain => Box::new(file),
        Form::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(file)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Form::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(io::BufReader::new(file))),
        Form::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(file))),
        Form::Xz => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_BYTES, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::read::XzDecoder::new_stream(file, stream))
        }
    })
}
