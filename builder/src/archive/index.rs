//! Packages indexes: from the store, or fetched, decompressed within bounds, and checked.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
    thread,
};

use super::{
    ArchiveError, Dated, Opening,
    release::{Form, ListedIndex},
};
use crate::{
    download::{Wanted, url_below},
    formats::digest::{Digest, Hasher},
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
        self.store.root().join("indexes/packages").join(digest.to_string())
    }

    /// Returns a text that is in the store and whole.
    fn kept_text(&self, index: &ListedIndex) -> Option<Vec<u8>> {
        if index.plain.size_bytes == 0 {
            return Some(Vec::new());
        }
        let path = self.text_path(&index.plain.digest);
        if fs::metadata(&path).ok()?.len() != index.plain.size_bytes {
            return None;
        }
        let text = fs::read(&path).ok()?;
        (Digest::of(&text) == index.plain.digest).then_some(text)
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
        self.store.write_file(&self.text_path(&expected), &text)?;
        Ok(text)
    }
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
