//! Addresses as messages show them.

/// Returns a URL without the user name and password that a mirror may want. Of one that is not well formed,
/// whose parts cannot be read, all before the last `@` is left out.
pub(crate) fn without_password(url: &str) -> String {
    if url.starts_with("file:") {
        return url.into();
    }
    let is_well_formed = reqwest::Url::parse(url).is_ok_and(|url| url.has_host());
    let Some((scheme, rest)) = url.split_once("://").filter(|_| is_well_formed) else {
        return url.rsplit_once('@').map_or_else(|| url.into(), |(_, rest)| format!("…@{rest}"));
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}
