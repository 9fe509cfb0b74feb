//! A port of the host's loopback that leads into a grain: bytes are copied both ways and not
//! looked at, so that whatever the app speaks goes through, WebSockets too.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    ops::Range,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::sandbox::{Address, Running};

use super::RunError;

/// Connections at a time; a browser opens six, a page with many streams some more. Others wait.
const CONNECTIONS: usize = 128;

/// Listens on a port, or on the first free one of a range, or on any.
pub(super) fn listen(port: Option<u16>, range: Range<u16>) -> Result<TcpListener, RunError> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = port {
        return bind(port).map_err(|source| RunError::Listen { port, source });
    }
    let free = range.into_iter().find_map(|port| bind(port).ok());
    free.map_or_else(|| bind(0).map_err(|source| RunError::Listen { port: 0, source }), Ok)
}

/// Counts connections down and up.
struct Places {
    free: Mutex<usize>,
    changed: Condvar,
}

struct Place(Arc<Places>);

impl Places {
    fn take(self: &Arc<Self>) -> Place {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.changed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Place(self.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_one();
    }
}

/// Starts to lead connections to a port of a grain, in threads that end with this process.
pub(super) fn forward(listener: TcpListener, running: Arc<Running>, port: u16) -> io::Result<()> {
    let running = Arc::downgrade(&running);
    let places = Arc::new(Places { free: Mutex::new(CONNECTIONS), changed: Condvar::new() });
    std::thread::Builder::new().name("proxy".into()).spawn(move || {
        for client in listener.incoming() {
            // Only a lack of descriptors or memory makes accept fail here; both pass.
            let Ok(client) = client else {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            };
            let place = places.take();
            let Some(running) = running.upgrade() else { return };
            // Without a thread the client is dropped, and may try again.
            let _ = std::thread::Builder::new().name("proxy-connection".into()).spawn(move || {
                let connected = running.connect(&Address::Tcp(port));
                drop(running);
                if let Ok(server) = connected {
                    let _ = both_ways(&client, &TcpStream::from(server));
                }
                drop(place);
            });
        }
    })?;
    Ok(())
}

/// Copies both ways until both sides have ended.
fn both_ways(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("proxy-upload".into())
            .spawn_scoped(scope, || copy(client, server))?;
        copy(server, client);
        Ok(())
    })
}

/// Copies one way. At its end the other side is told; a broken way ends both.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let how = match io::copy(&mut from, &mut to) {
        Ok(_) => Shutdown::Write,
        Err(_) => {
            let _ = from.shutdown(Shutdown::Both);
            Shutdown::Both
        }
    };
    let _ = to.shutdown(how);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
        let one = TcpStream::connect(listener.local_addr().expect("has one")).expect("connects");
        (one, listener.accept().expect("accepts").0)
    }

    #[test]
    fn bytes_go_both_ways_after_one_side_has_said_all() {
        let (mut browser, client) = pair();
        let (server, mut app) = pair();
        let copying = std::thread::spawn(move || both_ways(&client, &server));
        browser.write_all(b"request").expect("writes");
        browser.shutdown(Shutdown::Write).expect("shuts");
        let mut text = String::new();
        app.read_to_string(&mut text).expect("reads");
        assert_eq!(text, "request");
        app.write_all(b"answer").expect("writes");
        drop(app);
        text.clear();
        browser.read_to_string(&mut text).expect("reads");
        assert_eq!(text, "answer");
        copying.join().expect("ends").expect("copies");
    }

    #[test]
    fn a_port_that_is_taken_is_told() {
        let taken = listen(None, 0..0).expect("any port");
        let port = taken.local_addr().expect("has one").port();
        let error = listen(Some(port), 0..0).expect_err("is taken");
        assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port}"));
        let next = listen(None, port..port.saturating_add(1)).expect("another port");
        assert_ne!(next.local_addr().expect("has one").port(), port);
    }
}
