//! A registry of images on the loopback, in memory, that misbehaves on request.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use super::listener::Listener;
use crate::digest::Digest;

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryFault {
    /// With a closed connection, after half of the body was kept.
    Cut,
    /// With the first byte of the contents changed.
    WrongBytes,
    /// With contents that do not end.
    Endless,
    /// With another status and no body.
    Status(u16),
    /// With a redirection, or with this place for an upload.
    Elsewhere(String),
}

/// What a made registry holds, and what was asked of it.
#[derive(Debug, Default)]
struct State {
    blobs: Mutex<HashMap<String, Vec<u8>>>,
    manifests: Mutex<HashMap<String, Vec<u8>>>,
    uploads: Mutex<HashMap<String, Vec<u8>>>,
    /// By the start of `METHOD PATH`; how often still.
    faults: Mutex<Vec<(String, RegistryFault, usize)>>,
    calls: Mutex<Vec<(String, String)>>,
    /// The challenge, and the header that is then wanted.
    wants: Mutex<Option<(String, String)>>,
    /// Whether it lists what refers to an image itself.
    knows_referrers: AtomicBool,
    /// The header `Link` of each page of that list.
    link: Mutex<Option<String>>,
    stop: Arc<AtomicBool>,
}

/// A registry, until it is dropped.
#[derive(Debug)]
pub struct MadeRegistry {
    listener: Listener,
    state: Arc<State>,
}

impl MadeRegistry {
    /// Starts an empty one at a free port.
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let shared = state.clone();
        let listener = Listener::start(&state.stop, move |stream| shared.answer(stream));
        MadeRegistry { listener, state }
    }

    /// Returns its host and port.
    pub fn host(&self) -> String {
        self.listener.address.to_string()
    }

    /// Answers the next so many calls wrongly whose `METHOD PATH` begins so.
    pub fn fault(&self, call: &str, fault: RegistryFault, times: usize) {
        self.state.faults.lock().expect("no panic holds the lock").push((call.into(), fault, times));
    }

    /// Lists what refers to an image from now on.
    pub fn know_referrers(&self) {
        self.state.knows_referrers.store(true, Ordering::Relaxed);
    }

    /// Sends a header `Link` with each page of what refers to an image.
    pub fn lead_on(&self, link: &str) {
        *self.state.link.lock().expect("no panic holds the lock") = Some(link.into());
    }

    /// Puts a manifest there, under its digest and a tag.
    pub fn add_manifest(&self, tag: &str, bytes: &[u8]) {
        let mut manifests = self.state.manifests.lock().expect("no panic holds the lock");
        manifests.insert(name_of(bytes), bytes.into());
        manifests.insert(tag.into(), bytes.into());
    }

    /// Returns a manifest that is there, by a tag or its digest.
    pub fn manifest(&self, name: &str) -> Option<Vec<u8>> {
        self.state.manifests.lock().expect("no panic holds the lock").get(name).cloned()
    }

    /// Wants a header `Authorization` from now on; without it sends a challenge.
    pub fn want(&self, challenge: &str, authorization: &str) {
        *self.state.wants.lock().expect("no panic holds the lock") =
            Some((challenge.into(), authorization.into()));
    }

    /// Puts a blob there.
    pub fn add_blob(&self, bytes: &[u8]) {
        self.state.blobs.lock().expect("no panic holds the lock").insert(name_of(bytes), bytes.into());
    }

    /// Returns a blob that is there.
    pub fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.state.blobs.lock().expect("no panic holds the lock").get(&format!("sha256:{digest}")).cloned()
    }

    /// Returns the calls since the last time: `METHOD PATH`, and the header `Authorization`.
    pub fn calls(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.state.calls.lock().expect("no panic holds the lock"))
    }
}

fn name_of(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

fn respond(mut out: &TcpStream, status: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Made\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !headers.iter().any(|(name, _)| *name == "Content-Length") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    out.write_all(format!("{head}\r\n").as_bytes())?;
    out.write_all(body)
}

impl State {
    fn next_fault(&self, call: &str) -> Option<RegistryFault> {
        let mut faults = self.faults.lock().expect("no panic holds the lock");
        let (_, fault, times) =
            faults.iter_mut().find(|(begin, _, times)| call.starts_with(begin) && *times > 0)?;
        *times -= 1;
        Some(fault.clone())
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let call =
            lines.first().map(|line| line.rsplit_once(' ').map_or("", |(call, _)| call)).unwrap_or_default();
        let header = |name: &str| {
            let found = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
            let mut found = found.filter(|(own, _)| own.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let authorization = header("authorization");
        self.calls.lock().expect("no panic holds the lock").push((call.to_owned(), authorization.clone()));
        let length: u64 = header("content-length").parse().unwrap_or(0);
        let fault = self.next_fault(call);
        let taken = if fault == Some(RegistryFault::Cut) { length / 2 } else { length };
        let mut body = Vec::new();
        reader.take(taken).read_to_end(&mut body)?;
        let wants = self.wants.lock().expect("no panic holds the lock").clone();
        let (method, path) = call.split_once(' ').unwrap_or_default();
        if let Some((challenge, wanted)) =
            wants.filter(|(_, wanted)| path.starts_with("/v2") && *wanted != authorization)
        {
            let _ = wanted;
            return respond(stream, 401, &[("WWW-Authenticate", &challenge)], b"");
        }
        self.reply(stream, method, path, fault, body, &header("range"))
    }

    /// Returns the index of what refers to an image.
    fn referrers(&self, image: &str) -> serde_json::Value {
        let manifests = self.manifests.lock().expect("no panic holds the lock");
        let mut listed = Vec::new();
        for (name, bytes) in manifests.iter().filter(|(name, _)| name.starts_with("sha256:")) {
            let document: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
            if document["subject"]["digest"] == image {
                listed.push(serde_json::json!({
                    "mediaType": document["mediaType"],
                    "digest": name,
                    "size": bytes.len(),
                    "artifactType": document["artifactType"],
                }));
            }
        }
        serde_json::json!({ "schemaVersion": 2, "manifests": listed })
    }

    fn reply(
        &self,
        mut out: &TcpStream,
        method: &str,
        path: &str,
        fault: Option<RegistryFault>,
        body: Vec<u8>,
        range: &str,
    ) -> io::Result<()> {
        match &fault {
            Some(RegistryFault::Status(status)) => return respond(out, *status, &[], b""),
            Some(RegistryFault::Elsewhere(url)) if method == "POST" => {
                return respond(out, 202, &[("Location", url)], b"");
            }
            Some(RegistryFault::Elsewhere(url)) => return respond(out, 307, &[("Location", url)], b""),
            _ => {}
        }
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let last = bare.rsplit('/').next().unwrap_or_default();
        let lock = |map: &Mutex<HashMap<String, Vec<u8>>>| {
            map.lock().expect("no panic holds the lock").get(last).cloned()
        };
        match method {
            "GET" if path.starts_with("/token") => respond(out, 200, &[], br#"{"token": "made"}"#),
            "POST" => {
                let mut uploads = self.uploads.lock().expect("no panic holds the lock");
                let name = format!("u{}", uploads.len());
                let place = format!("{bare}{name}");
                uploads.insert(name, Vec::new());
                respond(out, 202, &[("Location", &place)], b"")
            }
            "PATCH" => {
                let mut uploads = self.uploads.lock().expect("no panic holds the lock");
                let kept = uploads.entry(last.into()).or_default();
                kept.extend(body);
                if fault == Some(RegistryFault::Cut) {
                    return Ok(());
                }
                let range = format!("0-{}", kept.len().saturating_sub(1));
                respond(out, 202, &[("Location", bare), ("Range", &range)], b"")
            }
            "PUT" if path.contains("/uploads/") => {
                let bytes = lock(&self.uploads).unwrap_or_default();
                let name = name_of(&bytes);
                if !query.contains(name.trim_start_matches("sha256:")) {
                    let text =
                        br#"{"errors": [{"code": "DIGEST_INVALID", "message": "other\u001b digest"}]}"#;
                    return respond(out, 400, &[], text);
                }
                self.blobs.lock().expect("no panic holds the lock").insert(name, bytes);
                respond(out, 201, &[], b"")
            }
            "PUT" => {
                let mut manifests = self.manifests.lock().expect("no panic holds the lock");
                let document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                manifests.insert(name_of(&body), body.clone());
                manifests.insert(last.into(), body);
                match document["subject"]["digest"].as_str() {
                    Some(subject) if self.knows_referrers.load(Ordering::Relaxed) => {
                        respond(out, 201, &[("OCI-Subject", subject)], b"")
                    }
                    _ => respond(out, 201, &[], b""),
                }
            }
            "GET" if path.contains("/referrers/") && self.knows_referrers.load(Ordering::Relaxed) => {
                let link = self.link.lock().expect("no panic holds the lock").clone();
                let headers: Vec<(&str, &str)> = link.iter().map(|link| ("Link", &link[..])).collect();
                respond(out, 200, &headers, self.referrers(last).to_string().as_bytes())
            }
            "GET" if path.contains("/uploads/") => match lock(&self.uploads) {
                Some(kept) => {
                    respond(out, 204, &[("Range", &format!("0-{}", kept.len().saturating_sub(1)))], b"")
                }
                None => respond(out, 404, &[], b""),
            },
            _ => {
                let map = if path.contains("/manifests/") { &self.manifests } else { &self.blobs };
                let Some(mut bytes) = lock(map) else { return respond(out, 404, &[], b"") };
                if method == "HEAD" {
                    return respond(out, 200, &[("Content-Length", &bytes.len().to_string())], b"");
                }
                if fault == Some(RegistryFault::WrongBytes) {
                    bytes[0] ^= 1;
                }
                if fault == Some(RegistryFault::Endless) {
                    out.write_all(b"HTTP/1.1 200 Made\r\n\r\n")?;
                    while !self.stop.load(Ordering::Relaxed) {
                        out.write_all(&[b' '; 4096])?;
                    }
                    return Ok(());
                }
                let from: Option<usize> =
                    range.strip_prefix("bytes=").and_then(|r| r.strip_suffix('-')?.parse().ok());
                match from {
                    Some(from) if from < bytes.len() => {
                        let part = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                        respond(out, 206, &[("Content-Range", &part)], &bytes[from..])
                    }
                    _ => respond(out, 200, &[], &bytes),
                }
            }
        }
    }
}
