//! Unit files of systemd (systemd.syntax(7)), as packages ship them, with where each line stands.
//!
//! Only reading: sections, keys and values, and a command line taken apart (systemd.service(5), "Command
//! lines"). What is not in that form is passed over, as systemd does.

/// A unit file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    lines: Vec<Line>,
}

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    section: String,
    key: String,
    value: String,
    number: usize,
}

impl Unit {
    /// Reads a text.
    pub fn parse(text: &str) -> Self {
        let mut lines = Vec::new();
        let mut section = String::new();
        let mut all = text.lines().enumerate();
        while let Some((index, first)) = all.next() {
            let mut line = first.trim().to_owned();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            // A line that ends with a backslash goes on; comments between are passed over.
            while let Some(begun) = line.strip_suffix('\\') {
                let begun = begun.trim_end().to_owned();
                let Some((_, next)) = all.next() else {
                    line = begun;
                    break;
                };
                let next = next.trim();
                line = if next.starts_with(['#', ';']) { begun + " \\" } else { format!("{begun} {next}") };
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                lines.push(Line { section: section.clone(), key, value, number: index + 1 });
            }
        }
        Unit { lines }
    }

    /// Returns the values of a key, each with its line from 1. An empty value takes back those before it.
    pub fn all(&self, section: &str, key: &str) -> Vec<(&str, usize)> {
        let mut out = Vec::new();
        for line in self.lines.iter().filter(|line| line.section == section && line.key == key) {
            match line.value.as_str() {
                "" => out.clear(),
                value => out.push((value, line.number)),
            }
        }
        out
    }

    /// Returns the last value of a key.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.all(section, key).last().map(|(value, _)| *value)
    }
}

/// Takes a command line or a list of assignments apart at blanks, with quotes and C escapes.
pub fn words(value: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut letters = value.chars().peekable();
    while letters.peek().is_some() {
        let mut word = String::new();
        let mut quote = None;
        let mut is_word = false;
        while let Some(letter) = letters.next() {
            match (letter, quote) {
                ('\\', _) => match letters.next() {
                    Some('n') => word.push('\n'),
                    Some('t') => word.push('\t'),
                    Some('s') => word.push(' '),
                    Some(other) => word.push(other),
                    None => {}
                },
                ('"' | '\'', None) => (quote, is_word) = (Some(letter), true),
                (_, Some(open)) if letter == open => quote = None,
                (_, None) if letter.is_whitespace() => break,
                _ => word.push(letter),
            }
        }
        if is_word || !word.is_empty() {
            out.push(word);
        }
    }
    out
}

/// Returns the command of `ExecStart=` without the letters before its program that change how it is run
/// (`@`, `-`, `:`, `+`, `!`).
pub fn command(value: &str) -> Vec<String> {
    let mut words = words(value.trim_start_matches(['-', ':', '+', '!', '|']));
    if let Some(rest) = words.first().and_then(|program| program.strip_prefix('@').map(str::to_owned)) {
        // The second word is what the program is to take for its name.
        words[0] = rest;
        if words.len() > 1 {
            words.remove(1);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# kettle\n[Unit]\nDescription=Tea\n[Service]\nExecStart=\nExecStart=-/usr/bin/kettle \\\n  # how\n  \
                        --lid 'shut tight' \\\n --n=2\nEnvironment=\"A=b c\" D=e\nUser = tea\n";

    #[test]
    fn lines_go_on_and_are_numbered() {
        let unit = Unit::parse(TEXT);
        let found = unit.all("Service", "ExecStart");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, 6);
        assert_eq!(command(found[0].0), ["/usr/bin/kettle", "--lid", "shut tight", "--n=2"]);
        assert_eq!(unit.get("Service", "User"), Some("tea"));
        assert_eq!(unit.get("Unit", "User"), None);
        assert_eq!(words(unit.get("Service", "Environment").expect("is there")), ["A=b c", "D=e"]);
    }

    #[test]
    fn words_before_a_program_are_no_part_of_it() {
        assert_eq!(command("@/sbin/tea kettle -f"), ["/sbin/tea", "-f"]);
        assert_eq!(command("+-/sbin/tea"), ["/sbin/tea"]);
        assert_eq!(words("a\\ b \"\" 'c\"d'"), ["a b", "", "c\"d"]);
    }
}
