//! HTML as a browser reads it: the addresses on a page, what each is for, and the text that a reader sees.
//!
//! Comes in: the bytes of a response. Goes out: a [`Page`]. A tokeniser that follows the HTML standard does
//! the reading; no tree is built, and no script is run.

use std::collections::BTreeSet;

use html5gum::{DefaultEmitter, EndTag, Spanned, StartTag, Token, Tokenizer};

use super::{
    found::{Found, Role, Want},
    modules, style,
};

/// A piece of text of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// Its first line, from 1.
    pub line: usize,
    /// Entities decoded.
    pub text: String,
    /// Its context.
    pub kind: TextKind,
}

/// The context of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextKind {
    /// Paragraphs and the like.
    Plain,
    /// `<title>`, `<h1>`, `<h2>`, `<h3>`.
    Heading,
    /// `<pre>`, `<code>`, `<textarea>` and the like, where pages quote.
    Quoted,
    /// `<script>`.
    Script,
    /// The value of an attribute that is none of the known addresses.
    Attribute,
}

/// The parts of a page that are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Addresses, in their order.
    pub found: Vec<Found>,
    /// `<base href>`, the first.
    pub base: Option<String>,
    /// Texts, in their order.
    pub texts: Vec<Text>,
    /// Forms, in their order.
    pub forms: Vec<PageForm>,
}

/// A form of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageForm {
    /// Where it is sent, as it stands there; empty for the page's own address.
    pub action: String,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The names of its fields, without those of its buttons.
    pub fields: BTreeSet<String>,
    /// Those of them that a user does not see.
    pub hidden: BTreeSet<String>,
}

/// Reads a page.
pub(crate) fn read(html: &[u8]) -> Page {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    // Scripts, styles and text areas hold text, whatever stands in them.
    emitter.naively_switch_states(true);
    let mut reader = Reader::new(html);
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        match token {
            Token::StartTag(tag) => reader.start(&tag),
            Token::EndTag(tag) => reader.end(&tag),
            Token::String(text) => reader.text(&text),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    reader.page
}

/// Elements that a browser with scripts does not show; all of `<noscript>` is one text then (HTML standard,
/// "The noscript element").
const IDLE: [&str; 2] = ["noscript", "template"];
/// Elements in which pages quote programs and their output.
const QUOTING: [&str; 6] = ["pre", "code", "samp", "kbd", "textarea", "xmp"];
/// Elements that name a page or a part of it.
const HEADINGS: [&str; 4] = ["title", "h1", "h2", "h3"];
/// Kinds of `<input>` that are buttons.
const BUTTONS: [&str; 4] = ["button", "image", "reset", "submit"];

struct Reader {
    page: Page,
    /// Offsets at which lines begin, but the first.
    lines: Vec<usize>,
    /// Whether the script that was opened last is a module.
    in_module: bool,
    in_form: bool,
    /// How many of an element are open.
    open: std::collections::BTreeMap<String, usize>,
}

impl Reader {
    fn new(html: &[u8]) -> Self {
        // A carriage return alone ends a line as well (HTML standard, "normalize newlines").
        let ends = memchr::memchr2_iter(b'\n', b'\r', html);
        let ends = ends.filter(|at| html[*at] == b'\n' || html.get(at + 1) != Some(&b'\n'));
        let lines = ends.map(|at| at + 1).collect();
        Reader { page: Page::default(), lines, in_module: false, in_form: false, open: Default::default() }
    }

    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset) + 1
    }

    fn is_in(&self, elements: &[&str]) -> bool {
        elements.iter().any(|name| self.open.get(*name).is_some_and(|count| *count > 0))
    }

    fn start(&mut self, tag: &StartTag<usize>) {
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        let attribute = |key: &str| {
            let value = tag.attributes.get(key.as_bytes())?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        for (key, value) in &tag.attributes {
            let key = String::from_utf8_lossy(key).to_ascii_lowercase();
            let text = String::from_utf8_lossy(value).into_owned();
            let line = self.line(value.span.start);
            match role_of(&name, &key, &attribute) {
                Some(Use::One(role)) => self.add(&name, &key, role, line, text.trim().to_owned()),
                Some(Use::Set(role)) => {
                    candidates(&text).into_iter().for_each(|one| self.add(&name, &key, role, line, one));
                }
                Some(Use::Refresh) => {
                    if let Some(address) = refreshed(&text) {
                        self.add(&name, "refresh", Role::Refresh, line, address);
                    }
                }
                None if key == "style" => self.style(&text, line, &format!("<{name} style>")),
                None => self.page.texts.push(Text { line, text, kind: TextKind::Attribute }),
            }
        }
        if name == "script" {
            self.in_module = is_module(attribute("type").as_deref());
        }
        self.form(&name, &attribute);
        let watched = |list: &[&str]| list.contains(&&*name);
        let is_void = tag.self_closing && !watched(&["script", "style", "title", "textarea"]);
        if !is_void
            && (watched(&IDLE) || watched(&QUOTING) || watched(&HEADINGS) || watched(&["script", "style"]))
        {
            *self.open.entry(name).or_default() += 1;
        }
    }

    /// Notes a form, or a field of the one that was begun last.
    fn form(&mut self, element: &str, attribute: &dyn Fn(&str) -> Option<String>) {
        match element {
            "form" => {
                let is_post = attribute("method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
                let action = attribute("action").unwrap_or_default().trim().to_owned();
                let method = if is_post { "POST" } else { "GET" };
                self.page.forms.push(PageForm { action, method, ..PageForm::default() });
                self.in_form = true;
            }
            "input" | "select" | "textarea" if self.in_form => {
                let kind = attribute("type").unwrap_or_default().to_ascii_lowercase();
                let is_button = element == "input" && BUTTONS.contains(&&*kind);
                let name = attribute("name").filter(|name| !name.is_empty() && !is_button);
                let (Some(form), Some(name)) = (self.page.forms.last_mut(), name) else { return };
                if element == "input" && kind == "hidden" {
                    form.hidden.insert(name.clone());
                }
                form.fields.insert(name);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: &EndTag<usize>) {
        self.in_form &= &tag.name[..] != b"form";
        if let Some(count) = self.open.get_mut(&*String::from_utf8_lossy(&tag.name)) {
            *count = count.saturating_sub(1);
        }
    }

    fn text(&mut self, token: &Spanned<html5gum::HtmlString, usize>) {
        let text = String::from_utf8_lossy(token).into_owned();
        let line = self.line(token.span.start);
        if self.is_in(&["style"]) {
            return self.style(&text, line, "<style>");
        }
        if text.trim().is_empty() || self.is_in(&IDLE) {
            return;
        }
        let kind = if self.is_in(&["script"]) {
            if self.in_module {
                let at = |found: Found| Found { line: line + found.line - 1, ..found };
                self.page.found.extend(modules::read(&text).into_iter().map(at));
            }
            TextKind::Script
        } else if self.is_in(&QUOTING) {
            TextKind::Quoted
        } else if self.is_in(&HEADINGS) {
            TextKind::Heading
        } else {
            TextKind::Plain
        };
        self.page.texts.push(Text { line, text, kind });
    }

    fn style(&mut self, text: &str, line: usize, element: &str) {
        let is_idle = self.is_in(&IDLE);
        self.page.found.extend(style::read(text).into_iter().map(|found| Found {
            line: line + found.line - 1,
            element: format!("{element} {}", found.element),
            is_idle,
            ..found
        }));
    }

    fn add(&mut self, element: &str, key: &str, role: Role, line: usize, address: String) {
        // A fragment alone names a part of this very document (SVG 2, "URL references").
        if address.is_empty() || matches!(role, Role::Load(_)) && address.trim_start().starts_with('#') {
            return;
        }
        if role == Role::Base && self.page.base.is_none() {
            self.page.base = Some(address.clone());
        }
        let is_idle = self.is_in(&IDLE);
        self.page.found.push(Found { address, role, line, element: format!("<{element} {key}>"), is_idle });
    }
}

/// How the value of an attribute names addresses.
enum Use {
    One(Role),
    /// `srcset`.
    Set(Role),
    /// `content` of a refresh.
    Refresh,
}

/// Returns what an attribute's address is for (HTML standard, "Attributes"; SVG 2, "Linking").
fn role_of(element: &str, key: &str, attribute: &dyn Fn(&str) -> Option<String>) -> Option<Use> {
    use Use::{One, Refresh, Set};
    let load = |want| Some(One(Role::Load(want)));
    match (element, key) {
        ("a" | "area", "href" | "xlink:href") => Some(One(Role::Link)),
        ("base", "href") => Some(One(Role::Base)),
        ("form", "action") | ("button" | "input", "formaction") => Some(One(Role::Form)),
        ("script", "src") if is_module(attribute("type").as_deref()) => load(Want::Module),
        ("script", "src") => load(Want::Script),
        ("link", "href") => linked(&attribute("rel")?, attribute("as").as_deref()).map(One),
        ("link", "imagesrcset") | ("img" | "source", "srcset") => Some(Set(Role::Load(Want::Image))),
        ("img", "src") | ("video", "poster") | ("image" | "use" | "feimage", "href" | "xlink:href") => {
            load(Want::Image)
        }
        ("input", "src") => load(Want::Image),
        ("body" | "table" | "tr" | "td" | "th", "background") => load(Want::Image),
        ("iframe" | "frame", "src") => load(Want::Frame),
        ("video" | "audio" | "source" | "track" | "embed", "src") | ("object", "data") => load(Want::Other),
        ("meta", "content") if attribute("http-equiv")?.eq_ignore_ascii_case("refresh") => Some(Refresh),
        _ => None,
    }
}

fn is_module(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("module"))
}

/// Returns what a browser does with `<link rel=… as=…>`; nothing where it takes the address for a name
/// (`canonical`, `profile`).
pub(super) fn linked(rel: &str, as_what: Option<&str>) -> Option<Role> {
    let rel = rel.to_ascii_lowercase();
    let has = |word: &str| rel.split_ascii_whitespace().any(|given| given == word);
    let as_what = match as_what.map(str::to_ascii_lowercase).as_deref() {
        Some("script") => Want::Script,
        Some("style") => Want::Style,
        Some("image") => Want::Image,
        _ => Want::Other,
    };
    if has("stylesheet") {
        Some(Role::Load(Want::Style))
    } else if has("icon")
        || has("apple-touch-icon")
        || has("apple-touch-icon-precomposed")
        || has("mask-icon")
    {
        Some(Role::Load(Want::Image))
    } else if has("modulepreload") {
        Some(Role::Load(Want::Module))
    } else if has("preload") {
        Some(Role::Load(as_what))
    } else if has("manifest") {
        Some(Role::Load(Want::Other))
    } else if has("dns-prefetch") || has("preconnect") || has("prefetch") || has("prerender") {
        Some(Role::Contact)
    } else {
        None
    }
}

/// Returns the addresses of a `srcset`: each is followed by a width or density and a comma.
fn candidates(srcset: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = srcset;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (address, after) = rest.split_at(end);
        if address.is_empty() {
            return out;
        }
        out.push(address.trim_end_matches(',').to_owned());
        rest = match address.ends_with(',') {
            true => after,
            false => after.split_once(',').map_or("", |(_, after)| after),
        };
    }
}

/// Returns the address of a refresh: `5; url=/next` (HTML standard, "shared declarative refresh steps").
pub(super) fn refreshed(content: &str) -> Option<String> {
    let (_, rest) = content.split_once([';', ','])?;
    let rest = rest.trim_start();
    let address = match rest.get(..3) {
        Some(word) if word.eq_ignore_ascii_case("url") => rest[3..].trim_start().strip_prefix('=')?.trim(),
        _ => rest.trim(),
    };
    let address = address.trim_matches(['"', '\'']);
    (!address.is_empty()).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> Vec<String> {
        let show =
            |found: &Found| format!("{} {} {:?} {}", found.line, found.element, found.role, found.address);
        read(html.as_bytes()).found.iter().map(show).collect()
    }

    #[test]
    fn addresses_are_found_with_what_they_are_for() {
        let html = "<!doctype html><base href='/app/'>\n\
            <link rel='shortcut icon' href=i.ico><link REL=stylesheet\n href=\"a.css?x=1&amp;y=2\">\n\
            <link rel=canonical href=http://other.example/><link rel=dns-prefetch href=//s.example>\n\
            <meta http-equiv=Refresh content=\"0; URL='next'\">\n\
            <script src=x.js></script><script type=module src=m.js></script><script type=module>import a from './n.js'</script><script>if (a < b) '<img src=no.png>'</script>\n\
            <!-- <img src=no.png> --><img src=a.png srcset='b.png 1x, c.png 2x,d.png'>\n\
            <style>@import 'b.css';\nbody { background: url(bg.png) }</style>\n\
            <form action=/save><button formaction=/x>\n<a href=' /there '>x</a><td style='background:url(t.png)'>\n\
            <template><img src=idle.png></template><noscript><img src=no.png></noscript><textarea><img src=no.png></textarea>";
        assert_eq!(
            shown(html),
            [
                "1 <base href> Base /app/",
                "2 <link href> Load(Image) i.ico",
                "3 <link href> Load(Style) a.css?x=1&y=2",
                "4 <link href> Contact //s.example",
                "5 <meta refresh> Refresh next",
                "6 <script src> Load(Script) x.js",
                "6 <script src> Load(Module) m.js",
                "6 import Load(Module) ./n.js",
                "7 <img src> Load(Image) a.png",
                "7 <img srcset> Load(Image) b.png",
                "7 <img srcset> Load(Image) c.png",
                "7 <img srcset> Load(Image) d.png",
                "8 <style> @import Load(Style) b.css",
                "9 <style> url() Load(Other) bg.png",
                "10 <form action> Form /save",
                "10 <button formaction> Form /x",
                "11 <a href> Link /there",
                "11 <td style> url() Load(Other) t.png",
                "12 <img src> Load(Image) idle.png",
            ]
        );
        let page = read(html.as_bytes());
        assert_eq!(page.base.as_deref(), Some("/app/"));
        assert!(page.found.last().is_some_and(|found| found.is_idle));
    }

    #[test]
    fn a_part_of_the_document_is_not_loaded() {
        let page = read(
            b"<svg><use xlink:href='#folder'/><use href='/icons.svg#folder'/></svg><a href='#top'>up</a>",
        );
        let found: Vec<&str> = page.found.iter().map(|found| found.address.as_str()).collect();
        assert_eq!(found, ["/icons.svg#folder", "#top"]);
    }

    #[test]
    fn text_is_told_from_what_is_quoted() {
        let page = read(b"<title>T &amp; x</title><p>Hello <b>you</b></p>\n<pre>trace</pre><p title=tip>end");
        let texts: Vec<(usize, &str, TextKind)> =
            page.texts.iter().map(|text| (text.line, text.text.as_str(), text.kind)).collect();
        assert_eq!(
            texts,
            [
                (1, "T & x", TextKind::Heading),
                (1, "Hello ", TextKind::Plain),
                (1, "you", TextKind::Plain),
                (2, "trace", TextKind::Quoted),
                (2, "tip", TextKind::Attribute),
                (2, "end", TextKind::Plain),
            ]
        );
    }

    #[test]
    fn lines_end_as_the_standard_has_it() {
        let page = read(b"a\r<a href=b>\r\n<style>\r\np{x:url(c)}\r</style>\n<a href=d>");
        let lines: Vec<usize> = page.found.iter().map(|found| found.line).collect();
        assert_eq!(lines, [2, 4, 6]);
    }

    #[test]
    fn odd_pages_are_read_to_their_end() {
        for html in [
            "<a href=",
            "<",
            "<a <b <c href='",
            "</script>",
            "<style>",
            "<img srcset=', ,, '>",
            "\u{0}<a\u{0}>",
        ] {
            read(html.as_bytes());
        }
        assert_eq!(refreshed("5"), None);
        assert_eq!(refreshed("5; url=\"/x\"").as_deref(), Some("/x"));
        assert_eq!(refreshed("0;/y").as_deref(), Some("/y"));
        assert_eq!(refreshed("0;\u{e4}\u{e4}"), Some("\u{e4}\u{e4}".to_owned()));
    }
}
