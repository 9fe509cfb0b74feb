//! A port of the host's loopback that leads into a grain. Of requests and responses the heads are looked at, so that redirects
//! and cookies fit the authority requested ([`Authorities`]); bodies, and whatever is no HTTP/1, go through as they are,
//! WebSockets too.

mod exchange;

pub(crate) use exchange::{Exchange, Rewrite};

use std::{
    io::{self, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    ops::Range,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    recipe::Web,
    sandbox::{Address, Running},
    web::{Answer, Authorities, Body, Head, policy, read_head_into},
};

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
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 are root's: choose one above 1023 with --port N, or let all users have lower ones with \
                 `sysctl net.ipv4.ip_unprivileged_port_start=N`"
            }
            _ => "choose another port with --port N",
        }
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

/// Starts to lead connections to the web port of a grain, in threads that end with this process.
///
/// # Errors
/// A thread that cannot be started.
pub fn forward(
    listener: TcpListener,
    running: Arc<Running>,
    web: Web,
    on_request: Option<OnRequest>,
) -> io::Result<()> {
    let running = Arc::downgrade(&running);
    accept(listener, move |client| {
        let Some(running) = running.upgrade() else { return };
        let connect = || running.connect(&Address::Tcp(web.port)).map(TcpStream::from);
        // A client that goes away harms nobody but itself.
        let _ = lead(client, connect, &web, on_request.as_ref());
    })
}

/// Leads one connection to an app. What is no request of HTTP/1 that can be read in one way only goes through as it is.
fn lead(
    mut client: &TcpStream,
    connect: impl FnOnce() -> io::Result<TcpStream>,
    web: &Web,
    on_request: Option<&OnRequest>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut reader, mut bytes) = (BufReader::new(client), Vec::new());
    let is_whole = read_head_into(&mut reader, &mut bytes)?;
    if bytes.is_empty() {
        return Ok(());
    }
    let head = Head::of_request(&bytes).filter(|_| is_whole);
    let request = head.and_then(|head| Body::of_request(&head).map(|body| (head, body)));
    if let (Some((head, _)), Some(tell)) = (&request, on_request) {
        tell(head.method(), head.target());
    }
    let Ok(app) = connect() else {
        let refusal = Answer::refusal("502 Bad Gateway", "the app takes no connection");
        return refusal.send(&mut client, &policy("'none'"), bytes.starts_with(b"HEAD "));
    };
    app.set_nodelay(true)?;
    let Some((head, body)) = request else {
        (&app).write_all(&bytes)?;
        (&app).write_all(reader.buffer())?;
        return both_ways(client, &app);
    };
    let rewrite = Authorities::of_request(&head, web.host.as_deref(), web.port);
    let is_head = head.method() == "HEAD";
    let exchange = Exchange { client, reader, app: &app, rewrite: &rewrite, gone_at_end: false };
    match exchange.run(head, body)? {
        Some(answer) => answer.send(&mut client, &policy("'none'"), is_head),
        None => Ok(()),
    }
}

/// Starts to give connections to `serve`, each in a thread of its own; one that gets no thread is refused.
///
/// # Errors
/// The thread that accepts cannot be started.
pub fn accept(listener: TcpListener, serve: impl Fn(&TcpStream) + Send + Sync + 'static) -> io::Result<()> {
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
            let client = Arc::new(client);
            let (serve, served) = (serve.clone(), client.clone());
            let thread = std::thread::Builder::new().name("proxy-connection".into()).spawn(move || {
                serve(&served);
                drop((served, place));
            });
            if thread.is_err() {
                // A client that goes away harms nobody but itself.
                let _ = refuse(&client);
            }
        }
    })?;
    Ok(())
}

/// How long a client that is refused may take to send its request.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(200);

/// Tells a client that there is no thread for it. Its request is read, at least its beginning: a connection that is closed with
/// something unread is reset, and the client may lose the response.
fn refuse(mut client: &TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(REFUSAL_PATIENCE))?;
    client.set_write_timeout(Some(REFUSAL_PATIENCE))?;
    let mut start = [0; 16 << 10];
    let length = client.read(&mut start)?;
    let why = format!("no thread can be started for this request: {}", crate::threads::HINT);
    let refusal = Answer::refusal("503 Service Unavailable", &why).with("Retry-After", "1");
    refusal.send(&mut client, &policy("'none'"), start[..length].starts_with(b"HEAD "))?;
    client.shutdown(Shutdown::Write)
}

/// Copies both ways until both sides have ended.
pub(crate) fn both_ways(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    std::thread::scope(|scope| {
        let upload = std::thread::Builder::new().name("proxy-upload".into());
        upload.spawn_scoped(scope, || copy(client, server))?;
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
    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
        let one = TcpStream::connect(listener.local_addr().expect("has one")).expect("connects");
        (one, listener.accept().expect("accepts").0)
    }

    fn web(host: Option<&str>) -> Web {
        Web { port: 8000, host: host.map(str::to_owned), links_to: Vec::new(), load: true }
    }

    /// What the app is sent and what the client is, where the client closes its half behind its request.
    fn exchanged(host: Option<&str>, sent: &str, response: &str) -> (String, String, Vec<String>) {
        let (mut browser, client) = pair();
        let (server, mut app) = pair();
        let web = web(host);
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        let on_request: OnRequest = Arc::new(move |method, target| {
            tell.lock().expect("no panic").push(format!("{method} {target}"));
        });
        let leading = std::thread::spawn(move || lead(&client, || Ok(server), &web, Some(&on_request)));
        browser.write_all(sent.as_bytes()).expect("writes");
        browser.shutdown(Shutdown::Write).expect("shuts");
        let (mut to_app, mut to_browser) = (String::new(), String::new());
        app.read_to_string(&mut to_app).expect("reads");
        app.write_all(response.as_bytes()).expect("writes");
        drop(app);
        browser.read_to_string(&mut to_browser).expect("reads");
        leading.join().expect("ends").expect("leads");
        (to_app, to_browser, told.lock().expect("no panic").clone())
    }

    #[test]
    fn a_request_is_led_to_the_app_and_its_response_back() {
        let sent = "POST /tea HTTP/1.1\r\nHost: localhost:8123\r\nContent-Length: 3\r\n\r\npot";
        let response = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:8000/cup\r\n\r\nanswer";
        let (to_app, to_browser, told) = exchanged(None, sent, response);
        assert_eq!(
            to_app,
            "POST /tea HTTP/1.1\r\nHost: localhost:8123\r\nContent-Length: 3\r\nConnection: close\r\n\r\npot"
        );
        assert_eq!(
            to_browser,
            "HTTP/1.1 302 Found\r\nLocation: http://localhost:8123/cup\r\nConnection: close\r\n\r\nanswer"
        );
        assert_eq!(told, ["POST /tea"]);
    }

    #[test]
    fn an_app_that_knows_one_host_is_led_to_by_it() {
        let response = "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Domain=wiki.example\r\n\r\n";
        let (to_app, to_browser, _) =
            exchanged(Some("wiki.example"), "GET / HTTP/1.1\r\nHost: 127.0.0.1:8123\r\n\r\n", response);
        assert_eq!(to_app, "GET / HTTP/1.1\r\nHost: wiki.example:8000\r\nConnection: close\r\n\r\n");
        assert_eq!(to_browser, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn what_is_no_request_of_http_1_goes_through_as_it_is() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000));
        for sent in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "hello\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            &long,
        ] {
            let (to_app, to_browser, told) = exchanged(Some("localhost"), sent, "HELLO\n");
            assert_eq!(
                (to_app.as_str(), to_browser.as_str(), told.len()),
                (sent, "HELLO\n", 0),
                "{sent:.60}"
            );
        }
    }

    #[test]
    fn an_upgrade_that_the_app_agrees_to_carries_all_bytes() {
        let (mut browser, client) = pair();
        let (server, mut app) = pair();
        let web = web(None);
        let leading = std::thread::spawn(move || lead(&client, || Ok(server), &web, None));
        let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let sent = format!("GET /ws HTTP/1.1\r\nHost: a\r\n{upgrade}early");
        browser.write_all(sent.as_bytes()).expect("writes");
        let agreed = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        app.write_all(format!("{agreed}frame").as_bytes()).expect("writes");
        app.shutdown(Shutdown::Write).expect("shuts");
        let (mut to_app, mut to_browser) = (String::new(), String::new());
        browser.read_to_string(&mut to_browser).expect("reads");
        browser.write_all(b" late").expect("writes");
        drop(browser);
        app.read_to_string(&mut to_app).expect("reads");
        leading.join().expect("ends").expect("leads");
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        assert_eq!(to_app, format!("GET /ws HTTP/1.1\r\nHost: a\r\n{upgrade}early late"));
        assert_eq!(to_browser, format!("{agreed}frame"));
    }

    #[test]
    fn a_client_that_gets_no_thread_is_refused() {
        for (sent, has_body) in
            [("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true), ("HEAD / HTTP/1.1\r\n\r\n", false)]
        {
            let (mut browser, client) = pair();
            browser.write_all(sent.as_bytes()).expect("writes");
            refuse(&client).expect("refuses");
            drop(client);
            let mut response = String::new();
            browser.read_to_string(&mut response).expect("reads");
            assert!(response.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{response}");
            assert_eq!(response.contains("ulimit -u"), has_body, "{response}");
        }
        let (_silent, client) = pair();
        refuse(&client).expect_err("does not wait for it");
    }

    #[test]
    fn a_port_of_roots_is_told_with_the_way_to_have_it() {
        let error = ListenError { port: 80, source: io::ErrorKind::PermissionDenied.into() };
        assert!(error.hint().contains("above 1023") && error.hint().contains("ip_unprivileged_port_start"));
        let error = ListenError { port: 80, source: io::ErrorKind::AddrInUse.into() };
        assert_eq!(error.hint(), "choose another port with --port N");
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
