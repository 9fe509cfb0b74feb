//! A port of the host's loopback that leads into a grain: bytes are copied both ways as they are, so that whatever
//! the app speaks goes through, WebSockets too. Whoever wants to know what is asked for is told the requests among them.

mod requests;

use std::{
    io::{self, Read},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    ops::Range,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::sandbox::{Address, Running};
use requests::Requests;

/// Where an app may be found when no other port is asked for: the first that is free.
pub const PORTS: Range<u16> = 8000..8100;

/// Connections at a time; a browser opens six, a page with many streams some more. Others wait.
const CONNECTIONS: usize = 128;

/// No port on the host.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on 127.0.0.1:{port}")]
pub struct ListenError {
    /// Which one.
    pub port: u16,
    /// What the kernel said.
    pub source: io::Error,
}

impl ListenError {
    /// Returns what one can do about it.
    pub fn hint(&self) -> &str {
        "choose another port with --port N"
    }
}

/// Is told method and target of each request before the app is.
pub type OnRequest = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Listens on a port, or on the first free one of a range, or on any.
///
/// # Errors
/// [`ListenError`].
pub fn listen(port: Option<u16>, range: Range<u16>) -> Result<TcpListener, ListenError> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = port {
        return bind(port).map_err(|source| ListenError { port, source });
    }
    let free = range.into_iter().find_map(|port| bind(port).ok());
    free.map_or_else(|| bind(0).map_err(|source| ListenError { port: 0, source }), Ok)
}

/// Returns the URL of what a listener serves.
///
/// # Errors
/// What the kernel says.
pub fn url(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}/", listener.local_addr()?))
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
///
/// # Errors
/// A thread that cannot be started.
pub fn forward(
    listener: TcpListener,
    running: Arc<Running>,
    port: u16,
    on_request: Option<OnRequest>,
) -> io::Result<()> {
    let running = Arc::downgrade(&running);
    accept(listener, move |client| {
        let Some(running) = running.upgrade() else { return };
        let connected = running.connect(&Address::Tcp(port));
        drop(running);
        if let Ok(server) = connected {
            let _ = both_ways(&client, &TcpStream::from(server), on_request.as_ref());
        }
    })
}

/// Starts to give connections to `serve`, each in a thread of its own.
///
/// # Errors
/// A thread that cannot be started.
pub fn accept(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> io::Result<()> {
    let places = Arc::new(Places { free: Mutex::new(CONNECTIONS), changed: Condvar::new() });
    let serve = Arc::new(serve);
    std::thread::Builder::new().name("proxy".into()).spawn(move || {
        for client in listener.incoming() {
            // Only a lack of descriptors or memory makes accept fail here; both pass.
            let Ok(client) = client else {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            };
            let place = places.take();
            let serve = serve.clone();
            // Without a thread the client is dropped, and may try again.
            let _ = std::thread::Builder::new().name("proxy-connection".into()).spawn(move || {
                serve(client);
                drop(place);
            });
        }
    })?;
    Ok(())
}

/// Copies both ways until both sides have ended.
pub(crate) fn both_ways(
    client: &TcpStream,
    server: &TcpStream,
    on_request: Option<&OnRequest>,
) -> io::Result<()> {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    std::thread::scope(|scope| {
        std::thread::Builder::new().name("proxy-upload".into()).spawn_scoped(scope, || match on_request {
            Some(tell) => copy(Told { from: client, requests: Requests::default(), tell }, client, server),
            None => copy(client, client, server),
        })?;
        copy(server, server, client);
        Ok(())
    })
}

/// Copies one way, what `reader` reads of `from`. At its end the other side is told; a broken way ends both.
fn copy(mut reader: impl Read, from: &TcpStream, mut to: &TcpStream) {
    let how = match io::copy(&mut reader, &mut to) {
        Ok(_) => Shutdown::Write,
        Err(_) => {
            let _ = from.shutdown(Shutdown::Both);
            Shutdown::Both
        }
    };
    let _ = to.shutdown(how);
}

/// What a client sends, each request told of before its last byte is given on.
struct Told<'a> {
    from: &'a TcpStream,
    requests: Requests,
    tell: &'a OnRequest,
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.requests.take_in(&buffer[..count], |method, target| (self.tell)(method, target));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

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
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        let on_request: OnRequest = Arc::new(move |method, target| {
            tell.lock().expect("no panic").push(format!("{method} {target}"));
        });
        let copying = std::thread::spawn(move || both_ways(&client, &server, Some(&on_request)));
        browser.write_all(b"GET /tea HTTP/1.1\r\n\r\nGET").expect("writes");
        browser.shutdown(Shutdown::Write).expect("shuts");
        let mut text = String::new();
        app.read_to_string(&mut text).expect("reads");
        assert_eq!(text, "GET /tea HTTP/1.1\r\n\r\nGET");
        assert_eq!(*told.lock().expect("no panic"), ["GET /tea"]);
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
