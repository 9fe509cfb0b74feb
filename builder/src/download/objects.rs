//! Files at a web server that also takes them: GET, HEAD and PUT below one URL.
//!
//! Nothing is tried twice here: its caller can do without. A token goes to the server itself and no further: a
//! redirection never gets it, and what is sent follows none.

use std::{
    fs::File,
    io::{self, Seek as _},
    path::Path,
    time::Duration,
};

use reqwest::{Method, blocking::Body, header};

use super::{
    Downloader, Manner, MirrorFault, Options, Partial, Reply, Request, Trouble, Wanted,
    registry::{Access, Call},
    transfer::by_way_of,
    url_below,
};

/// A file that could not be fetched or sent.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The server, or the way to it.
    #[error(transparent)]
    Fault(#[from] MirrorFault),
    /// A file of this machine.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl From<Trouble> for ObjectError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::MirrorFault(fault) => ObjectError::Fault(fault),
            Trouble::Disk(error) => ObjectError::Disk(error),
        }
    }
}

/// The files below a URL.
#[derive(Debug)]
pub struct Objects {
    downloader: Downloader,
    base: String,
}

impl Objects {
    /// Names a place; nothing is connected yet. `authorization` is the value of that header.
    pub fn new(options: Options, base: &str, authorization: Option<&str>) -> Self {
        let downloader = Downloader::new(options);
        *downloader.access.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            authorization.and_then(|value| Access::to(base, value));
        Objects { downloader, base: base.trim_end_matches('/').to_owned() }
    }

    /// Returns the URL of a file.
    ///
    /// # Errors
    /// [`MirrorFault::Url`] for a path that points elsewhere.
    pub fn url(&self, path: &str) -> Result<String, MirrorFault> {
        url_below(&self.base, path).ok_or(MirrorFault::Url)
    }

    /// Fetches a small file; `None` if it is not there.
    ///
    /// # Errors
    /// [`MirrorFault`]; [`MirrorFault::TooLong`] for one that is longer than that.
    pub fn read(&self, path: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, MirrorFault> {
        let read = || match self.downloader.request(&self.url(path)?, &Request::new(&Manner::default()))? {
            Reply::Body(body) if body.is_page => Err(MirrorFault::WebPage),
            Reply::Body(body) => self.downloader.read_all(body, limit_bytes),
            Reply::Unchanged => Err(MirrorFault::Status(304)),
        };
        or_absent(read())
    }

    /// Fetches a file of known length and digest into a fresh temporary file in `tmp`; `None` if it is not
    /// there.
    ///
    /// # Errors
    /// [`ObjectError`].
    pub fn fetch(
        &self,
        wanted: &Wanted,
        path: &str,
        tmp: &Path,
    ) -> Result<Option<tempfile::NamedTempFile>, ObjectError> {
        let file = tempfile::Builder::new().prefix("fetch-").tempfile_in(tmp)?;
        let mut partial = Partial::new(file, wanted.checksum);
        let url = self.url(path)?;
        match self.downloader.transfer(wanted, &url, &Manner::default(), &mut partial, &|_| {}) {
            Ok(()) => Ok(Some(partial.file)),
            Err(Trouble::MirrorFault(MirrorFault::NotFound)) => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Returns whether a file of that length is there.
    ///
    /// # Errors
    /// [`MirrorFault`].
    pub fn has(&self, path: &str, size_bytes: u64) -> Result<bool, MirrorFault> {
        let url = self.url(path)?;
        let access = self.downloader.access_to(&url);
        let reply = self.downloader.call(&Call::new(Method::HEAD, &url), access.as_deref())?;
        match reply.status {
            404 | 410 => Ok(false),
            // One that is kept elsewhere is there.
            302 | 303 | 307 | 308 => Ok(true),
            200..300 => {
                let length = reply.header("content-length");
                Ok(length.is_empty() || length.parse() == Ok(size_bytes))
            }
            status => Err(MirrorFault::Status(status)),
        }
    }

    /// Sends a file, from its start.
    ///
    /// # Errors
    /// [`ObjectError`].
    pub fn put_file(&self, path: &str, mut file: File, size_bytes: u64) -> Result<(), ObjectError> {
        file.rewind()?;
        Ok(self.put(path, Body::sized(file, size_bytes), size_bytes)?)
    }

    /// Sends a small file.
    ///
    /// # Errors
    /// As [`Objects::put_file`].
    pub fn put_bytes(&self, path: &str, bytes: Vec<u8>) -> Result<(), ObjectError> {
        let size_bytes = bytes.len() as u64;
        Ok(self.put(path, bytes.into(), size_bytes)?)
    }

    fn put(&self, path: &str, body: Body, size_bytes: u64) -> Result<(), MirrorFault> {
        let (url, downloader) = (self.url(path)?, &self.downloader);
        let via = downloader.via(&url)?;
        let time = Duration::from_secs(size_bytes / downloader.slowest_upload_bytes_per_s());
        let mut builder = downloader
            .client(&url)?
            .put(&url)
            .timeout(downloader.options.stall_timeout + time)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(body);
        if let Some(access) = downloader.access_to(&url) {
            builder = builder.header(header::AUTHORIZATION, access);
        }
        let sent = builder.send().map_err(|error| by_way_of(via.as_ref(), downloader.send_fault(&error)))?;
        match sent.status().as_u16() {
            200..300 => Ok(()),
            300..400 => Err(MirrorFault::Refused("the server redirects it, which is not followed".into())),
            status => Err(MirrorFault::Status(status)),
        }
    }
}

fn or_absent<T>(result: Result<T, MirrorFault>) -> Result<Option<T>, MirrorFault> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MirrorFault::NotFound) => Ok(None),
        Err(fault) => Err(fault),
    }
}
