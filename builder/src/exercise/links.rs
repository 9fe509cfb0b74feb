//! The pages of the app that one of its pages leads to.

use url::Url;

use super::{
    Authority,
    conversation::path_of,
    elsewhere::{Border, base_of},
    found::Role,
    page,
};

/// Returns path and query of all that a page of the app leads to, sends forms to and loads, in the page's
/// order; what leaves the app is left out.
pub(crate) fn pages_of(html: &[u8], path: &str, authority: &Authority) -> Vec<String> {
    let Ok(url) = Url::parse(&format!("{}{path}", authority.base())) else { return Vec::new() };
    let border = Border { authority, links_to: &[], inner_port: None };
    let page = page::read(html);
    let base = base_of(&page, &url);
    let led = page.found.iter().filter(|found| match found.role {
        Role::Link | Role::Form | Role::Load(_) | Role::Refresh => !found.address.starts_with('#'),
        Role::Base | Role::Contact => false,
    });
    led.filter_map(|found| base.join(&found.address).ok())
        .filter(|url| url.scheme() == "http" && border.is_here(url))
        .map(|url| path_of(&url))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_pages_of_the_app_alone() {
        let at = Authority { host: "127.0.0.1".into(), port: 8000 };
        for (address, expected) in [
            ("/a?b=c#d", Some("/a?b=c")),
            ("?do=edit", Some("/wiki/doku.php?do=edit")),
            ("lib/x.css", Some("/wiki/lib/x.css")),
            ("../up/./x", Some("/up/x")),
            ("../../../x", Some("/x")),
            ("http://127.0.0.1:8000/y", Some("/y")),
            ("http://127.0.0.1:8000", Some("/")),
            ("http://127.0.0.1:8001/y", None),
            ("https://127.0.0.1:8000/y", None),
            ("https://example.org/", None),
            ("//example.org/", None),
            ("mailto:someone@example.org", None),
            ("javascript:void(0)", None),
            ("#top", None),
            ("doku.php?id=a:b", Some("/wiki/doku.php?id=a:b")),
            ("/\u{e4} b", Some("/%C3%A4%20b")),
        ] {
            let html = format!("<a href=\"{address}\">");
            let found = pages_of(html.as_bytes(), "/wiki/doku.php?id=start", &at);
            assert_eq!(found.first().map(String::as_str), expected, "{address}");
        }
        let based = pages_of(b"<base href=/x/><a href=y>", "/wiki", &at);
        assert_eq!(based, ["/x/y"]);
    }
}
