//! Access to the page and to grains: hosts, tokens, cookies and origins.
//!
//! The printed URL holds a token, which a browser exchanges for a cookie of the page. A click on the page
//! creates a ticket, valid once and for a minute, which the browser exchanges for a cookie of the host of
//! that grain alone. Scripts cannot read either cookie, and browsers do not send them with requests of other
//! sites. A request for any other host is refused, so a foreign name that resolves to the loopback reaches
//! nothing.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::handle::GrainHandle;
use crate::{
    grain::library::random_text,
    web::{Head, Response, host_and_port, is_from_itself, is_loopback},
};

/// The host name of the page. Cookies ignore ports, so a cookie of `127.0.0.1` would be sent to every other
/// server there.
pub const PAGE_HOST: &str = "tinyroot.localhost";

/// The path on a grain's host that takes a ticket.
const ENTRY: &str = "/.tinyroot/enter";

/// How long a ticket is valid.
const TICKET_LIFE: Duration = Duration::from_secs(60);

/// The target of a request, with its origin in a browser.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    Page(String),
    Grain { host: String, origin: String },
    Elsewhere,
}

/// Whether a request may reach its grain.
pub(super) enum Access {
    Granted,
    Response(Response),
}

pub(super) struct Auth {
    port: u16,
    /// The secret in the printed URL.
    token: String,
    /// The secret in the page's cookie.
    session: String,
    /// The host and the time of creation of each.
    tickets: Mutex<HashMap<String, (String, Instant)>>,
}

impl Auth {
    pub fn new(port: u16) -> io::Result<Self> {
        Ok(Auth { port, token: random_text()?, session: random_text()?, tickets: Mutex::default() })
    }

    /// Returns the URL of the page, with the token.
    pub fn url(&self) -> String {
        format!("http://{PAGE_HOST}:{}/?token={}", self.port, self.token)
    }

    /// Returns the target of a request. The port does not matter: it may be forwarded.
    pub fn route(&self, head: &Head) -> Route {
        let Some(host) = head.field("host").map(str::to_ascii_lowercase) else { return Route::Elsewhere };
        let Some((name, _)) = host_and_port(&host) else { return Route::Elsewhere };
        let origin = format!("http://{host}");
        if name == PAGE_HOST || is_loopback(&host) {
            return Route::Page(origin);
        }
        match name.strip_suffix(".localhost") {
            Some(host) if host.starts_with("g-") => Route::Grain { host: host.to_owned(), origin },
            _ => Route::Elsewhere,
        }
    }

    /// Decides the access of a request to the page. Returns the response, or `None` if the request may go on.
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

    /// Returns the URL that opens a grain, with a new ticket. `origin` is the page's.
    pub fn ticket(&self, handle: &GrainHandle, origin: &str) -> io::Result<String> {
        let ticket = random_text()?;
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, (_, made)| made.elapsed() < TICKET_LIFE);
        tickets.insert(ticket.clone(), (handle.host.clone(), Instant::now()));
        let address = origin.trim_start_matches("http://");
        let port = host_and_port(address).map_or("", |(_, port)| port);
        Ok(format!("http://{}.localhost{port}{ENTRY}?ticket={ticket}", handle.host))
    }

    /// Decides the access of a request to a grain.
    pub fn access(&self, head: &Head, handle: &GrainHandle, origin: &str) -> Access {
        let is_known = head.cookie(&self.grain_cookie()).is_some_and(|shown| same(shown, &handle.token));
        let (path, query) = head.path_and_query();
        if path == ENTRY && head.method() == "GET" {
            let shown = parameter(query, "ticket").unwrap_or_default();
            if self.redeem(&shown, &handle.host) {
                let own = cookie(&self.grain_cookie(), &handle.token);
                return Access::Response(Response::html(ENTERED).with("Set-Cookie", own));
            }
            if is_known {
                return Access::Response(Response::html(ENTERED));
            }
        }
        if !is_known && is_manifest(head) {
            return Access::Response(Response::new("200 OK", "application/manifest+json", MANIFEST));
        }
        if !is_known {
            let why = "open this from the page of `tinyroot serve`: its click brings the right to see it";
            return Access::Response(Response::refusal("403 Forbidden", why));
        }
        if !is_from_itself(head, origin) {
            return Access::Response(Response::refusal("403 Forbidden", "this was sent from another page"));
        }
        Access::Granted
    }

    /// Uses up a ticket; returns whether it was valid for this grain.
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

    /// Returns the name of the cookie that no app sees.
    pub fn grain_cookie(&self) -> String {
        format!("tinyroot_grain_{}", self.port)
    }
}

/// A page on the grain's own host. A redirect would still count as a request from the page's site, and the
/// browser would not send the cookie.
const ENTERED: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta http-equiv=\"refresh\" content=\"0;url=/\">\n<title>Opening</title>\n<p><a href=\"/\">Open</a></p>\n</html>\n";

/// The response in place of an app's manifest. Chromium reports one without any member as broken.
const MANIFEST: &str = r#"{"start_url":"/"}"#;

/// Returns whether a page of the same host requests its manifest. Browsers send no cookies with that, and
/// show an error on each page of the app where it is refused; a manifest that names only the start page
/// reveals nothing.
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

    fn auth() -> Auth {
        Auth::new(6080).expect("randomness")
    }

    #[test]
    fn names_lead_to_the_page_or_to_a_grain_or_nowhere() {
        let page = |origin: &str| Route::Page(origin.to_owned());
        let grain = |host: &str, origin: &str| Route::Grain { host: host.into(), origin: origin.into() };
        for (host, expected) in [
            ("127.0.0.1:6080", page("http://127.0.0.1:6080")),
            ("Tinyroot.Localhost:9", page("http://tinyroot.localhost:9")),
            ("localhost", page("http://localhost")),
            ("g-0a.localhost:6080", grain("g-0a", "http://g-0a.localhost:6080")),
            ("evil.example:6080", Route::Elsewhere),
            ("g-0a.localhost.evil.example", Route::Elsewhere),
            ("x.localhost:6080", Route::Elsewhere),
            ("127.0.0.1:6080@evil.example", Route::Elsewhere),
            ("[::1]:6080", Route::Elsewhere),
            ("127.0.0.1\r\nHost: evil.example", Route::Elsewhere),
        ] {
            assert_eq!(auth().route(&head(&format!("GET / HTTP/1.1\r\nHost: {host}"))), expected, "{host}");
        }
        assert_eq!(auth().route(&head("GET / HTTP/1.0")), Route::Elsewhere);
    }

    #[test]
    fn the_page_is_for_whoever_has_the_token() {
        let auth = auth();
        let origin = "http://tinyroot.localhost:6080";
        let status = |text: &str| auth.admit(&head(text), origin).map(|response| response.status);
        let entered = auth.admit(&head(&format!("GET /?token={} HTTP/1.1", auth.token)), origin);
        let entered = entered.expect("an answer");
        assert_eq!(entered.status, "303 See Other");
        let set = &entered.fields.iter().find(|(name, _)| *name == "Set-Cookie").expect("is set").1;
        let (pair, how) = set.split_once("; ").expect("has attributes");
        assert_eq!(how, "Path=/; HttpOnly; SameSite=Strict");
        assert!(!pair.contains(&auth.token));
        for (text, expected) in [
            ("GET / HTTP/1.1".to_owned(), Some("403 Forbidden")),
            ("GET /?token= HTTP/1.1".to_owned(), Some("403 Forbidden")),
            (format!("GET /?token={}0 HTTP/1.1", &auth.token[1..]), Some("403 Forbidden")),
            (format!("POST /?token={} HTTP/1.1", auth.token), Some("403 Forbidden")),
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
        let auth = auth();
        let tickets = || {
            let mut tickets = auth.tickets.lock().expect("no panic");
            tickets.insert("t".into(), ("g-1".into(), Instant::now()));
        };
        tickets();
        assert!(!auth.redeem("t", "g-2"));
        assert!(!auth.redeem("", "g-1"));
        assert_eq!([auth.redeem("t", "g-1"), auth.redeem("t", "g-1")], [true, false]);
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
