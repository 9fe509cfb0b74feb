//! Small texts: values filled in, forms encoded, HTML entities decoded, excerpts for people.

/// Replaces each `{name}` (letters, digits, `_`) for which `value` gives something.
pub(super) fn fill_in(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        out += before;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = after[1..].find(|c: char| !is_name(c)).unwrap_or(after.len() - 1);
        let name = &after[1..=length];
        let closed = after[1 + length..].starts_with('}') && !name.is_empty();
        match if closed { value(name) } else { None } {
            Some(filled) => {
                out += &filled;
                rest = &after[length + 2..];
            }
            None => {
                out.push('{');
                rest = &after[1..];
            }
        }
    }
    out + rest
}

/// Encodes a text as a form's name or value (`application/x-www-form-urlencoded`, URL standard 5).
pub(crate) fn form_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

/// Replaces a text in bytes that are no text.
pub(crate) fn replaced(bytes: &[u8], text: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(bytes, text) {
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(with);
        from = at + text.len();
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

/// Returns the first lines that say something, cut to a readable width.
pub(super) fn excerpt(bytes: &[u8]) -> Vec<String> {
    const LINES: usize = 8;
    const WIDTH: usize = 150;
    let head = &bytes[..bytes.len().min(1 << 14)];
    let text = String::from_utf8_lossy(head);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES);
    let plain = |c: char| if c.is_control() { '\u{b7}' } else { c };
    lines.map(|line| line.chars().take(WIDTH).map(plain).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in() {
        let value = |name: &str| (name == "a_1").then(|| "{x}".to_owned());
        for (text, expected) in [
            ("", ""),
            ("{a_1}", "{x}"),
            ("/{a_1}/{b}", "/{x}/{b}"),
            ("{\"k\":{a_1}}", "{\"k\":{x}}"),
            ("{a_1", "{a_1"),
            ("{{a_1}}", "{{x}}"),
            ("{}{é}", "{}{é}"),
        ] {
            assert_eq!(fill_in(text, value), expected, "{text}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form_encode("a b&c=ü~*"), "a+b%26c%3D%C3%BC%7E*");
    }
}
