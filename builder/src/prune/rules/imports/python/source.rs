//! The imports of a Python source, found without running it.
//!
//! A small scanner of logical lines (Python reference, "Lexical analysis"): strings and comments are taken
//! out, lines in brackets or after a backslash are joined, blocks are recognised by indentation. A whole
//! parser would be some hundred thousand lines of dependency for three kinds of statement, and would refuse
//! what another version of Python writes. What cannot be understood is passed over; each byte is looked at
//! once.

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Import {
    /// The dotted name; empty in `from . import x`.
    pub module: String,
    /// Names that are taken out of it; each may be a submodule.
    pub names: Vec<String>,
    /// Dots before the name: 0 is absolute.
    pub level: usize,
    /// Whether the program goes on without it.
    pub need: Need,
    /// Whether it is a text alone that looks like the name of a module or of something in one: it counts if
    /// it leads there.
    pub is_text: bool,
}

/// When an import happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Need {
    /// When the module is loaded.
    Sure,
    /// When a function is called.
    Late,
    /// Within `try … except ImportError`, in its handler, within `suppress(ImportError)`, or as a codec.
    Optional,
    /// Not here: for type checkers, other systems or older Pythons, or where the file is the program itself.
    Never,
}

/// Returns the imports of a source, in its order.
pub(in super::super) fn imports(source: &[u8]) -> Vec<Import> {
    let mut scan = Scan::default();
    for line in Lines::new(source) {
        scan.line(&line);
    }
    scan.found
}

/// A logical line: what is left of it as code, each string as `"…"` with what is in it if that is a name.
struct Line {
    indent: usize,
    code: String,
}

struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    fn new(source: &'a [u8]) -> Self {
        Lines { rest: source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source) }
    }

    /// Takes a string whose first quote is next, and adds it to the code.
    fn string(&mut self, code: &mut String) {
        let quote = self.rest[0];
        let triple = self.rest.starts_with(&[quote; 3]);
        let end: &[u8] = if triple { &[quote; 3] } else { &[quote] };
        self.rest = &self.rest[end.len()..];
        let start = self.rest;
        let mut length = 0;
        let mut is_closed = false;
        while let Some(byte) = self.rest.first() {
            if self.rest.starts_with(end) {
                self.rest = &self.rest[end.len()..];
                is_closed = true;
                break;
            }
            // A string that ends with its line is a fault of the source: go on after it.
            if *byte == b'\n' && !triple {
                break;
            }
            let taken = if *byte == b'\\' { 2.min(self.rest.len()) } else { 1 };
            self.rest = &self.rest[taken..];
            length += taken;
        }
        let text = &start[..length.min(start.len())];
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
        code.push('"');
        if is_closed && text.len() <= 200 && text.iter().all(is_name) {
            code.push_str(&String::from_utf8_lossy(text));
        }
        code.push('"');
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let (mut indent, mut depth, mut code) = (0, 0_usize, String::new());
        loop {
            let Some(byte) = self.rest.first().copied() else {
                return (!code.is_empty()).then_some(Line { indent, code });
            };
            match byte {
                b'\'' | b'"' => {
                    self.string(&mut code);
                    continue;
                }
                b'#' => {
                    let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
                    self.rest = &self.rest[end..];
                    continue;
                }
                b'\n' if depth == 0 => {
                    self.rest = &self.rest[1..];
                    if !code.is_empty() {
                        return Some(Line { indent, code });
                    }
                    indent = 0;
                    continue;
                }
                b'\\' if self.rest.get(1) == Some(&b'\n') => {
                    self.rest = &self.rest[2..];
                    code.push(' ');
                    continue;
                }
                b' ' if code.is_empty() => indent += 1,
                b'\t' if code.is_empty() => indent = (indent / 8 + 1) * 8,
                b'\r' | 0x0c => {}
                b' ' | b'\t' | b'\n' => {
                    if !code.ends_with(' ') {
                        code.push(' ');
                    }
                }
                _ => {
                    match byte {
                        b'(' | b'[' | b'{' => depth += 1,
                        b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    // Names beyond ASCII are legal and rare; no module of Debian has one.
                    code.push(if byte.is_ascii() { char::from(byte) } else { '\u{fffd}' });
                }
            }
            self.rest = &self.rest[1..];
        }
    }
}

/// The meaning of a block for the imports in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Plain,
    Function,
    /// The first import of a `try`.
    Try(usize),
    Optional,
    Never,
    /// `if` for newer Pythons: what its `else` imports is for older ones.
    Newer,
}

#[derive(Default)]
struct Scan {
    found: Vec<Import>,
    /// Open blocks with the indentation of their first line.
    blocks: Vec<(usize, Block)>,
}

impl Scan {
    fn line(&mut self, line: &Line) {
        // The block that ended last at this indentation: `except` and `else` go on with it.
        let mut before = None;
        while let Some((indent, block)) = self.blocks.last().copied()
            && indent >= line.indent
        {
            before = (indent == line.indent).then_some(block);
            self.blocks.pop();
        }
        let (head, tail) = split_header(&line.code);
        if let Some(head) = head {
            let block = self.block(head, before);
            self.blocks.push((line.indent, block));
        }
        for statement in tail.split(';') {
            self.statement(statement.trim());
        }
        self.names_in_strings(&line.code);
    }

    /// Returns the meaning of the block that a line opens, and marks the imports of a `try` whose handler
    /// this is.
    fn block(&mut self, head: &str, before: Option<Block>) -> Block {
        let (word, condition) = head.split_once([' ', '(']).unwrap_or((head, ""));
        let catches =
            ["ImportError", "ModuleNotFoundError", "Exception"].iter().any(|name| condition.contains(name));
        match word {
            "try" => Block::Try(self.found.len()),
            "except" if catches || condition.trim().is_empty() => {
                if let Some(Block::Try(start)) = before {
                    for import in self.found.iter_mut().skip(start) {
                        import.need = import.need.max(Need::Optional);
                    }
                }
                Block::Optional
            }
            // The next handler belongs to the same `try`.
            "except" => before.filter(|block| matches!(block, Block::Try(_))).unwrap_or(Block::Plain),
            "with" if condition.contains("suppress(") && catches => Block::Optional,
            "else" | "elif" if before == Some(Block::Newer) => Block::Never,
            "if" | "elif" => meaning(condition.trim()),
            "def" | "async" if head.contains("def ") => Block::Function,
            _ => Block::Plain,
        }
    }

    fn need(&self) -> Need {
        let needs = self.blocks.iter().map(|(_, block)| match block {
            Block::Never => Need::Never,
            Block::Optional => Need::Optional,
            Block::Function => Need::Late,
            _ => Need::Sure,
        });
        needs.max().unwrap_or(Need::Sure)
    }

    fn add(&mut self, module: &str, names: Vec<String>, level: usize, need: Need) {
        let is_name =
            |part: &str| !part.is_empty() && !part.starts_with(|letter: char| letter.is_ascii_digit());
        let is_part =
            |part: &str| is_name(part) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if module.split('.').all(is_part) || module.is_empty() && level > 0 {
            let names = names.into_iter().filter(|name| is_part(name)).collect();
            self.found.push(Import { module: module.to_owned(), names, level, need, is_text: false });
        }
    }

    fn statement(&mut self, statement: &str) {
        let need = self.need();
        let first = |clause: &str| clause.split_whitespace().next().unwrap_or_default().to_owned();
        if let Some(clauses) = statement.strip_prefix("import ") {
            for clause in clauses.split(',') {
                self.add(&first(clause), Vec::new(), 0, need);
            }
        } else if let Some(rest) = statement.strip_prefix("from")
            && rest.starts_with([' ', '.'])
            && let Some((module, names)) = split_word(rest, "import")
        {
            let module: String = module.chars().filter(|letter| !letter.is_whitespace()).collect();
            let name = module.trim_start_matches('.');
            let names =
                names.trim().trim_start_matches('(').trim_end_matches(')').split(',').map(first).collect();
            self.add(name, names, module.len() - name.len(), need);
        }
    }

    /// Finds modules that calls name (`import_module("x")`), codecs (`decode("koi8-r")`), and texts with
    /// dots.
    fn names_in_strings(&mut self, code: &str) {
        let mut before = "";
        for (index, part) in code.split('"').enumerate() {
            if index % 2 == 0 {
                before = part.trim_end();
                continue;
            }
            let need = self.need().max(Need::Optional);
            let is_call = |names: &[&str]| names.iter().any(|name| before.ends_with(name));
            if is_call(&["import_module(", "__import__("]) {
                let name = part.trim_start_matches('.');
                self.add(name, Vec::new(), part.len() - name.len(), self.need());
            } else if is_call(&["encode(", "decode(", "encoding=", "encoding =", "codecs.lookup("]) {
                let codec = part.to_ascii_lowercase().replace(['-', '.'], "_");
                self.add(&format!("encodings.{codec}"), Vec::new(), 0, need);
            } else if part.contains('.') || code.starts_with("INSTALLED_APPS") {
                // Settings name classes and packages so; of an application, Django loads these modules by
                // itself.
                let names = ["admin", "apps", "models"].map(str::to_owned).into();
                let is_app = code.starts_with("INSTALLED_APPS");
                let count = self.found.len();
                self.add(part, if is_app { names } else { Vec::new() }, 0, need);
                self.found.iter_mut().skip(count).for_each(|import| import.is_text = true);
            }
        }
    }
}

/// Splits `if x: import y` into the head of a block and what follows on its line; other lines have no head.
fn split_header(code: &str) -> (Option<&str>, &str) {
    const WORDS: &[&str] = &[
        "async", "case", "class", "def", "elif", "else", "except", "finally", "for", "if", "match", "try",
        "while", "with",
    ];
    let end = code.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(code.len());
    if !WORDS.contains(&&code[..end]) {
        return (None, code);
    }
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => return (Some(code[..at].trim_end()), &code[at + 1..]),
            _ => {}
        }
    }
    (None, "")
}

/// Splits at a word that stands by itself.
fn split_word<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let is_edge =
        |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_');
    let at = text.match_indices(word).map(|(at, _)| at).find(|at| {
        is_edge(text[..*at].chars().next_back()) && is_edge(text[at + word.len()..].chars().next())
    })?;
    Some((&text[..at], &text[at + word.len()..]))
}

/// Returns the meaning of a condition for the imports under it.
fn meaning(condition: &str) -> Block {
    const OTHER: &[&str] = &["TYPE_CHECKING", "__main__", "win32", "\"nt\"", "darwin", "cygwin", "PY2"];
    if condition.starts_with("not ") || condition.contains("!=") {
        return Block::Plain;
    }
    if condition == "False" || condition == "0" || OTHER.iter().any(|word| condition.contains(word)) {
        return Block::Never;
    }
    match condition.split_once("version_info") {
        Some((_, rest)) if rest.contains('<') => Block::Never,
        Some((_, rest)) if rest.contains('>') => Block::Newer,
        _ if condition.contains("PY3") => Block::Newer,
        _ => Block::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &str) -> Vec<String> {
        let text = |import: Import| {
            let mark = match import.need {
                Need::Sure => "",
                Need::Late => "~",
                Need::Optional => "?",
                Need::Never => "-",
            };
            let names = import.names.join("+");
            let names = if names.is_empty() { String::new() } else { format!(" {names}") };
            let quote = if import.is_text { "\"" } else { "" };
            format!("{mark}{quote}{}{}{names}", ".".repeat(import.level), import.module)
        };
        imports(source.as_bytes()).into_iter().map(text).collect()
    }

    #[test]
    fn statements_are_found_wherever_they_stand() {
        let rows: &[(&str, &[&str])] = &[
            ("import a, b.c as d\n", &["a", "b.c"]),
            ("from a.b import c as d, e\n", &["a.b c+e"]),
            ("from . import x\nfrom .. y import (z,\n  w,)  # two\n", &[". x", "..y z+w"]),
            ("from.a import b\nfrom a import *\n", &[".a b", "a"]),
            ("def f():\n    import late\n    if x: import one; import two\n", &["~late", "~one", "~two"]),
            ("import a \\\n  , b\n", &["a", "b"]),
            ("x = {'k':\n'import no'}\n'''\nimport no\n\"\"\"\n'''\nimport yes\n", &["yes"]),
            ("s = 'it\\'s'; import a\nr = r'\\'; # import no\n", &["a"]),
            ("s = f\"{x!r}: \" 'open\nimport a\n", &["a"]),
            ("importer = 1\nfrom_x = 2\nimport1 = 3\n", &[]),
            ("\u{feff}import a\r\nclass C: import b\r\n", &["a", "b"]),
            (
                "import importlib\nm = importlib.import_module('a.b')\nn = import_module(\".c\", __package__)\n",
                &["importlib", "a.b", ".c"],
            ),
            ("t.decode('koi8-r')\nopen(p, encoding='CP1252')\n", &["?encodings.koi8_r", "?encodings.cp1252"]),
            (
                "async def f():\n  import a\nM = ['app.middleware.Common', 'no']\n",
                &["~a", "?\"app.middleware.Common"],
            ),
            (
                "INSTALLED_APPS = ['blog',\n 'a.b']\n",
                &["?\"blog admin+apps+models", "?\"a.b admin+apps+models"],
            ),
            ("x = '1.5', 'a b.c', 'a..b', 'a-b.c'\n", &[]),
        ];
        for (source, expected) in rows {
            assert_eq!(told(source), *expected, "{source}");
        }
    }

    #[test]
    fn optional_ones_and_those_of_elsewhere_are_told_apart() {
        let rows: &[(&str, &[&str])] = &[
            (
                "try:\n    from _d import *\nexcept ImportError:\n    from _pyd import *\nimport a\n",
                &["?_d", "?_pyd", "a"],
            ),
            ("try:\n  import a\nexcept (KeyError, ImportError) as e:\n  pass\n", &["?a"]),
            ("try:\n  import a\nexcept KeyError:\n  import b\nexcept:\n  import c\n", &["?a", "?b", "?c"]),
            ("try:\n  import a\nfinally:\n  import b\n", &["a", "b"]),
            ("try: import a\nexcept ImportError: a = None\nimport b\n", &["?a", "b"]),
            ("with suppress(ImportError):\n  import a\n", &["?a"]),
            ("if TYPE_CHECKING:\n  import a\nelse:\n  import b\n", &["-a", "b"]),
            ("if typing.TYPE_CHECKING: import a\n", &["-a"]),
            ("if not TYPE_CHECKING:\n  import a\n", &["a"]),
            ("if sys.platform == 'win32':\n  import a\nelif x:\n  import b\n", &["-a", "b"]),
            ("if os.name != 'nt':\n  import a\n", &["a"]),
            ("if sys.version_info < (3, 9):\n  import a\nelse:\n  import b\n", &["-a", "b"]),
            ("if sys.version_info >= (3, 9):\n  import a\nelse:\n  import b\n", &["a", "-b"]),
            ("if __name__ == '__main__':\n  import a\nimport b\n", &["-a", "b"]),
            ("if False:\n\timport a\nif x:\n\timport b\n", &["-a", "b"]),
            (
                "def f():\n  try:\n    import a\n\n# note\n  except ImportError:\n    pass\n  import b\n",
                &["?a", "~b"],
            ),
        ];
        for (source, expected) in rows {
            assert_eq!(told(source), *expected, "{source}");
        }
    }

    #[test]
    fn damaged_sources_end() {
        for source in [
            "'",
            "\"\"\"",
            "(((",
            "\\",
            "from",
            "from . import",
            "import",
            "if x",
            "try:",
            "x = '\\",
            ")]}\nimport a",
        ] {
            let _ = told(source);
        }
        assert_eq!(told(")]}\nimport a"), ["a"]);
    }
}
