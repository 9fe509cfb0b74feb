//! Links away from the app: addresses in headers, pages, styles and texts, held against the authority
//! that was asked.
//!
//! Comes in: a response, its URL, and what the recipe allows (`[web] links_to`). Goes out: [`Finding`]s, each
//! with its header, or its line and element. Relative addresses lead to the same authority by themselves;
//! schemes that lead to no host (`data:`, `mailto:`) are none of ours.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use url::{Host, Url};

use super::{
    Authority, Response,
    found::{Found, Role},
    page::{Page, TextKind, linked, refreshed},
};

/// The number of findings that are reported for one step; the others are counted.
const SHOWN: usize = 5;

/// A link elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Header, or line and element, and the address.
    pub text: String,
    /// Whether the app may do so; then it is only worth a warning.
    pub is_allowed: bool,
    /// The host, where it is only a link: each is reported once.
    pub link_to: Option<String>,
}

/// The authorities that count as "here", and those that the recipe allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Border<'a> {
    /// The authority that is asked.
    pub authority: &'a Authority,
    /// Other hosts that may be led to, `host`, `host:port`, `*.domain` or `*`.
    pub links_to: &'a [String],
    /// The port that the app listens on inside of its grain, which no browser reaches.
    pub inner_port: Option<u16>,
}

/// The kind of a text that names a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// JSON, XML: programs take its URLs.
    Data,
    /// An attribute of no known kind, such as `data-url` or `placeholder`.
    Attribute,
    /// A script, or what a page says.
    Prose,
}

/// A URL with a host in any text; percent-encoded and JSON-escaped ones, too.
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(http|https|ws|wss)(?::|%3A)(?:\\?/|%2F){2}([a-z0-9][a-z0-9.-]*)(?:(?::|%3A)([0-9]{1,5}))?",
    )
    .expect("is a good pattern")
});

impl Border<'_> {
    /// Returns whether a URL leads to the authority that was asked, or to no host at all.
    pub fn is_here(&self, url: &Url) -> bool {
        match url.scheme() {
            "http" | "ws" => {
                url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(&self.authority.host))
                    && url.port_or_known_default() == Some(self.authority.port)
            }
            "https" | "wss" | "ftp" => false,
            _ => true,
        }
    }

    fn is_listed(&self, host: &str, port: Option<u16>) -> bool {
        self.links_to.iter().any(|listed| match (listed.as_str(), listed.strip_prefix("*.")) {
            ("*", _) => true,
            (_, Some(domain)) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            (listed, None) => match (listed.split_once(':'), port) {
                (Some((name, given)), Some(port)) => name == host && given == port.to_string(),
                (Some(_), None) => false,
                (None, _) => listed == host,
            },
        })
    }

    /// Returns what the headers of a response lead to.
    pub fn headers(&self, response: &Response, url: &Url) -> Vec<Finding> {
        let mut out = Vec::new();
        for (name, value) in &response.headers {
            let addresses = match name.to_ascii_lowercase().as_str() {
                "location" => vec![(value.clone(), Role::Refresh)],
                "refresh" => refreshed(value).into_iter().map(|address| (address, Role::Refresh)).collect(),
                "link" => links_of(value),
                _ => Vec::new(),
            };
            for (address, role) in addresses {
                out.extend(self.address(&address, role, &format!("header {name}"), url));
            }
        }
        told(out)
    }

    /// Returns what a page leads to.
    pub fn page(&self, page: &Page, url: &Url) -> Vec<Finding> {
        let base = base_of(page, url);
        // A foreign base is reported once.
        let base = if self.is_here(&base) { base } else { url.clone() };
        let mut out: Vec<Finding> = page.found.iter().filter_map(|found| self.found(found, &base)).collect();
        for text in &page.texts {
            let trust = if text.kind == TextKind::Attribute { Says::Attribute } else { Says::Prose };
            out.extend(self.text(&text.text, text.line, trust));
        }
        told(out)
    }

    /// Returns what a style sheet leads to.
    pub fn style(&self, found: &[Found], url: &Url) -> Vec<Finding> {
        told(found.iter().filter_map(|found| self.found(found, url)).collect())
    }

    /// Returns what a script or data say of the own host with another port or scheme: whatever else they name
    /// may never be asked.
    pub fn other_text(&self, text: &str, says: Says) -> Vec<Finding> {
        told(self.text(text, 1, says))
    }

    fn found(&self, found: &Found, base: &Url) -> Option<Finding> {
        let place = format!("line {}, {}", found.line, found.element);
        self.address(&found.address, found.role, &place, base)
    }

    fn address(&self, address: &str, role: Role, place: &str, base: &Url) -> Option<Finding> {
        let url = base.join(address.trim()).ok()?;
        if self.is_here(&url) {
            return None;
        }
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let listed = self.is_listed(&host, url.port_or_known_default());
        let loads = matches!(role, Role::Load(_) | Role::Contact | Role::Base);
        // Links to a listed host are allowed. A load from it is reported all the same: a sealed app's pages
        // should load nothing else.
        if listed && !loads {
            return None;
        }
        let link_to = (role == Role::Link).then(|| host.clone());
        let remedy = match role {
            Role::Link => format!(" (if that is meant: [web] links_to = [\"{host}\"])"),
            _ => String::new(),
        };
        let text = format!(
            "{place}: {} leads to another authority than {}{remedy}",
            excerpt(address.trim()),
            self.authority
        );
        Some(Finding { text, is_allowed: listed, link_to })
    }

    /// Looks for the own host with another port or scheme, and for the port inside of the grain.
    fn text(&self, text: &str, first_line: usize, says: Says) -> Vec<Finding> {
        let mut out = Vec::new();
        for groups in MENTION.captures_iter(text) {
            let (Some(whole), Some(scheme), Some(host)) = (groups.get(0), groups.get(1), groups.get(2))
            else {
                continue;
            };
            let scheme = scheme.as_str().to_ascii_lowercase();
            let host = host.as_str().trim_end_matches('.').to_ascii_lowercase();
            let secure = matches!(scheme.as_str(), "https" | "wss");
            let given = groups.get(3).and_then(|port| port.as_str().parse::<u16>().ok());
            let port = given.unwrap_or(if secure { 443 } else { 80 });
            let is_own = host == self.authority.host;
            if is_own && port == self.authority.port && !secure || self.is_listed(&host, Some(port)) {
                continue;
            }
            let is_loopback = matches!(host.as_str(), "127.0.0.1" | "localhost");
            let is_inner = is_loopback && given.is_some() && given == self.inner_port;
            // A host like a grain's comes from the request alone; the loopback is named for many reasons.
            let is_meant = match says {
                _ if !is_loopback => true,
                Says::Data => true,
                Says::Attribute => given.is_none(),
                Says::Prose => false,
            };
            let matters = is_own && is_meant || is_inner;
            if matters {
                let line = first_line + text[..whole.start()].bytes().filter(|byte| *byte == b'\n').count();
                let found = excerpt(whole.as_str());
                let text = format!("line {line}: {found} is another authority than {}", self.authority);
                let is_allowed = is_inner && says == Says::Prose;
                out.push(Finding { text, is_allowed, link_to: None });
            }
        }
        out
    }
}

/// Returns what relative addresses on a page begin from.
pub(super) fn base_of(page: &Page, url: &Url) -> Url {
    page.base.as_ref().and_then(|base| url.join(base).ok()).unwrap_or_else(|| url.clone())
}

/// Returns the addresses of a `Link` header that a browser does something with (RFC 8288).
fn links_of(value: &str) -> Vec<(String, Role)> {
    let parameter = |parameters: &str, name: &str| {
        let mut parts = parameters.split(';').filter_map(|part| part.split_once('='));
        let found = parts.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let links = value.split('<').skip(1).filter_map(|part| part.split_once('>'));
    links
        .filter_map(|(address, rest)| {
            let role = linked(&parameter(rest, "rel")?, parameter(rest, "as").as_deref())?;
            Some((address.to_owned(), role))
        })
        .collect()
}

/// Counts like findings, and cuts a long list.
fn told(findings: Vec<Finding>) -> Vec<Finding> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut out: Vec<Finding> = Vec::new();
    for finding in findings {
        // The same address in the same kind of place, whatever the line.
        let key = finding
            .text
            .split_once(' ')
            .map_or("", |(_, rest)| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        let key = finding.link_to.clone().unwrap_or_else(|| key.to_owned());
        let count = counts.entry(key).or_default();
        *count += 1;
        if *count == 1 {
            out.push(finding);
        }
    }
    let left = out.len().saturating_sub(SHOWN);
    if left > 0 {
        out.truncate(SHOWN);
        if let Some(last) = out.last_mut() {
            last.text += &format!("; and {left} more such addresses");
        }
    }
    out
}

fn excerpt(address: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{b7}' } else { c };
    let mut text: String = address.chars().take(120).map(plain).collect();
    if text.len() < address.len() {
        text.push('\u{2026}');
    }
    text
}

/// Returns whether a cookie's `Domain` covers a host (RFC 6265, 5.3, steps 4 to 6): a browser takes no other.
pub(super) fn cookie_is_for(domain: &str, host: &str) -> bool {
    let domain = domain.trim().trim_start_matches('.').to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let is_name = matches!(Host::parse(&host), Ok(Host::Domain(_)));
    domain.is_empty()
        || domain == host
        || is_name && host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}
