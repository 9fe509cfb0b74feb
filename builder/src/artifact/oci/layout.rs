//! The files of a layout, in a directory or in a tar.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{DOCKER_FILE, Descriptor, INDEX_FILE, LAYOUT_FILE};
use crate::{
    artifact::fault::{Budget, ImageFault},
    digest::Hasher,
};

/// The longest JSON file that is read.
pub(super) const MAX_JSON_BYTES: u64 = 4 << 20;

/// A layout that is being read.
#[derive(Debug)]
pub enum Layout {
    /// A directory.
    Directory(PathBuf),
    /// A tar, with where each member's contents lie, and how many bytes they are.
    Archive {
        /// The tar.
        file: File,
        /// Its members.
        members: BTreeMap<Vec<u8>, (u64, u64)>,
    },
}

impl Layout {
    /// Opens a layout.
    ///
    /// # Errors
    /// A tar that is damaged.
    pub fn open(path: &Path, file: &File) -> Result<Self, ImageFault> {
        let failed = |source| ImageFault::read("the archive", source);
        if file.metadata().map_err(failed)?.is_dir() {
            return Ok(Layout::Directory(path.to_path_buf()));
        }
        let file = file.try_clone().map_err(failed)?;
        let members = members(&file)?;
        Ok(Layout::Archive { file, members })
    }

    /// Returns whether a directory has a layout.
    pub fn is_in(directory: &Path) -> bool {
        directory.join(LAYOUT_FILE).is_file()
    }

    /// Returns whether a tar holds a layout, or what `docker save` writes.
    pub fn is_in_tar(file: &File) -> bool {
        let found = members(file).unwrap_or_default();
        let has = |name: &str| found.contains_key(name.as_bytes());
        has(LAYOUT_FILE) && has(INDEX_FILE) || has(DOCKER_FILE)
    }

    /// Returns whether there is a file of that name.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Layout::Directory(path) => path.join(name).is_file(),
            Layout::Archive { members, .. } => members.contains_key(name.as_bytes()),
        }
    }

    /// Opens a file; also returns its length.
    pub fn file(&self, name: &str) -> Result<(Box<dyn Read + '_>, u64), ImageFault> {
        let failed = |source| ImageFault::read(name, source);
        match self {
            Layout::Directory(path) => {
                // One that is no regular file is not waited for.
                let flags = libc::O_NONBLOCK;
                let file =
                    File::options().read(true).custom_flags(flags).open(path.join(name)).map_err(failed)?;
                let found = file.metadata().map_err(failed)?;
                if !found.is_file() {
                    return Err(ImageFault::rule(name, "is not a regular file"));
                }
                Ok((Box::new(BufReader::with_capacity(1 << 18, file)), found.len()))
            }
            Layout::Archive { file, members } => {
                let missing = || ImageFault::rule(name, "is missing");
                let (offset, size_bytes) = *members.get(name.as_bytes()).ok_or_else(missing)?;
                let reader = MemberReader { file, offset, left: size_bytes };
                Ok((Box::new(BufReader::with_capacity(1 << 18, reader)), size_bytes))
            }
        }
    }

    /// Reads a JSON file.
    pub fn json(&self, name: &str) -> Result<serde_json::Value, ImageFault> {
        let (reader, size_bytes) = self.file(name)?;
        parse(name, reader, size_bytes)
    }

    /// Reads a JSON blob, and checks it by its digest.
    pub fn json_blob(&self, blob: &Descriptor) -> Result<serde_json::Value, ImageFault> {
        let name = blob_name(blob);
        let (reader, size_bytes) = self.blob(blob)?;
        let mut hasher = Hasher::new(Vec::new());
        let most = MAX_JSON_BYTES.min(size_bytes);
        io::copy(&mut reader.take(most), &mut hasher).map_err(|e| ImageFault::read(&name[..], e))?;
        let (digest, _, bytes) = hasher.finish();
        if digest != blob.digest {
            return Err(ImageFault::rule(name, "has not the contents that its digest names"));
        }
        parse(&name, &bytes[..], size_bytes)
    }

    /// Opens a blob of the length that its descriptor says. What is read is to be checked by its digest.
    pub fn blob(&self, blob: &Descriptor) -> Result<(Box<dyn Read + '_>, u64), ImageFault> {
        let name = blob_name(blob);
        let (reader, size_bytes) = self.file(&name)?;
        match size_bytes == blob.size_bytes {
            true => Ok((reader, size_bytes)),
            false => Err(ImageFault::rule(name, "has another length than its descriptor says")),
        }
    }
}

/// Returns where a blob lies.
pub(super) fn blob_name(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest)
}

fn parse(name: &str, reader: impl Read, size_bytes: u64) -> Result<serde_json::Value, ImageFault> {
    if size_bytes > MAX_JSON_BYTES {
        return Err(ImageFault::rule(name, "is longer than 4 MiB"));
    }
    serde_json::from_reader(reader.take(MAX_JSON_BYTES))
        .map_err(|error| ImageFault::read(name, io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// Finds the members of a tar without reading their contents.
fn members(file: &File) -> Result<BTreeMap<Vec<u8>, (u64, u64)>, ImageFault> {
    let failed = |source| ImageFault::read("the archive", source);
    let length = file.metadata().map_err(failed)?.len();
    let mut archive = tar::Archive::new(MemberReader { file, offset: 0, left: length });
    let mut members = BTreeMap::new();
    let mut links = Vec::new();
    let mut budget = Budget::new();
    for member in archive.entries_with_seek().map_err(failed)?.raw(true) {
        let member = member.map_err(failed)?;
        budget.entry()?;
        let name = member.path_bytes();
        let name = name.strip_prefix(b"./").unwrap_or(&name).to_vec();
        match (member.header().entry_type(), member.link_name_bytes()) {
            (tar::EntryType::Regular, _) => {}
            (tar::EntryType::Symlink, Some(target)) => {
                links.push((name, target.into_owned()));
                continue;
            }
            _ => continue,
        }
        members.insert(name, (member.raw_file_position(), member.header().entry_size().map_err(failed)?));
    }
    // Engines of old wrote a layer that is there twice as a link to the other one.
    for (name, target) in links {
        if let Some(place) = linked(&name, &target).and_then(|path| members.get(&path).copied()) {
            members.entry(name).or_insert(place);
        }
    }
    Ok(members)
}

/// Returns which member a relative link of another means; `None` for one that leaves the archive.
fn linked(name: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let mut path: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
    path.pop();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" => return None,
            b"." => {}
            b".." => drop(path.pop()?),
            part => path.push(part),
        }
    }
    Some(path.join(&b'/'))
}

/// Reads a part of a file, without a position of the file's own.
#[derive(Debug)]
struct MemberReader<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for MemberReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let got = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        self.offset += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}

impl io::Seek for MemberReader<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let io::SeekFrom::Current(by) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        let by = u64::try_from(by).ok().filter(|by| *by <= self.left).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.offset += by;
        self.left -= by;
        Ok(self.offset)
    }
}
