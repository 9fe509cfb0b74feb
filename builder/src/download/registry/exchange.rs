//! One call to a registry and its response, which is small.

use std::{io::Read as _, time::Duration};

use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName},
};

use super::{MAX_MANIFEST_BYTES, Registry};
use crate::{
    digest::Digest,
    download::{Downloader, MirrorFault, retry_after, transfer::by_way_of},
};

/// Slower uplinks than this are given up: those of 128 kbit/s.
const SLOWEST_UPLOAD_BYTES_PER_S: u64 = 16 << 10;

/// What a registry says of a fault is cut after so many characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// A call.
#[derive(Clone, Debug)]
pub(in crate::download) struct Call<'a> {
    pub method: Method,
    pub url: &'a str,
    pub headers: Vec<(HeaderName, String)>,
    pub body: Option<Vec<u8>>,
}

impl<'a> Call<'a> {
    /// One without further headers and body.
    pub fn new(method: Method, url: &'a str) -> Self {
        Call { method, url, headers: Vec::new(), body: None }
    }
}

/// A response.
#[derive(Debug)]
pub(in crate::download) struct Reply {
    pub status: u16,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns a header's text, or nothing.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// Returns the pause that the registry wants.
    pub fn pause(&self) -> Option<Duration> {
        retry_after::pause(&self.header("retry-after"), &self.header("date"))
    }

    /// Returns the first error that a registry lists, in printable characters, or nothing.
    pub fn message(&self) -> String {
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let first = &document["errors"][0];
        let texts = ["code", "message"].map(|field| first[field].as_str().unwrap_or_default());
        let text = texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
        text.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE_CHARS).collect()
    }

    /// Refuses a body of another digest than is expected, or than the registry says.
    pub fn hold_to_digest(&self, expected: Option<&Digest>) -> Result<(), MirrorFault> {
        let own = Digest::of(&self.body);
        self.hold_to(&own)?;
        match expected {
            Some(expected) if *expected != own => Err(wrong(expected, &own)),
            _ => Ok(()),
        }
    }

    /// Refuses a response that says another digest.
    pub fn hold_to(&self, own: &Digest) -> Result<(), MirrorFault> {
        let said = self.header("docker-content-digest");
        match said.strip_prefix("sha256:").and_then(|hex| hex.parse::<Digest>().ok()) {
            Some(said) if said != *own => Err(wrong(&said, own)),
            _ => Ok(()),
        }
    }
}

fn wrong(expected: &Digest, found: &Digest) -> MirrorFault {
    MirrorFault::WrongDigest { expected: Box::new((*expected).into()), found: Box::new((*found).into()) }
}

impl Registry {
    /// Returns true for a URL of the registry's own origin: its scheme, host and port.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        Url::parse(&self.base).is_ok_and(|base| base.origin() == url.origin())
    }

    /// Makes a call; where the registry wants a login, with it. Another server, to which a redirection leads, may
    /// want one, but does not say where the registry's goes.
    pub(super) fn exchange(&self, call: &Call<'_>) -> Result<Reply, MirrorFault> {
        let reply = self.downloader.call(call, self.downloader.access_to(call.url).as_deref())?;
        if reply.status != 401 {
            return Ok(reply);
        }
        if !self.is_own(&reply.url) {
            let origin = reply.url.origin().ascii_serialization();
            let text =
                format!("the registry redirects it to {origin}, which wants a login; none is sent there");
            return Err(MirrorFault::Refused(text.into()));
        }
        self.log_in(&reply)?;
        self.downloader.call(call, self.downloader.access_to(call.url).as_deref())
    }
}

impl Downloader {
    /// The slowest uplink that is waited for.
    pub(in crate::download) fn slowest_upload_bytes_per_s(&self) -> u64 {
        self.options.slowest_bytes_per_s.max(SLOWEST_UPLOAD_BYTES_PER_S)
    }

    /// Makes a call once, and follows nothing.
    pub(in crate::download) fn call(
        &self,
        call: &Call<'_>,
        access: Option<&str>,
    ) -> Result<Reply, MirrorFault> {
        let via = self.via(call.url)?;
        let mut builder = self.client(call.url)?.request(call.method.clone(), call.url);
        for (name, value) in &call.headers {
            builder = builder.header(name, value);
        }
        if let Some(access) = access {
            builder = builder.header(reqwest::header::AUTHORIZATION, access);
        }
        if let Some(body) = &call.body {
            let time = Duration::from_secs(body.len() as u64 / self.slowest_upload_bytes_per_s());
            builder = builder.timeout(self.options.stall_timeout + time);
            builder = builder.header(reqwest::header::CONTENT_LENGTH, body.len()).body(body.clone());
        }
        let sent = builder.send().map_err(|error| by_way_of(via.as_ref(), self.send_fault(&error)))?;
        let (status, url, headers) = (sent.status().as_u16(), sent.url().clone(), sent.headers().clone());
        let mut body = Vec::new();
        if call.method != Method::HEAD {
            let (mut rest, mut buffer, mut pace) = (sent, vec![0; 1 << 14], self.pace());
            loop {
                let count = rest.read(&mut buffer).map_err(|e| self.read_fault(&e, body.len() as u64))?;
                if count == 0 {
                    break;
                }
                body.extend_from_slice(&buffer[..count]);
                if body.len() as u64 > MAX_MANIFEST_BYTES {
                    return Err(MirrorFault::TooLong(MAX_MANIFEST_BYTES));
                }
                pace.note(count as u64)?;
            }
        }
        Ok(Reply { status, url, headers, body })
    }
}
