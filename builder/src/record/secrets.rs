//! Passwords that a person typed while they recorded: in fields that pages show as such, in fields that are named so,
//! and in `Authorization: Basic`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use regex::Regex;

use super::{Exchange, inputs, sent};
use crate::formats::base64;

/// Stands in the place of a password that is not to be written.
const INSTEAD: &str = "tea-for-two";

/// Bytes from which on a password is one wherever it is sent.
const LONG: usize = 8;

/// The name under which the password of `Authorization: Basic` is asked about.
const BASIC: &str = "Authorization";

static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)pass(wd|word|phrase|wort)?(\b|_|\d|$)|pwd|^pw\d?$|secret").expect("compiles")
});

/// Passwords, and what is written in their place.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    fields: BTreeSet<String>,
    /// Each that is not to be written, and what stands for it.
    instead: BTreeMap<String, String>,
    /// All that were typed.
    typed: BTreeSet<String>,
}

/// Returns the fields in which passwords were sent that a recipe would show, in their order.
pub fn fields(exchanges: &[Exchange]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (field, value) in found(exchanges) {
        if value != INSTEAD && !out.contains(&field) {
            out.push(field);
        }
    }
    out
}

/// Returns each field that has a password, with it.
fn found(exchanges: &[Exchange]) -> Vec<(String, String)> {
    let shown = exchanges.iter().filter(|exchange| exchange.response.kind().contains("html"));
    let shown = shown.flat_map(|exchange| inputs::read(&exchange.response.body));
    let shown: BTreeSet<String> =
        shown.filter(|input| input.kind == "password").map(|input| input.name).collect();
    let mut out = Vec::new();
    for exchange in exchanges {
        let own = exchange.messages.iter().filter(|message| !message.is_from_app && message.is_text);
        let said = own.flat_map(|message| sent::message_fields(&message.payload));
        for (name, value) in sent::fields(exchange).into_iter().chain(said) {
            if !value.is_empty() && (shown.contains(&name) || NAMED.is_match(&name)) {
                out.push((name, value));
            }
        }
        if let Some((_, password)) = exchange.header("authorization").and_then(basic) {
            out.push((BASIC.to_owned(), password));
        }
    }
    out
}

/// Returns name and password of `Basic` credentials (RFC 7617).
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, rest) = value.split_once(' ')?;
    let bytes = scheme.eq_ignore_ascii_case("basic").then(|| base64::decode(rest.trim()))??;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()))
}

impl Secrets {
    /// Finds the passwords of a recording; those of `written` fields stay as they are.
    pub fn of(exchanges: &[Exchange], written: &BTreeSet<String>) -> Self {
        let mut secrets = Secrets::default();
        let found = found(exchanges);
        let stay: BTreeSet<&String> =
            found.iter().filter(|(field, _)| written.contains(field)).map(|(_, value)| value).collect();
        for (field, value) in &found {
            secrets.fields.insert(field.clone());
            secrets.typed.insert(value.clone());
            if value == INSTEAD || stay.contains(value) || secrets.instead.contains_key(value) {
                continue;
            }
            // A wrong password and the right one stay apart.
            let instead = match secrets.instead.len() {
                0 => INSTEAD.to_owned(),
                more => format!("{INSTEAD}-{}", more + 1),
            };
            secrets.instead.insert(value.clone(), instead);
        }
        secrets
    }

    /// Returns whether a value is a password, or has one in it.
    pub fn is_in(&self, text: &str) -> bool {
        self.typed.iter().any(|typed| text.contains(typed.as_str()))
    }

    /// Returns what a field's value is written as, where it is not to be written itself. A long one counts in any field, such
    /// as one that repeats it; a short one may be a name as well.
    pub fn instead(&self, field: &str, value: &str) -> Option<&str> {
        let is_secret = value.len() >= LONG || self.fields.contains(field);
        let instead = self.instead.get(value).filter(|_| is_secret)?;
        Some(instead)
    }

    /// Returns a text with each password that is not to be written replaced. For bodies whose fields are not apart.
    pub fn replaced(&self, text: &str) -> String {
        self.instead
            .iter()
            .fold(text.to_owned(), |text, (value, instead)| super::replace_whole(&text, value, instead))
    }

    /// Returns the value of a header with the password of `Basic` replaced, where it is not to be written.
    pub fn authorization(&self, value: &str) -> String {
        match basic(value).and_then(|(name, password)| Some((name, self.instead.get(&password)?))) {
            Some((name, instead)) => {
                format!("Basic {}", base64::encode(format!("{name}:{instead}").as_bytes()))
            }
            None => value.to_owned(),
        }
    }
}
