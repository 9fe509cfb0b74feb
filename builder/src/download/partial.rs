//! A transfer as far as it has come.

use std::{
    io::{self, Seek, Write},
    os::unix::fs::FileExt as _,
};

use super::{Validators, begins_as_page};
use crate::formats::checksum::{self, Checksum};

pub(super) struct Partial {
    pub(super) file: tempfile::NamedTempFile,
    kind: Checksum,
    state: checksum::State,
    /// How many bytes there are.
    pub(super) got: u64,
    /// How many there ever were.
    pub(super) told: u64,
    /// Of how many responses they are.
    pub(super) pieces: u32,
    /// The validators that the server of the last piece sent.
    pub(super) validators: Validators,
}

impl Partial {
    pub(super) fn new(file: tempfile::NamedTempFile, kind: Checksum) -> Self {
        let (state, validators) = (kind.begin(), Validators::default());
        Partial { file, kind, state, got: 0, told: 0, pieces: 0, validators }
    }

    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.state = self.kind.begin();
        (self.got, self.pieces, self.validators) = (0, 0, Validators::default());
        self.file.as_file_mut().set_len(0)?;
        self.file.as_file_mut().rewind()
    }

    pub(super) fn append(&mut self, bytes: &[u8], on_bytes: &dyn Fn(u64)) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.state.update(bytes);
        self.got += bytes.len() as u64;
        if self.got > self.told {
            on_bytes(self.got - self.told);
            self.told = self.got;
        }
        Ok(())
    }

    /// Whether the bytes so far are a web page.
    pub(super) fn begins_as_page(&self) -> bool {
        let mut start = [0; 64];
        let count = self.file.as_file().read_at(&mut start, 0).unwrap_or(0);
        begins_as_page(&start[..count])
    }

    pub(super) fn checksum(&mut self) -> Checksum {
        std::mem::replace(&mut self.state, self.kind.begin()).finish()
    }
}
