//! `[debian.debconf]`: values for the questions that packages ask while they are configured.

use std::{collections::BTreeMap, fmt};

use toml::Spanned;

use super::{RecipeError, check::Checker};

/// The value of a question of debconf, by the type of the question (debconf-devel(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `"text"`, for `string` and `select`; also numbers.
    Text(String),
    /// `true` or `false`, for `boolean`.
    Switch(bool),
    /// `["one", "two"]`, for `multiselect`.
    List(Vec<String>),
}

/// The value as debconf keeps it.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Text(text) => f.write_str(text),
            Answer::Switch(switch) => write!(f, "{switch}"),
            Answer::List(list) => {
                // A comma inside of a choice has a backslash before it.
                let escaped: Vec<String> = list.iter().map(|item| item.replace(',', "\\,")).collect();
                f.write_str(&escaped.join(", "))
            }
        }
    }
}

/// Words in the name of a question whose value is a secret.
const SECRET: [&str; 7] = ["pass", "passphrase", "passwd", "password", "passwords", "pwd", "secret"];

pub(super) fn answers(
    check: &Checker<'_>,
    keys: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
) -> Result<BTreeMap<String, Answer>, RecipeError> {
    let mut out = BTreeMap::new();
    for (name, value) in keys {
        let question = name.get_ref();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._/".contains(&byte);
        if !question.contains('/') || !question.bytes().all(plain) {
            let rule = format!("debian.debconf `{question}` is not a question (such as `tea/colour`)");
            return Err(check.rule(name.span(), rule));
        }
        let words =
            |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| SECRET.contains(&word));
        if words(&question.to_ascii_lowercase()) {
            let rule = format!(
                "debian.debconf `{question}` asks for a secret, which all who have the package would know: \
                 make it per grain in [setup]"
            );
            return Err(check.rule(name.span(), rule));
        }
        let answer = answer(value.get_ref()).ok_or_else(|| {
            let rule =
                format!("debian.debconf `{question}` must be text, true, false, a number or a list of text");
            check.rule(value.span(), rule)
        })?;
        if answer.to_string().contains(|c: char| c.is_control()) {
            let rule = format!("debian.debconf `{question}` must be of one line");
            return Err(check.rule(value.span(), rule));
        }
        out.insert(question.clone(), answer);
    }
    Ok(out)
}

fn answer(value: &toml::Value) -> Option<Answer> {
    match value {
        toml::Value::String(text) => Some(Answer::Text(text.clone())),
        toml::Value::Integer(number) => Some(Answer::Text(number.to_string())),
        toml::Value::Boolean(switch) => Some(Answer::Switch(*switch)),
        toml::Value::Array(list) => {
            list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>().map(Answer::List)
        }
        _ => None,
    }
}
