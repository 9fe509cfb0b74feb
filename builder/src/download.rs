//! Fetches files: the only room that reaches a network.
//!
//! URLs, lengths and checksums come in; files that have these go out.
//! A body is cut as soon as it is longer than it may be, a connection that stays silent is given
//! up, one that breaks off is taken up again where it stopped, and several mirrors are tried in
//! turn, for about a minute a file (see `patience`). Nothing half-done is ever left under a final name.
//! `file:` URLs are read likewise, and are all that works offline.

mod address;
mod described;
mod error;
mod objects;
mod pace;
mod partial;
mod patience;
mod proxies;
pub mod registry;
mod retry_after;
mod transfer;

use std::{
    fmt::Write as _,
    fs::Permissions,
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{formats::checksum::Checksum, progress::Progress, threads};

use partial::Partial;
use patience::{FileUrl, Known, Manner};
use transfer::{Body, Reply, Request, begins_as_page};

#[cfg(feature = "testing")]
pub(crate) use transfer::read_headers;

pub(crate) use address::without_password;
pub(crate) use described::describe;
pub use error::{DownloadError, LOGIN_HINT, MirrorFault, PROXY_HINT, Refusal};
pub use objects::{ObjectError, Objects};
pub use patience::{Clock, Patience, RealClock};
pub use proxies::{Proxies, Via};

/// The slowest mirror that is waited for.
const SLOWEST_BYTES_PER_S: u64 = 1000;

/// Patience and habits of a [`Downloader`].
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long a connection may send nothing.
    pub stall_timeout: Duration,
    /// The slowest that is waited for, measured anew for each stall timeout.
    pub slowest_bytes_per_s: u64,
    /// How long passing faults are waited out.
    pub patience: Patience,
    /// The clock for pauses.
    pub clock: Arc<dyn Clock>,
    /// Where waits are shown.
    pub progress: Progress,
    /// How many files are fetched at a time.
    pub threads: usize,
    /// Reach no network; `file:` URLs still work.
    pub offline: bool,
    /// The proxies to go through.
    pub proxies: Proxies,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(20),
            slowest_bytes_per_s: SLOWEST_BYTES_PER_S,
            patience: Patience::default(),
            clock: Arc::new(RealClock::start()),
            progress: Progress::silent(),
            threads: 6,
            offline: false,
            proxies: Proxies::default(),
        }
    }
}

/// A file to be fetched, known by its checksum.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name in errors: `libc6 2.36-9`.
    pub what: String,
    /// Where it may be had, best first.
    pub urls: Vec<String>,
    /// Its location at a service of past states, tried once none of the others is left.
    pub past: Vec<String>,
    /// How long it is.
    pub length: Length,
    /// Its digest.
    pub checksum: Checksum,
    /// Its permission bits, once it is in its place.
    pub mode: u32,
}

impl Wanted {
    /// The mode of files for our own user alone, as in the store.
    pub const OWN: u32 = 0o600;
}

/// The known length of a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// All.
    Exactly(u64),
    /// An upper bound; more is refused.
    AtMost(u64),
}

impl Length {
    /// Returns the most that it may be.
    pub fn limit(self) -> u64 {
        match self {
            Length::Exactly(bytes) | Length::AtMost(bytes) => bytes,
        }
    }
}

/// The validators of the version that a server sent, for later conditional requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The URL whose server sent the response.
    pub url: String,
    /// Its ETag header, or nothing.
    pub etag: String,
    /// Its Last-Modified header, or nothing.
    pub modified: String,
}

/// The response to a conditional request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conditional {
    /// The version known is still the present one.
    Unchanged,
    /// Another version.
    Body {
        /// All of it.
        bytes: Vec<u8>,
        /// For the next time.
        validators: Validators,
    },
}

/// Returns the URL of a path below a base, or `None` for a path that points elsewhere.
///
/// It is escaped as apt escapes it: `+`, `~`, blanks and `%` too, and with small hex digits. `%2b` for `+`
/// matters to servers that read a plus as a blank, as S3 does. (apt's `pkgAcquire::URIEncode`.)
pub fn url_below(base: &str, path: &str) -> Option<String> {
    let wrong = |part: &str| part == "." || part == "..";
    if path.is_empty() || path.starts_with('/') || path.split('/').any(wrong) {
        return None;
    }
    if path.contains(['\0', '\n', '\\']) {
        return None;
    }
    let mut out = format!("{base}/");
    if base.starts_with("file:") {
        return Some(out + path);
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            // The characters of a path by RFC 3986, section 3.3.
            _ if b"-._/!$&'()*,;=:@".contains(&byte) => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02x}").expect("a string takes it"),
        }
    }
    Some(out)
}

/// Fetches files.
#[derive(Debug)]
pub struct Downloader {
    options: Options,
    /// Made at first use, since most runs need none: without TLS, and with the host's certificates.
    plain: OnceLock<reqwest::blocking::Client>,
    secure: OnceLock<reqwest::blocking::Client>,
    known: Known,
    /// What requests to a registry carry.
    access: Mutex<Option<registry::Access>>,
}

/// A fault of a place, or one that ends it all.
enum Trouble {
    MirrorFault(MirrorFault),
    Disk(io::Error),
}

impl From<MirrorFault> for Trouble {
    fn from(fault: MirrorFault) -> Self {
        Trouble::MirrorFault(fault)
    }
}

impl Downloader {
    /// Makes a downloader; nothing is connected yet.
    pub fn new(options: Options) -> Self {
        Downloader {
            options,
            plain: OnceLock::new(),
            secure: OnceLock::new(),
            known: Known::default(),
            access: Mutex::default(),
        }
    }

    /// Returns how many files are fetched at a time.
    pub fn threads(&self) -> usize {
        self.options.threads
    }

    /// Whether the network is not to be used.
    pub fn offline(&self) -> bool {
        self.options.offline
    }

    /// Fetches a small file without a known digest, from the first of the URLs whose response
    /// passes `check`. A response is [`Conditional::Unchanged`] only at the URL of `known`.
    ///
    /// # Errors
    /// [`DownloadError::Places`], in it what `check` said, and [`DownloadError::Offline`].
    pub fn fetch_small<T>(
        &self,
        what: &str,
        urls: &[String],
        limit_bytes: u64,
        known: Option<&Validators>,
        mut check: impl FnMut(Conditional) -> Result<T, Refusal>,
    ) -> Result<T, DownloadError> {
        self.any_place(what, Path::new(""), urls, &[], |url, manner| {
            let known = known.filter(|known| known.url == url);
            let mut is_page = false;
            let answer = match self.request(url, &Request { known, ..Request::new(manner) })? {
                Reply::Unchanged => Conditional::Unchanged,
                Reply::Body(body) => {
                    let validators = body.validators.clone();
                    is_page = body.is_page;
                    let bytes = self.read_all(body, limit_bytes)?;
                    is_page |= begins_as_page(&bytes);
                    Conditional::Body { bytes, validators }
                }
            };
            let checked = check(answer);
            Ok(checked.map_err(|refusal| if is_page { MirrorFault::WebPage } else { refusal.into() })?)
        })
    }

    fn read_all(&self, mut body: Body, limit_bytes: u64) -> Result<Vec<u8>, MirrorFault> {
        let mut out = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        let mut pace = self.pace();
        loop {
            let count = body.read(&mut buffer).map_err(|e| self.read_fault(&e, out.len() as u64))?;
            if count == 0 {
                return Ok(out);
            }
            out.extend_from_slice(&buffer[..count]);
            if out.len() as u64 > limit_bytes {
                return Err(MirrorFault::TooLong(limit_bytes));
            }
            pace.note(count as u64)?;
        }
    }

    /// Fetches one file into a fresh temporary file in `tmp`; `on_bytes` is called with the number of further
    /// bytes have come, never more than the file has in sum.
    ///
    /// # Errors
    /// [`DownloadError`].
    pub fn fetch(
        &self,
        wanted: &Wanted,
        tmp: &Path,
        on_bytes: &dyn Fn(u64),
    ) -> Result<tempfile::NamedTempFile, DownloadError> {
        let disk = |source| DownloadError::Write { what: wanted.what.clone(), path: tmp.into(), source };
        let file = tempfile::Builder::new().prefix("fetch-").tempfile_in(tmp).map_err(disk)?;
        let mut partial = Partial::new(file, wanted.checksum);
        self.any_place(&wanted.what, tmp, &wanted.urls, &wanted.past, |url, manner| {
            let before = partial.told;
            let mut result = self.transfer(wanted, url, manner, &mut partial, on_bytes);
            if matches!(&result, Err(Trouble::MirrorFault(fault)) if fault.is_of_bytes())
                && partial.pieces > 1
            {
                // Pieces of two places, or of two versions of one: only a whole one can be judged.
                partial.restart().map_err(Trouble::Disk)?;
                result = self.transfer(wanted, url, manner, &mut partial, on_bytes);
            }
            manner.brought = partial.told - before;
            if matches!(&result, Err(Trouble::MirrorFault(fault)) if !fault.keeps_pieces()) {
                partial.restart().map_err(Trouble::Disk)?;
            }
            result
        })?;
        Ok(partial.file)
    }

    /// Takes up a transfer where it stands and sees it through to its digest.
    fn transfer(
        &self,
        wanted: &Wanted,
        url: &str,
        manner: &Manner,
        partial: &mut Partial,
        on_bytes: &dyn Fn(u64),
    ) -> Result<(), Trouble> {
        let same = Some(&partial.validators).filter(|validators| validators.url == url);
        let request = Request { from: partial.got, same, ..Request::new(manner) };
        let Reply::Body(mut body) = self.request(url, &request)? else {
            return Err(MirrorFault::Status(304).into());
        };
        if body.start != partial.got {
            partial.restart().map_err(Trouble::Disk)?;
        }
        partial.pieces += 1;
        partial.validators = body.validators.clone();
        match self.receive(wanted, &mut body, partial, on_bytes) {
            Err(Trouble::MirrorFault(fault))
                if fault.is_of_bytes() && (body.is_page || partial.begins_as_page()) =>
            {
                Err(MirrorFault::WebPage.into())
            }
            result => result,
        }
    }

    /// Takes a body to its end, and compares the digest of the whole file.
    fn receive(
        &self,
        wanted: &Wanted,
        body: &mut Body,
        partial: &mut Partial,
        on_bytes: &dyn Fn(u64),
    ) -> Result<(), Trouble> {
        let limit = wanted.length.limit();
        let announced = body.whole;
        let least = match (wanted.length, announced) {
            (Length::Exactly(expected), Some(found)) if found != expected => {
                body.look();
                return Err(MirrorFault::WrongSize { expected, found }.into());
            }
            (Length::Exactly(expected), _) => expected,
            (Length::AtMost(_), announced) => announced.unwrap_or(0),
        };
        let whole = announced.unwrap_or(limit);
        let mut pace = self.pace();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = body.read(&mut buffer).map_err(|e| self.read_fault(&e, partial.got))?;
            if count == 0 {
                break;
            }
            if partial.got + count as u64 > limit {
                return Err(MirrorFault::TooLong(limit).into());
            }
            partial.append(&buffer[..count], on_bytes).map_err(Trouble::Disk)?;
            if partial.got < whole {
                pace.note(count as u64)?;
            }
        }
        if partial.got < least {
            return Err(MirrorFault::CutOff(partial.got).into());
        }
        partial.file.flush().map_err(Trouble::Disk)?;
        let found = partial.checksum();
        let expected = wanted.checksum;
        if found == expected {
            return Ok(());
        }
        Err(MirrorFault::WrongDigest { expected: expected.into(), found: found.into() }.into())
    }

    /// Fetches files side by side, the largest first, and renames each to its place. Faults of
    /// single files do not keep the others; any other fault ends the work soon. Returns the faults
    /// with their place in the list of wanted files, in that order.
    pub fn fetch_all(
        &self,
        wanted: &[(Wanted, PathBuf)],
        tmp: &Path,
        on_bytes: &(dyn Fn(u64) + Sync),
    ) -> Vec<(usize, DownloadError)> {
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(wanted[index].0.length.limit()));
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let errors = Mutex::new(Vec::new());
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                let (wanted, to) = &wanted[index];
                let done = self.fetch(wanted, tmp, on_bytes).and_then(|file| {
                    let what = wanted.what.clone();
                    let disk = |source| DownloadError::Write { what, path: to.clone(), source };
                    let set = file.as_file().set_permissions(Permissions::from_mode(wanted.mode));
                    set.and_then(|()| Ok(file.persist(to).map(drop)?)).map_err(disk)
                });
                if let Err(error) = done {
                    if !error.is_of_one_file() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    errors.lock().expect("no panic holds the lock").push((index, error));
                }
            }
        };
        let count = self.options.threads.clamp(1, wanted.len().max(1));
        threads::on_each(threads::for_downloads(count), work);
        let mut errors = errors.into_inner().expect("no panic holds the lock");
        errors.sort_by_key(|(index, _)| *index);
        errors
    }

    /// Tries places until one has it or all are over.
    fn any_place<T>(
        &self,
        what: &str,
        path: &Path,
        urls: &[String],
        past: &[String],
        mut attempt: impl FnMut(&str, &mut Manner) -> Result<T, Trouble>,
    ) -> Result<T, DownloadError> {
        let usable = |url: &&String| !self.options.offline || url.starts_with("file:");
        let all = urls.iter().map(|url| (url, false)).chain(past.iter().map(|url| (url, true)));
        let mut places: Vec<FileUrl<'_>> =
            all.filter(|(url, _)| usable(url)).map(|(url, past)| FileUrl::new(url, past)).collect();
        let is_offline = places.len() < urls.len() + past.len();
        let several = places.len() > 1;
        while let Some(index) = self.next_place(&mut places) {
            let place = &mut places[index];
            self.wait_for(place);
            let _turn = self.known.turn(place.past);
            let (began, mut manner) = (self.options.clock.now(), place.manner());
            match attempt(place.url, &mut manner) {
                Ok(value) => {
                    self.note_whole(place.url);
                    return Ok(value);
                }
                Err(Trouble::MirrorFault(fault)) => {
                    if fault.is_of_bytes() && place.url.starts_with("file:") && several {
                        let path = place.url.trim_start_matches("file:");
                        self.options.progress.warn(&format!("{path} is damaged; it is passed over"));
                    }
                    self.note_fault(place, fault, began, manner.brought);
                }
                Err(Trouble::Disk(source)) => {
                    return Err(DownloadError::Write { what: what.into(), path: path.into(), source });
                }
            }
        }
        let faults: Vec<(String, MirrorFault)> =
            places.into_iter().filter_map(|place| Some((place.url.to_owned(), place.fault?))).collect();
        match is_offline {
            true => Err(DownloadError::Offline { what: what.into(), faults }),
            false => Err(DownloadError::Places { what: what.into(), faults }),
        }
    }
}

#[cfg(test)]
mod tests;
