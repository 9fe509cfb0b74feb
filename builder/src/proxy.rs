//! A port of the host's loopback that is forwarded to a grain. The heads of requests and responses are
//! parsed, so that redirects and cookies fit the authority requested ([`Authorities`]); bodies, and bytes
//! that are not HTTP/1, are forwarded unchanged, WebSockets too, unless [`Guards`] keep them out.

mod callers;
mod exchange;
mod overheard;
mod slots;
mod tape;

pub use callers::Callers;
pub(crate) use exchange::{Exchange, Rewrite};
pub(crate) use slots::Slots;
pub use tape::{Heard, Take, Tape};

use std::{
    borrow::Cow,
    io::{self, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use crate::{
    error::Hint,
    recipe::Web,
    sandbox::{Address, Running},
    web::{Authorities, Body, Head, Response, guard, policy, read_head_into},
};

/// Where an app may be found when no other port is asked for: the first that is free.
pub const PORTS: Range<u16> = 8000..8100;

/// Connections at a time; a browser opens six, a page with many streams some more. Others wait, for
/// [`PATIENCE`] at most.
pub(crate) const CONNECTIONS: usize = 128;

/// How long all connections may be in use until further ones are refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// No port on the host.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on 127.0.0.1:{port}")]
pub struct ListenError {
    /// Which one.
    pub port: u16,
    /// The kernel's error.
    pub source: io::Error,
}

impl Hint for ListenError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(match self.source.kind() {
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 are root's: choose one above 1023 with --port N, or let all users have lower ones with \
                 `sysctl net.ipv4.ip_unprivileged_port_start=N`"
            }
            _ => "choose another port with --port N",
        }))
    }
}

/// Called with method and target of each request, before the app gets it.
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

/// Returns the URL of a listener.
///
/// # Errors
/// The kernel's error.
pub fn url(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}/", listener.local_addr()?))
}

/// Who is let through to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guards {
    /// Those that [`Callers::own`] names, by requests that [`guard`] lets pass.
    Stand,
    /// Every connection.
    Gone,
}

/// The port of the host by which an app is reached.
pub struct Front {
    /// The app's own.
    pub web: Web,
    /// Who is let through.
    pub guards: Guards,
    /// Called with each request.
    pub on_request: Option<OnRequest>,
    /// Records the exchanges.
    pub tape: Option<Arc<Tape>>,
}

/// Starts to forward connections to the web port of a grain, in threads that end with this process.
///
/// # Errors
/// A thread that cannot be started.
pub fn forward(listener: TcpListener, running: Arc<Running>, front: Front) -> io::Result<()> {
    let running = Arc::downgrade(&running);
    let callers = match front.guards {
        Guards::Stand => Callers::own(),
        Guards::Gone => Callers::Any,
    };
    accept(listener, callers, move |client| {
        let Some(running) = running.upgrade() else { return };
        let connect = || running.connect(&Address::Tcp(front.web.port)).map(TcpStream::from);
        // A client that disconnects affects only itself.
        let _ = lead(client, connect, &front);
    })
}

/// Forwards one connection to an app. Bytes that are not an unambiguous request of HTTP/1 are forwarded
/// unchanged where no guard stands, and refused elsewhere: a guard could not read them either.
fn lead(
    mut client: &TcpStream,
    connect: impl FnOnce() -> io::Result<TcpStream>,
    front: &Front,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut reader, mut bytes) = (BufReader::new(client), Vec::new());
    let is_whole = read_head_into(&mut reader, &mut bytes)?;
    if bytes.is_empty() {
        return Ok(());
    }
    let head = Head::of_request(&bytes).filter(|_| is_whole);
    let request = head.and_then(|head| Body::of_request(&head).map(|body| (head, body)));
    if front.guards == Guards::Stand
        && let Some(refusal) = request.as_ref().map_or_else(|| Some(unread()), |(head, _)| guard(head))
    {
        refusal.send(&mut client, &policy("'none'"), bytes.starts_with(b"HEAD "))?;
        return leave(client);
    }
    if let (Some((head, _)), Some(tell)) = (&request, &front.on_request) {
        tell(head.method(), head.target());
    }
    let Ok(app) = connect() else {
        let refusal = Response::refusal("502 Bad Gateway", "the app takes no connection");
        return refusal.send(&mut client, &policy("'none'"), bytes.starts_with(b"HEAD "));
    };
    app.set_nodelay(true)?;
    let Some((head, body)) = request else {
        (&app).write_all(&bytes)?;
        (&app).write_all(reader.buffer())?;
        return both_ways(client, &app);
    };
    let rewrite = Authorities::of_request(&head, front.web.host.as_deref(), front.web.port);
    let is_head = head.method() == "HEAD";
    let recorder = front.tape.as_ref().and_then(|tape| tape.begin(&head));
    let exchange = Exchange { client, reader, app: &app, rewrite: &rewrite, gone_at_end: false, recorder };
    match exchange.run(head, body)? {
        Some(response) => response.send(&mut client, &policy("'none'"), is_head),
        None => Ok(()),
    }
}

/// Ends a connection behind a response that did not wait for the whole request. What is on its way is read: a
/// connection that is closed with something unread is reset, and the client may lose the response.
fn leave(client: &TcpStream) -> io::Result<()> {
    client.shutdown(Shutdown::Write)?;
    client.set_read_timeout(Some(REFUSAL_PATIENCE))?;
    io::copy(&mut client.take(REFUSED_BYTES), &mut io::sink()).map(drop)
}

fn unread() -> Response {
    Response::refusal("400 Bad Request", "no request of HTTP/1 that can be read in one way only")
}

/// Starts to give connections of certain users to `serve`, each in a thread of its own. Others are refused,
/// and so is a connection that gets no thread, or no slot in time.
///
/// # Errors
/// The thread that accepts cannot be started.
pub fn accept(
    listener: TcpListener,
    callers: Callers,
    serve: impl Fn(&TcpStream) + Send + Sync + 'static,
) -> io::Result<()> {
    let slots = Slots::new(CONNECTIONS);
    let serve = Arc::new(serve);
    std::thread::Builder::new().name("proxy".into()).spawn(move || {
        for client in listener.incoming() {
            // Only a lack of descriptors or memory makes accept fail here; both pass.
            let Ok(client) = client else {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            };
            let Some(slot) = slots.take(PATIENCE) else {
                // A client that disconnects affects only itself.
                let _ = refuse_at_once(&client, &all_in_use());
                continue;
            };
            let is_admitted = callers.admit(&client);
            let client = Arc::new(client);
            let (serve, served) = (serve.clone(), client.clone());
            let thread = std::thread::Builder::new().name("proxy-connection".into()).spawn(move || {
                match is_admitted {
                    true => serve(&served),
                    // A client that disconnects affects only itself.
                    false => drop(refuse(&served, &of_another_user())),
                }
                drop((served, slot));
            });
            if thread.is_err() {
                // A client that disconnects affects only itself.
                let _ = refuse(&client, &without_thread());
            }
        }
    })?;
    Ok(())
}

/// How long a client that is refused may take to send its request.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(200);

/// How much is read of a request that is refused.
const REFUSED_BYTES: u64 = 1 << 20;

fn without_thread() -> Response {
    let why = format!("no thread can be started for this request: {}", crate::threads::HINT);
    Response::refusal("503 Service Unavailable", &why).with("Retry-After", "1")
}

fn all_in_use() -> Response {
    let why =
        format!("all {CONNECTIONS} connections are in use: close some pages that keep connections open");
    Response::refusal("503 Service Unavailable", &why).with("Retry-After", "5")
}

fn of_another_user() -> Response {
    Response::refusal(
        "403 Forbidden",
        "this is for the user who started it alone, and you are another user of this machine",
    )
}

/// Refuses a client before its request is looked at. It is read, at least its beginning, for the reason of
/// [`leave`].
fn refuse(mut client: &TcpStream, refusal: &Response) -> io::Result<()> {
    client.set_read_timeout(Some(REFUSAL_PATIENCE))?;
    client.set_write_timeout(Some(REFUSAL_PATIENCE))?;
    let mut start = [0; 16 << 10];
    let length = client.read(&mut start)?;
    refusal.send(&mut client, &policy("'none'"), start[..length].starts_with(b"HEAD "))?;
    client.shutdown(Shutdown::Write)
}

/// Refuses a client that has waited, without waiting for it in turn: of its request, what has arrived is read.
fn refuse_at_once(mut client: &TcpStream, refusal: &Response) -> io::Result<()> {
    client.set_nonblocking(true)?;
    let mut start = [0; 16 << 10];
    let length = match client.read(&mut start) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        read => read?,
    };
    refusal.send(&mut client, &policy("'none'"), start[..length].starts_with(b"HEAD "))?;
    client.shutdown(Shutdown::Write)
}

/// Copies both ways until both sides have ended.
pub(crate) fn both_ways(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    ways((client, &mut &*client), (server, &mut &*server))
}

/// As [`both_ways`], with a writer to each side.
fn ways(
    (client, to_client): (&TcpStream, &mut impl io::Write),
    (server, to_server): (&TcpStream, &mut (impl io::Write + Send)),
) -> io::Result<()> {
    std::thread::scope(|scope| {
        let upload = std::thread::Builder::new().name("proxy-upload".into());
        upload.spawn_scoped(scope, || copy(client, server, to_server))?;
        copy(server, client, to_client);
        Ok(())
    })
}

/// Copies one direction. Its end closes the other side; an error ends both.
fn copy(mut from: &TcpStream, to: &TcpStream, writer: &mut impl io::Write) {
    let how = match io::copy(&mut from, writer) {
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
    use std::sync::Mutex;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("binds");
        let one = TcpStream::connect(listener.local_addr().expect("has one")).expect("connects");
        (one, listener.accept().expect("accepts").0)
    }

    fn web(host: Option<&str>) -> Web {
        Web { port: 8000, host: host.map(str::to_owned), links_to: Vec::new(), load: true }
    }

    fn front(host: Option<&str>, guards: Guards) -> Front {
        Front { web: web(host), guards, on_request: None, tape: None }
    }

    /// The bytes sent to the app and to the client, where the client closes its half behind its request.
    fn exchanged(
        host: Option<&str>,
        guards: Guards,
        sent: &str,
        response: &str,
    ) -> (String, String, Vec<String>) {
        let (mut browser, client) = pair();
        let (server, mut app) = pair();
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        let on_request: OnRequest = Arc::new(move |method, target| {
            tell.lock().expect("no panic").push(format!("{method} {target}"));
        });
        let front = Front { on_request: Some(on_request), ..front(host, guards) };
        let leading = std::thread::spawn(move || lead(&client, || Ok(server), &front));
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
    fn a_client_that_waited_in_silence_gets_the_refusal() {
        let (mut browser, client) = pair();
        refuse_at_once(&client, &all_in_use()).expect("sends");
        drop(client);
        let mut text = String::new();
        browser.read_to_string(&mut text).expect("reads");
        assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    }

    #[test]
    fn a_request_is_led_to_the_app_and_its_response_back() {
        let sent = "POST /tea HTTP/1.1\r\nHost: localhost:8123\r\nContent-Length: 3\r\n\r\npot";
        let response = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:8000/cup\r\n\r\nanswer";
        let (to_app, to_browser, told) = exchanged(None, Guards::Stand, sent, response);
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
        let (to_app, to_browser, _) = exchanged(
            Some("wiki.example"),
            Guards::Stand,
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:8123\r\n\r\n",
            response,
        );
        assert_eq!(to_app, "GET / HTTP/1.1\r\nHost: wiki.example:8000\r\nConnection: close\r\n\r\n");
        assert_eq!(to_browser, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn what_is_no_request_of_http_1_goes_through_as_it_is_where_no_guard_stands() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000));
        for sent in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "hello\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            &long,
        ] {
            let (to_app, to_browser, told) = exchanged(Some("localhost"), Guards::Gone, sent, "HELLO\n");
            assert_eq!(
                (to_app.as_str(), to_browser.as_str(), told.len()),
                (sent, "HELLO\n", 0),
                "{sent:.60}"
            );
            let (to_app, to_browser, told) = exchanged(Some("localhost"), Guards::Stand, sent, "");
            assert!(to_browser.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{to_browser}");
            assert_eq!((to_app.as_str(), told.len()), ("", 0), "{sent:.60}");
        }
    }

    #[test]
    fn a_guard_keeps_requests_of_other_sites_from_the_app() {
        for head in [
            "GET / HTTP/1.1\r\nHost: evil.example:8123",
            "GET / HTTP/1.1\r\nHost: localhost:8123\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://evil",
            "POST / HTTP/1.1\r\nHost: localhost:8123\r\nOrigin: http://evil.example\r\nContent-Length: 0",
        ] {
            let sent = format!("{head}\r\n\r\n");
            let (to_app, to_browser, told) = exchanged(None, Guards::Stand, &sent, "");
            assert!(to_browser.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{to_browser}");
            assert_eq!((to_app.as_str(), told.len()), ("", 0), "{head}");
        }
    }

    #[test]
    fn an_upgrade_that_the_app_agrees_to_carries_all_bytes() {
        let (mut browser, client) = pair();
        let (server, mut app) = pair();
        let front = front(None, Guards::Stand);
        let leading = std::thread::spawn(move || lead(&client, || Ok(server), &front));
        let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let sent = format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{upgrade}early");
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
        assert_eq!(to_app, format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{upgrade}early late"));
        assert_eq!(to_browser, format!("{agreed}frame"));
    }

    #[test]
    fn a_connection_beyond_all_slots_is_served_once_one_is_free() {
        let listener = listen(None, 0..0).expect("any port");
        let address = listener.local_addr().expect("has one");
        // Each connection lasts until its client leaves.
        accept(listener, Callers::Any, |client| {
            let _ = (&mut &*client).write_all(b"x");
            let _ = io::copy(&mut &*client, &mut io::sink());
        })
        .expect("starts");
        let connect = || TcpStream::connect(address).expect("connects");
        let is_served = |client: &TcpStream, patience: Duration| {
            client.set_read_timeout(Some(patience)).expect("sets");
            (&mut &*client).read_exact(&mut [0]).is_ok()
        };
        let mut held: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect()).collect();
        assert!(held.iter().all(|client| is_served(client, PATIENCE)));
        let next = connect();
        assert!(!is_served(&next, Duration::from_millis(50)));
        held.pop();
        assert!(is_served(&next, PATIENCE));
    }

    #[test]
    fn a_client_that_resets_its_connection_ends_the_exchange() {
        let (mut browser, client) = pair();
        let (server, mut app) = pair();
        let front = front(None, Guards::Stand);
        let exchange = std::thread::spawn(move || lead(&client, || Ok(server), &front));
        browser.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("writes");
        app.write_all(b"HTTP/1.1 200 OK\r\n\r\nfirst event\n").expect("writes");
        browser.read_exact(&mut [0; 4]).expect("reads");
        // The rest of the response is unread, so the kernel resets the connection.
        drop(browser);
        drop(exchange.join().expect("ends though the app goes on"));
        let mut to_app = String::new();
        app.set_read_timeout(Some(PATIENCE)).expect("sets");
        app.read_to_string(&mut to_app).expect("the app sees the end");
    }

    #[test]
    fn a_client_that_gets_no_thread_is_refused() {
        for (sent, has_body) in
            [("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true), ("HEAD / HTTP/1.1\r\n\r\n", false)]
        {
            let (mut browser, client) = pair();
            browser.write_all(sent.as_bytes()).expect("writes");
            refuse(&client, &without_thread()).expect("refuses");
            drop(client);
            let mut response = String::new();
            browser.read_to_string(&mut response).expect("reads");
            assert!(response.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{response}");
            assert_eq!(response.contains("ulimit -u"), has_body, "{response}");
        }
        let (_silent, client) = pair();
        refuse(&client, &without_thread()).expect_err("does not wait for it");
    }

    #[test]
    fn a_port_of_roots_is_told_with_the_way_to_have_it() {
        let error = ListenError { port: 80, source: io::ErrorKind::PermissionDenied.into() };
        let hint = error.hint().expect("has one");
        assert!(hint.contains("above 1023") && hint.contains("ip_unprivileged_port_start"));
        let error = ListenError { port: 80, source: io::ErrorKind::AddrInUse.into() };
        assert_eq!(error.hint().as_deref(), Some("choose another port with --port N"));
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
