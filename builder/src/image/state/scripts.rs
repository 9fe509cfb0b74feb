//! The files that maintainer scripts give to other users, as far as their text shows: `chown`, `install -o`
//! and `find -exec chown` of paths below `/var`.
//!
//! Not a shell, and nothing is run: a command counts whether or not its branch is taken. Of variables only
//! those are known that the script sets to plain words; functions are followed where they are called by name,
//! and `for` loops over words. What it says is the same on every machine, and bounded, however the script is
//! made.

mod words;

use std::collections::HashMap;

use words::{Command, FUNCTION, Known, commands};

/// How much work one script is worth, in words and their pieces of 16 bytes. Those of Debian take some
/// thousands.
const WORK: usize = 500_000;

/// Functions and loops inside each other.
const MAX_DEPTH: usize = 12;

/// Returns the paths that a script gives to another user than root, as globs.
pub(in super::super) fn given(script: &str) -> Vec<String> {
    let commands = commands(script);
    let mut walk = Walk { functions: HashMap::new(), known: Known::default(), paths: Vec::new(), left: WORK };
    walk.through(&commands, 0);
    walk.paths.retain(|path| path.starts_with("/var/") && !path.contains('$'));
    walk.paths
}

/// Returns whether an owner as `chown(1)` takes it ("user", "user:group", "user.group") is known to be
/// another than root.
pub(super) fn is_other(owner: &str) -> bool {
    let user = owner.split([':', '.']).next().unwrap_or_default();
    !["", "root", "0", "#0"].contains(&user)
}

/// A walk through a script.
struct Walk<'a> {
    /// Bodies by name.
    functions: HashMap<&'a str, &'a [Command]>,
    known: Known,
    paths: Vec<String>,
    /// Work that is left; with none left the walk ends.
    left: usize,
}

impl<'a> Walk<'a> {
    fn through(&mut self, mut commands: &'a [Command], depth: usize) {
        while let Some((command, rest)) = commands.split_first() {
            commands = rest;
            if depth > MAX_DEPTH || self.left == 0 {
                return;
            }
            match command.first().map_or("", |word| word) {
                FUNCTION => {
                    if let Some((body, rest)) = self.group(commands, "{", "}") {
                        commands = rest;
                        self.define(command, body, depth);
                    }
                }
                "for" => {
                    if let Some((body, rest)) = self.group(commands, "do", "done") {
                        commands = rest;
                        self.repeat(command, body, depth);
                    }
                }
                _ => self.command(command, depth),
            }
        }
    }

    fn spend(&mut self, work: usize) {
        self.left = self.left.saturating_sub(work);
    }

    /// Returns what stands between the words that begin and end a group, and what follows; `None` if it does
    /// not begin here.
    fn group(
        &mut self,
        commands: &'a [Command],
        open: &str,
        close: &str,
    ) -> Option<(&'a [Command], &'a [Command])> {
        let mut depth = 0_usize;
        for (at, command) in commands.iter().take(self.left).enumerate() {
            let word = command.first().map_or("", |word| word);
            depth += usize::from(word == open);
            if depth == 0 {
                return None;
            }
            depth -= usize::from(word == close);
            if depth == 0 {
                self.spend(at);
                return Some((&commands[1..at], &commands[at + 1..]));
            }
        }
        self.spend(commands.len());
        None
    }

    /// Remembers a function, and looks through it without knowing what it is called with.
    fn define(&mut self, command: &'a Command, body: &'a [Command], depth: usize) {
        let Some(name) = command.get(1) else { return };
        self.functions.insert(name, body);
        self.inside(Vec::new(), body, depth);
    }

    /// Looks through a function's body; what it sets is not known behind it.
    fn inside(&mut self, arguments: Vec<String>, body: &'a [Command], depth: usize) {
        self.spend(self.known.len());
        let before = self.known.clone();
        self.known.arguments = arguments;
        self.through(body, depth + 1);
        self.known = before;
    }

    /// Looks through the body of `for NAME [in WORD…]` once for each word.
    fn repeat(&mut self, command: &Command, body: &'a [Command], depth: usize) {
        let Some(name) = command.get(1) else { return };
        let words = match command.get(2) {
            Some(_) => self.expanded(command.get(3..).unwrap_or_default()),
            None => self.known.arguments.clone(),
        };
        for word in words {
            self.known.set(name, word);
            self.through(body, depth + 1);
        }
    }

    fn expanded(&mut self, words: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        for word in words {
            if self.left == 0 {
                break;
            }
            let more = self.known.expanded(word);
            self.spend(1 + more.len() + (word.len() + more.iter().map(String::len).sum::<usize>()) / 16);
            out.extend(more);
        }
        out
    }

    fn command(&mut self, command: &'a Command, depth: usize) {
        let is_prefix = |word: &String| ["export", "local", "readonly"].contains(&&word[..]);
        let sets = command.first().is_some_and(is_prefix);
        let words = &command[usize::from(sets)..];
        let assigned = words.iter().take_while(|word| words::assignment(word).is_some()).count();
        self.spend(1 + assigned);
        if sets || assigned == words.len() {
            for (name, value) in words.iter().filter_map(|word| words::assignment(word)) {
                self.spend(value.len() / 16);
                self.known.assign(name, value);
            }
            return;
        }
        let words = self.expanded(&words[assigned..]);
        let mut rest = words.iter().map(|word| &word[..]);
        match rest.next() {
            Some("chown") => self.paths.extend(chowned(rest)),
            Some("install") => self.paths.extend(installed(rest)),
            Some("find") => self.paths.extend(found(rest)),
            Some("shift") => self.known.shift(),
            Some(name) => {
                if let Some(body) = self.functions.get(name).copied() {
                    self.inside(words[1..].to_vec(), body, depth);
                }
            }
            None => {}
        }
    }
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

/// `find PATH… -exec chown OWNER {} +`.
fn found<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let words: Vec<&str> = words.collect();
    let paths = words.iter().take_while(|word| !word.starts_with('-')).map(|path| (*path).to_owned());
    let after = words.iter().skip_while(|word| **word != "chown").skip(1);
    let owner = after.copied().find(|word| !word.starts_with('-'));
    if owner.is_some_and(is_other) { paths.collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests;
