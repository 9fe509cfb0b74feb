//! `[[exercise]]`: the keys of a step, and the rules that make a [`Step`] of them.

use std::{collections::BTreeMap, ops::Range, path::Path};

use serde::Deserialize;
use toml::Spanned;

use super::{
    Body, RecipeError, Request, Step,
    check::{Checker, OneOrMany},
    stream::{MessageKeys, StreamKeys, stream},
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
    websocket: Option<String>,
    sse: Option<String>,
    stream: Option<String>,
    protocol: Option<String>,
    open: Option<String>,
    close: Option<bool>,
    messages: Option<Vec<MessageKeys>>,
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
        + usize::from(keys.run.is_some())
        + usize::from(keys.websocket.is_some())
        + usize::from(keys.sse.is_some())
        + usize::from(keys.stream.is_some());
    if kinds != 1 {
        let rule = "a step has one of get, post, put, delete, head, request, websocket, sse, stream, restart, \
                    sleep, run";
        return Err(check.rule(span, rule));
    }
    let of_streams = [
        ("protocol", keys.protocol.is_some()),
        ("open", keys.open.is_some()),
        ("close", keys.close.is_some()),
        ("messages", keys.messages.is_some()),
    ];
    let of_requests = [
        ("status", keys.status.is_some()),
        ("contains", keys.contains.is_some()),
        ("form", keys.form.is_some()),
        ("body", keys.body.is_some()),
        ("capture", !keys.capture.is_empty()),
        ("follow", keys.follow.is_some()),
        ("load", keys.load.is_some()),
    ];
    let is_stream = keys.websocket.is_some() || keys.sse.is_some() || keys.stream.is_some();
    let (others, whose) = match is_stream {
        true => (&of_requests[..], "a step with messages has no such key"),
        false => (&of_streams[..], "only steps with websocket, sse or stream have it"),
    };
    if let Some((key, _)) = others.iter().find(|(_, is_there)| *is_there) {
        return Err(check.rule(span, format!("{key}: {whose}")));
    }
    if is_stream {
        let keys = StreamKeys {
            websocket: keys.websocket,
            sse: keys.sse,
            stream: keys.stream,
            protocol: keys.protocol,
            open: keys.open,
            close: keys.close.unwrap_or(false),
            messages: keys.messages.unwrap_or_default(),
            header: keys.header,
            fold: OneOrMany::list(keys.fold),
        };
        return stream(check, &span, keys).map(Step::Stream);
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
    patterns(check, &span, &capture, &fold)?;
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

/// Checks captures and other regular expressions.
pub(super) fn patterns<'a>(
    check: &Checker,
    span: &Range<usize>,
    capture: &'a BTreeMap<String, String>,
    others: impl IntoIterator<Item = &'a String>,
) -> Result<(), RecipeError> {
    if let Some(name) = capture.keys().find(|name| ["base", "host", "port"].contains(&name.as_str())) {
        let rule = format!("capture.{name}: this name is that of the URL in the browser");
        return Err(check.rule(span.clone(), rule));
    }
    for pattern in capture.values().chain(others) {
        regex::Regex::new(pattern)
            .map_err(|_| check.rule(span.clone(), format!("`{pattern}` is not a regular expression")))?;
    }
    Ok(())
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
