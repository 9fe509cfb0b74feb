//! What a Release file says, after its signature was found good.
//!
//! `debian-packaging` reads the fields and the list of files. It verifies nothing by itself; so it
//! gets text that `keyring` has verified, and only SHA-256 entries of exactly the paths asked for
//! are looked at. What Date and Valid-Until mean is decided here.

use debian_packaging::{
    io::ContentDigest,
    repository::release::{ChecksumType, ReleaseFile, ReleaseFileEntry},
};

use super::{day, keyring::CLOCK_LEEWAY_S};
use crate::formats::digest::Digest;

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
        let wrong = |e: &dyn std::fmt::Display| ReleaseError::Parse(e.to_string());
        let file = ReleaseFile::from_reader(text.as_bytes()).map_err(|e| wrong(&e))?;
        let date = file.date().ok_or_else(|| wrong(&"it has no Date"))?.map_err(|e| wrong(&e))?;
        let until = file.valid_until().transpose().map_err(|e| wrong(&e))?;
        let names = [file.codename(), file.suite()].into_iter().flatten().map(str::to_owned).collect();
        let has_word = |field: &str, word: &str| {
            file.field_str(field).is_some_and(|value| value.split_whitespace().any(|known| known == word))
        };
        Ok(Release {
            date_s: date.timestamp(),
            valid_until_s: until.map(|until| until.timestamp()),
            not_automatic: file.not_automatic().unwrap_or(false),
            but_automatic_upgrades: file.but_automatic_upgrades().unwrap_or(false),
            names,
            indexes: list_indexes(&file).map_err(|e| wrong(&e))?,
            all_is_apart: has_word("Architectures", "all")
                && !has_word("No-Support-for-Architecture-all", "Packages"),
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

/// Returns all Packages indexes for programs, in the order of components and architectures in the
/// file's list.
fn list_indexes(file: &ReleaseFile<'_>) -> Result<Vec<ListedIndex>, debian_packaging::error::DebianError> {
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
