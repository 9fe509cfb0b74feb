//! Who may see what: hosts, tokens, cookies and origins.
//!
//! The URL that is printed holds a token; with it a browser gets a cookie for the page. A click on the page makes a ticket,
//! good once and for a minute; with it the browser gets a cookie for the host of that grain, and of that grain alone. Both
//! cookies are out of reach of scripts and are not sent along from other sites. A name that was pointed to the loopback from
//! elsewhere is none of ours, and so is refused.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::handle::Live;
use crate::{
    grain::library::random_text,
    web::{Head, Response, host_and_port, is_from_itself, is_loopback},
};

/// The name by which browsers are sent to the page: cookies know no ports, so that one for `127.0.0.1` would be sent to
/// whatever else listens there.
pub const PAGE_HOST: &str = "tinyroot.localhost";

/// Where a ticket is shown, on the host of a grain.
const ENTRY: &str = "/.tinyroot/enter";

/// How long a ticket is good.
const TICKET_LIFE: Duration = Duration::from_secs(60);

/// Where a request is for, and the origin that it has for a browser.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Page(String),
    Grain { host: String, origin: String },
    Elsewhere,
}

/// Whether a request goes on to its grain.
pub(super) enum Entry {
    Granted,
    Response(Response),
}

pub(super) struct Gate {
    port: u16,
    /// In the URL that is printed.
    token: String,
    /// In the page's cookie.
    session: String,
    /// The host that each is for, and when it was made.
    tickets: Mutex<HashMap<String, (String, Instant)>>,
}

impl Gate {
    pub fn new(port: u16) -> io::Result<Self> {
        Ok(Gate { port, token: random_text()?, session: random_text()?, tickets: Mutex::default() })
    }

    /// The URL of the page, with the token.
    pub fn url(&self) -> String {
        format!("http://{PAGE_HOST}:{}/?token={}", self.port, self.token)
    }

    /// Returns where a request is for. The port is not looked at: it may be forwarded.
    pub fn place(&self, head: &Head) -> Place {
        let Some(host) = head.field("host").map(str::to_ascii_lowercase) else { return Place::Elsewhere };
        let Some((name, _)) = host_and_port(&host) else { return Place::Elsewhere };
        let origin = format!("http://{host}");
        if name == PAGE_HOST || is_loopback(&host) {
            return Place::Page(origin);
        }
        match name.strip_suffix(".localhost") {
            Some(host) if host.starts_with("g-") => Place::Grain { host: host.to_owned(), origin },
            _ => Place::Elsewhere,
        }
    }

    /// Looks at who asks for the page; returns a response unless they may go on.
    pub fn admit(&self, head: &Head, origin: &str) -> Option<Response> {
        let (path, query) = head.path_and_query();
        if path == "/"
            && head.method() == "GET"
            && parameter(query, "token").is_some_and(|t| same(&t, &self.token))
        {
            return Some(
                Response::see_other("/").with("Set-Cookie", cookie(&self.page_cookie(), &self.session)),
            );
        }
        let shown = head.cookie(&self.page_cookie());
        if !shown.is_some_and(|shown| same(shown, &self.session)) {
            let why = "open the URL that `tinyroot serve` has printed: it holds a token";
            return Some(Response::refusal("403 Forbidden", why));
        }
        let is_own = head.field("origin").is_some_and(|from| from.eq_ignore_ascii_case(origin));
        if head.method() == "POST" && !is_own {
            return Some(Response::refusal("403 Forbidden", "this was sent from another page"));
        }
        None
    }

    /// Returns where a grain is entered, with a new ticket. `origin` is the page's.
    pub fn ticket(&self, live: &Live, origin: &str) -> io::Result<String> {
        let ticket = random_text()?;
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, (_, made)| made.elapsed() < TICKET_LIFE);
        tickets.insert(ticket.clone(), (live.host.clone(), Instant::now()));
        let address = origin.trim_start_matches("http://");
        let port = host_and_port(address).map_or("", |(_, port)| port);
        Ok(format!("http://{}.localhost{port}{ENTRY}?ticket={ticket}", live.host))
    }

    /// Looks at who asks for something of a grain.
    pub fn enter(&self, head: &Head, live: &Live, origin: &str) -> Entry {
        let is_known = head.cookie(&self.grain_cookie()).is_some_and(|shown| same(shown, &live.token));
        let (path, query) = head.path_and_query();
        if path == ENTRY && head.method() == "GET" {
            let shown = parameter(query, "ticket").unwrap_or_default();
            if self.redeem(&shown, &live.host) {
                let own = cookie(&self.grain_cookie(), &live.token);
                return Entry::Response(Response::html(ENTERED).with("Set-Cookie", own));
            }
            if is_known {
                return Entry::Response(Response::html(ENTERED));
            }
        }
        if !is_known && is_manifest(head) {
            return Entry::Response(Response::new("200 OK", "application/manifest+json", MANIFEST));
        }
        if !is_known {
            let why = "open this from the page of `tinyroot serve`: its click brings the right to see it";
            return Entry::Response(Response::refusal("403 Forbidden", why));
        }
        if !is_from_itself(head, origin) {
            return Entry::Response(Response::refusal("403 Forbidden", "this was sent from another page"));
        }
        Entry::Granted
    }

    /// Takes a ticket for a grain, if it is one.
    fn redeem(&self, shown: &str, host: &str) -> bool {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |(for_host, made): &(String, Instant)| for_host == host && made.elapsed() < TICKET_LIFE;
        match tickets.get(shown) {
            Some(ticket) if is_good(ticket) => tickets.remove(shown).is_some(),
            _ => false,
        }
    }

    fn page_cookie(&self) -> String {
        format!("tinyroot_{}", self.port)
    }

    /// The name of the cookie that no app is given.
    pub fn grain_cookie(&self) -> String {
        format!("tinyroot_grain_{}", self.port)
    }
}

/// A page of the grain's own host: a redirect would still be one from the page's, and the cookie stay at home.
const ENTERED: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta http-equiv=\"refresh\" content=\"0;url=/\">\n<title>Opening</title>\n<p><a href=\"/\">Open</a></p>\n</html>\n";

/// What a browser is given in place of an app's manifest. Chromium takes one without any member for broken.
const MANIFEST: &str = r#"{"start_url":"/"}"#;

/// Returns whether a page of the same host requests its manifest. Browsers send no cookies with that, and show an error on each page of
/// the app where it is refused; a manifest that names only the start page reveals nothing.
fn is_manifest(head: &Head) -> bool {
    head.method() == "GET"
        && head.field("sec-fetch-dest") == Some("manifest")
        && head.field("sec-fetch-site") == Some("same-origin")
}

fn cookie(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict")
}

/// Returns a value of a query or form.
pub(super) fn parameter(text: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(text.as_bytes())
        .find(|(given, _)| given == name)
        .map(|(_, value)| value.into_owned())
}

/// Compares in constant time.
fn same(shown: &str, secret: &str) -> bool {
    let differs = shown.bytes().zip(secret.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    shown.len() == secret.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::of_request(format!("{text}\r\n\r\n").as_bytes()).expect("a head")
    }

    fn gate() -> Gate {
        Gate::new(6080).expect("randomness")
    }

    #[test]
    fn names_lead_to_the_page_or_to_a_grain_or_nowhere() {
        let page = |origin: &str| Place::Page(origin.to_owned());
        let grain = |host: &str, origin: &str| Place::Grain { host: host.into(), origin: origin.into() };
        for (host, expected) in [
            ("127.0.0.1:6080", page("http://127.0.0.1:6080")),
            ("Tinyroot.Localhost:9", page("http://tinyroot.localhost:9")),
            ("localhost", page("http://localhost")),
            ("g-0a.localhost:6080", grain("g-0a", "http://g-0a.localhost:6080")),
            ("evil.example:6080", Place::Elsewhere),
            ("g-0a.localhost.evil.example", Place::Elsewhere),
            ("x.localhost:6080", Place::Elsewhere),
            ("127.0.0.1:6080@evil.example", Place::Elsewhere),
            ("[::1]:6080", Place::Elsewhere),
            ("127.0.0.1\r\nHost: evil.example", Place::Elsewhere),
        ] {
            assert_eq!(gate().place(&head(&format!("GET / HTTP/1.1\r\nHost: {host}"))), expected, "{host}");
        }
        assert_eq!(gate().place(&head("GET / HTTP/1.0")), Place::Elsewhere);
    }

    #[test]
    fn the_page_is_for_whoever_has_the_token() {
        let gate = gate();
        let origin = "http://tinyroot.localhost:6080";
        let status = |text: &str| gate.admit(&head(text), origin).map(|response| response.status);
        let entered = gate.admit(&head(&format!("GET /?token={} HTTP/1.1", gate.token)), origin);
        let entered = entered.expect("an answer");
        assert_eq!(entered.status, "303 See Other");
        let set = &entered.fields.iter().find(|(name, _)| *name == "Set-Cookie").expect("is set").1;
        let (pair, how) = set.split_once("; ").expect("has attributes");
        assert_eq!(how, "Path=/; HttpOnly; SameSite=Strict");
        assert!(!pair.contains(&gate.token));
        for (text, expected) in [
            ("GET / HTTP/1.1".to_owned(), Some("403 Forbidden")),
            ("GET /?token= HTTP/1.1".to_owned(), Some("403 Forbidden")),
            (format!("GET /?token={}0 HTTP/1.1", &gate.token[1..]), Some("403 Forbidden")),
            (format!("POST /?token={} HTTP/1.1", gate.token), Some("403 Forbidden")),
            ("GET / HTTP/1.1\r\nCookie: tinyroot_6080=x".to_owned(), Some("403 Forbidden")),
            (format!("GET / HTTP/1.1\r\nCookie: {pair}"), None),
            (format!("POST /new HTTP/1.1\r\nCookie: {pair}"), Some("403 Forbidden")),
            (format!("POST /new HTTP/1.1\r\nCookie: {pair}\r\nOrigin: null"), Some("403 Forbidden")),
            (
                format!("POST /new HTTP/1.1\r\nCookie: {pair}\r\nOrigin: http://evil.localhost:6080"),
                Some("403 Forbidden"),
            ),
            (format!("POST /new HTTP/1.1\r\nCookie: {pair}\r\nOrigin: {origin}"), None),
        ] {
            assert_eq!(status(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_ticket_is_good_once_and_for_one_grain() {
        let gate = gate();
        let tickets = || {
            let mut tickets = gate.tickets.lock().expect("no panic");
            tickets.insert("t".into(), ("g-1".into(), Instant::now()));
        };
        tickets();
        assert!(!gate.redeem("t", "g-2"));
        assert!(!gate.redeem("", "g-1"));
        assert_eq!([gate.redeem("t", "g-1"), gate.redeem("t", "g-1")], [true, false]);
    }

    #[test]
    fn a_manifest_is_requested_without_cookies() {
        let get = "GET /lib/exe/manifest.php HTTP/1.1\r\nSec-Fetch-Dest: manifest\r\nSec-Fetch-Site:";
        assert!(is_manifest(&head(&format!("{get} same-origin"))));
        assert!(!is_manifest(&head(&format!("{get} cross-site"))));
        assert!(!is_manifest(&head(&format!("{} same-origin", get.replace("GET", "POST")))));
        assert!(!is_manifest(&head(
            "GET / HTTP/1.1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: same-origin"
        )));
    }
}
