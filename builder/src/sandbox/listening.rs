//! The listening sockets of a sandbox: the kernel's tables of sockets, as the monitor's network has them.
//!
//! Read from `/proc/PID/net` (`proc_pid_net(5)`), so nothing inside is involved, and nothing inside can lie.

use std::{collections::BTreeSet, fmt, fs, path::Path};

use crate::files;

/// Something that accepts connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listening {
    /// A TCP port, of IPv4 or IPv6.
    Port(u16),
    /// A Unix socket with a path.
    Socket(String),
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listening::Port(port) => write!(f, "port {port}"),
            Listening::Socket(path) => f.write_str(path),
        }
    }
}

/// The state of a TCP socket that listens (`TCP_LISTEN` in `tcp_states.h`), and the flag of a Unix socket
/// that does (`__SO_ACCEPTCON` in `net.h`).
const TCP_LISTEN: &str = "0A";
const ACCEPTS: u32 = 1 << 16;

/// Returns the listening sockets in the network of a process, sorted; nothing where that is the network of
/// this process too, or where it cannot be read.
pub(super) fn of_process(pid: u32) -> Vec<Listening> {
    let network = |pid: &str| fs::read_link(Path::new("/proc").join(pid).join("ns/net")).ok();
    let own = network("self");
    if own.is_none() || network(&pid.to_string()).is_none_or(|of_process| Some(of_process) == own) {
        return Vec::new();
    }
    let table = |name: &str| files::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let mut out: BTreeSet<Listening> = ["tcp", "tcp6"].iter().flat_map(|name| ports(&table(name))).collect();
    out.extend(sockets(&table("unix")));
    out.into_iter().collect()
}

fn ports(table: &str) -> Vec<Listening> {
    let port = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (state == TCP_LISTEN).then_some(Listening::Port(port))
    };
    table.lines().skip(1).filter_map(port).collect()
}

fn sockets(table: &str) -> Vec<Listening> {
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let flags = u32::from_str_radix(words.get(3)?, 16).ok()?;
        let path = words.get(7)?;
        (flags & ACCEPTS != 0 && path.starts_with('/')).then(|| Listening::Socket((*path).to_owned()))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_listens_is_read_of_the_tables() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n   \
                   0: 0100007F:20C0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000\n   \
                   1: 0100007F:20C0 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000\n   \
                   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0\n";
        assert_eq!(ports(tcp), [Listening::Port(8384), Listening::Port(8080)]);
        let unix = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                    0000: 00000002 00000000 00010000 0001 01 16163 /run/php.sock\n\
                    0000: 00000003 00000000 00000000 0001 03 16200 /run/php.sock\n\
                    0000: 00000002 00000000 00010000 0001 01 16164 @abstract\n\
                    0000: 00000002 00000000 00010000 0001 01 16165\n";
        assert_eq!(sockets(unix), [Listening::Socket("/run/php.sock".to_owned())]);
        assert_eq!(ports("nonsense\n\u{e4}:x y z\n"), []);
    }

    #[test]
    fn the_network_of_this_process_is_none_of_a_sandbox() {
        assert_eq!(of_process(std::process::id()), []);
    }
}
