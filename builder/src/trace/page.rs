//! The page of new uses while a person clicks, and the same as JSON for scripts.
//!
//! Responds to one request a connection, and only if its `Host` is a name of the loopback: a page whose
//! foreign name resolves to the loopback reads nothing. The page takes no data, and changes nothing but that its own
//! button stops the app.

use std::{
    io::{self, BufReader, Read as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use super::news::Told;
use crate::{
    proxy::{self, Callers},
    web::{Head, Response, TEXT, escaped, is_from_itself, is_loopback, policy, read_head},
};

/// How long a client may take for its request.
const SILENCE: Duration = Duration::from_secs(10);

/// Longest request head that is read.
const HEAD_LIMIT: u64 = 16 << 10;

/// The texts of the page beside the uses.
pub(super) struct Page {
    /// The app's title.
    pub title: String,
    /// Where the app itself is.
    pub app_url: String,
}

impl Page {
    /// Starts to serve, in threads that end with this process. `look` returns what was found from a number
    /// on; nothing once the app is stopped. `stop` stops it.
    pub fn serve(
        self,
        listener: TcpListener,
        look: impl Fn(usize) -> Option<Told> + Send + Sync + 'static,
        stop: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<()> {
        // A client that disconnects affects only itself.
        proxy::accept(listener, Callers::own(), move |stream| {
            drop(self.serve_connection(stream, &look, &stop))
        })
    }

    fn serve_connection(
        &self,
        mut stream: &TcpStream,
        look: &impl Fn(usize) -> Option<Told>,
        stop: &impl Fn(),
    ) -> io::Result<()> {
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let bytes = read_head(&mut BufReader::new(stream).take(HEAD_LIMIT))?.unwrap_or_default();
        let response = self.respond(&bytes, look, stop);
        response.send(&mut stream, &policy("'none'"), bytes.starts_with(b"HEAD "))
    }

    /// Responds to a request by its head.
    fn respond(&self, head: &[u8], look: impl Fn(usize) -> Option<Told>, stop: impl Fn()) -> Response {
        let refused = Response::refusal;
        let Some(head) = Head::of_request(head) else {
            return refused("400 Bad Request", "no request of HTTP");
        };
        let Some(host) = head.field("host").filter(|host| is_loopback(host)) else {
            return refused("403 Forbidden", "this page is for 127.0.0.1 alone");
        };
        if (head.method(), head.path_and_query().0) == ("POST", "/stop") {
            if !is_from_itself(&head, &format!("http://{host}")) {
                return refused("403 Forbidden", "this was sent from a page of another site");
            }
            stop();
            return Response::new("200 OK", TEXT, "it stops\n");
        }
        if !matches!(head.method(), "GET" | "HEAD") {
            return refused("405 Method Not Allowed", "there is nothing to change here");
        }
        let (path, query) = head.path_and_query();
        match path {
            "/" => Response::html(self.html()),
            "/page.css" => Response::new("200 OK", "text/css; charset=utf-8", include_str!("page/page.css")),
            "/page.js" => {
                Response::new("200 OK", "text/javascript; charset=utf-8", include_str!("page/page.js"))
            }
            "/new.json" => {
                let Some(since) = since(query) else {
                    return refused("400 Bad Request", "ask for /new.json?since=N, N being a number");
                };
                let Some(told) = look(since) else {
                    return refused("503 Service Unavailable", "the app is stopped");
                };
                let body = serde_json::to_string(&told).expect("texts and numbers become JSON");
                Response::new("200 OK", "application/json", body + "\n")
            }
            _ => refused("404 Not Found", "there are /, /new.json?since=N and what the page needs"),
        }
    }

    fn html(&self) -> String {
        let page = include_str!("page/page.html");
        page.replace("{title}", &escaped(&self.title)).replace("{app_url}", &escaped(&self.app_url))
    }
}

/// Reads `since=N`; 0 without it, `None` if N is not a number.
fn since(query: &str) -> Option<usize> {
    let given = query.split('&').find_map(|field| field.strip_prefix("since="));
    given.map_or(Some(0), |number| number.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, path::Path};

    use super::*;
    use crate::{evidence::UsedList, trace::news::News};

    fn page() -> Page {
        Page { title: "<b>Tea & \"milk\"".into(), app_url: "http://127.0.0.1:8000/".into() }
    }

    fn look(since: usize) -> Option<Told> {
        let text = "/usr/<b>&\" opened /usr/bin/pot tea pot GET:/<i>\n/x\\xff stat - - - -\n";
        let mut news = News::new(UsedList::new());
        news.ingest(&UsedList::parse(text, Path::new("used.list")).expect("a good list"));
        Some(news.since(since, 4))
    }

    fn ask(target: &str) -> (&'static str, &'static str, String) {
        let head = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n\r\n");
        let Response { status, content_type, body, .. } = page().respond(head.as_bytes(), look, || ());
        (status, content_type, body)
    }

    #[test]
    fn json_tells_what_is_new_from_a_number_on() {
        let second = r#"{"number":1,"path":"/x\\xff","kinds":["stat"],"program":null,"service":null,"package":null,"step":null,"new":true}"#;
        let first = r#"{"number":0,"path":"/usr/<b>&\"","kinds":["opened"],"program":"/usr/bin/pot","service":"pot","package":"tea","step":"GET:/<i>","new":true}"#;
        let told = |found: &str| {
            format!(
                "{{\"next\":2,\"used\":2,\"new\":2,\"otherwise\":0,\"requests\":4,\"found\":[{found}]}}\n"
            )
        };
        for (target, found) in [
            ("/new.json", format!("{first},{second}")),
            ("/new.json?since=0", format!("{first},{second}")),
            ("/new.json?x=y&since=1", second.to_owned()),
            ("/new.json?since=2", String::new()),
        ] {
            // Not HTML to any browser: paths in it are text.
            assert_eq!(ask(target), ("200 OK", "application/json", told(&found)), "{target}");
        }
        for number in ["", "-1", "x", "99999999999999999999999"] {
            assert_eq!(ask(&format!("/new.json?since={number}")).0, "400 Bad Request", "{number}");
        }
        let head = "GET /new.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_eq!(page().respond(head.as_bytes(), |_| None, || ()).status, "503 Service Unavailable");
    }

    #[test]
    fn the_page_holds_no_text_as_markup() {
        let (status, content_type, body) = ask("/");
        assert_eq!((status, content_type), ("200 OK", "text/html; charset=utf-8"));
        assert!(body.contains("<title>&lt;b&gt;Tea &amp; &quot;milk&quot;"), "{body}");
        assert!(!body.contains("<b>Tea"), "{body}");
        // Later lines are added as text by the script, which the page's own policy lets in only as a
        // file.
        assert!(
            !body.contains("<script>") && !body.contains(" style=") && !body.contains("://www"),
            "{body}"
        );
        assert_eq!(ask("/page.js").0, "200 OK");
        assert_eq!(ask("/page.css").0, "200 OK");
        assert_eq!(ask("/other").0, "404 Not Found");
    }

    #[test]
    fn only_the_loopback_is_answered() {
        let rows = [
            ("GET / HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n\r\n", "200 OK"),
            ("GET / HTTP/1.1\r\nhost: LocalHost:9\r\n\r\n", "200 OK"),
            ("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", "200 OK"),
            ("GET / HTTP/1.1\r\nHost: evil.example:8001\r\n\r\n", "403 Forbidden"),
            ("GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", "403 Forbidden"),
            ("GET / HTTP/1.1\r\nHost: 127.0.0.1:8001@evil.example\r\n\r\n", "403 Forbidden"),
            ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", "403 Forbidden"),
            ("GET /new.json HTTP/1.0\r\n\r\n", "403 Forbidden"),
            ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405 Method Not Allowed"),
            ("nonsense\r\n\r\n", "400 Bad Request"),
            ("", "400 Bad Request"),
        ];
        for (head, status) in rows {
            assert_eq!(page().respond(head.as_bytes(), look, || ()).status, status, "{head}");
        }
    }

    #[test]
    fn its_own_button_stops_the_app_and_no_other_page_does() {
        for (head, status) in [
            (
                "POST /stop HTTP/1.1\r\nHost: 127.0.0.1:8001\r\nOrigin: http://127.0.0.1:8001\r\n\r\n",
                "200 OK",
            ),
            (
                "POST /stop HTTP/1.1\r\nHost: 127.0.0.1:8001\r\nOrigin: http://127.0.0.1:8000\r\n\r\n",
                "403 Forbidden",
            ),
            ("POST /stop HTTP/1.1\r\nHost: 127.0.0.1:8001\r\nOrigin: null\r\n\r\n", "403 Forbidden"),
            (
                "POST /stop HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n",
                "403 Forbidden",
            ),
            ("GET /stop HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n\r\n", "404 Not Found"),
        ] {
            let stopped = std::cell::Cell::new(false);
            let response = page().respond(head.as_bytes(), look, || stopped.set(true));
            assert_eq!((response.status, stopped.get()), (status, status == "200 OK"), "{head}");
        }
    }

    #[test]
    fn answers_go_over_the_wire_with_their_policy() {
        let listener = proxy::listen(None, 0..0).expect("any port");
        let address = listener.local_addr().expect("has one");
        page().serve(listener, look, || ()).expect("serves");
        for (method, has_body) in [("GET", true), ("HEAD", false)] {
            let mut stream = TcpStream::connect(address).expect("connects");
            write!(stream, "{method} /new.json?since=1 HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("asks");
            let mut response = String::new();
            stream.read_to_string(&mut response).expect("answers");
            let (head, body) = response.split_once("\r\n\r\n").expect("a head");
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert!(
                head.contains("Content-Security-Policy: default-src 'none'; script-src 'self'"),
                "{head}"
            );
            assert_eq!(!body.is_empty(), has_body, "{body}");
        }
    }
}
