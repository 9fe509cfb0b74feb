//! Where a .deb lies below its archive's root.

use std::borrow::Cow;

/// Returns a path in its plain form: home-made indexes write `./pool/a.deb`.
///
/// It may have any character that a request can have: requests are escaped as apt escapes them.
///
/// # Errors
/// The fault, as one lower-case clause: a path that leaves its place, or that names no file.
pub fn plain(path: &str) -> Result<Cow<'_, str>, &'static str> {
    if path.is_empty() {
        return Err("is empty");
    }
    if path.starts_with('/') {
        return Err("is absolute");
    }
    if path.split('/').any(|part| part == "..") {
        return Err("leaves its place");
    }
    // A server that decodes a path twice, or takes a backslash for a slash, gets no such path.
    if path.contains(|c: char| c.is_control() || c == '\\') {
        return Err("holds a character that no path of an archive has");
    }
    let plain: Cow<'_, str> = match path.split('/').any(|part| part == ".") {
        false => Cow::Borrowed(path),
        true => {
            let parts: Vec<&str> = path.split('/').filter(|part| *part != ".").collect();
            Cow::Owned(parts.join("/").trim_start_matches('/').to_owned())
        }
    };
    match plain.is_empty() || plain.ends_with('/') {
        true => Err("names no file"),
        false => Ok(plain),
    }
}

/// Checks that a path is in its plain form.
///
/// # Errors
/// As [`plain`].
pub fn check(path: &str) -> Result<(), &'static str> {
    match plain(path)? {
        Cow::Borrowed(_) => Ok(()),
        Cow::Owned(_) => Err("is not in its plain form"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_made_plain() {
        let rows = [
            ("pool/a_1.deb", "pool/a_1.deb"),
            ("./a.deb", "a.deb"),
            (".//a.deb", "a.deb"),
            ("././pool/./a.deb", "pool/a.deb"),
            ("pool//a.deb", "pool//a.deb"),
            ("a_1:2+b~c@d=e%3af (g).deb", "a_1:2+b~c@d=e%3af (g).deb"),
            ("größe.deb", "größe.deb"),
            ("a?b#c.deb", "a?b#c.deb"),
            ("http:x/a.deb", "http:x/a.deb"),
            ("...deb", "...deb"),
        ];
        for (given, expected) in rows {
            assert_eq!(plain(given).as_deref(), Ok(expected), "{given}");
            assert_eq!(check(given).is_ok(), given == expected, "{given}");
        }
    }

    #[test]
    fn what_leaves_its_place_is_refused() {
        let rows = [
            ("", "is empty"),
            ("/a.deb", "is absolute"),
            ("..", "leaves its place"),
            ("pool/../../a.deb", "leaves its place"),
            ("./..", "leaves its place"),
            (".", "names no file"),
            ("./", "names no file"),
            ("pool/", "names no file"),
            ("a\0.deb", "holds a character that no path of an archive has"),
            ("a\n.deb", "holds a character that no path of an archive has"),
            ("..\\a.deb", "holds a character that no path of an archive has"),
        ];
        for (given, expected) in rows {
            assert_eq!(plain(given), Err(expected), "{given:?}");
        }
    }
}
