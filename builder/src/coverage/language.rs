//! The language of a file of an app.

use serde::{Deserialize, Serialize};

use crate::tree::TreePath;

/// The language of a file, or what it is else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// PHP.
    Php,
    /// Python.
    Python,
    /// Ruby.
    Ruby,
    /// Perl.
    Perl,
    /// JavaScript that runs on the server.
    Node,
    /// Classes and archives of Java.
    Java,
    /// Lua.
    Lua,
    /// Tcl.
    Tcl,
    /// Erlang.
    Erlang,
    /// Shell.
    Shell,
    /// Programs and libraries.
    Compiled,
    /// Templates of pages and messages.
    Template,
    /// Scripts, styles, images and fonts, for browsers.
    Asset,
    /// What an app says in one language of people.
    Translation,
    /// All else.
    Data,
}

use Language::{
    Asset, Compiled, Data, Erlang, Java, Lua, Node, Perl, Php, Python, Ruby, Shell, Tcl, Template,
    Translation,
};

/// Endings of names, each of which says what the file is.
const ENDINGS: [(Language, &[&str]); 13] = [
    (Php, &["php", "php5", "php7", "phps", "inc", "phar"]),
    (Python, &["py", "pyc", "pyw"]),
    (Ruby, &["rb", "rake", "ru", "gemspec"]),
    (Perl, &["pl", "pm", "psgi", "al"]),
    (Java, &["class", "jar", "war"]),
    (Lua, &["lua"]),
    (Tcl, &["tcl", "tm"]),
    (Erlang, &["beam", "erl"]),
    (Shell, &["sh", "bash"]),
    (
        Template,
        &[
            "blade",
            "ejs",
            "erb",
            "ftl",
            "haml",
            "handlebars",
            "hbs",
            "jade",
            "jinja",
            "jinja2",
            "j2",
            "jsp",
            "latte",
            "liquid",
            "mako",
            "mustache",
            "phtml",
            "pug",
            "slim",
            "tmpl",
            "tpl",
            "tt",
            "tt2",
            "twig",
            "vm",
            "xhtml",
        ],
    ),
    (
        Asset,
        &[
            "avif",
            "bmp",
            "css",
            "eot",
            "gif",
            "htc",
            "ico",
            "jpeg",
            "jpg",
            "less",
            "map",
            "mp3",
            "ogg",
            "otf",
            "png",
            "sass",
            "scss",
            "svg",
            "svgz",
            "swf",
            "ttf",
            "wasm",
            "wav",
            "webmanifest",
            "webp",
            "woff",
            "woff2",
        ],
    ),
    (Translation, &["mo", "po", "pot", "qm"]),
    (
        Data,
        &[
            "cfg", "conf", "csv", "dat", "db", "dtd", "gz", "ini", "json", "list", "md", "pem", "rng", "sql",
            "toml", "txt", "xml", "xsd", "xsl", "yaml", "yml", "zip",
        ],
    ),
];
/// Endings of scripts for Node or for a browser.
const SCRIPTS: [&str; 6] = ["cjs", "coffee", "js", "jsx", "mjs", "ts"];
/// Directories whose scripts are for a browser, also beside code of Node.
const FOR_BROWSERS: [&str; 9] =
    ["assets", "css", "dist", "htdocs", "public", "static", "webroot", "www", "js"];
/// Directories whose pages are templates.
const OF_TEMPLATES: [&str; 7] = ["layouts", "partials", "template", "templates", "tpl", "view", "views"];
/// Interpreters of the first line of a script, by the beginning of their names.
const INTERPRETERS: [(Language, &[&str]); 9] = [
    (Php, &["php"]),
    (Python, &["python"]),
    (Ruby, &["ruby"]),
    (Perl, &["perl"]),
    (Node, &["node"]),
    (Lua, &["lua"]),
    (Tcl, &["tclsh", "wish"]),
    (Erlang, &["escript"]),
    (Shell, &["sh", "dash", "bash"]),
];

impl Language {
    /// Returns true for what an app does rather than what it shows or says.
    pub fn is_code(self) -> bool {
        self <= Template
    }

    /// Returns its name for reading.
    pub fn name(self) -> &'static str {
        match self {
            Php => "PHP",
            Python => "Python",
            Ruby => "Ruby",
            Perl => "Perl",
            Node => "JavaScript on the server",
            Java => "Java",
            Lua => "Lua",
            Tcl => "Tcl",
            Erlang => "Erlang",
            Shell => "shell",
            Compiled => "compiled code",
            Template => "templates",
            Asset => "scripts, styles, images",
            Translation => "translations",
            Data => "data",
        }
    }

    /// Returns the language of a file. `head` returns its first bytes, which are asked for where its name says
    /// nothing; `has_node` says whether the root has Node.
    pub(super) fn of(path: &TreePath, has_node: bool, head: impl FnOnce() -> Vec<u8>) -> Self {
        let name = String::from_utf8_lossy(path.file_name()).to_ascii_lowercase();
        let ending =
            name.rsplit_once('.').map_or("", |(stem, ending)| if stem.is_empty() { "" } else { ending });
        let is_below = |list: &[&str]| {
            let parts = path.as_bytes().split(|byte| *byte == b'/').rev().skip(1);
            parts.into_iter().any(|part| list.iter().any(|name| part.eq_ignore_ascii_case(name.as_bytes())))
        };
        if matches!(ending, "htm" | "html") {
            return if is_below(&OF_TEMPLATES) { Template } else { Asset };
        }
        if SCRIPTS.contains(&ending) {
            return if has_node && !is_below(&FOR_BROWSERS) { Node } else { Asset };
        }
        if name.ends_with(".tpl.php") {
            return Template;
        }
        if let Some((language, _)) = ENDINGS.iter().find(|(_, endings)| endings.contains(&ending)) {
            return *language;
        }
        let head = head();
        if head.starts_with(b"\x7fELF") {
            return Compiled;
        }
        let Some(line) = head.strip_prefix(b"#!") else { return Data };
        let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default());
        let words = line.split_ascii_whitespace().map(|word| word.rsplit('/').next().unwrap_or_default());
        let program =
            words.into_iter().find(|word| *word != "env" && !word.starts_with('-')).unwrap_or_default();
        let known = INTERPRETERS.iter().find(|(_, names)| names.iter().any(|name| program.starts_with(name)));
        known.map_or(Data, |(language, _)| *language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_first_lines_tell_the_language() {
        let of = |path: &str, has_node, head: &str| {
            Language::of(&TreePath::new(path.as_bytes()).expect("good"), has_node, || {
                head.as_bytes().to_vec()
            })
        };
        for (path, head, expected) in [
            ("usr/share/wiki/index.php", "", Php),
            ("usr/share/wiki/templates/page.html", "", Template),
            ("usr/share/wiki/page.html", "", Asset),
            ("usr/share/wiki/page.tpl.php", "", Template),
            ("usr/share/wiki/.htaccess", "", Data),
            ("usr/share/wiki/a.JS", "", Asset),
            ("usr/bin/wiki", "#!/usr/bin/env -S python3 -B\n", Python),
            ("usr/bin/wiki", "#! /bin/sh\n", Shell),
            ("usr/bin/wiki", "\u{7f}ELF", Compiled),
            ("usr/lib/x.so.1", "\u{7f}ELF", Compiled),
            ("usr/lib/wiki.cgi", "#!/usr/bin/perl -w\n", Perl),
            ("usr/lib/LICENSE", "Free", Data),
        ] {
            assert_eq!(of(path, false, head), expected, "{path} {head}");
        }
        assert_eq!(of("usr/share/nodejs/wiki/main.js", true, ""), Node);
        assert_eq!(of("usr/share/nodejs/wiki/public/page.js", true, ""), Asset);
    }
}
