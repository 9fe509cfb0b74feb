//! The recipe's values for debconf, as lines for debconf-set-selections(1).

use std::collections::BTreeMap;

use super::ConfigureError;
use crate::{
    recipe::{Answer, nearest},
    store::Store,
    unpack::Unpacked,
};

/// A question of a package.
struct Question<'a> {
    package: &'a str,
    kind: String,
    choices: Option<Vec<String>>,
}

/// Returns `OWNER QUESTION TYPE VALUE` for each value, sorted by question.
///
/// # Errors
/// A question that no package has, that asks for a password, or whose type does not fit the value.
pub(super) fn lines(
    answers: &BTreeMap<String, Answer>,
    unpacked: &Unpacked,
    store: &Store,
) -> Result<Vec<String>, ConfigureError> {
    if answers.is_empty() {
        return Ok(Vec::new());
    }
    if unpacked.get("debconf").is_none() {
        return Err(ConfigureError::Lacks("debconf"));
    }
    let questions = questions(unpacked, store)?;
    let refused =
        |question: &String, reason: String| ConfigureError::Answer { question: question.clone(), reason };
    let line = |(name, answer): (&String, &Answer)| {
        let Some(question) = questions.get(name) else {
            let near = nearest(name, questions.keys().map(String::as_str));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(refused(name, format!("no package of the root has it{near}")));
        };
        let Question { package, kind, choices } = question;
        let known = |text: &String| choices.as_ref().is_none_or(|choices| choices.contains(text));
        let wanted = match (kind.as_str(), answer) {
            ("string", Answer::Text(_)) | ("boolean", Answer::Switch(_)) => None,
            ("select", Answer::Text(text)) if known(text) => None,
            ("multiselect", Answer::List(list)) if list.iter().all(known) => None,
            ("string", _) => Some("text".to_owned()),
            ("boolean", _) => Some("true or false".to_owned()),
            ("select" | "multiselect", _) => {
                let each = if kind == "select" { "one" } else { "a list" };
                Some(match choices {
                    Some(choices) => format!("{each} of {}", choices.join(", ")),
                    None => format!("{each} of its choices"),
                })
            }
            ("password", _) => {
                let reason =
                    format!("{package} asks for a password, which all who have the artifact would know");
                return Err(refused(name, reason));
            }
            (other, _) => return Err(refused(name, format!("of the type {other}, it wants no answer"))),
        };
        match wanted {
            None => Ok(format!("{package} {name} {kind} {answer}")),
            Some(wanted) => Err(refused(name, format!("{package} wants {wanted}"))),
        }
    };
    answers.iter().map(line).collect()
}

/// Returns all questions, each with the first package that has it.
fn questions<'a>(
    unpacked: &'a Unpacked,
    store: &Store,
) -> Result<BTreeMap<String, Question<'a>>, ConfigureError> {
    let mut out = BTreeMap::new();
    for package in &unpacked.packages {
        let Some(digest) = package.control_files.get("templates") else { continue };
        let text = String::from_utf8_lossy(&store.read(digest)?).into_owned();
        for stanza in text.split("\n\n") {
            let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let (Some(name), Some(kind)) = (field("Template:"), field("Type:")) else { continue };
            // With a variable in them they are known only when the question is put.
            let choices = field("Choices:").or(field("Choices-C:")).filter(|text| !text.contains("${"));
            let choices = choices.map(|text| text.split(", ").map(|item| item.trim().to_owned()).collect());
            let question = Question { package: &package.locked.name, kind: kind.to_owned(), choices };
            out.entry(name.to_owned()).or_insert(question);
        }
    }
    Ok(out)
}
