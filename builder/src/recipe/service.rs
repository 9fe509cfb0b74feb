//! `[[service]]` in recipe.toml, and its rules.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Ready, RecipeError, Service, check::Checker, stop};

/// The default of `service.timeout_s`: a database's first start on a loaded machine fits.
const READY_TIMEOUT_S: u32 = 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceKeys {
    name: Spanned<String>,
    command: Spanned<Vec<String>>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    ready: Option<Spanned<ReadyKeys>>,
    timeout_s: Option<u32>,
    stop_signal: Option<Spanned<String>>,
    stop_timeout_s: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table that says when it is ready, such as { http = \"/\" }")]
struct ReadyKeys {
    socket: Option<String>,
    http: Option<String>,
    port: Option<u16>,
    file: Option<String>,
}

/// Reads the services; `web` says whether there is a web port.
pub(super) fn services(
    check: &Checker,
    list: Vec<ServiceKeys>,
    web: bool,
) -> Result<Vec<Service>, RecipeError> {
    let mut out: Vec<Service> = Vec::new();
    for keys in list {
        let name = keys.name.get_ref().clone();
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || !name.bytes().all(good) {
            return Err(check.rule(keys.name.span(), "service.name has letters, digits, `-`, `_`, `.` only"));
        }
        if out.iter().any(|service| service.name == name) {
            return Err(check.rule(keys.name.span(), format!("service.name `{name}` is there twice")));
        }
        let timeout_s =
            check.timeout("service.timeout_s", keys.name.span(), keys.timeout_s, READY_TIMEOUT_S)?;
        let ready = match keys.ready {
            None => Ready::Started,
            Some(ready) => {
                let span = ready.span();
                match ready.into_inner() {
                    ReadyKeys { socket: Some(s), http: None, port: None, file: None } => Ready::Socket(s),
                    ReadyKeys { socket: None, http: Some(_), port: None, file: None } if !web => {
                        return Err(check.rule(span, "ready.http needs [web] port"));
                    }
                    ReadyKeys { socket: None, http: Some(h), port: None, file: None } => Ready::Http(h),
                    ReadyKeys { socket: None, http: None, port: Some(p), file: None } => Ready::Port(p),
                    ReadyKeys { socket: None, http: None, port: None, file: Some(f) } => Ready::File(f),
                    _ => return Err(check.rule(span, "ready has one of socket, http, port, file")),
                }
            }
        };
        let command = check.command(keys.command, "service.command")?;
        let stop_signal = stop::signal(check, keys.stop_signal)?;
        let stop_timeout_s = stop::timeout(check, keys.stop_timeout_s)?;
        let env = keys.env;
        out.push(Service { name, command, env, ready, timeout_s, stop_signal, stop_timeout_s });
    }
    Ok(out)
}
