//! What a Release file says, after its signature was found good.
//!
//! Nothing is verified here: the text comes from `keyring`. `debian-packaging` reads the fields and the list of files, after
//! `Fields` has made sure of what it lets pass: each line of the list must be well formed, a path stay below its suite, a
//! field not stand there twice, since others may go by the one that we do not. Only Packages indexes are gone by, of which
//! the archive asks for some by their exact paths. (Format: Debian's wiki, DebianRepository/Format.)

use debian_packaging::{
    error::DebianError,
    io::ContentDigest,
    repository::release::{ChecksumType, ReleaseFile, ReleaseFileEntry},
};

use super::{day, keyring::CLOCK_LEEWAY_S};
use crate::formats::{
    deb822::{Fault, Field, Item, Reader},
    digest::Digest,
};

/// A Release file that one should not go by, though its signature is good.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It cannot be read.
    #[error("its Release file is not as it should be: {0}")]
    Parse(String),
    /// Another suite than asked for.
    #[error("it is the suite '{found}' and not '{asked}'")]
    WrongSuite {
        /// As asked.
        asked: String,
        /// As it calls itself.
        found: String,
    },
    /// From the future: the clock is wrong, here or there.
    #[error("it was made on {date}, but the clock of this host says {today}")]
    Future {
        /// Its Date.
        date: String,
        /// The clock.
        today: String,
    },
    /// Out of date: a mirror that is no longer updated, or one that hides updates.
    #[error("it was valid until {until} only, and the clock of this host says {today}")]
    Expired {
        /// Its Valid-Until.
        until: String,
        /// The clock.
        today: String,
    },
    /// Older than what was seen before.
    #[error("it is of {found}, older than the one of {known} that was fetched before")]
    Replayed {
        /// Its Date.
        found: String,
        /// The Date of the one in the cache.
        known: String,
    },
}

/// How an index file is compressed, the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Xz,
    Zstd,
    Gzip,
    Plain,
}

/// A file of the archive, known by length and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedFile {
    /// Below the suite's directory.
    pub(super) path: String,
    /// The same file by its digest; what stays right while an archive is being changed.
    pub(super) by_hash: Option<String>,
    pub(super) size_bytes: u64,
    pub(super) digest: Digest,
}

/// A Packages index as the Release file lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedIndex {
    pub(super) component: String,
    pub(super) architecture: String,
    /// The form to fetch: the smallest that is there.
    pub(super) form: Form,
    pub(super) fetched: ListedFile,
    /// The uncompressed text. Archives list it even where they do not have it as a file.
    pub(super) plain: ListedFile,
}

/// A Release file, read.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) date_s: i64,
    pub(super) valid_until_s: Option<i64>,
    pub(super) not_automatic: bool,
    pub(super) but_automatic_upgrades: bool,
    names: Vec<String>,
    indexes: Vec<ListedIndex>,
    /// Whether packages for all architectures are in an index of their own only. Debian lists one as well,
    /// but it repeats what the others have (and its security archive does not even serve it).
    all_is_apart: bool,
}

impl Release {
    /// Reads a verified text.
    pub(super) fn parse(text: &str) -> Result<Self, ReleaseError> {
        let wrong = |fault: Fault| ReleaseError::Parse(fault.to_string());
        let unread = |e: DebianError| ReleaseError::Parse(e.to_string());
        let fields = Fields::read(text).map_err(wrong)?;
        fields.check_list().map_err(wrong)?;
        let file = ReleaseFile::from_reader(text.as_bytes()).map_err(unread)?;
        let no_time = |name: &str| wrong(Fault::new(fields.line(name), format!("{name} is no time")));
        let date = file.date().ok_or_else(|| ReleaseError::Parse("it has no Date".into()))?;
        let until = file.valid_until().transpose().map_err(|_| no_time("Valid-Until"))?;
        Ok(Release {
            date_s: date.map_err(|_| no_time("Date"))?.timestamp(),
            valid_until_s: until.map(|until| until.timestamp()),
            not_automatic: file.not_automatic().unwrap_or(false),
            but_automatic_upgrades: file.but_automatic_upgrades().unwrap_or(false),
            names: [file.codename(), file.suite()].into_iter().flatten().map(str::to_owned).collect(),
            indexes: list_indexes(&file).map_err(unread)?,
            all_is_apart: fields.says("Architectures", "all")
                && !fields.says("No-Support-for-Architecture-all", "Packages"),
        })
    }

    /// Checks that it is the suite asked for and of the present. Offline, an old one has to do.
    pub(super) fn check(&self, asked: &str, now_s: i64, offline: bool) -> Result<(), ReleaseError> {
        if !self.names.iter().any(|name| name == asked) {
            let found = self.names.first().cloned().unwrap_or_default();
            return Err(ReleaseError::WrongSuite { asked: asked.into(), found });
        }
        let today = day(now_s);
        if self.date_s > now_s + CLOCK_LEEWAY_S {
            return Err(ReleaseError::Future { date: day(self.date_s), today });
        }
        match self.valid_until_s {
            Some(until_s) if until_s < now_s && !offline => {
                Err(ReleaseError::Expired { until: day(until_s), today })
            }
            _ => Ok(()),
        }
    }

    /// Returns the indexes of a component for an architecture: with that of `all` where the archive
    /// keeps it apart. Empty if there is none.
    pub(super) fn indexes(&self, component: &str, architecture: &str) -> Vec<&ListedIndex> {
        let wanted = |index: &&ListedIndex| {
            let all = index.architecture == "all" && self.all_is_apart;
            index.component == component && (index.architecture == architecture || all)
        };
        let found: Vec<&ListedIndex> = self.indexes.iter().filter(wanted).collect();
        let native = found.iter().any(|index| index.architecture == architecture);
        if native { found } else { Vec::new() }
    }
}

/// The fields of a Release file.
struct Fields<'a>(Vec<Field<'a>>);

impl<'a> Fields<'a> {
    /// Reads the one stanza of a text.
    fn read(text: &'a str) -> Result<Self, Fault> {
        let mut reader = Reader::new(text);
        let (mut fields, mut is_over) = (Fields(Vec::new()), false);
        while let Some(item) = reader.next_item()? {
            match item {
                Item::End => is_over = true,
                Item::Field(field) if is_over => {
                    return Err(Fault::new(field.line, "begins a second stanza"));
                }
                Item::Field(field) if fields.get(field.name).is_some() => {
                    return Err(Fault::new(field.line, format!("{} stands there twice", field.name)));
                }
                Item::Field(field) => fields.0.push(field),
            }
        }
        if fields.0.is_empty() {
            return Err(Fault::new(1, "no field begins here"));
        }
        Ok(fields)
    }

    fn get(&self, name: &str) -> Option<&Field<'a>> {
        self.0.iter().find(|field| field.is(name))
    }

    /// Returns whether a field has a word in it.
    fn says(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|field| field.value.split_whitespace().any(|known| known == word))
    }

    /// Returns the line of a field.
    fn line(&self, name: &str) -> usize {
        self.get(name).map_or(1, |field| field.line)
    }

    /// Checks each line of the list of files.
    fn check_list(&self) -> Result<(), Fault> {
        let Some(list) = self.get("SHA256") else { return Ok(()) };
        for (number, line) in
            (list.line..).zip(list.value.split('\n')).filter(|(_, line)| !line.trim().is_empty())
        {
            check_listed(line).map_err(|reason| Fault::new(number, reason))?;
        }
        Ok(())
    }
}

/// The longest index that is believed: what one adds up to cannot overflow.
const MOST_BYTES: u64 = 1 << 40;

/// Checks a line of the list: digest, length, path.
fn check_listed(line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [digest, size, path] = words[..] else { return Err("is not a digest, a length and a path".into()) };
    digest.parse::<Digest>().map_err(|_| "has no SHA-256 digest")?;
    let size_bytes: u64 = size.parse().map_err(|_| "has no length")?;
    if packages_index(path).is_none() {
        return Ok(());
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("the path {path} does not stay below its suite"));
    }
    if size_bytes > MOST_BYTES {
        return Err(format!("{path} cannot be of {size_bytes} bytes"));
    }
    Ok(())
}

/// Returns all Packages indexes for programs, in the order of components and architectures in the
/// file's list.
fn list_indexes(file: &ReleaseFile<'_>) -> Result<Vec<ListedIndex>, DebianError> {
    let by_hash = file.acquire_by_hash().unwrap_or(false);
    let mut out: Vec<ListedIndex> = Vec::new();
    let mut plain: Vec<ListedFile> = Vec::new();
    for entry in file.iter_index_files(ChecksumType::Sha256).into_iter().flatten() {
        let entry = entry?;
        let Some((component, architecture, form)) = packages_index(entry.path) else { continue };
        let Some(listed) = listed_file(&entry, by_hash) else { continue };
        if form == Form::Plain {
            plain.push(listed.clone());
        }
        let same =
            |known: &&mut ListedIndex| known.component == component && known.architecture == architecture;
        match out.iter_mut().find(same) {
            Some(known) if form < known.form => (known.form, known.fetched) = (form, listed),
            Some(_) => {}
            None => out.push(ListedIndex {
                component: component.into(),
                architecture: architecture.into(),
                form,
                plain: listed.clone(),
                fetched: listed,
            }),
        }
    }
    // One whose text is not listed could not be checked once it is decompressed.
    out.retain_mut(|index| {
        let path = format!("{}/binary-{}/Packages", index.component, index.architecture);
        let found = plain.iter().find(|file| file.path == path);
        found.inspect(|file| index.plain = (*file).clone()).is_some()
    });
    Ok(out)
}

/// Returns component, architecture and form of a path such as `main/binary-amd64/Packages.xz`; `None`
/// for all others, those for Debian's installer among them.
fn packages_index(path: &str) -> Option<(&str, &str, Form)> {
    let (directory, name) = path.rsplit_once('/')?;
    let (component, architecture) = directory.rsplit_once('/')?;
    let form = match name {
        "Packages" => Form::Plain,
        "Packages.xz" => Form::Xz,
        "Packages.zst" => Form::Zstd,
        "Packages.gz" => Form::Gzip,
        _ => return None,
    };
    let installer = component.split('/').any(|part| part == "debian-installer");
    Some((component, architecture.strip_prefix("binary-")?, form)).filter(|_| !installer)
}

fn listed_file(entry: &ReleaseFileEntry<'_>, by_hash: bool) -> Option<ListedFile> {
    let ContentDigest::Sha256(bytes) = &entry.digest else { return None };
    Some(ListedFile {
        path: entry.path.to_owned(),
        by_hash: by_hash.then(|| entry.by_hash_path()),
        size_bytes: entry.size,
        digest: Digest(bytes.as_slice().try_into().ok()?),
    })
}
