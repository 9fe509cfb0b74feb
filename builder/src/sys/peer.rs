//! Who is at the other end of a connection over the loopback.

use std::{
    fs, io,
    net::{SocketAddr, SocketAddrV4, TcpStream},
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::{Result, traced};

/// `SOCK_DIAG_BY_FAMILY` and `struct inet_diag_req_v2`, `struct inet_diag_msg` of `linux/sock_diag.h` and
/// `linux/inet_diag.h`, each behind a `struct nlmsghdr` of 16 bytes.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST_BYTES: usize = 16 + 56;
const UID_AT: usize = 80;
const INODE_AT: usize = 84;
/// Behind family, state and two more: the ports, first that of the socket itself, both as the network has
/// them.
const PORTS_AT: usize = 20;

/// Returns the user whose process holds the other end of a connection of IPv4 from this machine to itself;
/// `None` if there is none: it is on another machine, or closed already.
///
/// The kernel's own word, once by `sock_diag(7)`, which looks up just this socket, and where that is missing
/// by `/proc/net/tcp`, which lists all. A socket that no process holds any more has user 0 in both, and is
/// passed over.
///
/// # Errors
/// A connection that does not exist.
pub fn user_of_peer(stream: &TcpStream) -> io::Result<Option<u32>> {
    let (SocketAddr::V4(theirs), SocketAddr::V4(ours)) = (stream.peer_addr()?, stream.local_addr()?) else {
        return Ok(None);
    };
    Ok(by_diagnosis(theirs, ours).ok().flatten().or_else(|| by_list(theirs, ours)))
}

fn by_diagnosis(own: SocketAddrV4, other: SocketAddrV4) -> Result<Option<u32>> {
    let (flags, protocol) = (SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG));
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol);
    let socket = traced(socket, || "socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_SOCK_DIAG)".into())?;
    let request = request(own, other);
    traced(rustix::net::send(&socket, &request, SendFlags::empty()), || "send(NETLINK_SOCK_DIAG)".into())?;
    let mut response = [0; 1024];
    let received = rustix::net::recv(&socket, &mut response[..], RecvFlags::empty());
    let (length, _) = traced(received, || "recv(NETLINK_SOCK_DIAG)".into())?;
    Ok(response.get(..length).and_then(|response| user_in(response, own.port(), other.port())))
}

fn request(own: SocketAddrV4, other: SocketAddrV4) -> Vec<u8> {
    let mut out = Vec::with_capacity(REQUEST_BYTES);
    out.extend((REQUEST_BYTES as u32).to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    // NLM_F_REQUEST, and neither a number of the request nor of ours.
    out.extend(1_u16.to_ne_bytes());
    out.extend([0; 8]);
    // AF_INET, TCP, nothing more than the basics, in any state.
    out.extend([2, 6, 0, 0]);
    out.extend(u32::MAX.to_ne_bytes());
    out.extend(own.port().to_be_bytes());
    out.extend(other.port().to_be_bytes());
    for address in [own, other] {
        out.extend(address.ip().octets());
        out.extend([0; 12]);
    }
    // Any interface; INET_DIAG_NOCOOKIE.
    out.extend([0; 4]);
    out.extend([0xff; 8]);
    out
}

/// Reads the one message that comes back. An error, as for a socket that is not there, is one of another
/// type.
fn user_in(response: &[u8], own: u16, other: u16) -> Option<u32> {
    let number = |at: usize| response.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    let is_found = response.get(4..6)? == SOCK_DIAG_BY_FAMILY.to_ne_bytes();
    // Without a connection the kernel gives a socket that listens there.
    let is_this = response.get(PORTS_AT..PORTS_AT + 4)? == [own.to_be_bytes(), other.to_be_bytes()].concat();
    (is_found && is_this && number(INODE_AT)? != 0).then(|| number(UID_AT)).flatten()
}

fn by_list(own: SocketAddrV4, other: SocketAddrV4) -> Option<u32> {
    let list = fs::read_to_string("/proc/net/tcp").ok()?;
    list.lines().skip(1).find_map(|line| user_of_line(line, own, other))
}

/// Reads a line of `/proc/net/tcp` (proc_pid_net(5)): number, own address, other address, state, queues,
/// timer, retransmissions, user, timeout, inode.
fn user_of_line(line: &str, own: SocketAddrV4, other: SocketAddrV4) -> Option<u32> {
    // Addresses are shown as numbers of this machine, ports as numbers.
    let shown = |address: SocketAddrV4| {
        format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
    };
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let is_this = *words.get(1)? == shown(own) && *words.get(2)? == shown(other);
    (is_this && *words.get(9)? != "0").then(|| words.get(7)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn the_user_at_the_other_end_is_known_until_it_closes() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
        let client = TcpStream::connect(listener.local_addr().expect("has one")).expect("connects");
        let (served, _) = listener.accept().expect("accepts");
        let own = Some(rustix::process::getuid().as_raw());
        assert_eq!(user_of_peer(&served).expect("is connected"), own);
        let (SocketAddr::V4(theirs), SocketAddr::V4(ours)) =
            (served.peer_addr().expect("has one"), served.local_addr().expect("has one"))
        else {
            panic!("not of IPv4")
        };
        assert_eq!((by_list(theirs, ours), by_diagnosis(theirs, ours)), (own, Ok(own)));
        // Not the one that listens at that port, and not our own end.
        let nobody = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
        assert_eq!((by_list(ours, nobody), by_diagnosis(ours, nobody)), (None, Ok(None)));
        client.shutdown(std::net::Shutdown::Write).expect("shuts");
        assert_eq!(user_of_peer(&served).expect("is connected"), own);
        drop(client);
        // A socket without a process has user 0 for the kernel. A child that another test starts just now
        // holds it until it execs.
        let is_gone = || user_of_peer(&served).ok().flatten().is_none();
        let gone = (0..1000).any(|_| {
            is_gone() || {
                std::thread::sleep(std::time::Duration::from_millis(10));
                false
            }
        });
        assert!(gone, "{:?}", user_of_peer(&served));
    }
}
