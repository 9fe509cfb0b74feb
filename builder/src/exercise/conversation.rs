//! The state of a conversation, and how a request is made, followed to its end and judged.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::{
    Answer, ExerciseError, Miss, Outcome, Ran, Record, Subject, Transcript, Visit, Warning, compile,
    cookies::Cookies,
    disguise,
    elsewhere::{Border, Finding, Says, cookie_is_for},
    http,
    load::Loaded,
    page::{self, Found, Page},
    recipe_words, style,
    text::{self, form_encode, html_unescape},
};
use crate::{
    recipe::{Body, Request, Step},
    web::Authorities,
};

/// Redirects that are followed of one request: as many as browsers follow.
const REDIRECTS: usize = 20;

/// A conversation, from its first step to its last.
pub(super) struct Conversation<'a> {
    pub(super) visit: Visit<'a>,
    cookies: Cookies,
    /// Names that any step captures; other braces are text.
    names: BTreeSet<String>,
    values: BTreeMap<String, String>,
    pub(super) transcript: Transcript,
    pub(super) misses: Vec<Miss>,
    /// A capture failed, and later steps need it.
    pub(super) stuck: bool,
    /// What was loaded with pages so far.
    pub(super) loaded: Loaded,
    /// Hosts that links lead to, each told once.
    links_told: BTreeSet<String>,
    /// What the present step is warned of: the gravest is told.
    warnings: Vec<(Grade, String)>,
}

/// How grave a warning is, gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// An error in disguise.
    Disguise,
    /// A line of the log.
    Log,
    /// Something that a page loads and does not get.
    Load,
    /// An address that the recipe allows, and that a sealed app still should not load.
    Address,
    /// Nothing is expected of the page.
    Unasked,
}

/// One request, about to be sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub method: String,
    /// Path and query as they are sent.
    pub path: String,
    /// Headers besides those that each request has; they replace those.
    pub headers: Vec<(String, String)>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// What is read of a response.
pub(super) enum Content {
    Page(Page),
    Style(Vec<Found>),
    Other,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(visit: Visit<'a>) -> Self {
        let captures = visit.steps.iter().filter_map(|step| match step {
            Step::Request(Request { capture, .. }) | Step::Run { capture, .. } => {
                Some(capture.keys().cloned())
            }
            _ => None,
        });
        let values = BTreeMap::from([
            ("base".to_owned(), visit.authority.base()),
            ("host".to_owned(), visit.authority.host.clone()),
            ("port".to_owned(), visit.authority.port.to_string()),
        ]);
        Conversation {
            visit,
            cookies: Cookies::default(),
            names: captures.flatten().collect(),
            values,
            transcript: Transcript { authority: Some(visit.authority.clone()), ..Transcript::default() },
            misses: Vec::new(),
            stuck: false,
            loaded: Loaded::default(),
            links_told: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    /// Replaces each `{name}` by its value in the given form; unknown names stay as they are.
    pub(super) fn fill_in(&self, text: &str, form: impl Fn(&str) -> String) -> String {
        text::fill_in(text, |name| self.values.get(name).map(|value| form(value)))
    }

    /// Returns the captured names that a request needs and that have no value.
    fn lacking(&self, request: &Request) -> Vec<String> {
        let mut texts = vec![request.path.as_str()];
        texts.extend(request.header.values().map(String::as_str));
        texts.extend(request.contains.iter().map(String::as_str));
        match &request.body {
            Body::Form(fields) => texts.extend(fields.iter().map(|(_, value)| value.as_str())),
            Body::FormText(text) => texts.push(text),
            Body::Bytes { bytes, .. } => texts.extend(std::str::from_utf8(bytes)),
            Body::Empty => {}
        }
        let mut lacking = BTreeSet::new();
        for text in texts {
            text::fill_in(text, |name| {
                if self.names.contains(name) && !self.values.contains_key(name) {
                    lacking.insert(name.to_owned());
                }
                None
            });
        }
        lacking.into_iter().collect()
    }

    /// Makes a request of the exercise, follows it to its end, loads what its page needs, and judges all of it.
    pub(super) fn request(
        &mut self,
        step: usize,
        what: &str,
        request: &Request,
        subject: &mut dyn Subject,
    ) -> Result<(Outcome, Vec<String>), ExerciseError> {
        let lacking = self.lacking(request);
        if !lacking.is_empty() {
            self.stuck = true;
            let problems = lacking.iter().map(|name| format!("needs `{name}`, which no step has captured"));
            return Ok((Outcome::Done, problems.collect()));
        }
        let sent = self.sent(request);
        let url = self.url(&sent.path);
        let first = self.send(step, what, &sent, subject)?;
        if request.is_explored {
            return Ok((Outcome::Answered(first), Vec::new()));
        }
        let mut problems = Vec::new();
        let content = self.look_at(&first, &url, None, &mut problems);
        let end = match request.follow && accepts(request, &first) {
            true => self.follow(step, what, &sent, (&first, &url), subject, &mut problems)?,
            false => None,
        };
        problems.splice(0..0, self.judge(step, request, &first, end.as_ref().map(|end| &end.answer))?);
        let is_page = |answer: &Answer| answer.status == 200 && matches!(&request.method[..], "GET" | "POST");
        let (answer, url, content) = match end {
            Some(End { answer, url, content }) => (Some(answer), url, content),
            None => (None, url, content),
        };
        let last = answer.as_ref().unwrap_or(&first);
        if let Content::Page(page) = &content
            && is_page(last)
        {
            if request.load.unwrap_or(self.visit.web.is_none_or(|web| web.load)) {
                self.load(step, &url, page, subject, &mut problems)?;
            }
            if answer.is_none() && request.contains.is_empty() && request.capture.is_empty() {
                let text = "nothing is expected of this page (`contains`)";
                self.warnings.push((Grade::Unasked, text.to_owned()));
            }
        }
        if (200..400).contains(&last.status) && request.method != "HEAD" {
            self.warnings.extend(disguised(last, &content).map(|text| (Grade::Disguise, text)));
        }
        Ok((Outcome::Answered(first), problems))
    }

    fn sent(&self, request: &Request) -> Sent {
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

    /// Returns the URL of a path of the app.
    fn url(&self, path: &str) -> Url {
        let base = self.visit.authority.base();
        let whole = Url::parse(&format!("{base}{path}"));
        // An authority is made by this program alone, of a host and a port.
        whole.or_else(|_| Url::parse(&base)).expect("an authority makes a URL")
    }

    /// Sends a request and takes its cookies.
    pub(super) fn send(
        &mut self,
        step: usize,
        what: &str,
        sent: &Sent,
        subject: &mut dyn Subject,
    ) -> Result<Answer, ExerciseError> {
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
        let front = self.front();
        if let Some(front) = &front {
            changed(&mut headers, |name, value| front.request_value(name, value));
        }
        let connect = |source| ExerciseError::Connect { step, what: what.to_owned(), source };
        let mut stream = subject.connect().map_err(connect)?;
        let mut answer = http::ask(&mut stream, &sent.method, &sent.path, &headers, &sent.body)
            .map_err(|source| ExerciseError::Answer { step, what: what.to_owned(), source })?;
        if let Some(front) = &front {
            changed(&mut answer.headers, |name, value| front.response_value(name, value));
        }
        for value in answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            self.cookies.set(&value.1, &sent.path, &self.visit.authority.host);
        }
        Ok(answer)
    }

    /// Returns what `run` and `serve` change between a browser and the app.
    fn front(&self) -> Option<Authorities> {
        let web = self.visit.web?;
        Some(Authorities::new(&self.visit.authority.to_string(), web.host.as_deref(), web.port))
    }

    fn border(&self) -> Border<'a> {
        Border {
            authority: self.visit.authority,
            links_to: self.visit.web.map_or(&[], |web| &web.links_to),
            inner_port: self.visit.web.map(|web| web.port),
        }
    }

    /// Tells what addresses of a script lead elsewhere.
    pub(super) fn look_at_imports(&mut self, found: &[Found], url: &Url, problems: &mut Vec<String>) {
        for mut finding in self.border().style(found, url) {
            finding.text = format!("{}, {}", path_of(url), finding.text);
            self.tell(finding, problems);
        }
    }

    pub(super) fn is_here(&self, url: &Url) -> bool {
        self.border().is_here(url)
    }

    /// Reads a response, and tells what of it leads elsewhere; `of` names one that is not the step's own.
    pub(super) fn look_at(
        &mut self,
        answer: &Answer,
        url: &Url,
        of: Option<&str>,
        problems: &mut Vec<String>,
    ) -> Content {
        let border = self.border();
        let mut findings = border.headers(answer, url);
        let is = |words: &[&str]| words.iter().any(|word| answer.kind().contains(word));
        let text = || String::from_utf8_lossy(&answer.body);
        let content = if is(&["text/html", "application/xhtml"]) {
            let page = page::read(&answer.body);
            findings.extend(border.page(&page, url));
            Content::Page(page)
        } else if is(&["text/css"]) {
            let found = style::read(&text());
            findings.extend(border.style(&found, url));
            Content::Style(found)
        } else {
            if is(&["json", "xml"]) {
                findings.extend(border.other_text(&text(), Says::Data));
            } else if is(&["javascript", "ecmascript"]) {
                findings.extend(border.other_text(&text(), Says::Prose));
            }
            Content::Other
        };
        for mut finding in findings {
            if let Some(of) = of {
                finding.text = format!("{of}, {}", finding.text);
            }
            self.tell(finding, problems);
        }
        for (_, value) in answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let domain = value.split(';').skip(1).filter_map(|part| part.split_once('='));
            let mut domain = domain.filter(|(key, _)| key.trim().eq_ignore_ascii_case("domain"));
            if let Some((_, domain)) = domain.next()
                && !cookie_is_for(domain, &self.visit.authority.host)
            {
                let host = &self.visit.authority.host;
                problems
                    .push(format!("header Set-Cookie: no browser takes a cookie of {domain} from {host}"));
            }
        }
        content
    }

    fn tell(&mut self, finding: Finding, problems: &mut Vec<String>) {
        if let Some(host) = finding.link_to
            && !self.links_told.insert(host)
        {
            return;
        }
        match finding.is_allowed {
            true => self.warn(Grade::Address, finding.text),
            false => problems.push(finding.text),
        }
    }

    /// Notes what the present step is to be warned of.
    pub(super) fn warn(&mut self, grade: Grade, text: String) {
        self.warnings.push((grade, text));
    }

    /// Follows redirects inside the app; nothing if there was none. The end must not be an error.
    fn follow(
        &mut self,
        step: usize,
        what: &str,
        sent: &Sent,
        (first, url): (&Answer, &Url),
        subject: &mut dyn Subject,
        problems: &mut Vec<String>,
    ) -> Result<Option<End>, ExerciseError> {
        if !matches!(&sent.method[..], "GET" | "HEAD" | "POST") {
            return Ok(None);
        }
        let mut sent = sent.clone();
        let mut end: Option<End> = None;
        let mut count = 0;
        loop {
            let (answer, url) = end.as_ref().map_or((first, url), |end| (&end.answer, &end.url));
            let Some(next) = redirect(answer, url).filter(|next| self.is_here(next)) else { break };
            count += 1;
            if count > REDIRECTS {
                problems.push(format!("more than {REDIRECTS} redirects, the last one to {}", path_of(&next)));
                return Ok(end);
            }
            sent.path = path_of(&next);
            let keeps_method = matches!(answer.status, 307 | 308);
            if !keeps_method && sent.method == "POST" {
                sent.method = "GET".to_owned();
                (sent.content_type, sent.body) = (None, Vec::new());
                sent.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("origin"));
            }
            let answer = self.send(step, what, &sent, subject)?;
            let what = format!("{} {} (redirected from step {step})", sent.method, sent.path);
            let content = self.look_at(&answer, &next, Some(&sent.path), problems);
            self.transcript.beside.push(Record { step, what, outcome: Outcome::Answered(answer.clone()) });
            end = Some(End { answer, url: next, content });
        }
        if let Some(End { answer, url, .. }) = &end
            && answer.status >= 400
        {
            problems.push(format!("it leads to {}, which has status {}", path_of(url), answer.status));
        }
        Ok(end)
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
                    Err(_) => bytes.clone(),
                };
                (Some(content_type.clone()), filled)
            }
        }
    }

    /// Returns what is not as expected, and takes the captures: from the response, or, if they are not there, from the end of its
    /// redirects. The status is that of the response.
    fn judge(
        &mut self,
        step: usize,
        request: &Request,
        answer: &Answer,
        end: Option<&Answer>,
    ) -> Result<Vec<String>, ExerciseError> {
        let mut problems = Vec::new();
        if !accepts(request, answer) {
            problems.push(format!("expected status {}, found {}", statuses(&request.status), answer.status));
            if let Some(location) = answer.header("location") {
                problems.push(format!("it leads to {location}"));
            }
        }
        let said: Vec<Vec<u8>> = std::iter::once(answer).chain(end).map(Answer::full).collect();
        for text in &request.contains {
            let text = self.fill_in(text, str::to_owned);
            if !said.iter().any(|said| contains(said, text.as_bytes())) {
                problems.push(format!("expected text {text:?}, not found"));
            }
        }
        self.capture(step, &request.capture, &said, html_unescape, &mut problems)?;
        Ok(problems)
    }

    fn capture(
        &mut self,
        step: usize,
        patterns: &BTreeMap<String, String>,
        said: &[Vec<u8>],
        plain: impl Fn(&str) -> String,
        problems: &mut Vec<String>,
    ) -> Result<(), ExerciseError> {
        for (name, pattern) in patterns {
            let regex = compile(step, pattern)?;
            let found = said.iter().find_map(|said| regex.captures(said).and_then(|groups| groups.get(1)));
            match found {
                Some(group) => {
                    let value = plain(&String::from_utf8_lossy(group.as_bytes()));
                    self.transcript.captured.push((name.clone(), value.clone()));
                    self.values.insert(name.clone(), value);
                }
                None => problems.push(format!("nothing to capture as `{name}` by {pattern}")),
            }
        }
        Ok(())
    }

    /// Judges what a program printed.
    pub(super) fn judge_run(
        &mut self,
        step: usize,
        ran: &Ran,
        expected: &[String],
        capture: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, ExerciseError> {
        let mut problems = Vec::new();
        if ran.status != 0 {
            problems.push(format!("expected exit status 0, found {}", ran.status));
        }
        for text in expected {
            let text = self.fill_in(text, str::to_owned);
            if !contains(&ran.output, text.as_bytes()) {
                problems.push(format!("expected text {text:?}, not found"));
            }
        }
        self.capture(step, capture, std::slice::from_ref(&ran.output), str::to_owned, &mut problems)?;
        Ok(problems)
    }

    /// Tells the gravest warning of a step, which the log of its time is part of.
    pub(super) fn end_step(&mut self, number: usize, step: &Step, outcome: &Outcome, said: &[String]) {
        // A step that asks for an error gets one into the log as well.
        let is_error = matches!(outcome, Outcome::Answered(answer) if answer.status >= 400);
        let is_explored = matches!(step, Step::Request(request) if request.is_explored);
        let bad = said.iter().find(|line| disguise::is_bad_line(line));
        if let Some(line) = bad.filter(|_| !is_error && !is_explored) {
            self.warn(Grade::Log, disguise::of_line(line));
        }
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.sort_by_key(|(grade, _)| *grade);
        let more = warnings.len().saturating_sub(1);
        let Some((_, mut text)) = warnings.into_iter().next() else { return };
        if more > 0 {
            text += &format!(" (and {more} more)");
        }
        self.transcript.warnings.push(Warning { step: number, what: recipe_words(step), text });
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

/// The end of redirects.
struct End {
    answer: Answer,
    url: Url,
    content: Content,
}

/// Returns where a response redirects to.
pub(super) fn redirect(answer: &Answer, url: &Url) -> Option<Url> {
    let location =
        answer.header("location").filter(|_| matches!(answer.status, 301 | 302 | 303 | 307 | 308))?;
    url.join(location.trim()).ok()
}

/// Returns path and query of a URL, as they are sent.
pub(super) fn path_of(url: &Url) -> String {
    url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
}

/// Returns the error that a response hides behind a good status.
fn disguised(answer: &Answer, content: &Content) -> Option<String> {
    match content {
        Content::Page(page) if answer.status < 300 => disguise::of_page(page, &answer.body),
        Content::Other if ["text/plain", "json"].iter().any(|kind| answer.kind().contains(kind)) => {
            disguise::of_text(&String::from_utf8_lossy(&answer.body))
        }
        _ => None,
    }
}

fn accepts(request: &Request, answer: &Answer) -> bool {
    match request.status.as_slice() {
        [] => answer.status < 500,
        list => list.contains(&answer.status),
    }
}

fn statuses(accepted: &[u16]) -> String {
    match accepted {
        [] => "below 500".to_owned(),
        list => list.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || memchr::memmem::find(bytes, wanted).is_some()
}
