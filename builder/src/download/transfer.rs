//! One request to one place, over http, https or from a file.

use std::{
    error::Error,
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

use super::{Downloader, Manner, MirrorFault, Validators, Via, retry_after};
use crate::{sys::path::open_regular_through_links, threads};

/// More than any mirror network needs.
const MAX_REDIRECTS: usize = 10;

/// How many times longer a slow service may be silent.
const SLOWLY: u32 = 3;

pub(super) enum Reply {
    /// The known version is still current (304).
    Unchanged,
    Body(Body),
}

/// Contents on their way.
pub(super) struct Body {
    reader: Box<dyn Read>,
    /// The offset in the file at which they begin.
    pub(super) start: u64,
    /// How long the whole file is, if the server says so.
    pub(super) whole: Option<u64>,
    pub(super) validators: Validators,
    /// Whether it is a web page, as its type or its first bytes say.
    pub(super) is_page: bool,
}

/// How web pages begin; nothing that is fetched here begins so.
const PAGES: [&[u8]; 8] =
    [b"<!doctype", b"<!--", b"<?xml", b"<html", b"<head", b"<body", b"<script", b"<meta"];

/// Returns whether contents begin as a web page does.
pub(super) fn begins_as_page(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    let begins = |page: &&[u8]| start.get(..page.len()).is_some_and(|own| own.eq_ignore_ascii_case(page));
    PAGES.iter().any(begins)
}

/// A request to one location.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// The offset from which on the file is wanted.
    pub(super) from: u64,
    /// The version of which the bytes before it are, if that is known.
    pub(super) same: Option<&'a Validators>,
    /// The version that need not be sent again.
    pub(super) known: Option<&'a Validators>,
    pub(super) manner: &'a Manner,
}

impl<'a> Request<'a> {
    /// Requests all of a file.
    pub(super) fn new(manner: &'a Manner) -> Self {
        Request { from: 0, same: None, known: None, manner }
    }

    fn headers(&self) -> Vec<(HeaderName, String)> {
        let mut out = Vec::new();
        if self.from > 0 {
            out.push((header::RANGE, format!("bytes={}-", self.from)));
            // Only a strong validator can say that two parts are of one version (RFC 9110, section 13.1.5).
            let validator = self.same.and_then(|same| {
                let strong = Some(&same.etag).filter(|etag| etag.starts_with('"'));
                strong.or(Some(&same.modified).filter(|modified| !modified.is_empty()))
            });
            out.extend(validator.map(|validator| (header::IF_RANGE, validator.clone())));
        }
        if let Some(known) = self.known {
            let pairs = [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.modified)];
            let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
            out.extend(set.map(|(name, value)| (name, value.clone())));
        }
        if self.manner.fresh {
            // The second is for caches of HTTP/1.0.
            out.push((header::CACHE_CONTROL, "no-cache".into()));
            out.push((header::PRAGMA, "no-cache".into()));
        }
        out
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Body {
    /// Looks at the first bytes of one that is not wanted.
    pub(super) fn look(&mut self) {
        let mut start = [0; 64];
        let count = if self.is_page { 0 } else { self.reader.read(&mut start).unwrap_or(0) };
        self.is_page |= begins_as_page(&start[..count]);
    }
}

impl Downloader {
    /// Requests a file from an offset on; a server may begin at the start all the same.
    pub(super) fn request(&self, url: &str, request: &Request<'_>) -> Result<Reply, MirrorFault> {
        if let Some(path) = url.strip_prefix("file:") {
            return open_file(path, url, request.from);
        }
        let asked = url;
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let via = self.via(&url)?;
            let response = self.send(&url, request, via.as_ref())?;
            let status = response.status();
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                let target = response.url().join(&header_text(&response, header::LOCATION));
                url = target.map_err(|_| MirrorFault::Url)?.into();
                continue;
            }
            let place = response.url().origin();
            return reply(response, asked, request.from).map_err(|fault| {
                let fault = match fault {
                    fault @ (MirrorFault::Status(_) | MirrorFault::Busy { .. })
                        if Url::parse(asked).is_ok_and(|asked| asked.origin() != place) =>
                    {
                        MirrorFault::Redirected(place.ascii_serialization(), Box::new(fault))
                    }
                    fault => fault,
                };
                by_way_of(via.as_ref(), fault)
            });
        }
        Err(MirrorFault::Redirects)
    }

    fn send(&self, url: &str, request: &Request<'_>, via: Option<&Via>) -> Result<Response, MirrorFault> {
        let mut builder = self.client(url)?.get(url);
        for (name, value) in request.headers() {
            builder = builder.header(name, value);
        }
        if let Some(access) = self.access_to(url) {
            builder = builder.header(header::AUTHORIZATION, access);
        }
        if request.manner.slowly {
            builder = builder.timeout(self.options.stall_timeout * SLOWLY);
        }
        builder.send().map_err(|error| by_way_of(via, self.send_fault(&error)))
    }

    /// Returns the client for a URL. Plain http is by far the commonest, works where no certificates
    /// are installed, and is checked by digests and signatures all the same; so it has a client that
    /// knows no certificates at all.
    pub(super) fn client(&self, url: &str) -> Result<&Client, MirrorFault> {
        let secure = url.starts_with("https://");
        if !secure && !url.starts_with("http://") {
            return Err(MirrorFault::Url);
        }
        let cell = if secure { &self.secure } else { &self.plain };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let threads = threads::available(threads::FOR_HTTP);
        if threads < threads::FOR_HTTP {
            return Err(MirrorFault::Threads(threads));
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
        // A proxy that is set replaces the one that the library finds in the environment.
        let proxies = self.options.proxies.clone();
        builder = builder.proxy(Proxy::custom(move |url| {
            proxies.of(url.scheme(), url.host_str().unwrap_or_default()).map(|via| via.url)
        }));
        let client = builder.build().map_err(|e| MirrorFault::Connect(root_cause(&e)))?;
        Ok(cell.get_or_init(|| client))
    }

    /// Returns the proxy that a URL is asked through. One of a kind that is not known here is turned away:
    /// the library would go past it.
    pub(super) fn via(&self, url: &str) -> Result<Option<Via>, MirrorFault> {
        let parsed = Url::parse(url).map_err(|_| MirrorFault::Url)?;
        let Some(via) = self.options.proxies.of(parsed.scheme(), parsed.host_str().unwrap_or_default())
        else {
            return Ok(None);
        };
        match Url::parse(&via.url) {
            Ok(proxy) if ["http", "https"].contains(&proxy.scheme()) && proxy.has_host() => Ok(Some(via)),
            _ => Err(MirrorFault::Proxy { named_by: via.named_by }),
        }
    }

    pub(super) fn send_fault(&self, error: &reqwest::Error) -> MirrorFault {
        if error.is_connect() {
            connect_fault(error)
        } else if error.is_timeout() {
            MirrorFault::Stalled(self.options.stall_timeout)
        } else if error.is_builder() {
            MirrorFault::Url
        } else {
            // The connection was there and went away before a response.
            MirrorFault::CutOff(0)
        }
    }

    pub(super) fn read_fault(&self, error: &io::Error, got: u64) -> MirrorFault {
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<reqwest::Error>());
        if error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout) {
            MirrorFault::Stalled(self.options.stall_timeout)
        } else {
            MirrorFault::CutOff(got)
        }
    }
}

/// Makes ring the cryptography of TLS in this process, once. A provider that was installed before is kept.
fn install_cryptography() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Names the proxy in a fault that may be its own. A mirror's status for a file does not depend on the proxy.
pub(super) fn by_way_of(via: Option<&Via>, fault: MirrorFault) -> MirrorFault {
    match (via, fault) {
        (None, MirrorFault::ProxyAuthentication) => MirrorFault::Status(407),
        (None, fault) | (_, fault @ (MirrorFault::NotFound | MirrorFault::Url)) => fault,
        (Some(via), fault) => MirrorFault::Through(Box::new(via.clone()), Box::new(fault)),
    }
}

/// The messages of glibc and musl for a name that does not exist. All other errors of name servers are taken
/// for temporary.
const UNKNOWN: [&str; 3] =
    ["Name or service not known", "No address associated with hostname", "Name does not resolve"];

/// Returns the reason why a connection failed.
fn connect_fault(error: &(dyn Error + 'static)) -> MirrorFault {
    let why = root_cause(error);
    let mut cause = Some(error);
    while let Some(now) = cause {
        let io = now.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
            return MirrorFault::ConnectionRefused(why);
        }
        // Of hyper's tunnels there is only a text.
        match now.to_string().strip_prefix("tunnel error: ") {
            Some("proxy authorization required") => return MirrorFault::ProxyAuthentication,
            Some("failed to create underlying connection") | None => {}
            Some("unsuccessful") => return MirrorFault::Tunnel("it refuses, or finds no way".into()),
            Some(other) => return MirrorFault::Tunnel(other.to_owned()),
        }
        cause = now.source();
    }
    if why.starts_with("invalid peer certificate") {
        // rustls has no other text for it, and its errors come in wrappings that differ.
        return MirrorFault::Certificate(why);
    }
    match UNKNOWN.iter().any(|text| why.contains(text)) {
        true => MirrorFault::UnknownHost(why),
        false => MirrorFault::Connect(why),
    }
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

fn reply(response: Response, url: &str, from: u64) -> Result<Reply, MirrorFault> {
    let length = response.content_length();
    let (start, whole) = match response.status() {
        StatusCode::OK => (0, length),
        StatusCode::PARTIAL_CONTENT => {
            let range = header_text(&response, header::CONTENT_RANGE);
            let whole = part(&range, from, length).ok_or(MirrorFault::OtherPart)?;
            (from, whole)
        }
        StatusCode::RANGE_NOT_SATISFIABLE => return Err(MirrorFault::OtherPart),
        StatusCode::NOT_MODIFIED => return Ok(Reply::Unchanged),
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(MirrorFault::NotFound),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => return Err(MirrorFault::ProxyAuthentication),
        status => {
            let after = header_text(&response, header::RETRY_AFTER);
            let status = status.as_u16();
            return Err(match retry_after::pause(&after, &header_text(&response, header::DATE)) {
                Some(rest) if status == 429 || status >= 500 => MirrorFault::Busy { status, rest },
                _ => MirrorFault::Status(status),
            });
        }
    };
    let validators = Validators {
        url: url.into(),
        etag: header_text(&response, header::ETAG),
        modified: header_text(&response, header::LAST_MODIFIED),
    };
    let kind = header_text(&response, header::CONTENT_TYPE).to_ascii_lowercase();
    let is_page = ["text/html", "application/xhtml"].iter().any(|page| kind.starts_with(page));
    Ok(Reply::Body(Body { start, whole, validators, is_page, reader: Box::new(response) }))
}

/// Reads a Content-Range header, as `bytes 4-9/10`; returns the length of the whole file, if that is said.
/// `None`: the header is none, says another beginning than was requested, or does not fit the length of the
/// body.
fn part(range: &str, from: u64, length: Option<u64>) -> Option<Option<u64>> {
    let (ends, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = ends.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let whole: Option<u64> = if whole == "*" { None } else { Some(whole.parse().ok()?) };
    let count = last.checked_sub(first)?.checked_add(1)?;
    let fits = length.is_none_or(|length| length == count) && whole.is_none_or(|whole| last < whole);
    (first == from && fits).then_some(whole)
}

fn open_file(path: &str, url: &str, from: u64) -> Result<Reply, MirrorFault> {
    let path = format!("/{}", path.trim_start_matches('/'));
    let mut file = open_regular_through_links(Path::new(&path)).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidData => {
            MirrorFault::NotFound
        }
        _ => MirrorFault::Read(e),
    })?;
    let length = file.metadata().map_err(MirrorFault::Read)?;
    let start = from.min(length.len());
    file.seek(SeekFrom::Start(start)).map_err(MirrorFault::Read)?;
    let validators = Validators { url: url.into(), ..Validators::default() };
    let (whole, is_page) = (Some(length.len()), false);
    Ok(Reply::Body(Body { start, whole, validators, is_page, reader: Box::new(file) }))
}

/// Headers that mirrors and proxies send: Content-Range, Retry-After and Date, one a line.
#[cfg(feature = "testing")]
pub(crate) fn read_headers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().map(str::trim);
    let mut next = || lines.next().unwrap_or_default();
    let (range, after, date) = (next(), next(), next());
    for from in [1, 4, u64::MAX] {
        for length in [None, Some(0), Some(6)] {
            if let Some(Some(whole)) = part(range, from, length) {
                assert!(whole > from, "{range}");
            }
        }
    }
    if let Some(pause) = retry_after::pause(after, date) {
        assert!(pause.checked_mul(4).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_must_be_the_one_that_was_asked_for() {
        for (range, length, expected) in [
            ("bytes 4-9/10", Some(6), Some(Some(10))),
            ("bytes 4-9/10", None, Some(Some(10))),
            ("bytes 4-6/10", Some(3), Some(Some(10))),
            ("bytes 4-9/*", Some(6), Some(None)),
            ("bytes 3-9/10", Some(7), None),
            ("bytes 4-9/10", Some(5), None),
            ("bytes 4-9/9", Some(6), None),
            ("bytes 4-3/10", Some(0), None),
            ("bytes 4-18446744073709551615/*", None, Some(None)),
            ("bytes 0-18446744073709551615/*", None, None),
            ("bytes */10", None, None),
            ("items 4-9/10", None, None),
            ("", None, None),
        ] {
            assert_eq!(part(range, 4, length), expected, "{range} {length:?}");
        }
    }

    /// An error around another one, as libraries have them.
    #[derive(Debug, thiserror::Error)]
    #[error("it failed")]
    struct Around(#[source] Box<dyn Error + Send + Sync>);

    #[test]
    fn why_there_is_no_connection_decides_whether_to_try_again() {
        let name = |text: &str| Around(format!("failed to lookup address information: {text}").into());
        assert!(matches!(connect_fault(&name("Name or service not known")), MirrorFault::UnknownHost(_)));
        assert!(matches!(
            connect_fault(&name("Temporary failure in name resolution")),
            MirrorFault::Connect(_)
        ));
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let certificate = Around(Box::new(io::Error::other(certificate)));
        assert!(
            matches!(connect_fault(&certificate), MirrorFault::Certificate(why) if why.contains("xpired"))
        );
        let refused = Around(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert!(matches!(connect_fault(&refused), MirrorFault::ConnectionRefused(_)));
        let tunnel = |text: &str| Around(format!("tunnel error: {text}").into());
        assert!(matches!(
            connect_fault(&tunnel("proxy authorization required")),
            MirrorFault::ProxyAuthentication
        ));
        assert!(matches!(connect_fault(&tunnel("unsuccessful")), MirrorFault::Tunnel(_)));
    }
}
