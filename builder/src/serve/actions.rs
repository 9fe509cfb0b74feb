//! The requests of the page. GET changes nothing; each POST does one thing and redirects to a page.

use std::{
    collections::BTreeSet,
    io::{BufRead, Read as _},
    sync::{Arc, PoisonError},
};

use super::{Server, auth::parameter, handle::GrainHandle, pages};
use crate::{
    error::chain,
    evidence::{Reported, merge_misses, read_report},
    recipe,
    web::{Body, Head, Response, TEXT},
};

/// Longest form.
const FORM_LIMIT: u64 = 256 << 10;

/// Answers a request for the page.
pub(super) fn respond(
    server: &Server,
    head: &Head,
    body: Body,
    reader: &mut impl BufRead,
    origin: &str,
) -> Response {
    if let Some(response) = server.auth.admit(head, origin) {
        return response;
    }
    let done = match head.method() {
        "GET" | "HEAD" => look(server, head.path_and_query().0),
        "POST" => match read_form(body, reader) {
            Some(form) => act(server, head.path_and_query().0, &form, origin),
            None => Err(Response::refusal("413 Content Too Large", "no form of this page")),
        },
        _ => Err(Response::refusal("405 Method Not Allowed", "there are GET and POST")),
    };
    done.unwrap_or_else(|refusal| refusal)
}

fn read_form(body: Body, reader: &mut impl BufRead) -> Option<String> {
    let Body::Length(length @ ..=FORM_LIMIT) = body else { return None };
    let mut form = Vec::new();
    reader.take(length).read_to_end(&mut form).ok()?;
    (form.len() as u64 == length).then(|| String::from_utf8(form).ok()).flatten()
}

/// A page that shows a failure.
fn failed(error: &(dyn std::error::Error + 'static)) -> Response {
    failure(&chain(error))
}

fn failure(why: &str) -> Response {
    let mut response = Response::html(pages::failure(why));
    response.status = "500 Internal Server Error";
    response
}

fn nothing() -> Response {
    Response::refusal("404 Not Found", "there is no such page")
}

/// Returns the grain and the word behind it in `/grain/HOST/WORD`.
fn grain_of<'a>(server: &Server, path: &'a str) -> Result<(Arc<GrainHandle>, &'a str), Response> {
    let rest = path.strip_prefix("/grain/").ok_or_else(nothing)?;
    let (host, word) = rest.split_once('/').unwrap_or((rest, ""));
    server.handle(host).map(|handle| (handle, word)).ok_or_else(nothing)
}

fn look(server: &Server, path: &str) -> Result<Response, Response> {
    match path {
        "/page.css" => Ok(Response::new("200 OK", "text/css; charset=utf-8", include_str!("pages/page.css"))),
        "/page.js" => {
            Ok(Response::new("200 OK", "text/javascript; charset=utf-8", include_str!("pages/page.js")))
        }
        "/" => {
            server.sync().map_err(|error| failed(&error))?;
            Ok(Response::html(pages::list(server)))
        }
        "/state.json" => {
            server.sync().map_err(|error| failed(&error))?;
            let text = pages::state(server).to_string() + "\n";
            Ok(Response::new("200 OK", "application/json", text))
        }
        path => match grain_of(server, path)? {
            (handle, "") => Ok(Response::html(pages::grain(server, &handle))),
            (handle, "misses") => {
                let report = crate::files::read_to_string(handle.misses_path()).unwrap_or_default();
                Ok(Response::new("200 OK", TEXT, report))
            }
            _ => Err(nothing()),
        },
    }
}

fn no_app() -> Response {
    Response::refusal("400 Bad Request", "the form names no app that is served here")
}

fn act(server: &Server, path: &str, form: &str, origin: &str) -> Result<Response, Response> {
    if path == "/new" {
        let id = parameter(form, "app").unwrap_or_default();
        let title = parameter(form, "title").unwrap_or_default();
        let app = server.apps.iter().find(|app| app.app_id.to_string() == id).ok_or_else(no_app)?;
        let mut stored = server
            .grains
            .create(&app.app_id, &app.title, &app.noun, &title)
            .map_err(|error| failed(&error))?;
        let host = stored.host(&app.title).map_err(|error| failed(&error))?;
        server.sync().map_err(|error| failed(&error))?;
        let handle = server.handle(&host).ok_or_else(nothing)?;
        return open(server, &handle, origin);
    }
    let (handle, word) = grain_of(server, path)?;
    match word {
        "open" => open(server, &handle, origin),
        "stop" => {
            handle.stop(None);
            Ok(Response::see_other(
                parameter(form, "back").filter(|back| back == "/").unwrap_or_else(|| page_of(&handle)),
            ))
        }
        "rename" => {
            let title = parameter(form, "title").unwrap_or_default();
            handle.rename(&title).map_err(|error| failed(&error))?;
            Ok(Response::see_other(page_of(&handle)))
        }
        "take" => {
            take(server, &handle, form)?;
            Ok(Response::see_other(page_of(&handle)))
        }
        "remove" => {
            if parameter(form, "sure").is_none() {
                return Err(failure("tick the box beside the button to confirm: nothing was removed"));
            }
            handle.stop(None);
            handle.stored().remove().map_err(|error| failed(&error))?;
            server.sync().map_err(|error| failed(&error))?;
            Ok(Response::see_other("/"))
        }
        _ => Err(nothing()),
    }
}

fn page_of(handle: &GrainHandle) -> String {
    format!("/grain/{}", handle.host)
}

/// Starts a grain if it does not run, and redirects to it.
fn open(server: &Server, handle: &GrainHandle, origin: &str) -> Result<Response, Response> {
    handle.start(&server.store, &server.closing).map_err(|why| failure(&why))?;
    let url = server.auth.ticket(handle, origin).map_err(|error| failed(&error))?;
    Ok(Response::see_other(url))
}

/// Adds the misses of a grain to used.list: those that the form names, or all.
fn take(server: &Server, handle: &GrainHandle, form: &str) -> Result<(), Response> {
    let Some(folder) = &handle.app.recipe else {
        return Err(failure("no recipe folder of this app was given with --recipe"));
    };
    let named: BTreeSet<String> = form_urlencoded::parse(form.as_bytes())
        .filter(|(name, _)| name == "path")
        .map(|(_, path)| path.into_owned())
        .collect();
    let _lock = server.merging.lock().unwrap_or_else(PoisonError::into_inner);
    let reported = read_report(&handle.misses_path()).map_err(|error| failed(&error))?;
    let misses = reported.into_iter().map(|Reported { miss, .. }| miss);
    let misses = misses.filter(|miss| named.is_empty() || named.contains(&format!("/{}", miss.path)));
    let path = recipe::read(folder).map_err(|error| failed(&error))?.used_path();
    merge_misses(misses, &path).map(drop).map_err(|error| failed(&error))
}
