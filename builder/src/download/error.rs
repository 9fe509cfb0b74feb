//! What can go wrong with a download, and how it is told.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::formats::checksum::Checksum;

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
    #[error("its digest is not the expected one\nexpected {expected}\nfound    {found}")]
    WrongDigest {
        /// As it should be.
        expected: Box<Checksum>,
        /// As it is.
        found: Box<Checksum>,
    },
    /// It came, but whoever asked for it does not accept it.
    #[error("{0}")]
    Refused(Box<dyn std::error::Error + Send + Sync>),
    /// Too few threads can be started.
    #[error("cannot start the threads that a download needs: the system gives {0} of {needed}", needed = crate::threads::FOR_HTTP)]
    Threads(usize),
    /// A file of a `file:` URL.
    #[error("cannot read it: {0}")]
    Read(io::Error),
    /// A proxy that cannot be used.
    #[error("the proxy that apt's configuration or the environment names is no http or https URL")]
    Proxy,
    /// What is neither http, https nor file, or leads out of its mirror.
    #[error("it is no usable URL")]
    Url,
}

impl Fault {
    /// Whether another try at the same place may do better.
    pub(super) fn may_pass(&self) -> bool {
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
    pub(super) fn is_of_one_file(&self) -> bool {
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
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}
