//! Forwards one request to a grain, and its response to the client.
//!
//! A connection carries one request, so that [`auth`](super::auth) checks each one. The app does not see the
//! cookie that grants access, and cannot set it.

use std::{
    io::{self, BufReader},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use super::{Server, handle::GrainHandle};
use crate::{
    proxy::{Exchange, Rewrite},
    sandbox::{Address, Running},
    web::{Authorities, Body, Head, Response},
};

/// Header fields about the client, which only a proxy may set.
const DROPPED: [&str; 6] = [
    "proxy-authorization",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Connections to one grain at a time; fewer than to all grains, so that one grain cannot keep the others
/// from being used.
const GRAIN_CONNECTIONS: usize = 96;

fn too_many() -> Response {
    let why = "too many connections to grains are open: close some pages that keep connections open";
    Response::refusal("503 Service Unavailable", why).with("Retry-After", "5")
}

/// Forwards a request. Returns a response of our own where the app gives none.
pub(super) fn forward_request(
    server: &Server,
    handle: &Arc<GrainHandle>,
    client: &TcpStream,
    reader: BufReader<&TcpStream>,
    head: Head,
    body: Body,
) -> io::Result<Option<Response>> {
    let _in_use = handle.in_use();
    let slot = server.slots.take(Duration::ZERO).filter(|_| handle.connections() <= GRAIN_CONNECTIONS);
    let Some(_slot) = slot else { return Ok(Some(too_many())) };
    // An open page does not start a grain that was stopped.
    if !handle.is_up() && !is_navigation(&head) {
        return Ok(Some(Response::refusal("503 Service Unavailable", "the grain is stopped")));
    }
    let running = match handle.start(&server.store, &server.closing) {
        Ok(running) => running,
        Err(why) => {
            return Ok(Some(Response::refusal(
                "502 Bad Gateway",
                &format!("the grain does not start: {why}"),
            )));
        }
    };
    let Some(app) = connect(&running, handle) else {
        return Ok(Some(Response::refusal("502 Bad Gateway", "the app takes no connection")));
    };
    drop(running);
    let web = &handle.app.app.recipe.web;
    let authorities =
        web.as_ref().and_then(|web| Authorities::of_request(&head, web.host.as_deref(), web.port));
    let rewrite = Own { cookie: server.auth.grain_cookie(), authorities };
    Exchange { client, reader, app: &app, rewrite: &rewrite, gone_at_end: true, recorder: None }
        .run(head, body)
}

fn connect(running: &Running, handle: &GrainHandle) -> Option<TcpStream> {
    let port = handle.app.app.recipe.web.as_ref()?.port;
    let stream = TcpStream::from(running.connect(&Address::Tcp(port)).ok()?);
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Returns whether a person opens a page, rather than an open page loads something. Programs other than
/// browsers do not send the field.
fn is_navigation(head: &Head) -> bool {
    head.field("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
}

/// Removes the server's cookie and fields about the client from requests, and the server's cookie from
/// responses.
struct Own {
    cookie: String,
    authorities: Option<Authorities>,
}

impl Rewrite for Own {
    fn request(&self, head: &mut Head) {
        DROPPED.iter().for_each(|name| head.remove(name));
        head.remove_cookie(&self.cookie);
        self.authorities.request(head);
    }

    fn response(&self, head: &mut Head) {
        let is_own = |value: &[u8]| {
            let name = value.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default();
            name.trim_ascii() == self.cookie.as_bytes()
        };
        head.fields.retain(|(name, value)| !name.eq_ignore_ascii_case("set-cookie") || !is_own(value));
        self.authorities.response(head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Own {
        Own { cookie: "own".into(), authorities: Some(Authorities::new("g-1.localhost", None, 8000)) }
    }

    #[test]
    fn the_app_sees_neither_the_cookie_nor_whom_it_does_not_know() {
        let head =
            "GET / HTTP/1.1\r\nHost: g-1.localhost\r\nCookie: a=1; own=2\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n";
        let mut head = Head::of_request(head.as_bytes()).expect("a head");
        own().request(&mut head);
        let text = String::from_utf8(head.to_bytes()).expect("text");
        assert_eq!(text, "GET / HTTP/1.1\r\nHost: g-1.localhost\r\nCookie: a=1\r\n\r\n");
    }

    #[test]
    fn the_app_cannot_set_the_cookie_and_its_redirects_stay_with_it() {
        let head = "HTTP/1.1 302 Found\r\nSet-Cookie: own=evil; Path=/\r\nset-cookie: b=own\r\n\
            Location: http://127.0.0.1:8000/\r\n\r\n";
        let mut head = Head::of_answer(head.as_bytes()).expect("a head");
        own().response(&mut head);
        let text = String::from_utf8(head.to_bytes()).expect("text");
        assert_eq!(
            text,
            "HTTP/1.1 302 Found\r\nset-cookie: b=own\r\nLocation: http://g-1.localhost/\r\n\r\n"
        );
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
