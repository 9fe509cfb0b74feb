//! The files of a layout, in a directory or in a tar.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt as _,
    path::Path,
};

use super::{DOCKER_FILE, Descriptor, INDEX_FILE, LAYOUT_FILE};
use crate::{
    artifact::fault::{Budget, ImageFault},
    digest::Hasher,
    shown,
    sys::path::open_regular_below,
    tree::TreePath,
};

/// The longest JSON file that is read.
pub(super) const MAX_JSON_BYTES: u64 = 4 << 20;

/// A layout that is being read.
#[derive(Debug)]
pub enum Layout {
    /// A directory. Its files are opened through it, and no name or link leads out of it.
    Directory(File),
    /// A tar, with where each member's contents lie, and how many bytes they are.
    Archive {
        /// The tar.
        file: File,
        /// Its members.
        members: BTreeMap<Vec<u8>, (u64, u64)>,
    },
}

impl Layout {
    /// Opens a layout: a directory or a tar.
    ///
    /// # Errors
    /// A tar that is damaged.
    pub fn open(file: &File) -> Result<Self, ImageFault> {
        let failed = |source| ImageFault::read("the archive", source);
        let file = file.try_clone().map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Ok(Layout::Directory(file));
        }
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
            // One that cannot be opened is there; the error says why.
            Layout::Directory(directory) => {
                is_inside(name)
                    && !open_regular_below(directory, Path::new(name))
                        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
            }
            Layout::Archive { members, .. } => members.contains_key(name.as_bytes()),
        }
    }

    /// Opens a file; also returns its length.
    ///
    /// # Errors
    /// A name that is no clean relative path, also where what is named is there; in a directory, a link that leads
    /// out of it.
    pub fn file(&self, name: &str) -> Result<(Box<dyn Read + '_>, u64), ImageFault> {
        let rule = |rule| ImageFault::rule(shown::name(name), rule);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::CrossesDevices => rule("leads out of the layout by a link; copy the file there"),
            io::ErrorKind::InvalidData => rule("is not a regular file"),
            _ => ImageFault::read(shown::name(name), source),
        };
        if !is_inside(name) {
            return Err(rule("does not name a file in the layout: names are relative, without . and .."));
        }
        match self {
            Layout::Directory(directory) => {
                let file = open_regular_below(directory, Path::new(name)).map_err(failed)?;
                let size_bytes = file.metadata().map_err(failed)?.len();
                Ok((Box::new(BufReader::with_capacity(1 << 18, file)), size_bytes))
            }
            Layout::Archive { file, members } => {
                let missing = || rule("is missing");
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

/// Returns true for a clean relative path.
fn is_inside(name: &str) -> bool {
    TreePath::new(name.as_bytes()).is_ok_and(|path| !path.is_root() && path.as_bytes() == name.as_bytes())
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
        budget.held(name.len())?;
        match (member.header().entry_type(), member.link_name_bytes()) {
            (tar::EntryType::Regular, _) => {}
            (tar::EntryType::Symlink, Some(target)) => {
                budget.held(target.len())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn no_name_and_no_link_leads_out_of_a_directory() {
        let host = tempfile::tempdir().expect("a directory");
        let at = |name: &str| host.path().join(name);
        fs::create_dir_all(at("layout/in")).expect("makes");
        fs::create_dir(at("outside")).expect("makes");
        fs::write(at("layout/in/c.json"), "{}").expect("writes");
        fs::write(at("outside/c.json"), "[1]").expect("writes");
        symlink("in/c.json", at("layout/near")).expect("links");
        symlink("../outside/c.json", at("layout/far")).expect("links");
        symlink(at("outside/c.json"), at("layout/absolute")).expect("links");
        symlink("../outside", at("layout/directory")).expect("links");
        let layout = Layout::open(&File::open(at("layout")).expect("opens")).expect("is one");
        for name in ["in/c.json", "near"] {
            assert!(layout.has(name), "{name}");
            assert_eq!(layout.json(name).expect("is read"), serde_json::json!({}), "{name}");
        }
        let refused = |name: &str| layout.json(name).expect_err("is refused").to_string();
        for name in ["far", "absolute", "directory/c.json"] {
            assert_eq!(
                refused(name),
                format!("{name} leads out of the layout by a link; copy the file there")
            );
        }
        let absolute = at("outside/c.json");
        let absolute = absolute.to_str().expect("is text");
        for name in
            ["../outside/c.json", "in/../../outside/c.json", absolute, "./near", "in//c.json", ".", ""]
        {
            assert!(refused(name).contains("does not name a file in the layout"), "{name}");
            assert!(!layout.has(name), "{name}");
        }
        assert_eq!(refused("in"), "in is not a regular file");
        let long = refused(&format!("../{}", "x".repeat(9000)));
        assert!(long.len() < 250 && long.contains('…'), "{long}");
        assert!(!layout.has("missing"));
    }
}
