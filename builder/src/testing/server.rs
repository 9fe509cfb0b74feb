//! Serves a directory on the loopback, and misbehaves on request.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::listener::Listener;
use crate::digest::Digest;

/// How a request is answered wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// With another status and no body.
    Status(u16),
    /// The same, with the header Retry-After.
    Busy(u16, String),
    /// With a closed connection and no response.
    HangUp,
    /// With so many bytes, then silence.
    Stall(usize),
    /// With so many bytes of those announced, then a closed connection.
    CutOff(usize),
    /// With so many bytes, as if they were all.
    Short(usize),
    /// With the first byte changed.
    WrongBytes,
    /// The same, but to a request that wants nothing from a cache (Cache-Control).
    WrongInCache,
    /// With what is asked for, followed by zeros that never end.
    Endless,
    /// From the start although a later part was asked for.
    NoRanges,
    /// With a part that begins elsewhere, as its header says.
    OtherPart,
    /// With a byte every few milliseconds.
    Drip,
    /// With a page of this type in place of all that is asked for.
    Page(String, String),
    /// With a redirection to another URL.
    Redirect(String),
}

/// A request, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The path below the server's URL, without a leading slash, decoded.
    pub path: String,
    /// The same as it came, without a leading slash.
    pub escaped: String,
    /// The host that it is meant for, where this server is asked as a proxy; or nothing.
    pub host: String,
    /// The Range header, or nothing.
    pub range: String,
    /// The If-Range header, or nothing.
    pub if_range: String,
    /// Whether it asked for a changed version only.
    pub conditional: bool,
    /// Whether it wants nothing from a cache.
    pub fresh: bool,
    /// What is to be done: `GET`, `HEAD` or `PUT`.
    pub method: String,
    /// The Authorization header, or nothing.
    pub authorization: String,
}

#[derive(Debug)]
struct State {
    directory: PathBuf,
    /// By path, `*` for all; how often still.
    faults: Mutex<HashMap<String, (Fault, usize)>>,
    every: Mutex<Option<Every>>,
    requests: Mutex<Vec<Request>>,
    stop: Arc<AtomicBool>,
    plus_is_blank: AtomicBool,
    no_ranges: AtomicBool,
    /// The Authorization header with which files are taken; none are, without.
    takes: Mutex<Option<String>>,
}

/// The fault of one of each so many requests of a path.
#[derive(Debug)]
struct Every {
    fault: Fault,
    requests: usize,
    /// Where each path stands in that.
    counts: HashMap<String, usize>,
}

/// A server, until it is dropped.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    state: Arc<State>,
}

impl Server {
    /// Serves a directory at a free port.
    pub fn start(directory: &Path) -> Self {
        let state = Arc::new(State {
            directory: directory.into(),
            faults: Mutex::default(),
            every: Mutex::default(),
            requests: Mutex::default(),
            stop: Arc::default(),
            plus_is_blank: AtomicBool::new(false),
            no_ranges: AtomicBool::new(false),
            takes: Mutex::default(),
        });
        let shared = state.clone();
        let listener = Listener::start(&state.stop, move |stream| shared.answer(stream));
        Server { listener, state }
    }

    /// Returns the base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address)
    }

    /// Answers all requests for a path wrongly; `*` stands for every path without a fault of its own.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.fault_times(path, fault, usize::MAX);
    }

    /// Answers the next so many requests for a path wrongly.
    pub fn fault_times(&self, path: &str, fault: Fault, times: usize) {
        self.state.faults.lock().expect("no panic holds the lock").insert(path.into(), (fault, times));
    }

    /// Answers one of each so many requests for a path wrongly, where no other fault was set. Paths begin at
    /// different places, so that of all requests as many are answered wrongly, and none for one file over and
    /// over.
    pub fn fault_every(&self, count: usize, fault: Fault) {
        let every = Every { fault, requests: count, counts: HashMap::new() };
        *self.state.every.lock().expect("no panic holds the lock") = Some(every);
    }

    /// Reads `+` in a path as a blank from now on, as S3 does.
    pub fn read_plus_as_blank(&self) {
        self.state.plus_is_blank.store(true, Ordering::Relaxed);
    }

    /// Takes files by PUT from now on, from those who send this Authorization header.
    pub fn take(&self, authorization: &str) {
        *self.state.takes.lock().expect("no panic holds the lock") = Some(authorization.into());
    }

    /// Sends all of a file from now on, whatever part is asked for.
    pub fn no_ranges(&self) {
        self.state.no_ranges.store(true, Ordering::Relaxed);
    }

    /// Answers everything rightly again.
    pub fn heal(&self) {
        self.state.faults.lock().expect("no panic holds the lock").clear();
        self.state.every.lock().expect("no panic holds the lock").take();
    }

    /// Returns the requests since the last call.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.requests.lock().expect("no panic holds the lock"))
    }
}

impl State {
    fn next_fault(&self, path: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("no panic holds the lock");
        let key = if faults.contains_key(path) { path } else { "*" };
        let Some((fault, times)) = faults.get_mut(key) else {
            let mut every = self.every.lock().expect("no panic holds the lock");
            let Every { fault, requests, counts } = every.as_mut()?;
            let begin = counts.len();
            let count = counts.entry(path.into()).or_insert(begin);
            *count += 1;
            return (*count % *requests == 0).then(|| fault.clone());
        };
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            faults.remove(key);
        }
        Some(fault)
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut lines = reader.by_ref().lines();
        let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let method = first.split(' ').next().unwrap_or_default().to_owned();
        let target = first.split(' ').nth(1).unwrap_or_default();
        let (host, target) = match target.strip_prefix("http://") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", target),
        };
        let escaped = target.trim_start_matches('/');
        let path = match self.plus_is_blank.load(Ordering::Relaxed) {
            true => decode(&escaped.replace('+', " ")),
            false => decode(escaped),
        };
        let mut headers = HashMap::new();
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let known = headers.get("if-none-match").cloned().unwrap_or_default();
        let range = headers.get("range").cloned().unwrap_or_default();
        let if_range = headers.get("if-range").cloned().unwrap_or_default();
        let authorization = headers.get("authorization").cloned().unwrap_or_default();
        let fresh = headers.get("cache-control").is_some_and(|value| value == "no-cache");
        self.requests.lock().expect("no panic holds the lock").push(Request {
            path: path.clone(),
            escaped: escaped.into(),
            host: host.into(),
            range: range.clone(),
            if_range: if_range.clone(),
            conditional: !known.is_empty(),
            fresh,
            method: method.clone(),
            authorization: authorization.clone(),
        });
        let fault = match self.next_fault(&path) {
            Some(Fault::WrongInCache) => (!fresh).then_some(Fault::WrongBytes),
            fault => fault,
        };
        let inside = !path.split('/').any(|part| part == "..");
        if method == "PUT" {
            let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let mut body = Vec::new();
            reader.take(length).read_to_end(&mut body)?;
            return self.keep(stream, fault, &path, &body, &authorization);
        }
        let bytes = fs::read(self.directory.join(&path)).ok().filter(|_| inside);
        let tag = bytes.as_ref().map(|bytes| tag(bytes)).unwrap_or_default();
        let is_same = if_range.is_empty() || if_range == tag;
        let range = if is_same && !self.no_ranges.load(Ordering::Relaxed) { range } else { String::new() };
        if method == "HEAD" && fault.is_none() {
            let status = if bytes.is_some() { "200 OK" } else { "404 Not Found" };
            let length = bytes.map_or(0, |bytes| bytes.len());
            let mut out = stream;
            return write!(out, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        }
        self.reply(stream, fault, bytes, &range, &known)
    }

    /// Keeps a file that was sent.
    fn keep(
        &self,
        mut out: &TcpStream,
        fault: Option<Fault>,
        path: &str,
        body: &[u8],
        authorization: &str,
    ) -> io::Result<()> {
        let takes = self.takes.lock().expect("no panic holds the lock").clone();
        let is_inside = !path.split('/').any(|part| part == "..");
        let status = match (fault, takes) {
            (Some(Fault::Status(status)), _) => status,
            (Some(Fault::HangUp), _) => return Ok(()),
            (_, None) => 405,
            (_, Some(wanted)) if wanted != authorization => 401,
            _ if !is_inside => 403,
            _ => {
                let place = self.directory.join(path);
                fs::create_dir_all(place.parent().unwrap_or(&self.directory))?;
                let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
                file.write_all(body)?;
                file.persist(place)?;
                201
            }
        };
        write!(out, "HTTP/1.1 {status} Made\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }

    fn reply(
        &self,
        mut out: &TcpStream,
        fault: Option<Fault>,
        bytes: Option<Vec<u8>>,
        range: &str,
        known: &str,
    ) -> io::Result<()> {
        let end = "Connection: close\r\n\r\n";
        match &fault {
            Some(Fault::Status(status)) => {
                return write!(out, "HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\n{end}");
            }
            Some(Fault::Busy(status, pause)) => {
                let head = format!("HTTP/1.1 {status} Busy\r\nRetry-After: {pause}");
                return write!(out, "{head}\r\nContent-Length: 0\r\n{end}");
            }
            Some(Fault::HangUp) => return Ok(()),
            Some(Fault::Page(kind, text)) => {
                let length = text.len();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}");
                return write!(out, "{head}\r\n{end}{text}");
            }
            Some(Fault::Redirect(url)) => {
                let head = "HTTP/1.1 302 Found\r\nContent-Length: 0";
                return write!(out, "{head}\r\nLocation: {url}\r\n{end}");
            }
            _ => {}
        }
        let Some(mut bytes) = bytes else {
            return write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n{end}");
        };
        let tag = tag(&bytes);
        if tag == known {
            return write!(out, "HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\n{end}");
        }
        let start = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse().ok());
        let start = start.filter(|_| fault != Some(Fault::NoRanges)).unwrap_or(0);
        let whole = bytes.len();
        if start > 0 && start >= whole {
            return write!(out, "HTTP/1.1 416 Range\r\nContent-Length: 0\r\n{end}");
        }
        bytes.drain(..start);
        match &fault {
            Some(Fault::WrongBytes) if !bytes.is_empty() => bytes[0] ^= 1,
            Some(Fault::Short(length)) => bytes.truncate(*length),
            _ => {}
        }
        let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
        write!(out, "HTTP/1.1 {status}\r\nETag: {tag}\r\n")?;
        if start > 0 {
            let said = start - usize::from(fault == Some(Fault::OtherPart));
            write!(out, "Content-Range: bytes {said}-{}/{whole}\r\n", whole - 1)?;
        }
        if fault != Some(Fault::Endless) {
            write!(out, "Content-Length: {}\r\n", bytes.len())?;
        }
        write!(out, "{end}")?;
        match fault {
            Some(Fault::CutOff(length)) => out.write_all(&bytes[..length.min(bytes.len())]),
            Some(Fault::Stall(length)) => {
                out.write_all(&bytes[..length.min(bytes.len())])?;
                while !self.stop.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(20));
                }
                Ok(())
            }
            Some(Fault::Drip) => bytes.iter().try_for_each(|byte| {
                thread::sleep(Duration::from_millis(10));
                out.write_all(&[*byte])
            }),
            Some(Fault::Endless) => {
                out.write_all(&bytes)?;
                // Until the client has had enough.
                while !self.stop.load(Ordering::Relaxed) {
                    out.write_all(&[0; 4096])?;
                }
                Ok(())
            }
            _ => out.write_all(&bytes),
        }
    }
}

/// Returns the ETag of contents.
fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", Digest::of(bytes))
}

/// Undoes percent-encoding.
fn decode(path: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).unwrap_or(0);
        out.push(if byte == b'%' { u8::try_from(digit() * 16 + digit()).expect("two digits") } else { byte });
    }
    String::from_utf8_lossy(&out).into_owned()
}
