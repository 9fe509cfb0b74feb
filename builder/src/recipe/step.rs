//! `[[exercise]]`: the keys of a step, and the rules that make a [`Step`] of them.

use std::{collections::BTreeMap, ops::Range, path::Path};

use serde::Deserialize;
use toml::Spanned;

use super::{
    Body, RecipeError, Request, Step,
    check::{Checker, OneOrMany},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepKeys {
    get: Option<String>,
    post: Option<String>,
    put: Option<String>,
    delete: Option<String>,
    head: Option<String>,
    /// Any other method and the path: `PROPFIND /files/`.
    request: Option<String>,
    restart: Option<bool>,
    sleep: Option<f64>,
    run: Option<Vec<String>>,
    status: Option<OneOrMany<u16>>,
    contains: Option<OneOrMany<String>>,
    #[serde(default)]
    header: BTreeMap<String, String>,
    form: Option<FormKeys>,
    body: Option<BodyKeys>,
    #[serde(default)]
    capture: BTreeMap<String, String>,
    fold: Option<OneOrMany<String>>,
    follow: Option<bool>,
    load: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a form is a table of texts, or the path of a file")]
enum FormKeys {
    Source(String),
    Fields(toml::Table),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyKeys {
    source: Option<String>,
    text: Option<String>,
    #[serde(rename = "type")]
    content_type: Option<String>,
}

/// Reads a step.
pub(super) fn step(check: &Checker, keys: Spanned<StepKeys>) -> Result<Step, RecipeError> {
    let span = keys.span();
    let keys = keys.into_inner();
    let other = keys.request.as_ref().map(|text| other_request(check, &span, text)).transpose()?;
    let asked = [
        ("GET", &keys.get),
        ("POST", &keys.post),
        ("PUT", &keys.put),
        ("DELETE", &keys.delete),
        ("HEAD", &keys.head),
    ];
    let named = asked.into_iter().filter_map(|(method, path)| Some((method.to_owned(), path.clone()?)));
    let mut requests = named.chain(other);
    let request = requests.next();
    let kinds = usize::from(request.is_some())
        + requests.count()
        + usize::from(keys.restart.is_some())
        + usize::from(keys.sleep.is_some())
        + usize::from(keys.run.is_some());
    if kinds != 1 {
        return Err(
            check.rule(span, "a step has one of get, post, put, delete, head, request, restart, sleep, run")
        );
    }
    let contains = OneOrMany::list(keys.contains);
    if let Some(seconds) = keys.sleep {
        if !(0.0..=60.0).contains(&seconds) {
            return Err(check.rule(span, "sleep must be 0 to 60 seconds"));
        }
        return Ok(Step::Sleep { millis: (seconds * 1000.0) as u64 });
    }
    let capture = keys.capture;
    let fold = OneOrMany::list(keys.fold);
    if let Some(name) = capture.keys().find(|name| ["base", "host", "port"].contains(&name.as_str())) {
        return Err(check.rule(span, format!("capture.{name}: this name is that of the URL in the browser")));
    }
    for pattern in capture.values().chain(&fold) {
        regex::Regex::new(pattern)
            .map_err(|_| check.rule(span.clone(), format!("`{pattern}` is not a regular expression")))?;
    }
    if let Some(command) = keys.run {
        if command.first().is_none_or(|program| !program.starts_with('/')) {
            return Err(check.rule(span, "run must begin with the absolute path of a program"));
        }
        return Ok(Step::Run { command, contains, capture });
    }
    let Some((method, path)) = request else { return Ok(Step::Restart) };
    if !path.starts_with('/') {
        return Err(check.rule(span, format!("`{path}` must begin with /")));
    }
    let body = body(check, &span, keys.form, keys.body)?;
    let status = OneOrMany::list(keys.status);
    Ok(Step::Request(Request {
        method,
        path,
        status,
        contains,
        follow: keys.follow.unwrap_or(true),
        load: keys.load,
        is_explored: false,
        header: keys.header,
        body,
        capture,
        fold,
    }))
}

/// Reads `METHOD PATH`.
fn other_request(check: &Checker, span: &Range<usize>, text: &str) -> Result<(String, String), RecipeError> {
    let is_method =
        |method: &str| !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    let split = text.split_once(' ').filter(|(method, path)| is_method(method) && path.starts_with('/'));
    let (method, path) = split.ok_or_else(|| {
        let rule = format!("request `{text}` must be a method and a path, such as `PROPFIND /`");
        check.rule(span.clone(), rule)
    })?;
    Ok((method.to_owned(), path.to_owned()))
}

fn body(
    check: &Checker,
    span: &Range<usize>,
    form: Option<FormKeys>,
    body: Option<BodyKeys>,
) -> Result<Body, RecipeError> {
    match (form, body) {
        (None, None) => Ok(Body::Empty),
        (Some(FormKeys::Fields(fields)), None) => fields
            .into_iter()
            .map(|(name, value)| match value {
                toml::Value::String(text) => Ok((name, text)),
                toml::Value::Integer(number) => Ok((name, number.to_string())),
                _ => Err(check.rule(span.clone(), format!("form.{name} must be text"))),
            })
            .collect::<Result<_, _>>()
            .map(Body::Form),
        (Some(FormKeys::Source(name)), None) => {
            let bytes = check.source(span.clone(), "form", &name)?;
            let text = String::from_utf8(bytes)
                .map_err(|_| check.rule(span.clone(), format!("form `{name}` is not UTF-8 text")))?;
            Ok(Body::FormText(text.trim_end_matches('\n').to_owned()))
        }
        (None, Some(BodyKeys { source: Some(name), text: None, content_type })) => {
            let bytes = check.source(span.clone(), "body.source", &name)?;
            let by_ending = match Path::new(&name).extension().and_then(|e| e.to_str()) {
                Some("json") => "application/json",
                Some("xml") => "application/xml",
                Some("txt") => "text/plain",
                _ => "application/octet-stream",
            };
            Ok(Body::Bytes { content_type: content_type.unwrap_or_else(|| by_ending.into()), bytes })
        }
        (None, Some(BodyKeys { source: None, text: Some(text), content_type })) => Ok(Body::Bytes {
            content_type: content_type.unwrap_or_else(|| "text/plain".into()),
            bytes: text.into_bytes(),
        }),
        _ => Err(check.rule(span.clone(), "a request has one of form, body.source, body.text")),
    }
}
