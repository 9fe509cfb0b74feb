//! Fetches files: the only room that reaches a network.
//!
//! URLs, sizes and digests come in; files whose length and SHA-256 are the expected ones go out.
//! A body is cut as soon as it is longer than it may be, a connection that stays silent is given
//! up, one that breaks off is taken up again where it stopped, and several mirrors are tried in
//! turn, in a few rounds. What is wrong rather than broken (not there, another length, another digest) is
//! not asked for twice at the same place. Nothing half-done is ever left under a final name.
//! `file:` URLs are read likewise, and are all that works offline.

mod transfer;

use std::{
    fmt::{self, Write as _},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::formats::digest::{Digest, Hasher};

use transfer::{Body, Reply};

/// Below this a transfer is given up in the long run: a mirror that drips is no better than one
/// that stalls.
const SLOWEST_BYTES_PER_S: u64 = 1000;

/// Patience and habits of a [`Downloader`].
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long a connection may send nothing.
    pub stall_timeout: Duration,
    /// How often each mirror is tried, while its faults are of a passing kind.
    pub rounds: u32,
    /// The pause before the second round, doubled before each further one.
    pub backoff: Duration,
    /// How many files are fetched at a time.
    pub threads: usize,
    /// Reach no network; `file:` URLs still work.
    pub offline: bool,
    /// Go through the proxy that the environment names (`http_proxy` and its kin).
    pub proxies: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            rounds: 3,
            backoff: Duration::from_millis(500),
            threads: 6,
            offline: false,
            proxies: true,
        }
    }
}

/// A file to be fetched, known by length and digest.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is, for errors: `libc6 2.36-9`.
    pub what: String,
    /// Where it may be had, best first.
    pub urls: Vec<String>,
    /// Its exact length.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub digest: Digest,
}

/// What a server said about the version it sent, to ask later whether there is another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The URL that was answered.
    pub url: String,
    /// Its ETag header, or nothing.
    pub etag: String,
    /// Its Last-Modified header, or nothing.
    pub modified: String,
}

/// An answer to a conditional request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
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

/// What one place did wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// 404 or 410, or no such file.
    #[error("it is not there")]
    NotFound,
    /// Another status than was hoped for.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// One redirection after another.
    #[error("it is redirected without end")]
    Redirects,
    /// No connection, be it for the name, the route, or TLS.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// Silence.
    #[error("nothing came for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    /// Not quite silence.
    #[error("it came too slowly")]
    Slow,
    /// The connection ended early.
    #[error("the connection broke off after {0} bytes")]
    CutOff(u64),
    /// Another length than expected.
    #[error("it is {found} bytes long and not {expected}")]
    WrongSize {
        /// As it should be.
        expected: u64,
        /// As the server says.
        found: u64,
    },
    /// More bytes than there may be.
    #[error("it is longer than {0} bytes")]
    TooLong(u64),
    /// Other bytes.
    #[error("its digest is not the expected one\nexpected sha256 {expected}\nfound    sha256 {found}")]
    WrongDigest {
        /// As it should be.
        expected: Digest,
        /// As it is.
        found: Digest,
    },
    /// It came, but whoever asked for it does not accept it.
    #[error("{0}")]
    Refused(Box<dyn std::error::Error + Send + Sync>),
    /// A file of a `file:` URL.
    #[error("cannot read it: {0}")]
    Read(io::Error),
    /// What is neither http, https nor file, or leads out of its mirror.
    #[error("it is no usable URL")]
    Url,
}

impl Fault {
    /// Whether another try at the same place may do better.
    fn may_pass(&self) -> bool {
        match self {
            Fault::Status(status) => *status >= 500 || *status == 429 || *status == 408,
            Fault::Connect(_) | Fault::Stalled(_) | Fault::Slow | Fault::CutOff(_) => true,
            _ => false,
        }
    }
}

/// A file that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Not cached, and the network is not to be used.
    #[error("cannot fetch {what} offline")]
    Offline {
        /// What it was.
        what: String,
    },
    /// No place had it.
    #[error("cannot fetch {what}{}", Places(.faults))]
    Places {
        /// What it was.
        what: String,
        /// Each URL tried and its last fault.
        faults: Vec<(String, Fault)>,
    },
    /// A disk that is full or read-only.
    #[error("cannot write {what} below {}", path.display())]
    Write {
        /// What it was.
        what: String,
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl DownloadError {
    /// Whether every place said that there is no such file.
    pub fn is_gone(&self) -> bool {
        matches!(self, DownloadError::Places { faults, .. }
            if !faults.is_empty() && faults.iter().all(|(_, fault)| matches!(fault, Fault::NotFound)))
    }

    /// Whether the fault is this file's alone, so that others may well be had.
    fn is_of_one_file(&self) -> bool {
        match self {
            DownloadError::Offline { .. } => true,
            DownloadError::Places { faults, .. } => {
                faults.is_empty() || faults.iter().any(|(_, fault)| !fault.may_pass())
            }
            DownloadError::Write { .. } => false,
        }
    }
}

/// Shows where it was looked for, and what was wrong there: at once if there was one place.
struct Places<'a>(&'a [(String, Fault)]);

impl fmt::Display for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str(": there is no place to fetch it from"),
            [(url, fault)] => {
                write!(f, ": {}\n  at {}", indented(fault), without_password(url))
            }
            faults => {
                write!(f, ": none of {} places has it", faults.len())?;
                faults.iter().try_for_each(|(url, fault)| {
                    write!(f, "\n  {}: {}", without_password(url), indented(fault))
                })
            }
        }
    }
}

fn indented(fault: &Fault) -> String {
    fault.to_string().replace('\n', "\n  ")
}

/// Returns a URL without the user name and password that a mirror may want.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}

/// Returns the URL of a path below a base, or `None` for a path that leads elsewhere.
pub fn url_below(base: &str, path: &str) -> Option<String> {
    let wrong = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.split('/').any(wrong) || path.contains(['\0', '\n', '\\']) {
        return None;
    }
    let mut out = format!("{base}/");
    if base.starts_with("file:") {
        return Some(out + path);
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' => {
                out.push(char::from(byte));
            }
            _ => write!(out, "%{byte:02X}").expect("a string takes it"),
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
}

/// A fault of a place, or one that ends it all.
enum Trouble {
    Fault(Fault),
    Disk(io::Error),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Trouble::Fault(fault)
    }
}

impl Downloader {
    /// Makes a downloader; nothing is connected yet.
    pub fn new(options: Options) -> Self {
        Downloader { options, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    /// Whether the network is not to be used.
    pub fn offline(&self) -> bool {
        self.options.offline
    }

    /// Fetches a small file whose digest nobody knows, from the first of the URLs whose answer
    /// passes `check`. An answer is [`Answer::Unchanged`] only at the URL of `known`.
    ///
    /// # Errors
    /// [`DownloadError::Places`], in it what `check` said, and [`DownloadError::Offline`].
    pub fn fetch_small<T>(
        &self,
        what: &str,
        urls: &[String],
        limit_bytes: u64,
        known: Option<&Validators>,
        mut check: impl FnMut(Answer) -> Result<T, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<T, DownloadError> {
        self.in_rounds(what, Path::new(""), urls, |url| {
            let known = known.filter(|known| known.url == url);
            let answer = match self.request(url, 0, known)? {
                Reply::Unchanged => Answer::Unchanged,
                Reply::Body(body) => {
                    let validators = body.validators.clone();
                    Answer::Body { bytes: self.read_all(body, limit_bytes)?, validators }
                }
            };
            Ok(check(answer).map_err(Fault::Refused)?)
        })
    }

    fn read_all(&self, mut body: Body, limit_bytes: u64) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        let end = self.deadline(limit_bytes);
        loop {
            let count = body.read(&mut buffer).map_err(|e| self.read_fault(&e, out.len() as u64))?;
            if count == 0 {
                return Ok(out);
            }
            out.extend_from_slice(&buffer[..count]);
            if out.len() as u64 > limit_bytes {
                return Err(Fault::TooLong(limit_bytes));
            }
            if Instant::now() > end {
                return Err(Fault::Slow);
            }
        }
    }

    /// Fetches one file into a fresh temporary file in `tmp`; `on_bytes` is told how many bytes more
    /// have come, never more than the file has in sum.
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
        let mut partial = Partial { file, hasher: Hasher::new(io::sink()), got: 0, told: 0, pieces: 0 };
        self.in_rounds(&wanted.what, tmp, &wanted.urls, |url| {
            let mut result = self.transfer(wanted, url, &mut partial, on_bytes);
            if matches!(&result, Err(Trouble::Fault(Fault::WrongDigest { .. }))) && partial.pieces > 1 {
                // Pieces of two places, or of two versions of one: only a whole one can be judged.
                partial.restart().map_err(Trouble::Disk)?;
                result = self.transfer(wanted, url, &mut partial, on_bytes);
            }
            if matches!(&result, Err(Trouble::Fault(fault)) if !fault.may_pass()) {
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
        partial: &mut Partial,
        on_bytes: &dyn Fn(u64),
    ) -> Result<(), Trouble> {
        let Reply::Body(mut body) = self.request(url, partial.got, None)? else {
            return Err(Fault::Status(304).into());
        };
        if body.start != partial.got {
            partial.restart().map_err(Trouble::Disk)?;
        }
        partial.pieces += 1;
        let expected = wanted.size_bytes;
        if let Some(found) = body.length.map(|length| body.start.saturating_add(length))
            && found != expected
        {
            return Err(Fault::WrongSize { expected, found }.into());
        }
        let end = self.deadline(expected);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = body.read(&mut buffer).map_err(|e| self.read_fault(&e, partial.got))?;
            if count == 0 {
                break;
            }
            if partial.got + count as u64 > expected {
                return Err(Fault::TooLong(expected).into());
            }
            partial.append(&buffer[..count], on_bytes).map_err(Trouble::Disk)?;
            if Instant::now() > end {
                return Err(Fault::Slow.into());
            }
        }
        if partial.got < expected {
            return Err(Fault::CutOff(partial.got).into());
        }
        partial.file.flush().map_err(Trouble::Disk)?;
        let found = partial.digest();
        let expected = wanted.digest;
        if found == expected { Ok(()) } else { Err(Fault::WrongDigest { expected, found }.into()) }
    }

    fn deadline(&self, size_bytes: u64) -> Instant {
        let patience = self.options.stall_timeout * 4 + Duration::from_secs(size_bytes / SLOWEST_BYTES_PER_S);
        Instant::now() + patience
    }

    /// Fetches files side by side, the largest first, and renames each to its place. Faults of
    /// single files do not keep the others; any other fault ends the work soon. Returns the faults
    /// with their place among what was wanted, in that order.
    pub fn fetch_all(
        &self,
        wanted: &[(Wanted, PathBuf)],
        tmp: &Path,
        on_bytes: &(dyn Fn(u64) + Sync),
    ) -> Vec<(usize, DownloadError)> {
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(wanted[index].0.size_bytes));
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let errors = Mutex::new(Vec::new());
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                let (wanted, to) = &wanted[index];
                let done = self.fetch(wanted, tmp, on_bytes).and_then(|file| {
                    let what = wanted.what.clone();
                    let write = |e: tempfile::PersistError| e.error;
                    let disk = |source| DownloadError::Write { what, path: to.clone(), source };
                    file.persist(to).map(drop).map_err(write).map_err(disk)
                });
                if let Err(error) = done {
                    if !error.is_of_one_file() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    errors.lock().expect("no panic holds the lock").push((index, error));
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.options.threads.clamp(1, wanted.len().max(1)) {
                scope.spawn(work);
            }
        });
        let mut errors = errors.into_inner().expect("no panic holds the lock");
        errors.sort_by_key(|(index, _)| *index);
        errors
    }

    /// Tries places in turn, and those with passing faults again after a pause.
    fn in_rounds<T>(
        &self,
        what: &str,
        path: &Path,
        urls: &[String],
        mut attempt: impl FnMut(&str) -> Result<T, Trouble>,
    ) -> Result<T, DownloadError> {
        let usable = |url: &&String| !self.options.offline || url.starts_with("file:");
        let mut places: Vec<(&String, Option<Fault>)> =
            urls.iter().filter(usable).map(|url| (url, None)).collect();
        if places.is_empty() && !urls.is_empty() {
            return Err(DownloadError::Offline { what: what.into() });
        }
        for round in 0..self.options.rounds.max(1) {
            let again = |fault: &Option<Fault>| fault.as_ref().is_none_or(Fault::may_pass);
            if round > 0 && places.iter().any(|(_, fault)| again(fault)) {
                thread::sleep(self.options.backoff * (1 << (round - 1).min(8)));
            }
            for (url, fault) in places.iter_mut().filter(|(_, fault)| again(fault)) {
                match attempt(url) {
                    Ok(value) => return Ok(value),
                    Err(Trouble::Fault(found)) => *fault = Some(found),
                    Err(Trouble::Disk(source)) => {
                        return Err(DownloadError::Write { what: what.into(), path: path.into(), source });
                    }
                }
            }
        }
        let faults = places.into_iter().filter_map(|(url, fault)| Some((url.clone(), fault?))).collect();
        Err(DownloadError::Places { what: what.into(), faults })
    }
}

/// A transfer as far as it has come.
struct Partial {
    file: tempfile::NamedTempFile,
    hasher: Hasher<io::Sink>,
    got: u64,
    told: u64,
    pieces: u32,
}

impl Partial {
    fn restart(&mut self) -> io::Result<()> {
        self.hasher = Hasher::new(io::sink());
        (self.got, self.pieces) = (0, 0);
        self.file.as_file_mut().set_len(0)?;
        self.file.as_file_mut().rewind()
    }

    fn append(&mut self, bytes: &[u8], on_bytes: &dyn Fn(u64)) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.write_all(bytes)?;
        self.got += bytes.len() as u64;
        if self.got > self.told {
            on_bytes(self.got - self.told);
            self.told = self.got;
        }
        Ok(())
    }

    fn digest(&mut self) -> Digest {
        std::mem::replace(&mut self.hasher, Hasher::new(io::sink())).finish().0
    }
}

#[cfg(test)]
mod tests;
