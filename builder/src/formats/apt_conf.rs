//! apt's configuration: nested scopes of settings, as apt.conf(5) has them.
//!
//! ```text
//! // a comment; # as well; /* and this */
//! Acquire::http::Proxy "http://proxy:3128";
//! Acquire { https { Proxy::mirror.example.org "DIRECT"; }; };
//! #clear Acquire::http::Proxy;
//! #include "/etc/apt/more.conf";
//! ```
//!
//! Choices: names are without regard to case; what is not understood is passed over, since a host's settings
//! are no input that one should fail by.

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A value; names are in lower case, parts apart by `::`. A member of a list has a name that ends with
    /// `::`.
    Value {
        /// The whole name.
        name: String,
        /// The value, perhaps empty.
        value: String,
    },
    /// `#clear`: forget a name and all below it.
    Clear(String),
    /// `#include`: read another file here.
    Include(String),
}

/// Reads the settings of a file, in their order.
pub fn parse(text: &str) -> Vec<Setting> {
    let mut scopes: Vec<String> = Vec::new();
    let (mut out, mut words) = (Vec::new(), Vec::new());
    for token in tokens(text) {
        match token {
            Token::Word(word) => words.push(word),
            Token::Open => {
                statement(&scopes, &words, &mut out);
                let name = words.first().map(|word| word.text.to_lowercase());
                scopes.push(name.unwrap_or_default());
                words.clear();
            }
            Token::Close | Token::End => {
                statement(&scopes, &words, &mut out);
                words.clear();
                if token == Token::Close {
                    scopes.pop();
                }
            }
        }
    }
    out
}

#[derive(PartialEq)]
struct Word {
    text: String,
    quoted: bool,
}

#[derive(PartialEq)]
enum Token {
    Word(Word),
    Open,
    Close,
    End,
}

/// Most scopes inside each other, and the longest name of them all: longer ones are ignored. Settings of apt
/// have up to six.
const MAX_SCOPES: usize = 64;
const MAX_SCOPES_BYTES: usize = 4096;

fn statement(scopes: &[String], words: &[Word], out: &mut Vec<Setting>) {
    let Some((first, rest)) = words.split_first() else { return };
    if scopes.len() > MAX_SCOPES || scopes.iter().map(String::len).sum::<usize>() > MAX_SCOPES_BYTES {
        return;
    }
    let lower = |word: &Word| word.text.to_lowercase();
    match (first.text.as_str(), rest) {
        ("#clear", names) => out.extend(names.iter().map(|name| Setting::Clear(lower(name)))),
        ("#include", files) => out.extend(files.iter().map(|file| Setting::Include(file.text.clone()))),
        (_, []) if first.quoted && !scopes.is_empty() => {
            let name = format!("{}::", scopes.join("::"));
            out.push(Setting::Value { name, value: first.text.clone() });
        }
        // The head of a block, or a name without a value.
        (_, []) => {}
        (_, [value, ..]) => {
            let names: Vec<String> = scopes.iter().cloned().chain([lower(first)]).collect();
            out.push(Setting::Value { name: names.join("::"), value: value.text.clone() });
        }
    }
}

/// Splits a text into words and the characters between them, without comments.
fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut word: Option<Word> = None;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        let directive = ["#clear", "#include", "#x-apt-"].iter().any(|known| rest.starts_with(known));
        rest = match next {
            '#' if !directive => behind(after, "\n"),
            '/' if after.starts_with('/') => behind(after, "\n"),
            '/' if after.starts_with('*') => behind(&after[1..], "*/"),
            '"' => {
                let (quoted, behind) = after.split_once('"').unwrap_or((after, ""));
                let word = word.get_or_insert(Word { text: String::new(), quoted: true });
                word.text.push_str(quoted);
                behind
            }
            '{' | '}' | ';' => {
                out.extend(word.take().map(Token::Word));
                out.push(match next {
                    '{' => Token::Open,
                    '}' => Token::Close,
                    _ => Token::End,
                });
                after
            }
            _ if next.is_whitespace() => {
                out.extend(word.take().map(Token::Word));
                after
            }
            _ => {
                word.get_or_insert(Word { text: String::new(), quoted: false }).text.push(next);
                after
            }
        };
    }
    out.extend(word.map(Token::Word));
    out.push(Token::End);
    out
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// Returns the meaning of a word of apt's: yes or no, or neither. (apt's `StringToBool`; numbers are 0 and
/// 1.)
pub fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "no" | "false" | "without" | "off" | "disable" | "0" | "00" | "0x0" => Some(false),
        "yes" | "true" | "with" | "on" | "enable" | "1" | "01" | "0x1" => Some(true),
        _ => None,
    }
}

/// Returns whether apt reads a file of a directory such as `sources.list.d`, whose names end with one of some
/// extensions; an empty one stands for none. (apt's `GetListOfFilesInDir`.)
pub fn is_read(name: &str, extensions: &[&str]) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    !name.starts_with('.') && name.bytes().all(good) && extensions.contains(&extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let one = |setting: Setting| match setting {
            Setting::Value { name, value } => format!("{name}={value}"),
            Setting::Clear(name) => format!("clear {name}"),
            Setting::Include(file) => format!("include {file}"),
        };
        parse(text).into_iter().map(one).collect()
    }

    #[test]
    fn settings_are_read_in_every_form() {
        let rows: &[(&str, &[&str])] = &[
            ("Acquire::http::Proxy \"http://p:1\";", &["acquire::http::proxy=http://p:1"]),
            ("acquire { HTTP { Proxy \"http://p:1\" ; }; };", &["acquire::http::proxy=http://p:1"]),
            ("Acquire::http { Proxy::m.org \"DIRECT\"; }", &["acquire::http::proxy::m.org=DIRECT"]),
            ("// A \"1\";\n# B \"2\";\n/* C\n\"3\"; */ D \"4\"; # E \"5\";", &["d=4"]),
            ("A \"x//y#z;{}\";B\n\n  y;C z", &["a=x//y#z;{}", "b=y", "c=z"]),
            ("A { \"1\"; \"2\"; };B \"3\";", &["a::=1", "a::=2", "b=3"]),
            ("A \"1\" { B \"2\"; };", &["a=1", "a::b=2"]),
            ("#clear A::B C;\n#include \"/x y\";", &["clear a::b", "clear c", "include /x y"]),
            ("}; A \"1\"; \"", &["a=1"]),
            ("", &[]),
            ("Dir::Cache \"\";", &["dir::cache="]),
        ];
        for (text, expected) in rows {
            assert_eq!(shown(text), *expected, "{text}");
        }
    }

    #[test]
    fn scopes_without_end_are_passed_over() {
        let settings = parse(&"a { \"b\"; ".repeat(20_000));
        assert_eq!(settings.len(), MAX_SCOPES);
        let long = format!("\"{}\" {{ {} }} A \"1\";", "a".repeat(MAX_SCOPES_BYTES + 1), "\"b\";".repeat(9));
        assert_eq!(shown(&long), ["a=1"]);
    }

    #[test]
    fn words_and_names_are_taken_as_apt_takes_them() {
        assert_eq!(["No", "OFF", "disable", "without", "0"].map(truth), [Some(false); 5]);
        assert_eq!(["Yes", "ON", "enable", "with", "1"].map(truth), [Some(true); 5]);
        assert_eq!(["", "maybe", "2"].map(truth), [None; 3]);
        let lists = ["list", "sources"];
        for (name, expected) in [
            ("debian.sources", true),
            ("a-b_c.1.list", true),
            ("debian.sources.disabled", false),
            ("debian.list~", false),
            (".debian.list", false),
            ("de bian.list", false),
            ("debian", false),
        ] {
            assert_eq!(is_read(name, &lists), expected, "{name}");
        }
        assert!(is_read("01proxy", &["", "conf"]) && is_read("a.conf", &["", "conf"]));
        assert!(!is_read("01proxy.save", &["", "conf"]));
    }
}
