//! Registries of images: the part of the OCI distribution specification 1.1 that takes an image there and back.
//!
//! A registry is another server that nothing is believed of. Manifests and blobs come by their digests and are
//! held to them; sizes are known before. A login goes to the registry itself and, over TLS, to the token
//! service that it names; a redirection never gets it, and an upload follows none. A blob that breaks off is
//! taken up again where the registry says that it stands, in both directions.

mod access;
mod exchange;
mod referrers;
mod upload;

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

use reqwest::{Method, header};

use super::{
    DownloadError, Downloader, LOGIN_HINT, MirrorFault, ObjectError, Options, Proxies, Trouble, Wanted,
    without_password,
};
use crate::{
    digest::Digest,
    error::Hint,
    formats::{auth_file::Login, image_name::ImageName},
    shown,
};
pub(super) use access::Access;
pub(super) use exchange::Call;
use exchange::Reply;
pub use upload::Outgoing;

/// The longest manifest; registries take no longer ones (specification, "Pushing manifests").
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// How often a blob may be kept elsewhere.
const MOST_REDIRECTIONS: usize = 5;

/// The kinds of manifests that are understood.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// A fault at a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The network is not to be used.
    #[error("cannot {operation} {what} offline")]
    Offline {
        /// As `fetch`.
        operation: &'static str,
        /// Its object.
        what: String,
    },
    /// A call that failed.
    #[error("cannot {operation} {what}: {}\n  at {}", fault.to_string().replace('\n', "\n  "), shown::path(&without_password(url)))]
    Call {
        /// As `fetch`.
        operation: &'static str,
        /// Its object.
        what: String,
        /// Where.
        url: String,
        /// The last fault.
        fault: Box<MirrorFault>,
    },
    /// A blob that cannot be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A blob of this machine that cannot be read.
    #[error("cannot read {what}, to push it")]
    Read {
        /// Which.
        what: String,
        /// The kernel's error.
        source: std::io::Error,
    },
}

impl Hint for RegistryError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            RegistryError::Offline { .. } => Some("leave out --offline".into()),
            RegistryError::Call { fault, .. } => match fault.itself() {
                MirrorFault::Refused(error) => error.downcast_ref::<Denied>()?.hint(),
                MirrorFault::WebPage => Some(LOGIN_HINT.into()),
                _ => None,
            },
            RegistryError::Download(_) | RegistryError::Read { .. } => None,
        }
    }
}

impl From<RegistryError> for ObjectError {
    fn from(error: RegistryError) -> Self {
        let of = |fault: MirrorFault| match &fault {
            // What a registry says of it is of no use.
            MirrorFault::Refused(error) if error.downcast_ref::<Denied>().is_some_and(Denied::is_absence) => {
                ObjectError::Fault(MirrorFault::NotFound)
            }
            _ => ObjectError::Fault(fault),
        };
        match error {
            RegistryError::Call { fault, .. } => of(*fault),
            RegistryError::Read { source, .. } => ObjectError::Disk(source),
            RegistryError::Download(DownloadError::Write { source, .. }) => ObjectError::Disk(source),
            RegistryError::Download(
                DownloadError::Places { mut faults, .. } | DownloadError::Offline { mut faults, .. },
            ) => of(faults.pop().map_or(MirrorFault::NotFound, |(_, fault)| fault)),
            RegistryError::Offline { .. } => ObjectError::Fault(MirrorFault::NotFound),
        }
    }
}

/// A response that refuses.
#[derive(Debug)]
struct Denied {
    status: u16,
    /// What the registry says.
    message: String,
    host: String,
    login: Login,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the registry refuses with status {}", self.status)?;
        match &self.message[..] {
            "" => Ok(()),
            message => write!(f, ": {message}"),
        }
    }
}

impl std::error::Error for Denied {}

impl Denied {
    fn is_absence(&self) -> bool {
        matches!(self.status, 404 | 410)
    }

    fn hint(&self) -> Option<Cow<'_, str>> {
        if !matches!(self.status, 401 | 403) {
            return None;
        }
        let host = &self.host;
        Some(match &self.login {
            Login::None => format!("log in with `podman login {host}` or `docker login {host}`").into(),
            Login::Helper(name) => format!(
                "the login is kept by the helper docker-credential-{name}, which is not run: \
                 `podman login --authfile FILE {host}`, and name the file in REGISTRY_AUTH_FILE"
            )
            .into(),
            Login::Password { .. } | Login::Identity(_) => {
                format!("look whether the login for {host} is still right, and may do this").into()
            }
        })
    }
}

/// What is meant to be done at a registry, which a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Fetching.
    Pull,
    /// Fetching and sending.
    Push,
}

/// A repository at a registry.
#[derive(Debug)]
pub struct Registry {
    downloader: Downloader,
    image: ImageName,
    base: String,
    purpose: Purpose,
    login: Login,
}

/// A manifest, as it came.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its kind, as the registry says.
    pub media_type: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Registry {
    /// Names a repository; nothing is connected yet.
    pub fn new(mut options: Options, image: &ImageName, purpose: Purpose, login: Login) -> Self {
        if image.is_of_loopback() {
            // What is not encrypted does not leave this machine, as it would by way of a proxy.
            options.proxies = Proxies::default();
        }
        let downloader = Downloader::new(options);
        Registry { downloader, image: image.clone(), base: image.url(), purpose, login }
    }

    /// Fetches a manifest by a tag, or by `sha256:` and its digest, which it then has.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn manifest(&self, reference: &str) -> Result<Manifest, RegistryError> {
        let url = format!("{}/manifests/{reference}", self.base);
        let expected = reference.strip_prefix("sha256:").and_then(|hex| hex.parse::<Digest>().ok());
        self.attempts("fetch", &format!("the manifest of {}", self.image), &url, |url| {
            let accept = (header::ACCEPT, MANIFEST_TYPES.to_owned());
            let reply = self.exchange(&Call { headers: vec![accept], ..Call::new(Method::GET, url) })?;
            let reply = self.expect(reply, &[200])?;
            reply.hold_to_digest(expected.as_ref())?;
            Ok(Manifest { media_type: reply.header("content-type"), bytes: reply.body })
        })
    }

    /// Returns the URL of a blob.
    pub fn blob_url(&self, digest: &Digest) -> String {
        format!("{}/blobs/sha256:{digest}", self.base)
    }

    /// Fetches blobs side by side, each to its place.
    ///
    /// # Errors
    /// The first fault.
    pub fn blobs(
        &self,
        wanted: &[(Wanted, PathBuf)],
        tmp: &Path,
        on_bytes: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let is_of_token = |error: &DownloadError| error.faults().iter().any(|(_, fault)| fault.is_of_login());
        let failed = self.downloader.fetch_all(wanted, tmp, on_bytes);
        let Some((first, error)) = failed.into_iter().next() else { return Ok(()) };
        if !is_of_token(&error) {
            return Err(error.into());
        }
        // The token has run out, or there was none yet: this call fetches another.
        self.attempts("find", "a blob", &wanted[first].0.urls[0], |url| {
            self.exchange(&Call::new(Method::HEAD, url)).map(drop).map_err(Trouble::from)
        })?;
        match self.downloader.fetch_all(wanted, tmp, &|_| {}).into_iter().next() {
            Some((_, error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Returns whether the registry has a blob of that length.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn has_blob(&self, digest: &Digest, size_bytes: u64) -> Result<bool, RegistryError> {
        self.attempts("find", &format!("the blob {digest}"), &self.blob_url(digest), |url| {
            let reply = self.exchange(&Call::new(Method::HEAD, url))?;
            if reply.status == 404 {
                return Ok(false);
            }
            // One that is kept elsewhere is there.
            let reply = self.expect(reply, &[200, 302, 303, 307, 308])?;
            let length = reply.header("content-length");
            Ok(reply.status != 200 || length.parse() == Ok(size_bytes))
        })
    }

    /// Puts a manifest there, under a tag or `sha256:` and its digest. What it names must be there. Returns
    /// whether the registry lists it with what refers to its subject.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, RegistryError> {
        let url = format!("{}/manifests/{reference}", self.base);
        self.attempts("push", &format!("the manifest of {}", self.image), &url, |url| {
            let kind = (header::CONTENT_TYPE, media_type.to_owned());
            let call =
                Call { headers: vec![kind], body: Some(bytes.to_vec()), ..Call::new(Method::PUT, url) };
            let reply = self.expect(self.exchange(&call)?, &[200, 201, 202])?;
            reply.hold_to(&Digest::of(bytes))?;
            Ok(!reply.header("oci-subject").is_empty())
        })
    }

    /// Fetches a small blob into memory.
    ///
    /// # Errors
    /// [`RegistryError`], also for one that is longer than [`MAX_MANIFEST_BYTES`].
    pub fn small_blob(&self, what: &str, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        let mut at = self.blob_url(digest);
        // It may be kept elsewhere, where no login goes.
        for _ in 0..MOST_REDIRECTIONS {
            let url = at.clone();
            let came = self.attempts("fetch", what, &url, |url| {
                let reply = self.exchange(&Call::new(Method::GET, url))?;
                if let (301 | 302 | 303 | 307 | 308, Ok(next)) =
                    (reply.status, reply.url.join(&reply.header("location")))
                {
                    return match next.scheme() == "https" || self.image.is_of_loopback() {
                        true => Ok(Err(next.to_string())),
                        false => Err(MirrorFault::Url.into()),
                    };
                }
                let reply = self.expect(reply, &[200])?;
                reply.hold_to_digest(Some(digest))?;
                Ok(Ok(reply.body))
            })?;
            match came {
                Ok(bytes) => return Ok(bytes),
                Err(next) => at = next,
            }
        }
        let fault = Box::new(MirrorFault::Refused("the registry redirects it again and again".into()));
        Err(RegistryError::Call { operation: "fetch", what: what.to_owned(), url: at, fault })
    }

    /// Makes a call, and again where a fault may pass.
    fn attempts<T>(
        &self,
        operation: &'static str,
        what: &str,
        url: &str,
        mut attempt: impl FnMut(&str) -> Result<T, Trouble>,
    ) -> Result<T, RegistryError> {
        let urls = [url.to_owned()];
        let tried = self.downloader.any_place(what, Path::new(""), &urls, &[], |url, _| attempt(url));
        tried.map_err(|error| failed(operation, error))
    }

    /// Returns a reply with one of these statuses, or the fault of another one.
    fn expect(&self, reply: Reply, statuses: &[u16]) -> Result<Reply, MirrorFault> {
        match statuses.contains(&reply.status) {
            true => Ok(reply),
            false => Err(self.fault_of(&reply)),
        }
    }

    fn fault_of(&self, reply: &Reply) -> MirrorFault {
        match (reply.status, reply.pause()) {
            (404 | 410, _) if reply.message().is_empty() => MirrorFault::NotFound,
            (300..400, _) => MirrorFault::Refused("the registry redirects it, which is not followed".into()),
            (status @ (429 | 500..), Some(rest)) => MirrorFault::Busy { status, rest },
            (status @ (408 | 425 | 429 | 500..), _) => MirrorFault::Status(status),
            (status @ 200..300, _) => {
                MirrorFault::Refused(format!("status {status} has no place here").into())
            }
            (status, _) => MirrorFault::Refused(Box::new(Denied {
                status,
                message: reply.message(),
                host: self.image.host.clone(),
                login: self.login.clone(),
            })),
        }
    }
}

/// Returns the fault of a call to the one place that there is.
fn failed(operation: &'static str, error: DownloadError) -> RegistryError {
    match error {
        DownloadError::Offline { what, .. } => RegistryError::Offline { operation, what },
        DownloadError::Places { what, mut faults } => match faults.pop() {
            Some((url, fault)) => RegistryError::Call { operation, what, url, fault: Box::new(fault) },
            None => DownloadError::Places { what, faults }.into(),
        },
        DownloadError::Write { what, source, .. } => RegistryError::Read { what, source },
    }
}

/// The name of an image, a challenge and a range, a line each, and then a file with logins.
#[cfg(feature = "testing")]
pub(crate) fn read_texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(4, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let name = ImageName::read(next());
    if let Some((scheme, _)) = access::challenge(next()) {
        assert!(!scheme.contains(' '), "{scheme}");
    }
    assert_ne!(upload::end_of(next()), Some(0));
    let Ok(name) = name else { return };
    assert_eq!(ImageName::read(&name.to_string()).as_ref(), Ok(&name));
    let url = reqwest::Url::parse(&name.url()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(url.username().is_empty() && url.path().ends_with(&name.name), "{url}");
    assert!(url.scheme() == "https" || name.is_of_loopback(), "{url}");
    let _ = crate::formats::auth_file::login(next().as_bytes(), &name);
}

#[cfg(test)]
mod tests;
