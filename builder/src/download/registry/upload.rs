//! A blob on its way to a registry, in pieces.
//!
//! ```text
//! POST blobs/uploads/            a place for it (Location)
//! PATCH LOCATION                 a piece (Content-Range); the registry says how much it has (Range)
//! GET LOCATION                   how much it has, after a connection that broke off
//! PUT LOCATION?digest=DIGEST     the end
//! ```
//!
//! (OCI distribution specification 1.1, "Pushing a blob in chunks".)

use std::{
    io::{self, Read},
    path::Path,
};

use reqwest::{Method, Url, header};

use super::{Call, Registry, RegistryError, Reply, failed};
use crate::{
    digest::Digest,
    download::{Manner, MirrorFault, Trouble},
};

/// The length of a piece: more is refused by some registries, less is slow.
const CHUNK_BYTES: u64 = 4 << 20;
/// The longest piece that a registry may ask for (`OCI-Chunk-Min-Length`).
const MAX_CHUNK_BYTES: u64 = 64 << 20;

/// A blob to be sent.
pub struct Outgoing<'a> {
    /// Its name in errors: `the layer`.
    pub what: &'a str,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// Opens it, at its start.
    pub open: &'a dyn Fn() -> io::Result<Box<dyn Read>>,
}

/// Where an upload stands.
struct Upload<'a> {
    blob: &'a Outgoing<'a>,
    /// Where the next piece goes; `None` before the registry has named it.
    location: Option<Url>,
    /// How much the registry has.
    offset: u64,
    /// Whether that is so is not known.
    is_doubtful: bool,
    chunk_bytes: u64,
    /// The blob, and where it is read.
    reader: Option<(Box<dyn Read>, u64)>,
    /// How far it ever came.
    best: u64,
}

impl Registry {
    /// Sends a blob, unless the registry has it; returns whether it was sent. `on_bytes` is called with the
    /// number of further bytes that are there, in sum the blob's length.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn upload(&self, blob: &Outgoing<'_>, on_bytes: &dyn Fn(u64)) -> Result<bool, RegistryError> {
        if self.has_blob(&blob.digest, blob.size_bytes)? {
            on_bytes(blob.size_bytes);
            return Ok(false);
        }
        let url = format!("{}/blobs/uploads/", self.base);
        let mut upload = Upload {
            blob,
            location: None,
            offset: 0,
            is_doubtful: false,
            chunk_bytes: CHUNK_BYTES,
            reader: None,
            best: 0,
        };
        let tried =
            self.downloader.any_place(blob.what, Path::new(""), &[url], &[], |url, manner: &mut Manner| {
                let before = upload.best;
                let result = self.go_on(&mut upload, url, on_bytes);
                manner.brought = upload.best - before;
                upload.is_doubtful = true;
                if matches!(&result, Err(Trouble::MirrorFault(fault)) if !fault.keeps_pieces()) {
                    upload.location = None;
                }
                result
            });
        tried.map(|()| true).map_err(|error| failed("push", error))
    }

    /// Sends what is missing of a blob.
    fn go_on(&self, upload: &mut Upload<'_>, url: &str, on_bytes: &dyn Fn(u64)) -> Result<(), Trouble> {
        if upload.is_doubtful && upload.location.is_some() {
            self.look_up(upload)?;
        }
        upload.is_doubtful = false;
        if upload.location.is_none() {
            let reply = self.exchange(&Call { body: Some(Vec::new()), ..Call::new(Method::POST, url) })?;
            let reply = self.expect(reply, &[202])?;
            upload.location = Some(self.location(&reply)?);
            upload.offset = 0;
            let least = reply.header("oci-chunk-min-length").parse().unwrap_or(0);
            upload.chunk_bytes = CHUNK_BYTES.max(least).min(MAX_CHUNK_BYTES);
        }
        while upload.offset < upload.blob.size_bytes {
            self.send_piece(upload)?;
            on_bytes(upload.offset.saturating_sub(upload.best));
            upload.best = upload.best.max(upload.offset);
        }
        let mut end = upload.location.clone().ok_or(MirrorFault::Url)?;
        end.query_pairs_mut().append_pair("digest", &format!("sha256:{}", upload.blob.digest));
        let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
        let call =
            Call { headers: vec![kind], body: Some(Vec::new()), ..Call::new(Method::PUT, end.as_str()) };
        let reply = self.expect(self.exchange(&call)?, &[201, 202, 204])?;
        Ok(reply.hold_to(&upload.blob.digest)?)
    }

    /// Sends one piece.
    fn send_piece(&self, upload: &mut Upload<'_>) -> Result<(), Trouble> {
        let piece = upload.piece().map_err(Trouble::Disk)?;
        let (count, location) = (piece.len() as u64, upload.location.clone().ok_or(MirrorFault::Url)?);
        let headers = vec![
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CONTENT_RANGE, format!("{}-{}", upload.offset, upload.offset + count - 1)),
        ];
        let call = Call { headers, body: Some(piece), ..Call::new(Method::PATCH, location.as_str()) };
        let reply = self.expect(self.exchange(&call)?, &[202, 204])?;
        upload.location = Some(self.location(&reply)?);
        match end_of(&reply.header("range")) {
            // A registry that says nothing has it all.
            Some(end) if end != upload.offset + count => Err(MirrorFault::OtherPart.into()),
            _ => {
                upload.offset += count;
                Ok(())
            }
        }
    }

    /// Asks how much of an upload has arrived. One that is gone begins anew.
    fn look_up(&self, upload: &mut Upload<'_>) -> Result<(), MirrorFault> {
        let Some(location) = upload.location.take() else { return Ok(()) };
        let reply = match self.exchange(&Call::new(Method::GET, location.as_str())) {
            Err(fault) if fault.keeps_pieces() => {
                upload.location = Some(location);
                return Err(fault);
            }
            reply => reply?,
        };
        // `0-0` is written for one byte and for none.
        let end = end_of(&reply.header("range")).filter(|end| (2..=upload.blob.size_bytes).contains(end));
        if let (200 | 204, Some(end)) = (reply.status, end) {
            upload.location = match reply.header("location").is_empty() {
                true => Some(location),
                false => Some(self.location(&reply)?),
            };
            upload.offset = end;
        }
        Ok(())
    }

    /// Returns where the registry wants the next piece: at itself.
    fn location(&self, reply: &Reply) -> Result<Url, MirrorFault> {
        let location = reply.header("location");
        let url = reply.url.join(&location).ok().filter(|_| !location.is_empty()).ok_or(MirrorFault::Url)?;
        if !self.is_own(&url) {
            let text = format!("the registry sends the upload on to {}", url.origin().ascii_serialization());
            return Err(MirrorFault::Refused(text.into()));
        }
        Ok(url)
    }
}

impl Upload<'_> {
    /// Reads the next piece.
    fn piece(&mut self) -> io::Result<Vec<u8>> {
        if self.reader.as_ref().is_none_or(|(_, at)| *at != self.offset) {
            let mut reader = (self.blob.open)()?;
            io::copy(&mut reader.by_ref().take(self.offset), &mut io::sink())?;
            self.reader = Some((reader, self.offset));
        }
        let Some((reader, at)) = &mut self.reader else { return Ok(Vec::new()) };
        let wanted = self.chunk_bytes.min(self.blob.size_bytes - self.offset);
        let mut piece = Vec::new();
        reader.take(wanted).read_to_end(&mut piece)?;
        *at += piece.len() as u64;
        match piece.len() as u64 == wanted {
            true => Ok(piece),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Reads a Range header, as `0-1023`; returns the number of bytes that are there.
pub(super) fn end_of(range: &str) -> Option<u64> {
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (first, last) = range.split_once('-')?;
    let last: u64 = last.parse().ok()?;
    (first == "0").then_some(())?;
    last.checked_add(1)
}
