//! One page for a browser, complete in itself: treemaps of one package or of the difference of two, and the
//! same as a table.
//!
//! Nothing is fetched, and the page's own policy lets nothing run but its one script and its one style sheet,
//! each named by its SHA-256 (Content Security Policy 3). What comes from packages is data: JSON without `<`
//! in it, which the script shows as text alone.

mod links;

pub(super) use links::{directory_link, file_link, package_link};

use std::{collections::BTreeMap, fmt, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{digest::Digest, web::escaped};

/// The style that all pages share.
pub(super) const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// The figure that counts, below the title.
    pub total: String,
    /// What else is to be said, a paragraph each.
    pub facts: Vec<String>,
    /// Whether two packages are compared; else the first of each pair is empty.
    pub is_difference: bool,
    /// Whether the two are compressed in different ways, so that of what is the same nothing is listed.
    pub is_packed_otherwise: bool,
    /// Links and files, by path.
    pub files: Vec<PageFile>,
    /// Packages with the version before and after.
    pub versions: Vec<(String, Option<String>, Option<String>)>,
    /// Packages with what is to be said of each, a paragraph of several lines each.
    pub notes: Vec<(String, Vec<String>)>,
    /// Why each file is there, if that is known.
    pub why: Option<PageWhy>,
    /// Further tables.
    pub sections: Vec<Section>,
}

/// Why each file is there, in the order of [`Page::files`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PageWhy {
    /// What is no file.
    pub texts: Vec<String>,
    /// Of each file, what keeps it: a place in [`PageWhy::texts`], from 0, or as a negative number one in
    /// [`Page::files`], from -1.
    pub causes: Vec<Vec<i64>>,
    /// How many more there are of each.
    pub left_out: Vec<usize>,
    /// What would go with each, compressed and as it is; `None` where that is not known.
    pub retained: Vec<Option<[u64; 2]>>,
}

/// A table that is there without the script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// What it is of.
    pub title: String,
    /// Its columns, and whether each is of numbers.
    pub columns: Vec<(&'static str, bool)>,
    /// A place within the page that the first cell leads to, and the cells.
    pub rows: Vec<(Option<String>, Vec<String>)>,
}

impl Section {
    fn html(&self, is_open: bool) -> String {
        let class = |index: usize| match self.columns.get(index) {
            Some((_, true)) => " class=\"number\"",
            _ => "",
        };
        let head: String = (0..self.columns.len())
            .map(|at| format!("<th scope=\"col\"{}>{}</th>", class(at), escaped(self.columns[at].0)))
            .collect();
        let mut rows = String::new();
        for (link, cells) in &self.rows {
            rows += "<tr>";
            for (at, cell) in cells.iter().enumerate() {
                let text = match link.as_ref().filter(|_| at == 0) {
                    Some(link) => format!("<a href=\"#{}\">{}</a>", escaped(link), escaped(cell)),
                    None => escaped(cell).to_string(),
                };
                let name = self.columns.get(at).map_or("", |(name, _)| name);
                rows += &format!("<td{} data-name=\"{}\">{text}</td>", class(at), escaped(name));
            }
            rows += "</tr>\n";
        }
        format!(
            "<details class=\"section\"{}><summary>{}</summary><div class=\"table\"><table>\
             <thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div></details>\n",
            if is_open { " open" } else { "" },
            escaped(&self.title)
        )
    }
}

/// A line of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageFile {
    /// Where.
    pub path: String,
    /// The Debian package, or what it is else.
    pub package: String,
    /// What it takes in the package's own bytes, before and after; `None` where that is not known.
    pub packed_bytes: [Option<u64>; 2],
    /// Its contents, before and after; `None` where it is not there.
    pub plain_bytes: [Option<u64>; 2],
    /// The kind of the change; `same` if there is none.
    pub change: &'static str,
    /// Where it was before, if elsewhere.
    pub path_before: Option<String>,
}

impl Page {
    /// Writes the page, piece by piece: a package may have some hundred thousand files.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_html(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let facts: String =
            self.facts.iter().map(|fact| format!("<p class=\"faint\">{}</p>", escaped(fact))).collect();
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        let (title, total) = (escaped(&self.title), escaped(&self.total));
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1><p class=\"total\">{total}</p>{facts}</header>\n<main>\n\
             <div class=\"bar\" id=\"choices\"></div>\n\
             <nav id=\"trail\" aria-label=\"Where the treemap is\"></nav>\n<div id=\"maps\"></div>\n\
             <div id=\"detail\" role=\"region\" aria-label=\"Why it is there\" tabindex=\"-1\"></div>\n"
        )?;
        for (at, section) in self.sections.iter().enumerate() {
            out.write_str(&section.html(at == 0))?;
        }
        out.write_str(
            "<div class=\"bar\"><input type=\"search\" id=\"find\" placeholder=\"find paths and packages\" \
             aria-label=\"Find paths and packages\"><span class=\"faint\" id=\"count\" role=\"status\"></span></div>\n\
             <h2>By package</h2>\n<div class=\"table\" id=\"packages\"></div>\n\
             <h2>By path</h2>\n<div class=\"table\" id=\"paths\"></div>\n</main>\n\
             <noscript><p>This page needs its own script to draw.</p></noscript>\n\
             <script type=\"application/json\" id=\"data\">",
        )?;
        self.write_data(out)?;
        write!(out, "</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n")
    }

    /// Writes what the script reads.
    fn write_data(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let kind = if self.is_difference { "diff" } else { "inspect" };
        let otherwise = self.is_packed_otherwise;
        write!(out, "{{\"kind\":\"{kind}\",\"otherwise\":{otherwise},\"files\":[")?;
        for (at, file) in self.files.iter().enumerate() {
            let row = (
                &file.path,
                &file.package,
                file.packed_bytes[0],
                file.packed_bytes[1],
                file.plain_bytes[0],
                file.plain_bytes[1],
                file.change,
                &file.path_before,
            );
            out.write_str(if at > 0 { "," } else { "" })?;
            write_script_json(out, &row)?;
        }
        let versions: BTreeMap<&str, [&Option<String>; 2]> =
            self.versions.iter().map(|(name, before, after)| (&name[..], [before, after])).collect();
        let notes: BTreeMap<&str, &[String]> =
            self.notes.iter().map(|(name, notes)| (&name[..], &notes[..])).collect();
        out.write_str("],\"versions\":")?;
        write_script_json(out, &versions)?;
        out.write_str(",\"notes\":")?;
        write_script_json(out, &notes)?;
        out.write_str(",\"why\":")?;
        write_script_json(out, &self.why)?;
        out.write_str("}")
    }
}

/// Writes JSON for the text of a script: `<` could end it.
fn write_script_json(out: &mut dyn fmt::Write, value: &impl serde::Serialize) -> fmt::Result {
    serde_json::to_writer(ScriptText(out), value).map_err(|_| fmt::Error)
}

/// Text within a script element. What is written to it is JSON, whose pieces are whole letters.
struct ScriptText<'a>(&'a mut dyn fmt::Write);

impl io::Write for ScriptText<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pieces = str::from_utf8(bytes).map_err(io::Error::other)?.split('<');
        self.0.write_str(pieces.next().unwrap_or_default()).map_err(io::Error::other)?;
        for piece in pieces {
            write!(self.0, "\\u003c{piece}").map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the SHA-256 of a text as a policy names it.
pub(super) fn hash(text: &str) -> String {
    STANDARD.encode(Digest::of(text.as_bytes()).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: &Page) -> String {
        let mut out = String::new();
        page.write_html(&mut out).expect("writes");
        out
    }

    #[test]
    fn markup_in_names_is_text() {
        let file = PageFile {
            path: "</script><script>alert(1)</script>".into(),
            change: "added",
            ..PageFile::default()
        };
        let markup = || "</script></table><script>\"'<i>".to_owned();
        let section = Section {
            title: markup(),
            columns: vec![("", false)],
            rows: vec![(Some(markup()), vec![markup()]), (None, vec![markup(), markup()])],
        };
        let why = PageWhy { texts: vec![markup()], ..PageWhy::default() };
        let page = Page {
            title: "<b>\"tea\"".into(),
            files: vec![file],
            notes: vec![(markup(), vec![markup()])],
            why: Some(why),
            sections: vec![section],
            ..Page::default()
        };
        let html = text(&page);
        assert_eq!(html.matches("<script").count(), 2);
        assert_eq!(html.matches("</script>").count(), 2);
        assert_eq!(html.matches("</table>").count(), 1);
        assert!(html.contains("href=\"#&lt;/script&gt;") && !html.contains("<i>"));
        assert!(!html.contains("<b>") && html.contains("&lt;b&gt;"));
    }

    #[test]
    fn nothing_of_the_page_lies_elsewhere_and_its_policy_names_what_runs() {
        let html = text(&Page::default());
        assert!(
            !html.contains("http://")
                || html.matches("http://www.w3.org/2000/svg").count() == html.matches("http://").count()
        );
        assert!(
            !html.contains("https://")
                && !html.contains(" src=")
                && !html.contains("@import")
                && !html.contains("url(")
        );
        for text in [STYLE, SCRIPT] {
            assert!(html.contains(&hash(text)) && !text.contains("</"), "its text ends no element");
        }
    }
}
