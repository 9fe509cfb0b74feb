//! Names of suites, as sources.list(5) has them.
//!
//! A suite is a name (`bookworm`), a name of several parts (`bookworm/mongodb-org/7.0`), both below `dists/`,
//! or the exact path of a directory, which ends with a slash (`./`, `stable/`). An exact path has no
//! components and no pockets: its Packages index lies beside its Release file.

/// Returns whether a suite is the exact path of a directory.
pub fn is_exact(suite: &str) -> bool {
    suite.ends_with('/')
}

/// Returns the directory of a suite below its mirror: nothing, or with a slash at the end.
pub fn directory(suite: &str) -> String {
    match suite {
        "./" => String::new(),
        _ if is_exact(suite) => suite.to_owned(),
        _ => format!("dists/{suite}/"),
    }
}

/// Returns a suite in its one form: `/` is `./`, and `./stable/` is `stable/`.
///
/// # Errors
/// One lower-case clause: a path that leaves its place, or characters that no suite has.
pub fn canonical(given: &str) -> Result<String, &'static str> {
    if given == "/" {
        return Ok("./".into());
    }
    let mut suite = given;
    while let Some(rest) = suite.strip_prefix("./") {
        suite = rest;
    }
    if suite.is_empty() && !given.is_empty() {
        return Ok("./".into());
    }
    check_parts(suite.strip_suffix('/').unwrap_or(suite))?;
    Ok(suite.to_owned())
}

/// Checks that a suite is in its one form.
///
/// # Errors
/// As [`canonical`].
pub fn check(suite: &str) -> Result<(), &'static str> {
    match canonical(suite)? == suite {
        true => Ok(()),
        false => Err("is not in its plain form"),
    }
}

/// Checks a name of several parts, each of which can stand in a path or a URL.
///
/// # Errors
/// One lower-case clause.
pub fn check_parts(name: &str) -> Result<(), &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-+._~:@=".contains(&b);
    if name.is_empty() {
        Err("is empty")
    } else if name.starts_with('/') {
        Err("is absolute (an exact path is relative to the mirror and ends with a slash)")
    } else if name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        Err("leaves its place or is not plain")
    } else if !name.bytes().all(|b| b == b'/' || good(b)) {
        Err("holds a character that no suite has")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_has_one_form_and_one_directory() {
        let rows = [
            ("bookworm", "bookworm", "dists/bookworm/"),
            ("bookworm/mongodb-org/7.0", "bookworm/mongodb-org/7.0", "dists/bookworm/mongodb-org/7.0/"),
            ("./", "./", ""),
            ("/", "./", ""),
            ("././", "./", ""),
            ("stable/", "stable/", "stable/"),
            ("./debian/stable/", "debian/stable/", "debian/stable/"),
        ];
        for (given, expected, place) in rows {
            let suite = canonical(given).expect(given);
            assert_eq!((suite.as_str(), directory(&suite).as_str()), (expected, place), "{given}");
            assert_eq!(check(given).is_ok(), given == expected, "{given}");
        }
        assert!(is_exact("./") && is_exact("stable/") && !is_exact("bookworm/updates"));
    }

    #[test]
    fn what_is_no_suite_is_refused() {
        for bad in [
            "", ".", "..", "../", "a/../b", "/a/", "a//b", "a/./b", ".hidden", "a b", "a/\n", "%2e%2e/",
            "a\\b/",
        ] {
            assert!(canonical(bad).is_err(), "{bad:?}");
        }
    }
}
