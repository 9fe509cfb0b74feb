//! Past the exercise: pages that the app's own pages lead to, asked of the full root and of the pruned one.
//!
//! The exercise is taken first, so that its session and data are there; then links and targets of forms in
//! its HTML are asked for with GET, then those in their answers, and so on, as far as the bounds allow. What
//! leads elsewhere or ends the session is passed over. The list is made on the full root; both roots are then
//! asked the same. Pages that the full root itself answers now so, now so, count for nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use regex::Regex;

use super::{Baseline, Inputs, Proof, ProveError, prove};
use crate::{
    evidence::Pruned,
    exercise::{Authority, Leads, Outcome, Response, Transcript},
    progress::Progress,
    recipe::{Body, Recipe, Request, Step},
    reduce::Reductions,
    store::Store,
    tree::Tree,
};

/// How far is looked.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Pages asked for at most, besides those of the exercise.
    pub pages: usize,
    /// How long pages are looked for; asking the pruned root for them takes about as long again.
    pub time: Duration,
}

/// The findings.
#[derive(Clone, Debug)]
pub struct Explored {
    /// The exercise and all pages after it: the proof's steps beyond the exercise are pages.
    pub proof: Proof,
    /// The pages, as they were asked for.
    pub pages: Vec<String>,
    /// Pages that were found and not asked for, as the bounds were reached.
    pub left: usize,
}

/// How often answers are searched for more pages.
const ROUNDS: usize = 4;

/// Responses to a request that an app refuses are compared too, so any status will do.
const ANY_STATUS: std::ops::RangeInclusive<u16> = 100..=599;

/// Asks a whole and a pruned root for the pages that the exercise leads to, after those that are named.
///
/// `trees` are image trees: the full root's, then the artifact's; `pruned` is what the second lacks.
///
/// # Errors
/// As [`prove`].
pub fn explore(
    recipe: &Recipe,
    trees: [Arc<Tree>; 2],
    pruned: Arc<Pruned>,
    named: &[String],
    bounds: Bounds,
    store: &Arc<Store>,
    progress: &Progress,
) -> Result<Explored, ProveError> {
    let [whole, tree] = trees;
    let mut baseline = Baseline { tree: whole, reductions: Reductions::new(), known: None };
    // The exercise has shown the differences of two authorities.
    let authority = Authority::of_run(recipe);
    let Search { longer, transcript, pages, left } = search(recipe, named, bounds, &authority, |recipe| {
        let whole = baseline.run(recipe, &authority, store, progress);
        whole.map(|whole| whole.transcript)
    })?;
    baseline.known = Some(transcript);
    let authorities = vec![authority.clone()];
    let owner = |_: &[u8]| None;
    let baseline = Some(baseline);
    let inputs = Inputs { tree, recipe: &longer, authorities, pruned, owner: &owner, baseline };
    let proof = prove(&inputs, store, progress)?;
    Ok(Explored { proof, left, pages })
}

/// The pages beyond an exercise.
pub(super) struct Search {
    /// The recipe, its exercise with all pages after it.
    pub longer: Recipe,
    /// What was responded to that.
    pub transcript: Transcript,
    /// The pages, as they were asked for.
    pub pages: Vec<String>,
    /// Pages that were found and not asked for.
    pub left: usize,
}

/// Looks for pages. `ask` takes the exercise of a recipe and returns the responses.
///
/// # Errors
/// Those of `ask`.
pub(super) fn search(
    recipe: &Recipe,
    named: &[String],
    bounds: Bounds,
    authority: &Authority,
    mut ask: impl FnMut(&Recipe) -> Result<Transcript, ProveError>,
) -> Result<Search, ProveError> {
    let began = Instant::now();
    let mut longer = recipe.clone();
    let mut links = Links::new(recipe, named, authority);
    let mut transcript = ask(&longer)?;
    for _ in 0..ROUNDS {
        links.record(&transcript);
        // A round takes all earlier steps again. The time of a step so far shows for how many more there is
        // time.
        let steps = longer.exercise.len().max(1);
        let took = began.elapsed().as_secs_f64() / steps as f64;
        let left = bounds.time.saturating_sub(began.elapsed()).as_secs_f64();
        let affordable = ((left / took.max(1e-3)) as usize).saturating_sub(steps);
        let next = links.next(bounds.pages.saturating_sub(links.asked.len()).min(affordable));
        if next.is_empty() {
            break;
        }
        longer.exercise.extend(next.iter().map(|page| step(page)));
        transcript = ask(&longer)?;
    }
    Ok(Search { longer, transcript, left: links.found.len(), pages: links.asked })
}

fn step(page: &str) -> Step {
    Step::Request(Request {
        method: "GET".into(),
        path: page.to_owned(),
        status: ANY_STATUS.collect(),
        contains: Vec::new(),
        follow: false,
        load: Some(false),
        is_explored: true,
        header: BTreeMap::new(),
        body: Body::Empty,
        capture: BTreeMap::new(),
        fold: Vec::new(),
    })
}

/// Pages found and asked for.
struct Links {
    authority: Authority,
    known: BTreeSet<String>,
    /// Not asked for yet, in the order in which they were found.
    found: Vec<String>,
    asked: Vec<String>,
    /// How many of a shape were asked for.
    shapes: BTreeMap<String, usize>,
}

/// Words of links that end a session, after which little is left to see.
static ENDS_SESSION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)(log|sign)[-_]?(out|off)").expect("is a good pattern"));

impl Links {
    fn new(recipe: &Recipe, named: &[String], authority: &Authority) -> Self {
        let asked = recipe.exercise.iter().filter_map(|step| match step {
            Step::Request(request) if request.method == "GET" => Some(request.path.clone()),
            _ => None,
        });
        let mut links = Links {
            authority: authority.clone(),
            known: asked.collect(),
            found: Vec::new(),
            asked: Vec::new(),
            shapes: BTreeMap::new(),
        };
        for page in named {
            if links.known.insert(page.clone()) {
                links.found.push(page.clone());
            }
        }
        links
    }

    /// Finds pages in the HTML of all responses.
    fn record(&mut self, transcript: &Transcript) {
        for (path, response) in html_of(transcript) {
            for page in Leads::of(&response.body, path, &self.authority).pages {
                let page = with_names(page, transcript);
                if !ENDS_SESSION.is_match(&page) && self.known.insert(page.clone()) {
                    self.found.push(page);
                }
            }
        }
    }

    /// Takes the next pages: of each shape one, then of each a second, so that a long list of like pages
    /// hides no others.
    fn next(&mut self, count: usize) -> Vec<String> {
        let mut next = Vec::new();
        while next.len() < count && !self.found.is_empty() {
            let rarest = self.found.iter().enumerate().min_by_key(|(index, page)| {
                (self.shapes.get(&shape_of(page)).copied().unwrap_or_default(), *index)
            });
            let Some((index, _)) = rarest else { break };
            let page = self.found.remove(index);
            *self.shapes.entry(shape_of(&page)).or_default() += 1;
            next.push(page);
        }
        self.asked.extend(next.iter().cloned());
        next
    }
}

/// Returns the pages of a transcript, the ends of redirects among them, each with its path.
pub(super) fn html_of(transcript: &Transcript) -> impl Iterator<Item = (&str, &Response)> {
    let records = transcript.steps.iter().chain(&transcript.beside);
    records.filter_map(|record| {
        let Outcome::Responded(response) = &record.outcome else { return None };
        let is_html = response.header("content-type").is_some_and(|kind| kind.contains("html"));
        let path = record.what.strip_prefix("GET ").filter(|_| is_html)?;
        // Beside the exercise, it is followed by what led there.
        Some((path.split(' ').next().unwrap_or_default(), response))
    })
}

/// Puts captured values back as the names that they have, because another run will have other values.
pub(super) fn with_names(mut page: String, transcript: &Transcript) -> String {
    for (name, value) in transcript.captured.iter().filter(|(_, value)| value.len() >= 4) {
        page = page.replace(value.as_str(), &format!("{{{name}}}"));
    }
    page
}

/// Returns what pages made by the same code have in common: directory and ending of a file, names of the
/// query's parameters, and values that are plain words.
pub(super) fn shape_of(page: &str) -> String {
    let (path, query) = page.split_once('?').unwrap_or((page, ""));
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    let ending = file.rsplit_once('.').map_or(file, |(_, ending)| ending);
    let mut shape = format!("{directory}/{ending}");
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let is_word = value.len() <= 12 && value.bytes().all(|b| b.is_ascii_lowercase());
        shape += &format!("&{name}={}", if is_word { value } else { "" });
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::Record;

    fn respond(what: &str, body: &str) -> Record {
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        let response = Response { status: 200, headers, body: body.as_bytes().to_vec() };
        Record { step: 1, what: what.to_owned(), outcome: Outcome::Responded(response) }
    }

    #[test]
    fn each_kind_of_page_comes_before_a_second_of_a_kind() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = "[app]\nname = \"wiki\"\npackages = [\"wiki\"]\n[debian]\nsuite = \"bookworm\"\n\
                    [web]\nport = 8000\n[[exercise]]\nget = \"/\"\n";
        std::fs::write(directory.path().join("recipe.toml"), text).expect("is written");
        let recipe = crate::recipe::read(directory.path()).expect("is good");
        let mut links = Links::new(&recipe, &["/named".to_owned()], &Authority::of_run(&recipe));
        let html = "<a href='/'>.</a> <a href=\"/p?rev=1&amp;tok=secret\">1</a> <a href='/p?rev=2&amp;tok=x9'>2</a>\
                    <img src='/i/a.png'><img src='/i/b.png'><a href='/?do=logout'>out</a>\
                    <form action='/save' method=post> data-href='/not'";
        let captured = vec![("t".to_owned(), "secret".to_owned())];
        links.record(&Transcript { steps: vec![respond("GET /", html)], captured, ..Transcript::default() });
        assert_eq!(links.next(4), ["/named", "/p?rev=1&tok={t}", "/i/a.png", "/save"]);
        assert_eq!(links.next(9), ["/p?rev=2&tok=x9", "/i/b.png"]);
        assert_eq!(links.asked.len(), 6);
    }
}
