//! The readers of what apps respond and log, as functions that take anything
//! ([`testing::readers`](crate::testing::READERS)).

use super::{
    Authority, cookies::Cookies, disguise, http, links, log, modules, page, style, text::form_encode,
};

/// A response.
pub(crate) fn response(bytes: &[u8]) {
    for method in ["GET", "HEAD"] {
        let Ok(response) = http::read_response(bytes, method) else { continue };
        assert!(response.body.len() <= bytes.len());
        let _ = (response.kind(), response.full(), response.header("location"));
    }
}

/// An event stream, with chunks and without.
pub(crate) fn events(bytes: &[u8]) {
    crate::formats::chunked::read_anything(bytes);
    crate::formats::event_stream::read_anything(bytes);
}

/// Values of `Set-Cookie`, one a line.
pub(crate) fn cookies(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut cookies = Cookies::default();
    for line in text.lines() {
        cookies.set(line, "/app/login?next=/", "g-1.localhost");
    }
    for path in ["/", "/app/x?y", "/app"] {
        let header = cookies.header(path).unwrap_or_default();
        assert!(!header.contains(['\n', '\r']), "{header:?}");
    }
}

/// A page, with its scripts and styles.
pub(crate) fn page(bytes: &[u8]) {
    let page = page::read(bytes);
    let lines = 1 + memchr::memchr2_iter(b'\n', b'\r', bytes).count();
    for line in page.found.iter().map(|found| found.line).chain(page.texts.iter().map(|text| text.line)) {
        assert!((1..=lines).contains(&line), "line {line} of {lines}: {page:?}");
    }
    let _ = disguise::of_page(&page, bytes);
    let here = Authority { host: "127.0.0.1".into(), port: 8000 };
    for path in links::Leads::of(bytes, "/a/b?c", &here).pages {
        assert!(path.starts_with('/') && !path.contains(char::is_whitespace), "{path:?}");
    }
}

/// A style sheet; or a script that loads modules.
pub(crate) fn style(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = 1 + memchr::memchr_iter(b'\n', bytes).count();
    for found in style::read(&text).into_iter().chain(modules::read(&text)) {
        assert!((1..=lines).contains(&found.line), "line {} of {lines}", found.line);
    }
}

/// Lines of a log, and texts that are put into forms.
pub(crate) fn lines(text: &str) {
    for line in text.lines() {
        let _ = log::level(line);
    }
    let _ = (disguise::of_text(text), crate::formats::html::unescape(text));
    let encoded = form_encode(text);
    assert!(encoded.is_ascii() && !encoded.contains(['&', '=', ' ', '\n']), "{encoded}");
}
