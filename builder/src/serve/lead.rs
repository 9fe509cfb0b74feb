//! Leads one request into a grain, and its answer out.
//!
//! A connection carries one request, as both sides are told, so that each is looked at by the gate. Heads are written anew:
//! the app does not see the cookie that lets a browser in, and cannot set it. Bodies go through as they come, however long they
//! take; behind an upgrade that the app agrees to, such as to a WebSocket, all bytes do.

use std::{
    io::{self, BufReader, Write as _},
    net::{Shutdown, TcpStream},
    sync::Arc,
};

use super::{Server, live::Live};
use crate::{
    proxy,
    sandbox::{Address, Running},
    web::{Answer, Body, Head, read_head},
};

/// What concerns one connection only (RFC 9110, 7.6.1), or says of whom a request comes, which nobody but us may tell.
const DROPPED: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Leads a request; returns an answer of our own where the app gives none.
pub(super) fn lead(
    server: &Server,
    live: &Arc<Live>,
    client: &TcpStream,
    reader: &mut BufReader<&TcpStream>,
    head: Head,
    body: Body,
) -> io::Result<Option<Answer>> {
    let _in_use = live.in_use();
    // A page that is left open does not wake what was stopped.
    if !live.is_up() && !is_navigation(&head) {
        return Ok(Some(Answer::refusal("503 Service Unavailable", "the grain is stopped")));
    }
    let running = match live.start(&server.store, &server.closing) {
        Ok(running) => running,
        Err(why) => {
            return Ok(Some(Answer::refusal("502 Bad Gateway", &format!("the app does not start: {why}"))));
        }
    };
    let Some(app) = connect(&running, live) else {
        return Ok(Some(Answer::refusal("502 Bad Gateway", "the app takes no connection")));
    };
    drop(running);
    let upgrade = head.lists("connection", "upgrade");
    let own = server.gate.grain_cookie();
    (&app).write_all(&to_app(head, &own, upgrade).to_bytes())?;
    client.set_read_timeout(None)?;
    client.set_write_timeout(None)?;
    let mut from_app = BufReader::new(&app);
    if upgrade {
        return through_upgrade(client, reader, &app, &mut from_app, body, &own);
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new().name("lead-upload".into()).spawn_scoped(scope, || {
            let uploaded = body.copy(reader, &mut &app);
            // What else comes is no request of this connection; its end is that of whoever waits for the answer.
            if uploaded.is_err() || io::copy(reader, &mut io::sink()).is_ok() {
                let _ = app.shutdown(Shutdown::Both);
            }
        })?;
        let answered = answer(client, &mut from_app, &own);
        // Wakes the thread above.
        let _ = client.shutdown(if matches!(answered, Ok(None)) { Shutdown::Both } else { Shutdown::Read });
        answered
    })
}

fn connect(running: &Running, live: &Live) -> Option<TcpStream> {
    let port = live.app.app.recipe.web.as_ref()?.port;
    let stream = TcpStream::from(running.connect(&Address::Tcp(port)).ok()?);
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Returns whether somebody wants to see a page, rather than a page that is open something else. What is no browser says
/// nothing of that.
fn is_navigation(head: &Head) -> bool {
    head.field("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
}

/// Returns a request as the app is given it.
fn to_app(mut head: Head, own_cookie: &str, upgrade: bool) -> Head {
    drop_connection_fields(&mut head, upgrade);
    head.remove_cookie(own_cookie);
    head.add("Connection", if upgrade { "Upgrade" } else { "close" });
    head
}

/// Returns an answer as the browser is given it.
fn to_client(mut head: Head, own_cookie: &str) -> Head {
    let upgrade = head.status() == 101;
    drop_connection_fields(&mut head, upgrade);
    let is_own = |value: &[u8]| {
        let name = value.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default();
        name.trim_ascii() == own_cookie.as_bytes()
    };
    head.fields.retain(|(name, value)| !name.eq_ignore_ascii_case("set-cookie") || !is_own(value));
    match head.status() {
        101 => head.add("Connection", "Upgrade"),
        100..200 => {}
        _ => head.add("Connection", "close"),
    }
    head
}

fn drop_connection_fields(head: &mut Head, upgrade: bool) {
    DROPPED.iter().for_each(|name| head.remove(name));
    if !upgrade {
        head.remove("upgrade");
    }
}

/// Gives an answer out, interim ones before it; returns one of our own if there is none.
fn answer(
    mut client: &TcpStream,
    from_app: &mut BufReader<&TcpStream>,
    own: &str,
) -> io::Result<Option<Answer>> {
    loop {
        let Some(head) = next_head(from_app) else { return Ok(Some(no_answer())) };
        client.write_all(&to_client(head.clone(), own).to_bytes())?;
        if !matches!(head.status(), 100..200) {
            io::copy(from_app, &mut client)?;
            return Ok(None);
        }
    }
}

fn next_head(from_app: &mut BufReader<&TcpStream>) -> Option<Head> {
    Head::of_answer(&read_head(from_app).ok()??)
}

fn no_answer() -> Answer {
    Answer::refusal("502 Bad Gateway", "the app gives no answer of HTTP/1")
}

/// Waits for what the app says to an upgrade. If it agrees, nobody looks at the connection any more; else its answer is the
/// last that the connection carries.
fn through_upgrade(
    mut client: &TcpStream,
    reader: &mut BufReader<&TcpStream>,
    mut app: &TcpStream,
    from_app: &mut BufReader<&TcpStream>,
    body: Body,
    own: &str,
) -> io::Result<Option<Answer>> {
    body.copy(reader, &mut app)?;
    let Some(head) = next_head(from_app) else { return Ok(Some(no_answer())) };
    client.write_all(&to_client(head.clone(), own).to_bytes())?;
    if head.status() != 101 {
        io::copy(from_app, &mut client)?;
        return Ok(None);
    }
    // What was read ahead goes first.
    client.write_all(from_app.buffer())?;
    app.write_all(reader.buffer())?;
    proxy::both_ways(client, app, None)?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_sees_neither_the_cookie_nor_whom_it_does_not_know() {
        let head = "GET / HTTP/1.1\r\nHost: g-1.localhost\r\nCookie: a=1; own=2\r\nConnection: keep-alive, X\r\n\
            X-Forwarded-For: 1.2.3.4\r\nUpgrade: h2c\r\n\r\n";
        let head = Head::of_request(head.as_bytes()).expect("a head");
        let text = String::from_utf8(to_app(head, "own", false).to_bytes()).expect("text");
        assert_eq!(text, "GET / HTTP/1.1\r\nHost: g-1.localhost\r\nCookie: a=1\r\nConnection: close\r\n\r\n");
        let head = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: own=2\r\n\r\n";
        let head = Head::of_request(head.as_bytes()).expect("a head");
        let text = String::from_utf8(to_app(head, "own", true).to_bytes()).expect("text");
        assert_eq!(text, "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    }

    #[test]
    fn the_app_cannot_set_the_cookie_nor_keep_the_connection() {
        let head = "HTTP/1.1 200 OK\r\nSet-Cookie: own=evil; Path=/\r\nset-cookie: b=own\r\nKeep-Alive: 5\r\n\
            Connection: keep-alive\r\n\r\n";
        let head = Head::of_answer(head.as_bytes()).expect("a head");
        let text = String::from_utf8(to_client(head, "own").to_bytes()).expect("text");
        assert_eq!(text, "HTTP/1.1 200 OK\r\nset-cookie: b=own\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn only_a_look_at_a_page_wakes_a_grain() {
        for (fields, expected) in
            [("", true), ("Sec-Fetch-Mode: navigate\r\n", true), ("Sec-Fetch-Mode: cors\r\n", false)]
        {
            let head = format!("GET / HTTP/1.1\r\n{fields}\r\n");
            assert_eq!(
                is_navigation(&Head::of_request(head.as_bytes()).expect("a head")),
                expected,
                "{fields}"
            );
        }
    }
}
