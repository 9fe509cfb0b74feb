//! The authority of an app (RFC 9110, 7.2), as its clients know it and as the app knows it; fields are
//! changed from one to the other.
//!
//! A client requests `g-….localhost:6080`, and the app listens on `127.0.0.1:8000`. An app that accepts only
//! certain hosts is given the one that its recipe names (`[web] host`). URLs with an authority of the app's
//! own lead back to the authority that was requested, for every app. Bodies are never changed: what a page
//! holds is the app's own.

use super::{Head, host_and_port};

/// The names of the machine itself, by which an app may call the address that it listens on.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The authorities of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// `HOST` or `HOST:PORT`, as the client requested it.
    requested: String,
    /// `HOST:PORT`, if the app is given another one.
    given: Option<String>,
    /// Each authority that is the app's own and that no client can use.
    own: Vec<String>,
    /// Names without a port that cookies of the app may be limited to.
    own_names: Vec<String>,
}

impl Authorities {
    /// Returns the authorities of a request for `requested`, the value of its `Host` field. `host` is `[web]
    /// host` of the recipe and `port` its `[web] port`.
    ///
    /// A name that is not one of the loopback's is given to the app as it is, so that an app's guard against
    /// rebinding (a name of another site that leads to this machine) still sees it.
    pub fn new(requested: &str, host: Option<&str>, port: u16) -> Self {
        let name = name_of(requested);
        let given = host.filter(|_| is_of_loopback(name)).map(|host| format!("{host}:{port}"));
        let mut own_names: Vec<String> = LOOPBACK.map(str::to_owned).to_vec();
        own_names.extend(host.map(str::to_owned));
        // An app that joins the name it was requested by with the port that it listens on: nginx does so for
        // a folder.
        let own = own_names.iter().map(String::as_str).chain([name]).flat_map(|name| {
            let without_port = (port == 80).then(|| name.to_owned());
            without_port.into_iter().chain([format!("{name}:{port}")])
        });
        let own = own.filter(|own| !own.eq_ignore_ascii_case(requested)).collect();
        own_names.retain(|own| !own.eq_ignore_ascii_case(name));
        Authorities { requested: requested.to_owned(), given, own, own_names }
    }

    /// Returns the authorities of a request; nothing if it has no `Host` field, or several.
    pub fn of_request(head: &Head, host: Option<&str>, port: u16) -> Option<Self> {
        head.field("host").map(|requested| Authorities::new(requested, host, port))
    }

    /// Changes a request to what the app is given.
    pub fn to_app(&self, head: &mut Head) {
        for (name, value) in &mut head.fields {
            if let Some(changed) = self.request_value(name, value) {
                *value = changed;
            }
        }
    }

    /// Changes a response to what the client is given.
    pub fn to_client(&self, head: &mut Head) {
        for (name, value) in &mut head.fields {
            if let Some(changed) = self.response_value(name, value) {
                *value = changed;
            }
        }
    }

    /// Returns the value of a request's field as the app is given it; nothing where it stays as it is.
    ///
    /// `Host`; `Origin` and `Referer` where they name the authority requested, so that one of another site
    /// still shows as such; `Destination` of WebDAV's COPY and MOVE (RFC 4918, 10.3).
    pub fn request_value(&self, name: &str, value: &[u8]) -> Option<Vec<u8>> {
        let given = self.given.as_deref()?;
        match name.to_ascii_lowercase().as_str() {
            "host" => Some(given.as_bytes().to_vec()),
            "origin" | "referer" | "destination" => moved(value, &[self.requested.as_str()], given),
            _ => None,
        }
    }

    /// Returns the value of a response's field as the client is given it; nothing where it stays as it is.
    ///
    /// URLs in `Location`, `Content-Location`, `Refresh`, `Link` and `Access-Control-Allow-Origin`; of
    /// `Set-Cookie` a `Domain` that is the app's own goes, so that the cookie is for the host requested (RFC
    /// 6265, 5.3).
    pub fn response_value(&self, name: &str, value: &[u8]) -> Option<Vec<u8>> {
        let own: Vec<&str> = self.own.iter().map(String::as_str).collect();
        match name.to_ascii_lowercase().as_str() {
            "location" | "content-location" | "access-control-allow-origin" => {
                moved(value, &own, &self.requested)
            }
            "refresh" => {
                let (before, url) = value.split_at(refresh_url(value)?);
                moved(url, &own, &self.requested).map(|url| [before, &url].concat())
            }
            "link" => {
                let parts: Vec<&[u8]> = value.split(|byte| *byte == b'<').collect();
                let changed: Vec<_> = parts.iter().map(|part| moved(part, &own, &self.requested)).collect();
                let is_changed = changed.iter().any(Option::is_some);
                let parts = changed.into_iter().zip(parts).map(|(new, old)| new.unwrap_or(old.to_vec()));
                is_changed.then(|| parts.collect::<Vec<_>>().join(&b'<'))
            }
            "set-cookie" => self.without_own_domain(value),
            _ => None,
        }
    }

    fn without_own_domain(&self, cookie: &[u8]) -> Option<Vec<u8>> {
        let is_own_domain = |attribute: &&[u8]| {
            let Some(at) = attribute.iter().position(|byte| *byte == b'=') else { return false };
            let (name, value) = (attribute[..at].trim_ascii(), attribute[at + 1..].trim_ascii());
            // A dot before the name says nothing (RFC 6265, 5.2.3).
            let value = value.strip_prefix(b".").unwrap_or(value);
            name.eq_ignore_ascii_case(b"domain")
                && self.own_names.iter().any(|own| value.eq_ignore_ascii_case(own.as_bytes()))
        };
        let mut parts = cookie.split(|byte| *byte == b';');
        let pair = parts.next().unwrap_or_default();
        let (own, others): (Vec<_>, Vec<_>) = parts.partition(is_own_domain);
        (!own.is_empty()).then(|| [vec![pair], others].concat().join(&b';'))
    }
}

/// Returns the name of an authority, without its port.
fn name_of(authority: &str) -> &str {
    match host_and_port(authority) {
        Some((name, _)) => name,
        // An address of IPv6 has colons of its own.
        None => authority.find(']').map_or(authority, |end| &authority[..=end]),
    }
}

/// Returns whether a name leads to the machine itself, wherever it is asked for (RFC 6761, 6.3).
pub(super) fn is_of_loopback(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    LOOPBACK.contains(&name.as_str()) || name.ends_with(".localhost")
}

/// Returns a URL that has one of the authorities `from`, with the authority `to` instead. It may be followed
/// by something else.
fn moved(url: &[u8], from: &[&str], to: &str) -> Option<Vec<u8>> {
    let is_scheme =
        |scheme: &&&[u8]| url.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme));
    let blanks = url.len() - url.trim_ascii_start().len();
    if blanks > 0 {
        return moved(&url[blanks..], from, to);
    }
    // We do not serve https: such a request means another server.
    let scheme = [&b"http://"[..], b"//"].iter().find(is_scheme)?.len();
    // Browsers take a backslash for a slash. What holds a user's name is not the app's own.
    let is_end =
        |byte: &u8| matches!(byte, b'/' | b'\\' | b'?' | b'#' | b'\'' | b'"' | b'>' | b';' | b',' | b' ');
    let rest = &url[scheme..];
    let (authority, rest) = rest.split_at(rest.iter().position(is_end).unwrap_or(rest.len()));
    let is_own = from.iter().any(|own| authority.eq_ignore_ascii_case(own.as_bytes()));
    is_own.then(|| [&url[..scheme], to.as_bytes(), rest].concat())
}

/// Returns where the URL of a `Refresh` field begins, as browsers find it: `5; url='http://…'`.
fn refresh_url(value: &[u8]) -> Option<usize> {
    let lower = value.to_ascii_lowercase();
    let at = lower.windows(3).position(|three| three == b"url")? + 3;
    let is_before = |byte: &u8| matches!(byte, b' ' | b'\t' | b'=' | b'\'' | b'"');
    Some(at + lower[at..].iter().take_while(|byte| is_before(byte)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "g-0a.localhost:6080";

    fn text(value: Option<Vec<u8>>) -> Option<String> {
        value.map(|value| String::from_utf8(value).expect("text"))
    }

    #[test]
    fn an_app_that_knows_one_host_is_given_it() {
        let guarded = Authorities::new(ASKED, Some("localhost"), 8000);
        for (name, value, expected) in [
            ("Host", "g-0a.localhost:6080", Some("localhost:8000")),
            ("origin", "http://g-0a.localhost:6080", Some("http://localhost:8000")),
            ("Origin", "HTTP://G-0A.localhost:6080", Some("HTTP://localhost:8000")),
            ("Origin", "http://evil.example", None),
            ("Origin", "http://g-0b.localhost:6080", None),
            ("Origin", "http://g-0a.localhost:60800", None),
            ("Origin", "http://g-0a.localhost:6080.evil.example", None),
            ("Origin", "null", None),
            ("Referer", "http://g-0a.localhost:6080/a?b=//x", Some("http://localhost:8000/a?b=//x")),
            ("Referer", "http://evil.example/http://g-0a.localhost:6080/", None),
            ("Destination", "http://g-0a.localhost:6080/b", Some("http://localhost:8000/b")),
            ("Destination", "/b", None),
            ("X-Other", "http://g-0a.localhost:6080/", None),
        ] {
            let found = text(guarded.request_value(name, value.as_bytes()));
            assert_eq!(found.as_deref(), expected, "{name}: {value}");
            let plain = Authorities::new(ASKED, None, 8000).request_value(name, value.as_bytes());
            assert_eq!(plain, None, "without [web] host, {name}: {value}");
        }
    }

    #[test]
    fn a_name_of_another_site_is_shown_to_the_app() {
        for (requested, is_changed) in [
            ("127.0.0.1:8123", true),
            ("localhost", true),
            ("[::1]:8123", true),
            ("G-0A.LocalHost:6080", true),
            ("evil.example:8123", false),
            ("localhost.evil.example", false),
            ("notlocalhost", false),
            ("127.0.0.1.evil.example", false),
        ] {
            let authorities = Authorities::new(requested, Some("localhost"), 8000);
            assert_eq!(authorities.request_value("Host", b"").is_some(), is_changed, "{requested}");
        }
    }

    #[test]
    fn urls_of_the_app_s_own_lead_to_the_authority_requested() {
        let to = |path: &str| Some(format!("http://g-0a.localhost:6080{path}"));
        for (name, value, expected) in [
            ("Location", "http://127.0.0.1:8000/a?b#c", to("/a?b#c")),
            ("location", "http://localhost:8000", to("")),
            ("Location", " HTTP://LocalHost:8000?x", Some("HTTP://g-0a.localhost:6080?x".into())),
            ("Location", "//127.0.0.1:8000/a", Some("//g-0a.localhost:6080/a".into())),
            ("Location", "http://[::1]:8000/", to("/")),
            // As nginx sends a browser from a folder's name without a slash to the folder.
            ("Location", "http://g-0a.localhost:8000/folder/", to("/folder/")),
            ("Location", "http://g-0a.localhost:6080/a", None),
            ("Location", "/a?to=http://127.0.0.1:8000/", None),
            ("Location", "http://127.0.0.1:80001/", None),
            ("Location", "http://127.0.0.1/", None),
            ("Location", "http://127.0.0.1:8000@evil.example/", None),
            ("Location", "http://me@127.0.0.1:8000/", None),
            ("Location", "https://127.0.0.1:8000/", None),
            ("Location", "http://evil.example/http://127.0.0.1:8000/", None),
            ("Location", "", None),
            ("Content-Location", "http://127.0.0.1:8000/a", to("/a")),
            ("Access-Control-Allow-Origin", "http://127.0.0.1:8000", to("")),
            ("Access-Control-Allow-Origin", "*", None),
            (
                "Refresh",
                "0; URL='http://127.0.0.1:8000/a'",
                Some("0; URL='http://g-0a.localhost:6080/a'".into()),
            ),
            ("Refresh", "0;url=http://localhost:8000", Some("0;url=http://g-0a.localhost:6080".into())),
            ("Refresh", "5", None),
            ("Refresh", "5; url", None),
            (
                "Link",
                "<http://127.0.0.1:8000/a>; rel=up, </b>; rel=x, <http://localhost:8000/c>",
                Some(
                    "<http://g-0a.localhost:6080/a>; rel=up, </b>; rel=x, <http://g-0a.localhost:6080/c>"
                        .into(),
                ),
            ),
            ("X-Other", "http://127.0.0.1:8000/", None),
        ] {
            for host in [None, Some("localhost")] {
                let found = Authorities::new(ASKED, host, 8000).response_value(name, value.as_bytes());
                assert_eq!(text(found), expected, "{name}: {value}");
            }
        }
        let named = Authorities::new(ASKED, Some("wiki.example"), 8000);
        let found = text(named.response_value("Location", b"http://wiki.example:8000/a"));
        assert_eq!(found, to("/a"));
        // Without a port in a URL, 80 is meant.
        let plain = Authorities::new(ASKED, None, 80).response_value("Location", b"http://127.0.0.1/a");
        assert_eq!(text(plain), to("/a"));
    }

    #[test]
    fn cookies_are_for_the_host_requested() {
        let guarded = Authorities::new(ASKED, Some("wiki.example"), 8000);
        for (cookie, expected) in [
            ("a=b; Domain=localhost; Path=/", Some("a=b; Path=/")),
            ("a=Domain=localhost;domain=.Wiki.Example", Some("a=Domain=localhost")),
            ("a=b; Domain=127.0.0.1", Some("a=b")),
            ("a=b; Domain=evil.example; HttpOnly", None),
            ("a=b; Domain=g-0a.localhost", None),
            ("a=b; Path=/", None),
            ("", None),
        ] {
            let found = text(guarded.response_value("Set-Cookie", cookie.as_bytes()));
            assert_eq!(found.as_deref(), expected, "{cookie}");
        }
        let asked_by_address = Authorities::new("127.0.0.1:8123", None, 8000);
        assert_eq!(asked_by_address.response_value("Set-Cookie", b"a=b; Domain=127.0.0.1"), None);
    }

    #[test]
    fn what_the_client_can_use_already_stays() {
        // The port of `run` may be the app's own.
        let same = Authorities::new("127.0.0.1:8000", None, 8000);
        assert_eq!(same.response_value("Location", b"http://127.0.0.1:8000/a"), None);
        let other = text(same.response_value("Location", b"http://localhost:8000/a"));
        assert_eq!(other.as_deref(), Some("http://127.0.0.1:8000/a"));
    }

    #[test]
    fn heads_are_changed_field_by_field() {
        let bytes =
            b"GET /a HTTP/1.1\r\nHost: g-0a.localhost:6080\r\nOrigin: http://g-0a.localhost:6080\r\n\r\n";
        let mut head = Head::of_request(bytes).expect("a head");
        let authorities = Authorities::of_request(&head, Some("localhost"), 8000).expect("has a host");
        authorities.to_app(&mut head);
        let text = String::from_utf8(head.to_bytes()).expect("text");
        assert_eq!(text, "GET /a HTTP/1.1\r\nHost: localhost:8000\r\nOrigin: http://localhost:8000\r\n\r\n");
        let bytes = b"HTTP/1.1 302 Found\r\nLocation: http://localhost:8000/b\r\nVary: *\r\n\r\n";
        let mut head = Head::of_answer(bytes).expect("a head");
        authorities.to_client(&mut head);
        let text = String::from_utf8(head.to_bytes()).expect("text");
        assert_eq!(text, "HTTP/1.1 302 Found\r\nLocation: http://g-0a.localhost:6080/b\r\nVary: *\r\n\r\n");
        let twice = Head::of_request(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").expect("a head");
        assert_eq!(Authorities::of_request(&twice, None, 8000), None);
    }
}
