//! The sending of a step's request with its values filled in, through the front that a browser would speak
//! to.

use url::Url;

use super::Conversation;
use crate::{
    exercise::{
        ExerciseError, Response, Target, http,
        text::{self, form_encode},
    },
    recipe::{Body, Request},
    web::Authorities,
};

/// One request, about to be sent.
#[derive(Clone, Debug)]
pub(in crate::exercise) struct Sent {
    pub method: String,
    /// Path and query as they are sent.
    pub path: String,
    /// Headers besides those that each request has; they replace those.
    pub headers: Vec<(String, String)>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

impl Conversation<'_> {
    pub(super) fn sent(&self, request: &Request) -> Sent {
        let path = self.fill_in(&request.path, str::to_owned);
        let (content_type, body) = self.body(&request.body);
        let mut headers: Vec<(String, String)> = Vec::new();
        if request.method == "POST" {
            // As browsers do, for apps that guard against foreign pages.
            headers.push(("Origin".into(), self.visit.authority.base()));
            headers.push(("Referer".into(), format!("{}{path}", self.visit.authority.base())));
        }
        for (name, value) in &request.header {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), self.fill_in(value, str::to_owned)));
        }
        Sent { method: request.method.clone(), path, headers, content_type, body }
    }

    fn body(&self, body: &Body) -> (Option<String>, Vec<u8>) {
        const FORM: &str = "application/x-www-form-urlencoded";
        match body {
            Body::Empty => (None, Vec::new()),
            Body::Form(fields) => {
                let pairs = fields.iter().map(|(name, value)| {
                    let value = self.fill_in(value, str::to_owned);
                    format!("{}={}", form_encode(name), form_encode(&value))
                });
                (Some(FORM.into()), pairs.collect::<Vec<_>>().join("&").into_bytes())
            }
            Body::FormText(text) => {
                let joined: String = text.trim().lines().collect();
                (Some(FORM.into()), self.fill_in(&joined, form_encode).into_bytes())
            }
            Body::Bytes { content_type, bytes } => {
                let filled = match std::str::from_utf8(bytes) {
                    Ok(text) => self.fill_in(text, str::to_owned).into_bytes(),
                    // Fields beside an upload; all else that is no text stays as it is.
                    Err(_) if content_type.starts_with("multipart/") => {
                        self.values.iter().fold(bytes.clone(), |bytes, (name, value)| {
                            text::replaced(&bytes, format!("{{{name}}}").as_bytes(), value.as_bytes())
                        })
                    }
                    Err(_) => bytes.clone(),
                };
                (Some(content_type.clone()), filled)
            }
        }
    }

    /// Returns the URL of a path of the app.
    pub(super) fn url(&self, path: &str) -> Url {
        let base = self.visit.authority.base();
        let whole = Url::parse(&format!("{base}{path}"));
        // An authority is made by this program alone, of a host and a port.
        whole.or_else(|_| Url::parse(&base)).expect("an authority makes a URL")
    }

    /// Sends a request and takes its cookies.
    pub(in crate::exercise) fn send(
        &mut self,
        step: usize,
        what: &str,
        sent: &Sent,
        target: &mut dyn Target,
    ) -> Result<Response, ExerciseError> {
        let headers = self.headers(sent);
        let connect = |source| ExerciseError::Connect { step, what: what.to_owned(), source };
        let mut stream = target.connect().map_err(connect)?;
        let mut response = http::send(&mut stream, &sent.method, &sent.path, &headers, &sent.body)
            .map_err(|source| ExerciseError::Response { step, what: what.to_owned(), source })?;
        self.take(sent, &mut response);
        Ok(response)
    }

    /// Returns all headers of a request, as the app sees them.
    pub(super) fn headers(&self, sent: &Sent) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = vec![
            ("Host".into(), self.visit.authority.to_string()),
            ("User-Agent".into(), http::USER_AGENT.into()),
            ("Accept".into(), "*/*".into()),
            ("Connection".into(), "close".into()),
        ];
        headers.extend(self.cookies.header(&sent.path).map(|value| ("Cookie".into(), value)));
        headers.extend(sent.content_type.clone().map(|value| ("Content-Type".into(), value)));
        if !sent.body.is_empty() || matches!(&sent.method[..], "POST" | "PUT") {
            headers.push(("Content-Length".into(), sent.body.len().to_string()));
        }
        for (name, value) in &sent.headers {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), value.clone()));
        }
        if let Some(front) = self.front() {
            changed(&mut headers, |name, value| front.request_value(name, value));
        }
        headers
    }

    /// Turns a response into what a browser would see, and takes its cookies.
    pub(super) fn take(&mut self, sent: &Sent, response: &mut Response) {
        if let Some(front) = self.front() {
            changed(&mut response.headers, |name, value| front.response_value(name, value));
        }
        for value in response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            self.cookies.set(&value.1, &sent.path, &self.visit.authority.host);
        }
    }

    /// Returns what `run` and `serve` change between a browser and the app.
    fn front(&self) -> Option<Authorities> {
        let web = self.visit.web?;
        Some(Authorities::new(&self.visit.authority.to_string(), web.host.as_deref(), web.port))
    }
}

/// Changes the values of headers for which there is another.
fn changed(headers: &mut [(String, String)], other: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) {
    for (name, value) in headers {
        if let Some(changed) = other(name, value.as_bytes()) {
            *value = String::from_utf8_lossy(&changed).into_owned();
        }
    }
}

/// Returns path and query of a URL, as they are sent.
pub(in crate::exercise) fn path_of(url: &Url) -> String {
    url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
}
