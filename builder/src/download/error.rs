//! Faults of a download, and their texts.

use std::{error::Error, fmt, io, path::PathBuf, time::Duration};

use super::{Via, without_password};
use crate::formats::checksum::Checksum;

/// The hint for a proxy that fails.
pub const PROXY_HINT: &str =
    "mend or unset what names the proxy, or except the mirror from it with `no_proxy`";

/// The hint for a network that requires a login.
pub const LOGIN_HINT: &str = "open a web page in a browser of this host, to see whether the network wants a login; or try another mirror with --mirror URL";

/// A fault of one location. It is a line in a list of locations, so those of a connection hold the text of
/// their root cause, which the layers of HTTP above it only repeat.
#[derive(Debug, thiserror::Error)]
pub enum MirrorFault {
    /// 404 or 410, or no such file.
    #[error("it is not there")]
    NotFound,
    /// Another status than was hoped for.
    #[error("the server responds with status {0}")]
    Status(u16),
    /// The same, and it names a pause (Retry-After).
    #[error("the server responds with status {status} and requests a pause of {}", pause_text(*.rest))]
    Busy {
        /// The status.
        status: u16,
        /// The length of the pause.
        rest: Duration,
    },
    /// One redirection after another.
    #[error("it is redirected without end")]
    Redirects,
    /// No connection, be it for the name, the route, or TLS.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No connection, since nothing listens there.
    #[error("cannot connect: {0}")]
    ConnectionRefused(String),
    /// No such name, as a name server says.
    #[error("there is no host of this name: {0}")]
    UnknownHost(String),
    /// TLS with another host, or with one whose certificate has no trusted issuer.
    #[error("its certificate cannot be accepted: {0}")]
    Certificate(String),
    /// Another part than was requested, or one that is not as announced.
    #[error("the server sends another part of it than was requested")]
    OtherPart,
    /// All requests of another file from the host failed.
    #[error("it is not asked any more, since it did nothing but fail: {0}")]
    GivenUp(String),
    /// A fault on the way through a proxy.
    #[error("{}", through(.0, .1))]
    Through(Box<Via>, Box<MirrorFault>),
    /// A response of another server, to which the one that was asked redirects.
    #[error("redirected to {0}: {1}")]
    Redirected(String, Box<MirrorFault>),
    /// A proxy that wants a user name and a password.
    #[error("it wants a user name and a password")]
    ProxyAuthentication,
    /// A proxy that cannot reach the host.
    #[error("it cannot connect to the host: {0}")]
    Tunnel(String),
    /// Silence.
    #[error("nothing came for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    /// Not quite silence.
    #[error("it came too slowly: less than {0} bytes per second")]
    Slow(u64),
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
    /// The response of a network before a login.
    #[error("it sends a web page (text/html) in its place: a login page of the network?")]
    WebPage,
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
    /// It came, but cannot be accepted.
    #[error("{0}")]
    Refused(Box<dyn Error + Send + Sync>),
    /// The same, which may be for damage on the way.
    #[error("{0}")]
    Damaged(Box<dyn Error + Send + Sync>),
    /// Too few threads can be started.
    #[error("cannot start the threads that a download needs: the system gives {0} of {needed}", needed = crate::threads::FOR_HTTP)]
    Threads(usize),
    /// A file of a `file:` URL.
    #[error("cannot read it: {0}")]
    Read(io::Error),
    /// A proxy that cannot be used.
    #[error("the proxy that {named_by} names is not an http or https URL")]
    Proxy {
        /// A variable, or a setting of apt's.
        named_by: String,
    },
    /// A URL that is neither http, https nor file, or that points out of its mirror.
    #[error("it is not a usable URL")]
    Url,
}

/// Why contents cannot be accepted, as their receiver says.
#[derive(Debug)]
pub struct Refusal {
    /// The fault.
    pub error: Box<dyn Error + Send + Sync>,
    /// Whether it may have been damaged on the way, so that another try may do better.
    pub may_be_damaged: bool,
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Refusal { error: error.into(), may_be_damaged: false }
    }
}

impl From<Refusal> for MirrorFault {
    fn from(refusal: Refusal) -> Self {
        match refusal.may_be_damaged {
            true => MirrorFault::Damaged(refusal.error),
            false => MirrorFault::Refused(refusal.error),
        }
    }
}

/// The use of a retry at the same location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: the place says so itself.
    Final,
    /// It may do better in a while.
    Passing,
    /// It may bring other bytes.
    Doubtful,
}

impl MirrorFault {
    /// Returns the fault itself, without the proxy or the redirection that it came through.
    pub fn itself(&self) -> &MirrorFault {
        match self {
            MirrorFault::Through(_, fault) | MirrorFault::Redirected(_, fault) => fault.itself(),
            fault => fault,
        }
    }

    /// Returns whether the server that was asked wants a login, rather than one to which it redirects.
    pub fn is_of_login(&self) -> bool {
        match self {
            MirrorFault::Through(_, fault) => fault.is_of_login(),
            fault => matches!(fault, MirrorFault::Status(401)),
        }
    }

    /// Whether it is the proxy that fails, rather than the server behind it.
    pub fn is_of_proxy(&self) -> bool {
        use MirrorFault::{Connect, ConnectionRefused, ProxyAuthentication, Tunnel, UnknownHost};
        match self {
            MirrorFault::Through(_, fault) => matches!(
                **fault,
                Connect(_) | ConnectionRefused(_) | UnknownHost(_) | ProxyAuthentication | Tunnel(_)
            ),
            fault => matches!(fault, MirrorFault::Proxy { .. }),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.itself() {
            // 425 is RFC 8470's; 501, 505 and 511 (a network that wants a login) stay as they are.
            MirrorFault::Status(408 | 425 | 429) | MirrorFault::Busy { .. } => Kind::Passing,
            MirrorFault::Status(501 | 505 | 511) => Kind::Final,
            MirrorFault::Status(500..) => Kind::Passing,
            MirrorFault::Connect(_)
            | MirrorFault::ConnectionRefused(_)
            | MirrorFault::Tunnel(_)
            | MirrorFault::Stalled(_)
            | MirrorFault::Slow(_)
            | MirrorFault::CutOff(_)
            | MirrorFault::GivenUp(_) => Kind::Passing,
            MirrorFault::OtherPart
            | MirrorFault::WrongSize { .. }
            | MirrorFault::TooLong(_)
            | MirrorFault::WrongDigest { .. }
            | MirrorFault::WebPage
            | MirrorFault::Damaged(_) => Kind::Doubtful,
            _ => Kind::Final,
        }
    }

    /// Returns the pause that the server wants.
    pub(super) fn rest(&self) -> Option<Duration> {
        match self.itself() {
            MirrorFault::Busy { rest, .. } => Some(*rest),
            _ => None,
        }
    }

    /// Whether nothing listens there, which is known at once.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.itself(), MirrorFault::ConnectionRefused(_))
    }

    /// Whether the bytes are wrong, rather than the transfer.
    pub fn is_of_bytes(&self) -> bool {
        use MirrorFault::{OtherPart, TooLong, WrongDigest, WrongSize};
        matches!(self.itself(), WrongDigest { .. } | WrongSize { .. } | TooLong(_) | OtherPart)
    }

    /// Whether the bytes so far may be right, so that only the rest is requested.
    pub(super) fn keeps_pieces(&self) -> bool {
        self.kind() == Kind::Passing
    }
}

/// Returns the text for a pause; servers may name any.
fn pause_text(pause: Duration) -> String {
    match pause.as_secs() {
        seconds @ ..=86_400 => format!("{seconds} s"),
        _ => "more than a day".into(),
    }
}

/// Returns the text for a fault on the way through a proxy.
fn through(via: &Via, fault: &MirrorFault) -> String {
    match fault {
        MirrorFault::Connect(why) | MirrorFault::ConnectionRefused(why) => {
            format!("cannot connect to {via}: {why}")
        }
        MirrorFault::UnknownHost(why) => format!("cannot find {via}: {why}"),
        MirrorFault::ProxyAuthentication => format!("{via} wants a user name and a password"),
        MirrorFault::Tunnel(why) => format!("{via} cannot connect to the host: {why}"),
        fault if fault.to_string().contains('\n') => format!("{fault}\nby way of {via}"),
        fault => format!("{fault}, by way of {via}"),
    }
}

/// A file that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Not cached, and the network is not to be used.
    #[error("cannot fetch {what} offline{}", Found(.faults))]
    Offline {
        /// The fault.
        what: String,
        /// Each place on this machine and its fault.
        faults: Vec<(String, MirrorFault)>,
    },
    /// No place had it.
    #[error("cannot fetch {what}{}", Places(.faults))]
    Places {
        /// The fault.
        what: String,
        /// Each URL tried and its last fault.
        faults: Vec<(String, MirrorFault)>,
    },
    /// A disk that is full or read-only.
    #[error("cannot write {what} below {}", path.display())]
    Write {
        /// The fault.
        what: String,
        /// Where.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
}

impl DownloadError {
    /// Whether every location responded that the file does not exist.
    pub fn is_gone(&self) -> bool {
        matches!(self, DownloadError::Places { faults, .. }
            if !faults.is_empty() && faults.iter().all(|(_, fault)| matches!(fault, MirrorFault::NotFound)))
    }

    /// Whether no place has it: each says that there is nothing under its name, or has something else there.
    pub fn is_lost(&self) -> bool {
        let lost = |fault: &MirrorFault| matches!(fault, MirrorFault::NotFound) || fault.is_of_bytes();
        matches!(self, DownloadError::Places { faults, .. }
            if !faults.is_empty() && faults.iter().all(|(_, fault)| lost(fault)))
    }

    /// Whether some place sent a web page in its place.
    pub fn has_page(&self) -> bool {
        self.faults().iter().any(|(_, fault)| matches!(fault.itself(), MirrorFault::WebPage))
    }

    /// Returns the names of the missing files.
    pub fn what(&self) -> &str {
        match self {
            DownloadError::Offline { what, .. }
            | DownloadError::Places { what, .. }
            | DownloadError::Write { what, .. } => what,
        }
    }

    /// Returns each place that was tried, and its last fault.
    pub fn faults(&self) -> &[(String, MirrorFault)] {
        match self {
            DownloadError::Offline { faults, .. } | DownloadError::Places { faults, .. } => faults,
            DownloadError::Write { .. } => &[],
        }
    }

    /// Whether the fault is this file's alone, so that others may well be had.
    pub(super) fn is_of_one_file(&self) -> bool {
        match self {
            DownloadError::Offline { .. } => true,
            DownloadError::Places { faults, .. } => {
                faults.is_empty() || faults.iter().any(|(_, fault)| fault.kind() != Kind::Passing)
            }
            DownloadError::Write { .. } => false,
        }
    }
}

/// Shows the locations and their faults; on one line if there was one location.
struct Places<'a>(&'a [(String, MirrorFault)]);

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

/// Shows the faults of locations on this machine.
struct Found<'a>(&'a [(String, MirrorFault)]);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(url, fault)| write!(f, "\n  {}: {}", without_password(url), indented(fault)))
    }
}

fn indented(fault: &MirrorFault) -> String {
    fault.to_string().replace('\n', "\n  ")
}
