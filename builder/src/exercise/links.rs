//! The pages of the app that one of its pages leads to.

use url::Url;

use super::{
    Authority,
    conversation::path_of,
    elsewhere::{Border, base_of},
    found::Role,
    page::{self, PageForm},
};

/// What a page of the app leads to within the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leads {
    /// Path and query of all that it leads to, sends forms to and loads, in the page's order.
    pub pages: Vec<String>,
    /// Those of them that a click leads to.
    pub links: Vec<String>,
    /// Its forms; the action of each is path and query.
    pub forms: Vec<PageForm>,
}

impl Leads {
    /// Reads a page; what leaves the app is left out.
    pub fn of(html: &[u8], path: &str, authority: &Authority) -> Self {
        let mut leads = Leads::default();
        let Ok(url) = Url::parse(&format!("{}{path}", authority.base())) else { return leads };
        let border = Border { authority, links_to: &[], inner_port: None };
        let page = page::read(html);
        let base = base_of(&page, &url);
        let here = |url: Url| (url.scheme() == "http" && border.is_here(&url)).then(|| path_of(&url));
        for found in page.found.iter().filter(|found| !found.address.starts_with('#')) {
            let is_link = match found.role {
                Role::Link | Role::Refresh => true,
                Role::Form | Role::Load(_) => false,
                Role::Base | Role::Contact => continue,
            };
            let Some(to) = base.join(&found.address).ok().and_then(here) else { continue };
            if is_link {
                leads.links.push(to.clone());
            }
            leads.pages.push(to);
        }
        for form in page.forms {
            let to = if form.action.is_empty() { Ok(url.clone()) } else { base.join(&form.action) };
            if let Some(action) = to.ok().and_then(here) {
                leads.forms.push(PageForm { action, ..form });
            }
        }
        leads
    }
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
            let found = Leads::of(html.as_bytes(), "/wiki/doku.php?id=start", &at).pages;
            assert_eq!(found.first().map(String::as_str), expected, "{address}");
        }
        let based = Leads::of(b"<base href=/x/><a href=y>", "/wiki", &at).pages;
        assert_eq!(based, ["/x/y"]);
    }

    #[test]
    fn links_and_forms_are_told_apart() {
        let at = Authority { host: "127.0.0.1".into(), port: 8000 };
        let html = "<link rel=stylesheet href=/s.css><a href=/a>a</a><a href=http://else.where/>b</a>\
                    <form action=/save method=Post><input type=hidden name=token><textarea name=text></textarea>\
                    <input type=submit name=go></form><input name=outside>\
                    <form><select name=sort></select></form><form action=http://else.where/></form>";
        let leads = Leads::of(html.as_bytes(), "/list?page=2", &at);
        assert_eq!(leads.pages, ["/s.css", "/a", "/save"]);
        assert_eq!(leads.links, ["/a"]);
        let forms: Vec<String> = leads
            .forms
            .iter()
            .map(|form| format!("{} {} {:?} {:?}", form.method, form.action, form.fields, form.hidden))
            .collect();
        assert_eq!(forms, [r#"POST /save {"text", "token"} {"token"}"#, r#"GET /list?page=2 {"sort"} {}"#]);
    }
}
