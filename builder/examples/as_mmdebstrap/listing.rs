//! A root as a tar has it, and how two of them differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufReader, Read as _, Write as _},
    path::Path,
};

use tinyroot::digest::{Digest, Hasher};

use crate::allowed::Difference;

/// What is compared of one path, as text.
type Aspects = BTreeMap<&'static str, String>;

/// The digest of a file's lines, sorted: contents that agree in it differ in the order of lines only.
const LINES: &str = "lines";

/// Files beyond this have no such digest.
const MAX_LINES_BYTES: u64 = 1 << 20;

/// A root.
pub struct Listing {
    entries: BTreeMap<String, Aspects>,
}

impl Listing {
    /// Reads a tar.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, File::open(path)?));
        let mut entries: BTreeMap<String, Aspects> = BTreeMap::new();
        // Hard links as the tar has them: a later name, and the one that has the contents.
        let mut links: Vec<(String, String)> = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = plain(&entry.path_bytes());
            let target = entry.link_name_bytes().map(|target| target.into_owned());
            let mut aspects = Aspects::new();
            if let Some(extensions) = entry.pax_extensions()? {
                let mut attributes = Vec::new();
                for extension in extensions {
                    let extension = extension?;
                    let key = String::from_utf8_lossy(extension.key_bytes()).into_owned();
                    if let Some(key) = key.strip_prefix("SCHILY.xattr.") {
                        attributes.push(format!("{key}={:?}", extension.value_bytes()));
                    }
                }
                attributes.sort();
                aspects.insert("xattrs", attributes.join(" "));
            }
            let header = entry.header();
            let kind = header.entry_type();
            if kind.is_hard_link() {
                links.push((name, plain(&target.unwrap_or_default())));
                continue;
            }
            aspects.insert("kind", format!("{kind:?}"));
            aspects.insert("mode", format!("{:04o}", header.mode()? & 0o7777));
            aspects.insert("owner", format!("{}:{}", entry.header().uid()?, entry.header().gid()?));
            if kind.is_character_special() || kind.is_block_special() {
                let device = (header.device_major()?, header.device_minor()?);
                aspects.insert("device", format!("{device:?}"));
            }
            if kind.is_file() {
                let mut hasher = Hasher::new(io::sink());
                let mut start = Vec::new();
                (&mut entry).take(MAX_LINES_BYTES + 1).read_to_end(&mut start)?;
                hasher.write_all(&start)?;
                io::copy(&mut entry, &mut hasher)?;
                let (digest, size_bytes, _) = hasher.finish();
                aspects.insert("contents", digest.to_string());
                if size_bytes <= MAX_LINES_BYTES {
                    let mut lines: Vec<&[u8]> = start.split(|byte| *byte == b'\n').collect();
                    lines.sort_unstable();
                    aspects.insert(LINES, Digest::of(&lines.join(&b'\n')).to_string());
                }
            } else if let Some(target) = target.filter(|_| kind.is_symlink()) {
                aspects.insert("target", String::from_utf8_lossy(&target).into_owned());
            }
            entries.insert(name, aspects);
        }
        // Which of several names comes first is chance; that they are one file is not.
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, target) in links {
            let aspects = entries.get(&target).cloned().unwrap_or_default();
            entries.insert(name.clone(), aspects);
            groups.entry(target).or_default().insert(name);
        }
        for (target, mut names) in groups {
            names.insert(target);
            let text = names.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
            for name in &names {
                if let Some(aspects) = entries.get_mut(name) {
                    aspects.insert("links", text.clone());
                }
            }
        }
        Ok(Listing { entries })
    }

    /// Returns the newest time in a tar: no root of tinyroot's has a later one than its packages.
    pub fn newest_s(path: &Path) -> io::Result<u64> {
        let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, File::open(path)?));
        let times = archive.entries()?.map(|entry| entry?.header().mtime());
        let mut times = times;
        times.try_fold(0, |newest, time| Ok(time?.max(newest)))
    }

    /// Returns how many paths there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns in what this, which is ours, and another differ, by path.
    pub fn differences(&self, theirs: &Listing) -> Vec<Difference> {
        let mut out = Vec::new();
        let paths: BTreeSet<&String> = self.entries.keys().chain(theirs.entries.keys()).collect();
        for path in paths {
            let mut tell = |what: &'static str, detail: String| {
                out.push(Difference { what, path: path.clone(), detail });
            };
            match (self.entries.get(path), theirs.entries.get(path)) {
                (Some(ours), Some(theirs)) => {
                    let aspects: BTreeSet<&&str> = ours.keys().chain(theirs.keys()).collect();
                    let same_lines = ours.contains_key(LINES) && ours.get(LINES) == theirs.get(LINES);
                    for aspect in aspects.into_iter().filter(|aspect| **aspect != LINES) {
                        let of = |side: &Aspects| side.get(*aspect).cloned().unwrap_or_default();
                        if of(ours) != of(theirs) {
                            let what = if *aspect == "contents" && same_lines { "order" } else { aspect };
                            tell(what, format!("{} and {}", of(ours), of(theirs)));
                        }
                    }
                }
                (Some(_), None) => tell("ours", String::new()),
                (None, _) => tell("theirs", String::new()),
            }
        }
        out
    }
}

/// Returns a name without a first `./` and a last `/`.
fn plain(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    text.trim_start_matches("./").trim_matches('/').to_owned()
}
