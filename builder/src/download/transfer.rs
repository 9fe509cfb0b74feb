//! One request to one place, over http, https or from a file.

use std::{
    error::Error,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::OnceLock,
};

use reqwest::{
    Proxy, StatusCode, Url,
    blocking::{Client, Response},
    header::{self, HeaderName},
    redirect,
};

use super::{Downloader, Fault, Validators};
use crate::threads;

/// More than any mirror network needs.
const MAX_REDIRECTS: usize = 10;

pub(super) enum Reply {
    /// What is known is still right.
    Unchanged,
    Body(Body),
}

/// Contents on their way.
pub(super) struct Body {
    reader: Box<dyn Read>,
    /// The offset in the file at which they begin.
    pub(super) start: u64,
    /// How many bytes will come, if the server says so.
    pub(super) length: Option<u64>,
    pub(super) validators: Validators,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Downloader {
    /// Asks for a file from an offset on; a server may begin at the start all the same.
    pub(super) fn request(&self, url: &str, from: u64, known: Option<&Validators>) -> Result<Reply, Fault> {
        if let Some(path) = url.strip_prefix("file:") {
            return open_file(path, url, from);
        }
        let asked = url;
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let client = self.client(&url)?;
            self.check_proxy(&url)?;
            let mut request = client.get(&url);
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            if let Some(known) = known {
                let pairs =
                    [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.modified)];
                for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
                    request = request.header(name, value);
                }
            }
            let response = request.send().map_err(|e| self.send_fault(&e))?;
            let status = response.status();
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                let target = response.url().join(&header_text(&response, header::LOCATION));
                url = target.map_err(|_| Fault::Url)?.into();
                continue;
            }
            return reply(response, asked, from);
        }
        Err(Fault::Redirects)
    }

    /// Returns the client for a URL. Plain http is by far the commonest, works where no certificates
    /// are installed, and is checked by digests and signatures all the same; so it has a client that
    /// knows no certificates at all.
    fn client(&self, url: &str) -> Result<&Client, Fault> {
        let secure = url.starts_with("https://");
        if !secure && !url.starts_with("http://") {
            return Err(Fault::Url);
        }
        let cell = if secure { &self.secure } else { &self.plain };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let threads = threads::available(threads::FOR_HTTP);
        if threads < threads::FOR_HTTP {
            return Err(Fault::Threads(threads));
        }
        install_cryptography();
        let mut builder = Client::builder()
            .user_agent(concat!("tinyroot/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.options.connect_timeout)
            .timeout(self.options.stall_timeout)
            .redirect(redirect::Policy::none());
        if !secure {
            builder = builder.tls_certs_only([]);
        }
        // One that is set replaces what the library finds in the environment itself.
        let proxies = self.options.proxies.clone();
        builder = builder
            .proxy(Proxy::custom(move |url| proxies.of(url.scheme(), url.host_str().unwrap_or_default())));
        let client = builder.build().map_err(|e| Fault::Connect(root_cause(&e)))?;
        Ok(cell.get_or_init(|| client))
    }

    /// Turns away proxies of a kind that is not known here, which the library would go past.
    fn check_proxy(&self, url: &str) -> Result<(), Fault> {
        let parsed = Url::parse(url).map_err(|_| Fault::Url)?;
        let proxy = self.options.proxies.of(parsed.scheme(), parsed.host_str().unwrap_or_default());
        match proxy.map(|proxy| Url::parse(&proxy)) {
            None => Ok(()),
            Some(Ok(proxy)) if ["http", "https"].contains(&proxy.scheme()) && proxy.has_host() => Ok(()),
            Some(_) => Err(Fault::Proxy),
        }
    }

    fn send_fault(&self, error: &reqwest::Error) -> Fault {
        if error.is_connect() {
            Fault::Connect(root_cause(error))
        } else if error.is_timeout() {
            Fault::Stalled(self.options.stall_timeout)
        } else if error.is_builder() {
            Fault::Url
        } else {
            // The connection was there and went away before an answer.
            Fault::CutOff(0)
        }
    }

    pub(super) fn read_fault(&self, error: &io::Error, got: u64) -> Fault {
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<reqwest::Error>());
        if error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout) {
            Fault::Stalled(self.options.stall_timeout)
        } else {
            Fault::CutOff(got)
        }
    }
}

/// Makes ring the cryptography of TLS in this process, once; whoever came first is as good.
fn install_cryptography() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Returns the text of the innermost cause; those around it only say that a request failed.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn header_text(response: &Response, name: HeaderName) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn reply(response: Response, url: &str, from: u64) -> Result<Reply, Fault> {
    let start = match response.status() {
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT => {
            let range = header_text(&response, header::CONTENT_RANGE);
            let start = range.strip_prefix("bytes ").and_then(|range| range.split('-').next()?.parse().ok());
            start.filter(|&start: &u64| start == from).ok_or(Fault::Status(206))?
        }
        StatusCode::NOT_MODIFIED => return Ok(Reply::Unchanged),
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Fault::NotFound),
        status => return Err(Fault::Status(status.as_u16())),
    };
    let validators = Validators {
        url: url.into(),
        etag: header_text(&response, header::ETAG),
        modified: header_text(&response, header::LAST_MODIFIED),
    };
    Ok(Reply::Body(Body { start, length: response.content_length(), validators, reader: Box::new(response) }))
}

fn open_file(path: &str, url: &str, from: u64) -> Result<Reply, Fault> {
    let path = format!("/{}", path.trim_start_matches('/'));
    let mut file = File::open(Path::new(&path)).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Fault::NotFound,
        _ => Fault::Read(e),
    })?;
    let length = file.metadata().map_err(Fault::Read)?;
    if !length.is_file() {
        return Err(Fault::NotFound);
    }
    let start = from.min(length.len());
    file.seek(SeekFrom::Start(start)).map_err(Fault::Read)?;
    let validators = Validators { url: url.into(), ..Validators::default() };
    Ok(Reply::Body(Body { start, length: Some(length.len() - start), validators, reader: Box::new(file) }))
}
