//! Relations between packages: `Depends`, `Provides`, `Conflicts` and their kin.
//!
//! ```text
//! libc6 (>= 2.36), default-mta | mail-transport-agent, python3:any, foo [amd64] <!nocheck>
//! ```
//!
//! A field is a list of groups apart by commas; a group is a list of alternatives apart by `|`.
//! Source: deb-control(5), Debian Policy 7.1. Choices: empty groups and alternatives are passed
//! over; a list of architectures that leaves ours out drops its alternative; no build profile is
//! active, so `<x>` drops its alternative and `<!x>` does not; what is left is never an empty group.

use crate::formats::version::Operator;

/// One alternative of a group, or one member of `Provides`, `Conflicts` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Name of a real or virtual package.
    pub name: &'a str,
    /// The text behind the name's colon: `any`, `native` or an architecture.
    pub qualifier: Option<&'a str>,
    /// The versions that will do; `None`: all.
    pub versions: Option<(Operator, &'a str)>,
}

/// Alternatives, the first written first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// As written, without blanks at both ends.
    pub text: &'a str,
    /// In the order of the text.
    pub alternatives: Vec<Relation<'a>>,
}

/// A relation that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a relation between packages", .0.escape_debug())]
pub struct InvalidRelation(pub String);

impl<'a> Relation<'a> {
    /// Returns whether a version will do.
    pub fn admits(&self, version: &str) -> bool {
        self.versions.is_none_or(|(operator, wanted)| operator.holds(version, wanted))
    }
}

impl std::fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        if let Some(qualifier) = self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        if let Some((operator, version)) = self.versions {
            write!(f, " ({} {version})", operator.as_str())?;
        }
        Ok(())
    }
}

/// Returns the groups of a field for an architecture.
///
/// # Errors
/// The first alternative that cannot be read.
pub fn parse<'a>(field: &'a str, architecture: &str) -> Result<Vec<Group<'a>>, InvalidRelation> {
    let mut groups = Vec::new();
    for text in field.split(',') {
        let text = text.trim_ascii();
        let mut alternatives = Vec::new();
        for alternative in alternatives_of(text) {
            alternatives.extend(relation(alternative, architecture).ok_or_else(|| invalid(alternative))?);
        }
        if !alternatives.is_empty() {
            groups.push(Group { text, alternatives });
        }
    }
    Ok(groups)
}

/// Checks that [`parse`] can read a field, without keeping anything.
///
/// # Errors
/// The first alternative that cannot be read.
pub fn check(field: &str, architecture: &str) -> Result<(), InvalidRelation> {
    let mut all = field.split(',').flat_map(alternatives_of);
    all.try_for_each(|one| relation(one, architecture).map(drop).ok_or_else(|| invalid(one)))
}

fn alternatives_of(group: &str) -> impl Iterator<Item = &str> {
    group.split('|').map(str::trim_ascii).filter(|alternative| !alternative.is_empty())
}

fn invalid(alternative: &str) -> InvalidRelation {
    InvalidRelation(alternative.chars().take(200).collect())
}

/// Reads one alternative. `None`: it cannot be read; `Some(None)`: it is for others.
fn relation<'a>(text: &'a str, architecture: &str) -> Option<Option<Relation<'a>>> {
    let end = text.find(|c: char| c.is_ascii_whitespace() || "([<".contains(c)).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let (name, qualifier) = match name.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (name, None),
    };
    if !is_name(name) || !qualifier.is_none_or(is_name) {
        return None;
    }
    let mut versions = None;
    let mut ours = true;
    loop {
        rest = rest.trim_ascii_start();
        let Some(open) = rest.chars().next() else { break };
        let close = match open {
            '(' => ')',
            '[' => ']',
            '<' => '>',
            _ => return None,
        };
        let (inner, after) = rest[1..].split_once(close)?;
        let inner = inner.trim_ascii();
        match open {
            '(' if versions.is_none() => versions = Some(constraint(inner)?),
            '[' => ours &= lists(inner, architecture),
            // No profile is active: each word must be a negated one.
            '<' => ours &= inner.split_ascii_whitespace().all(|word| word.starts_with('!')),
            _ => return None,
        }
        rest = after;
    }
    Some(ours.then_some(Relation { name, qualifier, versions }))
}

fn constraint(text: &str) -> Option<(Operator, &str)> {
    let end = text.find(|c| !"<>=".contains(c))?;
    let operator = match &text[..end] {
        "<<" => Operator::Earlier,
        "<=" | "<" => Operator::EarlierOrEqual,
        "=" => Operator::Equal,
        ">=" | ">" => Operator::LaterOrEqual,
        ">>" => Operator::Later,
        _ => return None,
    };
    let version = text[end..].trim_ascii();
    (!version.is_empty() && version.bytes().all(|b| b.is_ascii_graphic())).then_some((operator, version))
}

/// Returns whether a list of architectures, all plain or all negated, takes one in.
fn lists(list: &str, architecture: &str) -> bool {
    let names = |word: &str| {
        let word = word.strip_prefix("linux-").unwrap_or(word);
        word == architecture || word == "any" || word.strip_prefix("any-") == Some(architecture)
    };
    let mut negated = false;
    for word in list.split_ascii_whitespace() {
        match word.strip_prefix('!') {
            Some(word) if names(word) => return false,
            Some(_) => negated = true,
            None if names(word) => return true,
            None => {}
        }
    }
    negated
}

/// Returns whether a text can be the name of a package; wider than Policy, which forbids capitals.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: &str) -> Result<String, InvalidRelation> {
        let groups = parse(field, "amd64")?;
        let one = |g: &Group| g.alternatives.iter().map(Relation::to_string).collect::<Vec<_>>().join(" | ");
        Ok(groups.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn reads_relations() {
        let rows = [
            ("", ""),
            ("a", "a"),
            ("a, b|c ,, d", "a, b | c, d"),
            ("a (>= 1:2-3)|b(<<4),\n c", "a (>= 1:2-3) | b (<< 4), c"),
            ("a (> 1), b (< 2), c (= 3), d(>>4)", "a (>= 1), b (<= 2), c (= 3), d (>> 4)"),
            ("python3:any (>= 3.11~), libc6:amd64", "python3:any (>= 3.11~), libc6:amd64"),
            ("a [amd64] | b [i386], c [!amd64], d [!i386 !arm64], e [linux-any]", "a, d, e"),
            ("a <!nocheck>, b <cross>, c <!x> <!y>, d <!x y>", "a, c"),
            ("a (= 1) [amd64] <!x>", "a (= 1)"),
        ];
        for (field, expected) in rows {
            assert_eq!(shown(field).expect(field), expected, "{field:?}");
            assert_eq!(check(field, "amd64"), Ok(()), "{field:?}");
        }
        assert_eq!(parse(" a  |b ", "amd64").expect("good")[0].text, "a  |b");
    }

    #[test]
    fn refuses_what_is_none() {
        for bad in [
            "a b",
            "(>= 1)",
            "a (>= 1",
            "a ()",
            "a (~ 1)",
            "a (=)",
            "a (=1) (=2)",
            "ä",
            "a:",
            "a [amd64",
            "../x",
        ] {
            let error = parse(bad, "amd64").expect_err(bad);
            assert_eq!(check(&format!("x, {bad}"), "amd64"), Err(error.clone()));
            assert_eq!(
                error.to_string(),
                format!("`{}` is not a relation between packages", bad.escape_debug())
            );
        }
    }
}
