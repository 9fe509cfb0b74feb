//! The first line of a `License` field: names of licences with `and`, `or` and commas between.
//!
//! Source: copyright-format 1.0, "License specification, syntax": `and` binds closer than `or`, and an
//! operator after a comma binds least of all. Choice: `, and` beside `, or` says nothing of which comes first,
//! so such a line is not taken.

/// Most words of a line that is taken.
const MAX_WORDS: usize = 400;

/// A licence or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Synopsis {
    /// One, by its short name, an exception included.
    Name(String),
    /// All of them hold.
    All(Vec<Synopsis>),
    /// One of them is chosen.
    Any(Vec<Synopsis>),
}

type Term<'t> = dyn FnMut(&str) -> String + 't;

impl Synopsis {
    /// Returns the parts of an SPDX expression that hold together, each licence named by a function.
    pub(super) fn clauses(&self, term: &mut Term<'_>) -> Vec<String> {
        match self {
            Synopsis::All(parts) => parts.iter().flat_map(|part| part.clauses(term)).collect(),
            Synopsis::Name(name) => vec![term(name)],
            Synopsis::Any(parts) => {
                let mut out: Vec<String> = Vec::new();
                for part in parts {
                    let text = match &part.clauses(term)[..] {
                        [one] => one.clone(),
                        several => format!("({})", several.join(" AND ")),
                    };
                    if !out.contains(&text) {
                        out.push(text);
                    }
                }
                match &out[..] {
                    [one] => vec![one.clone()],
                    several => vec![format!("({})", several.join(" OR "))],
                }
            }
        }
    }
}

/// Reads a line; `None` where it is not as the format has it.
pub(super) fn parse(line: &str) -> Option<Synopsis> {
    let mut words: Vec<&str> = Vec::new();
    for word in line.split_ascii_whitespace() {
        match word.strip_suffix(',') {
            Some(before) => words.extend([before, ","]),
            None => words.push(word),
        }
    }
    if words.is_empty() || words.len() > MAX_WORDS {
        return None;
    }
    let mut outer: Vec<(&str, Vec<&str>)> = vec![("", Vec::new())];
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        match (*word, rest.peek().copied()) {
            (",", Some(operator @ (&"and" | &"or"))) => {
                outer.push((operator, Vec::new()));
                rest.next();
            }
            (",", _) => return None,
            _ => outer.last_mut()?.1.push(word),
        }
    }
    let joined = outer.get(1).map(|(operator, _)| *operator);
    if outer.iter().skip(1).any(|(operator, _)| Some(*operator) != joined) {
        return None;
    }
    let parts = outer.iter().map(|(_, words)| without_commas(words)).collect::<Option<Vec<_>>>()?;
    Some(join(parts, joined == Some("or")))
}

/// Reads words without commas: `or` between groups with `and` between.
fn without_commas(words: &[&str]) -> Option<Synopsis> {
    let all = |group: &[&str]| {
        let names = group.split(|word| *word == "and").map(name).collect::<Option<Vec<_>>>()?;
        Some(join(names, false))
    };
    let groups = words.split(|word| *word == "or").map(all).collect::<Option<Vec<_>>>()?;
    Some(join(groups, true))
}

/// Reads one licence: a word, or one with an exception.
fn name(words: &[&str]) -> Option<Synopsis> {
    let is_one = match words {
        [one] => !one.is_empty(),
        [_, "with", _] => true,
        [_, "with", .., "exception"] => true,
        _ => false,
    };
    is_one.then(|| Synopsis::Name(words.join(" ")))
}

fn join(mut parts: Vec<Synopsis>, any: bool) -> Synopsis {
    match parts.len() {
        1 => parts.remove(0),
        _ if any => Synopsis::Any(parts),
        _ => Synopsis::All(parts),
    }
}
