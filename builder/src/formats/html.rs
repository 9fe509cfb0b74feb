//! Entities of HTML: the few that servers write.

/// Decodes the entities that servers write into attribute values: the five of XML, `&nbsp;`, and numbers.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, after) = rest.split_at(at);
        out += before;
        // The longest entity known here is `&#x10ffff;`.
        let end = after.bytes().take(12).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&after[1..end])?, end))) {
            Some((character, end)) => {
                out.push(character);
                rest = &after[end + 1..];
            }
            None => {
                out.push('&');
                rest = &after[1..];
            }
        }
    }
    out + rest
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        "nbsp" => return Some('\u{a0}'),
        _ => {}
    }
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    code.ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded() {
        for (text, expected) in [
            ("a &amp; b", "a & b"),
            ("&lt;&#39;&#x27;&quot;&gt;", "<''\">"),
            ("&amp;amp;", "&amp;"),
            ("&unknown; & &#xffffffff; &", "&unknown; & &#xffffffff; &"),
            ("&é;", "&é;"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}
