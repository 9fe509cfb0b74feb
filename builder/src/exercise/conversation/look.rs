//! The links of a response, and the failures that it hides.

use url::Url;

use super::{Conversation, Grade, send::path_of};
use crate::exercise::{
    Response, disguise,
    elsewhere::{Border, Finding, Says, cookie_is_for},
    found::Found,
    page::{self, Page},
    style,
};

/// The parts of a response that are read.
pub(in crate::exercise) enum Content {
    Page(Page),
    Style(Vec<Found>),
    Other,
}

impl<'a> Conversation<'a> {
    /// Reads a response, and reports its addresses of other authorities; `of` names one that is not the
    /// step's own.
    pub(in crate::exercise) fn look_at(
        &mut self,
        response: &Response,
        url: &Url,
        of: Option<&str>,
        problems: &mut Vec<String>,
    ) -> Content {
        let border = self.border();
        let mut findings = border.headers(response, url);
        let is = |words: &[&str]| words.iter().any(|word| response.kind().contains(word));
        let text = || String::from_utf8_lossy(&response.body);
        let content = if is(&["text/html", "application/xhtml"]) {
            let page = page::read(&response.body);
            findings.extend(border.page(&page, url));
            Content::Page(page)
        } else if is(&["text/css"]) {
            let found = style::read(&text());
            findings.extend(border.style(&found, url));
            Content::Style(found)
        } else {
            if is(&["json", "xml"]) {
                findings.extend(border.other_text(&text(), Says::Data));
            } else if is(&["javascript", "ecmascript"]) {
                findings.extend(border.other_text(&text(), Says::Prose));
            }
            Content::Other
        };
        for mut finding in findings {
            if let Some(of) = of {
                finding.text = format!("{of}, {}", finding.text);
            }
            self.tell(finding, problems);
        }
        for (_, value) in response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        {
            let domain = value.split(';').skip(1).filter_map(|part| part.split_once('='));
            let mut domain = domain.filter(|(key, _)| key.trim().eq_ignore_ascii_case("domain"));
            if let Some((_, domain)) = domain.next()
                && !cookie_is_for(domain, &self.visit.authority.host)
            {
                let host = &self.visit.authority.host;
                problems
                    .push(format!("header Set-Cookie: no browser takes a cookie of {domain} from {host}"));
            }
        }
        content
    }

    /// Reports addresses of other authorities in a script.
    pub(in crate::exercise) fn look_at_imports(
        &mut self,
        found: &[Found],
        url: &Url,
        problems: &mut Vec<String>,
    ) {
        for mut finding in self.border().style(found, url) {
            finding.text = format!("{}, {}", path_of(url), finding.text);
            self.tell(finding, problems);
        }
    }

    fn border(&self) -> Border<'a> {
        Border {
            authority: self.visit.authority,
            links_to: self.visit.web.map_or(&[], |web| &web.links_to),
            inner_port: self.visit.web.map(|web| web.port),
        }
    }

    pub(in crate::exercise) fn is_here(&self, url: &Url) -> bool {
        self.border().is_here(url)
    }

    fn tell(&mut self, finding: Finding, problems: &mut Vec<String>) {
        if let Some(host) = finding.link_to
            && !self.links_told.insert(host)
        {
            return;
        }
        match finding.is_allowed {
            true => self.warn(Grade::Address, finding.text),
            false => problems.push(finding.text),
        }
    }
}

/// Returns the error that a response hides behind a good status.
pub(super) fn disguised(response: &Response, content: &Content) -> Option<String> {
    match content {
        Content::Page(page) if response.status < 300 => disguise::of_page(page, &response.body),
        Content::Other if ["text/plain", "json"].iter().any(|kind| response.kind().contains(kind)) => {
            disguise::of_text(&String::from_utf8_lossy(&response.body))
        }
        _ => None,
    }
}
