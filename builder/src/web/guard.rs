//! The page that sent a request, as far as the request shows it. Browsers say so in fields which pages cannot
//! set; other clients tell nothing, and need not: they are no way for a page to reach the loopback.

use super::{Head, Response, host::is_of_loopback, host_and_port};

/// Looks at a request to an app on the loopback that everybody's pages can send to; returns a refusal unless
/// it may go on.
///
/// The host must be this machine by one of its own names: a name of another site that was made to lead here
/// would let that site's pages read what the app says (DNS rebinding). The port may be another one, as it may
/// be forwarded. What may change something must come from a page of the app's own. Other sites may lead
/// people to the app, but not load its contents into their own pages.
pub fn guard(head: &Head) -> Option<Response> {
    let Some(host) = head.field("host").filter(|host| is_of_this_machine(host)) else {
        return Some(forbidden("this app is for 127.0.0.1, localhost and names below localhost alone"));
    };
    let is_own = is_from_itself(head, &format!("http://{host}")) && is_wanted(head);
    (!is_own).then(|| forbidden("this was sent from a page of another site"))
}

fn forbidden(why: &str) -> Response {
    Response::refusal("403 Forbidden", why)
}

/// Returns whether a `Host` field names this machine to itself, at whatever port.
fn is_of_this_machine(host: &str) -> bool {
    let without_brackets = host.strip_prefix("[::1]").map(|port| format!("localhost{port}"));
    let host = without_brackets.as_deref().unwrap_or(host);
    host_and_port(host).is_some_and(|(name, _)| is_of_loopback(name))
}

/// Returns whether what may change something was sent by a page of the same host. A page that shows no one
/// where it comes from sends `null`; then the browser's own word counts.
pub fn is_from_itself(head: &Head, origin: &str) -> bool {
    let is_upgrade = head.values("upgrade").next().is_some();
    if matches!(head.method(), "GET" | "HEAD" | "OPTIONS") && !is_upgrade {
        return true;
    }
    match head.field("origin") {
        Some("null") => head.field("sec-fetch-site") == Some("same-origin"),
        Some(from) => from.eq_ignore_ascii_case(origin),
        // No browser: those send it with whatever is not GET or HEAD.
        None => head.values("origin").next().is_none(),
    }
}

/// Returns whether the app itself, the person or no browser wants this. A page of another site, be it another
/// port, may only lead to it (Fetch Metadata Request Headers, 2): not show it in a frame, nor load it as a
/// script, an image or data.
fn is_wanted(head: &Head) -> bool {
    let mut sites = head.values("sec-fetch-site");
    if sites.all(|site| matches!(site, b"same-origin" | b"none")) {
        return true;
    }
    let leads =
        head.field("sec-fetch-mode") == Some("navigate") && head.field("sec-fetch-dest") == Some("document");
    leads && matches!(head.method(), "GET" | "HEAD")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::of_request(format!("{text}\r\n\r\n").as_bytes()).expect("a head")
    }

    #[test]
    fn what_changes_something_comes_from_the_same_page() {
        for (text, expected) in [
            ("GET / HTTP/1.1\r\nOrigin: http://evil", true),
            ("POST / HTTP/1.1", true),
            ("POST / HTTP/1.1\r\nOrigin: http://A:1", true),
            ("POST / HTTP/1.1\r\nOrigin: http://evil", false),
            ("POST / HTTP/1.1\r\nOrigin: http://a:1\r\nOrigin: http://evil", false),
            ("DELETE / HTTP/1.1\r\nOrigin: null", false),
            ("POST / HTTP/1.1\r\nOrigin: null\r\nSec-Fetch-Site: same-origin", true),
            ("POST / HTTP/1.1\r\nOrigin: null\r\nSec-Fetch-Site: cross-site", false),
            ("GET / HTTP/1.1\r\nUpgrade: websocket\r\nOrigin: http://evil", false),
            ("GET / HTTP/1.1\r\nUpgrade: websocket\r\nOrigin: http://a:1", true),
        ] {
            assert_eq!(is_from_itself(&head(text), "http://a:1"), expected, "{text}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        for (host, expected) in [
            ("127.0.0.1:8000", true),
            ("LocalHost:8000", true),
            ("localhost", true),
            ("[::1]:8000", true),
            ("[::1]", true),
            ("wiki.localhost:9", true),
            ("evil.example:8000", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:8000", false),
            ("evillocalhost:8000", false),
            ("127.0.0.1:8000@evil.example", false),
            ("[::1].evil.example", false),
            ("[::1]evil.example:80", false),
            ("localhost\r\nHost: evil.example", false),
            ("", false),
        ] {
            let status =
                guard(&head(&format!("GET / HTTP/1.1\r\nHost: {host}"))).map(|response| response.status);
            assert_eq!(status.is_none(), expected, "{host}: {status:?}");
        }
        assert!(guard(&head("GET / HTTP/1.0")).is_some());
    }

    #[test]
    fn other_sites_lead_to_an_app_and_do_no_more() {
        let page = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest:";
        for (line, fields, expected) in [
            ("GET /", String::new(), true),
            ("PROPFIND /calendar/", String::new(), true),
            ("GET /", format!("Sec-Fetch-Site: none\r\n{page} document"), true),
            ("GET /", format!("Sec-Fetch-Site: cross-site\r\n{page} document"), true),
            ("GET /", format!("Sec-Fetch-Site: cross-site\r\n{page} iframe"), false),
            ("GET /", format!("Sec-Fetch-Site: same-site\r\n{page} embed"), false),
            ("GET /", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors".into(), false),
            ("GET /", "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors".into(), false),
            ("GET /", "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site".into(), false),
            ("GET /", "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors".into(), true),
            ("POST /", format!("Sec-Fetch-Site: cross-site\r\n{page} document"), false),
            ("POST /", "Origin: http://127.0.0.1:8000\r\nSec-Fetch-Site: same-origin".into(), true),
            ("POST /", "Origin: http://127.0.0.1:9000\r\nSec-Fetch-Site: same-site".into(), false),
        ] {
            let text = format!("{line} HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n{fields}");
            assert_eq!(guard(&head(text.trim_end())).is_none(), expected, "{text}");
        }
    }
}
