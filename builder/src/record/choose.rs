//! Which exchanges become steps: a list of questions, asked in order. What the exercise does by itself is left out: it
//! follows redirects, and loads what a browser loads with a page.

use std::collections::BTreeSet;

use url::Url;

use super::{Exchange, exchange::Stream};

/// Why an exchange is a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page that the person opened.
    Page,
    /// A form that was sent.
    Form,
    /// Data that a script sent, and that may change something.
    Change,
    /// Data that a script asked for.
    Data,
    /// A WebSocket or an event stream, or a message of one.
    Stream,
    /// No step of its own, unless a later request sends back what only this response has.
    Source,
}

/// An exchange that is a step, or could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number among the exchanges.
    pub first: usize,
    /// The end of its redirects.
    pub end: Option<usize>,
    /// Why it is kept.
    pub kind: Kind,
}

/// The verdict of a question.
enum Verdict {
    Keep(Kind),
    Drop,
    Pass,
}

use Verdict::{Drop, Keep, Pass};

/// Asked in order; the last one answers in any case.
const QUESTIONS: [fn(&Exchange) -> Verdict; 6] = [unheard, ahead, sent_form, changing, navigation, fetched];

/// Returns the exchanges that are steps, and those that could be, in their order. A note says of each kind of request
/// that an exercise has no step for.
pub fn choose(exchanges: &[Exchange], notes: &mut Vec<String>) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    // The path that a redirect leads to next, and the step that it belongs to.
    let mut led: Option<(String, usize)> = None;
    let mut data: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut streams: BTreeSet<&str> = BTreeSet::new();
    for (number, exchange) in exchanges.iter().enumerate() {
        match exchange.stream() {
            Some(Stream::Other) if streams.insert(exchange.path_and_query().0) => {
                notes.push(format!("{}: no step can speak what it upgrades to", exchange.path_and_query().0));
                continue;
            }
            Some(Stream::Other) => continue,
            Some(Stream::Socket | Stream::Events) => {
                kept.push(Kept { first: number, end: None, kind: Kind::Stream });
                continue;
            }
            None => {}
        }
        if let Some((path, step)) = &led
            && matches!(&exchange.method[..], "GET" | "POST")
            && *path == exchange.target
        {
            let step = *step;
            kept[step].end = Some(number);
            led = redirect(exchange).map(|path| (path, step));
            continue;
        }
        let kind = QUESTIONS.iter().find_map(|question| match question(exchange) {
            Keep(kind) => Some(Some(kind)),
            Drop => Some(None),
            Pass => None,
        });
        let Some(mut kind) = kind.flatten() else { continue };
        if !exchange.is_whole {
            notes.push(format!("{} {} sent more than is recorded", exchange.method, exchange.target));
            continue;
        }
        // What a script asks for again and again is one step.
        if kind == Kind::Data && !data.insert((&exchange.method, exchange.path_and_query().0)) {
            kind = Kind::Source;
        }
        // A page that is loaded again is the same step, with what it said last.
        let last = kept.iter().rposition(|one| one.kind != Kind::Source);
        if kind == Kind::Page
            && let Some(last) = last
            && kept[last].kind == Kind::Page
            && exchanges[kept[last].first].target == exchange.target
        {
            kept[last] = Kept { first: number, end: None, kind };
            led = redirect(exchange).map(|path| (path, last));
            continue;
        }
        kept.push(Kept { first: number, end: None, kind });
        let follows = matches!(&exchange.method[..], "GET" | "POST");
        if let Some(path) = redirect(exchange).filter(|_| follows) {
            led = Some((path, kept.len() - 1));
        }
    }
    kept
}

/// Requests that the app did not answer with content of its own, and those of the browser itself.
fn unheard(exchange: &Exchange) -> Verdict {
    let is_odd = matches!(&exchange.method[..], "OPTIONS" | "CONNECT" | "TRACE");
    let is_own = matches!(exchange.path_and_query().0, "/favicon.ico" | "/apple-touch-icon.png")
        || exchange.target.starts_with("/.well-known/appspecific/");
    if is_odd || is_own || exchange.response.status == 304 { Drop } else { Pass }
}

/// What a browser asks for before a person does.
fn ahead(exchange: &Exchange) -> Verdict {
    let says = |name| exchange.header(name).is_some_and(|value| value.contains("prefetch"));
    if says("sec-purpose") || says("purpose") || says("x-moz") { Drop } else { Pass }
}

fn sent_form(exchange: &Exchange) -> Verdict {
    let is_form = matches!(&exchange.kind()[..], "application/x-www-form-urlencoded" | "multipart/form-data");
    let is_page =
        exchange.header("sec-fetch-mode").map_or_else(|| wants_html(exchange), |mode| mode == "navigate");
    if exchange.method == "POST" && is_form && is_page { Keep(Kind::Form) } else { Pass }
}

fn changing(exchange: &Exchange) -> Verdict {
    match (&exchange.method[..], exchange.header("sec-fetch-dest")) {
        ("GET" | "HEAD", _) => Pass,
        // Reports of the browser's own.
        (_, Some("report")) => Drop,
        _ => Keep(Kind::Change),
    }
}

fn navigation(exchange: &Exchange) -> Verdict {
    match (exchange.header("sec-fetch-mode"), exchange.header("sec-fetch-dest")) {
        // A frame is loaded with its page, unless the person clicks in it.
        (Some("navigate"), Some("iframe" | "frame" | "embed" | "object")) => {
            if exchange.header("sec-fetch-user").is_some() { Keep(Kind::Page) } else { Keep(Kind::Source) }
        }
        (Some("navigate"), _) => Keep(Kind::Page),
        (None, _) if wants_html(exchange) => Keep(Kind::Page),
        _ => Pass,
    }
}

/// What scripts ask for is a step where it is data; the rest is what pages are made of.
fn fetched(exchange: &Exchange) -> Verdict {
    let kind = exchange.response.kind();
    let is_data =
        kind.contains("json") || kind.contains("xml") || kind == "text/html" || kind == "text/plain";
    let by_script = match exchange.header("sec-fetch-dest") {
        Some(dest) => dest == "empty",
        None => exchange.header("x-requested-with").is_some() || kind.contains("json"),
    };
    match exchange.method == "GET" && exchange.response.status < 400 && !kind.contains("svg") {
        true if by_script && is_data => Keep(Kind::Data),
        true if !exchange.response.body.is_empty() => Keep(Kind::Source),
        _ => Drop,
    }
}

fn wants_html(exchange: &Exchange) -> bool {
    exchange.header("accept").is_some_and(|accept| accept.contains("text/html"))
}

/// Returns path and query of where a response leads to, inside the app.
fn redirect(exchange: &Exchange) -> Option<String> {
    if !matches!(exchange.response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let host = exchange.header("host")?;
    let here = Url::parse(&format!("http://{host}{}", exchange.target)).ok()?;
    let there = here.join(exchange.response.header("location")?.trim()).ok()?;
    let same = there.host() == here.host() && there.port_or_known_default() == here.port_or_known_default();
    same.then(|| there[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
}
