//! Packets with descriptors between two processes of one host.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    },
};

use super::{Result, traced};

/// The most descriptors in one packet.
pub const MOST_DESCRIPTORS: usize = 4;

/// The longest packet that [`receive`] takes; below the kernel's usual limit for sending
/// (`net.core.wmem_default`).
const MOST_BYTES: usize = 192 << 10;

/// Returns the two ends of a connection that keeps packets apart.
///
/// # Errors
/// The call.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    traced(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None), || {
        "socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0)".into()
    })
}

/// Sends one packet.
///
/// # Errors
/// The call; EPIPE where the other end is closed.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    loop {
        match rustix::net::sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            result => {
                return traced(result, || {
                    format!("sendmsg(SOCKET, {} bytes, {} descriptors)", bytes.len(), fds.len())
                })
                .map(drop);
            }
        }
    }
}

/// Receives one packet; `None` when the other end is closed.
///
/// # Errors
/// The call.
pub fn receive(socket: impl AsFd) -> Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MOST_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            // The other end died with something unread.
            Err(Errno::CONNRESET) => return Ok(None),
            result => break traced(result, || "recvmsg(SOCKET)".into())?,
        }
    };
    let fds: Vec<OwnedFd> = control
        .drain()
        .filter_map(|m| match m {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    if message.bytes == 0 && fds.is_empty() {
        return Ok(None);
    }
    bytes.truncate(message.bytes);
    Ok(Some((bytes, fds)))
}
