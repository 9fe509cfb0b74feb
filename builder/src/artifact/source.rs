//! An artifact's file, while it is read.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::{ArtifactError, Fault, Format, oci::Layout};
use crate::{
    error::{At as _, PathError},
    formats::capnp::Span,
};

/// The file with the path that errors name.
pub(super) struct Source<'a> {
    pub path: &'a Path,
    pub file: File,
}

impl<'a> Source<'a> {
    /// Opens a file, and finds out its format.
    pub fn open(path: &'a Path) -> Result<(Self, Format), ArtifactError> {
        // One that is no regular file is not waited for.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).at("open", path)?;
        let found = file.metadata().at("open", path)?;
        if found.is_dir() && Layout::is_in(path) {
            return Ok((Source { path, file }, Format::OciDirectory));
        }
        if found.is_dir() {
            return Err(PathError::new("open", path, io::ErrorKind::IsADirectory).into());
        }
        if !found.is_file() {
            let rule = "it is not a regular file; - stands for standard input";
            return Err(PathError::new("open", path, io::Error::other(rule)).into());
        }
        let source = Source { path, file };
        let mut start = Vec::new();
        source.io("read", source.reader().take(Format::MAGIC_BYTES as u64).read_to_end(&mut start))?;
        match Format::of(&start) {
            Some(Format::Tar) if Layout::is_in_tar(&source.file) => Ok((source, Format::Oci)),
            Some(format) => Ok((source, format)),
            None => Err(source.refuse(Fault::Magic)),
        }
    }

    /// Names the file in the error of a call.
    pub fn io<T>(&self, operation: &'static str, result: io::Result<T>) -> Result<T, ArtifactError> {
        Ok(result.at(operation, self.path)?)
    }

    /// Returns the error that refuses the file.
    pub fn refuse(&self, fault: impl Into<Fault>) -> ArtifactError {
        ArtifactError::Refused { path: self.path.to_path_buf(), source: fault.into() }
    }

    /// Reads the file from its start, without a position of its own.
    pub fn reader(&self) -> SpanReader<'_> {
        SpanReader { file: &self.file, span: Span { offset: 0, size_bytes: u64::MAX } }
    }
}

/// Reads a part of a file.
pub(super) struct SpanReader<'a> {
    pub file: &'a File,
    pub span: Span,
}

impl Read for SpanReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.span.size_bytes).unwrap_or(usize::MAX));
        let got = self.file.read_at(&mut buffer[..wanted], self.span.offset)?;
        self.span.offset += got as u64;
        self.span.size_bytes -= got as u64;
        Ok(got)
    }
}
