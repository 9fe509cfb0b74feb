//! Cookies, as far as one host needs them (RFC 6265): names, values, paths, ends.

use super::elsewhere::cookie_is_for;

/// The cookies of one conversation.
#[derive(Debug, Default)]
pub(super) struct Cookies {
    jar: Vec<Cookie>,
}

#[derive(Debug, PartialEq, Eq)]
struct Cookie {
    name: String,
    value: String,
    path: String,
}

impl Cookies {
    /// Takes a `Set-Cookie` header of a host's answer to a request for `request_path`; one of another domain
    /// is passed over, as is one with control characters, which no request may have (RFC 6265bis, 5.7).
    pub(super) fn set(&mut self, header: &str, request_path: &str, host: &str) {
        if header.contains(|c: char| c.is_control() && c != '\t') {
            return;
        }
        let mut parts = header.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let path = default_path(request_path);
        let mut cookie = Cookie { name: name.trim().into(), value: value.trim().into(), path };
        let (mut max_age, mut expires) = (None, None);
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "path" if value.trim().starts_with('/') => cookie.path = value.trim().into(),
                "max-age" => max_age = value.trim().parse::<i64>().ok(),
                "domain" if !cookie_is_for(value, host) => return,
                "expires" => expires = has_passed(value.trim()),
                _ => {}
            }
        }
        self.jar.retain(|known| (&known.name, &known.path) != (&cookie.name, &cookie.path));
        // Max-Age goes before Expires (RFC 6265, 5.3).
        if !max_age.map_or(expires.unwrap_or(false), |age| age <= 0) {
            self.jar.push(cookie);
        }
    }

    /// Returns the `Cookie` header for a request; longer paths go first.
    pub(super) fn header(&self, request_path: &str) -> Option<String> {
        let path = request_path.split('?').next().unwrap_or_default();
        let mut sent: Vec<&Cookie> = self.jar.iter().filter(|cookie| covers(&cookie.path, path)).collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = sent.iter().map(|c| format!("{}={}", c.name, c.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// Returns the directory of a request's path (RFC 6265, 5.1.4).
fn default_path(request_path: &str) -> String {
    let path = request_path.split('?').next().unwrap_or_default();
    match path.rfind('/') {
        Some(at) if at > 0 => path[..at].to_owned(),
        _ => "/".to_owned(),
    }
}

fn covers(cookie: &str, path: &str) -> bool {
    let rest = path.strip_prefix(cookie);
    rest.is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// Returns whether a date of HTTP lies in the past; `None` if it is none.
fn has_passed(date: &str) -> Option<bool> {
    // The older form has hyphens: "Thu, 01-Jan-1970 00:00:01 GMT".
    let date = date.replace('-', " ");
    let end = jiff::fmt::rfc2822::parse(&date).ok()?;
    Some(end.timestamp() <= jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_last_until_they_are_taken_back() {
        for (headers, path, expected) in [
            (&["a=1; Path=/; HttpOnly", "b=x=y; path=/"][..], "/", Some("a=1; b=x=y")),
            (&["a=1; path=/", "a=2; path=/"], "/x?y", Some("a=2")),
            (&["a=1; path=/", "a=; path=/; Max-Age=0"], "/", None),
            (&["a=1; path=/", "a=deleted; path=/; expires=Thu, 01-Jan-1970 00:00:01 GMT"], "/", None),
            (&["a=1; path=/", "a=%20; path=/; expires=Thu, 01 Jan 1970 00:00:01 GMT"], "/", None),
            (&["a=1; path=/; expires=Fri, 31 Dec 9998 23:59:59 GMT"], "/", Some("a=1")),
            (&["a=1; path=/admin", "b=2; path=/"], "/admin/x", Some("a=1; b=2")),
            (&["a=1; path=/admin"], "/administrator", None),
            (&["a=1"], "/app/other", Some("a=1")),
            (&["a=1"], "/", None),
            (&["a=1; path=/; Domain=.g-1.localhost", "b=2; path=/; domain=localhost"], "/", Some("a=1; b=2")),
            (&["a=1; path=/; domain=127.0.0.1", "b=2; path=/; domain=other.localhost"], "/", None),
            (&["nonsense"], "/app/", None),
            (&["a=1\rX: y", "b=\0; path=/", "c=3\t; path=/"], "/app/", Some("c=3")),
        ] {
            let mut cookies = Cookies::default();
            headers.iter().for_each(|header| cookies.set(header, "/app/login?next=/", "g-1.localhost"));
            assert_eq!(cookies.header(path).as_deref(), expected, "{headers:?}");
        }
    }
}
