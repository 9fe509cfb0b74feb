//! Whether a service is ready, asked once.

use core::ffi::CStr;

use crate::{
    config::{Program, Ready},
    sys::{self, Owned},
    text,
};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;

/// Returns whether a service is ready now. `go_on` is asked while an answer is awaited.
pub fn is_ready(program: &Program, port: u16, go_on: &mut dyn FnMut() -> bool) -> bool {
    match &program.ready {
        Ready::Started => true,
        Ready::Socket(path) => unix_accepts(text(*path)),
        Ready::Port(port) => connect(*port).is_some(),
        Ready::Http(path) => http_answers(port, text(*path), go_on),
        // SAFETY: strings of the arena end in NUL and live for ever.
        Ready::File(path) => sys::exists(unsafe { CStr::from_ptr((*path).cast()) }),
    }
}

fn unix_accepts(path: &[u8]) -> bool {
    // struct sockaddr_un: family, 108 bytes of path.
    let mut address = [0_u8; 110];
    if path.len() >= 108 {
        return false;
    }
    address[..2].copy_from_slice(&AF_UNIX.to_ne_bytes());
    address[2..2 + path.len()].copy_from_slice(path);
    let Ok(socket) = sys::socket(AF_UNIX) else { return false };
    // EAGAIN: somebody listens, and the queue is full.
    matches!(sys::connect(socket.0, &address), Ok(()) | Err(sys::EAGAIN))
}

/// Connects to a port of 127.0.0.1.
fn connect(port: u16) -> Option<Owned> {
    // struct sockaddr_in: family, port, address, 8 bytes of nothing.
    let mut address = [0_u8; 16];
    address[..2].copy_from_slice(&AF_INET.to_ne_bytes());
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    let socket = sys::socket(AF_INET).ok()?;
    match sys::connect(socket.0, &address) {
        Ok(()) => Some(socket),
        Err(sys::EINPROGRESS) if sys::poll(socket.0, POLLOUT, 1000) => {
            // A second call tells how the first ended: EISCONN (106) or success is good.
            matches!(sys::connect(socket.0, &address), Ok(()) | Err(106)).then_some(socket)
        }
        Err(_) => None,
    }
}

/// Returns whether the web port answers a GET with a status below 500.
fn http_answers(port: u16, path: &[u8], go_on: &mut dyn FnMut() -> bool) -> bool {
    let Some(socket) = connect(port) else { return false };
    let mut digits = [0; 12];
    let host = crate::log::number(i64::from(port), &mut digits, b"");
    let parts: [&[u8]; 5] = [
        b"GET ",
        path,
        b" HTTP/1.1\r\nHost: 127.0.0.1:",
        host,
        b"\r\nUser-Agent: tinyroot-init\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    ];
    // A fresh connection's buffer holds this many times over.
    if parts.iter().any(|part| sys::write_all(socket.0, part).is_err()) {
        return false;
    }
    let mut answer = [0_u8; 4096];
    let mut length = 0;
    while length < 12 {
        if !sys::poll(socket.0, POLLIN, 20) {
            if go_on() {
                continue;
            }
            return false;
        }
        match sys::read(socket.0, &mut answer[length..]) {
            Ok(0) | Err(_) => return false,
            Ok(count) => length += count,
        }
    }
    // The rest is taken too, for a while: servers log a client that leaves early.
    let mut rest = [0_u8; 4096];
    for _ in 0..256 {
        if !sys::poll(socket.0, POLLIN, 500) || !matches!(sys::read(socket.0, &mut rest), Ok(1..)) {
            break;
        }
    }
    answer.starts_with(b"HTTP/1.") && answer[8] == b' ' && (b'1'..b'5').contains(&answer[9])
}
