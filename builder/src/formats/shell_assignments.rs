//! Assignments of shell texts (`NAME=value`): files of /etc/default, init scripts and maintainer scripts, as far as
//! they can be told without running them.
//!
//! Values are literal words with quotes, and `$NAME`, `${NAME}`, `${NAME:-default}` of assignments before them.
//! Conditions are not looked at. A value that wants more than that (`$(…)`, patterns) is not known.

use std::collections::BTreeMap;

/// Assignments by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignments {
    /// The values that are known, with the line of the last of each, from 1.
    values: BTreeMap<String, (String, usize)>,
}

impl Assignments {
    /// Reads a text; assignments that stand already (of a file that was read before) may be used in it. Where
    /// `override_them` is false, what stands already is not changed.
    pub fn read(&mut self, text: &str, override_them: bool) {
        let mut begun = String::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(more) = line.strip_suffix('\\') {
                begun.push_str(more);
                continue;
            }
            let whole = std::mem::take(&mut begun) + line;
            let whole = whole.strip_prefix("export ").unwrap_or(&whole);
            let Some((name, value)) = whole.split_once('=') else { continue };
            if !is_name(name) || !override_them && self.values.contains_key(name) {
                continue;
            }
            match self.value(value) {
                Some(value) => drop(self.values.insert(name.to_owned(), (value, index + 1))),
                None if override_them => drop(self.values.remove(name)),
                None => {}
            }
        }
    }

    /// Returns a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.as_str())
    }

    /// Returns the line of the last assignment to a name, from 1.
    pub fn line(&self, name: &str) -> Option<usize> {
        self.values.get(name).map(|(_, line)| *line)
    }

    /// Returns all names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, (value, _))| (name.as_str(), value.as_str()))
    }

    /// Returns the first word of a text as the shell would have it, as far as that can be told.
    fn value(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut quote = None;
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match (letter, quote) {
                ('\'', Some('\'')) | ('"', Some('"')) => quote = None,
                (_, Some('\'')) => out.push(letter),
                ('\'' | '"', None) => quote = Some(letter),
                ('\\', _) => out.extend(letters.next()),
                ('`', _) => return None,
                ('$', _) => out.push_str(&self.variable(&mut letters)?),
                (_, None) if letter.is_whitespace() || letter == ';' || letter == '#' => break,
                _ => out.push(letter),
            }
        }
        quote.is_none().then_some(out)
    }

    fn variable(&self, letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
        let braced = letters.next_if_eq(&'{').is_some();
        let mut name = String::new();
        while let Some(letter) = letters.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
            name.push(letter);
        }
        let known = self.get(&name).map(str::to_owned);
        if !braced {
            return is_name(&name).then(|| known.unwrap_or_default());
        }
        let mut rest = String::new();
        loop {
            match letters.next()? {
                '}' => break,
                '{' | '$' | '`' => return None,
                letter => rest.push(letter),
            }
        }
        if !is_name(&name) {
            return None;
        }
        match rest.strip_prefix(":-").or(rest.strip_prefix(":=")).or(rest.strip_prefix('-')) {
            Some(default) => {
                let default = default.trim_matches(['"', '\'']).to_owned();
                Some(known.filter(|value| !value.is_empty()).unwrap_or(default))
            }
            None if rest.is_empty() => Some(known.unwrap_or_default()),
            None => None,
        }
    }

    /// Returns a word with its `$NAME` and `${NAME}` filled in as systemd does: names that are not known are empty,
    /// and a word that is one variable alone becomes as many words as its value has.
    pub fn fill(&self, word: &str) -> Vec<String> {
        if let Some(name) = word.strip_prefix('$').filter(|name| is_name(name)) {
            return super::systemd_unit::words(self.get(name).unwrap_or_default());
        }
        let mut out = String::new();
        let mut rest = word;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else { return vec![word.to_owned()] };
            out.push_str(self.get(name).unwrap_or_default());
            rest = after;
        }
        vec![out + rest]
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_without_running_anything() {
        let mut known = Assignments::default();
        known.read("A=1\n  B=\"$A and ${A}2\" # why\nexport C='$A'\nD=$(date)\nE=${X:-7}\nF=a\\\nb\n", true);
        let found: Vec<(&str, &str)> = known.iter().collect();
        assert_eq!(found, [("A", "1"), ("B", "1 and 12"), ("C", "$A"), ("E", "7"), ("F", "ab")]);
        assert_eq!(known.line("B"), Some(2));
        known.read("A=9\nG=$A\n", false);
        assert_eq!((known.get("A"), known.get("G")), (Some("1"), Some("1")));
        assert_eq!(known.fill("$B"), ["1", "and", "12"]);
        assert_eq!(known.fill("--x=${A}.${NONE}"), ["--x=1."]);
    }

    #[test]
    fn what_is_not_known_takes_back_what_was() {
        let mut known = Assignments::default();
        known.read("A=1\nA=`date`\nB=\"open\n", true);
        assert_eq!(known.iter().count(), 0);
    }
}
