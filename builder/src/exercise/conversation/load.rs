//! The files that a browser loads with a page: scripts, style sheets and what those name, images, icons,
//! frames.
//!
//! Each address of the app is asked for once in a conversation, one with a time in it once a step, and never
//! one of another authority. How many, how deep and how much is bounded.

use std::collections::{BTreeSet, VecDeque};

use url::Url;

use super::{
    Conversation, Grade,
    follow::redirect,
    look::Content,
    send::{Sent, path_of},
};
use crate::exercise::{
    ExerciseError, HttpError, Outcome, Record, Response, Target,
    elsewhere::base_of,
    found::{Found, Role, Want},
    modules,
    page::Page,
};

/// The limit of files of one page: the largest block editors load some 150 files.
const PER_PAGE: usize = 400;
/// How deep styles, frames and modules may name further ones.
const DEPTH: usize = 6;
/// Bytes that all pages of a conversation may load.
const BYTES: usize = 256 << 20;
/// Redirects that are followed of one address.
const REDIRECTS: usize = 5;

/// The files loaded so far.
#[derive(Debug, Default)]
pub(in crate::exercise) struct Loaded {
    known: BTreeSet<Known>,
    bytes: usize,
}

/// By what an address is known again.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    /// Without fragment and times.
    address: String,
    /// The step that it was loaded by, if it has a time in it: with that, pages ask for a new response each
    /// time that they are shown.
    step: Option<usize>,
}

impl Known {
    fn of(url: &Url, step: usize) -> Self {
        let mut url = url.clone();
        url.set_fragment(None);
        let mut address = String::new();
        let mut has_time = false;
        for run in url.as_str().as_bytes().chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
            let is_time = is_time(run);
            has_time |= is_time;
            // Addresses are ASCII: what is not, is escaped in them.
            address += &if is_time { "{time}".into() } else { String::from_utf8_lossy(run) };
        }
        Known { address, step: has_time.then_some(step) }
    }
}

/// Returns whether a run of digits is a time in seconds or milliseconds since 1970, of the years 2001 to
/// 2096.
fn is_time(digits: &[u8]) -> bool {
    matches!(digits, [b'1'..=b'3', rest @ ..] if matches!(rest.len(), 9 | 12))
}

/// An address that is to be loaded.
struct Due {
    url: Url,
    want: Want,
    depth: usize,
    /// The page or style that names it.
    referrer: Url,
    /// Where it is named; nothing for what a browser asks for unnamed.
    place: Option<String>,
}

impl Conversation<'_> {
    /// Loads a page's scripts, styles and the like, and reports those that a browser could not use.
    pub(in crate::exercise) fn load(
        &mut self,
        step: usize,
        url: &Url,
        page: &Page,
        target: &mut dyn Target,
        problems: &mut Vec<String>,
    ) -> Result<(), ExerciseError> {
        let mut due = VecDeque::new();
        self.enlist(&page.found, &base_of(page, url), (url, None), 1, &mut due);
        let has_icon = page
            .found
            .iter()
            .any(|found| found.element == "<link href>" && found.role == Role::Load(Want::Image));
        if let Some(icon) = url.join("/favicon.ico").ok().filter(|_| !has_icon) {
            // Browsers ask for it where no page names another.
            due.push_back(Due {
                url: icon,
                want: Want::Image,
                depth: DEPTH,
                referrer: url.clone(),
                place: None,
            });
        }
        let mut count = 0;
        while let Some(next) = due.pop_front() {
            if !self.loaded.known.insert(Known::of(&next.url, step)) {
                continue;
            }
            count += 1;
            if count > PER_PAGE || self.loaded.bytes > BYTES {
                let text = format!("the page loads more than {PER_PAGE} files or {} MB", BYTES >> 20);
                self.warn(Grade::Load, format!("{text}: the rest was not loaded"));
                break;
            }
            self.load_one(step, next, &mut due, target, problems)?;
        }
        Ok(())
    }

    fn enlist(
        &self,
        found: &[Found],
        base: &Url,
        (referrer, of): (&Url, Option<&str>),
        depth: usize,
        due: &mut VecDeque<Due>,
    ) {
        for found in found.iter().filter(|found| !found.is_idle) {
            let Role::Load(want) = found.role else { continue };
            let Ok(url) = base.join(&found.address) else { continue };
            if url.scheme() == "http" && self.is_here(&url) {
                let of = of.map_or(String::new(), |of| format!("{of}, "));
                let place = format!("{of}line {}, {}", found.line, found.element);
                due.push_back(Due { url, want, depth, referrer: referrer.clone(), place: Some(place) });
            }
        }
    }

    fn load_one(
        &mut self,
        step: usize,
        due: Due,
        more: &mut VecDeque<Due>,
        target: &mut dyn Target,
        problems: &mut Vec<String>,
    ) -> Result<(), ExerciseError> {
        let mut url = due.url.clone();
        let mut response = None;
        for _ in 0..=REDIRECTS {
            let path = path_of(&url);
            let what = format!("GET {path} (loaded by step {step})");
            let headers = vec![("Referer".to_owned(), due.referrer.to_string())];
            let sent = Sent { method: "GET".into(), path, headers, content_type: None, body: Vec::new() };
            let found = match self.send(step, &what, &sent, target) {
                Ok(found) => found,
                // A film may be longer than this client takes.
                Err(ExerciseError::Response { source: HttpError::Long(_), .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            self.loaded.bytes += found.body.len();
            let next = redirect(&found, &url).filter(|next| self.is_here(next));
            self.transcript.beside.push(Record { step, what, outcome: Outcome::Responded(found.clone()) });
            response = Some(found);
            match next {
                Some(next) => url = next,
                None => break,
            }
        }
        let Some(response) = response else { return Ok(()) };
        let path = path_of(&url);
        let content = self.look_at(&response, &url, Some(&path), problems);
        self.judge_loaded(&response, &due, &path_of(&due.url), problems);
        if response.status != 200 || due.depth >= DEPTH {
            return Ok(());
        }
        match &content {
            Content::Style(found) => self.enlist(found, &url, (&url, Some(&path)), due.depth + 1, more),
            Content::Other if due.want == Want::Module => {
                let found = modules::read(&String::from_utf8_lossy(&response.body));
                self.look_at_imports(&found, &url, problems);
                self.enlist(&found, &url, (&url, Some(&path)), due.depth + 1, more);
            }
            Content::Page(page) if due.want == Want::Frame => {
                self.enlist(&page.found, &base_of(page, &url), (&url, Some(&path)), due.depth + 1, more);
            }
            _ => {}
        }
        Ok(())
    }

    fn judge_loaded(&mut self, response: &Response, due: &Due, path: &str, problems: &mut Vec<String>) {
        let Some(place) = &due.place else { return };
        let is_html = response.kind().contains("text/html");
        let kind = response.kind();
        if response.status >= 400 {
            self.warn(Grade::Load, format!("{place}: {path} has status {}", response.status));
        } else if response.status == 200
            && is_html
            && matches!(due.want, Want::Script | Want::Module | Want::Style)
        {
            let wanted = if due.want == Want::Style { "a style sheet" } else { "a script" };
            problems.push(format!("{place}: {path} is a page (text/html), and should be {wanted}"));
        } else if response.status == 200 && is_html && due.want == Want::Image {
            self.warn(Grade::Load, format!("{place}: {path} is a page (text/html), and should be an image"));
        } else if response.status == 200
            && due.want == Want::Style
            && !kind.is_empty()
            && !kind.contains("text/css")
        {
            self.warn(Grade::Load, format!("{place}: browsers take {path} for no style sheet: it is {kind}"));
        }
    }
}
