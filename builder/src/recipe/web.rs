//! `[web]` in recipe.toml, and its rules.

use serde::Deserialize;
use toml::Spanned;

use super::{RecipeError, Web, check::Checker};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebKeys {
    port: Spanned<u16>,
    #[serde(default)]
    links_to: Vec<Spanned<String>>,
    load: Option<bool>,
    host: Option<Spanned<String>>,
}

/// Reads the table.
pub(super) fn web(check: &Checker, keys: WebKeys) -> Result<Web, RecipeError> {
    let port = match *keys.port.get_ref() {
        0 => return Err(check.rule(keys.port.span(), "web.port is 0 (must be 1 to 65535)")),
        port => port,
    };
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let host = keys.host.map(|host| match host.get_ref().split('.').all(is_label) {
        true => Ok(host.into_inner()),
        false => {
            let rule =
                format!("web.host `{}` must be a name such as localhost, without a port", host.get_ref());
            Err(check.rule(host.span(), rule))
        }
    });
    Ok(Web {
        port,
        host: host.transpose()?,
        links_to: links_to(check, keys.links_to)?,
        load: keys.load.unwrap_or(true),
    })
}

/// Hosts without a scheme: `example.org`, `example.org:8080`, `*.example.org`, `*`.
fn links_to(check: &Checker, hosts: Vec<Spanned<String>>) -> Result<Vec<String>, RecipeError> {
    let is_good = |host: &str| {
        let name = host.strip_prefix("*.").unwrap_or(host);
        let (name, port) = name.split_once(':').unwrap_or((name, "80"));
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        host == "*" || is_name && port.parse::<u16>().is_ok()
    };
    let read = |host: Spanned<String>| match is_good(host.get_ref()) {
        true => Ok(host.into_inner().to_ascii_lowercase()),
        false => {
            let rule = format!("web.links_to `{}` is not a host (such as www.example.org)", host.get_ref());
            Err(check.rule(host.span(), rule))
        }
    };
    hosts.into_iter().map(read).collect()
}
