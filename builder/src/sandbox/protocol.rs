//! The protocol between us and the monitor: one JSON document a packet, descriptors beside it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use serde::{Serialize, de::DeserializeOwned};

use super::{Address, Exit, Ids, Program, Sandbox};
use crate::sys;

/// A monitor's task, in a file that it inherits.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) enum Task {
    /// Make this sandbox.
    Run(Box<Sandbox>),
    /// Make this sandbox, whose view is mounted already: with [`Order::Join`].
    RunOnView(Box<Sandbox>),
    /// Try what the host allows to these ids, and end.
    Probe(Ids),
    /// Remove what lies at a path of the host, as root with these ids, and end.
    Remove {
        ids: Ids,
        #[serde(with = "path")]
        path: PathBuf,
    },
}

/// An order to a monitor.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) enum Order {
    /// The user namespace and the view's mount of a sandbox before this one come along.
    Join,
    /// The id maps are written: go on.
    Mapped,
    /// The view is served: build the rest of the root.
    Build,
    /// Let the program run.
    Start,
    /// Open a connection.
    Connect(Address),
    /// Signal a program: 0 is process 1.
    Signal { id: u32, signal: i32 },
    /// Make a terminal.
    Terminal,
    /// Start one more program; its stdin, stdout and stderr come along.
    Execute(Program),
}

/// A report of a monitor.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) enum Report {
    /// It stands in name spaces of its own and waits for [`Order::Mapped`]; without `users` there is nothing
    /// to map.
    Unshared { users: bool },
    /// The view is mounted; its connection and the user namespace that it belongs to come along.
    Fuse,
    /// The root is there as far as it can be without the view.
    Prepared,
    /// The root is whole and the program waits. A copy of a view's mount comes along, for a sandbox after
    /// this one.
    Built,
    /// The program was let go.
    Started,
    /// A connection comes along; it may still be under way.
    Connected,
    /// The two ends of a terminal come along: that of its user, that of its program.
    Terminal,
    /// The order is done; the number of a new program.
    Done { id: u32 },
    /// The order failed with this error number.
    Refused { errno: i32 },
    /// Process 1 says that it is ready.
    Ready,
    /// A program ended: 0 is process 1, and with it the sandbox ends.
    Ended { id: u32, exit: Exit },
    /// Nothing more will come: a step of the set-up failed.
    Failed { step: String, call: String, errno: i32 },
    /// The result of a probe: its name, and why it failed.
    Probed(Vec<(String, Option<String>)>),
}

/// Sends one message.
pub(super) fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> Result<(), sys::CallError> {
    let bytes = serde_json::to_vec(message).expect("messages have only string keys");
    sys::socket::send(socket, &bytes, fds)
}

/// Receives one message; `None` when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let Some((bytes, fds)) = sys::socket::receive(socket)? else { return Ok(None) };
    Ok(Some((serde_json::from_slice(&bytes)?, fds)))
}

/// Paths in JSON: as their bytes, for they need not be UTF-8.
pub(super) mod path {
    use std::{
        ffi::{OsStr, OsString},
        path::{Path, PathBuf},
    };

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        OsStr::serialize(path.as_os_str(), serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(deserializer).map(PathBuf::from)
    }
}
