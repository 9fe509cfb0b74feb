//! Packages indexes: from the store, or fetched, decompressed within bounds, and checked.

use std::{
    fs,
    io::{self, Read, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    thread,
};

use super::{
    ArchiveError, Dated, Opening,
    release::{Form, ListedIndex},
};
use crate::{
    download::{Wanted, url_below},
    formats::{
        digest::{Digest, Hasher},
        packages,
    },
    progress::{Task, Unit},
};

/// What decompressing may use; Debian's indexes are packed with a dictionary of 8 MiB.
const XZ_MEMORY_BYTES: u64 = 128 << 20;

/// The largest window of zstd that is taken, as a power of two: the same 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;

impl Opening<'_> {
    /// Returns the texts of indexes, in their order, fetching side by side what is not in the store.
    pub(super) fn texts(&self, listed: &[(&Dated, &ListedIndex)]) -> Result<Vec<Vec<u8>>, ArchiveError> {
        let mut texts: Vec<Option<Vec<u8>>> = Vec::new();
        for (_, index) in listed {
            texts.push(self.kept_text(index));
        }
        let missing =
            || listed.iter().zip(&texts).filter(|(_, text)| text.is_none()).map(|(listed, _)| listed);
        let total = missing().map(|(_, index)| index.fetched.size_bytes).sum();
        if total > 0 {
            let task = self.progress.task("fetching package indexes", total, Unit::Bytes);
            let fetched: Result<Vec<Vec<u8>>, ArchiveError> = thread::scope(|scope| {
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

    fn text_path(&self, digest: &Digest) -> PathBuf {
        self.store.root().join("indexes/packages").join(format!("{digest}.read"))
    }

    /// Returns a text that is in the store and whole.
    fn kept_text(&self, index: &ListedIndex) -> Option<Vec<u8>> {
        if index.plain.size_bytes == 0 {
            return Some(Vec::new());
        }
        read_pieces(&self.text_path(&index.plain.digest)).ok().flatten()
    }

    fn fetch_text(&self, release: &Dated, index: &ListedIndex, task: &Task) -> Result<Vec<u8>, ArchiveError> {
        let directory = format!("dists/{}", release.suite);
        let names = index.fetched.by_hash.iter().chain([&index.fetched.path]);
        let paths: Vec<String> = names.map(|name| format!("{directory}/{name}")).collect();
        let what = format!("{directory}/{}", index.fetched.path);
        let bases = self.mirrors.of(&release.suite).iter();
        let wanted = Wanted {
            what: what.clone(),
            urls: bases.flat_map(|base| paths.iter().filter_map(|path| url_below(base, path))).collect(),
            size_bytes: index.fetched.size_bytes,
            digest: index.fetched.digest,
        };
        let file = self.downloader.fetch(&wanted, &self.store.tmp(), &|bytes| task.add(bytes))?;
        let source = |source| ArchiveError::Decompress { what: what.clone(), source };
        let mut text = Vec::new();
        let limit = index.plain.size_bytes + 1;
        let found = file.reopen().and_then(|file| {
            let mut hasher = Hasher::new(&mut text);
            io::copy(&mut decoder(index.form, file)?.take(limit), &mut hasher)?;
            let (digest, ..) = hasher.finish();
            Ok(digest)
        });
        let (expected, found) = (index.plain.digest, found.map_err(source)?);
        if text.len() as u64 != index.plain.size_bytes || found != expected {
            return Err(ArchiveError::WrongText { what, expected, found });
        }
        let text = packages::reduce(&text);
        self.store.write_file(&self.text_path(&expected), &with_pieces(&text))?;
        Ok(text)
    }
}

/// In how many pieces a text is read back and checked, side by side.
const PIECES: usize = 4;
/// The length of the head: a digest a line for each piece.
const HEAD_BYTES: usize = PIECES * 65;

/// Returns the form in which a text is kept: the digests of its pieces, then the text.
fn with_pieces(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + text.len());
    for piece in 0..PIECES {
        let range = piece_at(piece, text.len());
        writeln!(out, "{}", Digest::of(&text[range])).expect("memory takes it");
    }
    out.extend_from_slice(text);
    out
}

fn piece_at(piece: usize, length: usize) -> std::ops::Range<usize> {
    let size = length.div_ceil(PIECES);
    (piece * size).min(length)..((piece + 1) * size).min(length)
}

/// Reads a kept text; `None` if it is not what was written.
fn read_pieces(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = fs::File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let Some(length) = length.checked_sub(HEAD_BYTES) else { return Ok(None) };
    let mut head = vec![0; HEAD_BYTES];
    file.read_exact_at(&mut head, 0)?;
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut text = vec![0; length];
    let size = length.div_ceil(PIECES).max(1);
    let whole = thread::scope(|scope| {
        let check = |piece: usize, bytes: &mut [u8], expected: &str| -> io::Result<bool> {
            let start = HEAD_BYTES + piece * size;
            file.read_exact_at(bytes, start as u64)?;
            Ok(Digest::of(bytes).to_string() == expected)
        };
        let pieces = text.chunks_mut(size).zip(head.lines()).enumerate();
        let threads: Vec<_> = pieces
            .map(|(piece, (bytes, expected))| scope.spawn(move || check(piece, bytes, expected)))
            .collect();
        threads.into_iter().map(|t| t.join().expect("no panic in a thread")).collect::<io::Result<Vec<_>>>()
    })?;
    Ok(whole.into_iter().all(|whole| whole).then_some(text))
}

fn decoder(form: Form, file: fs::File) -> io::Result<Box<dyn Read>> {
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
