//! What maintainer scripts give to other users, as far as their text tells: `chown` and `install -o` of paths below `/var`.
//!
//! Not a shell: a command counts whether or not its branch is taken, and of variables only those are known that the script
//! sets to plain words. What it says is the same on every machine.

use std::collections::HashMap;

/// Words of the shell after which a command begins.
const BEFORE_COMMANDS: [&str; 9] = ["!", "do", "elif", "else", "if", "then", "until", "while", "{"];

/// Returns the paths that a script gives to another user than root, as globs.
pub(super) fn given(script: &str) -> Vec<String> {
    let mut variables: HashMap<String, String> = HashMap::new();
    let mut paths = Vec::new();
    for command in commands(script) {
        let words: Vec<String> = command.iter().map(|word| expanded(word, &variables)).collect();
        let mut words = words.iter().map(|word| &word[..]).skip_while(|word| BEFORE_COMMANDS.contains(word));
        match words.next() {
            Some("chown") => paths.extend(chowned(words)),
            Some("install") => paths.extend(installed(words)),
            Some(word) => {
                if let Some((name, value)) = word.split_once('=')
                    && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
                {
                    variables.insert(name.to_owned(), value.to_owned());
                }
            }
            None => {}
        }
    }
    paths.retain(|path| path.starts_with("/var/") && !path.contains('$'));
    paths
}

/// Returns whether an owner as `chown(1)` takes it ("user", "user:group", "user.group") is known to be another than root.
pub(super) fn is_other(owner: &str) -> bool {
    let user = owner.split([':', '.']).next().unwrap_or_default();
    !["", "root", "0", "#0"].contains(&user)
}

fn chowned<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut words = words.skip_while(|word| word.starts_with('-'));
    match words.next() {
        Some(owner) if is_other(owner) => words.map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn installed<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut paths = Vec::new();
    let mut other = false;
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        match word {
            "-o" | "--owner" => other |= words.next().is_some_and(is_other),
            "-g" | "-m" | "-t" | "-S" => {
                words.next();
            }
            word => match word.strip_prefix("--owner=").or_else(|| word.strip_prefix("-o")) {
                Some(owner) => other |= is_other(owner),
                None => paths.push(word.to_owned()),
            },
        }
    }
    if other { paths } else { Vec::new() }
}

/// Puts the variables that are known into a word; another one stays as it is, with its `$`.
fn expanded(word: &str, variables: &HashMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        out += before;
        let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let (name, length) = match after.strip_prefix('{').and_then(|after| after.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let length = after.find(|c| !is_name(c)).unwrap_or(after.len());
                (&after[..length], length)
            }
        };
        match variables.get(name) {
            Some(value) => out += value,
            None => out += &format!("${}", &after[..length]),
        }
        rest = &after[length..];
    }
    out + rest
}

/// Splits a script into commands and those into words, quotes taken away. What is between single quotes cannot be a
/// variable, but no script writes a path with `$` in it.
fn commands(script: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = script.chars().peekable();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => match characters.next() {
                Some('\n') | None => {}
                Some(next) => word.get_or_insert_default().push(next),
            },
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, '#') if word.is_none() => while characters.next_if(|c| *c != '\n').is_some() {},
            (None, c) if c.is_whitespace() || ";&|()".contains(c) => {
                if let Some((word, last)) = word.take().zip(commands.last_mut()) {
                    last.push(word);
                }
                if c == '\n' || !c.is_whitespace() {
                    commands.push(Vec::new());
                }
            }
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some((word, last)) = word.zip(commands.last_mut()) {
        last.push(word);
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_a_script_gives_away_are_found() {
        for (script, expected) in [
            ("chown www-data:www-data /var/lib/tea", &["/var/lib/tea"][..]),
            ("chown -R -h www-data /var/lib/tea /var/cache/tea", &["/var/lib/tea", "/var/cache/tea"]),
            ("chown root:www-data /var/lib/tea", &[]),
            ("chown :tea /var/lib/tea; chown 0:0 /var/lib/tea", &[]),
            ("chown tea /etc/tea", &[]),
            (
                "D=/var/lib\nif true; then chown tea: \"$D/tea\" \\\n  ${D}/pot; fi",
                &["/var/lib/tea", "/var/lib/pot"],
            ),
            ("chown tea $UNKNOWN/tea && chown tea '/var/lib/a b'", &["/var/lib/a b"]),
            ("# chown tea /var/lib/no\n[ -d /x ] || chown tea /var/lib/tea/*", &["/var/lib/tea/*"]),
            ("install -d -o tea -g tea -m 0750 /var/lib/tea", &["/var/lib/tea"]),
            ("install -d --owner=root /var/lib/tea; install -otea x /var/lib/pot", &["/var/lib/pot"]),
            ("echo 'chown tea /var/lib/tea'", &[]),
            ("$D chown ${ \" '", &[]),
        ] {
            assert_eq!(given(script), expected, "{script}");
        }
    }
}
