//! The fields of the forms on a page.

use html5gum::{DefaultEmitter, Token, Tokenizer};

/// An `<input>` with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its type, in lower case.
    pub kind: String,
    /// Its value.
    pub value: String,
}

/// Returns the inputs of a page, in its order.
pub fn read(html: &[u8]) -> Vec<Input> {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut inputs = Vec::new();
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        let Token::StartTag(tag) = token else { continue };
        if *tag.name != b"input"[..] {
            continue;
        }
        let attribute = |key: &str| {
            let value = tag.attributes.get(key.as_bytes());
            value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let name = attribute("name");
        if !name.is_empty() {
            inputs.push(Input {
                name,
                kind: attribute("type").to_ascii_lowercase(),
                value: attribute("value"),
            });
        }
    }
    inputs
}
