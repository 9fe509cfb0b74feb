//! The list of files in a Release file, by SHA-256 or, where there is no such list, by SHA-512.
//!
//! Each line must be well formed, and a path of a Packages index stay below its suite. Only Packages indexes
//! are gone by, of which the archive requests some by their exact paths.

use crate::formats::{
    checksum::Checksum,
    deb822::{Fault, Field},
};

/// How an index file is compressed, the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Xz,
    Zstd,
    Bzip2,
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
    pub(super) checksum: Checksum,
}

/// A Packages index as the Release file lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedIndex {
    /// Empty for an index beside its Release file, as is the architecture.
    pub(super) component: String,
    pub(super) architecture: String,
    /// The form to fetch: the smallest that is there.
    pub(super) form: Form,
    pub(super) fetched: ListedFile,
    /// The uncompressed text. Most archives list it even where they do not have it as a file.
    pub(super) plain: Option<ListedFile>,
}

/// The longest index that is believed: what one adds up to cannot overflow.
pub(super) const MOST_BYTES: u64 = 1 << 40;

/// Checks each line of a list of files.
pub(super) fn check_list(list: &Field<'_>) -> Result<(), Fault> {
    for (number, line) in
        (list.line..).zip(list.value.split('\n')).filter(|(_, line)| !line.trim().is_empty())
    {
        read_line(line, list.name).map_err(|reason| Fault::new(number, reason))?;
    }
    Ok(())
}

/// Reads a line of a list: digest, length, path.
fn read_line<'a>(line: &'a str, kind: &str) -> Result<(Checksum, u64, &'a str), String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [digest, size, path] = words[..] else { return Err("is not a digest, a length and a path".into()) };
    let checksum = digest.parse::<Checksum>().ok();
    let checksum = checksum.filter(|checksum| checksum.algorithm().eq_ignore_ascii_case(kind));
    let checksum = checksum.ok_or_else(|| format!("has no {kind} digest"))?;
    let size_bytes: u64 = size.parse().map_err(|_| "has no length")?;
    let path = path.strip_prefix("./").unwrap_or(path);
    if packages_index(path).is_some() {
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!("the path {path} does not stay below its suite"));
        }
        if size_bytes > MOST_BYTES {
            return Err(format!("{path} cannot be of {size_bytes} bytes"));
        }
    }
    Ok((checksum, size_bytes, path))
}

/// Returns all Packages indexes for programs, in the order of components and architectures in the list that
/// counts.
pub(super) fn list_indexes(
    sha256: Option<&Field<'_>>,
    sha512: Option<&Field<'_>>,
    by_hash: bool,
) -> Vec<ListedIndex> {
    let mut lists = [sha256, sha512].into_iter().flatten().map(|list| indexes_of(list, by_hash));
    lists.find(|indexes| !indexes.is_empty()).unwrap_or_default()
}

fn indexes_of(list: &Field<'_>, by_hash: bool) -> Vec<ListedIndex> {
    let mut out: Vec<ListedIndex> = Vec::new();
    for line in list.value.split('\n') {
        let Ok((checksum, size_bytes, path)) = read_line(line, list.name) else { continue };
        let Some((component, architecture, form)) = packages_index(path) else { continue };
        let directory = path.rsplit_once('/').map_or(String::new(), |(directory, _)| format!("{directory}/"));
        let kind = checksum.algorithm().to_ascii_uppercase();
        let by_hash = by_hash.then(|| format!("{directory}by-hash/{kind}/{}", checksum.hex()));
        let listed = ListedFile { path: path.into(), by_hash, size_bytes, checksum };
        let plain = (form == Form::Plain).then(|| listed.clone());
        let same =
            |known: &&mut ListedIndex| known.component == component && known.architecture == architecture;
        match out.iter_mut().find(same) {
            Some(known) => {
                known.plain = known.plain.take().or(plain);
                if form < known.form {
                    (known.form, known.fetched) = (form, listed);
                }
            }
            None => out.push(ListedIndex {
                component: component.into(),
                architecture: architecture.into(),
                form,
                plain,
                fetched: listed,
            }),
        }
    }
    out
}

/// Returns component, architecture and form of a path such as `main/binary-amd64/Packages.xz`, or of an index
/// beside its Release file, without the two first; `None` for all others, those for Debian's installer among
/// them.
fn packages_index(path: &str) -> Option<(&str, &str, Form)> {
    let (directory, name) =
        path.rsplit_once('/').map_or((None, path), |(directory, name)| (Some(directory), name));
    let form = match name {
        "Packages" => Form::Plain,
        "Packages.xz" => Form::Xz,
        "Packages.zst" => Form::Zstd,
        "Packages.bz2" => Form::Bzip2,
        "Packages.gz" => Form::Gzip,
        _ => return None,
    };
    let Some(directory) = directory else { return Some(("", "", form)) };
    let (component, architecture) = directory.rsplit_once('/')?;
    let installer = component.split('/').any(|part| part == "debian-installer");
    Some((component, architecture.strip_prefix("binary-")?, form)).filter(|_| !installer)
}
