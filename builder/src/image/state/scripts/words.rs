//! A shell script as commands and words, and what is known of its variables.

use std::{
    cell::LazyCell,
    collections::{HashMap, VecDeque},
};

/// The words of a command, quotes taken away. `$` stands in it as one of three, as quotes tell.
pub(super) type Command = Vec<String>;

/// First word of what defines a function; the second is its name.
pub(super) const FUNCTION: &str = "\u{3}";

/// A `$` between double quotes: what it leads to is one word.
const QUOTED: char = '\u{1}';

/// A `$` that leads to nothing: quoted or escaped.
const PLAIN: char = '\u{2}';

/// Words of the shell after which a command begins.
const BEFORE_COMMANDS: [&str; 9] = ["!", "do", "elif", "else", "if", "then", "until", "while", "{"];

/// Longest value that is known; no path is longer (PATH_MAX).
const MAX_VALUE_BYTES: usize = 4096;

/// Longest word that is looked into: more is a program or a text, and no path.
const MAX_WORD_BYTES: usize = 4 * MAX_VALUE_BYTES;

/// Most variables that are known.
const MAX_VARIABLES: usize = 1000;

/// Splits a script into commands. Words of the shell such as `do` and `{` stand alone, as commands of one
/// word.
pub(super) fn commands(script: &str) -> Vec<Command> {
    let mut reader = Reader::default();
    let lines = LazyCell::new(|| ends_of_lines(script));
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match (reader.quote, c) {
            (_, '\u{1}'..='\u{3}') => {}
            (Some(open), c) if c == open => reader.quote = None,
            (Some('\''), c) => reader.push(if c == '$' { PLAIN } else { c }),
            (_, '\\') => {
                let next = rest.chars().next();
                rest = &rest[next.map_or(0, char::len_utf8)..];
                match next {
                    Some('\n') | None => {}
                    Some('$') => reader.push(PLAIN),
                    Some(next) => reader.push(next),
                }
            }
            (Some(_), c) => reader.push(if c == '$' { QUOTED } else { c }),
            (None, '\'' | '"') => {
                reader.word.get_or_insert_default();
                reader.quote = Some(c);
            }
            (None, '#') if reader.word.is_none() => rest = &rest[rest.find('\n').unwrap_or(rest.len())..],
            (None, '(') => {
                reader.end_word();
                match rest.trim_start_matches([' ', '\t']).strip_prefix(')') {
                    Some(after) if reader.define() => rest = after,
                    _ => reader.end_command(),
                }
            }
            (None, '\n') => {
                reader.end_command();
                for end in reader.here_documents.drain(..) {
                    let at = script.len() - rest.len();
                    // One that does not end is no here-document.
                    let ends = lines.get(&end[..]).map_or(&[][..], |ends| ends);
                    let next = ends.get(ends.partition_point(|behind| *behind <= at));
                    rest = next.map_or(rest, |behind| &script[*behind..]);
                }
            }
            (None, ';' | '&' | '|' | ')') => reader.end_command(),
            (None, c) if c.is_whitespace() => reader.end_word(),
            (None, c) => reader.push(c),
        }
    }
    reader.end_command();
    reader.commands
}

/// Returns where the lines of a script end, by what a here-document may end with. A script may have as many
/// of these as it has lines, so that none is looked for line by line.
fn ends_of_lines(script: &str) -> HashMap<&str, Vec<usize>> {
    let mut ends: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut at = 0;
    for line in script.split_inclusive('\n') {
        at += line.len();
        ends.entry(line.trim_end_matches('\n').trim_start_matches('\t')).or_default().push(at);
    }
    ends
}

/// The words that were read of a script.
#[derive(Default)]
struct Reader {
    commands: Vec<Command>,
    command: Command,
    word: Option<String>,
    quote: Option<char>,
    /// The lines that end the here-documents of this line.
    here_documents: VecDeque<String>,
    /// Whether the next word is such a line.
    is_here_document: bool,
}

impl Reader {
    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        let end = word.strip_prefix("<<").filter(|rest| !rest.starts_with('<'));
        let end = if self.is_here_document {
            Some(&word[..])
        } else {
            end.map(|rest| rest.trim_start_matches('-'))
        };
        self.is_here_document = end == Some("");
        if let Some(end) = end.filter(|end| !end.is_empty()) {
            self.here_documents.push_back(end.to_owned());
        }
        self.command.push(word);
    }

    /// Takes a command of one word as the name of a function; returns false if it is something else.
    fn define(&mut self) -> bool {
        let mut words = std::mem::take(&mut self.command);
        words.retain(|word| word != "function");
        match <[String; 1]>::try_from(words) {
            Ok([name]) => {
                self.commands.push(vec![FUNCTION.to_owned(), name]);
                true
            }
            Err(words) => {
                self.command = words;
                false
            }
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        let mut words = std::mem::take(&mut self.command);
        let before = words.iter().take_while(|word| BEFORE_COMMANDS.contains(&&word[..])).count();
        self.commands.extend(words.drain(..before).map(|word| vec![word]));
        if !words.is_empty() {
            self.commands.push(words);
        }
    }
}

/// Returns the name and value of a word that sets a variable.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    word.split_once('=').filter(|(name, _)| !name.is_empty() && name.chars().all(is_of_name))
}

fn is_of_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

/// The knowledge at a place of a script.
#[derive(Clone, Default)]
pub(super) struct Known {
    variables: HashMap<String, String>,
    /// The values of `$1` and its like.
    pub arguments: Vec<String>,
}

impl Known {
    /// Returns how much it is.
    pub fn len(&self) -> usize {
        self.variables.len() + self.arguments.len()
    }

    /// Sets a variable to a plain value. One too many, or too long, is not known.
    pub fn set(&mut self, name: &str, value: String) {
        let is_room = self.variables.len() < MAX_VARIABLES || self.variables.contains_key(name);
        if is_room && value.len() <= MAX_VALUE_BYTES {
            self.variables.insert(name.to_owned(), value);
        } else {
            self.variables.remove(name);
        }
    }

    /// Sets a variable to what a word of the script means.
    pub fn assign(&mut self, name: &str, word: &str) {
        let value = self.expand(word, false).join(" ");
        self.set(name, value);
    }

    /// Takes the first argument away.
    pub fn shift(&mut self) {
        self.arguments.drain(..self.arguments.len().min(1));
    }

    /// Returns the words that a word of the script means. What is not known stays as it is, with its `$`.
    pub fn expanded(&self, word: &str) -> Vec<String> {
        self.expand(word, true)
    }

    fn expand(&self, word: &str, may_split: bool) -> Vec<String> {
        if word.len() > MAX_WORD_BYTES {
            return vec!["$".to_owned()];
        }
        let mut out = vec![String::new()];
        let mut length = 0;
        let mut rest = word;
        while let Some((at, dollar)) = rest.char_indices().find(|(_, c)| ['$', QUOTED, PLAIN].contains(c)) {
            append(&mut out, &rest[..at]);
            rest = &rest[at + dollar.len_utf8()..];
            let text = if dollar == PLAIN { "" } else { parameter(rest) };
            rest = &rest[text.len()..];
            let values = if dollar == PLAIN { None } else { self.values(text) };
            for (index, value) in values.iter().flatten().enumerate() {
                length += value.len();
                if index > 0 {
                    out.push(String::new());
                }
                if dollar == '$' && may_split {
                    append_split(&mut out, value);
                } else {
                    append(&mut out, value);
                }
            }
            if values.is_none() {
                append(&mut out, "$");
                append(&mut out, &text.replace([QUOTED, PLAIN], "$"));
            }
            if length > MAX_VALUE_BYTES {
                // Longer than any path, and so on purpose.
                return vec!["$".to_owned()];
            }
        }
        append(&mut out, rest);
        out.retain(|word| !word.is_empty());
        if out.is_empty() && !word.starts_with('$') {
            out.push(String::new());
        }
        out
    }

    /// Returns what stands for a parameter as it is written behind its `$`.
    fn values<'a>(&'a self, text: &'a str) -> Option<Vec<&'a str>> {
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let text = inner.unwrap_or(text);
        let name = text.find(|c| !is_of_name(c)).map_or(text, |end| &text[..end]);
        let rest = &text[name.len()..];
        if ["@", "*"].contains(&text) && !self.arguments.is_empty() {
            return Some(self.arguments.iter().map(|argument| &argument[..]).collect());
        }
        let number = name.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let value = match number {
            Some(index) => self.arguments.get(index).map(|argument| &argument[..]),
            None => self.variables.get(name).map(|value| &value[..]),
        };
        let default = [":-", ":=", "-", "="].iter().find_map(|sign| rest.strip_prefix(sign));
        let default = default.filter(|text| !text.contains(['$', QUOTED, PLAIN]));
        match rest {
            "" => value.map(|value| vec![value]),
            _ => default.map(|default| vec![value.unwrap_or(default)]),
        }
    }
}

/// Returns the parameter at the beginning of a text: `{…}`, `@`, a digit or a name.
fn parameter(text: &str) -> &str {
    let length = match text.chars().next() {
        Some('{') => text.find('}').map_or(0, |end| end + 1),
        Some('@' | '*' | '0'..='9') => 1,
        _ => text.find(|c| !is_of_name(c)).unwrap_or(text.len()),
    };
    &text[..length]
}

fn append(out: &mut [String], text: &str) {
    if let Some(last) = out.last_mut() {
        last.push_str(text);
    }
}

fn append_split(out: &mut Vec<String>, text: &str) {
    for (index, part) in text.split(char::is_whitespace).enumerate() {
        if index > 0 {
            out.push(String::new());
        }
        append(out, part);
    }
}
