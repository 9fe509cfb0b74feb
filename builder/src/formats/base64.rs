//! Base64 (RFC 4648, section 4), padding included: bytes as text that survives where only text does.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};

/// Returns bytes as text, on one line.
pub fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Returns the bytes of a text without blanks; `None` for anything that is not base64, such as digits whose
/// last bits no byte has.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// As [`decode`], of the alphabet for URLs (section 5).
pub fn decode_url_safe(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_standard() {
        let rows = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in rows {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        for bad in ["Z", "Zg", "Zg=", "Zg===", "Z===", "Zm9v\n", "Zm9-", "Zg==Zg=="] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
