//! The links and forms of an app's pages, and which of them its exercise requests.

use std::collections::{BTreeMap, BTreeSet};

use form_urlencoded::parse;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::explore::{html_of, shape_of, with_names};
use crate::{
    exercise::{Authority, Leads, PageForm, Transcript},
    recipe::{Body, Recipe, Request, Step},
};

/// The links and forms on all pages of a transcript.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Web {
    /// Different links within the app.
    pub links: usize,
    /// Those of them that the exercise requests.
    pub links_requested: usize,
    /// Kinds of links: those of one kind differ by names of files and values of queries.
    pub kinds: usize,
    /// Kinds of which the exercise requests a page.
    pub kinds_requested: usize,
    /// A link of each other kind, sorted.
    pub not_requested: Vec<String>,
    /// Forms, by path, method and fields.
    pub forms: Vec<Form>,
}

/// A form. Forms of several pages with the same method, path and fields are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Form {
    /// Where it is sent, without a query.
    pub path: String,
    /// `GET` or `POST`.
    pub method: String,
    /// The names of its fields, sorted, without those of its buttons.
    pub fields: Vec<String>,
    /// The first page that has it.
    pub page: String,
    /// Whether a step of the exercise sends to its path by its method, with all its hidden fields.
    pub is_sent: bool,
}

/// What tells forms apart: path, method and fields.
type Key = (String, &'static str, Vec<String>);

impl Web {
    /// Looks through the pages of a transcript, which begins with the exercise of the recipe.
    pub(super) fn of(recipe: &Recipe, transcript: &Transcript, authority: &Authority) -> Self {
        let mut links: BTreeMap<String, String> = BTreeMap::new();
        let mut forms: BTreeMap<Key, (BTreeSet<String>, String)> = BTreeMap::new();
        for (page, response) in html_of(transcript) {
            let leads = Leads::of(&response.body, page, authority);
            for link in leads.links {
                let link = with_names(link, transcript);
                links.entry(normal(&link)).or_insert(link);
            }
            for PageForm { action, method, fields, hidden } in leads.forms {
                let (path, query) = split(&action);
                let mut names: BTreeSet<String> = fields.into_iter().collect();
                // A browser replaces the query of a form that it sends with GET.
                if method == "POST" {
                    names.extend(query);
                }
                let key = (path, method, names.into_iter().collect());
                forms.entry(key).or_insert_with(|| (hidden, with_names(page.to_owned(), transcript)));
            }
        }
        let sent: Vec<Sent> = recipe.exercise.iter().filter_map(Sent::of).collect();
        let beside = transcript.beside.iter().filter(|record| record.step <= recipe.exercise.len());
        let beside = beside.filter_map(|record| record.what.strip_prefix("GET ")?.split(' ').next());
        let beside = beside.map(|path| with_names(path.to_owned(), transcript));
        let own = sent.iter().filter(|sent| sent.method == "GET").map(|sent| sent.target.clone());
        let requested: BTreeSet<String> = own.chain(beside).map(|target| normal(&target)).collect();
        let kinds_requested: BTreeSet<String> = requested.iter().map(|target| shape_of(target)).collect();

        let mut kinds: BTreeMap<String, &String> = BTreeMap::new();
        for (normal, link) in &links {
            kinds.entry(shape_of(normal)).or_insert(link);
        }
        let others = kinds.iter().filter(|(kind, _)| !kinds_requested.contains(*kind));
        let not_requested: BTreeSet<String> = others.map(|(_, link)| (*link).clone()).collect();
        Web {
            links: links.len(),
            links_requested: links.keys().filter(|normal| requested.contains(*normal)).count(),
            kinds: kinds.len(),
            kinds_requested: kinds.len() - not_requested.len(),
            not_requested: not_requested.into_iter().collect(),
            forms: forms
                .into_iter()
                .map(|((path, method, fields), (hidden, page))| {
                    let is_sent = sent.iter().any(|sent| {
                        sent.method == method && sent.path == path && hidden.is_subset(&sent.names)
                    });
                    Form { path, method: method.to_owned(), fields, page, is_sent }
                })
                .collect(),
        }
    }
}

/// A request of the exercise.
struct Sent<'a> {
    method: &'a str,
    /// Path and query.
    target: String,
    path: String,
    /// The names of its fields, in the query and in the body.
    names: BTreeSet<String>,
}

impl<'a> Sent<'a> {
    fn of(step: &'a Step) -> Option<Self> {
        let Step::Request(Request { method, path: target, body, .. }) = step else { return None };
        let (path, mut names) = split(target);
        match body {
            Body::Empty => {}
            Body::Form(fields) => names.extend(fields.iter().map(|(name, _)| name.clone())),
            Body::FormText(text) => names.extend(names_of(text)),
            Body::Bytes { content_type, bytes } if content_type.starts_with("multipart/") => {
                let text = String::from_utf8_lossy(bytes);
                let parts = text.split("; name=\"").skip(1).filter_map(|rest| rest.split('"').next());
                names.extend(parts.map(str::to_owned));
            }
            Body::Bytes { .. } => {}
        }
        Some(Sent { method, target: target.clone(), path, names })
    }
}

fn names_of(query: &str) -> BTreeSet<String> {
    parse(query.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

/// Returns the decoded path of a target, and the names of its query.
fn split(target: &str) -> (String, BTreeSet<String>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (percent_decode_str(path).decode_utf8_lossy().into_owned(), names_of(query))
}

/// Returns a target in a form that is the same for all spellings of it: decoded, its query sorted.
fn normal(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = percent_decode_str(path).decode_utf8_lossy();
    let mut fields: Vec<String> =
        parse(query.as_bytes()).map(|(name, value)| format!("{name}={value}")).collect();
    fields.sort();
    if fields.is_empty() { path.into_owned() } else { format!("{path}?{}", fields.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::{Outcome, Record, Response};

    fn page(step: usize, what: &str, body: &str) -> Record {
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        let response = Response { status: 200, headers, body: body.as_bytes().to_vec() };
        Record { step, what: what.to_owned(), outcome: Outcome::Responded(response) }
    }

    #[test]
    fn links_and_forms_are_held_against_the_exercise() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = r#"
            [app]
            name = "wiki"
            packages = ["wiki"]
            [debian]
            suite = "bookworm"
            [web]
            port = 8000
            [[exercise]]
            get = "/"
            capture.t = 'token=(\w+)'
            [[exercise]]
            get = "/page?id=a:b&t={t}"
            [[exercise]]
            post = "/save"
            form = { t = "{t}", text = "hello" }
        "#;
        std::fs::write(directory.path().join("recipe.toml"), text).expect("is written");
        let recipe = crate::recipe::read(directory.path()).expect("is good");
        let first = "<a href='/page?t=secret&amp;id=a%3Ab'>1</a> <a href='/page?id=c:d&amp;t=secret'>2</a>\
                     <a href=/old/one.html>3</a> <a href=/old/two.html>4</a> <a href=/new>5</a>\
                     <form method=post action=/save><input type=hidden name=t><input name=text></form>\
                     <form method=post action=/save?draft=1><input type=hidden name=d></form>\
                     <form action=/search><input name=q></form>";
        let transcript = Transcript {
            steps: vec![page(1, "GET /", first), page(4, "GET /old/one.html", "<a href=/later>6</a>")],
            beside: vec![page(3, "GET /new (redirected from step 3)", "")],
            captured: vec![("t".to_owned(), "secret".to_owned())],
            ..Transcript::default()
        };
        let web = Web::of(&recipe, &transcript, &Authority::of_run(&recipe));
        assert_eq!((web.links, web.links_requested, web.kinds, web.kinds_requested), (6, 2, 4, 2));
        assert_eq!(web.not_requested, ["/later", "/old/one.html"]);
        let forms = web.forms.iter().map(|form| {
            let Form { path, method, fields, page, is_sent } = form;
            format!("{method} {path} {} on {page} {is_sent}", fields.join(","))
        });
        let expected =
            ["POST /save d,draft on / false", "POST /save t,text on / true", "GET /search q on / false"];
        assert_eq!(forms.collect::<Vec<_>>(), expected);
    }
}
