//! A response of a page, and the policy that goes with it.

use std::io::{self, Write};

/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// On every response. `same-origin`, as a browser that shows no one where it comes from says of a form of
/// our own neither.
const FIELDS: &str = "X-Content-Type-Options: nosniff\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    Referrer-Policy: same-origin\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n";

/// Returns a Content-Security-Policy: nothing is loaded from elsewhere, no one frames the page, and its forms
/// lead to `form_action` only.
pub fn policy(form_action: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action {form_action}; frame-ancestors 'none'"
    )
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// "200 OK".
    pub status: &'static str,
    /// The media type of the body.
    pub content_type: &'static str,
    /// Further fields.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Response {
    /// Returns a response with a body.
    pub fn new(status: &'static str, content_type: &'static str, body: impl Into<String>) -> Self {
        Response { status, content_type, fields: Vec::new(), body: body.into() }
    }

    /// Returns a page.
    pub fn html(body: impl Into<String>) -> Self {
        Response::new("200 OK", "text/html; charset=utf-8", body)
    }

    /// Returns a refusal with its reason.
    pub fn refusal(status: &'static str, why: &str) -> Self {
        Response::new(status, TEXT, format!("{why}\n"))
    }

    /// Returns a response that leads a browser elsewhere, by GET.
    pub fn see_other(location: impl Into<String>) -> Self {
        Response::new("303 See Other", TEXT, "").with("Location", location)
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Writes the response; to HEAD, without its body.
    ///
    /// # Errors
    /// As writing.
    pub fn send(&self, to: &mut impl Write, policy: &str, is_head: bool) -> io::Result<()> {
        let mut text = format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nContent-Security-Policy: {policy}\r\n{FIELDS}",
            self.status,
            self.content_type,
            self.body.len()
        );
        for (name, value) in &self.fields {
            // A value is ours, but may hold foreign text: it cannot end its line.
            let value: String = value.chars().filter(|letter| !letter.is_control()).collect();
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        if !is_head {
            text += &self.body;
        }
        to.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_end_its_line() {
        let mut sent = Vec::new();
        let response = Response::see_other("/a\r\nSet-Cookie: x=y");
        response.send(&mut sent, &policy("'none'"), false).expect("writes");
        let text = String::from_utf8(sent).expect("text");
        assert!(text.contains("\r\nLocation: /aSet-Cookie: x=y\r\n\r\n"), "{text}");
        assert!(text.contains("form-action 'none'; frame-ancestors 'none'\r\n"), "{text}");
    }
}
